/* Claims about text in columns. */
#include "cli/text.h"

#include "../cmocka_base.h"

static void width_is_counted_in_columns_not_bytes(void **state)
{
	static const struct {
		const char *text;
		size_t width;
	} cases[] = {
		{"", 0},
		{"shop", 4},
		{"Größe", 5},
		{"東京", 4},
		{"e\xCC\x81", 1},
		{"…", 1},
		{"\xF0\x9F\x98\x80", 2},
		{"\xFF\xFE", 2},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(text_width(slice_of(cases[i].text)), cases[i].width);
	/* An escape sequence becomes four columns a byte that is not printed. */
	assert_int_equal(text_visible_width("\x1b[1m"), 7);
}

static void what_is_too_wide_is_cut_and_says_so(void **state)
{
	static const struct {
		const char *text;
		size_t width;
		const char *cut, *middle;
	} cases[] = {
		{"app/Pay.php", 11, "app/Pay.php", "app/Pay.php"},
		{"app/Http/Pay.php", 10, "app/Http/…", "app…ay.php"},
		{"東京東京", 5, "東京…", "東…京"},
		{"ab", 1, "…", "…"},
		{"ab", 0, "", ""},
		{"", 4, "", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf cut = BUF_INIT(100), middle = BUF_INIT(100);
		size_t cut_width = text_put_cut(&cut, cases[i].text, cases[i].width);
		size_t middle_width = text_put_middle(&middle, cases[i].text, cases[i].width);
		assert_string_equal(buf_str(&cut), cases[i].cut);
		assert_string_equal(buf_str(&middle), cases[i].middle);
		assert_int_equal(cut_width, text_width(buf_slice(&cut)));
		assert_int_equal(middle_width, text_width(buf_slice(&middle)));
	}
}

static void words_are_wrapped_and_long_ones_broken(void **state)
{
	static const struct {
		const char *text;
		size_t width, indent;
		const char *expected;
	} cases[] = {
		{"one two three", 0, 2, "one two three"},
		{"one two three", 7, 2, "one two\n  three"},
		{"one  two", 20, 0, "one two"},
		{"abcdefgh", 3, 1, "abc\n def\n gh"},
		{"a\nb", 9, 3, "a\n   b"},
		{"a\r\n\x1b[2J", 20, 0, "a\\x0d\n\\x1b[2J"},
		{"", 5, 2, ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(200);
		text_put_wrapped(&out, cases[i].text, cases[i].width, cases[i].indent);
		assert_string_equal(buf_str(&out), cases[i].expected);
	}
}

static void counts_have_commas(void **state)
{
	static const struct {
		int64_t count;
		const char *expected;
	} cases[] = {{0, "0"}, {999, "999"}, {1204, "1,204"}, {1234567, "1,234,567"}, {-1204, "-1,204"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(40);
		text_put_count(&out, cases[i].count);
		assert_string_equal(buf_str(&out), cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(width_is_counted_in_columns_not_bytes),
		cmocka_unit_test(what_is_too_wide_is_cut_and_says_so),
		cmocka_unit_test(words_are_wrapped_and_long_ones_broken),
		cmocka_unit_test(counts_have_commas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
