/* Likely renames: told when there is exactly one candidate, and not otherwise. */
#include "../cmocka_base.h"

#include "introspect/introspect.h"

#include <stdlib.h>

static int append(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	buf_put_slice(context, bytes);
	return 0;
}

/* "table/users/column/a/type=text" … as a snapshot; a key that ends in "position" is evidence. */
static void snapshot_of(struct buf *out, const char *const *rows)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(1 << 20);
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct err err = ERR_INIT;

	fact_writer_init(&writer, append, out);
	for (; *rows; rows++) {
		struct slice value = slice_of(*rows), key = slice_cut(&value, '=');
		struct fact fact = {.key = fact_key(&arena, "db/main/%.*s", SLICE_ARG(key)),
				    .value = value,
				    .kind = FACT_TEXT,
				    .evidence = slice_ends_with(key, "/position")};
		assert_int_equal(fact_add_fact(&list, &fact, &err), 0);
	}
	fact_list_sort(&list);
	assert_int_equal(fact_list_write(&list, &writer, &err), 0);
	assert_int_equal(fact_writer_end(&writer, &err), 0);
}

static char *renames(const char *const *a, const char *const *b)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf left = BUF_INIT(1 << 20), right = BUF_INIT(1 << 20), out = BUF_INIT(4096);
	struct rename_pair *pairs;
	size_t count;
	struct err err = ERR_INIT;

	snapshot_of(&left, a);
	snapshot_of(&right, b);
	AUTO(fact_reader_free) struct fact_reader *from = fact_reader_of_bytes(buf_slice(&left));
	AUTO(fact_reader_free) struct fact_reader *to = fact_reader_of_bytes(buf_slice(&right));
	assert_int_equal(introspect_renames(&arena, from, to, "main", &pairs, &count, &err), 0);
	for (size_t i = 0; i < count; i++)
		buf_printf(&out, "%s>%s ", pairs[i].from, pairs[i].to);
	return mem_strdup(buf_str(&out));
}

static void expect(const char *const *a, const char *const *b, const char *wanted)
{
	AUTO(mem_free_ptr) char *got = renames(a, b);
	assert_string_equal(got, wanted);
}

#define ROWS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void what_is_alike_but_for_its_name_was_renamed(void **state)
{
	(void)state;
	expect(ROWS("table/u/column/mail/type=text", "table/u/column/mail/null=no",
		    "table/u/column/id/type=int"),
	       ROWS("table/u/column/email/type=text", "table/u/column/email/null=no",
		    "table/u/column/id/type=int"),
	       "table/u/column/mail>table/u/column/email ");
	expect(ROWS("table/u/column/a/type=text", "table/u/index/i/definition=(a)"),
	       ROWS("table/u/column/a/type=text", "table/u/index/j/definition=(a)"),
	       "table/u/index/i>table/u/index/j ");
	expect(ROWS("table/people/column/a/type=text", "table/people/column/b/type=int"),
	       ROWS("table/users/column/a/type=text", "table/users/column/b/type=int"),
	       "table/people>table/users ");
}

static void two_guesses_are_none_unless_the_position_tells(void **state)
{
	(void)state;
	expect(ROWS("table/u/column/a/type=text", "table/u/column/b/type=text", "table/u/column/z/type=int"),
	       ROWS("table/u/column/c/type=text", "table/u/column/z/type=int"), "");
	expect(ROWS("table/u/column/a/type=text", "table/u/column/a/position=1", "table/u/column/b/type=text",
		    "table/u/column/b/position=2", "table/u/column/z/type=int"),
	       ROWS("table/u/column/c/type=text", "table/u/column/c/position=2", "table/u/column/z/type=int"),
	       "table/u/column/b>table/u/column/c ");
}

static void what_differs_was_not_renamed(void **state)
{
	(void)state;
	expect(ROWS("table/u/column/a/type=text", "table/u/column/z/type=int"),
	       ROWS("table/u/column/b/type=int", "table/u/column/z/type=int"), "");
	expect(ROWS("table/u/column/a/type=text", "table/u/column/z/type=int"),
	       ROWS("table/v/column/b/type=text", "table/v/column/z/type=int", "table/u/column/z/type=int"),
	       "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_alike_but_for_its_name_was_renamed),
		cmocka_unit_test(two_guesses_are_none_unless_the_position_tells),
		cmocka_unit_test(what_differs_was_not_renamed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
