/* Claims about fault points. Switches are read once a process, so that every case
 * runs in a child of its own. */
#include "base/fault.h"

#include "base/fd.h"

#include "../cmocka_base.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Passes points "a" and "b" three times by turns; exits with the number of failures. */
static int status_with(const char *faults, const char *list)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int failures = 0;
		struct err err = ERR_INIT;
		setenv("LOCKSTEP_FAULT", faults, 1);
		if (list)
			setenv("LOCKSTEP_FAULT_LIST", list, 1);
		/* abort() is looked for here; no message of it in the test's output. */
		int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		dup2(null_fd, STDERR_FILENO);
		for (int i = 0; i < 3; i++) {
			failures += fault_point("test.a", &err) != 0;
			fault_mark("test.b");
		}
		_exit(failures);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		return 1000;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void each_action_does_what_it_says(void **state)
{
	static const struct {
		const char *faults;
		int status;
	} cases[] = {
		{"", 0},
		{"test.a=fail", 1},
		{"test.a=fail:3", 1},
		{"test.a=fail:4", 0},
		{"test.a=fail:1,test.a=fail:2", 2},
		{"test.other=kill", 0},
		{"test.b=kill", 128 + SIGKILL},
		{"test.b=fail", 0},
		{"test.b=exit:2", 70},
		{"test.b=hang", 1000},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (status_with(cases[i].faults, NULL) != cases[i].status)
			fail_msg("%s", cases[i].faults);
}

static void a_switch_that_cannot_be_read_is_no_silent_pass(void **state)
{
	static const char *const cases[] = {"test.a",	      "test.a=",       "=fail",
					    "test.a=explode", "test.a=fail:0", "test.a=fail:x"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (status_with(cases[i], NULL) != 128 + SIGABRT)
			fail_msg("%s", cases[i]);
}

static void every_pass_is_listed(void **state)
{
	char path[] = "/tmp/test_fault.XXXXXX";
	int fd = mkstemp(path);
	AUTO(buf_free) struct buf listed = BUF_INIT(1000);
	struct err err = ERR_INIT;
	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(status_with("test.b=exit:2", path), 70);
	assert_int_equal(file_read_at(AT_FDCWD, path, &listed, &err), 0);
	unlink(path);
	assert_string_equal(buf_str(&listed), "test.a\ntest.b\ntest.a\ntest.b\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_action_does_what_it_says),
		cmocka_unit_test(a_switch_that_cannot_be_read_is_no_silent_pass),
		cmocka_unit_test(every_pass_is_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
