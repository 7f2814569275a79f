/* Claims about random bytes and hexadecimal. */
#include "base/random.h"

#include "../cmocka_base.h"

static void random_bytes_fill_all_they_are_asked_for(void **state)
{
	uint8_t a[1000] = {0}, b[1000] = {0};
	(void)state;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	/* 100 zero bytes in a row happen once in 2^800. */
	static const uint8_t zeros[100];
	for (size_t at = 0; at < sizeof(a); at += 100)
		assert_memory_not_equal(a + at, zeros, 100);
	a[0] = 7;
	random_bytes(a, 0);
	assert_int_equal(a[0], 7);
}

static void hexadecimal_goes_both_ways(void **state)
{
	char text[9];
	uint8_t bytes[4];
	(void)state;
	hex_encode("\x00\x7f\xa0\xff", 4, text);
	assert_string_equal(text, "007fa0ff");
	assert_true(hex_decode(slice_of(text), bytes, 4));
	assert_memory_equal(bytes, "\x00\x7f\xa0\xff", 4);
	assert_false(hex_decode(SLICE("007FA0FF"), bytes, 4));
	assert_false(hex_decode(SLICE("007fa0f"), bytes, 4));
	assert_false(hex_decode(SLICE("007fa0ff0"), bytes, 4));
	assert_false(hex_decode(SLICE("007fa0fg"), bytes, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bytes_fill_all_they_are_asked_for),
		cmocka_unit_test(hexadecimal_goes_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
