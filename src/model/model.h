/* What all nouns share: the schema, pages of lists, and making foreign text fit
 * for a database. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

enum { PAGE_LIMIT_MAX = 1000 };

/* A piece of a list that stands newest first. For the next piece put the time and
 * the id of the last row seen into `before_*`. */
struct page {
	size_t limit;	       /* 1..PAGE_LIMIT_MAX; 0: 50 */
	int64_t before_ms;     /* 0: from the newest */
	const char *before_id; /* deployment id or release digest; may be NULL when before_ms is 0 */
};

/* The rows of the schema, see schema.c. */
extern const struct db_migration model_migrations[];
extern const size_t model_migrations_count;

/* Opens the database at `path` and brings its schema up to date. home_open does
 * this; tests and tools may. */
int model_open(const char *path, struct db **db_out, struct err *err) CHECKED;

/* Commit subjects, names, error texts: bytes that are not UTF-8 become U+FFFD, NUL
 * ends the text, what is longer than `max` bytes is cut at a character. NULL stays
 * NULL. */
const char *model_clean(struct arena *arena, const char *text, size_t max);
