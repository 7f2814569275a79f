/* Claims about reading bytes. */
#include "base/slice.h"

#include "../cmocka_base.h"

#include <fnmatch.h>

static void numbers_are_read_whole_or_refused(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t value;
	} cases[] = {
		{"0", true, 0},
		{"42", true, 42},
		{"18446744073709551615", true, UINT64_MAX},
		{"18446744073709551616", false, 0},
		{"99999999999999999999999", false, 0},
		{"", false, 0},
		{"-1", false, 0},
		{"+1", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"0x10", false, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t value = 7;
		assert_int_equal(slice_to_u64(slice_of(cases[i].text), &value), cases[i].ok);
		assert_int_equal(value, cases[i].ok ? cases[i].value : 7);
	}
}

static void signed_numbers_reach_both_ends(void **state)
{
	int64_t value;
	(void)state;
	assert_true(slice_to_i64(SLICE("-9223372036854775808"), &value) && value == INT64_MIN);
	assert_true(slice_to_i64(SLICE("9223372036854775807"), &value) && value == INT64_MAX);
	assert_true(slice_to_i64(SLICE("-0"), &value) && value == 0);
	assert_false(slice_to_i64(SLICE("9223372036854775808"), &value));
	assert_false(slice_to_i64(SLICE("-9223372036854775809"), &value));
	assert_false(slice_to_i64(SLICE("-"), &value));
	assert_false(slice_to_i64(SLICE("--1"), &value));
	assert_false(slice_to_i64((struct slice){0}, &value));
}

static void durations_need_their_unit(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
		{"30s", 30000}, {"5m", 300000}, {"2h", 7200000}, {"7d", 604800000},
		{"250ms", 250}, {"0", 0},	{"5", -1},	 {"s", -1},
		{"-5s", -1},	{"5 s", -1},	{"5S", -1},	 {"99999999999999999d", -1},
		{"1h30m", -1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t ms = -1;
		assert_int_equal(slice_to_duration_ms(slice_of(cases[i].text), &ms), cases[i].ms >= 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void sizes_are_powers_of_1024(void **state)
{
	uint64_t value;
	(void)state;
	assert_true(slice_to_size(SLICE("512"), &value) && value == 512);
	assert_true(slice_to_size(SLICE("64k"), &value) && value == 65536);
	assert_true(slice_to_size(SLICE("10M"), &value) && value == 10485760);
	assert_true(slice_to_size(SLICE("2G"), &value) && value == UINT64_C(2147483648));
	assert_false(slice_to_size(SLICE("2T"), &value));
	assert_false(slice_to_size(SLICE("99999999999G"), &value));
	assert_false(slice_to_size(SLICE("k"), &value));
}

static void cutting_visits_every_part(void **state)
{
	struct slice rest = SLICE("a,,b,");
	const char *parts[] = {"a", "", "b", ""};
	size_t count = 0;
	(void)state;
	while (rest.ptr) {
		struct slice part = slice_cut(&rest, ',');
		assert_true(count < ARRAY_LEN(parts));
		assert_true(slice_is(part, parts[count++]));
	}
	assert_int_equal(count, ARRAY_LEN(parts));
}

static void order_is_that_of_bytes(void **state)
{
	(void)state;
	assert_true(slice_compare(SLICE("a"), SLICE("b")) < 0);
	assert_true(slice_compare(SLICE("a"), SLICE("a\x01")) < 0);
	assert_true(slice_compare(SLICE("a.b"), SLICE("a/b")) < 0);
	assert_true(slice_compare(SLICE("\xC3\xA9"), SLICE("z")) > 0);
	assert_true(slice_compare((struct slice){0}, SLICE("")) == 0);
	assert_true(slice_is(slice_trim(SLICE(" \t x y\r\n")), "x y"));
	assert_int_equal(slice_trim(SLICE(" \n")).len, 0);
}

static void utf8_is_strict(void **state)
{
	static const char *const good[] = {
		"", "abc", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x9A\x80", "\xF4\x8F\xBF\xBF"};
	static const char *const bad[] = {"\x80",
					  "\xC0\xAF",
					  "\xC3",
					  "\xE0\x80\x80",
					  "\xED\xA0\x80",
					  "\xF0\x80\x80\x80",
					  "\xF4\x90\x80\x80",
					  "\xF8\x88\x80\x80",
					  "a\xE2\x82"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(slice_is_utf8(slice_of(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(slice_is_utf8(slice_of(bad[i])));
}

static void patterns_match_as_fnmatch_does(void **state)
{
	static const char *const patterns[] = {
		"",
		"*",
		"**",
		"?",
		"a",
		"v*",
		"v*.*.*",
		"v[0-9]*",
		"[!a-c]x",
		"[^a-c]x",
		"[]a]",
		"[]-a]",
		"[a-]",
		"[",
		"[a",
		"a[",
		"\\*",
		"a\\?b",
		"*/*",
		"a*b*c*",
		"*ab",
		"[a\\]]",
		"[[:digit:]]",
		"[[:alpha:]_]*",
		"[[:space:]]",
		"[![:upper:]]",
		"[z-a]",
		"rel/*-rc?",
		"[\\a-c]",
		"*[0-9]",
		"a?c",
		"[[:digit:]",
	};
	static const char *const texts[] = {
		"",   "a",  "b",   "ab",	 "v1",	"v1.2.3", "v1.2",   "dx",  "ax", "]", "[",
		"[a", "a[", "*",   "a?b",	 "a/b", "abc",	  "aabbcc", "5",   "_x", "A", "-",
		"\\", " ",  "xab", "rel/v1-rc2", "a1",	"a5b9",	  "abXcab", "5[:", "z",
	};
	(void)state;
	for (size_t p = 0; p < ARRAY_LEN(patterns); p++)
		for (size_t t = 0; t < ARRAY_LEN(texts); t++)
			if (slice_glob_match(slice_of(patterns[p]), slice_of(texts[t])) !=
			    (fnmatch(patterns[p], texts[t], 0) == 0))
				fail_msg("pattern \"%s\", text \"%s\"", patterns[p], texts[t]);
}

static void many_stars_stay_fast(void **state)
{
	char text[4096], pattern[64];
	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i + 1 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 1] = 'b';
	/* Exponential backtracking would not end within the time limit of the test. */
	assert_false(slice_glob_match(slice_make(pattern, sizeof(pattern)), slice_make(text, sizeof(text))));
}

static void edit_distance_counts_swaps_as_one(void **state)
{
	(void)state;
	assert_int_equal(slice_edit_distance(SLICE("deploy"), SLICE("deploy")), 0);
	assert_int_equal(slice_edit_distance(SLICE("depoly"), SLICE("deploy")), 1);
	assert_int_equal(slice_edit_distance(SLICE("servrs"), SLICE("servers")), 1);
	assert_int_equal(slice_edit_distance(SLICE(""), SLICE("abc")), 3);
	assert_int_equal(slice_edit_distance(SLICE("kitten"), SLICE("sitting")), 3);
	char longer[100];
	memset(longer, 'x', sizeof(longer));
	assert_int_equal(slice_edit_distance(slice_make(longer, 100), SLICE("")), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_whole_or_refused),
		cmocka_unit_test(signed_numbers_reach_both_ends),
		cmocka_unit_test(durations_need_their_unit),
		cmocka_unit_test(sizes_are_powers_of_1024),
		cmocka_unit_test(cutting_visits_every_part),
		cmocka_unit_test(order_is_that_of_bytes),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(patterns_match_as_fnmatch_does),
		cmocka_unit_test(many_stars_stay_fast),
		cmocka_unit_test(edit_distance_counts_swaps_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
