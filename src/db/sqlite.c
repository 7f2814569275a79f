/* SQLite: WAL, so that readers never wait for a writer; synchronous=FULL, so that
 * what was committed survives a power cut; foreign keys on. The file is 0600 and
 * ours, and marked as lockstep's, so that no other program's database is ever
 * changed. Not here: any table. */
#include "db/engine.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

/* "lkst": in the file's header, see PRAGMA application_id. */
enum { APPLICATION_ID = 0x6c6b7374 };
enum { RETRY_WAIT_MS = 5 };

#define CACHE_HINT "it is a cache: deleting it loses history on this machine, never the truth about servers"

struct db_connection {
	sqlite3 *handle;
	char *path;
};

struct db_cursor {
	struct db_connection *connection;
	sqlite3_stmt *stmt;
};

/* ---- errors ---- */

static int fail_damaged(const char *path, const char *why, struct err *err)
{
	err_set(err, ERR_INTERNAL, "%s is damaged, or no database at all (%s)", path, why);
	return err_hint(err, "move %s, %s-wal and %s-shm away and run again; " CACHE_HINT, path, path, path);
}

static int fail_readonly(const char *path, const char *why, struct err *err)
{
	err_set(err, ERR_DENIED, "%s cannot be written (%s)", path, why);
	return err_hint(err, "make the folder and the file writable for you, or point LOCKSTEP_HOME at a "
			     "folder on a disk that is");
}

static int fail_full(const char *path, struct err *err)
{
	err_set(err, ERR_INTERNAL, "no room to write %s: the disk or your quota is full", path);
	return err_hint(err,
			"free some space (`lockstep store gc` does when releases pile up) and run again; "
			"nothing of what was being recorded is half there");
}

/* What went wrong last on this connection, in words. */
static int fail(const struct db_connection *connection, struct err *err)
{
	const char *path = connection->path;
	const char *why = sqlite3_errmsg(connection->handle);
	int system_errno = sqlite3_system_errno(connection->handle);
	switch (sqlite3_extended_errcode(connection->handle) & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return fail_damaged(path, why, err);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return fail_readonly(path, why, err);
	case SQLITE_FULL:
		return fail_full(path, err);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		err_set(err, ERR_CONFLICT, "%s was in use by another process for more than %d s", path,
			DB_BUSY_TIMEOUT_MS / 1000);
		return err_hint(err,
				"run again; if it stays so, look for a stopped lockstep process "
				"(fuser %s)",
				path);
	case SQLITE_CONSTRAINT:
		return err_set(err, ERR_CONFLICT, "%s refuses a row: %s", path, why);
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		if (system_errno == ENOSPC || system_errno == EDQUOT)
			return fail_full(path, err);
		err_set(err, ERR_INTERNAL, "%s: %s%s%s", path, why, system_errno ? ": " : "",
			system_errno ? strerror(system_errno) : "");
		return err_hint(err, "look at the disk and the permissions of its folder; " CACHE_HINT);
	case SQLITE_NOMEM:
		return err_set(err, ERR_INTERNAL, "%s: out of memory", path);
	default:
		return err_set(err, ERR_INTERNAL, "%s: %s", path, why);
	}
}

/* ---- opening ---- */

/* SQLite gives its -wal and -shm files the mode of the database, so this one
 * decides for all. An existing file is never opened here: closing the descriptor
 * would drop the locks another connection of this process holds (fcntl(2)). */
static int prepare_file(const char *path, struct err *err)
{
	AUTO(close_fd) int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		return 0;
	if (errno == EROFS)
		return fail_readonly(path, "the disk is mounted read-only", err);
	if (errno == EACCES)
		return fail_readonly(path, strerror(errno), err);
	if (errno == ENOSPC || errno == EDQUOT)
		return fail_full(path, err);
	if (errno != EEXIST)
		return err_errno(err, "cannot create %s", path);

	struct stat st;
	if (stat(path, &st))
		return err_errno(err, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_USER, "%s should be a database and is no file", path);
		return err_hint(err, "move it away and run again");
	}
	if (st.st_uid != geteuid()) {
		err_set(err, ERR_DENIED, "%s belongs to another user (number %lu)", path,
			(unsigned long)st.st_uid);
		return err_hint(err, "run as that user, or point LOCKSTEP_HOME at a folder of your own");
	}
	if ((st.st_mode & 077) && chmod(path, 0600))
		return err_errno(err, "cannot take %s from other users", path);
	return 0;
}

/* The one number a pragma or query gives. SQLite's code, not ours. */
static int read_number(sqlite3 *handle, const char *sql, int *out)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*out = sqlite3_column_int(stmt, 0);
	int finished = sqlite3_finalize(stmt);
	return code == SQLITE_ROW ? SQLITE_OK : finished;
}

static int switch_to_wal(sqlite3 *handle, bool *is_wal_out)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(handle, "pragma journal_mode = wal", -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*is_wal_out = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
	int finished = sqlite3_finalize(stmt);
	return code == SQLITE_ROW ? SQLITE_OK : finished;
}

/* An empty file becomes ours; a file with another program's tables is left alone.
 * The tables are counted before the mark is read: whoever creates tables has set
 * the mark before. */
static int claim_file(sqlite3 *handle, bool *foreign_out)
{
	int tables = 0;
	int id = 0;
	int code = read_number(handle, "select count(*) from sqlite_schema", &tables);
	if (code == SQLITE_OK)
		code = read_number(handle, "pragma application_id", &id);
	*foreign_out = code == SQLITE_OK && id != APPLICATION_ID && (id != 0 || tables > 0);
	if (code != SQLITE_OK || *foreign_out || id == APPLICATION_ID)
		return code;
	char pragma[64];
	sqlite3_snprintf(sizeof(pragma), pragma, "pragma application_id = %d", APPLICATION_ID);
	return sqlite3_exec(handle, pragma, NULL, NULL, NULL);
}

/* SQLite does not wait for its busy timeout where two processes turn to WAL at
 * the same time, so this does. */
static int settle(struct db_connection *connection, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + DB_BUSY_TIMEOUT_MS;
	bool foreign = false;
	bool is_wal = false;
	for (;;) {
		int code = claim_file(connection->handle, &foreign);
		if (code == SQLITE_OK && !foreign)
			code = switch_to_wal(connection->handle, &is_wal);
		if (code == SQLITE_OK)
			break;
		if ((code & 0xff) != SQLITE_BUSY || clock_mono_ms() >= until_ms)
			return fail(connection, err);
		usleep(RETRY_WAIT_MS * 1000);
	}
	if (foreign) {
		err_set(err, ERR_USER, "%s is a database of another program", connection->path);
		return err_hint(err, "point LOCKSTEP_HOME at a folder of its own");
	}
	if (!is_wal) {
		err_set(err, ERR_INTERNAL, "%s: this file system cannot share memory between processes",
			connection->path);
		return err_hint(err, "point LOCKSTEP_HOME at a local disk (not NFS or SMB)");
	}
	return 0;
}

static int sqlite_exec(struct db_connection *connection, const char *sql, struct err *err)
{
	if (sqlite3_exec(connection->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(connection, err);
	return 0;
}

static int configure(struct db_connection *connection, struct err *err)
{
	sqlite3 *handle = connection->handle;
	sqlite3_extended_result_codes(handle, 1);
	sqlite3_busy_timeout(handle, DB_BUSY_TIMEOUT_MS);
	/* A misspelt column must be an error, not a string; and a file that somebody
	 * tampered with must not run code. */
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);

	if (sqlite3_db_readonly(handle, "main") == 1)
		return fail_readonly(connection->path, "permissions or a read-only disk", err);
	if (settle(connection, err))
		return -1;
	/* What is deleted is overwritten: sealed copies of revoked secrets. */
	return sqlite_exec(connection,
			   "pragma synchronous = full; pragma foreign_keys = on; "
			   "pragma cell_size_check = on; pragma secure_delete = on",
			   err);
}

static void sqlite_close(struct db_connection *connection)
{
	int code = sqlite3_close(connection->handle);
	ASSERT(code == SQLITE_OK);
	free(connection->path);
	free(connection);
}

static int sqlite_open(const char *location, struct db_connection **out, struct err *err)
{
	ASSERT(location[0] == '/'); /* nothing SQLite gives a meaning of its own, such as ":memory:" */
	if (prepare_file(location, err))
		return -1;

	struct db_connection *connection = mem_alloc(sizeof(*connection));
	connection->path = mem_strdup(location);
	int code = sqlite3_open_v2(location, &connection->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				   NULL);
	int status = code == SQLITE_OK ? configure(connection, err) : fail(connection, err);
	if (status) {
		sqlite_close(connection);
		return -1;
	}
	*out = connection;
	return 0;
}

/* ---- statements ---- */

static int64_t sqlite_changes(struct db_connection *connection)
{
	return sqlite3_changes64(connection->handle);
}

static int sqlite_prepare(struct db_connection *connection, const char *sql, struct db_cursor **out,
			  struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *tail = NULL;
	if (sqlite3_prepare_v2(connection->handle, sql, -1, &stmt, &tail) != SQLITE_OK)
		return fail(connection, err);
	ASSERT(stmt && tail && *tail == '\0'); /* exactly one statement */

	struct db_cursor *cursor = mem_alloc(sizeof(*cursor));
	cursor->connection = connection;
	cursor->stmt = stmt;
	*out = cursor;
	return 0;
}

static int sqlite_parameter_count(struct db_cursor *cursor)
{
	return sqlite3_bind_parameter_count(cursor->stmt);
}

static int sqlite_parameter_find(struct db_cursor *cursor, const char *name)
{
	return sqlite3_bind_parameter_index(cursor->stmt, name) - 1;
}

static int sqlite_bind_text(struct db_cursor *cursor, int parameter, struct slice text, struct err *err)
{
	int code = sqlite3_bind_text64(cursor->stmt, parameter + 1, text.ptr, text.len, SQLITE_TRANSIENT,
				       SQLITE_UTF8);
	return code == SQLITE_OK ? 0 : fail(cursor->connection, err);
}

static int sqlite_bind_int(struct db_cursor *cursor, int parameter, int64_t number, struct err *err)
{
	return sqlite3_bind_int64(cursor->stmt, parameter + 1, number) == SQLITE_OK
		       ? 0
		       : fail(cursor->connection, err);
}

static int sqlite_bind_null(struct db_cursor *cursor, int parameter, struct err *err)
{
	return sqlite3_bind_null(cursor->stmt, parameter + 1) == SQLITE_OK ? 0
									   : fail(cursor->connection, err);
}

static int sqlite_step(struct db_cursor *cursor, struct err *err)
{
	switch (sqlite3_step(cursor->stmt)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return fail(cursor->connection, err);
	}
}

static int sqlite_column_find(struct db_cursor *cursor, const char *name)
{
	for (int i = 0; i < sqlite3_column_count(cursor->stmt); i++)
		if (strcmp(sqlite3_column_name(cursor->stmt, i), name) == 0)
			return i;
	return -1;
}

static bool sqlite_column_is_null(struct db_cursor *cursor, int column)
{
	return sqlite3_column_type(cursor->stmt, column) == SQLITE_NULL;
}

static struct slice sqlite_column_text(struct db_cursor *cursor, int column)
{
	/* The text first: asking for it may change the type and with it the length. */
	const void *text = sqlite3_column_text(cursor->stmt, column);
	return slice_make(text, (size_t)sqlite3_column_bytes(cursor->stmt, column));
}

static int64_t sqlite_column_int(struct db_cursor *cursor, int column)
{
	return sqlite3_column_int64(cursor->stmt, column);
}

static void sqlite_reset(struct db_cursor *cursor)
{
	sqlite3_reset(cursor->stmt); /* its result repeats that of the last step */
}

static void sqlite_finish(struct db_cursor *cursor)
{
	sqlite3_finalize(cursor->stmt); /* as above */
	free(cursor);
}

/* ---- transactions ---- */

static int sqlite_begin(struct db_connection *connection, struct err *err)
{
	return sqlite_exec(connection, "begin immediate", err);
}

static int sqlite_commit(struct db_connection *connection, struct err *err)
{
	return sqlite_exec(connection, "commit", err);
}

static void sqlite_rollback(struct db_connection *connection)
{
	/* After some errors (disk full, I/O) SQLite has rolled back by itself. */
	if (!sqlite3_get_autocommit(connection->handle))
		sqlite3_exec(connection->handle, "rollback", NULL, NULL, NULL);
}

static const char *sqlite_migration_sql(const struct db_migration *row)
{
	return row->sql_sqlite;
}

const struct db_engine db_engine_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.exec = sqlite_exec,
	.changes = sqlite_changes,
	.prepare = sqlite_prepare,
	.parameter_count = sqlite_parameter_count,
	.parameter_find = sqlite_parameter_find,
	.bind_text = sqlite_bind_text,
	.bind_int = sqlite_bind_int,
	.bind_null = sqlite_bind_null,
	.step = sqlite_step,
	.column_find = sqlite_column_find,
	.column_is_null = sqlite_column_is_null,
	.column_text = sqlite_column_text,
	.column_int = sqlite_column_int,
	.reset = sqlite_reset,
	.finish = sqlite_finish,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.migration_sql = sqlite_migration_sql,
	.migration_table_sql = "create table if not exists schema_migration ("
			       " number integer primary key,"
			       " name text not null,"
			       " applied_ms integer not null) strict",
};
