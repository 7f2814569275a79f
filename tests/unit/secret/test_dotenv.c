/* The grammar of .env files: what is read, and what is refused with its place. */
#include "../cmocka_base.h"

#include "base/random.h"
#include "secret/dotenv_parse.h"

#include <stdlib.h>

struct row {
	const char *text;
	const char *read; /* "NAME=value|" for each, in file order */
	const char *error; /* the first; NULL: none */
};

static const struct row rows[] = {
	{"", "", NULL},
	{"A=1\nB=two\n", "A=1|B=two|", NULL},
	{"A=1", "A=1|", NULL},
	{"\xef\xbb\xbf" "A=1\r\nB=2\rC=3", "A=1|B=2|C=3|", NULL},
	{"  A  =  b c  \n", "A=b c|", NULL},
	{"A=\nB= \nC= # nothing\nD=''\nE=\"\"", "A=|B=|C=|D=|E=|", NULL},
	{"# A=1\n\n   # B=2\n\t\nC=3 # three", "C=3|", NULL},
	{"export A=1\nexport\tB=2\nexport=3", "A=1|B=2|export=3|", NULL},
	{"export = 1", "export=1|", NULL},
	{"a.b-c_1=x", "a.b-c_1=x|", NULL},
	{"A=a=b==", "A=a=b==|", NULL},
	{"A=it's\nB=say \"so\"\nC=a`b`", "A=it's|B=say \"so\"|C=a`b`|", NULL},
	{"A={\"a\": [1, \"$x\"]}", "A={\"a\": [1, \"$x\"]}|", NULL},
	{"A=C:\\new\\table", "A=C:\\new\\table|", NULL},
	{"A='single \\n $B #c'  # comment", "A=single \\n $B #c|", NULL},
	{"A=`it's \"so\" \\n`", "A=it's \"so\" \\n|", NULL},
	{"A=\"a\\nb\\tc\\\\d\\\"e\\$f\\`g\\qh\"", "A=a\nb\tc\\d\"e$f`g\\qh|", NULL},
	{"A=\"one\r\ntwo\n\nthree\" # c\nB='x\ny'\nC=`p\nq`", "A=one\ntwo\n\nthree|B=x\ny|C=p\nq|", NULL},
	{"A=$B\nC=${D}\nE=\"${F}\"", "A=$B|C=${D}|E=${F}|", NULL},
	{"A=\xc3\xa4\xe2\x82\xac", "A=\xc3\xa4\xe2\x82\xac|", NULL},
	/* What readers disagree about. */
	{"A=a#b\nB=2", "B=2|", "f:1:4: `#` without a blank before it: some readers take it for a comment, "
				"others for a part of the value"},
	{"A=#b", "", "f:1:3: `#` without a blank before it: some readers take it for a comment, others for a "
		     "part of the value"},
	{"A=1\nB=2\n  A=3", "A=1|B=2|", "f:3:3: A stands in line 1 already"},
	{"A='it\\'s'\nB=2", "B=2|", "f:1:8: something stands behind the closing quote"},
	{"A=\"b\"c", "", "f:1:6: something stands behind the closing quote"},
	{"A='b\nB=2\n", "", "f:1:3: this quote is never closed"},
	{"A=1\nhunter2\nB=2", "A=1|B=2|", "f:2:8: not of the form NAME=VALUE"},
	{"A: 1\nB=2", "B=2|", "f:1:2: a name is followed by `=`, not by `:`"},
	{"=1", "", "f:1:1: not of the form NAME=VALUE"},
	{"1A=1", "", "f:1:1: not of the form NAME=VALUE"},
	{"\xc3\xa4=1", "", "f:1:1: not of the form NAME=VALUE"},
	{"A=\xc3\xa4\nB=\xff", "", "f:2:3: not UTF-8"},
};

static void check_row(const struct row *row, const struct dotenv_options *options)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf read = BUF_INIT(10000);
	struct diags diags = DIAGS_INIT(&arena);
	struct dotenv_file file;

	int failed = dotenv_parse(&arena, safe, "f", slice_of(row->text), options, &file, &diags);
	for (size_t i = 0; i < file.count; i++) {
		buf_printf(&read, "%s=", file.items[i].name);
		buf_put_slice(&read, secret_reveal(file.items[i].value));
		buf_putc(&read, '|');
	}
	if (strcmp(buf_str(&read), row->read) != 0)
		fail_msg("`%s` is read as `%s`, not `%s`", row->text, buf_str(&read), row->read);
	if (!row->error) {
		if (failed)
			fail_msg("`%s` is refused: %s", row->text, diags.items[0].text);
		return;
	}
	assert_int_equal(failed, -1);
	AUTO(buf_free) struct buf text = BUF_INIT(10000);
	diags_print(&diags, &text);
	struct slice rest = buf_slice(&text);
	struct slice first = slice_cut(&rest, '\n');
	if (!slice_is(first, row->error))
		fail_msg("`%s` is refused with `%.*s`, not `%s`", row->text, SLICE_ARG(first), row->error);
}

static void reads_what_is_clear_and_refuses_the_rest(void **state)
{
	static const struct dotenv_options options = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i], &options);
}

static void interpolates_when_asked(void **state)
{
	static const struct dotenv_options options = {.interpolate = true};
	static const struct row asked[] = {
		{"A=1\nB=x${A}y\nC=\"${A}\"\nD='${A}'\nE=`${A}`\nF=\"\\${A}\"", "A=1|B=x1y|C=1|D=${A}|E=${A}|F=${A}|", NULL},
		{"A=${B:-none}\nE=\nC=${E:-}${E:-x}\nD=$E", "A=none|E=|C=x|D=$E|", NULL},
		{"A=${B}\nB=1", "B=1|", "f:1:3: ${B} does not stand further up in this file"},
		{"A=1\nB=${A", "A=1|", "f:2:3: not of the form ${NAME} or ${NAME:-text}"},
		{"A=1\nB=\"${A:1}\"", "A=1|", "f:2:4: not of the form ${NAME} or ${NAME:-text}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		check_row(&asked[i], &options);
}

static void messages_quote_no_value(void **state)
{
	static const struct dotenv_options options = {0};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf text = BUF_INIT(100000);
	struct diags diags = DIAGS_INIT(&arena);
	struct dotenv_file file;

	(void)state;
	assert_int_equal(dotenv_parse(&arena, safe, "f",
				      slice_of("A=canary1#x\nB=\"canary2\"canary3\ncanary4/canary5==\nC='canary6'canary7\n"
					       "A=canary8\nA=canary9\nD=\"canary10"),
				      &options, &file, &diags),
			 -1);
	assert_int_equal(diags.count, 6);
	diags_print(&diags, &text);
	assert_null(strstr(buf_str(&text), "canary"));
}

static void limits(void **state)
{
	static const struct dotenv_options options = {0}, names = {.names_only = true};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf text = BUF_INIT(4 << 20);
	struct diags diags = DIAGS_INIT(&arena);
	struct dotenv_file file;

	(void)state;
	for (int i = 0; i <= DOTENV_ENTRIES_MAX; i++)
		buf_printf(&text, "A%d=x\n", i);
	assert_int_equal(dotenv_parse(&arena, safe, "f", buf_slice(&text), &options, &file, &diags), -1);
	assert_int_equal(file.count, DOTENV_ENTRIES_MAX);
	buf_clear(&text);
	buf_puts(&text, "A=");
	memset(buf_reserve(&text, SECRET_MAX + 1), 'x', SECRET_MAX + 1);
	text.len += SECRET_MAX + 1;
	buf_puts(&text, "\nB=1\n");
	diags = DIAGS_INIT(&arena);
	assert_int_equal(dotenv_parse(&arena, safe, "f", buf_slice(&text), &options, &file, &diags), -1);
	assert_int_equal(file.count, 1);
	assert_string_equal(file.items[0].name, "B");
	assert_int_equal(file.items[0].line, 2);
	diags = DIAGS_INIT(&arena);
	assert_int_equal(dotenv_parse(&arena, safe, "f", SLICE("A=1"), &names, &file, &diags), 0);
	assert_false(secret_present(file.items[0].value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_clear_and_refuses_the_rest),
		cmocka_unit_test(interpolates_when_asked),
		cmocka_unit_test(messages_quote_no_value),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests_name("dotenv", tests, NULL, NULL);
}
