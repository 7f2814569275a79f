/* The database as the rest of the program sees it: statements whose mistakes
 * surface once, at the step, and transactions that cannot be left open. What
 * differs between engines is in the engine's file, not here. */
#include "db/db.h"

#include "db/internal.h"

#include "base/fault.h"

enum { PARAMETERS_MAX = 64 };

struct db_stmt {
	struct db *db;
	struct db_cursor *cursor;
	int parameter_count;
	uint64_t bound;	     /* one bit a parameter */
	bool bind_failed;    /* reported by the next step */
	bool has_row;	     /* columns may be read */
	struct err bind_err; /* why */
};

int db_open(const char *location, struct db **db_out, struct err *err)
{
	/* The one engine so far; with a second, the location's scheme decides. */
	const struct db_engine *engine = &db_engine_sqlite;
	struct db_connection *connection = NULL;
	if (engine->open(location, &connection, err))
		return -1;

	struct db *db = mem_alloc(sizeof(*db));
	db->engine = engine;
	db->connection = connection;
	db->location = mem_strdup(location);
	*db_out = db;
	return 0;
}

void db_close(struct db **db)
{
	if (!*db)
		return;
	ASSERT(!(*db)->in_transaction);
	ASSERT((*db)->open_statements == 0);
	(*db)->engine->close((*db)->connection);
	free((*db)->location);
	free(*db);
	*db = NULL;
}

const char *db_location(const struct db *db)
{
	return db->location;
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	return db->engine->exec(db->connection, sql, err);
}

int64_t db_changes(struct db *db)
{
	return db->engine->changes(db->connection);
}

/* ---- statements ---- */

int db_query(struct db *db, struct db_stmt **stmt_out, const char *sql, struct err *err)
{
	struct db_cursor *cursor = NULL;
	if (db->engine->prepare(db->connection, sql, &cursor, err))
		return -1;

	struct db_stmt *stmt = mem_alloc(sizeof(*stmt));
	stmt->db = db;
	stmt->cursor = cursor;
	stmt->parameter_count = db->engine->parameter_count(cursor);
	ASSERT(stmt->parameter_count <= PARAMETERS_MAX);
	db->open_statements++;
	*stmt_out = stmt;
	return 0;
}

void db_finish(struct db_stmt **stmt)
{
	if (!*stmt)
		return;
	struct db *db = (*stmt)->db;
	db->engine->finish((*stmt)->cursor);
	db->open_statements--;
	free(*stmt);
	*stmt = NULL;
}

static int find_parameter(struct db_stmt *stmt, const char *name)
{
	int parameter = stmt->db->engine->parameter_find(stmt->cursor, name);
	ASSERT(parameter >= 0 && parameter < stmt->parameter_count);
	stmt->bound |= UINT64_C(1) << parameter;
	return parameter;
}

static int check_text(const char *name, struct slice text, struct err *err)
{
	if (text.len > DB_TEXT_MAX)
		return err_set(err, ERR_INTERNAL, "%s is %zu bytes long; the database takes at most %d",
			       name + 1, text.len, (int)DB_TEXT_MAX);
	if (!slice_is_utf8(text) || slice_find(text, '\0') >= 0)
		return err_set(err, ERR_INTERNAL, "%s is not UTF-8 text", name + 1);
	return 0;
}

static void note_bind(struct db_stmt *stmt, int status)
{
	if (status)
		stmt->bind_failed = true;
}

void db_bind_text(struct db_stmt *stmt, const char *name, struct slice text)
{
	if (!text.ptr) {
		db_bind_null(stmt, name);
		return;
	}
	int parameter = find_parameter(stmt, name);
	if (stmt->bind_failed)
		return; /* the first mistake is the one to report */
	if (check_text(name, text, &stmt->bind_err)) {
		stmt->bind_failed = true;
		return;
	}
	note_bind(stmt, stmt->db->engine->bind_text(stmt->cursor, parameter, text, &stmt->bind_err));
}

void db_bind_str(struct db_stmt *stmt, const char *name, const char *text)
{
	db_bind_text(stmt, name, slice_of(text));
}

void db_bind_int(struct db_stmt *stmt, const char *name, int64_t number)
{
	int parameter = find_parameter(stmt, name);
	if (!stmt->bind_failed)
		note_bind(stmt, stmt->db->engine->bind_int(stmt->cursor, parameter, number, &stmt->bind_err));
}

void db_bind_null(struct db_stmt *stmt, const char *name)
{
	int parameter = find_parameter(stmt, name);
	if (!stmt->bind_failed)
		note_bind(stmt, stmt->db->engine->bind_null(stmt->cursor, parameter, &stmt->bind_err));
}

static bool all_bound(const struct db_stmt *stmt)
{
	uint64_t all = stmt->parameter_count == PARAMETERS_MAX ? UINT64_MAX
							       : (UINT64_C(1) << stmt->parameter_count) - 1;
	return stmt->bound == all;
}

int db_step(struct db_stmt *stmt, struct err *err)
{
	ASSERT(all_bound(stmt));
	stmt->has_row = false;
	if (stmt->bind_failed) {
		*err = stmt->bind_err;
		return -1;
	}
	int got = stmt->db->engine->step(stmt->cursor, err);
	stmt->has_row = got > 0;
	return got;
}

void db_reset(struct db_stmt *stmt)
{
	stmt->db->engine->reset(stmt->cursor);
	stmt->has_row = false;
	stmt->bind_failed = false;
}

static int find_column(struct db_stmt *stmt, const char *name)
{
	ASSERT(stmt->has_row);
	int column = stmt->db->engine->column_find(stmt->cursor, name);
	ASSERT(column >= 0);
	return column;
}

const char *db_column_text(struct db_stmt *stmt, const char *name, struct arena *arena)
{
	int column = find_column(stmt, name);
	if (stmt->db->engine->column_is_null(stmt->cursor, column))
		return NULL;
	return arena_str(arena, stmt->db->engine->column_text(stmt->cursor, column));
}

int64_t db_column_int(struct db_stmt *stmt, const char *name)
{
	return stmt->db->engine->column_int(stmt->cursor, find_column(stmt, name));
}

bool db_column_is_null(struct db_stmt *stmt, const char *name)
{
	return stmt->db->engine->column_is_null(stmt->cursor, find_column(stmt, name));
}

/* ---- statements in one call ---- */

void db_bind_all(struct db_stmt *stmt, const struct db_bind *binds)
{
	for (const struct db_bind *bind = binds; bind && bind->name; bind++) {
		if (bind->is_number)
			db_bind_int(stmt, bind->name, bind->number);
		else
			db_bind_text(stmt, bind->name, bind->text);
	}
}

int db_query_bound(struct db *db, struct db_stmt **stmt_out, const char *sql, const struct db_bind *binds,
		   struct err *err)
{
	if (db_query(db, stmt_out, sql, err))
		return -1;
	db_bind_all(*stmt_out, binds);
	return 0;
}

int db_exec_bound(struct db *db, const char *sql, const struct db_bind *binds, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt, sql, binds, err))
		return -1;
	int got;
	while ((got = db_step(stmt, err)) > 0)
		continue;
	return got;
}

/* ---- transactions ---- */

int db_begin(struct db *db, struct db_transaction *transaction, struct err *err)
{
	ASSERT(!transaction->db && !db->in_transaction);
	if (fault_point("db.begin", err) || db->engine->begin(db->connection, err))
		return -1;
	db->in_transaction = true;
	transaction->db = db;
	return 0;
}

int db_commit(struct db_transaction *transaction, struct err *err)
{
	struct db *db = transaction->db;
	ASSERT(db && db->in_transaction);
	if (fault_point("db.commit", err) || db->engine->commit(db->connection, err)) {
		db_end(transaction);
		return -1;
	}
	db->in_transaction = false;
	transaction->db = NULL;
	fault_mark("db.committed");
	return 0;
}

void db_end(struct db_transaction *transaction)
{
	struct db *db = transaction->db;
	if (!db)
		return;
	db->engine->rollback(db->connection);
	db->in_transaction = false;
	transaction->db = NULL;
}
