/* The log of a build keeps its beginning and its end. */
#include "../cmocka_base.h"

#include "base/fd.h"
#include "build/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void log_keeps_both_ends(void **state)
{
	AUTO(log_free) struct build_log log = {.fd = -1};
	AUTO(buf_free) struct buf lines = BUF_INIT(1000);
	AUTO(buf_free) struct buf content = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	char line[32];

	(void)state;
	assert_int_equal(log_open(&log, "/tmp", 1000, &err), 0);
	for (int i = 0; i < 10000; i++) {
		int len = snprintf(line, sizeof(line), "line %d\n", i);
		assert_int_equal(log_put(&log, slice_make(line, (size_t)len), &err), 0);
	}
	assert_int_equal(log_put(&log, slice_of("10 %\r20 %\r30 %\n\033[31mlast"), &err), 0);
	log_last_lines(&log, 3, &lines);
	assert_string_equal(buf_str(&lines), "\n  line 9999\n  30 %\n  \\x1b[31mlast");
	assert_int_equal(log_close(&log, &err), 0);
	assert_int_equal(file_read_at(AT_FDCWD, log.path, &content, &err), 0);
	unlink(log.path);
	assert_true(content.len < 1000 + BUILD_TAIL_MAX + 200);
	assert_true(strncmp(buf_str(&content), "line 0\nline 1\n", 14) == 0);
	assert_non_null(strstr(buf_str(&content), "bytes left out"));
	assert_true(slice_ends_with(buf_slice(&content), "31mlast"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_keeps_both_ends),
	};
	return cmocka_run_group_tests_name("build_log", tests, NULL, NULL);
}
