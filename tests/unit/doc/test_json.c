/* JSON under our rules. */
#include "doc/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void canonical_text_is_sorted_and_tight(void **state)
{
	(void)state;
	AUTO(json_free) json_t *json = NULL;
	AUTO(buf_free) struct buf out = BUF_INIT(1024);
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(SLICE(" {\"b\": [1, true], \"a\": \"x\"} "), "f", 100, &json, &err), 0);
	json_put(&out, json);
	assert_string_equal(buf_str(&out), "{\"a\":\"x\",\"b\":[1,true]}");
	buf_clear(&out);
	json_put_pretty(&out, json);
	assert_string_equal(buf_str(&out), "{\n  \"b\": [\n    1,\n    true\n  ],\n  \"a\": \"x\"\n}\n");
}

static void bad_texts_are_located(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "f: line 1, column 0: unexpected token near end of file"},
		{"{\"a\": 1, \"a\": 2}", "f: line 1, column 12: duplicate object key near '\"a\"'"},
		{"[1]\n x", "f: line 2, column 2: end of file expected near 'x'"},
		{"[\"\\u0000\"]",
		 "f: line 1, column 9: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
		{"[\"\xff\"]", "f: line 1, column 2: unable to decode byte 0xff near '\"'"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(json_free) json_t *json = NULL;
		struct err err = ERR_INIT;
		assert_int_equal(json_parse(slice_of(cases[i].text), "f", 100, &json, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_string_equal(err.text, cases[i].message);
		assert_null(json);
	}
}

static void errors_about_secret_texts_quote_nothing(void **state)
{
	static const char *const texts[] = {
		"{\"key\": \"hunter2\" \"hunter2\"}", "{\"key\": hunter2}", "{\"key\": \"hunter2\\q\"}",
		"{\"hunter2\": 1, \"hunter2\": 2}",   "[\"hunter2",	    "{\"key\": \"hunter2\"} hunter2",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err err = ERR_INIT;
		AUTO(json_free) json_t *json = NULL;
		assert_int_equal(json_parse_secret(slice_of(texts[i]), "answer", KIB(1), &json, &err), -1);
		assert_non_null(strstr(err.text, "answer: line 1, column"));
		if (strstr(err.text, "hunter2"))
			fail_msg("%s", err.text);
	}
	struct err err = ERR_INIT;
	AUTO(json_free) json_t *json = NULL;
	assert_int_equal(json_parse_secret(SLICE("{\"key\": \"hunter2\"}"), "answer", KIB(1), &json, &err),
			 0);
	assert_int_equal(json_object_size(json), 1);
}

static void limits_are_kept(void **state)
{
	(void)state;
	AUTO(json_free) json_t *json = NULL;
	AUTO(buf_free) struct buf deep = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	assert_int_equal(json_parse(SLICE("[1,2,3]"), "f", 6, &json, &err), -1);
	assert_string_equal(err.text, "f: larger than 6 bytes");
	for (size_t i = 0; i < 257; i++)
		buf_puts(&deep, "[");
	assert_int_equal(json_parse(buf_slice(&deep), "f", MIB(1), &json, &err), -1);
	assert_string_equal(err.text, "f: nested more than 256 deep");
	assert_int_equal(json_parse(SLICE("\"[[[\\\"[[[\""), "f", 100, &json, &err), 0);
}

static void bytes_that_are_not_utf8_become_visible(void **state)
{
	(void)state;
	AUTO(json_free) json_t *json = json_text(SLICE("a\xff\xc3\xa9\xc3"));
	assert_string_equal(json_string_value(json), "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
	AUTO(json_free) json_t *nothing = json_cstr(NULL);
	assert_true(json_is_null(nothing));
	AUTO(json_free) json_t *empty = json_text(SLICE(""));
	assert_string_equal(json_string_value(empty), "");
}

static void members_are_read_by_type(void **state)
{
	(void)state;
	AUTO(json_free) json_t *json = NULL;
	struct err err = ERR_INIT;
	const char *text = NULL;
	int64_t number = 0;
	bool truth = false;
	assert_int_equal(json_parse(SLICE("{\"s\": \"x\", \"i\": 5, \"b\": true}"), "f", 100, &json, &err),
			 0);
	assert_true(json_get_str(json, "s", &text) && json_get_int(json, "i", &number) &&
		    json_get_bool(json, "b", &truth));
	assert_string_equal(text, "x");
	assert_int_equal(number, 5);
	assert_true(truth);
	assert_false(json_get_str(json, "i", &text));
	assert_false(json_get_int(json, "s", &number));
	assert_false(json_get_bool(json, "absent", &truth));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_text_is_sorted_and_tight),
		cmocka_unit_test(bad_texts_are_located),
		cmocka_unit_test(errors_about_secret_texts_quote_nothing),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(bytes_that_are_not_utf8_become_visible),
		cmocka_unit_test(members_are_read_by_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
