/* Taking in trees: odd names, links, modes, and what a release cannot carry. */
#include "folder.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct store *store;
static struct arena arena;

static int setup(void **state)
{
	struct err err = ERR_INIT;

	test_setup(state);
	make_dir("tree");
	assert_done(store_open(test_path("store"), &store, &err));
	return 0;
}

static int teardown(void **state)
{
	store_close(&store);
	arena_free(&arena);
	return test_teardown(state);
}

static struct manifest import(const char *tree)
{
	struct manifest manifest;
	struct err err = ERR_INIT;

	assert_done(import_tree(store, tree, &arena, &manifest, &err));
	return manifest;
}

static const struct entry *need(const struct manifest *manifest, const char *path)
{
	const struct entry *entry = manifest_find(manifest, slice_of(path));

	assert_non_null(entry);
	return entry;
}

static void assert_content(const struct entry *entry, struct slice expected)
{
	struct slice found;
	struct err err = ERR_INIT;

	assert_int_equal(entry->size, expected.len);
	assert_done(store_load_object(store, &entry->digest, MIB(16), &arena, &found, &err));
	assert_true(slice_equal(found, expected));
}

static void assert_unchanged(void)
{
	assert_int_equal(count_in("store/manifests"), 0);
	assert_int_equal(count_in("store/incoming"), 0);
}

static void keeps_names_of_any_bytes(void **state)
{
	static const char names[][16] = {"with space", "new\nline", "gr\xc3\xbcn", "\xff\xfe",	"-dash",
					 "a\\b",       "\x1b[31m",  "tab\t",	   "\"quoted\""};

	(void)state;
	make_dir("tree/a dir\n\xff");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		write_text(arena_printf(&arena, "tree/%s", names[i]), names[i]);
		write_text(arena_printf(&arena, "tree/a dir\n\xff/%s", names[i]), names[i]);
	}
	struct manifest manifest = import("tree");
	assert_int_equal(manifest.count, 2 * ARRAY_LEN(names) + 1);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_content(need(&manifest, names[i]), slice_of(names[i]));
		const char *below = arena_printf(&arena, "a dir\n\xff/%s", names[i]);
		assert_content(need(&manifest, below), slice_of(names[i]));
	}
	assert_clean(store);
}

static void keeps_links_folders_and_modes(void **state)
{
	(void)state;
	make_dir("tree/empty/below");
	make_dir("tree/sub");
	write_text("tree/sub/file", "x");
	assert_int_equal(symlinkat("sub/file", test_fd, "tree/in"), 0);
	assert_int_equal(symlinkat("../in", test_fd, "tree/sub/back"), 0);
	assert_int_equal(symlinkat("nowhere/at all", test_fd, "tree/dangling"), 0);
	assert_int_equal(symlinkat("circle", test_fd, "tree/circle"), 0);
	write_text("tree/run", "#!/bin/sh\n");
	assert_int_equal(fchmodat(test_fd, "tree/run", 0700, 0), 0);
	write_text("tree/read-only", "r");
	assert_int_equal(fchmodat(test_fd, "tree/read-only", 0400, 0), 0);
	assert_int_equal(linkat(test_fd, "tree/run", test_fd, "tree/hard", 0), 0);
	assert_int_equal(fchmodat(test_fd, "tree/sub", 02755, 0), 0);
	write_text("tree/nothing", "");
	struct manifest manifest = import("tree");
	assert_int_equal(need(&manifest, "empty")->type, ENTRY_DIR);
	assert_int_equal(need(&manifest, "empty/below")->type, ENTRY_DIR);
	assert_int_equal(need(&manifest, "in")->type, ENTRY_LINK);
	assert_content(need(&manifest, "in"), SLICE("sub/file"));
	assert_content(need(&manifest, "sub/back"), SLICE("../in"));
	assert_content(need(&manifest, "dangling"), SLICE("nowhere/at all"));
	assert_int_equal(need(&manifest, "run")->mode, 0755);
	assert_int_equal(need(&manifest, "hard")->mode, 0755);
	assert_content(need(&manifest, "hard"), SLICE("#!/bin/sh\n"));
	assert_int_equal(need(&manifest, "read-only")->mode, 0644);
	assert_content(need(&manifest, "read-only"), SLICE("r"));
	assert_int_equal(need(&manifest, "sub")->mode, 0755);
	assert_content(need(&manifest, "nothing"), SLICE(""));
	assert_clean(store);
}

static void names_equal_trees_equally(void **state)
{
	char path[64];

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		const char *tree = turn ? "other" : "tree";
		snprintf(path, sizeof(path), "%s/d", tree);
		make_dir(path);
		/* The other way round, with other times and modes that do not count. */
		for (int i = 0; i < 40; i++) {
			int number = turn ? 39 - i : i;
			snprintf(path, sizeof(path), "%s/d/%d", tree, number);
			write_text(path, path + strlen(tree));
			fchmodat(test_fd, path, turn ? 0600 : 0664, 0);
			struct timespec times[2] = {{1000000 * turn, 0}, {1000000 * turn, 0}};
			utimensat(test_fd, path, times, 0);
		}
	}
	struct manifest first = import("tree"), second = import("other");
	assert_true(digest_equal(&first.digest, &second.digest));
	assert_int_equal(count_in("store/manifests"), 1);
	/* An executable bit and an empty folder do count. */
	fchmodat(test_fd, "other/d/7", 0755, 0);
	second = import("other");
	assert_false(digest_equal(&first.digest, &second.digest));
	fchmodat(test_fd, "other/d/7", 0644, 0);
	make_dir("other/e");
	second = import("other");
	assert_false(digest_equal(&first.digest, &second.digest));
}

static void refuses_links_that_lead_out(void **state)
{
	static const char *const targets[] = {"/etc/passwd", "../../outside", "..", "b/../../../x"};
	struct manifest manifest;
	struct err err = ERR_INIT;

	(void)state;
	make_dir("tree/a");
	write_text("tree/file", "x");
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		const char *at = i == 2 ? "tree/evil\nlink" : "tree/a/evil\nlink";
		assert_int_equal(symlinkat(targets[i], test_fd, at), 0);
		assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER,
			       "evil\\x0alink\"");
		assert_non_null(strstr(err.text, targets[i]));
		assert_non_null(strstr(err.hint, "shared_dirs"));
		unlinkat(test_fd, at, 0);
	}
	assert_unchanged();
}

static void refuses_links_that_lead_out_by_way_of_others(void **state)
{
	struct manifest manifest;
	struct err err = ERR_INIT;

	(void)state;
	make_dir("tree/a/b");
	/* Each stays inside by its letters. */
	assert_int_equal(symlinkat("../..", test_fd, "tree/a/b/top"), 0);
	import("tree");
	assert_int_equal(symlinkat("a/b/top/../secret", test_fd, "tree/evil"), 0);
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER,
		       "\"evil\" is a symlink");
	unlinkat(test_fd, "tree/evil", 0);
	/* A chain of two. */
	assert_int_equal(symlinkat("b/top", test_fd, "tree/a/up"), 0);
	import("tree");
	assert_int_equal(symlinkat("a/up/../..", test_fd, "tree/evil"), 0);
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER,
		       "\"evil\" is a symlink");
	unlinkat(test_fd, "tree/evil", 0);
	assert_int_equal(symlinkat("a/up/a/b", test_fd, "tree/fine"), 0);
	import("tree");
	/* Links that double at every step stay cheap. */
	for (int i = 0; i < 40; i++) {
		char path[64], target[64];
		snprintf(path, sizeof(path), "tree/l%d", i);
		snprintf(target, sizeof(target), "l%d/l%d", i + 1, i + 1);
		assert_int_equal(symlinkat(target, test_fd, path), 0);
	}
	import("tree");
}

static void refuses_what_a_release_cannot_carry(void **state)
{
	struct manifest manifest;
	struct err err = ERR_INIT;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	make_dir("tree/deep");
	write_text("tree/deep/su\x1b", "x");
	assert_int_equal(fchmodat(test_fd, "tree/deep/su\x1b", 04755, 0), 0);
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER,
		       "\"deep/su\\x1b\" is setuid");
	assert_int_equal(fchmodat(test_fd, "tree/deep/su\x1b", 02755, 0), 0);
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER, "is setuid or setgid");
	unlinkat(test_fd, "tree/deep/su\x1b", 0);
	assert_int_equal(mkfifoat(test_fd, "tree/deep/pipe", 0644), 0);
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER,
		       "\"deep/pipe\" is a device");
	unlinkat(test_fd, "tree/deep/pipe", 0);
	AUTO(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/tree/deep/sock", test_dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER,
		       "\"deep/sock\" is a device");
	unlinkat(test_fd, "tree/deep/sock", 0);
	make_dir("tree/.lockstep");
	assert_refused(import_tree(store, "tree", &arena, &manifest, &err), ERR_USER, "reserved");
	assert_unchanged();
}

static void names_the_file_that_cannot_be_read(void **state)
{
	struct manifest manifest;
	struct err err = ERR_INIT;

	bool root = geteuid() == 0;

	(void)state;
	store_close(&store);
	/* The superuser may read everything: be somebody else meanwhile. */
	if (root) {
		assert_int_equal(fchown(test_fd, 65534, 65534), 0);
		assert_int_equal(fchownat(test_fd, "tree", 65534, 65534, 0), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	int opened = store_open(test_path("own"), &store, &err);
	for (int i = 0; i < 100; i++) {
		char path[64];
		snprintf(path, sizeof(path), "tree/%03d", i);
		write_text(path, path);
		if (i == 33 || i == 34 || i == 90)
			fchmodat(test_fd, path, 0, 0);
	}
	/* The same one of the three every time, whichever thread was first. */
	int refused = 0;
	for (int i = 0; i < 20 && opened == 0; i++)
		refused += import_tree(store, "tree", &arena, &manifest, &err) != 0 &&
			   strstr(err.text, "\"033\"");
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(opened, 0);
	assert_int_equal(refused, 20);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.hint, "readable"));
	assert_int_equal(count_in("own/manifests"), 0);
	assert_int_equal(count_in("own/incoming"), 0);
}

struct collected {
	struct buf bytes;
	size_t largest;
	int calls_left; /* then the sink fails */
};

static int collect(void *context, struct slice bytes, struct err *err)
{
	struct collected *collected = context;

	if (collected->calls_left-- == 0)
		return err_set(err, ERR_NETWORK, "the line dropped");
	buf_put_slice(&collected->bytes, bytes);
	collected->largest = MAX(collected->largest, bytes.len);
	return 0;
}

static void compresses_where_it_pays(void **state)
{
	static const struct {
		size_t len;
		bool noise, compressed;
	} cases[] = {
		{100, false, false},	  {4095, false, false},		  {4096, false, true},
		{70000, false, true},	  {70000, true, false},		  {(512 << 10) - 1, false, true},
		{512 << 10, false, true}, {(512 << 10) + 1, true, false}, {3 << 20, false, true},
		{3 << 20, true, false},	  {128 << 10, true, false},
	};
	char *content = mem_alloc(3 << 20);
	char path[64];
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t j = 0; j < cases[i].len; j++)
			content[j] = "a line of text, "[(j + i) % 16];
		if (cases[i].noise)
			fill_noise(content, cases[i].len, i);
		snprintf(path, sizeof(path), "tree/%02zu", i);
		write_bytes(path, content, cases[i].len);
	}
	struct manifest manifest = import("tree");
	assert_int_equal(manifest.count, ARRAY_LEN(cases));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct collected got = {BUF_INIT(MIB(4)), 0, -1};
		const struct digest *digest = &manifest.entries[i].digest;
		snprintf(path, sizeof(path), "tree/%02zu", i);
		struct slice expected = read_bytes(&arena, path);
		assert_int_equal(slice_ends_with(slice_of(object_file("store", digest)), ".zst"),
				 cases[i].compressed);
		assert_done(store_read_object(store, digest, collect, &got, &err));
		assert_true(slice_equal(buf_slice(&got.bytes), expected));
		assert_true(got.largest <= KIB(128));
		buf_free(&got.bytes);
	}
	assert_clean(store);
	/* A sink that fails is not a damaged object; one that is too large is refused. */
	struct collected got = {BUF_INIT(MIB(4)), 0, 2};
	struct slice loaded;
	assert_refused(store_read_object(store, &manifest.entries[8].digest, collect, &got, &err),
		       ERR_NETWORK, "the line dropped");
	assert_null(strstr(err.text, "damaged"));
	buf_free(&got.bytes);
	assert_int_equal(store_load_object(store, &manifest.entries[0].digest, 99, &arena, &loaded, &err),
			 -1);
	assert_null(strstr(err.text, "damaged"));
	assert_done(store_load_object(store, &manifest.entries[0].digest, 100, &arena, &loaded, &err));
	mem_free_ptr(&content);
}

static void tools_of_others_read_compressed_objects(void **state)
{
	char command[400];

	(void)state;
	AUTO(mem_free_ptr) char *content = mem_alloc(20000);
	memset(content, 'x', 20000);
	write_bytes("tree/big", content, 20000);
	struct manifest manifest = import("tree");
	if (system("command -v zstd >/dev/null") != 0) {
		print_message("# no zstd program: tools_of_others_read_compressed_objects\n");
		skip();
	}
	snprintf(command, sizeof(command), "zstd -dcq < %s/%s | cmp -s - %s/tree/big", test_dir,
		 object_file("store", &manifest.entries[0].digest), test_dir);
	assert_int_equal(system(command), 0);
}

static bool stays_out(void *context, struct slice path, bool is_dir)
{
	buf_printf(context, "%.*s%s ", SLICE_ARG(path), is_dir ? "/" : "");
	return slice_is(path, "a/.git") || slice_is(path, "fifo");
}

static void leaves_out_what_the_caller_says(void **state)
{
	AUTO(buf_free) struct buf asked = BUF_INIT(4096);
	AUTO(close_fd) int fd = -1;
	struct store_import options = {.skip = stays_out, .context = &asked};
	struct manifest manifest;
	struct err err = ERR_INIT;

	(void)state;
	make_dir("tree/a/.git/objects");
	write_text("tree/a/file", "x");
	assert_int_equal(mkfifoat(test_fd, "tree/fifo", 0644), 0);
	assert_done(dir_open_at(test_fd, "tree", &fd, &err));
	assert_done(store_import_tree(store, fd, &options, &arena, &manifest, &err));
	assert_int_equal(manifest.count, 2);
	assert_string_equal(buf_str(&asked), "a/ a/.git/ a/file fifo ");
}

static void note_progress(void *context, uint64_t files, uint64_t bytes)
{
	uint64_t *last = context;

	assert_true(files >= last[0] && bytes >= last[1]);
	last[0] = files;
	last[1] = bytes;
}

static void tells_how_far_it_is(void **state)
{
	uint64_t last[2] = {0, 0};
	AUTO(close_fd) int fd = -1;
	struct store_import options = {.progress = note_progress, .context = last};
	struct manifest manifest;
	struct err err = ERR_INIT;
	char path[64];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "tree/%d", i);
		write_text(path, path);
	}
	assert_done(dir_open_at(test_fd, "tree", &fd, &err));
	assert_done(store_import_tree(store, fd, &options, &arena, &manifest, &err));
	assert_int_equal(last[0], 300);
	assert_int_equal(last[1], manifest.total_size);
}

static void writes_again_what_is_plainly_broken(void **state)
{
	AUTO(mem_free_ptr) char *content = mem_alloc(20000);

	(void)state;
	memset(content, 'y', 20000);
	write_text("tree/raw", "raw content");
	write_bytes("tree/packed", content, 20000);
	struct manifest manifest = import("tree");
	for (size_t i = 0; i < manifest.count; i++) {
		const char *path = object_file("store", &manifest.entries[i].digest);
		struct slice whole = read_bytes(&arena, path);
		/* What a power failure makes of a file: nothing, or only its beginning. */
		for (size_t len = 0; len < whole.len; len += 5) {
			write_bytes(path, whole.ptr, len);
			import("tree");
			assert_clean(store);
		}
	}
	char hex[DIGEST_HEX_LEN + 1], path[100];
	digest_to_hex(&manifest.digest, hex);
	snprintf(path, sizeof(path), "store/manifests/%s", hex);
	write_text(path, "");
	assert_false(store_has_manifest(store, &manifest.digest));
	import("tree");
	assert_clean(store);
	assert_int_equal(count_in("store/incoming"), 0);
}

static void says_where_a_store_cannot_be(void **state)
{
	struct store *other = NULL;
	struct err err = ERR_INIT;

	(void)state;
	write_text("plain", "x");
	assert_int_equal(store_open(test_path("plain"), &other, &err), -1);
	assert_non_null(strstr(err.text, "/plain"));
	assert_int_equal(store_open(test_path("plain/below"), &other, &err), -1);
	assert_non_null(strstr(err.text, "/plain"));
	assert_null(other);
}

static void knows_what_it_does_not_hold(void **state)
{
	struct digest digest;
	struct manifest manifest;
	struct slice content;
	struct store_verify_result result;
	struct err err = ERR_INIT;

	(void)state;
	digest_of(SLICE("nothing"), &digest);
	assert_false(store_has_object(store, &digest));
	assert_false(store_has_manifest(store, &digest));
	assert_refused(store_load_object(store, &digest, 10, &arena, &content, &err), ERR_NOT_FOUND,
		       "is not in the store");
	assert_refused(store_load_manifest(store, &digest, &arena, &manifest, &err), ERR_NOT_FOUND,
		       "is not in the store");
	assert_refused(store_verify(store, &digest, NULL, NULL, &result, &err), ERR_NOT_FOUND,
		       "is not in the store");
	/* Of nothing at all a release can be made too. */
	manifest = import("tree");
	assert_int_equal(manifest.count, 0);
	assert_true(store_has_manifest(store, &manifest.digest));
	assert_done(store_load_manifest(store, &manifest.digest, &arena, &manifest, &err));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(keeps_names_of_any_bytes),
		TEST(keeps_links_folders_and_modes),
		TEST(names_equal_trees_equally),
		TEST(refuses_links_that_lead_out),
		TEST(refuses_links_that_lead_out_by_way_of_others),
		TEST(refuses_what_a_release_cannot_carry),
		TEST(names_the_file_that_cannot_be_read),
		TEST(compresses_where_it_pays),
		TEST(tools_of_others_read_compressed_objects),
		TEST(leaves_out_what_the_caller_says),
		TEST(tells_how_far_it_is),
		TEST(writes_again_what_is_plainly_broken),
		TEST(says_where_a_store_cannot_be),
		TEST(knows_what_it_does_not_hold),
	};
	return cmocka_run_group_tests_name("store/import", tests, NULL, NULL);
}
