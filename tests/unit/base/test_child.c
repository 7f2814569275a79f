/* Claims about child processes, with real programs. */
#include "base/child.h"

#include "base/clock.h"
#include "base/fd.h"

#include "../cmocka_base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
	struct buf out, errors;
	int status;
	struct err err;
	int result;
};

static void free_run(struct run *run)
{
	buf_free(&run->out);
	buf_free(&run->errors);
}

static struct run run_shell(const char *script, struct slice input, int64_t timeout_ms)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct child_spec spec = {.argv = argv};
	struct run run = {BUF_INIT(MIB(1)), BUF_INIT(MIB(1)), -1, ERR_INIT, 0};

	run.result = child_run(&spec, input, &run.out, &run.errors, timeout_ms, &run.status, &run.err);
	return run;
}

static bool is_alive(long pid)
{
	return kill((pid_t)pid, 0) == 0;
}

/* Waits for the process to disappear (as a zombie of init's it may linger a moment). */
static bool has_gone(long pid)
{
	for (int i = 0; i < 500 && is_alive(pid); i++) {
		char path[64], text[256] = "";
		snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strstr(text, ") Z "))
			strcpy(text, "gone");
		close_fd(&fd);
		if (strcmp(text, "gone") == 0)
			return true;
		poll(NULL, 0, 10);
	}
	return !is_alive(pid);
}

static void output_errors_and_status_come_back(void **state)
{
	AUTO(free_run) struct run run = run_shell("cat; echo oops >&2; exit 7", SLICE("hello"), 10000);
	(void)state;
	assert_int_equal(run.result, 0);
	assert_int_equal(run.status, 7);
	assert_string_equal(buf_str(&run.out), "hello");
	assert_string_equal(buf_str(&run.errors), "oops\n");
}

static void a_signal_is_128_and_its_number(void **state)
{
	AUTO(free_run) struct run run = run_shell("kill -9 $$", SLICE(""), 10000);
	(void)state;
	assert_int_equal(run.result, 0);
	assert_int_equal(run.status, 128 + SIGKILL);
}

static void full_pipes_never_block_each_other(void **state)
{
	static char input[600000];
	(void)state;
	memset(input, 'i', sizeof(input));
	/* First 600 kB of errors while nobody reads our input, then the echo. */
	AUTO(free_run)
	struct run run = run_shell("head -c 600000 /dev/zero | tr '\\0' e >&2; cat",
				   slice_make(input, sizeof(input)), 20000);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.out.len, sizeof(input));
	assert_int_equal(run.errors.len, 600000);
	assert_memory_equal(run.out.ptr, input, sizeof(input));
}

static void unread_input_is_no_error(void **state)
{
	static char input[600000];
	(void)state;
	AUTO(free_run) struct run run = run_shell("exit 3", slice_make(input, sizeof(input)), 10000);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.status, 3);
}

static void too_much_output_is_an_error(void **state)
{
	AUTO(free_run) struct run run = run_shell("exec cat /dev/zero", SLICE(""), 20000);
	(void)state;
	assert_int_equal(run.result, -1);
	assert_string_equal(run.err.text, "sh wrote more than 1048576 bytes");
}

static void time_is_limited_also_with_closed_pipes(void **state)
{
	static const char *const scripts[] = {"exec sleep 60", "exec >&- 2>&-; exec sleep 60"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		int64_t start = clock_mono_ms();
		AUTO(free_run) struct run run = run_shell(scripts[i], SLICE(""), 300);
		assert_int_equal(run.result, -1);
		assert_string_equal(run.err.text, "sh took longer than 0.3 s and was stopped");
		assert_true(clock_mono_ms() - start < 20000);
	}
}

static void a_process_left_behind_does_not_hold_us(void **state)
{
	int64_t start = clock_mono_ms();
	AUTO(free_run) struct run run = run_shell("sleep 60 & echo $!; exit 4", SLICE(""), 0);
	(void)state;
	assert_int_equal(run.result, 0);
	assert_int_equal(run.status, 4);
	assert_true(clock_mono_ms() - start < 20000);
	long pid = strtol(buf_str(&run.out), NULL, 10);
	assert_true(pid > 1);
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
}

static void a_missing_program_is_named(void **state)
{
	static const struct {
		const char *program, *dir, *text;
	} cases[] = {
		{"no-such-program-here", NULL, "no-such-program-here: not found in PATH"},
		{"/no/such/program", NULL,
		 "/no/such/program: no such program, or its interpreter is missing"},
		{"true", "/no/such/folder",
		 "cannot start true in /no/such/folder: No such file or directory"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const argv[] = {cases[i].program, NULL};
		struct child_spec spec = {.argv = argv, .dir = cases[i].dir};
		struct err err = ERR_INIT;
		int status;
		assert_int_equal(child_run(&spec, SLICE(""), NULL, NULL, 0, &status, &err), -1);
		assert_string_equal(err.text, cases[i].text);
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
	const char *const argv[] = {"/etc/passwd", NULL};
	struct child_spec spec = {.argv = argv};
	struct err err = ERR_INIT;
	int status;
	assert_int_equal(child_run(&spec, SLICE(""), NULL, NULL, 0, &status, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
}

static void a_closed_folder_in_path_is_no_other_answer(void **state)
{
	char folder[] = "/tmp/test_child.XXXXXX";
	char path[300];
	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0000), 0);
	snprintf(path, sizeof(path), "PATH=%s:/usr/bin:/bin", folder);
	const char *const env[] = {path, NULL};
	const char *const argv[] = {"no-such-program-here", NULL};
	struct child_spec spec = {.argv = argv, .env = env};
	struct err err = ERR_INIT;
	int status;
	int result = child_run(&spec, SLICE(""), NULL, NULL, 0, &status, &err);
	rmdir(folder);
	assert_int_equal(result, -1);
	assert_string_equal(err.text, "no-such-program-here: not found in PATH");
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void environment_and_folder_are_as_given(void **state)
{
	const char *const argv[] = {"sh", "-c", "pwd; echo $ONE; env | grep -c '^HOME='", NULL};
	const char *const env[] = {"ONE=two words", "PATH=/usr/bin:/bin", NULL};
	struct child_spec spec = {.argv = argv, .env = env, .dir = "/"};
	AUTO(buf_free) struct buf out = BUF_INIT(1000);
	struct err err = ERR_INIT;
	int status;
	(void)state;
	assert_int_equal(child_run(&spec, SLICE(""), &out, NULL, 10000, &status, &err), 0);
	assert_string_equal(buf_str(&out), "/\ntwo words\n0\n");
}

static void no_other_descriptor_goes_along(void **state)
{
	int leaked = open("/dev/null", O_RDONLY); /* no O_CLOEXEC: as inherited by us */
	int high = fcntl(leaked, F_DUPFD, 200);
	(void)state;
	assert_true(leaked >= 0 && high >= 200);
	AUTO(free_run) struct run run = run_shell("ls /proc/self/fd | tr '\\n' ' '", SLICE(""), 10000);
	close(leaked);
	close(high);
	/* 3 is the folder that ls reads. */
	assert_string_equal(buf_str(&run.out), "0 1 2 3 ");
}

static void signals_start_with_their_defaults(void **state)
{
	sigset_t blocked, before;
	(void)state;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	void (*old)(int) = signal(SIGHUP, SIG_IGN);
	AUTO(free_run)
	struct run run =
		run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t '", SLICE(""), 10000);
	signal(SIGHUP, old);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_string_equal(buf_str(&run.out), "SigBlk:0000000000000000SigIgn:0000000000000000");
}

static void errors_can_join_the_output(void **state)
{
	const char *const argv[] = {"sh", "-c", "echo a; echo b >&2; echo c", NULL};
	struct child_spec spec = {.argv = argv, .stderr_fd = CHILD_STDOUT};
	AUTO(buf_free) struct buf out = BUF_INIT(1000);
	struct err err = ERR_INIT;
	int status;
	(void)state;
	assert_int_equal(child_run(&spec, SLICE(""), &out, NULL, 10000, &status, &err), 0);
	assert_string_equal(buf_str(&out), "a\nb\nc\n");
}

static long read_pid(int fd)
{
	char text[64] = "";
	size_t len = 0;
	while (len + 1 < sizeof(text) && !strchr(text, '\n')) {
		ssize_t got = read(fd, text + len, 1);
		assert_true(got == 1);
		len += (size_t)got;
	}
	return strtol(text, NULL, 10);
}

static void stopping_ends_the_whole_group(void **state)
{
	static const int graces[] = {0, 5000};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(graces); i++) {
		const char *const argv[] = {"sh", "-c", "sleep 60 & echo $!; wait", NULL};
		struct child_spec spec = {
			.argv = argv, .stdin_fd = -1, .stdout_fd = CHILD_PIPE, .stderr_fd = -1};
		AUTO(child_close) struct child child = CHILD_INIT;
		struct err err = ERR_INIT;
		assert_int_equal(child_start(&child, &spec, &err), 0);
		long grandchild = read_pid(child.stdout_fd);
		assert_true(is_alive(grandchild));
		child_stop(&child, graces[i]);
		assert_int_equal(child.pid, 0);
		assert_true(has_gone(grandchild));
	}
}

static void one_that_will_not_go_is_killed(void **state)
{
	const char *const argv[] = {"sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done", NULL};
	struct child_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = CHILD_PIPE, .stderr_fd = -1};
	AUTO(child_close) struct child child = CHILD_INIT;
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(child_start(&child, &spec, &err), 0);
	long pid = read_pid(child.stdout_fd);
	int64_t start = clock_mono_ms();
	child_stop(&child, 200);
	assert_true(clock_mono_ms() - start >= 200);
	assert_false(is_alive(pid));
	child_stop(&child, 200); /* not running: nothing */
}

static int count_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void nothing_leaks(void **state)
{
	int before = count_descriptors();
	(void)state;
	for (int i = 0; i < 5; i++) {
		AUTO(free_run) struct run good = run_shell("echo x", SLICE("input"), 10000);
		assert_int_equal(good.result, 0);
		const char *const argv[] = {"no-such-program-here", NULL};
		struct child_spec spec = {argv, NULL, NULL, CHILD_PIPE, CHILD_PIPE, CHILD_PIPE, false};
		struct child child;
		struct err err = ERR_INIT;
		assert_int_equal(child_start(&child, &spec, &err), -1);
		assert_int_equal(child.pid, 0);
	}
	assert_int_equal(count_descriptors(), before);
}

static void closed_standard_streams_of_ours_do_not_matter(void **state)
{
	(void)state;
	/* In a child of our own, because the test needs its streams. */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(0);
		close(1);
		struct run run = run_shell("cat; echo e >&2", SLICE("in"), 10000);
		bool good = run.result == 0 && strcmp(buf_str(&run.out), "in") == 0 &&
			    strcmp(buf_str(&run.errors), "e\n") == 0;
		const char *const argv[] = {"no-such-program-here", NULL};
		struct child_spec spec = {.argv = argv};
		int status;
		struct err err = ERR_INIT;
		good = good && child_run(&spec, SLICE(""), NULL, NULL, 0, &status, &err) == -1 &&
		       err.code == ERR_NOT_FOUND;
		_exit(good ? 0 : 1);
	}
	struct child child = {pid, -1, -1, -1};
	struct err err = ERR_INIT;
	int status = -1;
	assert_int_equal(child_wait(&child, &status, &err), 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_errors_and_status_come_back),
		cmocka_unit_test(a_signal_is_128_and_its_number),
		cmocka_unit_test(full_pipes_never_block_each_other),
		cmocka_unit_test(unread_input_is_no_error),
		cmocka_unit_test(too_much_output_is_an_error),
		cmocka_unit_test(time_is_limited_also_with_closed_pipes),
		cmocka_unit_test(a_process_left_behind_does_not_hold_us),
		cmocka_unit_test(a_missing_program_is_named),
		cmocka_unit_test(a_closed_folder_in_path_is_no_other_answer),
		cmocka_unit_test(environment_and_folder_are_as_given),
		cmocka_unit_test(no_other_descriptor_goes_along),
		cmocka_unit_test(signals_start_with_their_defaults),
		cmocka_unit_test(errors_can_join_the_output),
		cmocka_unit_test(stopping_ends_the_whole_group),
		cmocka_unit_test(one_that_will_not_go_is_killed),
		cmocka_unit_test(nothing_leaks),
		cmocka_unit_test(closed_standard_streams_of_ours_do_not_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
