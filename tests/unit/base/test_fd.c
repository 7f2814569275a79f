/* Claims about files by descriptor, against a real folder. */
#include "base/fd.h"

#include "base/arena.h"

#include "../cmocka_base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

struct scene {
	char path[256];
	int fd;
};

static int make_scene(void **state)
{
	struct scene *scene = mem_alloc(sizeof(*scene));
	const char *tmp = getenv("TMPDIR");

	snprintf(scene->path, sizeof(scene->path), "%s/test_fd.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(scene->path))
		return -1;
	scene->fd = open(scene->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = scene;
	return scene->fd >= 0 ? 0 : -1;
}

static int remove_scene(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	int result = tree_remove_at(AT_FDCWD, scene->path, &err);

	if (result)
		fprintf(stderr, "%s\n", err.text);
	close_fd(&scene->fd);
	free(scene);
	return result;
}

static void write_file(int dir_fd, const char *path, const char *text)
{
	struct err err = ERR_INIT;
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &err), 0);
	close_fd(&fd);
}

static void assert_file_is(int dir_fd, const char *path, const char *text)
{
	AUTO(buf_free) struct buf content = BUF_INIT(KIB(64));
	struct err err = ERR_INIT;
	assert_int_equal(file_read_at(dir_fd, path, &content, &err), 0);
	assert_string_equal(buf_str(&content), text);
}

static bool exists(int dir_fd, const char *path)
{
	struct stat st;
	return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int count_entry(void *context, const char *name, struct err *err)
{
	(void)name;
	(void)err;
	++*(int *)context;
	return 0;
}

static void replacing_gives_content_mode_and_no_leftovers(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	struct stat st;
	int count = 0;

	mode_t old_mask = umask(077);
	assert_int_equal(file_replace_at(scene->fd, "state", SLICE("one"), 0644, &err), 0);
	assert_int_equal(file_replace_at(scene->fd, "state", SLICE("two"), 0640, &err), 0);
	umask(old_mask);
	assert_file_is(scene->fd, "state", "two");
	assert_int_equal(fstatat(scene->fd, "state", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(dir_each_at(scene->fd, ".", count_entry, &count, &err), 0);
	assert_int_equal(count, 1);
}

static void replacing_what_cannot_be_replaced_leaves_nothing(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	int count = 0;

	assert_int_equal(dir_make_at(scene->fd, "folder/below", 0755, &err), 0);
	assert_int_equal(file_replace_at(scene->fd, "folder", SLICE("x"), 0644, &err), -1);
	assert_non_null(strstr(err.text, "folder"));
	assert_int_equal(dir_each_at(scene->fd, ".", count_entry, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(file_replace_at(scene->fd, "missing/file", SLICE("x"), 0644, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void reading_stops_at_the_limit(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf exact = BUF_INIT(5);
	AUTO(buf_free) struct buf small = BUF_INIT(4);

	write_file(scene->fd, "five", "12345");
	assert_int_equal(file_read_at(scene->fd, "five", &exact, &err), 0);
	assert_string_equal(buf_str(&exact), "12345");
	assert_int_equal(file_read_at(scene->fd, "five", &small, &err), -1);
	assert_string_equal(err.text, "five: larger than the limit of 4 bytes");
	assert_int_equal(file_read_at(scene->fd, "none", &exact, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void folders_are_made_along_the_way(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;

	assert_int_equal(dir_make_at(scene->fd, "a//b/c/", 0755, &err), 0);
	assert_int_equal(dir_make_at(scene->fd, "a/b/c", 0755, &err), 0);
	write_file(scene->fd, "a/file", "");
	assert_int_equal(dir_make_at(scene->fd, "a/file/below", 0755, &err), -1);
	assert_non_null(strstr(err.text, "a/file is in the way"));
	assert_int_equal(symlinkat("nowhere", scene->fd, "dangling"), 0);
	assert_int_equal(dir_make_at(scene->fd, "dangling", 0755, &err), -1);
	assert_non_null(strstr(err.text, "in the way"));
	assert_int_equal(dir_make_at(scene->fd, "", 0755, &err), -1);
}

struct names {
	char text[256];
	const char *stop_at;
};

static int collect(void *context, const char *name, struct err *err)
{
	struct names *names = context;
	strcat(strcat(names->text, name), ";");
	return names->stop_at && strcmp(name, names->stop_at) == 0 ? err_set(err, ERR_USER, "stop") : 0;
}

static void a_folder_is_walked_in_order_and_can_be_left(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	struct names all = {.text = ""}, some = {.text = "", .stop_at = "Z"};

	write_file(scene->fd, "b", "");
	write_file(scene->fd, "Z", "");
	write_file(scene->fd, ".hidden", "");
	write_file(scene->fd, "\xFF", "");
	assert_int_equal(dir_each_at(scene->fd, ".", collect, &all, &err), 0);
	assert_string_equal(all.text, ".hidden;Z;b;\xFF;");
	assert_int_equal(dir_each_at(scene->fd, ".", collect, &some, &err), -1);
	assert_string_equal(some.text, ".hidden;Z;");
	assert_string_equal(err.text, "stop");
}

static void a_folder_with_more_entries_than_allowed_is_named_and_not_visited(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	struct names two = {.text = ""}, none = {.text = ""};

	assert_int_equal(dir_make_at(scene->fd, "crowd", 0755, &err), 0);
	write_file(scene->fd, "crowd/a", "");
	write_file(scene->fd, "crowd/b", "");
	assert_int_equal(dir_each_max(scene->fd, "crowd", 2, collect, &two, &err), 0);
	assert_string_equal(two.text, "a;b;");
	write_file(scene->fd, "crowd/c", "");
	assert_int_equal(dir_each_max(scene->fd, "crowd", 2, collect, &none, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_string_equal(err.text, "the folder crowd holds more than 2 entries");
	assert_string_equal(none.text, "");
}

static int collect_types(void *context, const char *name, unsigned char type, struct err *err)
{
	struct names *names = context;
	(void)err;
	/* Some file systems do not say. */
	if (type != DT_UNKNOWN)
		assert_int_equal(type, *name == 'd' ? DT_DIR : *name == 'f' ? DT_REG : DT_LNK);
	strcat(strcat(names->text, name), ";");
	return 0;
}

static void an_open_folder_tells_types_too_and_can_be_walked_again(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	struct names names = {.text = ""};

	write_file(scene->fd, "file", "");
	assert_int_equal(dir_make_at(scene->fd, "dir", 0755, &err), 0);
	assert_int_equal(symlinkat("file", scene->fd, "link"), 0);
	assert_int_equal(dir_each_fd(scene->fd, "here", collect_types, &names, &err), 0);
	assert_int_equal(dir_each_fd(scene->fd, "here", collect_types, &names, &err), 0);
	assert_string_equal(names.text, "dir;file;link;dir;file;link;");
	assert_int_equal(dir_each_fd(-1, "here", collect_types, &names, &err), -1);
	assert_non_null(strstr(err.text, "here"));
}

static void a_crowded_folder_is_removed_all_the_same(void **state)
{
	enum { CROWD = 40000 };
	struct scene *scene = *state;
	struct err err = ERR_INIT;
	struct stat st;
	char name[32];

	assert_int_equal(dir_make_at(scene->fd, "crowd", 0755, &err), 0);
	write_file(scene->fd, "crowd/0", "");
	for (int i = 1; i < CROWD; i++) {
		snprintf(name, sizeof(name), "crowd/%d", i);
		assert_int_equal(symlinkat("x", scene->fd, name), 0);
	}
	assert_int_equal(tree_remove_at(scene->fd, "crowd", &err), 0);
	assert_int_equal(fstatat(scene->fd, "crowd", &st, AT_SYMLINK_NOFOLLOW), -1);
}

static void removing_a_tree_leaves_what_its_links_show(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;

	assert_int_equal(dir_make_at(scene->fd, "kept/inner", 0755, &err), 0);
	write_file(scene->fd, "kept/file", "precious");
	assert_int_equal(dir_make_at(scene->fd, "gone/sub", 0755, &err), 0);
	write_file(scene->fd, "gone/sub/file", "x");
	assert_int_equal(symlinkat("../kept", scene->fd, "gone/link"), 0);
	assert_int_equal(symlinkat("../../kept/file", scene->fd, "gone/sub/link"), 0);
	/* Without the right to list or write, as `chmod -R a-w` leaves caches. */
	assert_int_equal(fchmodat(scene->fd, "gone/sub", 0000, 0), 0);
	assert_int_equal(fchmodat(scene->fd, "gone", 0500, 0), 0);
	assert_int_equal(tree_remove_at(scene->fd, "gone", &err), 0);
	assert_false(exists(scene->fd, "gone"));
	assert_file_is(scene->fd, "kept/file", "precious");
	assert_int_equal(tree_remove_at(scene->fd, "gone", &err), 0);
	assert_int_equal(tree_remove_at(scene->fd, "gone/too/deep", &err), 0);
}

static void removing_never_goes_through_a_link(void **state)
{
	struct scene *scene = *state;
	struct err err = ERR_INIT;

	assert_int_equal(dir_make_at(scene->fd, "kept/inner", 0755, &err), 0);
	assert_int_equal(symlinkat("kept", scene->fd, "link"), 0);
	assert_int_equal(tree_remove_at(scene->fd, "link/inner", &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_true(exists(scene->fd, "kept/inner"));
	assert_int_equal(tree_remove_at(scene->fd, "link", &err), 0);
	assert_false(exists(scene->fd, "link"));
	assert_true(exists(scene->fd, "kept/inner"));
	static const char *const unusable[] = {"", ".", "..", "kept/..", "kept/.", "/"};
	for (size_t i = 0; i < ARRAY_LEN(unusable); i++)
		assert_int_equal(tree_remove_at(scene->fd, unusable[i], &err), -1);
}

static void lay_out_for_beneath(struct scene *scene)
{
	struct err err = ERR_INIT;

	assert_int_equal(dir_make_at(scene->fd, "root/sub", 0755, &err), 0);
	write_file(scene->fd, "outside", "outside");
	write_file(scene->fd, "root/sub/file", "inside");
	assert_int_equal(symlinkat("../outside", scene->fd, "root/out"), 0);
	assert_int_equal(symlinkat("sub", scene->fd, "root/in"), 0);
	assert_int_equal(symlinkat("/", scene->fd, "root/slash"), 0);
}

/* What must hold with and without openat2; a message on the first that does not. */
static const char *beneath_refuses(struct scene *scene, bool kernel_follows)
{
	static const char *const refused[] = {
		"../outside", "out", "in/file", "slash/etc/passwd", "/etc/passwd", "sub/../../outside", ".."};
	struct err err = ERR_INIT;
	AUTO(close_fd) int root = openat(scene->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (open_beneath(root, refused[i], O_RDONLY, 0, false, &fd, &err) == 0)
			return refused[i];
		if (err.code != ERR_DENIED)
			return err.text[0] ? "a code that is not `denied`" : "no text";
	}
	if (open_beneath(root, "sub//file", O_RDONLY, 0, false, &fd, &err))
		return "sub//file";
	if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
		return "close-on-exec";
	close_fd(&fd);
	if (open_beneath(root, "sub/new", O_WRONLY | O_CREAT | O_EXCL, 0600, false, &fd, &err))
		return "creating";
	close_fd(&fd);
	unlinkat(root, "sub/new", 0);
	if (open_beneath(root, ".", O_RDONLY | O_DIRECTORY, 0, false, &fd, &err))
		return "the folder itself";
	close_fd(&fd);
	if (open_beneath(root, "none", O_RDONLY, 0, false, &fd, &err) == 0 || err.code != ERR_NOT_FOUND)
		return "none";
	if ((open_beneath(root, "in/file", O_RDONLY, 0, true, &fd, &err) == 0) != kernel_follows)
		return "following inside";
	close_fd(&fd);
	if (open_beneath(root, "out", O_RDONLY, 0, true, &fd, &err) == 0)
		return "following out";
	return NULL;
}

static void nothing_opens_outside_its_folder(void **state)
{
	struct scene *scene = *state;
#ifdef __linux__
	bool kernel_follows = true;
#else
	bool kernel_follows = false;
#endif
	lay_out_for_beneath(scene);
	const char *failed = beneath_refuses(scene, kernel_follows);
	if (failed)
		fail_msg("%s", failed);
}

#ifdef __linux__
/* From now on openat2 answers `number` in this process, as on an old kernel (ENOSYS)
 * or in an old container (EPERM). */
static bool forbid_openat2(unsigned number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_LEN(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void an_old_kernel_is_as_strict(void **state)
{
	struct scene *scene = *state;
	const unsigned answers[] = {ENOSYS, EPERM};

	lay_out_for_beneath(scene);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			const char *failed = forbid_openat2(answers[i]) ? beneath_refuses(scene, false)
									: "no seccomp here";
			if (failed)
				fprintf(stderr, "with errno %u: %s\n", answers[i], failed);
			_exit(failed != NULL);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}
#endif

static void closing_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)state;
	int kept = fd;
	int stolen = steal_fd(&fd);
	assert_int_equal(stolen, kept);
	assert_int_equal(fd, -1);
	errno = ENOTTY;
	close_fd(&fd);
	close_fd(&stolen);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(stolen, -1);
	assert_int_equal(fcntl(kept, F_GETFD), -1);
}

#define WITH_SCENE(function) cmocka_unit_test_setup_teardown(function, make_scene, remove_scene)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCENE(replacing_gives_content_mode_and_no_leftovers),
		WITH_SCENE(replacing_what_cannot_be_replaced_leaves_nothing),
		WITH_SCENE(reading_stops_at_the_limit),
		WITH_SCENE(folders_are_made_along_the_way),
		WITH_SCENE(a_folder_is_walked_in_order_and_can_be_left),
		WITH_SCENE(a_folder_with_more_entries_than_allowed_is_named_and_not_visited),
		WITH_SCENE(an_open_folder_tells_types_too_and_can_be_walked_again),
		WITH_SCENE(removing_a_tree_leaves_what_its_links_show),
		WITH_SCENE(a_crowded_folder_is_removed_all_the_same),
		WITH_SCENE(removing_never_goes_through_a_link),
		WITH_SCENE(nothing_opens_outside_its_folder),
#ifdef __linux__
		WITH_SCENE(an_old_kernel_is_as_strict),
#endif
		cmocka_unit_test(closing_keeps_errno),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
