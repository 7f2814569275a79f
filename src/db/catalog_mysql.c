/* MySQL and MariaDB by libmariadb, through its calls that do not block, so that our time
 * limits hold and a carrier is served. Not allowed to the server: to ask for a local file,
 * or for the password in clear. */
#include "db/catalog_internal.h"

#include <mysql.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { GRACE_MS = 3000 };

static enum err_code code_of(unsigned number)
{
	switch (number) {
	case 1044: /* ER_DBACCESS_DENIED_ERROR */
	case 1045: /* ER_ACCESS_DENIED_ERROR */
	case 1142: /* ER_TABLEACCESS_DENIED_ERROR */
	case 1143: /* ER_COLUMNACCESS_DENIED_ERROR */
	case 1227: /* ER_SPECIFIC_ACCESS_DENIED_ERROR */
	case 1370: /* ER_PROCACCESS_DENIED_ERROR */
	case 1698: /* ER_ACCESS_DENIED_NO_PASSWORD_ERROR */
	case 3118: /* ER_ACCOUNT_HAS_BEEN_LOCKED */
	case 2061: /* CR_AUTH_PLUGIN_ERR */
		return ERR_DENIED;
	case 1049: /* ER_BAD_DB_ERROR */
		return ERR_USER;
	case 1205: /* ER_LOCK_WAIT_TIMEOUT */
		return ERR_CONFLICT;
	case 1969: /* MariaDB's ER_STATEMENT_TIMEOUT */
	case 3024: /* MySQL's ER_QUERY_TIMEOUT */
		return ERR_GATE;
	default:
		return number >= 2000 && number < 2100 ? ERR_NETWORK : ERR_INTERNAL;
	}
}

static int fail(struct catalog *catalog, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);
	unsigned number = mysql_errno(catalog->handle);
	enum err_code code = code_of(number);

	catalog->lost |= code == ERR_NETWORK;
	return err_set(err, code, "%s", catalog_message(catalog, mysql_error(catalog->handle), &text));
}

/* Waits as one of the library's calls wants; *status is what its _cont call is given. */
static int wait_for(struct catalog *catalog, int *status, int64_t until_ms, struct err *err)
{
	short events = 0, got = 0;

	if (*status & MYSQL_WAIT_READ)
		events |= POLLIN;
	if (*status & MYSQL_WAIT_WRITE)
		events |= POLLOUT;
	if (*status & MYSQL_WAIT_EXCEPT)
		events |= POLLPRI;
	if (*status & MYSQL_WAIT_TIMEOUT)
		until_ms = MIN(until_ms, clock_mono_ms() + mysql_get_timeout_value_ms(catalog->handle));
	int ready =
		catalog_wait(catalog, (int)mysql_get_socket(catalog->handle), events, until_ms, &got, err);
	if (ready < 0)
		return -1;
	if (ready == 0 && !(*status & MYSQL_WAIT_TIMEOUT)) {
		catalog->lost = true;
		return err_set(err, ERR_GATE, "the server did not answer in time");
	}
	*status = ready == 0	      ? MYSQL_WAIT_TIMEOUT
		  : (got & POLLIN)    ? MYSQL_WAIT_READ
		  : (got & POLLOUT)   ? MYSQL_WAIT_WRITE
		  : (got & POLLPRI)   ? MYSQL_WAIT_EXCEPT
		  : (events & POLLIN) ? MYSQL_WAIT_READ
				      : MYSQL_WAIT_WRITE;
	return 0;
}

static int64_t answer_until(const struct catalog *catalog)
{
	return MIN(catalog->deadline_ms, clock_mono_ms() + catalog->statement_ms) + GRACE_MS;
}

/* --- connecting ----------------------------------------------------------------------- */

static bool word_is(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcasecmp(word, *words) == 0)
			return true;
	return false;
}

static int set_tls(struct catalog *catalog, const struct catalog_spec *spec, struct err *err)
{
	static const char *const off[] = {"disabled", "disable", "false", "0", NULL};
	static const char *const if_there[] = {"preferred", "prefer", "allow", NULL};
	static const char *const needed[] = {"required", "require", "true", "1", "skip-verify", NULL};
	static const char *const verified[] = {"verify_identity", "verify-full", "verify_ca", "verify-ca",
					       NULL};
	my_bool on = 1;

	if (!spec->tls || word_is(spec->tls, off) || word_is(spec->tls, if_there))
		return 0;
	if (word_is(spec->tls, needed)) {
		mysql_options(catalog->handle, MYSQL_OPT_SSL_ENFORCE, &on);
		return 0;
	}
	if (!word_is(spec->tls, verified))
		return err_set(err, ERR_USER,
			       "the database's TLS mode is none of disabled, preferred, required, "
			       "verify_ca, verify_identity");
	if (spec->address) {
		err_set(err, ERR_USER,
			"a certificate cannot be verified through a server: the library "
			"compares it with the near end's name");
		return err_hint(err,
				"reach the database directly, or use ssl-mode=required: ssh protects the way "
				"to the server");
	}
	mysql_options(catalog->handle, MYSQL_OPT_SSL_ENFORCE, &on);
	mysql_options(catalog->handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
	return 0;
}

static int set_options(struct catalog *catalog, const struct catalog_spec *spec, struct err *err)
{
	unsigned seconds = (unsigned)MAX(spec->time_ms / 1000, (int64_t)1), no = 0;
	MYSQL *handle = catalog->handle;

	mysql_options(handle, MYSQL_OPT_NONBLOCK, NULL);
	mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &no);
	mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(handle, MARIADB_OPT_RESTRICTED_AUTH,
		      "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password,"
		      "auth_gssapi_client,parsec");
	mysql_options(handle, MYSQL_OPT_CONNECT_ATTR_RESET, NULL);
	mysql_options4(handle, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "lockstep");
	return set_tls(catalog, spec, err);
}

static int connect_to_end(struct catalog *catalog, const struct catalog_spec *spec, struct err *err)
{
	const char *host = spec->address ? spec->address : spec->host;
	MYSQL *done = NULL;
	int status = mysql_real_connect_start(&done, catalog->handle, spec->socket ? "localhost" : host,
					      spec->user, spec->password, spec->database,
					      spec->socket ? 0 : spec->port, spec->socket, 0);
	while (status) {
		if (wait_for(catalog, &status, catalog->deadline_ms, err))
			return -1;
		status = mysql_real_connect_cont(&done, catalog->handle, status);
	}
	return done ? 0 : fail(catalog, err);
}

/* --- queries ---------------------------------------------------------------------------- */

static int take_row(struct catalog *catalog, MYSQL_RES *result, MYSQL_ROW cells, catalog_row *row,
		    void *context, struct err *err)
{
	struct slice values[CATALOG_COLUMNS_MAX];
	unsigned columns = mysql_num_fields(result);
	unsigned long *lengths = mysql_fetch_lengths(result);

	ASSERT(columns <= CATALOG_COLUMNS_MAX);
	for (unsigned i = 0; i < columns; i++)
		values[i] = slice_make(cells[i], cells[i] ? lengths[i] : 0);
	if (catalog_take(catalog, values, columns, err))
		return -1;
	return row ? row(context, values, columns, err) : 0;
}

static int take_rows(struct catalog *catalog, MYSQL_RES *result, catalog_row *row, void *context,
		     struct err *err)
{
	int64_t until_ms = answer_until(catalog);
	int status = 0;

	for (;;) {
		MYSQL_ROW cells = NULL;
		int wait = mysql_fetch_row_start(&cells, result);
		while (wait) {
			if (wait_for(catalog, &wait, until_ms, err))
				return -1;
			wait = mysql_fetch_row_cont(&cells, result, wait);
		}
		if (!cells)
			break;
		/* What was asked for is read to its end, or the connection is of no more use. */
		if (status == 0)
			status = take_row(catalog, result, cells, row, context, err);
	}
	if (status == 0 && mysql_errno(catalog->handle))
		return fail(catalog, err);
	return status;
}

static int mysql_query_rows(struct catalog *catalog, const char *sql, catalog_row *row, void *context,
			    struct err *err)
{
	int64_t until_ms = answer_until(catalog);
	int failed = 0;
	int wait = mysql_real_query_start(&failed, catalog->handle, sql, strlen(sql));

	while (wait) {
		if (wait_for(catalog, &wait, until_ms, err))
			return -1;
		wait = mysql_real_query_cont(&failed, catalog->handle, wait);
	}
	if (failed)
		return fail(catalog, err);
	MYSQL_RES *result = mysql_use_result(catalog->handle);
	if (!result)
		return mysql_field_count(catalog->handle) ? fail(catalog, err) : 0;
	int status = take_rows(catalog, result, row, context, err);
	/* An answer that is still under way would be read to its end. */
	if (catalog->lost)
		mariadb_cancel(catalog->handle);
	mysql_free_result(result);
	return status;
}

/* --- the row -------------------------------------------------------------------------------- */

/* Both kinds of limit are tried: each product knows one. */
static int begin(struct catalog *catalog, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(512);
	struct err ignored = ERR_INIT;
	bool is_mariadb = strstr(mysql_get_server_info(catalog->handle), "MariaDB") != NULL;

	if (is_mariadb)
		buf_printf(&sql, "set session max_statement_time = %.3f",
			   (double)catalog->statement_ms / 1000);
	else
		buf_printf(&sql, "set session max_execution_time = %lld", (long long)catalog->statement_ms);
	if (mysql_query_rows(catalog, buf_str(&sql), NULL, NULL, &ignored) && catalog->lost) {
		*err = ignored;
		return -1;
	}
	buf_clear(&sql);
	buf_printf(&sql,
		   "set session lock_wait_timeout = %d, innodb_lock_wait_timeout = %d, sql_mode = '', "
		   "time_zone = '+00:00', group_concat_max_len = 1048576",
		   CATALOG_LOCK_MS / 1000, CATALOG_LOCK_MS / 1000);
	if (mysql_query_rows(catalog, buf_str(&sql), NULL, NULL, err))
		return -1;
	return mysql_query_rows(catalog, "start transaction read only", NULL, NULL, err);
}

static void mysql_end(struct catalog *catalog)
{
	/* With an answer under way mysql_close would wait for it. */
	if (catalog->lost && catalog->handle)
		mariadb_cancel(catalog->handle);
	if (catalog->handle)
		mysql_close(catalog->handle);
	catalog_free(catalog);
}

static int mysql_open(const struct catalog_spec *spec, struct catalog **out, struct err *err)
{
	if (libmariadb_start(err))
		return -1;
	struct catalog *catalog = catalog_new(&catalog_mysql, spec);
	catalog->handle = mysql_init(NULL);
	if (!catalog->handle || set_options(catalog, spec, err) || connect_to_end(catalog, spec, err)) {
		mysql_end(catalog);
		return -1;
	}
	catalog->version = (int)mysql_get_server_version(catalog->handle);
	if (begin(catalog, err)) {
		mysql_end(catalog);
		return -1;
	}
	*out = catalog;
	return 0;
}

const struct catalog_engine catalog_mysql = {
	.name = "mysql",
	.open = mysql_open,
	.query = mysql_query_rows,
	.close = mysql_end,
};
