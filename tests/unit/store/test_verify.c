/* No byte of a store can go bad unnoticed. */
#include "folder.h"

static struct store *store;
static struct arena arena;
static struct manifest manifest;

static int setup(void **state)
{
	struct err err = ERR_INIT;
	char text[6000];

	test_setup(state);
	make_dir("tree/d");
	write_text("tree/raw", "the content of a file that is kept as it is\n");
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "repeated, repeated, and so on "[i % 30];
	text[1000] = '!';
	write_bytes("tree/d/packed", text, sizeof(text));
	assert_int_equal(symlinkat("raw", test_fd, "tree/link"), 0);
	assert_done(store_open(test_path("store"), &store, &err));
	assert_done(import_tree(store, "tree", &arena, &manifest, &err));
	return 0;
}

static int teardown(void **state)
{
	store_close(&store);
	arena_free(&arena);
	return test_teardown(state);
}

/* Exactly this one thing is found, by name, and also when only this release is asked for. */
static void assert_named(const char *kind, const char *hex, const char *what, size_t position)
{
	AUTO(buf_free) struct buf found = BUF_INIT(MIB(1));
	struct store_verify_result result;
	struct err err = ERR_INIT;
	char expected[200];

	snprintf(expected, sizeof(expected), "%s %s: ", kind, hex);
	if (verify_store(store, &found) != 1 || !slice_starts_with(buf_slice(&found), expected))
		fail_msg("%s at %zu: \"%s\" is not about %s", what, position, buf_str(&found), expected);
	buf_clear(&found);
	/* A manifest of no bytes is not there at all. */
	if (!store_has_manifest(store, &manifest.digest))
		return;
	assert_done(store_verify(store, &manifest.digest, note_damage, &found, &result, &err));
	if (result.damaged != 1 || !slice_starts_with(buf_slice(&found), expected))
		fail_msg("%s at %zu: \"%s\" is not about %s", what, position, buf_str(&found), expected);
}

static void damage_everywhere(const char *path, const char *kind, const struct digest *digest)
{
	static const char flips[] = {1, 0x20, (char)0x80, (char)0xff};
	struct slice whole = read_bytes(&arena, path);
	char *changed = arena_alloc(&arena, whole.len + 1);
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	for (size_t i = 0; i < whole.len; i++) {
		for (size_t j = 0; j < ARRAY_LEN(flips); j++) {
			memcpy(changed, whole.ptr, whole.len);
			changed[i] ^= flips[j];
			write_bytes(path, changed, whole.len);
			assert_named(kind, hex, "flipped", i);
		}
		write_bytes(path, whole.ptr, i);
		assert_named(kind, hex, "cut", i);
	}
	memcpy(changed, whole.ptr, whole.len);
	changed[whole.len] = 0;
	write_bytes(path, changed, whole.len + 1);
	assert_named(kind, hex, "longer", whole.len);
	write_bytes(path, whole.ptr, whole.len);
	assert_clean(store);
}

static const struct digest *digest_at(const char *path)
{
	const struct entry *entry = manifest_find(&manifest, slice_of(path));

	assert_non_null(entry);
	return &entry->digest;
}

static void finds_every_byte_of_a_raw_object(void **state)
{
	(void)state;
	const char *path = object_file("store", digest_at("raw"));
	assert_false(slice_ends_with(slice_of(path), ".zst"));
	damage_everywhere(path, "object", digest_at("raw"));
	damage_everywhere(object_file("store", digest_at("link")), "object", digest_at("link"));
}

static void finds_every_byte_of_a_compressed_object(void **state)
{
	(void)state;
	const char *path = object_file("store", digest_at("d/packed"));
	assert_true(slice_ends_with(slice_of(path), ".zst"));
	damage_everywhere(path, "object", digest_at("d/packed"));
}

static void finds_every_byte_of_a_manifest(void **state)
{
	char hex[DIGEST_HEX_LEN + 1], path[100];

	(void)state;
	digest_to_hex(&manifest.digest, hex);
	snprintf(path, sizeof(path), "store/manifests/%s", hex);
	damage_everywhere(path, "manifest", &manifest.digest);
}

static void finds_a_compressed_object_of_another_content(void **state)
{
	char other[6000], hex[DIGEST_HEX_LEN + 1], path[300];
	struct manifest with_other;
	struct slice content;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(other); i++)
		other[i] = "something else "[i % 15];
	make_dir("other");
	write_bytes("other/file", other, sizeof(other));
	assert_done(import_tree(store, "other", &arena, &with_other, &err));
	struct slice wrong = read_bytes(&arena, object_file("store", &with_other.entries[0].digest));
	digest_to_hex(digest_at("d/packed"), hex);
	write_bytes(object_file("store", digest_at("d/packed")), wrong.ptr, wrong.len);
	assert_named("object", hex, "wrong", 0);
	assert_refused(store_load_object(store, digest_at("d/packed"), MIB(1), &arena, &content, &err),
		       ERR_INTERNAL, hex);
	/* And beside a raw one, which it would be read instead of. */
	struct slice right = read_bytes(&arena, "tree/d/packed");
	snprintf(path, sizeof(path), "%s", object_file("store", digest_at("d/packed")));
	path[strlen(path) - 4] = '\0';
	write_bytes(path, right.ptr, right.len);
	assert_named("object", hex, "beside", 0);
}

static void finds_what_is_missing_and_what_does_not_belong(void **state)
{
	AUTO(buf_free) struct buf found = BUF_INIT(MIB(1));
	char hex[DIGEST_HEX_LEN + 1];

	(void)state;
	digest_to_hex(digest_at("raw"), hex);
	unlinkat(test_fd, object_file("store", digest_at("raw")), 0);
	assert_named("object", hex, "missing", 0);
	write_text("tree/raw", "the content of a file that is kept as it is\n");
	struct err err = ERR_INIT;
	assert_done(import_tree(store, "tree", &arena, &manifest, &err));
	assert_clean(store);
	write_text("store/objects/stray", "");
	write_text("store/objects/zz", "");
	write_text("store/manifests/stray", "");
	make_dir("store/objects/aa");
	write_text("store/objects/aa/stray.zst", "");
	make_dir("store/objects/aa/bb");
	assert_int_equal(verify_store(store, &found), 5);
	assert_non_null(strstr(buf_str(&found), "stray.zst"));
}

static void never_hands_out_the_end_of_a_damaged_object(void **state)
{
	struct slice content;
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_LEN + 1];

	(void)state;
	digest_to_hex(digest_at("raw"), hex);
	write_text(object_file("store", digest_at("raw")), "the content of a file that is not as it was\n");
	assert_refused(store_load_object(store, digest_at("raw"), MIB(1), &arena, &content, &err),
		       ERR_INTERNAL, hex);
	assert_non_null(strstr(err.text, "damaged"));
	assert_non_null(strstr(err.hint, "store verify"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(finds_every_byte_of_a_raw_object),
		TEST(finds_every_byte_of_a_compressed_object),
		TEST(finds_every_byte_of_a_manifest),
		TEST(finds_a_compressed_object_of_another_content),
		TEST(finds_what_is_missing_and_what_does_not_belong),
		TEST(never_hands_out_the_end_of_a_damaged_object),
	};
	return cmocka_run_group_tests_name("store/verify", tests, NULL, NULL);
}
