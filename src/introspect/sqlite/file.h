/* SQLite's file format, as much as reading a table takes: pages, the write-ahead log over
 * them, table b-trees, records (https://www.sqlite.org/fileformat2.html). So a database is
 * read without being opened: no lock, no -shm file, nothing of what a hostile file could
 * make SQLite do. Pure: the bytes are fetched by others, in as few rounds as the tree has
 * levels. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"

enum {
	SQLITE_HEADER_LEN = 100,
	SQLITE_WAL_MAX = 16 << 20,
	SQLITE_PAGES_MAX = 20000, /* in all, of one reading */
	SQLITE_VALUES_MAX = 64,
	SQLITE_PAYLOAD_MAX = 1 << 20,
};

struct sqlite_file {
	struct arena arena;
	uint32_t page_size, usable, page_count;
	uint32_t user_version, application_id, written_by, encoding;
	bool is_wal;
	struct map pages; /* page number (4 bytes) → its bytes */
	uint32_t *wanted; /* pages that have to be fetched and given */
	size_t wanted_count, wanted_cap;
};

/* `head` is the beginning of the file, `size` how long it is. ERR_USER: no such file. */
int sqlite_file_begin(struct sqlite_file *file, struct slice head, uint64_t size, struct err *err) CHECKED;
/* What was committed to the log stands over what is in the file. Its torn or old end is
 * left out, as SQLite does. */
int sqlite_file_log(struct sqlite_file *file, struct slice log, struct err *err) CHECKED;
/* Bytes of a page that was wanted; a page of the log keeps its own. */
void sqlite_file_page(struct sqlite_file *file, uint32_t number, struct slice bytes);
void sqlite_file_free(struct sqlite_file *file); /* cleanup function */

/* Rows of the table whose tree begins at `root`: values as text, ptr NULL is null, of the
 * first SQLITE_VALUES_MAX columns. 1: pages are wanted, no row was given yet; 0: done. */
int sqlite_file_table(struct sqlite_file *file, uint32_t root, size_t rows_max,
		      int (*row)(void *context, int64_t rowid, const struct slice *values, size_t count,
				 struct err *err),
		      void *context, struct err *err) CHECKED;
