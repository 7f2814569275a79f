#include "engine/parity_history.h"

#include "base/clock.h"
#include "base/fd.h"
#include "engine/fleet_of.h"
#include "engine/snapshot_file.h"
#include "model/deployment.h"
#include "model/parity_finding.h"
#include "model/parity_snapshot.h"
#include "model/parity_timeline.h"

#include <stdlib.h>
#include <unistd.h>

/* --- earlier snapshots ------------------------------------------------------------------ */

/* The snapshot of one server in a run; NULL in *digest_out: it has none. */
static int find_snapshot(struct engine *engine, const char *run, const char *environment, const char *server,
			 const char **digest_out, int64_t *taken_out, struct err *err)
{
	struct parity_snapshot_list snapshots;

	*digest_out = NULL;
	if (parity_snapshot_list(engine->home.db, &engine->arena, run, &snapshots, err))
		return -1;
	for (size_t i = 0; i < snapshots.count; i++)
		if (strcmp(snapshots.items[i].environment, environment) == 0 &&
		    strcmp(snapshots.items[i].server, server) == 0) {
			*digest_out = snapshots.items[i].digest;
			*taken_out = snapshots.items[i].taken_ms;
		}
	return 0;
}

int parity_history_last(struct engine *engine, const char *environment, const char *server, int *fd_out,
			int64_t *taken_out, struct err *err)
{
	struct parity_run run;
	const char *digest;
	bool found = false;

	*fd_out = -1;
	if (parity_run_latest(engine->home.db, &engine->arena, engine->project->name, environment,
			      environment, &found, &run, err))
		return -1;
	if (!found)
		return 0;
	if (find_snapshot(engine, run.id, environment, server, &digest, taken_out, err))
		return -1;
	return digest ? parity_snapshot_open(&engine->home, digest, fd_out, err) : 0;
}

int snapshot_has(int fd, const char *dimension, bool *out, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(fd);
	struct fact fact;
	int got;

	*out = false;
	while (!*out && (got = fact_next(reader, &fact, err)) != 0) {
		if (got < 0)
			return -1;
		*out = fact.kind != FACT_NOT_CHECKED && slice_is(fact_dimension(fact.key), dimension);
	}
	return 0;
}

int parity_history_first(struct engine *engine, const char *environment, const char *server,
			 const char *dimension, int64_t since_ms, int *fd_out, int64_t *taken_out,
			 struct err *err)
{
	const struct page page = {.limit = PARITY_KEEP_RUNS};
	struct parity_run_list runs;

	*fd_out = -1;
	if (parity_run_list(engine->home.db, &engine->arena, engine->project->name, &page, &runs, err))
		return -1;
	/* Newest first: from the end, the oldest that is not too old. */
	for (size_t i = runs.count; i-- > 0;) {
		AUTO(close_fd) int fd = -1;
		const char *digest;
		bool has = false;
		if (runs.items[i].started_ms < since_ms)
			continue;
		if (find_snapshot(engine, runs.items[i].id, environment, server, &digest, taken_out, err))
			return -1;
		if (!digest)
			continue;
		if (parity_snapshot_open(&engine->home, digest, &fd, err) ||
		    snapshot_has(fd, dimension, &has, err))
			return -1;
		if (has) {
			*fd_out = steal_fd(&fd);
			return 0;
		}
	}
	return 0;
}

void parity_history_stale(struct engine *engine, struct observation *seen)
{
	if (!engine->project)
		return;
	for (size_t i = 0; i < seen->count; i++) {
		struct observed *item = &seen->items[i];
		struct err unknown = ERR_INIT;
		int64_t taken = 0;
		int fd = -1;
		if (!item->why || !item->of ||
		    parity_history_last(engine, item->environment, item->key, &fd, &taken, &unknown) ||
		    fd < 0)
			continue;
		close_fd(&item->fd);
		item->fd = fd;
		item->stale = true;
		item->taken_ms = taken;
	}
}

/* --- keeping ------------------------------------------------------------------------------ */

/* Evidence that tells who and when is kept; what is never twice the same is not. */
static bool is_kept_evidence(struct slice key)
{
	static const char *const kept[] = {"kept", "modified", "edited", "edited_by", "upgraded"};
	struct slice attribute = fact_attribute(key);

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (slice_is(attribute, kept[i]))
			return true;
	return false;
}

/* As it is kept: equal when nothing changed, so that runs share one file. */
static int settle(int from, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(from);
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct fact fact;
	int got;

	if (file_nameless_open(NULL, &fd, err))
		return -1;
	fact_writer_init(&writer, snapshot_file_put, &fd);
	while ((got = fact_next(reader, &fact, err)) > 0) {
		if (fact.evidence && !is_kept_evidence(fact.key))
			continue;
		if (fact.kind == FACT_HMAC && !fact.evidence) {
			fact.kind = FACT_TEXT;
			fact.weak = false;
			fact.value = SLICE("present");
		}
		if (fact_write(&writer, &fact, err))
			return -1;
	}
	if (got < 0 || fact_writer_end(&writer, err))
		return -1;
	*fd_out = steal_fd(&fd);
	return 0;
}

static int keep_snapshot(struct engine *engine, const struct parity_run *run, const struct observed *item,
			 struct err *err)
{
	AUTO(close_fd) int fd = -1;
	struct parity_snapshot_file file;

	if (settle(item->fd, &fd, err) || parity_snapshot_store(&engine->home, fd, &file, err))
		return err_wrap(err, "keeping what %s showed", item->label);
	const struct parity_snapshot row = {
		.run = run->id,
		.environment = item->environment,
		.server = item->key,
		.label = item->label,
		.digest = file.digest,
		.size = file.size,
		.bytes = file.bytes,
		.taken_ms = item->taken_ms,
	};
	return parity_snapshot_put(engine->home.db, &row, err);
}

struct looked {
	const struct parity_request *request;
	const struct findings *findings;
};

/* Whether this run would have seen what an earlier one saw. */
static bool looked_at(void *context, struct slice key)
{
	const struct looked *looked = context;
	struct slice dimension = fact_dimension(key);
	bool wanted = looked->request->only_count == 0;

	for (size_t i = 0; i < looked->request->only_count; i++)
		wanted = wanted || slice_is(dimension, looked->request->only[i]);
	for (size_t i = 0; wanted && i < looked->findings->gap_count; i++) {
		struct slice gap = slice_of(looked->findings->gaps[i].key);
		bool range = gap.len && gap.ptr[gap.len - 1] == '/';
		if (range ? slice_starts_with(key, gap.ptr) : slice_equal(gap, key))
			return false;
	}
	return wanted;
}

/* Old runs are forgotten by the way; that it did not work is no reason to fail. */
static void tidy(struct engine *engine, int64_t now_ms)
{
	struct err unimportant = ERR_INIT;
	size_t runs = 0, files = 0;
	uint64_t bytes = 0;

	if (parity_run_prune(engine->home.db, now_ms, PARITY_KEEP_DAYS, PARITY_KEEP_RUNS, &runs,
			     &unimportant) == 0 &&
	    runs > 0)
		(void)!parity_snapshot_gc(&engine->home, now_ms, &files, &bytes, &unimportant);
}

static int insert_run(struct engine *engine, struct parity_run *run, char id[DEPLOYMENT_ID_LEN + 1],
		      struct err *err)
{
	enum { TRIES = 5 };

	for (int i = 0; i < TRIES; i++) {
		deployment_make_id(run->started_ms, id);
		run->id = id;
		err_clear(err);
		if (parity_run_insert(engine->home.db, run, err) == 0)
			return 0;
		if (err->code != ERR_CONFLICT)
			return -1;
	}
	return -1;
}

int parity_history_keep(struct engine *engine, enum parity_run_kind kind, const char *scope,
			const struct parity_request *request, const struct observation *seen,
			struct findings *findings, const char **run_out, struct err *err)
{
	char id[DEPLOYMENT_ID_LEN + 1];
	struct looked looked = {request, findings};
	struct parity_changes changes;
	struct parity_run run = {
		.project = engine->project->name,
		.kind = kind,
		.subjects = scope,
		.reference = findings->reference,
		.who = engine->who,
		.started_ms = clock_wall_ms(),
	};

	if (insert_run(engine, &run, id, err))
		return -1;
	for (size_t i = 0; i < seen->count; i++)
		if (seen->items[i].fd >= 0 && seen->items[i].of && !seen->items[i].stale &&
		    !seen->items[i].why && keep_snapshot(engine, &run, &seen->items[i], err))
			return -1;
	run.ended_ms = clock_wall_ms();
	if (parity_finding_record(engine->home.db, &run, findings, looked_at, &looked, &changes, err))
		return -1;
	run.totals = findings->totals;
	run.finding_count = (int64_t)findings->count;
	run.coverage = compare_coverage(&findings->totals);
	if (parity_run_update(engine->home.db, &run, err))
		return -1;
	tidy(engine, run.ended_ms);
	*run_out = arena_strdup(&engine->arena, id);
	return 0;
}

/* --- since ------------------------------------------------------------------------------------ */

int parity_history_since(struct engine *engine, const char *since, json_t *out, struct err *err)
{
	struct parity_change_list changes;
	struct parity_run run;
	int64_t age, from;
	json_t *appeared = json_array(), *gone = json_array();

	json_object_set_new(out, "appeared", appeared);
	json_object_set_new(out, "gone", gone);
	if (slice_to_duration_ms(slice_of(since), &age))
		from = clock_wall_ms() - age;
	else if (parity_run_find(engine->home.db, &engine->arena, since, &run, err) == 0)
		from = run.ended_ms + 1;
	else
		return err_hint(err, "--since takes an age such as 7d, or the id of a run");
	if (parity_change_list(engine->home.db, &engine->arena, engine->project->name, from, NULL, &changes,
			       err))
		return -1;
	for (size_t i = 0; i < changes.count; i++) {
		const struct parity_change *change = &changes.items[i];
		if (!change->gone)
			json_array_append_new(appeared, json_string(change->id));
		else
			json_array_append_new(gone, json_pack("{s:s, s:o, s:o, s:I}", "id", change->id, "key",
							      json_text(slice_of(change->key)), "text",
							      json_text(slice_of(change->text)), "gone",
							      (json_int_t)change->at_ms));
	}
	return 0;
}

/* --- one fact over time ---------------------------------------------------------------------- */

static const char *point_name(enum parity_point_kind kind)
{
	switch (kind) {
	case PARITY_POINT_VALUE:
		return "value";
	case PARITY_POINT_MISSING:
		return "missing";
	case PARITY_POINT_NOT_CHECKED:
		return "not_checked";
	case PARITY_POINT_UNREADABLE:
		return "unreadable";
	}
	return "?";
}

static json_t *timeline_json(const struct parity_timeline *timeline, const char *label, bool *known)
{
	json_t *points = json_array();

	for (size_t i = 0; i < timeline->count; i++) {
		const struct parity_point *point = &timeline->items[i];
		*known = *known || point->kind == PARITY_POINT_VALUE ||
			 point->kind == PARITY_POINT_NOT_CHECKED;
		json_array_append_new(points,
				      json_pack("{s:I, s:o, s:s, s:o}", "at", (json_int_t)point->at_ms, "run",
						json_cstr(point->run), "state", point_name(point->kind),
						"text", json_text(slice_of(point->text ? point->text : ""))));
	}
	return json_pack("{s:s, s:I, s:I, s:o}", "server", label, "runs", (json_int_t)timeline->runs,
			 "last_seen", (json_int_t)timeline->last_seen_ms, "points", points);
}

int parity_history_timeline(struct engine *engine, const char *environment, const char *key, json_t **out,
			    struct err *err)
{
	const struct environment *found;
	struct parity_timeline timeline;
	json_t *servers = json_array();
	bool known = false;

	*out = json_pack("{s:s, s:o, s:o}", "environment", environment, "fact", json_text(slice_of(key)),
			 "servers", servers);
	if (project_find_environment(engine->project, environment, &found, err))
		return -1;
	for (size_t i = 0; i < found->servers.count; i++) {
		const struct server *server = &found->servers.items[i];
		if (parity_timeline(&engine->home, &engine->arena, engine->project->name, environment,
				    server_key(&engine->arena, server), key, 0, &timeline, err))
			return -1;
		json_array_append_new(servers,
				      timeline_json(&timeline, server_label(&engine->arena, server), &known));
	}
	if (known)
		return 0;
	err_set(err, ERR_NOT_FOUND, "no run that is kept saw %s in %s", key, environment);
	return err_hint(err,
			"`lockstep facts %s` lists what is seen now; `lockstep parity` and `drift` keep what "
			"they see",
			environment);
}
