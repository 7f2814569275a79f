/* Deployments as history: see deployment.h. */
#include "model/deployment.h"

#include "base/random.h"
#include "model/internal.h"

#include <stdio.h>
#include <time.h>

enum { ID_DAY_LEN = 6, ID_RANDOM_LEN = 5, ID_PART_MIN = 3 };

static const char crockford[] = "0123456789abcdefghjkmnpqrstvwxyz";

static const char *const kind_names[] = {
	[DEPLOYMENT_DEPLOY] = "deploy",
	[DEPLOYMENT_PROMOTE] = "promote",
	[DEPLOYMENT_ROLLBACK] = "rollback",
	[DEPLOYMENT_RECOVER] = "recover",
	[DEPLOYMENT_CONFIG] = "config",
};

static const char *const outcome_names[] = {
	[OUTCOME_RUNNING] = "running",	   [OUTCOME_LIVE] = "live",
	[OUTCOME_UNCHANGED] = "unchanged", [OUTCOME_RESTORED] = "restored",
	[OUTCOME_FAILED] = "failed",	   [OUTCOME_ALL_OLD] = "all_old",
	[OUTCOME_PARTIAL] = "partial",	   [OUTCOME_MIXED] = "mixed",
	[OUTCOME_UNKNOWN] = "unknown",	   [OUTCOME_INTERRUPTED] = "interrupted",
	[OUTCOME_REFUSED] = "refused",
};

const char *deployment_kind_name(enum deployment_kind kind)
{
	return model_name_of(kind_names, ARRAY_LEN(kind_names), (int)kind);
}

const char *deployment_outcome_name(enum deployment_outcome outcome)
{
	return model_name_of(outcome_names, ARRAY_LEN(outcome_names), (int)outcome);
}

/* ---- ids ---- */

void deployment_make_id(int64_t now_ms, char out[DEPLOYMENT_ID_LEN + 1])
{
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm day;
	ASSERT(now_ms >= 0 && gmtime_r(&seconds, &day));
	int len = snprintf(out, DEPLOYMENT_ID_LEN + 1, "%02u%02u%02u-", (unsigned)day.tm_year % 100,
			   (unsigned)(day.tm_mon + 1) % 100, (unsigned)day.tm_mday % 100);
	ASSERT(len == ID_DAY_LEN + 1);

	uint8_t bytes[ID_RANDOM_LEN];
	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < ID_RANDOM_LEN; i++)
		out[ID_DAY_LEN + 1 + i] = crockford[bytes[i] % 32];
	out[DEPLOYMENT_ID_LEN] = '\0';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_crockford(char c)
{
	return c != '\0' && strchr(crockford, c);
}

bool deployment_id_valid(struct slice text)
{
	if (text.len != DEPLOYMENT_ID_LEN || text.ptr[ID_DAY_LEN] != '-')
		return false;
	for (size_t i = 0; i < ID_DAY_LEN; i++)
		if (!is_digit(text.ptr[i]))
			return false;
	for (size_t i = ID_DAY_LEN + 1; i < DEPLOYMENT_ID_LEN; i++)
		if (!is_crockford(text.ptr[i]))
			return false;
	return true;
}

/* ---- writing ---- */

static void check_enums(const struct deployment *deployment)
{
	ASSERT(deployment->kind >= DEPLOYMENT_DEPLOY && deployment->kind <= DEPLOYMENT_CONFIG);
	ASSERT(deployment->outcome >= OUTCOME_RUNNING && deployment->outcome <= OUTCOME_REFUSED);
}

/* What may change while a deployment runs. */
static void bind_progress(struct db_stmt *stmt, const struct deployment *deployment)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	db_bind_all(
		stmt,
		DB_BINDS(DB_STR(":id", deployment->id), DB_STR(":release", deployment->release),
			 DB_STR(":config", deployment->config), DB_STR(":plan", deployment->plan),
			 CLEAN(&arena, ":commit", deployment->commit), CLEAN(&arena, ":ref", deployment->ref),
			 CLEAN(&arena, ":subject", deployment->subject),
			 CLEAN(&arena, ":who", deployment->who), CLEAN(&arena, ":reason", deployment->reason),
			 DB_INT(":hotfix", deployment->hotfix), DB_INT(":ended_ms", deployment->ended_ms),
			 DB_STR(":outcome", deployment_outcome_name(deployment->outcome)),
			 DB_INT(":exit_code", deployment->exit_code),
			 DB_STR(":error", model_clean(&arena, deployment->error, TEXT_MAX_BYTES)),
			 CLEAN(&arena, ":run", deployment->run)));
}

int deployment_insert(struct db *db, const struct deployment *deployment, struct err *err)
{
	check_enums(deployment);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query(db, &stmt,
		     "insert into deployment (id, kind, project, environment, release_digest, config_digest,"
		     " plan_digest, commit_id, ref, subject, who, reason, hotfix, started_ms, ended_ms, "
		     "outcome,"
		     " exit_code, error, run) "
		     "values (:id, :kind, :project, :environment, :release, :config,"
		     " :plan, :commit, :ref, :subject, :who, :reason, :hotfix, :started_ms, :ended_ms, "
		     ":outcome,"
		     " :exit_code, :error, :run) on conflict (id) do nothing",
		     err))
		return -1;
	bind_progress(stmt, deployment);
	db_bind_str(stmt, ":kind", deployment_kind_name(deployment->kind));
	db_bind_str(stmt, ":project", deployment->project);
	db_bind_str(stmt, ":environment", deployment->environment);
	db_bind_int(stmt, ":started_ms", deployment->started_ms);
	if (db_step(stmt, err) < 0)
		return -1;
	if (db_changes(db) == 0)
		return err_set(err, ERR_CONFLICT, "there is a deployment %s already", deployment->id);
	return 0;
}

int deployment_update(struct db *db, const struct deployment *deployment, struct err *err)
{
	check_enums(deployment);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query(db, &stmt,
		     "update deployment set kind = :kind, release_digest = :release, config_digest = :config,"
		     " plan_digest = :plan, commit_id = :commit, ref = :ref, subject = :subject, who = :who,"
		     " reason = :reason, hotfix = :hotfix, ended_ms = :ended_ms, outcome = :outcome,"
		     " exit_code = :exit_code, error = :error, run = :run where id = :id",
		     err))
		return -1;
	bind_progress(stmt, deployment);
	db_bind_str(stmt, ":kind", deployment_kind_name(deployment->kind));
	if (db_step(stmt, err) < 0)
		return -1;
	if (db_changes(db) == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no deployment %s on this machine",
			       deployment->id);
	return 0;
}

/* ---- reading ---- */

static void read_row(struct db_stmt *stmt, struct arena *arena, struct deployment *out)
{
	AUTO(arena_free) struct arena scratch = ARENA_INIT;
	*out = (struct deployment){
		.id = db_column_text(stmt, "id", arena),
		.kind = (enum deployment_kind)model_value_of(kind_names, ARRAY_LEN(kind_names),
							     db_column_text(stmt, "kind", &scratch)),
		.project = db_column_text(stmt, "project", arena),
		.environment = db_column_text(stmt, "environment", arena),
		.release = db_column_text(stmt, "release_digest", arena),
		.config = db_column_text(stmt, "config_digest", arena),
		.plan = db_column_text(stmt, "plan_digest", arena),
		.commit = db_column_text(stmt, "commit_id", arena),
		.ref = db_column_text(stmt, "ref", arena),
		.subject = db_column_text(stmt, "subject", arena),
		.who = db_column_text(stmt, "who", arena),
		.reason = db_column_text(stmt, "reason", arena),
		.hotfix = db_column_int(stmt, "hotfix") != 0,
		.started_ms = db_column_int(stmt, "started_ms"),
		.ended_ms = db_column_int(stmt, "ended_ms"),
		.outcome = (enum deployment_outcome)model_value_of(outcome_names, ARRAY_LEN(outcome_names),
								   db_column_text(stmt, "outcome", &scratch)),
		.exit_code = (int)db_column_int(stmt, "exit_code"),
		.error = db_column_text(stmt, "error", arena),
		.run = db_column_text(stmt, "run", arena),
	};
}

static int read_rows(struct db_stmt *stmt, struct arena *arena, struct deployment_list *out, struct err *err)
{
	*out = (struct deployment_list){0};
	int got;
	while ((got = db_step(stmt, err)) > 0)
		read_row(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)));
	return got;
}

static bool part_valid(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '-' && !is_crockford(text.ptr[i]))
			return false;
	return text.len >= ID_PART_MIN && text.len <= DEPLOYMENT_ID_LEN;
}

int deployment_find(struct db *db, struct arena *arena, const char *project, struct slice id,
		    struct deployment *out, struct err *err)
{
	if (!part_valid(id)) {
		err_set(err, ERR_USER, "\"%.*s\" is no id of a deployment", (int)MIN(id.len, (size_t)40),
			id.ptr);
		return err_hint(err, "ids look like 261122-k3m9x; the last five characters are enough. "
				     "`lockstep log` lists them");
	}
	/* No character of an id means anything to `like`. */
	AUTO(arena_free) struct arena scratch = ARENA_INIT;
	const char *text = arena_str(&scratch, id);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	struct deployment_list found;
	if (db_query_bound(db, &stmt,
			   "select * from deployment where (id like :begins or id like :ends)"
			   " and project = coalesce(:project, project)"
			   " order by started_ms desc, id desc limit 3",
			   DB_BINDS(DB_STR(":begins", arena_printf(&scratch, "%s%%", text)),
				    DB_STR(":ends", arena_printf(&scratch, "%%%s", text)),
				    DB_STR(":project", project)),
			   err) ||
	    read_rows(stmt, arena, &found, err))
		return -1;
	if (found.count == 0) {
		err_set(err, ERR_NOT_FOUND, "there is no deployment %s on this machine", text);
		return err_hint(err,
				"`lockstep log` lists those begun here; what is live stands on the servers "
				"(`lockstep status`)");
	}
	if (found.count > 1)
		return err_set(err, ERR_USER, "several deployments fit %s, among them %s and %s", text,
			       found.items[0].id, found.items[1].id);
	*out = found.items[0];
	return 0;
}

int deployment_list(struct db *db, struct arena *arena, const char *project, const char *environment,
		    const struct page *page, struct deployment_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt,
			   "select * from deployment where project = coalesce(:project, project)"
			   " and environment = coalesce(:environment, environment)"
			   " and (started_ms < :before_ms or (started_ms = :before_ms and id < :before_id))"
			   " order by started_ms desc, id desc limit :limit",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
				    PAGE_BINDS(page)),
			   err))
		return -1;
	return read_rows(stmt, arena, out, err);
}

int deployment_list_running(struct db *db, struct arena *arena, const char *project, const char *environment,
			    struct deployment_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt,
			   "select * from deployment where ended_ms = 0"
			   " and project = coalesce(:project, project)"
			   " and environment = coalesce(:environment, environment)"
			   " order by started_ms, id limit :limit",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":environment", environment),
				    DB_INT(":limit", PAGE_LIMIT_MAX)),
			   err))
		return -1;
	return read_rows(stmt, arena, out, err);
}
