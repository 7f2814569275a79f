/* What was last seen on servers: see seen_place.h. */
#include "model/seen_place.h"

#include "model/internal.h"

static const char *const verified_names[] = {
	[SEEN_VERIFIED] = "verified",
	[SEEN_UNVERIFIED] = "unverified",
	[SEEN_NOT_CHECKED] = "not_checked",
};

const char *seen_verified_name(enum seen_verified verified)
{
	return model_name_of(verified_names, ARRAY_LEN(verified_names), (int)verified);
}

int seen_place_put(struct db *db, const struct seen_place *place, struct err *err)
{
	ASSERT(place->verified >= SEEN_VERIFIED && place->verified <= SEEN_NOT_CHECKED);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	return db_exec_bound(
		db,
		"insert into seen_place (project, environment, place, label, place_id, number, activation,"
		" release_digest, config_digest, verified, deployment_id, commit_id, subject, who,"
		" activated_ms, edits, seen_ms) "
		"values (:project, :environment, :place, :label, :place_id, :number, :activation,"
		" :release, :config, :verified, :deployment, :commit, :subject, :who,"
		" :activated_ms, :edits, :seen_ms) "
		"on conflict (project, environment, place) do update set"
		" label = excluded.label, place_id = excluded.place_id, number = excluded.number,"
		" activation = excluded.activation, release_digest = excluded.release_digest,"
		" config_digest = excluded.config_digest, verified = excluded.verified,"
		" deployment_id = excluded.deployment_id, commit_id = excluded.commit_id,"
		" subject = excluded.subject, who = excluded.who, activated_ms = excluded.activated_ms,"
		" edits = excluded.edits, seen_ms = excluded.seen_ms "
		"where excluded.seen_ms >= seen_place.seen_ms",
		DB_BINDS(DB_STR(":project", place->project), DB_STR(":environment", place->environment),
			 DB_STR(":place", place->place), CLEAN(&arena, ":label", place->label),
			 CLEAN(&arena, ":place_id", place->place_id), DB_INT(":number", place->number),
			 CLEAN(&arena, ":activation", place->activation), DB_STR(":release", place->release),
			 DB_STR(":config", place->config),
			 DB_STR(":verified", seen_verified_name(place->verified)),
			 CLEAN(&arena, ":deployment", place->deployment),
			 CLEAN(&arena, ":commit", place->commit), CLEAN(&arena, ":subject", place->subject),
			 CLEAN(&arena, ":who", place->who), DB_INT(":activated_ms", place->activated_ms),
			 DB_INT(":edits", place->edits), DB_INT(":seen_ms", place->seen_ms)),
		err);
}

static void read_row(struct db_stmt *stmt, struct arena *arena, struct seen_place *out)
{
	AUTO(arena_free) struct arena scratch = ARENA_INIT;
	*out = (struct seen_place){
		.project = db_column_text(stmt, "project", arena),
		.environment = db_column_text(stmt, "environment", arena),
		.place = db_column_text(stmt, "place", arena),
		.label = db_column_text(stmt, "label", arena),
		.place_id = db_column_text(stmt, "place_id", arena),
		.number = db_column_int(stmt, "number"),
		.activation = db_column_text(stmt, "activation", arena),
		.release = db_column_text(stmt, "release_digest", arena),
		.config = db_column_text(stmt, "config_digest", arena),
		.verified = (enum seen_verified)model_value_of(verified_names, ARRAY_LEN(verified_names),
							       db_column_text(stmt, "verified", &scratch)),
		.deployment = db_column_text(stmt, "deployment_id", arena),
		.commit = db_column_text(stmt, "commit_id", arena),
		.subject = db_column_text(stmt, "subject", arena),
		.who = db_column_text(stmt, "who", arena),
		.activated_ms = db_column_int(stmt, "activated_ms"),
		.edits = db_column_int(stmt, "edits"),
		.seen_ms = db_column_int(stmt, "seen_ms"),
	};
}

int seen_place_find(struct db *db, struct arena *arena, const char *project, const char *environment,
		    const char *place, bool *found_out, struct seen_place *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt,
			   "select * from seen_place where project = :project"
			   " and environment = :environment and place = :place",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
				    DB_STR(":place", place)),
			   err))
		return -1;
	int got = db_step(stmt, err);
	if (got < 0)
		return -1;
	*found_out = got > 0;
	if (got > 0)
		read_row(stmt, arena, out);
	return 0;
}

int seen_place_list(struct db *db, struct arena *arena, const char *project, const char *environment,
		    struct seen_place_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt,
			   "select * from seen_place where project = :project"
			   " and environment = coalesce(:environment, environment)"
			   " order by environment, place",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment)), err))
		return -1;
	*out = (struct seen_place_list){0};
	int got;
	while ((got = db_step(stmt, err)) > 0)
		read_row(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)));
	return got;
}

int seen_place_forget(struct db *db, const char *project, const char *environment, const char *place,
		      struct err *err)
{
	return db_exec_bound(db,
			     "delete from seen_place where project = :project"
			     " and environment = :environment and place = :place",
			     DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
				      DB_STR(":place", place)),
			     err);
}
