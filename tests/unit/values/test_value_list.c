/* Plain values and what stands for their values in texts. */
#include "base/buf.h"
#include "values/interpolate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct value_list build(const struct value *values, size_t count)
{
	struct value_list set;
	struct err err = ERR_INIT;
	if (value_list_build(&arena, values, count, &set, &err))
		fail_msg("%s", err.text);
	return set;
}

static void values_are_found_by_name(void **state)
{
	(void)state;
	const struct value values[] = {{"B", "2"}, {"A", "1"}};
	struct value_list list = build(values, 2);
	assert_string_equal(list.items[0].name, "A");
	assert_string_equal(value_list_get(&list, SLICE("B")), "2");
	assert_null(value_list_get(&list, SLICE("C")));
}

static void bad_values_are_refused(void **state)
{
	(void)state;
	struct value_list set;
	struct err err = ERR_INIT;
	const struct value twice[] = {{"A", "1"}, {"A", "1"}}, name[] = {{"1A", ""}};
	assert_int_equal(value_list_build(&arena, twice, 2, &set, &err), -1);
	assert_string_equal(err.text, "the value `A` stands there twice");
	assert_int_equal(value_list_build(&arena, name, 1, &set, &err), -1);
	assert_string_equal(err.text, "`1A` cannot be the name of a value");
	char *long_text = arena_alloc(&arena, VALUE_MAX + 2);
	memset(long_text, 'x', VALUE_MAX + 1);
	const struct value longer[] = {{"A", long_text}};
	assert_int_equal(value_list_build(&arena, longer, 1, &set, &err), -1);
	assert_string_equal(err.text, "the value of `A` is longer than 131072 bytes");
}

static void names_stand_for_values(void **state)
{
	static const struct {
		const char *text, *expected, *error, *hint;
	} cases[] = {
		{"", "", NULL, NULL},
		{"plain", "plain", NULL, NULL},
		{"${URL}/up", "https://x/up", NULL, NULL},
		{"${A}${A}-${EMPTY}-", "11--", NULL, NULL},
		{"$${A} $A $$ $", "${A} $A $$ $", NULL, NULL},
		{"$$${A}", "$${A}", NULL, NULL},
		{"${TRICK}", "${A}", NULL, NULL}, /* not looked at again */
		{"${URI}", NULL, "`${URI}`: there is no value of this name", "did you mean `URL`?"},
		{"${NOTHING_LIKE_IT}", NULL, "`${NOTHING_LIKE_IT}`: there is no value of this name", ""},
		{"a ${A", NULL, "a `${` without its `}`", ""},
		{"${}", NULL, "`${}`: not the name of a value",
		 "write $${ for a `${` that is meant as it stands"},
		{"${A:-x}", NULL, "`${A:-x}`: not the name of a value",
		 "write $${ for a `${` that is meant as it stands"},
	};
	const struct value values[] = {{"URL", "https://x"}, {"A", "1"}, {"EMPTY", ""}, {"TRICK", "${A}"}};
	(void)state;
	struct value_list set = build(values, ARRAY_LEN(values));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *out = NULL;
		struct err err = ERR_INIT;
		int status = interpolate(&arena, cases[i].text, &set, &out, &err);
		assert_int_equal(status, cases[i].expected ? 0 : -1);
		if (cases[i].expected) {
			assert_string_equal(out, cases[i].expected);
		} else {
			assert_string_equal(err.text, cases[i].error);
			assert_string_equal(err.hint, cases[i].hint);
		}
	}
}

static void the_result_has_a_limit(void **state)
{
	(void)state;
	char *text = arena_alloc(&arena, 4 * 1000 + 1), *large = arena_alloc(&arena, 1001);
	memset(large, 'x', 1000);
	for (size_t i = 0; i < 1000; i++)
		memcpy(text + 4 * i, "${A}", 4);
	const struct value values[] = {{"A", large}};
	struct value_list set = build(values, 1);
	const char *out = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(interpolate(&arena, text, &set, &out, &err), -1);
}

static int collect(void *context, struct slice name, struct err *err)
{
	(void)err;
	struct buf *out = context;
	buf_printf(out, "%.*s ", SLICE_ARG(name));
	return 0;
}

static void used_names_are_listed(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf out = BUF_INIT(100);
	struct err err = ERR_INIT;
	assert_int_equal(interpolate_each("${B} $${C} ${A}${B}", collect, &out, &err), 0);
	assert_string_equal(buf_str(&out), "B A B ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(values_are_found_by_name), TEST(bad_values_are_refused), TEST(names_stand_for_values),
		TEST(the_result_has_a_limit),	TEST(used_names_are_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
