/* Claims about time. */
#include "base/clock.h"

#include "../cmocka_base.h"

static void times_survive_writing_and_reading(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{INT64_C(951782400000), "2000-02-29T00:00:00Z"},
		{INT64_C(1795340467000), "2026-11-22T09:41:07Z"},
		{INT64_C(4107542399000), "2100-02-28T23:59:59Z"},
		{INT64_C(253402300799000), "9999-12-31T23:59:59Z"},
	};
	char text[CLOCK_ISO_LEN + 1];
	int64_t ms;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		clock_format_iso(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
		assert_true(clock_parse_iso(slice_of(cases[i].text), &ms));
		assert_int_equal(ms, cases[i].ms);
	}
}

static void every_day_of_four_centuries_agrees_with_gmtime(void **state)
{
	char text[CLOCK_ISO_LEN + 1];
	(void)state;
	for (int64_t day = 0; day < 146097; day += 1) {
		int64_t ms = -1;
		clock_format_iso(day * 86400000 + 86399000, text);
		assert_true(clock_parse_iso(slice_of(text), &ms));
		assert_int_equal(ms, day * 86400000 + 86399000);
	}
}

static void times_that_are_none_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"2026-11-22",
		"2026-11-22T09:41:07",
		"2026-11-22 09:41:07Z",
		"2026-13-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z",
		"2026-01-00T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T23:60:00Z",
		"2026-01-01T23:59:60Z",
		"1969-12-31T23:59:59Z",
		"2026-01-01T00:00:00z",
		"2026-01-01T00:00:00Z ",
		"-026-01-01T00:00:00Z",
	};
	int64_t ms;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_false(clock_parse_iso(slice_of(cases[i]), &ms));
}

static void ages_and_durations_are_for_people(void **state)
{
	static const struct {
		int64_t age_s;
		const char *text;
	} ages[] = {{-5, "just now"},
		    {3, "just now"},
		    {240, "4 min ago"},
		    {3 * 3600, "3 h ago"},
		    {49 * 3600, "2 days ago"}};
	static const struct {
		int64_t ms;
		const char *text;
	} durations[] = {{-1, "0.0 s"}, {420, "0.4 s"}, {12999, "12 s"}, {200000, "3 min 20 s"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
		AUTO(buf_free) struct buf buf = BUF_INIT(64);
		clock_put_age(&buf, 1000000000, 1000000000 + ages[i].age_s * 1000);
		assert_string_equal(buf_str(&buf), ages[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		AUTO(buf_free) struct buf buf = BUF_INIT(64);
		clock_put_duration(&buf, durations[i].ms);
		assert_string_equal(buf_str(&buf), durations[i].text);
	}
}

static void the_monotonic_clock_never_goes_back(void **state)
{
	int64_t last = clock_mono_us();
	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_mono_us();
		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_wall_ms() > INT64_C(1600000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_survive_writing_and_reading),
		cmocka_unit_test(every_day_of_four_centuries_agrees_with_gmtime),
		cmocka_unit_test(times_that_are_none_are_refused),
		cmocka_unit_test(ages_and_durations_are_for_people),
		cmocka_unit_test(the_monotonic_clock_never_goes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
