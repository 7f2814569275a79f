/* Tags and where they were seen first: see seen_tag.h. */
#include "model/seen_tag.h"
#include "model/internal.h"

#include "base/buf.h"

enum { TAG_TEXT_MAX = 16 << 10 };

/* A tag may hold bytes that are not UTF-8; they are escaped, so that no two tags
 * become one. An ordinary name stays as it is. */
static const char *tag_text(struct arena *arena, const char *tag)
{
	AUTO(buf_free) struct buf text = BUF_INIT(TAG_TEXT_MAX);
	buf_put_printable(&text, slice_of(tag));
	return arena_strdup(arena, buf_str(&text));
}

static int refuse_moved(const char *tag, const char *first, const char *commit, struct err *err)
{
	err_set(err, ERR_CONFLICT,
		"the tag %s was moved: it named commit %.12s when it was seen first, now %.12s", tag, first,
		commit);
	return err_hint(err,
			"a tag that moves makes it unclear what was deployed: put it back, or give the new "
			"commit a tag of its own");
}

int seen_tag_check(struct db *db, const char *source, const char *tag, const char *commit, int64_t now_ms,
		   struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *text = tag_text(&arena, tag);
	if (db_exec_bound(db,
			  "insert into seen_tag (source, tag, commit_id, seen_ms) "
			  "values (:source, :tag, :commit, :seen_ms) on conflict (source, tag) do nothing",
			  DB_BINDS(CLEAN(&arena, ":source", source), DB_STR(":tag", text),
				   DB_STR(":commit", commit), DB_INT(":seen_ms", now_ms)),
			  err))
		return -1;
	if (db_changes(db) > 0)
		return 0;

	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt, "select commit_id from seen_tag where source = :source and tag = :tag",
			   DB_BINDS(CLEAN(&arena, ":source", source), DB_STR(":tag", text)), err))
		return -1;
	int got = db_step(stmt, err);
	if (got <= 0)
		return got;
	const char *first = db_column_text(stmt, "commit_id", &arena);
	return strcmp(first, commit) == 0 ? 0 : refuse_moved(text, first, commit, err);
}

int seen_tag_accept(struct db *db, const char *source, const char *tag, const char *commit, int64_t now_ms,
		    struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	return db_exec_bound(db,
			     "insert into seen_tag (source, tag, commit_id, seen_ms) "
			     "values (:source, :tag, :commit, :seen_ms) on conflict (source, tag) "
			     "do update set commit_id = excluded.commit_id, seen_ms = excluded.seen_ms",
			     DB_BINDS(CLEAN(&arena, ":source", source), DB_STR(":tag", tag_text(&arena, tag)),
				      DB_STR(":commit", commit), DB_INT(":seen_ms", now_ms)),
			     err);
}
