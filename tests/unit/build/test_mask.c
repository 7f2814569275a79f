/* Secrets are taken out of a stream wherever it is cut, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "build/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int collect(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	(void)err;
	buf_put_slice(out, bytes);
	return 0;
}

/* The text in pieces of `size` bytes. */
static void run(const char *const *secrets, const char *text, size_t size, struct buf *out)
{
	AUTO(mask_free) struct mask mask = {.sink = collect, .context = out};
	struct err err = ERR_INIT;
	struct slice rest = slice_of(text);

	for (; *secrets; secrets++)
		mask_add(&mask, *secrets);
	while (rest.len) {
		size_t len = MIN(size, rest.len);
		assert_int_equal(mask_put(&mask, slice_make(rest.ptr, len), &err), 0);
		rest = slice_skip(rest, len);
	}
	assert_int_equal(mask_flush(&mask, &err), 0);
}

static void masks_at_every_cut(void **state)
{
	static const struct {
		const char *secrets[4], *text, *masked;
	} rows[] = {
		{{"s3cret-value"}, "a s3cret-value b\n", "a *** b\n"},
		{{"s3cret-value"}, "s3cret-valu s3cret-values", "s3cret-valu ***s"},
		{{"aaaa"}, "aaaaaaaaa", "******a"},
		{{"abcd", "abcdefgh"}, "abcdefgh abcdef", "*** ***ef"},
		{{"xxabcdyy", "abcd"}, "xxabcdzz xxabcdyy", "xx***zz ***"},
		/* base64 of the value, of "user:" and of "x:" before it; percent; one line of many */
		{{"s3cret-value"}, "czNjcmV0LXZhbHVl", "***"},
		{{"s3cret-value"}, "Basic dXNlcjpzM2NyZXQtdmFsdWU=", "Basic dXNlcjp***U="},
		{{"s3cret-value"}, "x:=eDpzM2NyZXQtdmFsdWU=", "x:=eDp***U="},
		{{"pa ss/word"}, "?t=pa%20ss%2Fword&", "?t=***&"},
		{{"first line\nsecond line\n"}, "1 first line\n2 second line", "1 ***\n2 ***"},
		{{"abc"}, "abc", "abc"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t size = 1; size <= strlen(rows[i].text); size++) {
			AUTO(buf_free) struct buf out = BUF_INIT(10000);
			run(rows[i].secrets, rows[i].text, size, &out);
			if (strcmp(buf_str(&out), rows[i].masked) != 0)
				fail_msg("row %zu in pieces of %zu: `%s`, not `%s`", i, size, buf_str(&out),
					 rows[i].masked);
		}
}

static void holds_back_no_more_than_needed(void **state)
{
	AUTO(buf_free) struct buf out = BUF_INIT(10000);
	AUTO(mask_free) struct mask mask = {.sink = collect, .context = &out};
	struct err err = ERR_INIT;

	(void)state;
	mask_add(&mask, "s3cret-value");
	assert_int_equal(mask_put(&mask, slice_of("50 % of s3"), &err), 0);
	assert_string_equal(buf_str(&out), "50 % of ");
	assert_int_equal(mask_put(&mask, slice_of("?"), &err), 0);
	assert_string_equal(buf_str(&out), "50 % of s3?");
}

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
		cmocka_unit_test(masks_at_every_cut),
		cmocka_unit_test(holds_back_no_more_than_needed),
		cmocka_unit_test(log_keeps_both_ends),
	};
	return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
