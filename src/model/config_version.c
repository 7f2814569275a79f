/* Versions of configuration: see config_version.h. */
#include "model/config_version.h"
#include "model/internal.h"

enum { DIGEST_PART_MIN = 6, ENTRY_TEXT_MAX = 512 << 10 };

#define COLUMNS                                                                                              \
	"number, project, environment, config_digest, deployment_id, who, created_ms,"                       \
	" (select count(*) from config_entry where version_number = number) as entry_count,"                 \
	" coalesce(file_count, -1) as file_count"

static int newest_digest(struct db *db, struct arena *arena, const struct config_version *version,
			 const char **digest_out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	*digest_out = NULL;
	if (db_query_bound(
		    db, &stmt,
		    "select config_digest from config_version where project = :project and environment = "
		    ":environment order by number desc limit 1",
		    DB_BINDS(DB_STR(":project", version->project),
			     DB_STR(":environment", version->environment)),
		    err))
		return -1;
	int got = db_step(stmt, err);
	if (got > 0)
		*digest_out = db_column_text(stmt, "config_digest", arena);
	return got < 0 ? -1 : 0;
}

static int put_version(struct db *db, const struct config_version *version, int64_t *number_out,
		       struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query_bound(
		    db, &stmt,
		    "insert into config_version (project, environment, config_digest, deployment_id, who, "
		    "created_ms, file_count)"
		    " values (:project, :environment, :digest, :deployment, :who, :created_ms, "
		    "nullif(:file_count, -1)) returning number",
		    DB_BINDS(DB_STR(":project", version->project),
			     DB_STR(":environment", version->environment), DB_STR(":digest", version->digest),
			     DB_STR(":deployment", version->deployment), CLEAN(&arena, ":who", version->who),
			     DB_INT(":created_ms", version->created_ms),
			     DB_INT(":file_count", version->file_count)),
		    err))
		return -1;
	int got = db_step(stmt, err);
	if (got > 0)
		*number_out = db_column_int(stmt, "number");
	return got < 0 ? -1 : 0;
}

static int put_entries(struct db *db, int64_t number, const struct config_entry *entries, size_t count,
		       struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query(db, &stmt,
		     "insert into config_entry (version_number, position, name, scope, level, place, "
		     "version, fingerprint,"
		     " text_value, sealed, secret) values (:number, :position, :name, :scope, :level, "
		     ":place, :version,"
		     " :fingerprint, :text, :sealed, :secret)",
		     err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		const struct config_entry *entry = &entries[i];
		ASSERT(!entry->secret || !entry->text);
		db_reset(stmt);
		db_bind_all(stmt,
			    DB_BINDS(DB_INT(":number", number), DB_INT(":position", (int64_t)i),
				     CLEAN(&arena, ":name", entry->name),
				     CLEAN(&arena, ":scope", entry->scope), DB_STR(":level", entry->level),
				     CLEAN(&arena, ":place", entry->place),
				     CLEAN(&arena, ":version", entry->version),
				     DB_STR(":fingerprint", entry->fingerprint),
				     DB_STR(":text", model_clean(&arena, entry->text, ENTRY_TEXT_MAX)),
				     DB_STR(":sealed", entry->sealed), DB_INT(":secret", entry->secret)));
		if (db_step(stmt, err) < 0)
			return -1;
	}
	return 0;
}

static int put_files(struct db *db, int64_t number, const struct config_kept_file_list *files,
		     struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query(db, &stmt,
		     "insert into config_file (version_number, path, fingerprint) values (:number, :path, "
		     ":fingerprint)",
		     err))
		return -1;
	for (size_t i = 0; i < files->count; i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		db_reset(stmt);
		db_bind_all(stmt, DB_BINDS(DB_INT(":number", number),
					   DB_STR(":path",
						  model_clean(&arena, files->items[i].path, ENTRY_TEXT_MAX)),
					   DB_STR(":fingerprint", files->items[i].fingerprint)));
		if (db_step(stmt, err) < 0)
			return -1;
	}
	return 0;
}

int config_version_put(struct db *db, const struct config_version *version,
		       const struct config_entry_list *entries, const struct config_kept_file_list *files,
		       bool *added_out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	const char *newest;
	int64_t number = 0;

	*added_out = false;
	ASSERT(version->file_count == -1 || version->file_count == (int64_t)files->count);
	if (db_begin(db, &transaction, err) || newest_digest(db, &arena, version, &newest, err))
		return -1;
	if (newest && strcmp(newest, version->digest) == 0)
		return 0;
	if (put_version(db, version, &number, err) ||
	    put_entries(db, number, entries->items, entries->count, err) ||
	    (version->file_count >= 0 && put_files(db, number, files, err)) || db_commit(&transaction, err))
		return -1;
	*added_out = true;
	return 0;
}

static void read_version(struct db_stmt *stmt, struct arena *arena, struct config_version *out)
{
	*out = (struct config_version){
		.number = db_column_int(stmt, "number"),
		.project = db_column_text(stmt, "project", arena),
		.environment = db_column_text(stmt, "environment", arena),
		.digest = db_column_text(stmt, "config_digest", arena),
		.deployment = db_column_text(stmt, "deployment_id", arena),
		.who = db_column_text(stmt, "who", arena),
		.created_ms = db_column_int(stmt, "created_ms"),
		.entry_count = db_column_int(stmt, "entry_count"),
		.file_count = db_column_int(stmt, "file_count"),
	};
}

int config_version_list(struct db *db, struct arena *arena, const char *project, const char *environment,
			size_t limit, struct config_version_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct config_version_list){0};
	if (db_query_bound(
		    db, &stmt,
		    "select " COLUMNS " from config_version where project = :project and environment = "
		    ":environment order by number desc limit :limit",
		    DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
			     DB_INT(":limit", (int64_t)(limit ? MIN(limit, (size_t)PAGE_LIMIT_MAX) : 50))),
		    err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct config_version *row = model_grow(arena, &out->items, &out->count, sizeof(*row));
		read_version(stmt, arena, row);
	}
	return got;
}

int config_version_find(struct db *db, struct arena *arena, const char *project, const char *environment,
			const char *digest, bool *found_out, struct config_version *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	*found_out = false;
	if (digest && strlen(digest) < DIGEST_PART_MIN)
		return err_set(err, ERR_USER, "\"%s\" is too short to name a config set or a deployment",
			       digest);
	if (db_query_bound(
		    db, &stmt,
		    "select " COLUMNS " from config_version where project = :project and environment = "
		    ":environment and (:digest is null or substr(config_digest, 1, length(:digest)) = :digest"
		    " or deployment_id = :digest) order by number desc limit 1",
		    DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
			     DB_STR(":digest", digest)),
		    err))
		return -1;
	int got = db_step(stmt, err);
	if (got > 0) {
		read_version(stmt, arena, out);
		*found_out = true;
	}
	return got < 0 ? -1 : 0;
}

int config_entry_list(struct db *db, struct arena *arena, const struct config_version *version,
		      struct config_entry_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct config_entry_list){0};
	if (db_query_bound(
		    db, &stmt,
		    "select name, scope, level, place, version, fingerprint, text_value, sealed, secret from "
		    "config_entry where version_number = :number order by name, position",
		    DB_BINDS(DB_INT(":number", version->number)), err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct config_entry *row = model_grow(arena, &out->items, &out->count, sizeof(*row));
		*row = (struct config_entry){
			.name = db_column_text(stmt, "name", arena),
			.scope = db_column_text(stmt, "scope", arena),
			.level = db_column_text(stmt, "level", arena),
			.place = db_column_text(stmt, "place", arena),
			.version = db_column_text(stmt, "version", arena),
			.fingerprint = db_column_text(stmt, "fingerprint", arena),
			.text = db_column_text(stmt, "text_value", arena),
			.sealed = db_column_text(stmt, "sealed", arena),
			.secret = db_column_int(stmt, "secret") != 0,
		};
	}
	return got;
}

int config_kept_file_list(struct db *db, struct arena *arena, const struct config_version *version,
			  struct config_kept_file_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct config_kept_file_list){0};
	if (db_query_bound(
		    db, &stmt,
		    "select path, fingerprint from config_file where version_number = :number order by path",
		    DB_BINDS(DB_INT(":number", version->number)), err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct config_kept_file *row = model_grow(arena, &out->items, &out->count, sizeof(*row));
		*row = (struct config_kept_file){
			.path = db_column_text(stmt, "path", arena),
			.fingerprint = db_column_text(stmt, "fingerprint", arena),
		};
	}
	return got;
}

int config_version_purge(struct db *db, const char *project, const char *environment, const char *name,
			 size_t *count_out, struct err *err)
{
	*count_out = 0;
	if (db_exec_bound(
		    db,
		    "update config_entry set sealed = null where sealed is not null and (:name is null or "
		    "name = "
		    ":name) and version_number in (select number from config_version where project = :project"
		    " and (:environment is null or environment = :environment))",
		    DB_BINDS(DB_STR(":name", name), DB_STR(":project", project),
			     DB_STR(":environment", environment)),
		    err))
		return -1;
	*count_out = (size_t)db_changes(db);
	return 0;
}
