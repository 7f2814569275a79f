/* A foreign SQLite schema in memory. The statements are hostile until shown otherwise: an
 * authorizer lets them create and nothing else, no extension, no function of the schema's
 * choosing, bounded in size and steps. */
#include "db/catalog_internal.h"

#include "base/arena.h"

#include <sqlite3.h>
#include <strings.h>

enum { STEPS = 1000, STEP_CALLS_MAX = 100000, SQL_MAX = 1 << 20 };

static int count_steps(void *context)
{
	struct catalog *catalog = context;

	return ++catalog->bytes > STEP_CALLS_MAX;
}

static int allow_creating(void *context, int action, const char *a, const char *b, const char *c,
			  const char *d)
{
	(void)context;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_VIEW:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_INSERT: /* of sqlite_schema, by the statements above */
	case SQLITE_UPDATE:
	case SQLITE_READ:
	case SQLITE_REINDEX:
	case SQLITE_FUNCTION:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

/* One CREATE statement, and nothing behind it. */
static int create(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	const char *tail = NULL;

	if (strncasecmp(sql, "create ", 7) != 0 || strlen(sql) > SQL_MAX)
		return SQLITE_AUTH;
	int code = sqlite3_prepare_v2(handle, sql, -1, &stmt, &tail);
	if (code == SQLITE_OK && (!stmt || tail[strspn(tail, " \t\r\n;")] != '\0'))
		code = SQLITE_AUTH;
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	return code;
}

static void set_limits(sqlite3 *handle)
{
	sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 4 << 20);
	sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX);
	sqlite3_limit(handle, SQLITE_LIMIT_EXPR_DEPTH, 200);
	sqlite3_limit(handle, SQLITE_LIMIT_COMPOUND_SELECT, 100);
	sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(handle, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
	sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
}

int catalog_open_memory(struct arena *arena, struct catalog_statement *rows, size_t count,
			struct catalog **out, struct err *err)
{
	const struct catalog_spec spec = {
		.time_ms = 600000, .statement_ms = 600000, .bytes_max = SIZE_MAX, .carrier_fd = -1};
	struct catalog *catalog = catalog_new(&catalog_sqlite, &spec);
	sqlite3 *handle = NULL;

	*out = catalog;
	int code = sqlite3_open_v2(
		":memory:", &handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
	catalog->handle = handle;
	if (code != SQLITE_OK) {
		catalog_close(out);
		return err_set(err, ERR_INTERNAL, "a database in memory cannot be made");
	}
	set_limits(handle);
	sqlite3_progress_handler(handle, STEPS, count_steps, catalog);
	sqlite3_set_authorizer(handle, allow_creating, NULL);
	for (size_t i = 0; i < count; i++)
		if (create(handle, rows[i].sql) != SQLITE_DONE)
			rows[i].why =
				arena_strdup(arena, sqlite3_errcode(handle) == SQLITE_OK
							    ? "it is no statement that creates something"
							    : sqlite3_errmsg(handle));
	/* From here on only our own questions are asked, and pragmas run nothing of the schema. */
	sqlite3_set_authorizer(handle, NULL, NULL);
	return 0;
}

static int sqlite_rows(struct catalog *catalog, const char *sql, catalog_row *row, void *context,
		       struct err *err)
{
	struct slice values[CATALOG_COLUMNS_MAX];
	sqlite3_stmt *stmt = NULL;
	int status = 0, code;

	catalog->bytes = 0;
	if (sqlite3_prepare_v2(catalog->handle, sql, -1, &stmt, NULL) != SQLITE_OK)
		return err_set(err, ERR_INTERNAL, "%s", sqlite3_errmsg(catalog->handle));
	int columns = sqlite3_column_count(stmt);
	ASSERT(columns <= CATALOG_COLUMNS_MAX);
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW && status == 0) {
		for (int i = 0; i < columns; i++) {
			const void *text = sqlite3_column_text(stmt, i);
			values[i] = slice_make(text, text ? (size_t)sqlite3_column_bytes(stmt, i) : 0);
		}
		status = row(context, values, (size_t)columns, err);
	}
	if (status == 0 && code != SQLITE_DONE)
		status = err_set(err, ERR_INTERNAL, "%s", sqlite3_errmsg(catalog->handle));
	sqlite3_finalize(stmt);
	return status;
}

static void sqlite_end(struct catalog *catalog)
{
	sqlite3_close(catalog->handle);
	catalog_free(catalog);
}

static int not_opened(const struct catalog_spec *spec, struct catalog **out, struct err *err)
{
	(void)spec;
	(void)out;
	return err_set(err, ERR_INTERNAL, "an SQLite file is not opened but read");
}

const struct catalog_engine catalog_sqlite = {
	.name = "sqlite",
	.open = not_opened,
	.query = sqlite_rows,
	.close = sqlite_end,
};
