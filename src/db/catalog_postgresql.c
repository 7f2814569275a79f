/* PostgreSQL by libpq. One round trip a query: each stands between a savepoint and its
 * release, so that what must not be read does not end the transaction. */
#include "db/catalog_internal.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>

enum { ANSWER_GRACE_MS = 3000 };

/* Which of our codes an SQLSTATE is (PostgreSQL's appendix A). */
static enum err_code code_of(const char *sqlstate)
{
	static const struct {
		const char *state;
		enum err_code code;
	} rows[] = {
		{"57014", ERR_GATE},	 /* statement_timeout */
		{"55P03", ERR_CONFLICT}, /* lock_timeout */
		{"42501", ERR_DENIED},	 /* insufficient_privilege */
		{"28", ERR_DENIED},	 /* the login */
		{"3D000", ERR_USER},	 /* no such database */
		{"53", ERR_NETWORK},	 /* too many connections, out of memory */
		{"57P", ERR_NETWORK},	 /* shutting down, starting up */
	};

	for (size_t i = 0; sqlstate && i < ARRAY_LEN(rows); i++)
		if (slice_starts_with(slice_of(sqlstate), rows[i].state))
			return rows[i].code;
	return sqlstate ? ERR_INTERNAL : ERR_NETWORK;
}

static int fail_result(struct catalog *catalog, const PGresult *result, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (!message)
		message = PQresultErrorMessage(result);
	return err_set(err, code_of(state), "%s", catalog_message(catalog, message, &text));
}

static int fail_lost(struct catalog *catalog, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);

	catalog->lost = true;
	return err_set(err, ERR_NETWORK, "the connection was lost: %s",
		       catalog_message(catalog, PQerrorMessage(catalog->handle), &text));
}

/* libpq keeps no code of a login that failed: its words are all there is. */
static enum err_code code_of_login(const char *message)
{
	static const struct {
		const char *words;
		enum err_code code;
	} rows[] = {
		{"password authentication failed", ERR_DENIED},
		{"no pg_hba.conf entry", ERR_DENIED},
		{"authentication failed", ERR_DENIED},
		{"no password supplied", ERR_DENIED},
		{"permission denied for database", ERR_DENIED},
		{"is not permitted to log in", ERR_DENIED},
		{"certificate", ERR_DENIED},
		{"does not exist", ERR_USER},
		{"invalid sslmode", ERR_USER},
		{"invalid port", ERR_USER},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strstr(message, rows[i].words))
			return rows[i].code;
	return ERR_NETWORK;
}

static int fail_connect(struct catalog *catalog, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);
	const char *message = PQerrorMessage(catalog->handle);

	return err_set(err, code_of_login(message), "%s", catalog_message(catalog, message, &text));
}

static int connect_to_end(struct catalog *catalog, struct err *err)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	short got;

	while (state != PGRES_POLLING_OK) {
		if (state == PGRES_POLLING_FAILED || PQstatus(catalog->handle) == CONNECTION_BAD)
			return fail_connect(catalog, err);
		int ready = catalog_wait(catalog, PQsocket(catalog->handle),
					 state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
					 catalog->deadline_ms, &got, err);
		if (ready < 0)
			return -1;
		if (ready == 0)
			return err_set(err, ERR_NETWORK, "the database did not answer in time");
		state = PQconnectPoll(catalog->handle);
	}
	return 0;
}

static int take_row(struct catalog *catalog, const PGresult *result, catalog_row *row, void *context,
		    struct err *err)
{
	struct slice values[CATALOG_COLUMNS_MAX];
	int columns = PQnfields(result);

	ASSERT(columns <= CATALOG_COLUMNS_MAX);
	for (int i = 0; i < columns; i++)
		values[i] = PQgetisnull(result, 0, i)
				    ? slice_make(NULL, 0)
				    : slice_make(PQgetvalue(result, 0, i), (size_t)PQgetlength(result, 0, i));
	if (catalog_take(catalog, values, (size_t)columns, err))
		return -1;
	return row(context, values, (size_t)columns, err);
}

/* 1: a result, 0: that was all, -1: err, the connection is lost. */
static int next_result(struct catalog *catalog, int64_t until_ms, PGresult **out, struct err *err)
{
	short got;

	while (PQisBusy(catalog->handle)) {
		int ready = catalog_wait(catalog, PQsocket(catalog->handle), POLLIN, until_ms, &got, err);
		if (ready == 0)
			err_set(err, ERR_GATE, "the server did not answer in time");
		if (ready <= 0) {
			catalog->lost = true;
			return -1;
		}
		if (!PQconsumeInput(catalog->handle))
			return fail_lost(catalog, err);
	}
	*out = PQgetResult(catalog->handle);
	return *out != NULL;
}

/* Reads all answers; the first error counts. */
static int take_answers(struct catalog *catalog, catalog_row *row, void *context, struct err *err)
{
	int64_t until_ms = MIN(catalog->deadline_ms + ANSWER_GRACE_MS,
			       clock_mono_ms() + catalog->statement_ms + ANSWER_GRACE_MS);
	PGresult *result = NULL;
	int status = 0, more;

	while ((more = next_result(catalog, until_ms, &result, err)) > 0) {
		ExecStatusType kind = PQresultStatus(result);
		if (kind == PGRES_SINGLE_TUPLE && status == 0 && row) {
			status = take_row(catalog, result, row, context, err);
		} else if (kind != PGRES_SINGLE_TUPLE && kind != PGRES_TUPLES_OK &&
			   kind != PGRES_COMMAND_OK) {
			catalog->failed = true;
			if (status == 0)
				status = fail_result(catalog, result, err);
		}
		PQclear(result);
		if (PQstatus(catalog->handle) == CONNECTION_BAD) {
			catalog->lost = true;
			return status ? status : fail_lost(catalog, err);
		}
	}
	return more < 0 ? -1 : status;
}

static int send_statements(struct catalog *catalog, const char *sql, catalog_row *row, void *context,
			   struct err *err)
{
	if (!PQsendQuery(catalog->handle, sql) || !PQsetSingleRowMode(catalog->handle))
		return fail_lost(catalog, err);
	return take_answers(catalog, row, context, err);
}

static int postgresql_query(struct catalog *catalog, const char *sql, catalog_row *row, void *context,
			    struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));

	if (catalog->failed)
		buf_puts(&text, "rollback to savepoint lockstep; ");
	buf_printf(&text, "savepoint lockstep; %s; release savepoint lockstep", sql);
	if (buf_check(&text, "a statement", err))
		return -1;
	catalog->failed = false;
	return send_statements(catalog, buf_str(&text), row, context, err);
}

/* Everything is set for the transaction only: a pooler may give the session to others. With
 * search_path empty nothing but pg_catalog's own functions and operators can be meant. */
static int begin(struct catalog *catalog, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(1024);

	buf_printf(&sql,
		   "begin transaction isolation level repeatable read read only; "
		   "set local statement_timeout = %lld; set local lock_timeout = %d; "
		   "set local standard_conforming_strings = on; set local row_security = off; "
		   "set local client_min_messages = error",
		   (long long)catalog->statement_ms, CATALOG_LOCK_MS);
	return send_statements(catalog, buf_str(&sql), NULL, NULL, err);
}

static void drop_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

static void postgresql_close(struct catalog *catalog)
{
	if (catalog->handle)
		PQfinish(catalog->handle); /* what is open is rolled back */
	catalog_free(catalog);
}

static int start(struct catalog *catalog, const struct catalog_spec *spec, struct err *err)
{
	char port[8];
	snprintf(port, sizeof(port), "%u", spec->port);
	const char *const names[] = {"host",	   "hostaddr",	      "port",	 "user",
				     "password",   "dbname",	      "sslmode", "application_name",
				     "gssencmode", "client_encoding", NULL};
	const char *const values[] = {spec->socket ? spec->socket : spec->host,
				      spec->socket ? NULL : spec->address,
				      spec->port ? port : NULL,
				      spec->user,
				      spec->password,
				      spec->database,
				      spec->tls,
				      "lockstep",
				      "disable",
				      "UTF8",
				      NULL};

	if (libpq_start(err))
		return -1;
	catalog->handle = PQconnectStartParams(names, values, 0);
	if (!catalog->handle)
		return err_set(err, ERR_INTERNAL, "out of memory");
	PQsetNoticeReceiver(catalog->handle, drop_notice, NULL);
	if (connect_to_end(catalog, err))
		return -1;
	catalog->version = PQserverVersion(catalog->handle);
	return begin(catalog, err);
}

static int postgresql_open(const struct catalog_spec *spec, struct catalog **out, struct err *err)
{
	struct catalog *catalog = catalog_new(&catalog_postgresql, spec);

	if (start(catalog, spec, err)) {
		postgresql_close(catalog);
		return -1;
	}
	*out = catalog;
	return 0;
}

const struct catalog_engine catalog_postgresql = {
	.name = "postgresql",
	.open = postgresql_open,
	.query = postgresql_query,
	.close = postgresql_close,
};
