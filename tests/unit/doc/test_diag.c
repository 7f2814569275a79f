/* How mistakes are collected and shown. */
#include "doc/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static struct diags *diags;
static struct doc_file file;

static int setup(void **state)
{
	(void)state;
	diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	file = (struct doc_file){"f.yml", SLICE("a: 1\n\tb: \xc3\xa9\x1b[31mx\n")};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct origin at(uint32_t line, uint32_t column)
{
	return (struct origin){&file, line, column};
}

static void assert_printed(const char *expected)
{
	AUTO(buf_free) struct buf out = BUF_INIT(KIB(64));
	diags_print(diags, &out);
	assert_string_equal(buf_str(&out), expected);
}

static void the_line_is_shown_with_a_caret(void **state)
{
	(void)state;
	diags_error(diags, at(2, 5), "wrong");
	diags_hint(diags, "did you mean `%s`?", "right");
	assert_printed("f.yml:2:5: wrong\n"
		       "     2 |  b: \xc3\xa9?[31mx\n"
		       "       |     ^\n"
		       "  did you mean `right`?\n");
}

static void a_line_with_a_secret_is_never_shown(void **state)
{
	(void)state;
	diags_error(diags, at(2, 2), "about something else on that line");
	diags_error(diags, at(1, 1), "on another");
	diags_error(diags, at(2, 5), "a secret");
	diags_hide_line(diags, at(2, 5));
	assert_printed("f.yml:2:2: about something else on that line\n"
		       "f.yml:1:1: on another\n"
		       "     1 | a: 1\n"
		       "       | ^\n"
		       "f.yml:2:5: a secret\n");
	for (int i = 0; i < DIAGS_HIDDEN_MAX; i++)
		diags_hide_line(diags, at(9, 1));
	AUTO(buf_free) struct buf out = BUF_INIT(KIB(64));
	diags_print(diags, &out);
	assert_null(strstr(buf_str(&out), "|"));
}

static void foreign_text_cannot_forge_a_terminal(void **state)
{
	(void)state;
	diags_error(diags, (struct origin){0}, "bad \x1b[31m and \n line %s", "\xff");
	assert_printed("bad \\x1b[31m and \\x0a line \\xff\n");
}

static void order_is_by_position(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	diags_error(diags, (struct origin){0}, "nowhere");
	diags_error(diags, at(2, 1), "third");
	diags_warning(diags, at(1, 4), "second");
	diags_error(diags, at(1, 1), "first");
	assert_int_equal(diags_check(diags, "f.yml", &err), -1);
	assert_string_equal(diags->items[0].text, "first");
	assert_string_equal(diags->items[1].text, "second");
	assert_string_equal(diags->items[2].text, "third");
	assert_string_equal(diags->items[3].text, "nowhere");
	assert_int_equal(err.code, ERR_USER);
	assert_string_equal(err.text,
			    "f.yml is refused: 3 mistakes\nf.yml:1:1: first\nf.yml:2:1: third\nnowhere");
}

static void warnings_alone_refuse_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	diags_warning(diags, at(1, 1), "careful");
	assert_int_equal(diags_check(diags, "f.yml", &err), 0);
	assert_printed("f.yml:1:1: warning: careful\n     1 | a: 1\n       | ^\n");
}

static void the_same_mistake_is_told_once(void **state)
{
	(void)state;
	diags_error(diags, at(1, 1), "again");
	diags_hint(diags, "kept");
	diags_error(diags, at(1, 1), "again");
	diags_hint(diags, "not taken over");
	assert_int_equal(diags->count, 1);
	assert_int_equal(diags->errors, 1);
	assert_string_equal(diags->items[0].hint, "kept");
}

static void the_list_has_an_end(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (uint32_t i = 0; i < DIAGS_MAX + 5; i++)
		diags_error(diags, at(1, i + 1), "x");
	assert_int_equal(diags->count, DIAGS_MAX);
	assert_int_equal(diags->dropped, 5);
	assert_int_equal(diags_check(diags, "f.yml", &err), -1);
	assert_non_null(strstr(err.text, "105 mistakes"));
	assert_non_null(strstr(err.text, "and 102 more"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_line_is_shown_with_a_caret), TEST(foreign_text_cannot_forge_a_terminal),
		TEST(order_is_by_position),	      TEST(warnings_alone_refuse_nothing),
		TEST(the_same_mistake_is_told_once),  TEST(the_list_has_an_end),
		TEST(a_line_with_a_secret_is_never_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
