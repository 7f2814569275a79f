/* libpq, loaded when the first PostgreSQL is read: the functions of it that catalog_postgresql.c
 * uses, by their own names. */
#include "db/catalog_internal.h"

#include "base/library.h"

#include <libpq-fe.h>

#define LIBPQ_ROWS(CALL, CALL_VOID)                                                                          \
	CALL_VOID(void, PQclear, (PGresult * result), (result))                                              \
	CALL(PostgresPollingStatusType, PQconnectPoll, (PGconn * conn), (conn))                              \
	CALL(PGconn *, PQconnectStartParams,                                                                 \
	     (const char *const *keywords, const char *const *values, int expand),                           \
	     (keywords, values, expand))                                                                     \
	CALL(int, PQconsumeInput, (PGconn * conn), (conn))                                                   \
	CALL(char *, PQerrorMessage, (const PGconn *conn), (conn))                                           \
	CALL_VOID(void, PQfinish, (PGconn * conn), (conn))                                                   \
	CALL(PGresult *, PQgetResult, (PGconn * conn), (conn))                                               \
	CALL(int, PQgetisnull, (const PGresult *result, int row, int column), (result, row, column))         \
	CALL(int, PQgetlength, (const PGresult *result, int row, int column), (result, row, column))         \
	CALL(char *, PQgetvalue, (const PGresult *result, int row, int column), (result, row, column))       \
	CALL(int, PQisBusy, (PGconn * conn), (conn))                                                         \
	CALL(int, PQnfields, (const PGresult *result), (result))                                             \
	CALL(char *, PQresultErrorField, (const PGresult *result, int field), (result, field))               \
	CALL(char *, PQresultErrorMessage, (const PGresult *result), (result))                               \
	CALL(ExecStatusType, PQresultStatus, (const PGresult *result), (result))                             \
	CALL(int, PQsendQuery, (PGconn * conn, const char *sql), (conn, sql))                                \
	CALL(int, PQserverVersion, (const PGconn *conn), (conn))                                             \
	CALL(PQnoticeReceiver, PQsetNoticeReceiver, (PGconn * conn, PQnoticeReceiver take, void *context),   \
	     (conn, take, context))                                                                          \
	CALL(int, PQsetSingleRowMode, (PGconn * conn), (conn))                                               \
	CALL(int, PQsocket, (const PGconn *conn), (conn))                                                    \
	CALL(ConnStatusType, PQstatus, (const PGconn *conn), (conn))

LIBRARY(LIBPQ_ROWS, "libpq.so.5", "libpq5")

int libpq_start(struct err *err)
{
	return library_load(&library, err);
}
