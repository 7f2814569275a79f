/* A temporary folder with real git repositories, for the tests of source and
 * build: shell commands that must succeed, and their output. */
#pragma once

#include "base/buf.h"
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char test_dir[64];

__attribute__((unused)) static int sh_status(const char *format, ...)
{
	char *command, *full;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	assert_true(asprintf(&full, "set -e; cd '%s'; %s", test_dir, command) > 0);
	int status = system(full);
	free(command);
	free(full);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define sh(...) assert_int_equal(sh_status(__VA_ARGS__), 0)

/* First line of what a command prints; overwritten by the next call. */
__attribute__((unused)) static const char *sh_line(const char *format, ...)
{
	static char line[4096];
	char *command, *full;
	va_list args;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	assert_true(asprintf(&full, "cd '%s'; %s", test_dir, command) > 0);
	FILE *pipe = popen(full, "r");
	assert_non_null(pipe);
	if (!fgets(line, sizeof(line), pipe))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	pclose(pipe);
	free(command);
	free(full);
	return line;
}

__attribute__((unused)) static const char *test_path(const char *name)
{
	static char paths[8][512];
	static int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", test_dir, name);
	return path;
}

__attribute__((unused)) static bool test_file_is(const char *name, const char *bytes, size_t len)
{
	AUTO(buf_free) struct buf content = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	if (file_read_at(AT_FDCWD, test_path(name), &content, &err)) {
		print_message("%s\n", err.text);
		return false;
	}
	return content.len == len && memcmp(buf_str(&content), bytes, len) == 0;
}

__attribute__((unused)) static bool test_exists(const char *name)
{
	struct stat info;

	return lstat(test_path(name), &info) == 0;
}

/* Each test has a folder of its own, and git that knows nothing of this machine. */
__attribute__((unused)) static int test_setup(void **state)
{
	(void)state;
	snprintf(test_dir, sizeof(test_dir), "/tmp/lockstep-test-XXXXXX");
	if (!mkdtemp(test_dir))
		return -1;
	setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	setenv("GIT_AUTHOR_NAME", "Ada Test", 1);
	setenv("GIT_AUTHOR_EMAIL", "ada@example.org", 1);
	setenv("GIT_COMMITTER_NAME", "Ada Test", 1);
	setenv("GIT_COMMITTER_EMAIL", "ada@example.org", 1);
	setenv("GIT_AUTHOR_DATE", "1700000000 +0000", 1);
	setenv("GIT_COMMITTER_DATE", "1700000000 +0000", 1);
	return 0;
}

__attribute__((unused)) static int test_teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	return tree_remove_at(AT_FDCWD, test_dir, &err);
}

#define assert_done(call, err)                                                                               \
	do {                                                                                                 \
		if (call) {                                                                                  \
			print_error("%s\n%s\n", (err)->text, (err)->hint);                                   \
			fail_msg("%s failed", #call);                                                        \
		}                                                                                            \
	} while (0)

#define assert_says(err, part)                                                                               \
	do {                                                                                                 \
		if (!strstr((err)->text, part))                                                              \
			fail_msg("`%s` does not say `%s`", (err)->text, part);                               \
	} while (0)
