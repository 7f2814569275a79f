/* One line of text that carries named values: the format of the journal and the
 * state file on servers, and of every small message between controller and
 * agent. Made to be read by people (`cat .lockstep/journal`) and parsed strictly:
 *
 *	activated deployment=261122-k3m9q number=42 name=000042-3fa9c1d20b7e by=ada@laptop
 *
 *	record = kind *( SP key "=" value )
 *	kind   = key = 1*40( a-z 0-9 _ - )           a key occurs once unless a list
 *	value  = *( printable ASCII but SP % | bytes >= 0x80 | "%" 2HEXDIG )
 *
 * Space, '%', control characters and DEL are written as %XX. A journal line is
 * a record followed by " crc=" and eight hex digits over all bytes before that
 * space: a torn or edited line is recognised. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* A line longer than the limit (what fits into a frame) is refused by the reader; a
 * writer gives its buffer that limit. */
enum { RECORD_LEN_MAX = 256 << 10, RECORD_FIELDS_MAX = 512 };

struct record_field {
	struct slice key;
	struct slice value; /* decoded; may hold any byte */
};

struct record {
	struct slice kind;
	struct record_field *fields;
	size_t field_count;
};

/* `line` without its newline. Everything is copied into the arena. Errors are
 * ERR_USER; on one *out holds nothing to use. */
int record_parse(struct arena *arena, struct slice line, struct record *out, struct err *err) CHECKED;
/* Same, checking and removing the trailing crc. */
int record_parse_sealed(struct arena *arena, struct slice line, struct record *out, struct err *err) CHECKED;

/* The first value with that key; { NULL, 0 } when absent. */
struct slice record_get(const struct record *record, const char *key);
const char *record_get_str(struct arena *arena, const struct record *record, const char *key); /* "" when absent */
/* Errors (ERR_USER) name kind and key. The _get_u64 and _get_i64 forms give the
 * fallback both when the key is absent and when its value is not a number. */
int record_need(const struct record *record, const char *key, struct slice *out, struct err *err) CHECKED;
int record_need_u64(const struct record *record, const char *key, uint64_t *out, struct err *err) CHECKED;
uint64_t record_get_u64(const struct record *record, const char *key, uint64_t fallback);
/* All values of a repeated key, in order: start with *cursor = 0. */
bool record_next(const struct record *record, const char *key, size_t *cursor, struct slice *value);

/* Building: record_begin, then fields in the order they should be read. Empty
 * and NULL values are left out by the _opt form. */
void record_begin(struct buf *out, const char *kind);
void record_put(struct buf *out, const char *key, struct slice value);
void record_put_str(struct buf *out, const char *key, const char *value);
void record_put_opt(struct buf *out, const char *key, const char *value);
void record_put_u64(struct buf *out, const char *key, uint64_t value);
void record_put_i64(struct buf *out, const char *key, int64_t value);
/* Appends " crc=xxxxxxxx" for the record that starts at `start` (an offset in
 * out) and a newline. CRC-32C, software. */
void record_seal(struct buf *out, size_t start);
int64_t record_get_i64(const struct record *record, const char *key, int64_t fallback);
