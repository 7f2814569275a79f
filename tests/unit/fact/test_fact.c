/* Claims about keys and values. */
#include "fact/fact.h"

#include "../cmocka_base.h"

static bool is(struct slice s, const char *text)
{
	return slice_is(s, text);
}

static void a_key_has_three_parts(void **state)
{
	struct slice key = SLICE("file/app/Pay.php/content");
	(void)state;
	assert_true(is(fact_dimension(key), "file"));
	assert_true(is(fact_subject(key), "app/Pay.php"));
	assert_true(is(fact_attribute(key), "content"));
	assert_true(is(fact_subject(SLICE("env/APP_URL")), "APP_URL"));
	assert_true(is(fact_attribute(SLICE("env/APP_URL")), ""));
	assert_true(is(fact_subject(SLICE("env")), ""));
	assert_true(is(fact_subject(SLICE("net/firewall/")), "firewall"));
}

static void wrong_facts_are_refused(void **state)
{
	char nul[] = "os/a\0b";
	struct fact facts[] = {
		{.key = SLICE(""), .kind = FACT_TEXT},
		{.key = SLICE("os"), .kind = FACT_TEXT},
		{.key = SLICE("/os"), .kind = FACT_TEXT},
		{.key = SLICE("OS/x"), .kind = FACT_TEXT},
		{.key = SLICE("os/x/"), .kind = FACT_TEXT},
		{.key = SLICE("os/x"), .kind = (enum fact_kind)9},
		{.key = SLICE("os/x"), .kind = FACT_DIGEST, .value = SLICE("short")},
		{.key = SLICE("os/x"), .kind = FACT_NUMBER, .value = SLICE("1e5")},
		{.key = SLICE("os/x"), .kind = FACT_NUMBER, .value = SLICE("12 ")},
		{.key = SLICE("os/x"), .kind = FACT_SET, .value = SLICE("b\0a\0")},
		{.key = SLICE("os/x"), .kind = FACT_SET, .value = SLICE("a\0b")},
		{.key = slice_make(nul, sizeof(nul) - 1), .kind = FACT_TEXT},
	};
	struct fact good = {
		.key = SLICE("net/firewall/"), .kind = FACT_NOT_CHECKED, .value = SLICE("needs root")};
	struct err err = ERR_INIT;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		err_clear(&err);
		assert_int_equal(fact_check(&facts[i], &err), -1);
		assert_int_equal(err.code, ERR_USER);
	}
	assert_int_equal(fact_check(&good, &err), 0);
}

static void numbers_know_their_units(void **state)
{
	struct slice unit;
	double a, b;
	(void)state;
	assert_true(fact_number(SLICE("1 GB"), &a, &unit) && is(unit, "B"));
	assert_true(fact_number(SLICE("1024 MB"), &b, &unit));
	assert_true(a == b);
	assert_true(fact_number(SLICE("2 min"), &a, &unit) && a == 120000 && is(unit, "ms"));
	assert_true(fact_number(SLICE("-12.5"), &a, &unit) && a == -12.5 && unit.len == 0);
	assert_true(fact_number(SLICE("4 cores"), &a, &unit) && a == 4 && is(unit, "cores"));
	assert_false(fact_number(SLICE("."), &a, &unit));
	assert_false(fact_number(SLICE("1."), &a, &unit));
	assert_false(fact_number(SLICE("inf"), &a, &unit));
	assert_false(fact_number(SLICE(""), &a, &unit));
}

static void versions_sort_as_packages_do(void **state)
{
	static const char *const rising[] = {"1.0~rc1", "1.0",	  "1.0+deb1",	     "1.2",
					     "1.10",	"2.36-9", "2.36-9+deb12u10", "1:0.1"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rising); i++)
		for (size_t k = 0; k < ARRAY_LEN(rising); k++) {
			int order = fact_version_compare(slice_of(rising[i]), slice_of(rising[k]));
			if ((i < k) != (order < 0) || (i == k) != (order == 0))
				fail_msg("%s against %s: %d", rising[i], rising[k], order);
		}
	assert_true(fact_version_same(SLICE("8.3.6"), SLICE("8.3.12"), 2));
	assert_false(fact_version_same(SLICE("8.3.6"), SLICE("8.2.6"), 2));
	assert_true(fact_version_same(SLICE("v18.4.1"), SLICE("18.20"), 1));
	assert_false(fact_version_same(SLICE("none"), SLICE("none"), 1));
}

static void sets_have_one_form(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(100);
	const struct slice mixed[] = {SLICE("web"), SLICE("db"), SLICE("web"), SLICE("")};
	struct fact fact = {
		.key = SLICE("os/x"), .kind = FACT_SET, .value = fact_set_value(&arena, mixed, 4)};
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(fact_check(&fact, &err), 0);
	assert_true(slice_equal(fact.value, SLICE("\0db\0web\0")));
	fact.value = fact_set_value(&arena, mixed, 3);
	fact_put_value(&text, &fact);
	assert_string_equal(buf_str(&text), "db, web");
	fact.value = fact_set_value(&arena, mixed, 0);
	assert_int_equal(fact_check(&fact, &err), 0);
}

static void secrets_are_never_shown(void **state)
{
	AUTO(buf_free) struct buf text = BUF_INIT(100);
	struct fact fact = {.key = SLICE("env/X/value"),
			    .kind = FACT_HMAC,
			    .value = SLICE("0123456789abcdef0123456789abcdef")};
	(void)state;
	fact_put_value(&text, &fact);
	assert_string_equal(buf_str(&text), "present");
	buf_clear(&text);
	fact.kind = FACT_TEXT;
	fact.value = SLICE("\033[31mred");
	fact_put_value(&text, &fact);
	assert_null(strchr(buf_str(&text), '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_three_parts),    cmocka_unit_test(wrong_facts_are_refused),
		cmocka_unit_test(numbers_know_their_units), cmocka_unit_test(versions_sort_as_packages_do),
		cmocka_unit_test(sets_have_one_form),	    cmocka_unit_test(secrets_are_never_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
