/* One fact over time: see parity_timeline.h. */
#include "model/parity_timeline.h"

#include "base/buf.h"
#include "base/fd.h"
#include "fact/snapshot.h"
#include "model/internal.h"

enum { VALUE_TEXT_MAX = 4096 };

/* What one snapshot says of the key. */
struct seen {
	enum parity_point_kind kind;
	const char *text;
	struct slice bytes; /* for telling whether it changed */
};

/* Fingerprints are made under a key of their run; the evidence beside them, in whose place
 * the key ends in "kept", under one that stays. */
static const char *kept_key(struct arena *arena, const char *key)
{
	const char *slash = strrchr(key, '/');
	return slash ? arena_printf(arena, "%.*s/kept", (int)MIN((size_t)(slash - key), (size_t)FACT_KEY_MAX),
				    key)
		     : key;
}

static const char *value_text(struct arena *arena, const struct fact *fact)
{
	AUTO(buf_free) struct buf out = BUF_INIT(VALUE_TEXT_MAX);

	if (fact->value.len > VALUE_TEXT_MAX / 4 && fact->kind != FACT_SET)
		return arena_printf(arena, "a text of %zu bytes", fact->value.len);
	fact_put_value(&out, fact);
	return arena_strdup(arena, buf_str(&out));
}

static void take_fact(struct arena *arena, const struct fact *fact, struct seen *out)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(FACT_VALUE_MAX + 16);

	if (fact->kind == FACT_NOT_CHECKED) {
		out->kind = PARITY_POINT_NOT_CHECKED;
		out->text = value_text(arena, fact);
		out->bytes = slice_of(out->text);
		return;
	}
	out->kind = PARITY_POINT_VALUE;
	out->text = value_text(arena, fact);
	buf_putc(&bytes, (char)('0' + fact->kind));
	if (fact->kind != FACT_HMAC)
		buf_put_slice(&bytes, fact->value);
	out->bytes = arena_slice(arena, buf_slice(&bytes));
}

/* Keys ascend: behind both there is nothing to be found, and a range that was not checked
 * stands before what lies in it. */
static int scan(struct arena *arena, struct fact_reader *reader, const char *key, struct seen *out,
		struct err *err)
{
	struct slice wanted = slice_of(key), kept = slice_of(kept_key(arena, key)), fingerprint = {0};
	struct slice last = slice_compare(wanted, kept) > 0 ? wanted : kept;
	bool is_fingerprint = false;
	struct fact fact;
	int got;

	*out = (struct seen){.kind = PARITY_POINT_MISSING, .text = "missing"};
	while ((got = fact_next(reader, &fact, err)) > 0 && slice_compare(fact.key, last) <= 0) {
		bool covers = fact.kind == FACT_NOT_CHECKED && slice_ends_with(fact.key, "/") &&
			      wanted.len > fact.key.len &&
			      memcmp(wanted.ptr, fact.key.ptr, fact.key.len) == 0;
		if (slice_equal(fact.key, kept) && fact.evidence && kept.ptr != wanted.ptr)
			fingerprint = arena_slice(arena, fact.value);
		if (slice_equal(fact.key, wanted)) {
			take_fact(arena, &fact, out);
			is_fingerprint = fact.kind == FACT_HMAC;
		} else if (covers && out->kind == PARITY_POINT_MISSING) {
			take_fact(arena, &fact, out);
		}
	}
	if (is_fingerprint)
		out->bytes = fingerprint;
	return got < 0 ? -1 : 0;
}

static int look(const struct home *home, struct arena *arena, const char *digest, const char *key,
		struct seen *out, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	AUTO(fact_reader_free) struct fact_reader *reader = NULL;

	if (parity_snapshot_open(home, digest, &fd, err))
		return -1;
	reader = fact_reader_of_fd(fd);
	return scan(arena, reader, key, out, err);
}

struct taken {
	const char *run, *digest;
	int64_t taken_ms;
};

static int list_taken(struct db *db, struct arena *arena, const struct db_bind *binds, struct taken **out,
		      size_t *count_out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	if (db_query_bound(db, &stmt,
			   "select run_id, snapshot_digest, taken_ms from parity_snapshot join parity_run on"
			   " id = run_id where project = :project and environment = :environment and"
			   " server = :server and taken_ms >= :since_ms order by taken_ms, run_id",
			   binds, err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct taken *row = model_grow(arena, out, count_out, sizeof(*row));
		*row = (struct taken){
			.run = db_column_text(stmt, "run_id", arena),
			.digest = db_column_text(stmt, "snapshot_digest", arena),
			.taken_ms = db_column_int(stmt, "taken_ms"),
		};
	}
	return got;
}

/* A file that cannot be read is a point of its own: what other runs saw still counts. */
static void look_or_tell(const struct home *home, struct arena *arena, const char *digest, const char *key,
			 struct seen *out)
{
	struct err err = ERR_INIT;

	if (look(home, arena, digest, key, out, &err) == 0)
		return;
	*out = (struct seen){.kind = PARITY_POINT_UNREADABLE, .text = arena_strdup(arena, err.text)};
	out->bytes = slice_of(out->text);
}

int parity_timeline(const struct home *home, struct arena *arena, const char *project,
		    const char *environment, const char *server, const char *key, int64_t since_ms,
		    struct parity_timeline *out, struct err *err)
{
	struct taken *taken = NULL;
	struct seen before = {0}, seen;
	size_t count = 0;

	*out = (struct parity_timeline){0};
	if (list_taken(home->db, arena,
		       DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
				DB_STR(":server", server), DB_INT(":since_ms", since_ms)),
		       &taken, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		out->runs++;
		out->last_seen_ms = taken[i].taken_ms;
		/* Equal snapshots are one file: nothing in them changed. */
		if (i && strcmp(taken[i].digest, taken[i - 1].digest) == 0)
			continue;
		look_or_tell(home, arena, taken[i].digest, key, &seen);
		if (before.kind == seen.kind && slice_equal(before.bytes, seen.bytes))
			continue;
		bool replaced = before.kind == PARITY_POINT_VALUE && seen.kind == PARITY_POINT_VALUE &&
				strcmp(before.text, seen.text) == 0;
		struct parity_point *point = model_grow(arena, &out->items, &out->count, sizeof(*point));
		*point = (struct parity_point){
			.at_ms = taken[i].taken_ms,
			.run = taken[i].run,
			.kind = seen.kind,
			.text = replaced ? arena_printf(arena, "%s, another value", seen.text) : seen.text,
		};
		before = seen;
	}
	return 0;
}
