/* Fetches pieces of a database's file, here or on a server. There a plain /bin/sh runs dd:
 * nothing is put there, no lock is taken, no program of SQLite's is needed. */
#pragma once

#include "introspect/introspect.h"

enum sqlite_part { SQLITE_PART_FILE, SQLITE_PART_LOG, SQLITE_PART_JOURNAL, SQLITE_PARTS };

struct sqlite_piece {
	enum sqlite_part part;
	uint64_t block, blocks; /* in units of the reading */
	struct slice bytes;	/* what there is of it, in the arena; empty beyond the end */
};

struct sqlite_reading {
	size_t unit; /* bytes of a block */
	struct sqlite_piece *pieces;
	size_t count;
	uint64_t size; /* of the file, when it was read */
};

/* ERR_NOT_FOUND, ERR_DENIED: the file; ERR_NETWORK: the server. */
int sqlite_read(struct arena *arena, const struct database_spec *spec, struct sqlite_reading *reading,
		struct err *err) CHECKED;
