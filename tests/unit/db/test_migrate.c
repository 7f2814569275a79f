/* Schema steps: each once, in order, by one process or by many. */
#include "../temp.h"

#include "db/db.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct db_migration steps[] = {
	{1, "one", "create table one (n integer) strict; insert into one values (1)"},
	{2, "two", "create table two (n integer) strict; insert into two select n + 1 from one"},
	{3, "three", "alter table two add column text text; update two set text = 'three'"},
	{4, "four", "create table four (n integer) strict; insert into four select n + 2 from two"},
	{5, "five", "drop table one"},
};

struct fixture {
	struct temp temp;
	struct arena arena;
	struct err err;
	char path[128];
	struct db *db;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	f->temp = temp_make();
	snprintf(f->path, sizeof(f->path), "%s/state.db", f->temp.path);
	*state = f;
	return db_open(f->path, &f->db, &f->err);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	db_close(&f->db);
	temp_remove(&f->temp);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static int64_t number(struct fixture *f, const char *sql)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt, sql, &f->err), 0);
	assert_int_equal(db_step(stmt, &f->err), 1);
	return db_column_int(stmt, "n");
}

static void expect_whole(struct fixture *f)
{
	int done;
	assert_int_equal(db_schema_number(f->db, &done, &f->err), 0);
	assert_int_equal(done, (int)ARRAY_LEN(steps));
	assert_int_equal(number(f, "select count(*) as n from schema_migration"), ARRAY_LEN(steps));
	assert_int_equal(number(f, "select count(*) as n from two where text = 'three'"), 1);
	assert_int_equal(number(f, "select n from four"), 4);
}

static void every_earlier_schema_is_brought_up_to_date(void **state)
{
	struct fixture *f = *state;
	for (size_t from = 0; from <= ARRAY_LEN(steps); from++) {
		db_close(&f->db);
		assert_int_equal(tree_remove_at(AT_FDCWD, f->path, &f->err), 0);
		assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
		assert_int_equal(db_migrate(f->db, steps, from, &f->err), 0);
		int done;
		assert_int_equal(db_schema_number(f->db, &done, &f->err), 0);
		assert_int_equal(done, (int)from);
		db_close(&f->db);
		assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
		assert_int_equal(db_migrate(f->db, steps, ARRAY_LEN(steps), &f->err), 0);
		expect_whole(f);
	}
}

static void a_step_that_fails_leaves_the_one_before(void **state)
{
	struct fixture *f = *state;
	const struct db_migration broken[] = {
		steps[0],
		steps[1],
		{3, "broken", "create table three (n integer) strict; insert into nowhere values (1)"},
	};
	assert_int_equal(db_migrate(f->db, broken, ARRAY_LEN(broken), &f->err), -1);
	assert_non_null(strstr(f->err.text, "schema step 3 (broken)"));
	assert_non_null(strstr(f->err.text, f->path));
	int done;
	assert_int_equal(db_schema_number(f->db, &done, &f->err), 0);
	assert_int_equal(done, 2);
	assert_int_equal(number(f, "select count(*) as n from sqlite_schema where name = 'three'"), 0);
	assert_int_equal(db_migrate(f->db, steps, ARRAY_LEN(steps), &f->err), 0);
	expect_whole(f);
}

static void a_newer_schema_is_refused_and_left(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(db_migrate(f->db, steps, ARRAY_LEN(steps), &f->err), 0);
	for (size_t known = 0; known < ARRAY_LEN(steps); known++) {
		err_clear(&f->err);
		assert_int_equal(db_migrate(f->db, steps, known, &f->err), -1);
		assert_int_equal(f->err.code, ERR_CONFLICT);
		assert_non_null(strstr(f->err.text, "newer lockstep"));
		assert_non_null(strstr(f->err.text, f->path));
		assert_non_null(strstr(f->err.hint, "LOCKSTEP_HOME"));
	}
	expect_whole(f);
}

static void another_history_is_refused(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(db_migrate(f->db, steps, ARRAY_LEN(steps), &f->err), 0);
	assert_int_equal(
		db_exec(f->db, "update schema_migration set name = 'other' where number = 2", &f->err), 0);
	assert_int_equal(db_migrate(f->db, steps, ARRAY_LEN(steps), &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
	assert_non_null(strstr(f->err.text, "step 2 there is \"other\""));
}

/* Waits until the test has started all of them. */
static int migrate_when_told(const char *path, int start_fd)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;
	char byte;
	if (read(start_fd, &byte, 1) != 0)
		return 2;
	if (db_open(path, &db, &err) || db_migrate(db, steps, ARRAY_LEN(steps), &err)) {
		fprintf(stderr, "# %s\n", err.text);
		return 1;
	}
	db_close(&db);
	return 0;
}

static void many_processes_migrate_at_once(void **state)
{
	struct fixture *f = *state;
	enum { PROCESSES = 6, ROUNDS = 5 };
	for (int round = 0; round < ROUNDS; round++) {
		db_close(&f->db);
		assert_int_equal(tree_remove_at(AT_FDCWD, f->path, &f->err), 0);
		int start[2];
		pid_t pids[PROCESSES];
		assert_int_equal(pipe(start), 0);
		for (int i = 0; i < PROCESSES; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0) {
				close(start[1]);
				_exit(migrate_when_told(f->path, start[0]));
			}
		}
		close(start[0]);
		close(start[1]);
		for (int i = 0; i < PROCESSES; i++)
			assert_int_equal(wait_for(pids[i]), 0);
		assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
		expect_whole(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
		CASE(every_earlier_schema_is_brought_up_to_date),
		CASE(a_step_that_fails_leaves_the_one_before),
		CASE(a_newer_schema_is_refused_and_left),
		CASE(another_history_is_refused),
		CASE(many_processes_migrate_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
