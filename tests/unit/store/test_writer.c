/* Objects that arrive one by one, and the release they make. */
#include "folder.h"

static struct store *store;
static struct arena arena;

static int setup(void **state)
{
	struct err err = ERR_INIT;

	test_setup(state);
	assert_done(store_open(test_path("store"), &store, &err));
	return 0;
}

static int teardown(void **state)
{
	store_close(&store);
	arena_free(&arena);
	return test_teardown(state);
}

/* In pieces of `step` bytes, announced as `size`. */
static int write_object(const struct digest *digest, struct slice content, uint64_t size, size_t step,
			struct err *err)
{
	AUTO(store_writer_abort) struct store_writer *writer = NULL;

	if (store_writer_open(store, digest, size, &writer, err))
		return -1;
	while (content.len) {
		size_t len = MIN(step, content.len);
		if (store_writer_put(writer, slice_make(content.ptr, len), err))
			return -1;
		content = slice_skip(content, len);
	}
	return store_writer_finish(&writer, err);
}

static void brings_a_release_back(void **state)
{
	static const size_t sizes[] = {0, 1, 5000, 64 << 10, (64 << 10) + 1, 1 << 20};
	static const size_t steps[] = {1 << 20, 7000, 128 << 10};
	char *content = mem_alloc(1 << 20);
	struct entry entries[ARRAY_LEN(sizes) * 2];
	size_t count = 0;
	struct manifest manifest, found;
	struct slice loaded;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (int noise = 0; noise < 2; noise++) {
			memset(content, 'a' + (int)i, sizes[i]);
			if (noise)
				fill_noise(content, sizes[i], i + 1);
			struct entry *entry = &entries[count++];
			*entry = (struct entry){.type = ENTRY_FILE, .mode = 0644, .size = sizes[i]};
			entry->path = slice_of(arena_printf(&arena, "%zu-%d", i, noise));
			digest_of(slice_make(content, sizes[i]), &entry->digest);
			struct slice bytes = slice_make(content, sizes[i]);
			/* Twice is fine. */
			for (int turn = 0; turn < 2; turn++)
				assert_done(write_object(&entry->digest, bytes, sizes[i],
							 steps[(i + (size_t)turn) % 3], &err));
			assert_true(store_has_object(store, &entry->digest));
		}
	}
	assert_done(manifest_build(&arena, entries, count, &manifest, &err));
	assert_false(store_has_manifest(store, &manifest.digest));
	assert_done(store_publish(store, &manifest, &err));
	assert_done(store_publish(store, &manifest, &err));
	assert_int_equal(count_in("store/incoming"), 0);
	assert_done(store_load_manifest(store, &manifest.digest, &arena, &found, &err));
	assert_true(slice_equal(found.bytes, manifest.bytes));
	for (size_t i = 0; i < count; i++) {
		assert_done(store_load_object(store, &entries[i].digest, MIB(1), &arena, &loaded, &err));
		assert_int_equal(loaded.len, entries[i].size);
	}
	assert_clean(store);
	mem_free_ptr(&content);
}

static void refuses_what_was_not_announced(void **state)
{
	struct digest digest;
	struct err err = ERR_INIT;

	(void)state;
	digest_of(SLICE("content"), &digest);
	assert_refused(write_object(&digest, SLICE("contend"), 7, 3, &err), ERR_INTERNAL, "other content");
	assert_refused(write_object(&digest, SLICE("content"), 6, 3, &err), ERR_INTERNAL, "longer");
	assert_refused(write_object(&digest, SLICE("content"), 8, 3, &err), ERR_INTERNAL, "shorter");
	assert_refused(write_object(&digest, SLICE(""), 7, 3, &err), ERR_INTERNAL, "shorter");
	assert_false(store_has_object(store, &digest));
	assert_int_equal(count_in("store/incoming"), 0);
}

static void publishes_only_what_is_whole(void **state)
{
	struct entry entry = {.type = ENTRY_FILE, .mode = 0644, .size = 7, .path = SLICE("there\x1b")};
	struct manifest manifest;
	struct err err = ERR_INIT;

	(void)state;
	digest_of(SLICE("content"), &entry.digest);
	assert_done(manifest_build(&arena, &entry, 1, &manifest, &err));
	assert_refused(store_publish(store, &manifest, &err), ERR_INTERNAL, "\"there\\x1b\" has no object");
	assert_int_equal(count_in("store/manifests"), 0);
	assert_done(write_object(&entry.digest, SLICE("content"), 7, 7, &err));
	assert_done(store_publish(store, &manifest, &err));
	assert_int_equal(count_in("store/manifests"), 1);
}

static void can_be_read_before_it_is_published(void **state)
{
	struct digest digest;
	struct slice loaded;
	struct err err = ERR_INIT;

	(void)state;
	digest_of(SLICE("content"), &digest);
	assert_done(write_object(&digest, SLICE("content"), 7, 7, &err));
	assert_done(store_load_object(store, &digest, 7, &arena, &loaded, &err));
	assert_true(slice_is(loaded, "content"));
}

static void leaves_nothing_when_given_up(void **state)
{
	struct store_writer *writer;
	struct digest digest;
	struct err err = ERR_INIT;

	(void)state;
	digest_of(SLICE("content"), &digest);
	assert_done(store_writer_open(store, &digest, 7, &writer, &err));
	assert_done(store_writer_put(writer, SLICE("cont"), &err));
	store_writer_abort(&writer);
	assert_null(writer);
	store_writer_abort(&writer);
	/* Finished, but never published. */
	assert_done(write_object(&digest, SLICE("content"), 7, 7, &err));
	store_close(&store);
	assert_int_equal(count_in("store/incoming"), 0);
	assert_done(store_open(test_path("store"), &store, &err));
	assert_false(store_has_object(store, &digest));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(brings_a_release_back),	    TEST(refuses_what_was_not_announced),
		TEST(publishes_only_what_is_whole), TEST(can_be_read_before_it_is_published),
		TEST(leaves_nothing_when_given_up),
	};
	return cmocka_run_group_tests_name("store/writer", tests, NULL, NULL);
}
