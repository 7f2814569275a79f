/* Looks at environments: see parity_run.h. */
#include "model/parity_run.h"

#include "model/internal.h"

static const char *const kind_names[] = {
	[PARITY_RUN_DIFF] = "diff",
	[PARITY_RUN_PARITY] = "parity",
	[PARITY_RUN_DRIFT] = "drift",
};

const char *parity_run_kind_name(enum parity_run_kind kind)
{
	return model_name_of(kind_names, ARRAY_LEN(kind_names), (int)kind);
}

/* ---- runs ---- */

#define COLUMNS                                                                                              \
	"id, project, kind, subjects, reference, who, run, started_ms, ended_ms, row_count, same_count,"     \
	" allowed_count, drift_count, missing_count, not_checked_count, stale_count, fact_count,"            \
	" finding_count, coverage, error"

static void bind_end(struct db_stmt *stmt, const struct parity_run *run)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct compare_totals *totals = &run->totals;

	db_bind_all(stmt,
		    DB_BINDS(DB_STR(":id", run->id), DB_INT(":ended_ms", run->ended_ms),
			     DB_INT(":rows", (int64_t)totals->rows), DB_INT(":same", (int64_t)totals->same),
			     DB_INT(":allowed", (int64_t)totals->allowed),
			     DB_INT(":drift", (int64_t)totals->drift),
			     DB_INT(":missing", (int64_t)totals->missing),
			     DB_INT(":not_checked", (int64_t)totals->not_checked),
			     DB_INT(":stale", (int64_t)totals->stale),
			     DB_INT(":facts", (int64_t)totals->facts),
			     DB_INT(":findings", run->finding_count), DB_INT(":coverage", run->coverage),
			     DB_STR(":error", model_clean(&arena, run->error, TEXT_MAX_BYTES))));
}

int parity_run_insert(struct db *db, const struct parity_run *run, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	ASSERT(run->kind >= PARITY_RUN_DIFF && run->kind <= PARITY_RUN_DRIFT);
	if (db_query(db, &stmt,
		     "insert into parity_run (" COLUMNS
		     ") values (:id, :project, :kind, :subjects, :reference,"
		     " :who, :run, :started_ms, :ended_ms, :rows, :same, :allowed, :drift, :missing,"
		     " :not_checked, :stale, :facts, :findings, :coverage, :error) on conflict (id) do "
		     "nothing",
		     err))
		return -1;
	bind_end(stmt, run);
	db_bind_all(stmt,
		    DB_BINDS(DB_STR(":project", run->project),
			     DB_STR(":kind", parity_run_kind_name(run->kind)),
			     DB_STR(":subjects", model_clean(&arena, run->subjects, TEXT_MAX_BYTES)),
			     CLEAN(&arena, ":reference", run->reference), CLEAN(&arena, ":who", run->who),
			     CLEAN(&arena, ":run", run->run), DB_INT(":started_ms", run->started_ms)));
	if (db_step(stmt, err) < 0)
		return -1;
	if (db_changes(db) == 0)
		return err_set(err, ERR_CONFLICT, "there is a parity run %s already", run->id);
	return 0;
}

int parity_run_update(struct db *db, const struct parity_run *run, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query(db, &stmt,
		     "update parity_run set ended_ms = :ended_ms, row_count = :rows, same_count = :same,"
		     " allowed_count = :allowed, drift_count = :drift, missing_count = :missing,"
		     " not_checked_count = :not_checked, stale_count = :stale, fact_count = :facts,"
		     " finding_count = :findings, coverage = :coverage, error = :error where id = :id",
		     err))
		return -1;
	bind_end(stmt, run);
	if (db_step(stmt, err) < 0)
		return -1;
	if (db_changes(db) == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no parity run %s", run->id);
	return 0;
}

static void read_run(struct db_stmt *stmt, struct arena *arena, struct parity_run *out)
{
	const char *kind = db_column_text(stmt, "kind", arena);
	*out = (struct parity_run){
		.id = db_column_text(stmt, "id", arena),
		.project = db_column_text(stmt, "project", arena),
		.kind = (enum parity_run_kind)model_value_of(kind_names, ARRAY_LEN(kind_names), kind),
		.subjects = db_column_text(stmt, "subjects", arena),
		.reference = db_column_text(stmt, "reference", arena),
		.who = db_column_text(stmt, "who", arena),
		.run = db_column_text(stmt, "run", arena),
		.started_ms = db_column_int(stmt, "started_ms"),
		.ended_ms = db_column_int(stmt, "ended_ms"),
		.totals =
			{
				.rows = (uint64_t)db_column_int(stmt, "row_count"),
				.same = (uint64_t)db_column_int(stmt, "same_count"),
				.allowed = (uint64_t)db_column_int(stmt, "allowed_count"),
				.drift = (uint64_t)db_column_int(stmt, "drift_count"),
				.missing = (uint64_t)db_column_int(stmt, "missing_count"),
				.not_checked = (uint64_t)db_column_int(stmt, "not_checked_count"),
				.stale = (uint64_t)db_column_int(stmt, "stale_count"),
				.facts = (uint64_t)db_column_int(stmt, "fact_count"),
			},
		.finding_count = db_column_int(stmt, "finding_count"),
		.coverage = (int)db_column_int(stmt, "coverage"),
		.error = db_column_text(stmt, "error", arena),
	};
}

static int read_one(struct db_stmt *stmt, struct arena *arena, bool *found_out, struct parity_run *out,
		    struct err *err)
{
	int got = db_step(stmt, err);
	*found_out = got > 0;
	if (got > 0)
		read_run(stmt, arena, out);
	return got < 0 ? -1 : 0;
}

int parity_run_find(struct db *db, struct arena *arena, const char *id, struct parity_run *out,
		    struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	bool found;

	if (db_query_bound(db, &stmt, "select " COLUMNS " from parity_run where id = :id",
			   DB_BINDS(DB_STR(":id", id)), err) ||
	    read_one(stmt, arena, &found, out, err))
		return -1;
	return found ? 0 : err_set(err, ERR_NOT_FOUND, "there is no parity run %.100s", id);
}

int parity_run_latest(struct db *db, struct arena *arena, const char *project, const char *environment,
		      const char *other, bool *found_out, struct parity_run *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query_bound(
		    db, &stmt,
		    "select " COLUMNS
		    " from parity_run where project = :project and ended_ms > 0 and error is null"
		    " and exists (select 1 from parity_snapshot where run_id = id and environment = :one)"
		    " and exists (select 1 from parity_snapshot where run_id = id and environment = :other)"
		    " order by started_ms desc, id desc limit 1",
		    DB_BINDS(DB_STR(":project", project), DB_STR(":one", environment),
			     DB_STR(":other", other)),
		    err))
		return -1;
	return read_one(stmt, arena, found_out, out, err);
}

int parity_run_list(struct db *db, struct arena *arena, const char *project, const struct page *page,
		    struct parity_run_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct parity_run_list){0};
	if (db_query_bound(db, &stmt,
			   "select " COLUMNS " from parity_run where (:project is null or project = :project)"
			   " and (started_ms < :before_ms or (started_ms = :before_ms and id < :before_id))"
			   " order by started_ms desc, id desc limit :limit",
			   DB_BINDS(DB_STR(":project", project), PAGE_BINDS(page)), err))
		return -1;
	while ((got = db_step(stmt, err)) > 0)
		read_run(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)));
	return got;
}

/* ---- what servers showed ---- */

int parity_snapshot_put(struct db *db, const struct parity_snapshot *snapshot, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	return db_exec_bound(
		db,
		"insert into parity_snapshot (run_id, environment, server, label, snapshot_digest, size, "
		"bytes,"
		" taken_ms) values (:run, :environment, :server, :label, :digest, :size, :bytes, :taken_ms)"
		" on conflict (run_id, environment, server) do update set label = excluded.label,"
		" snapshot_digest = excluded.snapshot_digest, size = excluded.size, bytes = excluded.bytes,"
		" taken_ms = excluded.taken_ms",
		DB_BINDS(DB_STR(":run", snapshot->run), CLEAN(&arena, ":environment", snapshot->environment),
			 CLEAN(&arena, ":server", snapshot->server), CLEAN(&arena, ":label", snapshot->label),
			 DB_STR(":digest", snapshot->digest), DB_INT(":size", (int64_t)snapshot->size),
			 DB_INT(":bytes", (int64_t)snapshot->bytes), DB_INT(":taken_ms", snapshot->taken_ms)),
		err);
}

int parity_snapshot_list(struct db *db, struct arena *arena, const char *run,
			 struct parity_snapshot_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct parity_snapshot_list){0};
	if (db_query_bound(db, &stmt,
			   "select run_id, environment, server, label, snapshot_digest, size, bytes, taken_ms"
			   " from parity_snapshot where run_id = :run order by environment, server",
			   DB_BINDS(DB_STR(":run", run)), err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct parity_snapshot *row = model_grow(arena, &out->items, &out->count, sizeof(*row));
		*row = (struct parity_snapshot){
			.run = db_column_text(stmt, "run_id", arena),
			.environment = db_column_text(stmt, "environment", arena),
			.server = db_column_text(stmt, "server", arena),
			.label = db_column_text(stmt, "label", arena),
			.digest = db_column_text(stmt, "snapshot_digest", arena),
			.size = (uint64_t)db_column_int(stmt, "size"),
			.bytes = (uint64_t)db_column_int(stmt, "bytes"),
			.taken_ms = db_column_int(stmt, "taken_ms"),
		};
	}
	return got;
}

int parity_run_prune(struct db *db, int64_t now_ms, int64_t days, int64_t runs, size_t *count_out,
		     struct err *err)
{
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	int64_t before_ms = now_ms - days * 24 * 60 * 60 * 1000;

	*count_out = 0;
	ASSERT(days > 0 && runs > 0);
	if (db_begin(db, &transaction, err) ||
	    db_exec_bound(
		    db,
		    "delete from parity_run where id in (select id from (select id, started_ms, row_number()"
		    " over (partition by project order by started_ms desc, id desc) as place from parity_run)"
		    " as placed where place > :runs or (place > 1 and started_ms < :before_ms))",
		    DB_BINDS(DB_INT(":runs", runs), DB_INT(":before_ms", before_ms)), err))
		return -1;
	*count_out = (size_t)db_changes(db);
	if (db_exec_bound(db, "delete from parity_change where at_ms < :before_ms",
			  DB_BINDS(DB_INT(":before_ms", before_ms)), err))
		return -1;
	return db_commit(&transaction, err);
}
