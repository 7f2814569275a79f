/* One spelling for SQL: what counts, what does not, and what old PostgreSQL writes. */
#include "../cmocka_base.h"

#include "introspect/sql_text.h"

enum { PLAIN, HOME, ONLY };

static const struct {
	int change;
	const char *text, *spelled;
} rows[] = {
	{PLAIN, " CHECK ( ( price>0 ) ) ", "CHECK ((price > 0))"},
	{PLAIN, "a+b -- hi\n", "a + b"},
	{PLAIN, "a>-1", "a > - 1"},
	{PLAIN, "a @-1", "a @- 1"},
	{PLAIN, "a /* x /* y */ z */ b", "a b"},
	{PLAIN, "'it''s  so'", "'it''s  so'"},
	{PLAIN, "$x$ a  b $x$ c", "$x$ a  b $x$ c"},
	{PLAIN, "E'\\'  x' ,y", "E'\\'  x', y"},
	{PLAIN, "'a'::text [ 1 ]", "'a'::text[1]"},
	{PLAIN, "count ( * )", "count(*)"},
	{PLAIN, "1.5e-3 - 2", "1.5e-3 - 2"},
	{PLAIN, "'not closed", "'not closed"},
	{HOME, "public.users.id", "users.id"},
	{HOME, "\"public\".users", "users"},
	{HOME, "audit.public.x", "audit.public.x"},
	{HOME, "nextval('public.s'::regclass)", "nextval('s'::regclass)"},
	{HOME, "nextval('\"public\".s'::regclass)", "nextval('s'::regclass)"},
	{HOME, "'public.s'::text", "'public.s'::text"},
	{ONLY, "SELECT u.a, u.b FROM u WHERE u.c", "SELECT a, b FROM u WHERE c"},
	{ONLY, "SELECT x.a FROM t x", "SELECT a FROM t x"},
	{ONLY, "SELECT a.x, b.y FROM a, b", "SELECT a.x, b.y FROM a, b"},
	{ONLY, "SELECT a.x FROM (a JOIN b ON a.i = b.i)", "SELECT a.x FROM (a JOIN b ON a.i = b.i)"},
	{ONLY, "SELECT a.x FROM a UNION SELECT a.y FROM a", "SELECT a.x FROM a UNION SELECT a.y FROM a"},
	{ONLY, "SELECT s.x FROM (SELECT t.x FROM t) s", "SELECT x FROM (SELECT t.x FROM t) s"},
	{ONLY, "SELECT u.a, (SELECT o.b FROM o WHERE o.u = u.a) FROM u",
	 "SELECT a, (SELECT o.b FROM o WHERE o.u = u.a) FROM u"},
};

static void text_has_one_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(buf_free) struct buf out = BUF_INIT(4096);
		struct sql_tokens tokens = sql_text_split(&arena, SQL_POSTGRESQL, slice_of(rows[i].text));
		if (rows[i].change == HOME)
			sql_text_drop_schema(&arena, &tokens, SLICE("public"));
		if (rows[i].change == ONLY)
			sql_text_drop_only_table(&tokens);
		sql_text_put(&out, &tokens);
		assert_string_equal(buf_str(&out), rows[i].spelled);
	}
}

static void dialects_quote_differently(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct sql_tokens mysql = sql_text_split(&arena, SQL_MYSQL, SLICE("\"a\\\"  b\" # c\n `d  e`"));
	assert_int_equal(mysql.count, 2);
	assert_int_equal(mysql.items[0].kind, SQL_STRING);
	assert_int_equal(mysql.items[1].kind, SQL_NAME);
	struct sql_tokens sqlite = sql_text_split(&arena, SQL_SQLITE, SLICE("[a  b] \"c\""));
	assert_int_equal(sqlite.count, 2);
	assert_int_equal(sqlite.items[0].kind, SQL_NAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_has_one_spelling),
		cmocka_unit_test(dialects_quote_differently),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
