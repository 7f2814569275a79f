/* libmariadb, loaded and started when the first MySQL or MariaDB is read: the functions of it
 * that catalog_mysql.c uses, by their own names. */
#include "db/catalog_internal.h"

#include "base/library.h"

#include <mysql.h>
#include <pthread.h>

#define LIBMARIADB_ROWS(CALL, CALL_VOID)                                                                     \
	CALL(int, mariadb_cancel, (MYSQL * mysql), (mysql))                                                  \
	CALL_VOID(void, mysql_close, (MYSQL * mysql), (mysql))                                               \
	CALL(unsigned, mysql_errno, (MYSQL * mysql), (mysql))                                                \
	CALL(const char *, mysql_error, (MYSQL * mysql), (mysql))                                            \
	CALL(unsigned long *, mysql_fetch_lengths, (MYSQL_RES * result), (result))                           \
	CALL(int, mysql_fetch_row_cont, (MYSQL_ROW * row, MYSQL_RES * result, int status),                   \
	     (row, result, status))                                                                          \
	CALL(int, mysql_fetch_row_start, (MYSQL_ROW * row, MYSQL_RES * result), (row, result))               \
	CALL(unsigned, mysql_field_count, (MYSQL * mysql), (mysql))                                          \
	CALL_VOID(void, mysql_free_result, (MYSQL_RES * result), (result))                                   \
	CALL(char *, mysql_get_server_info, (MYSQL * mysql), (mysql))                                        \
	CALL(unsigned long, mysql_get_server_version, (MYSQL * mysql), (mysql))                              \
	CALL(my_socket, mysql_get_socket, (MYSQL * mysql), (mysql))                                          \
	CALL(unsigned, mysql_get_timeout_value_ms, (const MYSQL *mysql), (mysql))                            \
	CALL(MYSQL *, mysql_init, (MYSQL * mysql), (mysql))                                                  \
	CALL(unsigned, mysql_num_fields, (MYSQL_RES * result), (result))                                     \
	CALL(int, mysql_options, (MYSQL * mysql, enum mysql_option option, const void *value),               \
	     (mysql, option, value))                                                                         \
	CALL(int, mysql_options4,                                                                            \
	     (MYSQL * mysql, enum mysql_option option, const void *name, const void *value),                 \
	     (mysql, option, name, value))                                                                   \
	CALL(int, mysql_real_connect_cont, (MYSQL * *done, MYSQL * mysql, int status),                       \
	     (done, mysql, status))                                                                          \
	CALL(int, mysql_real_connect_start,                                                                  \
	     (MYSQL * *done, MYSQL * mysql, const char *host, const char *user, const char *password,        \
	      const char *database, unsigned port, const char *socket, unsigned long flags),                 \
	     (done, mysql, host, user, password, database, port, socket, flags))                             \
	CALL(int, mysql_real_query_cont, (int *failed, MYSQL *mysql, int status), (failed, mysql, status))   \
	CALL(int, mysql_real_query_start, (int *failed, MYSQL *mysql, const char *sql, unsigned long len),   \
	     (failed, mysql, sql, len))                                                                      \
	CALL(int, mysql_server_init, (int count, char **arguments, char **groups),                           \
	     (count, arguments, groups))                                                                     \
	CALL(MYSQL_RES *, mysql_use_result, (MYSQL * mysql), (mysql))

LIBRARY(LIBMARIADB_ROWS, "libmariadb.so.3", "libmariadb3")

static int outcome;

static void start(void)
{
	outcome = mysql_library_init(0, NULL, NULL);
}

/* mysql_init would start the library itself, but may not from two threads at once. */
int libmariadb_start(struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (library_load(&library, err) < 0)
		return -1;
	pthread_once(&once, start);
	return outcome ? err_set(err, ERR_INTERNAL, "libmariadb could not be started") : 0;
}
