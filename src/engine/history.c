#include "engine/history.h"

#include "base/clock.h"
#include "base/fd.h"
#include "model/deployment_server.h"
#include "model/seen_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* One id, tried: ERR_CONFLICT when somebody has it. */
static int begin_as(struct history *history, struct engine *engine, const struct deploy_request *request,
		    const char *id, struct err *err)
{
	char path[96];

	*history = (struct history){ .engine = engine, .lock_fd = -1 };
	snprintf(history->folder, sizeof(history->folder), "runs/%s", id);
	history->row = (struct deployment){
		.id = id,
		.kind = request->kind,
		.project = engine->project->name,
		.environment = request->environment,
		.ref = request->ref,
		.who = engine->who,
		.reason = request->reason,
		.hotfix = request->hotfix,
		.started_ms = clock_wall_ms(),
		.outcome = OUTCOME_RUNNING,
		.run = history->folder,
	};
	if (dir_make_at(engine->home.dir_fd, history->folder, 0700, err))
		return err_wrap(err, "%s", engine->home.path);
	/* Held as long as we live: a row that says "running" without it was killed. */
	snprintf(path, sizeof(path), "%s/lock", history->folder);
	history->lock_fd = openat(engine->home.dir_fd, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (history->lock_fd >= 0 && flock(history->lock_fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
		return err_set(err, ERR_CONFLICT, "%s/%s belongs to a run that is under way", engine->home.path, path);
	if (history->lock_fd < 0)
		return err_errno(err, "%s/%s", engine->home.path, path);
	snprintf(path, sizeof(path), "%s/events.jsonl", history->folder);
	engine->events.fd = openat(engine->home.dir_fd, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (engine->events.fd < 0)
		return err_errno(err, "%s/%s", engine->home.path, path);
	engine->events.run = id;
	return deployment_insert(engine->home.db, &history->row, err);
}

int history_begin(struct history *history, struct engine *engine, const struct deploy_request *request,
		  char id[DEPLOYMENT_ID_LEN + 1], struct err *err)
{
	enum { TRIES = 10 };

	for (int left = TRIES; ; left--) {
		deployment_make_id(clock_wall_ms(), id);
		if (begin_as(history, engine, request, id, err) == 0)
			return 0;
		close_fd(&engine->events.fd);
		engine->events.run = NULL;
		close_fd(&history->lock_fd);
		/* Five random characters a day: two deployments of one name do happen. */
		if (err->code != ERR_CONFLICT || left == 1)
			return -1;
		err_clear(err);
	}
}

static void fill(struct history *history, const struct plan *plan)
{
	struct deployment *row = &history->row;

	row->kind = plan->kind;
	row->release = *plan->artifact.hex ? plan->artifact.hex : NULL;
	row->config = *plan->config_hex ? plan->config_hex : NULL;
	row->plan = *plan->digest_hex ? plan->digest_hex : NULL;
	row->commit = plan->artifact.commit;
	row->subject = plan->artifact.subject;
	if (plan->artifact.ref && *plan->artifact.ref)
		row->ref = plan->artifact.ref;
}

static void save(struct history *history)
{
	struct err err = ERR_INIT;

	if (deployment_update(history->engine->home.db, &history->row, &err))
		event_note(&history->engine->events, "warn", "this machine's history was not written: %s", err.text);
}

void history_planned(struct history *history, const struct plan *plan)
{
	if (!history->engine)
		return;
	fill(history, plan);
	save(history);
}

void history_end(struct history *history, const struct plan *plan, const struct rollout *rollout,
		 const struct err *failure)
{
	struct engine *engine = history->engine;
	struct err err = ERR_INIT;

	if (plan->servers)
		fill(history, plan);
	history->row.ended_ms = clock_wall_ms();
	history->row.outcome = rollout->outcome;
	history->row.exit_code = failure ? (int)failure->code : 0;
	history->row.error = failure ? failure->text : NULL;
	event_emit(&engine->events, "outcome",
		   json_pack("{s:s, s:s, s:o}", "outcome", deployment_outcome_name(rollout->outcome), "deployment",
			     history->row.id, "text", json_cstr(failure ? failure->text : NULL)));
	save(history);
	if (rollout->server_count &&
	    deployment_server_put_all(engine->home.db, rollout->servers, rollout->server_count, &err))
		event_note(&engine->events, "warn", "this machine's history was not written: %s", err.text);
	close_fd(&engine->events.fd);
	engine->events.run = NULL;
	close_fd(&history->lock_fd);
}

void history_seen(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		  const struct plan *went_live)
{
	for (size_t i = 0; fleet && i < fleet_count(fleet); i++) {
		const struct server_state *state = fleet_state(fleet, i);
		const struct link_results *results = fleet_results(fleet, i);
		struct err err = ERR_INIT;
		if (!state)
			continue;
		const struct server_activation *live = state_live(state);
		struct seen_place row = {
			.project = engine->project->name,
			.environment = environment->name,
			.place = server_key(&engine->arena, &environment->servers.items[i]),
			.label = environment->servers.items[i].place.text,
			.place_id = *state->hello.place_id ? state->hello.place_id : NULL,
			.edits = results && results->scan.live ? (int64_t)results->scan.edit_count : -1,
			.seen_ms = clock_wall_ms(),
		};
		if (went_live && !went_live->current && results && results->activate.name) {
			row.activation = results->activate.name;
			row.number = results->prepare.number ? (int64_t)results->prepare.number : 1;
			row.release = went_live->artifact.hex;
			row.config = went_live->config_hex;
			row.deployment = went_live->id;
			row.commit = went_live->artifact.commit;
			row.subject = went_live->artifact.subject;
			row.who = engine->who;
			row.activated_ms = clock_wall_ms();
			row.verified = environment->delivery.health.kind == HEALTH_UNSET ? SEEN_NOT_CHECKED : SEEN_VERIFIED;
			row.edits = 0;
		} else if (live) {
			row.activation = live->name;
			row.number = (int64_t)live->number;
			row.release = live->release_hex;
			row.config = live->config;
			row.deployment = live->deployment;
			row.commit = live->commit;
			row.subject = live->subject;
			row.who = live->by;
			row.activated_ms = live->at;
			row.verified = strcmp(live->verdict, "verified") == 0 ? SEEN_VERIFIED
				       : strcmp(live->verdict, "live") == 0   ? SEEN_NOT_CHECKED
									      : SEEN_UNVERIFIED;
		} else {
			row.verified = SEEN_NOT_CHECKED;
		}
		if (seen_place_put(engine->home.db, &row, &err))
			event_note(&engine->events, "warn", "this machine's history was not written: %s", err.text);
	}
}

/* What a version consists of. */
struct contents {
	struct config_entry_list entries;
	struct config_kept_file_list files;
	bool files_known;
};

static int contents_of_now(struct engine *engine, struct configuration *configuration, struct contents *out,
			   struct err *err)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct history_keys keys;

	if (configuration_history_keys(engine, safe, &keys, err) ||
	    configuration_entries(configuration, &out->entries.items, &out->entries.count, err))
		return -1;
	/* Without them the values are worth keeping all the same. */
	out->files_known = configuration_kept_files(configuration, secret_reveal(keys.fingerprint), &out->files, err) == 0;
	if (out->files_known)
		return 0;
	event_note(&engine->events, "warn", "this machine's history does not know these config files: %s", err->text);
	err_clear(err);
	out->files.count = 0;
	return 0;
}

/* A rollback brings an earlier version: what it consists of is that of then. */
static int contents_of(struct engine *engine, const struct plan *plan, struct contents *out, struct err *err)
{
	struct config_version version;
	bool found;

	*out = (struct contents){0};
	if (plan->configuration)
		return contents_of_now(engine, plan->configuration, out, err);
	if (config_version_find(engine->home.db, &engine->arena, engine->project->name, plan->environment->name,
				plan->config_hex, &found, &version, err))
		return -1;
	if (!found)
		return 0;
	out->files_known = version.file_count >= 0;
	return config_entry_list(engine->home.db, &engine->arena, &version, &out->entries, err) ||
			       config_kept_file_list(engine->home.db, &engine->arena, &version, &out->files,
						     err)
		       ? -1
		       : 0;
}

void history_configuration(struct engine *engine, const struct plan *plan)
{
	struct config_version version = {
		.project = engine->project->name,
		.environment = plan->environment->name,
		.digest = plan->config_hex,
		.deployment = plan->id,
		.who = engine->who,
		.created_ms = clock_wall_ms(),
	};
	struct contents contents;
	struct err err = ERR_INIT;
	bool added;

	if (strlen(plan->config_hex) != DIGEST_HEX_LEN)
		return;
	int result = contents_of(engine, plan, &contents, &err);
	version.file_count = contents.files_known ? (int64_t)contents.files.count : -1;
	if (result ||
	    config_version_put(engine->home.db, &version, &contents.entries, &contents.files, &added, &err))
		event_note(&engine->events, "warn", "this machine's history of configuration was not written: %s", err.text);
}
