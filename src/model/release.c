/* Releases and the builds they came from: see release.h. */
#include "model/release.h"

#include "base/clock.h"
#include "model/internal.h"

enum { DIGEST_HEX = 64, DIGEST_PART_MIN = 6 };

/* Of the builds that gave one release, the first stands for it in lists. */
#define FIRST_OF_ITS_DIGEST                                                                                  \
	" not exists (select 1 from release as earlier where earlier.project = release.project"              \
	" and earlier.digest = release.digest and (earlier.created_ms < release.created_ms"                  \
	" or (earlier.created_ms = release.created_ms and earlier.build_key < release.build_key)))"

static void read_row(struct db_stmt *stmt, struct arena *arena, struct release *out)
{
	*out = (struct release){
		.digest = db_column_text(stmt, "digest", arena),
		.project = db_column_text(stmt, "project", arena),
		.tree = db_column_text(stmt, "tree_id", arena),
		.recipe = db_column_text(stmt, "recipe_digest", arena),
		.platform = db_column_text(stmt, "platform", arena),
		.build_key = db_column_text(stmt, "build_key", arena),
		.commit = db_column_text(stmt, "commit_id", arena),
		.ref = db_column_text(stmt, "ref", arena),
		.subject = db_column_text(stmt, "subject", arena),
		.author = db_column_text(stmt, "author", arena),
		.log = db_column_text(stmt, "log", arena),
		.builder = db_column_text(stmt, "builder", arena),
		.committed_ms = db_column_int(stmt, "committed_ms"),
		.created_ms = db_column_int(stmt, "created_ms"),
		.file_count = db_column_int(stmt, "file_count"),
		.total_size = db_column_int(stmt, "total_size"),
	};
}

static int read_rows(struct db_stmt *stmt, struct arena *arena, struct release_list *out, struct err *err)
{
	*out = (struct release_list){0};
	int got;
	while ((got = db_step(stmt, err)) > 0)
		read_row(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)));
	return got;
}

/* ---- writing ---- */

static int refuse_other(const struct release *first, const struct release *release, struct err *err)
{
	err_set(err, ERR_CONFLICT,
		"this build of %s gave release %.12s before, and now %.12s: the same tree and recipe must "
		"give "
		"the same release, so the first stays",
		release->project, first->digest, release->digest);
	return err_hint(err,
			"deploy the first (--release %.12s); what differs between the two comes from "
			"something the build reads that its recipe does not name",
			first->digest);
}

static int insert_row(struct db *db, const struct release *release, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	return db_exec_bound(
		db,
		"insert into release (project, build_key, digest, tree_id, recipe_digest, platform, "
		"commit_id,"
		" ref, subject, author, log, builder, committed_ms, created_ms, file_count, total_size) "
		"values (:project, :build_key, :digest, :tree, :recipe, :platform, :commit,"
		" :ref, :subject, :author, :log, :builder, :committed_ms, :created_ms, :file_count, "
		":total_size) "
		"on conflict (project, build_key, digest) do update set forgotten_ms = 0",
		DB_BINDS(DB_STR(":project", release->project), DB_STR(":build_key", release->build_key),
			 DB_STR(":digest", release->digest), DB_STR(":tree", release->tree),
			 DB_STR(":recipe", release->recipe), CLEAN(&arena, ":platform", release->platform),
			 CLEAN(&arena, ":commit", release->commit), CLEAN(&arena, ":ref", release->ref),
			 CLEAN(&arena, ":subject", release->subject),
			 CLEAN(&arena, ":author", release->author), CLEAN(&arena, ":log", release->log),
			 CLEAN(&arena, ":builder", release->builder),
			 DB_INT(":committed_ms", release->committed_ms),
			 DB_INT(":created_ms", release->created_ms),
			 DB_INT(":file_count", release->file_count),
			 DB_INT(":total_size", release->total_size)),
		err);
}

int release_insert(struct db *db, const struct release *release, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	struct release first;
	bool found;
	if (db_begin(db, &transaction, err) ||
	    release_find_build(db, &arena, release->project, release->build_key, &found, &first, err))
		return -1;
	if (found)
		return strcmp(first.digest, release->digest) == 0 ? 0 : refuse_other(&first, release, err);
	if (insert_row(db, release, err))
		return -1;
	return db_commit(&transaction, err);
}

int release_forget_build(struct db *db, const char *project, const char *build_key, struct err *err)
{
	return db_exec_bound(db,
			     "update release set forgotten_ms = :now_ms"
			     " where project = :project and build_key = :build_key and forgotten_ms = 0",
			     DB_BINDS(DB_INT(":now_ms", clock_wall_ms()), DB_STR(":project", project),
				      DB_STR(":build_key", build_key)),
			     err);
}

/* ---- reading ---- */

int release_find_build(struct db *db, struct arena *arena, const char *project, const char *build_key,
		       bool *found_out, struct release *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt,
			   "select * from release where project = :project and build_key = :build_key"
			   " and forgotten_ms = 0",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":build_key", build_key)), err))
		return -1;
	int got = db_step(stmt, err);
	if (got < 0)
		return -1;
	*found_out = got > 0;
	if (got > 0)
		read_row(stmt, arena, out);
	return 0;
}

static bool part_valid(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789abcdef", text.ptr[i]) || text.ptr[i] == '\0')
			return false;
	return text.len >= DIGEST_PART_MIN && text.len <= DIGEST_HEX;
}

int release_find(struct db *db, struct arena *arena, const char *project, struct slice digest,
		 struct release *out, struct err *err)
{
	if (!part_valid(digest)) {
		err_set(err, ERR_USER, "\"%.*s\" is no name of a release", (int)MIN(digest.len, (size_t)70),
			digest.ptr);
		return err_hint(err,
				"give the first %d or more of its 64 hexadecimal digits, as in "
				"`lockstep releases`",
				DIGEST_PART_MIN);
	}
	/* What begins with the digits lies between them and them followed by 'g'. */
	AUTO(arena_free) struct arena scratch = ARENA_INIT;
	const char *text = arena_str(&scratch, digest);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	struct release_list found;
	if (db_query_bound(db, &stmt,
			   "select * from release where project = :project and digest >= :low"
			   " and digest < :high and" FIRST_OF_ITS_DIGEST " order by created_ms desc limit 3",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":low", text),
				    DB_STR(":high", arena_printf(&scratch, "%sg", text))),
			   err) ||
	    read_rows(stmt, arena, &found, err))
		return -1;
	if (found.count == 0) {
		err_set(err, ERR_NOT_FOUND, "no release of %s begins with %s on this machine", project, text);
		return err_hint(err, "`lockstep releases` lists those that are here");
	}
	if (found.count > 1)
		return err_set(err, ERR_USER,
			       "several releases of %s begin with %s, among them %.12s and %.12s", project,
			       text, found.items[0].digest, found.items[1].digest);
	*out = found.items[0];
	return 0;
}

int release_list(struct db *db, struct arena *arena, const char *project, const struct page *page,
		 struct release_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(
		    db, &stmt,
		    "select * from release where project = coalesce(:project, project)"
		    " and (created_ms < :before_ms or (created_ms = :before_ms and digest < :before_id))"
		    " and" FIRST_OF_ITS_DIGEST " order by created_ms desc, digest desc limit :limit",
		    DB_BINDS(DB_STR(":project", project), PAGE_BINDS(page)), err))
		return -1;
	return read_rows(stmt, arena, out, err);
}
