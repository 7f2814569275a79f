/* The program's own schema, from scratch and from each earlier number. */
#include "fixture.h"

static const char *schema_text(struct fixture *f, struct db *db)
{
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(64));
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;
	assert_int_equal(db_query(db, &stmt,
				  "select coalesce(sql, name) as sql from sqlite_schema order by name",
				  &f->err),
			 0);
	while ((got = db_step(stmt, &f->err)) > 0) {
		buf_puts(&text, db_column_text(stmt, "sql", &f->arena));
		buf_putc(&text, '\n');
	}
	assert_int_equal(got, 0);
	return arena_strdup(&f->arena, buf_str(&text));
}

static void every_way_leads_to_the_same_schema(void **state)
{
	struct fixture *f = *state;
	const char *whole = schema_text(f, f->db);
	assert_non_null(strstr(whole, "deployment_server"));
	for (size_t from = 0; from < model_migrations_count; from++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/from-%zu.db", f->temp.path, from);
		AUTO(db_close) struct db *db = NULL;
		assert_int_equal(db_open(path, &db, &f->err), 0);
		assert_int_equal(db_migrate(db, model_migrations, from, &f->err), 0);
		db_close(&db);
		assert_int_equal(model_open(path, &db, &f->err), 0);
		int number;
		assert_int_equal(db_schema_number(db, &number, &f->err), 0);
		assert_int_equal(number, (int)model_migrations_count);
		assert_string_equal(schema_text(f, db), whole);
	}
}

static void every_table_is_strict(void **state)
{
	struct fixture *f = *state;
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt,
				  "select count(*) as n, sum(strict) as strict from pragma_table_list"
				  " where schema = 'main' and type = 'table' and name not like 'sqlite_%'",
				  &f->err),
			 0);
	assert_int_equal(db_step(stmt, &f->err), 1);
	assert_true(db_column_int(stmt, "n") > 7);
	assert_int_equal(db_column_int(stmt, "strict"), db_column_int(stmt, "n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_way_leads_to_the_same_schema),
		CASE(every_table_is_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
