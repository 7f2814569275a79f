/* Claims about diagnostics. */
#include "base/log.h"

#include "base/buf.h"
#include "base/fd.h"

#include "../cmocka_base.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void what_is_logged_with(const char *level, struct buf *out)
{
	int ends[2];
	struct err err = ERR_INIT;

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (level)
			setenv("LOCKSTEP_LOG", level, 1);
		else
			unsetenv("LOCKSTEP_LOG");
		dup2(ends[1], STDERR_FILENO);
		log_setup("test");
		log_line(LOG_ERROR, "bad %d", 1);
		log_info("two\nlines \x1b[0m");
		log_debug("detail");
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(fd_read_all(ends[0], out, &err), 0);
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void it_is_silent_unless_asked(void **state)
{
	static const char *const quiet[] = {NULL, "", "nonsense"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(10000);
		what_is_logged_with(quiet[i], &out);
		assert_string_equal(buf_str(&out), "");
	}
}

static void each_level_shows_itself_and_worse(void **state)
{
	AUTO(buf_free) struct buf errors = BUF_INIT(10000), info = BUF_INIT(10000);
	(void)state;
	what_is_logged_with("error", &errors);
	assert_non_null(strstr(buf_str(&errors), "error: bad 1\n"));
	assert_null(strstr(buf_str(&errors), "two"));
	what_is_logged_with("info", &info);
	assert_non_null(strstr(buf_str(&info), "error: bad 1\n"));
	assert_non_null(strstr(buf_str(&info), "info: two\\x0alines \\x1b[0m\n"));
	assert_null(strstr(buf_str(&info), "detail"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_silent_unless_asked),
		cmocka_unit_test(each_level_shows_itself_and_worse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
