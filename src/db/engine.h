/* What a database engine must be able to do: one const struct in a file of its
 * own. Only db.c and the engines include this. Error text is the engine's job up
 * to naming the database and the cause; db.c adds nothing. */
#pragma once

#include "db/db.h"

struct db_connection; /* each engine defines its own */
struct db_cursor;

struct db_engine {
	const char *name;
	/* Everything up to a connection on which statements can run. */
	int (*open)(const char *location, struct db_connection **out, struct err *err) CHECKED;
	void (*close)(struct db_connection *connection);

	int (*exec)(struct db_connection *connection, const char *sql, struct err *err) CHECKED;
	int64_t (*changes)(struct db_connection *connection);

	int (*prepare)(struct db_connection *connection, const char *sql, struct db_cursor **out,
		       struct err *err) CHECKED;
	int (*parameter_count)(struct db_cursor *cursor);
	int (*parameter_find)(struct db_cursor *cursor, const char *name); /* 0-based; -1: none */
	int (*bind_text)(struct db_cursor *cursor, int parameter, struct slice text, struct err *err) CHECKED;
	int (*bind_int)(struct db_cursor *cursor, int parameter, int64_t number, struct err *err) CHECKED;
	int (*bind_null)(struct db_cursor *cursor, int parameter, struct err *err) CHECKED;
	int (*step)(struct db_cursor *cursor, struct err *err) CHECKED; /* as db_step */
	int (*column_find)(struct db_cursor *cursor, const char *name); /* 0-based; -1: none */
	bool (*column_is_null)(struct db_cursor *cursor, int column);
	struct slice (*column_text)(struct db_cursor *cursor, int column); /* valid until the next step */
	int64_t (*column_int)(struct db_cursor *cursor, int column);
	void (*reset)(struct db_cursor *cursor);
	void (*finish)(struct db_cursor *cursor);

	int (*begin)(struct db_connection *connection, struct err *err) CHECKED;
	int (*commit)(struct db_connection *connection, struct err *err) CHECKED;
	void (*rollback)(struct db_connection *connection);

	/* The text of a schema step for this engine. */
	const char *(*migration_sql)(const struct db_migration *row);
	/* Creates the table `schema_migration` when it is missing. */
	const char *migration_table_sql;
};

extern const struct db_engine db_engine_sqlite;
