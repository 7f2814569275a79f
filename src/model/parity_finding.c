/* Findings over time: see parity_finding.h. */
#include "model/parity_finding.h"

#include "doc/json.h"
#include "model/internal.h"

enum { ID_PART_MIN = 4, CELLS_MAX = 512 << 10, CELL_TEXT_MAX = 200 };

static const char *const kind_names[] = {
	[FINDING_DRIFT] = "drift",
	[FINDING_WITHIN] = "within",
	[FINDING_LAPSED] = "lapsed",
	[FINDING_UNNEEDED] = "unneeded",
	[FINDING_HAND_CHANGE] = "hand_change",
	[FINDING_NOT_DEPLOYED] = "not_deployed",
};

static const char *const cell_names[] = {
	[CELL_SAME] = "same",	    [CELL_ALLOWED] = "allowed",		[CELL_DRIFT] = "drift",
	[CELL_MISSING] = "missing", [CELL_NOT_CHECKED] = "not_checked", [CELL_STALE] = "stale",
};

const char *const model_severity_names[] = {
	[SEVERITY_NONE] = NULL,	  [SEVERITY_LOW] = "low",	    [SEVERITY_MEDIUM] = "medium",
	[SEVERITY_HIGH] = "high", [SEVERITY_CRITICAL] = "critical",
};
const size_t model_severity_count = ARRAY_LEN(model_severity_names);

/* ---- keeping ---- */

static json_t *cell_json(const struct finding_cell *cell)
{
	struct slice text = slice_of(cell->text ? cell->text : "");
	text.len = MIN(text.len, (size_t)CELL_TEXT_MAX);
	json_t *out = json_object();
	json_object_set_new(out, "environment", json_cstr(cell->environment));
	json_object_set_new(out, "server", json_cstr(cell->server));
	json_object_set_new(out, "text", json_text(text));
	json_object_set_new(out, "state",
			    json_cstr(model_name_of(cell_names, ARRAY_LEN(cell_names), (int)cell->state)));
	return out;
}

/* A fleet is large and a row is not: what does not fit is left out, the rest stays valid. */
static const char *cells_text(struct arena *arena, const struct finding *finding)
{
	AUTO(buf_free) struct buf out = BUF_INIT(CELLS_MAX);
	AUTO(json_free) json_t *cells = json_array();
	size_t shown = MIN(finding->cell_count, (size_t)500);

	for (size_t i = 0; i < shown; i++)
		json_array_append_new(cells, cell_json(&finding->cells[i]));
	json_put(&out, cells);
	return out.overflow ? "[]" : arena_strdup(arena, buf_str(&out));
}

struct keeper {
	struct db *db;
	const struct parity_run *run;
	const char *scope;
	int64_t at_ms;
	struct db_stmt *upsert, *change, *go;
};

static void free_keeper(struct keeper *keeper)
{
	db_finish(&keeper->upsert);
	db_finish(&keeper->change);
	db_finish(&keeper->go);
}

static int keep_change(struct keeper *keeper, const char *id, const char *what, const char *key,
		       const char *severity, const char *text, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	db_reset(keeper->change);
	db_bind_all(keeper->change,
		    DB_BINDS(DB_STR(":project", keeper->run->project), DB_INT(":at_ms", keeper->at_ms),
			     DB_STR(":id", id), DB_STR(":change", what), DB_STR(":run", keeper->run->id),
			     DB_STR(":key", model_clean(&arena, key, FACT_KEY_MAX)),
			     DB_STR(":severity", severity), CLEAN(&arena, ":summary", text)));
	return db_step(keeper->change, err) < 0 ? -1 : 0;
}

/* A finding that came back has a new onset. */
static int keep_finding(struct keeper *keeper, struct finding *finding, bool *appeared_out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *severity =
		model_name_of(model_severity_names, model_severity_count, (int)finding->severity);

	db_reset(keeper->upsert);
	db_bind_all(keeper->upsert,
		    DB_BINDS(DB_STR(":project", keeper->run->project), DB_STR(":id", finding->id),
			     DB_STR(":scope", keeper->scope),
			     DB_STR(":key", model_clean(&arena, finding->key, FACT_KEY_MAX)),
			     DB_STR(":kind",
				    model_name_of(kind_names, ARRAY_LEN(kind_names), (int)finding->kind)),
			     DB_STR(":severity", severity),
			     DB_STR(":summary",
				    model_clean(&arena, finding->text ? finding->text : "", TEXT_MAX_BYTES)),
			     DB_STR(":cause", finding->cause && finding->cause[0]
						      ? model_clean(&arena, finding->cause, TEXT_MAX_BYTES)
						      : NULL),
			     DB_STR(":cells", cells_text(&arena, finding)), DB_INT(":at_ms", keeper->at_ms),
			     DB_STR(":run", keeper->run->id)));
	int got = db_step(keeper->upsert, err);
	if (got < 0)
		return -1;
	finding->first_seen_ms = got ? db_column_int(keeper->upsert, "onset_ms") : keeper->at_ms;
	finding->last_seen_ms = keeper->at_ms;
	db_reset(keeper->upsert);
	*appeared_out = finding->first_seen_ms == keeper->at_ms;
	return *appeared_out ? keep_change(keeper, finding->id, "appeared", finding->key, severity,
					   finding->text ? finding->text : "", err)
			     : 0;
}

struct unseen {
	const char *id, *key, *severity, *text;
};

static int find_unseen(struct keeper *keeper, struct arena *arena, struct unseen **out, size_t *count_out,
		       struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	if (db_query_bound(
		    keeper->db, &stmt,
		    "select finding_id, fact_key, severity, summary from parity_finding where project ="
		    " :project and scope = :scope and gone_ms = 0 and run_id <> :run",
		    DB_BINDS(DB_STR(":project", keeper->run->project), DB_STR(":scope", keeper->scope),
			     DB_STR(":run", keeper->run->id)),
		    err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct unseen *row = model_grow(arena, out, count_out, sizeof(*row));
		*row = (struct unseen){
			.id = db_column_text(stmt, "finding_id", arena),
			.key = db_column_text(stmt, "fact_key", arena),
			.severity = db_column_text(stmt, "severity", arena),
			.text = db_column_text(stmt, "summary", arena),
		};
	}
	return got;
}

static int keep_gone(struct keeper *keeper, bool (*looked)(void *context, struct slice key), void *context,
		     size_t *gone_out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct unseen *unseen = NULL;
	size_t count = 0;

	if (find_unseen(keeper, &arena, &unseen, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (looked && !looked(context, slice_of(unseen[i].key)))
			continue;
		db_reset(keeper->go);
		db_bind_all(keeper->go,
			    DB_BINDS(DB_STR(":project", keeper->run->project), DB_STR(":id", unseen[i].id),
				     DB_INT(":at_ms", keeper->at_ms)));
		if (db_step(keeper->go, err) < 0 || keep_change(keeper, unseen[i].id, "gone", unseen[i].key,
								unseen[i].severity, unseen[i].text, err))
			return -1;
		++*gone_out;
	}
	return 0;
}

static int prepare(struct keeper *keeper, struct err *err)
{
	return db_query(keeper->db, &keeper->upsert,
			"insert into parity_finding (project, finding_id, scope, fact_key, kind, severity, "
			"summary,"
			" cause, cells, first_seen_ms, onset_ms, last_seen_ms, run_id) values (:project, "
			":id, :scope,"
			" :key, :kind, :severity, :summary, :cause, :cells, :at_ms, :at_ms, :at_ms, :run)"
			" on conflict (project, finding_id) do update set scope = excluded.scope,"
			" fact_key = excluded.fact_key, kind = excluded.kind, severity = excluded.severity,"
			" summary = excluded.summary, cause = excluded.cause, cells = excluded.cells,"
			" onset_ms = case when parity_finding.gone_ms = 0 then parity_finding.onset_ms"
			" else excluded.onset_ms end, last_seen_ms = excluded.last_seen_ms, gone_ms = 0,"
			" run_id = excluded.run_id returning onset_ms",
			err) ||
			       db_query(keeper->db, &keeper->change,
					"insert into parity_change (project, at_ms, finding_id, change, "
					"run_id,"
					" fact_key, severity, summary) values (:project, :at_ms, :id, "
					":change, :run,"
					" :key, :severity, :summary) on conflict (project, at_ms, finding_id)"
					" do nothing",
					err) ||
			       db_query(keeper->db, &keeper->go,
					"update parity_finding set gone_ms = :at_ms where project = :project "
					"and"
					" finding_id = :id",
					err)
		       ? -1
		       : 0;
}

static const char *scope_of(struct arena *arena, const struct parity_run *run)
{
	const char *subjects = model_clean(arena, run->subjects, TEXT_MAX_BYTES);
	return arena_printf(arena, "%s%s", run->kind == PARITY_RUN_DRIFT ? "drift " : "", subjects);
}

int parity_finding_record(struct db *db, const struct parity_run *run, struct findings *findings,
			  bool (*looked)(void *context, struct slice key), void *context,
			  struct parity_changes *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	AUTO(free_keeper)
	struct keeper keeper = {.db = db,
				.run = run,
				.scope = scope_of(&arena, run),
				.at_ms = run->ended_ms ? run->ended_ms : run->started_ms};

	*out = (struct parity_changes){0};
	if (db_begin(db, &transaction, err) || prepare(&keeper, err))
		return -1;
	for (size_t i = 0; i < findings->count; i++) {
		bool appeared;
		if (keep_finding(&keeper, &findings->items[i], &appeared, err))
			return -1;
		out->appeared += appeared;
	}
	if (keep_gone(&keeper, looked, context, &out->gone, err))
		return -1;
	/* No statement may be open when the transaction ends. */
	free_keeper(&keeper);
	return db_commit(&transaction, err);
}

/* ---- reading ---- */

#define COLUMNS                                                                                              \
	"project, finding_id, scope, fact_key, kind, severity, summary, cause, cells, first_seen_ms,"        \
	" onset_ms, last_seen_ms, gone_ms, run_id"

static void read_finding(struct db_stmt *stmt, struct arena *arena, struct parity_finding *out)
{
	const char *kind = db_column_text(stmt, "kind", arena),
		   *severity = db_column_text(stmt, "severity", arena);
	*out = (struct parity_finding){
		.id = db_column_text(stmt, "finding_id", arena),
		.project = db_column_text(stmt, "project", arena),
		.scope = db_column_text(stmt, "scope", arena),
		.key = db_column_text(stmt, "fact_key", arena),
		.text = db_column_text(stmt, "summary", arena),
		.cause = db_column_text(stmt, "cause", arena),
		.kind = (enum finding_kind)model_value_of(kind_names, ARRAY_LEN(kind_names), kind),
		.severity =
			(enum severity)model_value_of(model_severity_names, model_severity_count, severity),
		.cells = db_column_text(stmt, "cells", arena),
		.first_seen_ms = db_column_int(stmt, "first_seen_ms"),
		.onset_ms = db_column_int(stmt, "onset_ms"),
		.last_seen_ms = db_column_int(stmt, "last_seen_ms"),
		.gone_ms = db_column_int(stmt, "gone_ms"),
		.run = db_column_text(stmt, "run_id", arena),
	};
}

int parity_finding_list(struct db *db, struct arena *arena, const char *project, const char *scope,
			struct parity_finding_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct parity_finding_list){0};
	if (db_query_bound(db, &stmt,
			   "select " COLUMNS
			   " from parity_finding where project = :project and gone_ms = 0 and"
			   " (:scope is null or scope = :scope) order by onset_ms, finding_id limit :limit",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":scope", scope),
				    DB_INT(":limit", FINDINGS_MAX)),
			   err))
		return -1;
	while ((got = db_step(stmt, err)) > 0)
		read_finding(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)));
	return got;
}

int parity_finding_find(struct db *db, struct arena *arena, const char *project, const char *id,
			struct parity_finding *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	size_t found = 0;
	int got;

	if (strlen(id) < ID_PART_MIN)
		return err_set(err, ERR_USER, "\"%s\" is too short to name a finding", id);
	if (db_query_bound(db, &stmt,
			   "select " COLUMNS " from parity_finding where project = :project and"
			   " substr(finding_id, 1, length(:id)) = :id order by finding_id limit 2",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":id", id)), err))
		return -1;
	while ((got = db_step(stmt, err)) > 0)
		if (found++ == 0)
			read_finding(stmt, arena, out);
	if (got < 0)
		return -1;
	if (found == 0) {
		err_set(err, ERR_NOT_FOUND, "there is no finding %.100s", id);
		return err_hint(err, "`lockstep parity` shows the findings and their ids");
	}
	return found == 1 ? 0 : err_set(err, ERR_USER, "several findings begin with %.100s", id);
}

int parity_change_list(struct db *db, struct arena *arena, const char *project, int64_t since_ms,
		       const char *run, struct parity_change_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct parity_change_list){0};
	if (db_query_bound(
		    db, &stmt,
		    "select at_ms, finding_id, change, run_id, fact_key, severity, summary from parity_change"
		    " where project = :project and at_ms >= :since_ms and (:run is null or run_id = :run)"
		    " order by at_ms, finding_id limit :limit",
		    DB_BINDS(DB_STR(":project", project), DB_INT(":since_ms", since_ms), DB_STR(":run", run),
			     DB_INT(":limit", PARITY_CHANGES_MAX)),
		    err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		struct parity_change *row = model_grow(arena, &out->items, &out->count, sizeof(*row));
		const char *severity = db_column_text(stmt, "severity", arena);
		*row = (struct parity_change){
			.at_ms = db_column_int(stmt, "at_ms"),
			.id = db_column_text(stmt, "finding_id", arena),
			.run = db_column_text(stmt, "run_id", arena),
			.key = db_column_text(stmt, "fact_key", arena),
			.text = db_column_text(stmt, "summary", arena),
			.severity = (enum severity)model_value_of(model_severity_names, model_severity_count,
								  severity),
			.gone = strcmp(db_column_text(stmt, "change", arena), "gone") == 0,
		};
	}
	return got;
}
