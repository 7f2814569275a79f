/* What the engines of catalog.h share. Only they and catalog.c include this. */
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "db/catalog.h"

struct catalog {
	const struct catalog_engine *engine;
	void *handle;
	int64_t deadline_ms, statement_ms;
	size_t bytes, bytes_max;
	int carrier_fd;
	int (*carry)(void *context, int client_fd, struct err *err);
	void *carry_context;
	char password[256]; /* to be kept out of messages; wiped */
	int version;
	bool lost;
	char why_lost[160]; /* what the question said that found it out */
	bool failed; /* the last statement: PostgreSQL has to go back to its savepoint */
};

/* Each loads its library and starts it, once in the life of the process, from whatever thread
 * comes first. Before that none of the library's functions may be called. */
int libpq_start(struct err *err) CHECKED;
int libmariadb_start(struct err *err) CHECKED;

struct catalog *catalog_new(const struct catalog_engine *engine, const struct catalog_spec *spec);
void catalog_free(struct catalog *catalog);

/* Waits for the connection's socket (poll events) until `until_ms` of the monotonic clock and
 * serves the carrier meanwhile. 1: ready (in *got), 0: time is over, -1: err. */
int catalog_wait(struct catalog *catalog, int fd, short events, int64_t until_ms, short *got,
		 struct err *err) CHECKED;
/* Counts a row's bytes against the limit. */
int catalog_take(struct catalog *catalog, const struct slice *values, size_t count, struct err *err) CHECKED;
/* A library's message as one line, without the password should it be in it. */
const char *catalog_message(const struct catalog *catalog, const char *message, struct buf *out);
