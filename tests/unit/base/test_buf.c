/* Claims about bounded buffers. */
#include "base/buf.h"

#include "../cmocka_base.h"

static void what_does_not_fit_is_left_out_whole(void **state)
{
	AUTO(buf_free) struct buf buf = BUF_INIT(5);
	struct err err = ERR_INIT;
	(void)state;
	buf_puts(&buf, "abcde");
	assert_int_equal(buf_check(&buf, "a test", &err), 0);
	buf_putc(&buf, 'f');
	assert_string_equal(buf_str(&buf), "abcde");
	assert_int_equal(buf_check(&buf, "a test", &err), -1);
	assert_string_equal(err.text, "a test is larger than the limit of 5 bytes");
	buf_clear(&buf);
	buf_printf(&buf, "%d", 12345);
	assert_string_equal(buf_str(&buf), "12345");
	buf_consume(&buf, 3);
	buf_puts(&buf, "678");
	assert_string_equal(buf_str(&buf), "45678");
	assert_false(buf.overflow);
}

static void after_an_overflow_nothing_more_is_taken(void **state)
{
	AUTO(buf_free) struct buf buf = BUF_INIT(4);
	(void)state;
	buf_puts(&buf, "abcdef");
	buf_puts(&buf, "x");
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf_str(&buf), "");
	assert_true(buf.overflow);
}

static void numbers_are_little_endian(void **state)
{
	AUTO(buf_free) struct buf buf = BUF_INIT(64);
	(void)state;
	buf_put_u32(&buf, 0x01020304);
	buf_put_u64(&buf, UINT64_C(0x0102030405060708));
	assert_memory_equal(buf.ptr, "\4\3\2\1\10\7\6\5\4\3\2\1", 12);
}

static void growing_keeps_every_byte(void **state)
{
	AUTO(buf_free) struct buf buf = BUF_INIT(MIB(1));
	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		buf_putc(&buf, (char)(i % 251));
	assert_int_equal(buf.len, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((unsigned char)buf.ptr[i], i % 251);
}

static void printed_names_cannot_forge(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain caf\xC3\xA9", "plain caf\xC3\xA9"},
		{"line\nbreak", "line\\x0abreak"},
		{"\x1b[31mred", "\\x1b[31mred"},
		{"say \"hi\" \\", "say \\\"hi\\\" \\\\"},
		{"\x7f", "\\x7f"},
		{"c1 \xC2\x9B", "c1 \\xc2\\x9b"},
		{"bad \xFF ok \xC3\xA9", "bad \\xff ok \xC3\xA9"},
		{"cut \xE2\x82", "cut \\xe2\\x82"},
		{"turn \xE2\x80\xAE", "turn \\xe2\\x80\\xae"},
		{"euro \xE2\x82\xAC", "euro \xE2\x82\xAC"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf buf = BUF_INIT(256);
		buf_put_printable(&buf, slice_of(cases[i].in));
		assert_string_equal(buf_str(&buf), cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(after_an_overflow_nothing_more_is_taken),
		cmocka_unit_test(numbers_are_little_endian),
		cmocka_unit_test(growing_keeps_every_byte),
		cmocka_unit_test(printed_names_cannot_forge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
