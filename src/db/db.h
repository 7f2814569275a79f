/* The database: opening, statements, transactions, numbered schema migrations.
 * What an engine must be able to do stands in db/engine.h; SQLite is the one there
 * is. Not here: any table of the program's (those are src/model).
 *
 * A handle belongs to one thread of one process; it is not carried over fork.
 * A transaction never spans network, file or child process I/O: gather first,
 * then write.
 *
 *	AUTO(db_finish) struct db_stmt *stmt = NULL;
 *	if (db_query(db, &stmt, "select name from server where place = :place", err))
 *		return -1;
 *	db_bind_text(stmt, ":place", slice_of(place));
 *	int got;
 *	while ((got = db_step(stmt, err)) > 0)
 *		add(list, db_column_text(stmt, "name", arena));
 *	return got;
 *
 * Statements are the same for every engine: no `?`, no engine's own functions.
 * Names of parameters and columns are the program's own, so that a wrong one is an
 * assert, not an error. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct db;
struct db_stmt;

/* How long a statement waits for another process before it is ERR_CONFLICT. */
enum { DB_BUSY_TIMEOUT_MS = 10000 };
/* A longer text is refused; what is larger belongs into a file. */
enum { DB_TEXT_MAX = 1 << 20 };

/* One step of the schema. Numbers start at 1 and have no gaps; a row that was
 * ever released is never edited. */
struct db_migration {
	int number;
	const char *name;	/* a few words: "releases and deployments" */
	const char *sql_sqlite; /* one or more statements */
};

/* `location`: the path of an SQLite file, created with mode 0600 when missing.
 * Errors name the path and say what to do: ERR_DENIED (not ours, read-only),
 * ERR_USER (not a database of this program), ERR_INTERNAL (damaged, disk full),
 * ERR_CONFLICT (busy). */
int db_open(const char *location, struct db **db_out, struct err *err) CHECKED;
void db_close(struct db **db); /* cleanup function; all statements must be finished */

/* Brings the schema up to the last of `rows`, each step in a transaction of its
 * own and recorded in `schema_migration`. Many processes may do this at once. A
 * database with steps this program does not know is refused (ERR_CONFLICT) and
 * left as it is. */
int db_migrate(struct db *db, const struct db_migration *rows, size_t count, struct err *err) CHECKED;
/* The number of the last step done; 0 for an empty database. */
int db_schema_number(struct db *db, int *number_out, struct err *err) CHECKED;

const char *db_location(const struct db *db);

/* ---- statements ---- */

int db_query(struct db *db, struct db_stmt **stmt_out, const char *sql, struct err *err) CHECKED;
void db_finish(struct db_stmt **stmt); /* cleanup function */

/* `name` as in the statement, with its colon. A slice without ptr (and a NULL
 * string) is null. Values are copied. Text must be UTF-8 without NUL, at most
 * DB_TEXT_MAX bytes: what a bind cannot take is reported by the next db_step. */
void db_bind_text(struct db_stmt *stmt, const char *name, struct slice text);
void db_bind_str(struct db_stmt *stmt, const char *name, const char *text);
void db_bind_int(struct db_stmt *stmt, const char *name, int64_t number);
void db_bind_null(struct db_stmt *stmt, const char *name);

/* 1: there is a row; 0: no more; -1: err. Asserts that every parameter is bound. */
int db_step(struct db_stmt *stmt, struct err *err) CHECKED;
/* Makes the statement ready for other values (bindings are kept). */
void db_reset(struct db_stmt *stmt);

/* Of the current row. Null gives NULL and 0. */
const char *db_column_text(struct db_stmt *stmt, const char *name, struct arena *arena);
int64_t db_column_int(struct db_stmt *stmt, const char *name);
bool db_column_is_null(struct db_stmt *stmt, const char *name);

/* ---- statements in one call ---- */

struct db_bind {
	const char *name; /* NULL ends the list */
	struct slice text;
	int64_t number;
	bool is_number;
};
#define DB_TEXT(bind_name, slice_value) ((struct db_bind){.name = (bind_name), .text = (slice_value)})
#define DB_STR(bind_name, string) DB_TEXT(bind_name, slice_of(string))
#define DB_INT(bind_name, value) ((struct db_bind){.name = (bind_name), .number = (value), .is_number = true})
/* DB_BINDS(DB_STR(":id", id), DB_INT(":at", now_ms)) */
#define DB_BINDS(...) ((const struct db_bind[]){__VA_ARGS__, (struct db_bind){0}})

void db_bind_all(struct db_stmt *stmt, const struct db_bind *binds); /* NULL: nothing */
/* db_query and db_bind_all. */
int db_query_bound(struct db *db, struct db_stmt **stmt_out, const char *sql, const struct db_bind *binds,
		   struct err *err) CHECKED;
/* Runs to the end; rows are dropped. `binds` may be NULL. */
int db_exec_bound(struct db *db, const char *sql, const struct db_bind *binds, struct err *err) CHECKED;
/* Rows changed by the last insert, update or delete. */
int64_t db_changes(struct db *db);
/* Several statements without parameters, such as a migration's. */
int db_exec(struct db *db, const char *sql, struct err *err) CHECKED;

/* ---- transactions ---- */

/*	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
 *	if (db_begin(db, &transaction, err) || ...)
 *		return -1;
 *	return db_commit(&transaction, err); */
struct db_transaction {
	struct db *db; /* NULL: none is open */
};
#define DB_TRANSACTION_INIT ((struct db_transaction){NULL})

/* Takes the write lock at once (waits for DB_BUSY_TIMEOUT_MS), so that nothing
 * that was read can be outdated when it is written. They do not nest. */
int db_begin(struct db *db, struct db_transaction *transaction, struct err *err) CHECKED;
/* On return of 0 it is durable. On -1 nothing of it is there. */
int db_commit(struct db_transaction *transaction, struct err *err) CHECKED;
void db_end(struct db_transaction *transaction); /* cleanup function: rolls back what is open */
