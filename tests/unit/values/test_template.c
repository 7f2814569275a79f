/* Templates: three forms, their escapes, and every mistake with its place. */
#include "support.h"
#include "values/template.h"

static struct config_set sample(void)
{
	return SET({"APP_URL", "https://x"}, {"A_", "under"}, {"B", "say \"b\""}, {"EMPTY", ""},
		   {"NAME", NULL}, {"TRICK", "${B} %B% {{B}}"}, {"_U", "u"});
}

static void render(const char *text, unsigned syntax, const char *quote, const char *expected)
{
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(64));
	struct template_spec spec = {"t.tpl", slice_of(text), syntax, quote};
	struct config_set set = sample();
	struct err err = ERR_INIT;
	if (template_render(&spec, &set, &out, &err))
		fail_msg("`%s`: %s", text, err.text);
	assert_string_equal(buf_str(&out), expected);
}

static void names_stand_for_values(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ""},
		{"plain\ntext", "plain\ntext"},
		{"${APP_URL}/up", "https://x/up"},
		{"%APP_URL%/up", "https://x/up"},
		{"{{APP_URL}}/up", "https://x/up"},
		{"{{ APP_URL }} ${ APP_URL }", "https://x https://x"},
		{"${_U}{{_U}}", "uu"},
		{"%APP_URL%%A_%", "https://xunder"},
		{"[${EMPTY}]", "[]"},
		/* quoted */
		{"{{B|json}} {{ B | shell }} ${B|url}", "\"say \\\"b\\\"\" 'say \"b\"' say%20%22b%22"},
		{"%B|base64% ${B|raw}", "c2F5ICJiIg== say \"b\""},
		/* escaped */
		{"$${B} %%B%% {{{{B}}", "${B} %B% {{B}}"},
		{"$${B|json} %%B|json%%", "${B|json} %B|json%"},
		{"$$${_U}", "$${_U}"},
		{"${${_U}}", "${u}"},
		/* left alone */
		{"100% $HOME $ % { {{ }} ${ } $$ %% {{}}", "100% $HOME $ % { {{ }} ${ } $$ %% {{}}"},
		{"${B:-x} ${1} ${} ${B", "${B:-x} ${1} ${} ${B"},
		{"%_U% %20B% 5%B", "%_U% %20B% 5%B"},
		{"{{ item.name }} {{#if B}} {{B", "{{ item.name }} {{#if B}} {{B"},
		{"{{ B | default(1) }} {% if B %}", "{{ B | default(1) }} {% if B %}"},
		{"%%B %B", "%%B %B"},
		/* not looked at again */
		{"${TRICK}", "${B} %B% {{B}}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		render(cases[i].text, 0, NULL, cases[i].expected);
}

static void only_the_chosen_syntax_counts(void **state)
{
	(void)state;
	render("${_U} %A_% {{_U}} $${_U} %%A_%% {{{{", TEMPLATE_DOLLAR, NULL,
	       "u %A_% {{_U}} ${_U} %%A_%% {{{{");
	render("${_U} %A_% {{_U}} $${_U} %%A_%% {{{{", TEMPLATE_PERCENT, NULL,
	       "${_U} under {{_U}} $${_U} %A_% {{{{");
	render("${_U} %A_% {{_U}} $${_U} %%A_%% {{{{", TEMPLATE_BRACES, NULL,
	       "${_U} %A_% u $${_U} %%A_%% {{");
}

static void a_file_may_quote_by_default(void **state)
{
	(void)state;
	render("a: {{B}}\nb: {{B|raw}}\n", 0, "json", "a: \"say \\\"b\\\"\"\nb: say \"b\"\n");
}

static void bytes_stay_as_they_are(void **state)
{
	(void)state;
	static const char text[] = "\xff\0%_\r\n${BIN}\0";
	struct config_set set = SET({"BIN", ""});
	set.values[0].value = secret_of(SLICE("\0\xfe\n"));
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(1));
	struct template_spec spec = {"t", slice_make(text, sizeof(text) - 1), 0, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(template_render(&spec, &set, &out, &err), 0);
	static const char expected[] = "\xff\0%_\r\n\0\xfe\n\0";
	assert_int_equal(out.len, sizeof(expected) - 1);
	assert_memory_equal(out.ptr, expected, out.len);
}

static void every_mistake_has_its_place(void **state)
{
	(void)state;
	struct config_set set = SET({"APP_URL", "x"}, {"KEY", "canary\n"}, {"NAMED", NULL});
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(4));
	struct template_spec spec = {"deploy/a.tpl",
				     SLICE("ok ${APP_URL}\n\xc3\xa9 ${APP_URI} %NOTHING_LIKE_IT%\n"
					   "{{APP_URL | upper}}\n${KEY|ini} {{NAMED}}"),
				     0, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(template_render(&spec, &set, &out, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_string_equal(
		err.text,
		"deploy/a.tpl cannot be filled in: 5 mistakes\n"
		"  deploy/a.tpl:2:3: there is no variable `APP_URI`; did you mean `APP_URL`?\n"
		"  deploy/a.tpl:2:14: there is no variable `NOTHING_LIKE_IT`\n"
		"  deploy/a.tpl:3:1: there is no filter `upper`; known: " QUOTE_FORMATS "\n"
		"  deploy/a.tpl:4:1: the value of `KEY` holds a line break, which an ini file cannot say\n"
		"  deploy/a.tpl:4:12: the value of `NAMED` was not read");
	assert_null(strstr(err.text, "canary"));
}

static void a_template_of_mistakes_stays_cheap(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(2));
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(MIB(2));
	struct config_set set = SET({"X", "1"});
	for (size_t i = 0; i < 100000; i++)
		buf_puts(&text, "${Y}\n");
	struct template_spec spec = {"t", buf_slice(&text), 0, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(template_render(&spec, &set, &out, &err), -1);
	assert_non_null(strstr(err.text, "100000 mistakes"));
	assert_non_null(strstr(err.text, "and 99980 more"));
}

static void results_and_templates_have_limits(void **state)
{
	(void)state;
	struct config_set set = SET({"X", "0123456789"});
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(15);
	struct template_spec spec = {"t", SLICE("${X}${X}"), 0, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(template_render(&spec, &set, &out, &err), -1);
	char *large = arena_alloc(&arena, TEMPLATE_MAX + 1);
	spec.text = slice_make(large, TEMPLATE_MAX + 1);
	assert_int_equal(template_render(&spec, &set, &out, &err), -1);
	assert_string_equal(err.text, "t is larger than 4 MiB");
}

static int collect(void *context, struct slice name, struct err *err)
{
	(void)err;
	buf_printf(context, "%.*s ", SLICE_ARG(name));
	return 0;
}

static void used_names_are_listed(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf out = BUF_INIT(100);
	struct template_spec spec = {"t", SLICE("${B} %A% $${C} {{B|json}} %%D%%"), 0, NULL};
	struct err err = ERR_INIT;
	assert_int_equal(template_names(&spec, collect, &out, &err), 0);
	assert_string_equal(buf_str(&out), "B A B ");
}

/* ---- what a build would bake in ---- */

static void marks_in_built_files_are_replaced(void **state)
{
	static const struct {
		const char *text, *expected;
		size_t count;
	} cases[] = {
		{"const u=\"__VITE_URL__\";", "const u=\"https://x\";", 1},
		{"x__VITE_URL____VITE_N__y", "xhttps://x7y", 2},
		{"__VITE_URL__B__", "longer", 1},
		{"___VITE_N__", "_7", 1},
		{"__proto__ __webpack_require__ __SECRET__ __", "__proto__ __webpack_require__ __SECRET__ __",
		 0},
		{"__VITE_PRELOAD__ __VITE_N", "__VITE_PRELOAD__ __VITE_N", 0},
	};
	(void)state;
	struct config_set set =
		SET({"SECRET", "s"}, {"VITE_N", "7"}, {"VITE_URL", "https://x"}, {"VITE_URL__B", "longer"});
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(4));
		struct err err = ERR_INIT;
		size_t count = 99;
		if (template_substitute("a.js", slice_of(cases[i].text), &set, &out, &count, &err))
			fail_msg("%s", err.text);
		assert_string_equal(buf_str(&out), cases[i].expected);
		assert_int_equal(count, cases[i].count);
	}
}

static void what_would_be_public_or_break_a_script_is_refused(void **state)
{
	(void)state;
	struct config_set set = SET({"VITE_KEY", "canary"}, {"VITE_Q", "a\"b"}, {"VITE_T", "a${b}"});
	set.values[0].secret = true;
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(4));
	struct err err = ERR_INIT;
	size_t count;
	assert_int_equal(template_substitute("a.js", SLICE("__VITE_KEY__\n__VITE_Q__ __VITE_T__ __VITE_W__"),
					     &set, &out, &count, &err),
			 -1);
	assert_string_equal(
		err.text,
		"a.js cannot be filled in: 4 mistakes\n"
		"  a.js:1:1: `VITE_KEY` is a secret and would be public here\n"
		"  a.js:2:1: the value of `VITE_Q` holds quotes, backslashes, `<` or control characters, "
		"which could end the text it is put into\n"
		"  a.js:2:12: the value of `VITE_T` holds `${`, which could end the text it is put into\n"
		"  a.js:2:23: there is no variable `VITE_W`; did you mean `VITE_Q`?");
	assert_true(value_name_baked(SLICE("NEXT_PUBLIC_X")));
	assert_false(value_name_baked(SLICE("NEXT_PUBLIC_")));
	assert_false(value_name_baked(SLICE("APP_URL")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_stand_for_values),
		TEST(only_the_chosen_syntax_counts),
		TEST(a_file_may_quote_by_default),
		TEST(bytes_stay_as_they_are),
		TEST(every_mistake_has_its_place),
		TEST(a_template_of_mistakes_stays_cheap),
		TEST(results_and_templates_have_limits),
		TEST(used_names_are_listed),
		TEST(marks_in_built_files_are_replaced),
		TEST(what_would_be_public_or_break_a_script_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
