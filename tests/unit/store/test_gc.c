/* Garbage collection takes what nothing needs, and nothing else. */
#include "folder.h"

#include <pthread.h>

static struct arena arena;
static struct manifest first, second;

static int setup(void **state)
{
	AUTO(store_close) struct store *store = NULL;
	struct err err = ERR_INIT;
	char text[5000];

	test_setup(state);
	make_dir("one/d");
	make_dir("two/d");
	memset(text, 's', sizeof(text));
	write_bytes("one/shared", text, sizeof(text));
	write_bytes("two/d/shared too", text, sizeof(text));
	write_text("one/only", "one");
	write_text("two/only", "two");
	assert_int_equal(symlinkat("only", test_fd, "one/link"), 0);
	assert_int_equal(symlinkat("only", test_fd, "two/link"), 0);
	assert_done(store_open(test_path("store"), &store, &err));
	assert_done(import_tree(store, "one", &arena, &first, &err));
	assert_done(import_tree(store, "two", &arena, &second, &err));
	return 0;
}

static int teardown(void **state)
{
	arena_free(&arena);
	return test_teardown(state);
}

static bool keep_one(void *context, const struct digest *release)
{
	return context && digest_equal(release, context);
}

static bool keep_all(void *context, const struct digest *release)
{
	(void)context;
	(void)release;
	return true;
}

static void assert_holds(const struct manifest *manifest)
{
	AUTO(store_close) struct store *store = NULL;
	struct store_verify_result result;
	struct err err = ERR_INIT;

	assert_done(store_open(test_path("store"), &store, &err));
	assert_done(store_verify(store, &manifest->digest, NULL, NULL, &result, &err));
	assert_int_equal(result.damaged, 0);
	assert_clean(store);
}

static bool has_object_of(const struct manifest *manifest, const char *path)
{
	AUTO(store_close) struct store *store = NULL;
	const struct entry *entry = manifest_find(manifest, slice_of(path));
	struct err err = ERR_INIT;

	assert_done(store_open(test_path("store"), &store, &err));
	return store_has_object(store, &entry->digest);
}

static void keeps_what_is_wanted_and_shared(void **state)
{
	struct store_gc_result dry, result;
	struct err err = ERR_INIT;

	(void)state;
	write_text("store/incoming/left", "over from a crash");
	/* Trying it first tells the same numbers and changes nothing. */
	assert_done(store_gc(test_path("store"), keep_one, &first.digest, true, 0, &dry, &err));
	assert_int_equal(count_in("store/incoming"), 1);
	assert_holds(&first);
	assert_holds(&second);
	assert_done(store_gc(test_path("store"), keep_one, &first.digest, false, 0, &result, &err));
	assert_memory_equal(&dry, &result, sizeof(dry));
	assert_int_equal(result.manifests_kept, 1);
	assert_int_equal(result.manifests_removed, 1);
	assert_int_equal(result.objects_removed, 1);
	assert_int_equal(result.bytes_removed, 3 + 17);
	assert_int_equal(count_in("store/incoming"), 0);
	assert_int_equal(count_in("store/manifests"), 1);
	assert_holds(&first);
	assert_true(has_object_of(&second, "d/shared too"));
	assert_true(has_object_of(&second, "link"));
	assert_false(has_object_of(&second, "only"));
	/* Again: nothing is left to do. */
	assert_done(store_gc(test_path("store"), keep_all, NULL, false, 0, &result, &err));
	assert_int_equal(result.manifests_removed + result.objects_removed + result.bytes_removed, 0);
	assert_done(store_gc(test_path("store"), keep_one, NULL, false, 0, &result, &err));
	assert_int_equal(result.manifests_kept, 0);
	assert_int_equal(result.objects_removed, 3);
	assert_false(has_object_of(&first, "shared"));
}

static void removes_nothing_when_a_kept_manifest_is_damaged(void **state)
{
	struct store_gc_result result;
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_LEN + 1], path[100];

	(void)state;
	digest_to_hex(&first.digest, hex);
	snprintf(path, sizeof(path), "store/manifests/%s", hex);
	struct slice whole = read_bytes(&arena, path);
	write_bytes(path, whole.ptr, whole.len - 1);
	assert_refused(store_gc(test_path("store"), keep_one, &first.digest, false, 0, &result, &err),
		       ERR_INTERNAL, "damaged");
	assert_int_equal(count_in("store/manifests"), 2);
	write_bytes(path, whole.ptr, whole.len);
	assert_holds(&first);
	assert_holds(&second);
}

static void leaves_strangers_alone(void **state)
{
	struct store_gc_result result;
	struct err err = ERR_INIT;

	(void)state;
	write_text("store/objects/stray", "x");
	write_text("store/manifests/stray", "x");
	make_dir("store/objects/aa");
	write_text("store/objects/aa/stray", "x");
	assert_done(store_gc(test_path("store"), keep_one, NULL, false, 0, &result, &err));
	assert_int_equal(count_in("store/manifests"), 1);
	assert_int_equal(count_in("store/objects/aa"), 1);
	assert_true(faccessat(test_fd, "store/objects/stray", F_OK, 0) == 0);
}

struct collection {
	const char *path;
	struct store_gc_result result;
	int status;
	struct err err;
};

static void *collect(void *context)
{
	struct collection *collection = context;

	collection->status = store_gc(collection->path, keep_one, &first.digest, false, 60000,
				      &collection->result, &collection->err);
	return NULL;
}

static void waits_for_those_who_use_the_store(void **state)
{
	AUTO(store_close) struct store *store = NULL;
	struct collection collection = {.status = -2};
	struct store_gc_result result;
	struct slice content;
	struct err err = ERR_INIT;
	pthread_t thread;

	(void)state;
	collection.path = arena_strdup(&arena, test_path("store"));
	assert_done(store_open(test_path("store"), &store, &err));
	assert_refused(store_gc(test_path("store"), keep_one, NULL, false, 0, &result, &err), ERR_CONFLICT,
		       "being used");
	assert_refused(store_gc(test_path("store"), keep_one, NULL, false, 50, &result, &err), ERR_CONFLICT,
		       "being used");
	assert_true(err.hint[0]);
	assert_int_equal(pthread_create(&thread, NULL, collect, &collection), 0);
	/* As long as we hold it, everything stays. */
	for (int i = 0; i < 200; i++)
		assert_done(store_load_object(store, &manifest_find(&second, SLICE("only"))->digest, 10,
					      &arena, &content, &err));
	assert_clean(store);
	store_close(&store);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (collection.status)
		fail_msg("%s", collection.err.text);
	assert_int_equal(collection.result.manifests_removed, 1);
	assert_holds(&first);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(keeps_what_is_wanted_and_shared),
		TEST(removes_nothing_when_a_kept_manifest_is_damaged),
		TEST(leaves_strangers_alone),
		TEST(waits_for_those_who_use_the_store),
	};
	return cmocka_run_group_tests_name("store/gc", tests, NULL, NULL);
}
