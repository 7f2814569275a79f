/* Reading other people's databases: connect, one read-only transaction, queries whose rows
 * come one by one as text. Nothing is written, ever: the transaction is read only, no
 * session setting outlives it, and what waits for a lock gives up soon. Not here: what is
 * asked (src/introspect), and our own database (db.h).
 *
 * A catalog belongs to one thread. Passwords go into the library's memory and nowhere else:
 * no argument, no environment, no message. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum {
	CATALOG_COLUMNS_MAX = 64,
	CATALOG_LOCK_MS = 2000,
};

struct catalog;

struct catalog_spec {
	const char *host;    /* name or address; what TLS certificates are compared with */
	const char *address; /* where to connect really, when not to host: "127.0.0.1"; NULL */
	uint16_t port;
	const char *socket; /* a local socket: MySQL's file, PostgreSQL's folder; NULL: host */
	const char *database, *user, *password; /* NULL: as the library has it */
	const char *tls;			/* in the engine's own words; NULL: as the library has it */
	int64_t time_ms;			/* for all of it, from now */
	int64_t statement_ms;			/* for each statement */
	size_t bytes_max;			/* of all rows together */
	/* A listening socket through which somebody else carries the connection: `carry` is
	 * called whenever a client waits there, and must not block; the client is `client_fd`,
	 * and nobody else may be carried. -1: none. */
	int carrier_fd;
	int (*carry)(void *context, int client_fd, struct err *err);
	void *carry_context;
};

/* One row: `values` are borrowed for the call, ptr NULL is null. Other than 0 ends the query. */
typedef int catalog_row(void *context, const struct slice *values, size_t count, struct err *err);

struct catalog_engine {
	const char *name;
	int (*open)(const struct catalog_spec *spec, struct catalog **out, struct err *err);
	int (*query)(struct catalog *catalog, const char *sql, catalog_row *row, void *context,
		     struct err *err);
	void (*close)(struct catalog *catalog);
};
extern const struct catalog_engine catalog_postgresql, catalog_mysql, catalog_sqlite;

/* Connects and begins the transaction. ERR_DENIED: the login was refused; ERR_NETWORK: nobody
 * there, or not in time; ERR_USER: no such database, or an option it does not understand. */
int catalog_open(const struct catalog_engine *engine, const struct catalog_spec *spec, struct catalog **out,
		 struct err *err) CHECKED;
void catalog_close(struct catalog **catalog); /* cleanup function */

/* Statements that give rows or none; one at a time. After a failure the next one can be asked
 * unless catalog_lost. ERR_DENIED: not allowed to read it; ERR_CONFLICT: somebody holds a
 * lock on it; ERR_GATE: the statement's time was over. */
int catalog_query(struct catalog *catalog, const char *sql, catalog_row *row, void *context,
		  struct err *err) CHECKED;
/* True when there is no connection any more, or no time. */
bool catalog_lost(const struct catalog *catalog);
/* The server's version as a number: 150018 for PostgreSQL 15.18, 101119 for MariaDB 10.11.19. */
int catalog_version(const struct catalog *catalog);
/* A schema somebody else wrote, built in memory to be asked about by SQLite's pragmas. Only
 * CREATE statements for tables, indexes, views and triggers are taken; none of what they say
 * runs. `why` of a row that was refused is set (in the arena). */
struct arena;
struct catalog_statement {
	const char *sql, *why;
};
int catalog_open_memory(struct arena *arena, struct catalog_statement *rows, size_t count,
			struct catalog **out, struct err *err) CHECKED;
/* A string literal for a statement. */
struct buf;
void catalog_put_literal(const struct catalog *catalog, struct buf *out, struct slice text);
