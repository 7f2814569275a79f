/* A snapshot: all facts of one place (a server, a developer's machine, a release) at one
 * time, sorted by key, compact, streamed. A million facts are some 20 MB and are never
 * held as anything else.
 *
 *	snapshot = "lockstep-facts 1\n" *entry end
 *	entry    = shared rest-length rest kind-and-flags value-length value
 *	end      = 0 0 0 count SHA-256 of all before it
 *
 * `shared` is how many bytes the key has in common with the one before, `rest` what
 * follows. Integers are LEB128. kind-and-flags: bits 0-4 kind, 5 evidence, 6 weak. The end
 * is told by a kind of 0. A snapshot that was cut or changed is refused at its end, a key out
 * of order or too long at once: a reader trusts nothing. */
#pragma once

#include "fact/fact.h"

/* --- writing -------------------------------------------------------------------- */

struct fact_writer {
	int (*sink)(void *context, struct slice bytes, struct err *err);
	void *context;
	struct digest_stream digest;
	struct buf previous, pending;
	uint64_t count;
	bool begun;
};
/* `sink` gets pieces of some 64 KB. */
void fact_writer_init(struct fact_writer *writer, int (*sink)(void *, struct slice, struct err *),
		      void *context);
/* Keys must ascend (asserted in nothing: ERR_INTERNAL). The same key twice is refused. */
int fact_write(struct fact_writer *writer, const struct fact *fact, struct err *err) CHECKED;
int fact_writer_end(struct fact_writer *writer, struct err *err) CHECKED;
void fact_writer_free(struct fact_writer *writer); /* cleanup function */

/* Facts in any order, sorted when written; of one key added twice the last counts.
 * Refuses more than `bytes_max` bytes (ERR_INTERNAL that says so). */
struct fact_list {
	struct arena arena;
	struct fact *items;
	size_t count, cap;
	size_t bytes, bytes_max;
};
#define FACT_LIST_INIT(limit) ((struct fact_list){.bytes_max = (limit)})
int fact_add(struct fact_list *list, struct slice key, enum fact_kind kind, struct slice value,
	     struct err *err) CHECKED; /* copies */
int fact_add_fact(struct fact_list *list, const struct fact *fact, struct err *err) CHECKED;
void fact_list_sort(struct fact_list *list);
int fact_list_write(struct fact_list *list, struct fact_writer *writer, struct err *err) CHECKED;
void fact_list_free(struct fact_list *list); /* cleanup function */

/* --- reading --------------------------------------------------------------------- */

/* Over bytes in memory, or over a file in blocks of 64 KB: the memory is that of one
 * block and one fact. */
struct fact_reader;
struct fact_reader *fact_reader_of_bytes(struct slice snapshot); /* borrowed */
struct fact_reader *fact_reader_of_fd(int fd);			 /* borrowed; read with pread from 0 */
void fact_reader_free(struct fact_reader **reader);		 /* cleanup function */
/* 1: *fact_out points into the reader until the next call; 0: the end, and the snapshot
 * was whole; -1: err (ERR_USER: malformed, with the offset). */
int fact_next(struct fact_reader *reader, struct fact *fact_out, struct err *err) CHECKED;
/* How many bytes the key just read has in common with the one before. */
size_t fact_reader_shared(const struct fact_reader *reader);

/* --- merging ---------------------------------------------------------------------- */

/* Several snapshots of one place whose dimensions do not overlap (what its agent saw, what
 * was seen from beside it, its databases) as one. Where two know one key, the earlier in the
 * array counts, except that a real fact counts over FACT_NOT_CHECKED. */
int fact_merge(struct fact_reader *const *readers, size_t count, struct fact_writer *out,
	       struct err *err) CHECKED;
