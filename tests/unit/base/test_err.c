/* Claims about errors. */
#include "base/err.h"
#include "base/slice.h"

#include "../cmocka_base.h"

#include <errno.h>
#include <string.h>

static void wrapping_puts_the_context_in_front(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(err_set(&err, ERR_CONFLICT, "held by %s", "ada"), -1);
	assert_int_equal(err_hint(&err, "wait"), -1);
	assert_int_equal(err_wrap(&err, "locking %s", "web1"), -1);
	assert_string_equal(err.text, "locking web1: held by ada");
	assert_string_equal(err.hint, "wait");
	assert_int_equal(err.code, ERR_CONFLICT);
	err_set(&err, ERR_USER, "new");
	assert_string_equal(err.hint, "");
}

static void errno_gives_code_and_words(void **state)
{
	static const struct {
		int number;
		enum err_code code;
	} cases[] = {{ENOENT, ERR_NOT_FOUND}, {EACCES, ERR_DENIED}, {EPERM, ERR_DENIED}, {EIO, ERR_INTERNAL}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		errno = cases[i].number;
		err_errno(&err, "file %d", 7);
		assert_int_equal(err.code, cases[i].code);
		assert_true(slice_starts_with(slice_of(err.text), "file 7: "));
		assert_true(slice_ends_with(slice_of(err.text), strerror(cases[i].number)));
	}
}

static void long_text_is_cut_between_characters(void **state)
{
	char euros[ERR_TEXT_MAX * 2] = "";
	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		struct err err = ERR_INIT;
		memset(euros, 'x', shift);
		for (size_t at = shift; at + 4 < sizeof(euros); at += 3)
			memcpy(euros + at, "\xE2\x82\xAC", 4);
		err_set(&err, ERR_USER, "%s", euros);
		assert_true(strlen(err.text) > ERR_TEXT_MAX - 8);
		assert_true(slice_is_utf8(slice_of(err.text)));
		assert_true(slice_ends_with(slice_of(err.text), "..."));
	}
}

static void its_own_text_may_be_an_argument(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	err_set(&err, ERR_USER, "inner");
	err_set(&err, ERR_INTERNAL, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
	err_hint(&err, "first");
	err_hint(&err, "%s, then second", err.hint);
	assert_string_equal(err.hint, "first, then second");
}

static void every_code_has_its_own_name(void **state)
{
	static const enum err_code codes[] = {ERR_NONE,	   ERR_USER,	  ERR_INTERNAL, ERR_DENIED,
					      ERR_NETWORK, ERR_NOT_FOUND, ERR_CONFLICT, ERR_GATE,
					      ERR_FAILED,  ERR_DRIFT,	  ERR_MIXED,	ERR_INTERRUPTED};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(err_code_name(codes[i]), err_code_name(codes[j]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrapping_puts_the_context_in_front),
		cmocka_unit_test(errno_gives_code_and_words),
		cmocka_unit_test(long_text_is_cut_between_characters),
		cmocka_unit_test(its_own_text_may_be_an_argument),
		cmocka_unit_test(every_code_has_its_own_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
