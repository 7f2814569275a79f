/* kill -9 of the writing process between any two statements, and in the middle of
 * them: what was reported as committed is there, what was not is there whole or
 * not at all. */
#include "../temp.h"

#include "db/db.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct db_migration steps[] = {
	{1, "a pair", "create table heads (n integer) strict; create table tails (n integer) strict"},
};

enum { STATEMENTS_PER_PAIR = 4 };

struct writer {
	struct db *db;
	int report_fd;	    /* one byte a committed pair */
	int64_t kill_after; /* statements; 0: until killed */
	struct err err;
};

static void pass(struct writer *writer)
{
	if (writer->kill_after > 0 && --writer->kill_after == 0)
		raise(SIGKILL);
}

static int write_pair(struct writer *writer, int64_t n)
{
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	if (db_begin(writer->db, &transaction, &writer->err))
		return -1;
	pass(writer);
	if (db_exec_bound(writer->db, "insert into heads values (:n)", DB_BINDS(DB_INT(":n", n)),
			  &writer->err))
		return -1;
	pass(writer);
	if (db_exec_bound(writer->db, "insert into tails values (:n)", DB_BINDS(DB_INT(":n", n)),
			  &writer->err))
		return -1;
	pass(writer);
	if (db_commit(&transaction, &writer->err) || write(writer->report_fd, "c", 1) != 1)
		return -1;
	pass(writer);
	return 0;
}

static int write_pairs(const char *path, int report_fd, int64_t kill_after)
{
	struct writer writer = {.report_fd = report_fd, .kill_after = kill_after};
	if (db_open(path, &writer.db, &writer.err))
		return 1;
	for (int64_t n = 0;; n++)
		if (write_pair(&writer, n))
			return 1;
}

static int64_t number(struct db *db, const char *sql)
{
	struct err err = ERR_INIT;
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(db, &stmt, sql, &err), 0);
	assert_int_equal(db_step(stmt, &err), 1);
	return db_column_int(stmt, "n");
}

/* Reads until the writer is gone, killing it after `kill_at` bytes (0: it does so
 * itself). Returns how many pairs it said were committed. */
static int64_t follow(int report_fd, pid_t pid, int64_t kill_at)
{
	int64_t committed = 0;
	char byte;
	while (read(report_fd, &byte, 1) == 1)
		if (++committed == kill_at)
			kill(pid, SIGKILL);
	return committed;
}

static void expect_consistent_after(const char *path, int64_t kill_after, int64_t kill_at)
{
	struct err err = ERR_INIT;
	struct db *db = NULL;
	assert_int_equal(db_open(path, &db, &err), 0);
	assert_int_equal(db_migrate(db, steps, ARRAY_LEN(steps), &err), 0);
	int64_t before = number(db, "select count(*) as n from heads");
	db_close(&db);

	int report[2];
	assert_int_equal(pipe(report), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(report[0]);
		_exit(write_pairs(path, report[1], kill_after));
	}
	close(report[1]);
	int64_t committed = follow(report[0], pid, kill_at);
	close(report[0]);
	assert_int_equal(wait_for(pid), 128 + SIGKILL);

	assert_int_equal(db_open(path, &db, &err), 0);
	int64_t heads = number(db, "select count(*) as n from heads");
	assert_int_equal(heads, number(db, "select count(*) as n from tails"));
	assert_true(heads >= before + committed);
	if (kill_after > 0)
		assert_int_equal(heads - before, kill_after / STATEMENTS_PER_PAIR);
	assert_int_equal(
		number(db, "select count(*) as n from pragma_integrity_check where integrity_check = 'ok'"),
		1);
	db_close(&db);
}

static void killed_between_statements(void **state)
{
	(void)state;
	AUTO(temp_remove) struct temp temp = temp_make();
	char path[128];
	snprintf(path, sizeof(path), "%s/state.db", temp.path);
	for (int64_t statement = 1; statement <= 3 * STATEMENTS_PER_PAIR; statement++)
		expect_consistent_after(path, statement, 0);
}

static void killed_at_any_moment(void **state)
{
	(void)state;
	AUTO(temp_remove) struct temp temp = temp_make();
	char path[128];
	snprintf(path, sizeof(path), "%s/state.db", temp.path);
	for (int64_t pairs = 1; pairs <= 20; pairs++)
		expect_consistent_after(path, 0, pairs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_between_statements),
		cmocka_unit_test(killed_at_any_moment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
