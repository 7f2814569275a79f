/* A store survives whatever ends the program: kills at every fault point, two
 * processes at once, a full disk. The program that is killed is this one again,
 * started with arguments. */
#include "folder.h"

#include "base/child.h"

#include <sys/mount.h>

extern char **environ;

static struct arena arena;

/* "import STORE TREE" or "gc STORE [KEEP]" */
static bool keep_named(void *context, const struct digest *release)
{
	struct digest kept;

	return context && digest_from_hex(slice_of(context), &kept) && digest_equal(&kept, release);
}

static int helper(int argc, char **argv)
{
	AUTO(store_close) struct store *store = NULL;
	AUTO(close_fd) int fd = -1;
	struct manifest manifest;
	struct store_gc_result collected;
	struct err err = ERR_INIT;
	int result;

	if (strcmp(argv[1], "gc") == 0)
		result = store_gc(argv[2], keep_named, argc > 3 ? argv[3] : NULL, false, 10000, &collected,
				  &err);
	else
		result = store_open(argv[2], &store, &err) || dir_open_at(AT_FDCWD, argv[3], &fd, &err) ||
			 store_import_tree(store, fd, NULL, &arena, &manifest, &err);
	if (result)
		fprintf(stderr, "%s\n%s\n", err.text, err.hint);
	return result ? 1 : 0;
}

static void start_helper(struct child *child, const char *const *arguments, const char *fault, int stderr_fd)
{
	const char *argv[8] = {"/proc/self/exe"};
	const char *env[] = {fault ? arena_printf(&arena, "LOCKSTEP_FAULT=%s", fault) : "NONE=1",
			     "ASAN_OPTIONS=detect_leaks=0", NULL};
	struct child_spec spec = {
		.argv = argv, .env = env, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = stderr_fd};
	char self[4096] = "";
	struct err err = ERR_INIT;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	argv[0] = self;
	for (size_t i = 0; arguments[i]; i++)
		argv[i + 1] = arguments[i];
	assert_done(child_start(child, &spec, &err));
}

static int run_helper(const char *const *arguments, const char *fault)
{
	AUTO(child_close) struct child child = CHILD_INIT;
	struct err err = ERR_INIT;
	int status = -1;

	start_helper(&child, arguments, fault, -1);
	assert_done(child_wait(&child, &status, &err));
	return status;
}

static int setup(void **state)
{
	char path[64];
	char text[6000];

	test_setup(state);
	make_dir("tree/d");
	make_dir("before");
	for (int i = 0; i < 40; i++) {
		memset(text, 'a' + i % 26, sizeof(text));
		snprintf(path, sizeof(path), "tree/d/%d", i);
		write_bytes(path, text, i % 3 ? sizeof(text) : (size_t)i);
	}
	write_text("before/file", "of the release that was there before");
	write_text("tree/file", "of the release that was there before");
	assert_int_equal(symlinkat("file", test_fd, "tree/link"), 0);
	return 0;
}

static int teardown(void **state)
{
	arena_free(&arena);
	return test_teardown(state);
}

static const char *const import_points[] = {
	"store.import.object=%s",	   "store.import.object=%s:7",	    "store.publish.before_sync=%s",
	"store.publish.before_objects=%s", "store.publish.object=%s",	    "store.publish.object=%s:9",
	"store.publish.before_rename=%s",  "store.publish.after_rename=%s",
};

/* Whole is right, absent is right, nothing in between. */
static void assert_old_or_new(const struct digest *before, const struct digest *release, const char *fault)
{
	AUTO(store_close) struct store *store = NULL;
	struct store_verify_result result;
	struct manifest manifest;
	struct err err = ERR_INIT;

	assert_done(store_open(test_path("store"), &store, &err));
	AUTO(buf_free) struct buf found = BUF_INIT(MIB(1));
	if (verify_store(store, &found))
		fail_msg("%s: %s", fault, buf_str(&found));
	assert_done(store_verify(store, before, NULL, NULL, &result, &err));
	assert_int_equal(result.damaged, 0);
	if (strstr(fault, "before") || strstr(fault, "object"))
		assert_false(store_has_manifest(store, release));
	if (strstr(fault, "after"))
		assert_true(store_has_manifest(store, release));
	/* And it goes on as if nothing had been. */
	assert_done(import_tree(store, "tree", &arena, &manifest, &err));
	assert_true(digest_equal(&manifest.digest, release));
	assert_clean(store);
}

static struct digest release_of(const char *tree)
{
	AUTO(store_close) struct store *store = NULL;
	struct manifest manifest;
	struct err err = ERR_INIT;

	assert_done(store_open(test_path("%s-alone", tree), &store, &err));
	assert_done(import_tree(store, tree, &arena, &manifest, &err));
	return manifest.digest;
}

static void each_import_point(const char *action, int expected_status)
{
	struct digest before = release_of("before"), release = release_of("tree");
	struct store_gc_result collected;
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_LEN + 1];
	char path[200];

	digest_to_hex(&before, hex);
	snprintf(path, sizeof(path), "%s", test_path("store"));
	for (size_t i = 0; i < ARRAY_LEN(import_points); i++) {
		char fault[100];
		snprintf(fault, sizeof(fault), import_points[i], action);
		assert_int_equal(
			run_helper((const char *[]){"import", path, test_path("before"), NULL}, NULL), 0);
		int status = run_helper((const char *[]){"import", path, test_path("tree"), NULL}, fault);
		if (status != expected_status)
			fail_msg("%s: status %d", fault, status);
		/* Who fails cleans up; who is killed cannot. */
		if (expected_status == 1)
			assert_int_equal(count_in("store/incoming"), 0);
		assert_old_or_new(&before, &release, fault);
		assert_done(store_gc(path, keep_named, hex, false, 10000, &collected, &err));
		assert_int_equal(count_in("store/incoming"), 0);
		assert_int_equal(count_in("store/manifests"), 1);
	}
}

static void import_killed_anywhere_leaves_old_or_new(void **state)
{
	(void)state;
	each_import_point("kill", 128 + 9);
}

static void import_failing_anywhere_leaves_old_or_new(void **state)
{
	(void)state;
	each_import_point("fail", 1);
}

static void gc_killed_anywhere_leaves_whole_releases(void **state)
{
	static const char *const points[] = {"store.gc.manifest=kill", "store.gc.object=kill",
					     "store.gc.object=kill:5"};
	struct digest before = release_of("before"), release = release_of("tree");
	char hex[DIGEST_HEX_LEN + 1];
	char path[200];

	(void)state;
	digest_to_hex(&before, hex);
	snprintf(path, sizeof(path), "%s", test_path("store"));
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		assert_int_equal(
			run_helper((const char *[]){"import", path, test_path("before"), NULL}, NULL), 0);
		assert_int_equal(run_helper((const char *[]){"import", path, test_path("tree"), NULL}, NULL),
				 0);
		assert_int_equal(run_helper((const char *[]){"gc", path, hex, NULL}, points[i]), 128 + 9);
		assert_old_or_new(&before, &release, "");
	}
}

static void two_processes_take_in_the_same_at_once(void **state)
{
	struct digest before = release_of("before"), release = release_of("tree");
	char path[200];
	struct err err = ERR_INIT;

	(void)state;
	snprintf(path, sizeof(path), "%s", test_path("store"));
	for (int turn = 0; turn < 5; turn++) {
		struct child children[3] = {CHILD_INIT, CHILD_INIT, CHILD_INIT};
		assert_done(tree_remove_at(test_fd, "store", &err));
		for (int i = 0; i < 3; i++)
			start_helper(
				&children[i],
				(const char *[]){"import", path, test_path(i == 2 ? "before" : "tree"), NULL},
				NULL, -1);
		for (int i = 0; i < 3; i++) {
			int status = -1;
			assert_done(child_wait(&children[i], &status, &err));
			assert_int_equal(status, 0);
			child_close(&children[i]);
		}
		assert_int_equal(count_in("store/manifests"), 2);
		assert_int_equal(count_in("store/incoming"), 0);
		assert_old_or_new(&before, &release, "");
	}
}

static void full_disk_is_said_and_leaves_nothing(void **state)
{
	AUTO(store_close) struct store *store = NULL;
	struct manifest manifest;
	struct err err = ERR_INIT;
	AUTO(mem_free_ptr) char *noise = mem_alloc(100000);
	char path[64];

	(void)state;
	make_dir("small");
	if (geteuid() != 0 || mount("tmpfs", test_path("small"), "tmpfs", 0, "size=2m") != 0) {
		print_message("# only as root: full_disk_is_said_and_leaves_nothing\n");
		skip();
	}
	for (int i = 0; i < 40; i++) {
		fill_noise(noise, 100000, (uint64_t)i + 1);
		snprintf(path, sizeof(path), "tree/noise%d", i);
		write_bytes(path, noise, 100000);
	}
	int opened = store_open(test_path("small/store"), &store, &err);
	int imported = opened ? -1 : import_tree(store, "tree", &arena, &manifest, &err);
	int manifests = opened ? -1 : count_in("small/store/manifests");
	int incoming = opened ? -1 : count_in("small/store/incoming");
	/* With room for it, the rest works. */
	struct err smaller_err = ERR_INIT;
	int smaller = opened ? -1 : import_tree(store, "before", &arena, &manifest, &smaller_err);
	store_close(&store);
	assert_int_equal(umount2(test_path("small"), MNT_DETACH), 0);
	assert_int_equal(opened, 0);
	assert_int_equal(imported, -1);
	assert_int_equal(manifests, 0);
	assert_int_equal(incoming, 0);
	if (!strstr(err.text, "No space left") || !strstr(err.text, "small/store") ||
	    !strstr(err.text, "\"noise"))
		fail_msg("%s", err.text);
	assert_non_null(strstr(err.hint, "store gc"));
	if (smaller)
		fail_msg("%s", smaller_err.text);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return helper(argc, argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(import_killed_anywhere_leaves_old_or_new),
		TEST(import_failing_anywhere_leaves_old_or_new),
		TEST(gc_killed_anywhere_leaves_whole_releases),
		TEST(two_processes_take_in_the_same_at_once),
		TEST(full_disk_is_said_and_leaves_nothing),
	};
	return cmocka_run_group_tests_name("store/crash", tests, NULL, NULL);
}
