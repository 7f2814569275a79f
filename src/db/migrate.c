/* Brings a schema up to date, one numbered step and one transaction after the
 * other. Which steps there are is not decided here. */
#include "db/internal.h"

#include "base/clock.h"

static void check_rows(const struct db_migration *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ASSERT(rows[i].number == (int)i + 1 && rows[i].name && rows[i].name[0]);
}

int db_schema_number(struct db *db, int *number_out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_exec(db, db->engine->migration_table_sql, err) ||
	    db_query(db, &stmt, "select coalesce(max(number), 0) as number from schema_migration", err))
		return -1;
	int got = db_step(stmt, err);
	if (got < 0)
		return -1;
	ASSERT(got == 1);
	*number_out = (int)db_column_int(stmt, "number");
	return 0;
}

static int refuse_newer(struct db *db, int number, size_t known, struct err *err)
{
	err_set(err, ERR_CONFLICT,
		"%s was written by a newer lockstep: its schema is number %d, this program knows up to %zu",
		db->location, number, known);
	return err_hint(err, "install the newer lockstep, or point LOCKSTEP_HOME at another folder");
}

/* A step of the same number under another name would mean that the tables are not
 * what this program thinks they are. */
static int check_history(struct db *db, const struct db_migration *rows, size_t count, int *done_out,
			 struct err *err)
{
	int done;
	if (db_schema_number(db, &done, err))
		return -1;
	if (done < 0 || (size_t)done > count)
		return refuse_newer(db, done, count, err);

	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query(db, &stmt, "select number, name from schema_migration order by number", err))
		return -1;
	int got;
	int expected = 1;
	while ((got = db_step(stmt, err)) > 0) {
		int64_t number = db_column_int(stmt, "number");
		const char *name = db_column_text(stmt, "name", &arena);
		if (number < 1 || (size_t)number > count)
			return refuse_newer(db, (int)number, count, err);
		if (number != expected || strcmp(name, rows[number - 1].name) != 0) {
			err_set(err, ERR_CONFLICT,
				"%s was written by a different lockstep: schema step %d there is \"%s\"",
				db->location, (int)number, name);
			return err_hint(err, "use the lockstep that wrote it, or point LOCKSTEP_HOME at "
					     "another folder");
		}
		expected++;
	}
	*done_out = done;
	return got;
}

/* One step, unless another process has done it meanwhile. */
static int migrate_next(struct db *db, const struct db_migration *rows, size_t count, int *done,
			struct err *err)
{
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	if (db_begin(db, &transaction, err))
		return -1;
	int before = *done;
	if (check_history(db, rows, count, done, err))
		return -1;
	if (*done != before)
		return 0;

	const struct db_migration *row = &rows[*done];
	if (db_exec(db, db->engine->migration_sql(row), err) ||
	    db_exec_bound(db,
			  "insert into schema_migration (number, name, applied_ms) "
			  "values (:number, :name, :applied_ms)",
			  DB_BINDS(DB_INT(":number", row->number), DB_STR(":name", row->name),
				   DB_INT(":applied_ms", clock_wall_ms())),
			  err) ||
	    db_commit(&transaction, err))
		return err_wrap(err, "schema step %d (%s)", row->number, row->name);
	*done = row->number;
	return 0;
}

int db_migrate(struct db *db, const struct db_migration *rows, size_t count, struct err *err)
{
	check_rows(rows, count);
	int done;
	if (check_history(db, rows, count, &done, err))
		return -1;
	while ((size_t)done < count)
		if (migrate_next(db, rows, count, &done, err))
			return -1;
	return 0;
}
