/* status, log, releases, server check: looking changes nothing. */
#include "api/list.h"

#include "base/fd.h"
#include "engine/status.h"
#include "model/deployment.h"
#include "model/deployment_server.h"
#include "model/release.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

static int run_status(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	return status_read(engine, input_str(in, "environment"), out, err);
}

static const struct operation_key status_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .optional = true, .value = "ENV", .text = "only this environment" },
};

const struct operation operation_status = {
	.name = "status",
	.summary = "what is live in every environment, how far behind, who, hand edits",
	.details = "Read from the servers; one that cannot be reached is shown as it was last seen, marked stale.\n"
		   "Exit code 10 when the servers of an environment run different releases or configurations, or when one\n"
		   "cannot be asked while a deployment is undecided on another; else 4 when one cannot be reached; else 0.",
	.keys = status_keys,
	.key_count = ARRAY_LEN(status_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_status,
};

/* --- log -------------------------------------------------------------------------- */

/* A row that says "running" whose run folder nobody locks was killed. */
static bool was_killed(struct engine *engine, const struct deployment *row)
{
	char path[128];

	if (row->outcome != OUTCOME_RUNNING || !row->run)
		return false;
	snprintf(path, sizeof(path), "%.100s/lock", row->run);
	AUTO(close_fd) int fd = openat(engine->home.dir_fd, path, O_RDWR | O_CLOEXEC);
	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static json_t *deployment_json(struct engine *engine, const struct deployment *row)
{
	json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:b}", "deployment", row->id, "kind",
				deployment_kind_name(row->kind), "project", row->project, "environment", row->environment,
				"outcome", was_killed(engine, row) ? "killed" : deployment_outcome_name(row->outcome),
				"started", (json_int_t)row->started_ms, "ended", (json_int_t)row->ended_ms, "exit",
				row->exit_code, "hotfix", row->hotfix);
	json_object_set_new(out, "release", json_cstr(row->release));
	json_object_set_new(out, "commit", json_cstr(row->commit));
	json_object_set_new(out, "ref", json_cstr(row->ref));
	json_object_set_new(out, "subject", json_cstr(row->subject));
	json_object_set_new(out, "by", json_cstr(row->who));
	json_object_set_new(out, "reason", json_cstr(row->reason));
	json_object_set_new(out, "error", json_cstr(row->error));
	return out;
}

static void put_events(struct engine *engine, const struct deployment *row, json_t *out)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64 << 20);
	struct err err = ERR_INIT;
	json_t *events = json_array();
	char path[128];

	snprintf(path, sizeof(path), "%.100s/events.jsonl", row->run ? row->run : "");
	if (file_read_at(engine->home.dir_fd, path, &text, &err) == 0)
		for (struct slice rest = buf_slice(&text); rest.len;) {
			json_t *event = NULL;
			/* A line cut by a kill is left out. */
			if (json_parse(slice_cut(&rest, '\n'), path, 1 << 20, &event, &err) == 0)
				json_array_append_new(events, event);
		}
	json_object_set_new(out, "events", events);
}

static int log_one(struct engine *engine, const char *id, json_t **out, struct err *err)
{
	struct deployment row;
	struct deployment_server_list servers;
	json_t *list = json_array();

	if (deployment_find(engine->home.db, &engine->arena, engine->project->name, slice_of(id), &row, err) ||
	    deployment_server_list(engine->home.db, &engine->arena, row.id, &servers, err)) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 0; i < servers.count; i++) {
		const struct deployment_server *server = &servers.items[i];
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o, s:I, s:I}", "server", json_cstr(server->label),
						      "verdict", server_verdict_name(server->verdict), "previous",
						      json_cstr(server->previous), "activation",
						      json_cstr(server->activation), "files", (json_int_t)server->files,
						      "bytes", (json_int_t)server->bytes));
	}
	*out = deployment_json(engine, &row);
	json_object_set_new(*out, "servers", list);
	put_events(engine, &row, *out);
	return 0;
}

static int run_log(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const char *id = input_str(in, "deployment");
	struct page page = { .limit = (size_t)input_int(in, "last", 20) };
	struct deployment_list rows;
	json_t *list = json_array();

	if (id) {
		json_decref(list);
		return log_one(engine, id, out, err);
	}
	if (page.limit < 1 || page.limit > PAGE_LIMIT_MAX) {
		json_decref(list);
		return err_set(err, ERR_USER, "--last takes 1 to %d", PAGE_LIMIT_MAX);
	}
	if (deployment_list(engine->home.db, &engine->arena, engine->project->name, input_str(in, "env"), &page, &rows, err)) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 0; i < rows.count; i++)
		json_array_append_new(list, deployment_json(engine, &rows.items[i]));
	*out = json_pack("{s:o}", "deployments", list);
	return 0;
}

static const struct operation_key log_keys[] = {
	{ "deployment", OPERATION_STRING, .positional = true, .optional = true, .value = "DEPLOYMENT",
	  .text = "everything one deployment said, by its id or a part of it" },
	{ "env", OPERATION_STRING, .value = "ENV", .text = "only this environment" },
	{ "last", OPERATION_INT, .value = "N", .text = "how many (20)" },
};

const struct operation operation_log = {
	.name = "log",
	.summary = "the deployments begun on this machine, or one of them in full",
	.details = "What other machines deployed stands in the journals of the servers and shows in `status`.",
	.keys = log_keys,
	.key_count = ARRAY_LEN(log_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_log,
};

/* --- releases ---------------------------------------------------------------------- */

static int run_releases(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct page page = { .limit = (size_t)input_int(in, "last", 20) };
	struct release_list rows;

	if (page.limit < 1 || page.limit > PAGE_LIMIT_MAX)
		return err_set(err, ERR_USER, "--last takes 1 to %d", PAGE_LIMIT_MAX);
	if (release_list(engine->home.db, &engine->arena, engine->project->name, &page, &rows, err))
		return -1;
	json_t *list = json_array();
	for (size_t i = 0; i < rows.count; i++) {
		const struct release *row = &rows.items[i];
		struct digest digest = { { 0 } };
		bool here = digest_from_hex(slice_of(row->digest), &digest) && store_has_manifest(engine->store, &digest);
		json_t *item = json_pack("{s:s, s:I, s:I, s:I, s:b}", "release", row->digest, "created",
					 (json_int_t)row->created_ms, "files", (json_int_t)row->file_count, "bytes",
					 (json_int_t)row->total_size, "here", here);
		json_object_set_new(item, "commit", json_cstr(row->commit));
		json_object_set_new(item, "ref", json_cstr(row->ref));
		json_object_set_new(item, "subject", json_cstr(row->subject));
		json_object_set_new(item, "author", json_cstr(row->author));
		json_object_set_new(item, "builder", json_cstr(row->builder));
		json_object_set_new(item, "platform", json_cstr(row->platform));
		json_object_set_new(item, "log", json_cstr(row->log));
		json_array_append_new(list, item);
	}
	*out = json_pack("{s:o}", "releases", list);
	return 0;
}

static const struct operation_key releases_keys[] = {
	{ "last", OPERATION_INT, .value = "N", .text = "how many (20)" },
};

const struct operation operation_releases = {
	.name = "releases",
	.summary = "the releases this machine has built or fetched",
	.details = "",
	.keys = releases_keys,
	.key_count = ARRAY_LEN(releases_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_releases,
};

/* --- server check -------------------------------------------------------------------- */

static struct check_request check_of(struct engine *engine, const struct environment *environment,
				     const struct server *server)
{
	const struct delivery *delivery = &environment->delivery;
	const char **reloads = ARENA_NEW_ARRAY(&engine->arena, delivery->reload.count, const char *);
	size_t count = 0;

	for (size_t i = 0; i < delivery->reload.count; i++)
		if (server_in_group(server, delivery->reload.items[i].group))
			reloads[count++] = delivery->reload.items[i].text;
	const char **owners = ARENA_NEW_ARRAY(&engine->arena, environment->files.count, const char *);
	const char **groups = ARENA_NEW_ARRAY(&engine->arena, environment->files.count, const char *);
	size_t owner_count = 0, group_count = 0;
	for (size_t i = 0; i < environment->files.count; i++) {
		const struct config_file *file = &environment->files.items[i];
		if (file->owner)
			owners[owner_count++] = file->owner;
		if (file->group)
			groups[group_count++] = file->group;
	}
	return (struct check_request){
		.owners = { owners, owner_count },
		.groups = { groups, group_count },
		.user = delivery->user,
		.link_mode = delivery->link == LINK_COPY ? "copy" : "auto",
		.reloads = { reloads, count },
		.shared_files = { (const char *const *)delivery->shared_files.items, delivery->shared_files.count },
	};
}

static int check_environment(struct engine *engine, const struct environment *environment, json_t *list, uint64_t *bad,
			     struct err *err)
{
	AUTO(fleet_close) struct fleet *fleet = NULL;
	struct err failed = ERR_INIT;

	if (fleet_of_environment(engine, environment, true, &fleet, &failed) && !fleet) {
		*err = failed;
		return -1;
	}
	struct check_request *each = ARENA_NEW_ARRAY(&engine->arena, environment->servers.count, struct check_request);
	for (size_t i = 0; i < environment->servers.count; i++)
		each[i] = check_of(engine, environment, &environment->servers.items[i]);
	/* A server that could not be asked says why in its row. */
	if (fleet_check(fleet, NULL, each, &failed))
		err_clear(&failed);
	for (size_t i = 0; i < environment->servers.count; i++) {
		const struct err *why = fleet_failure(fleet, i);
		const struct server_state *state = fleet_state(fleet, i);
		json_t *row = json_pack("{s:s, s:s, s:b}", "environment", environment->name, "server",
					environment->servers.items[i].place.text, "reachable", state != NULL);
		json_t *problems = json_array();
		if (why) {
			(*bad)++;
			json_object_set_new(row, "error", json_string(why->text));
			json_object_set_new(row, "hint", json_string(why->hint));
		} else {
			const struct check_result *check = &fleet_results(fleet, i)->check;
			*bad += check->bad;
			for (size_t p = 0; p < check->count; p++)
				json_array_append_new(problems, json_pack("{s:s, s:s, s:s, s:s}", "severity",
									  check->problems[p].severity, "what",
									  check->problems[p].what, "why",
									  check->problems[p].why, "hint",
									  check->problems[p].hint));
			json_object_set_new(row, "path", json_string(state->hello.path));
			json_object_set_new(row, "system", json_string(state->hello.system));
			json_object_set_new(row, "arch", json_string(state->hello.arch));
			json_object_set_new(row, "user", json_string(state->hello.user));
		}
		json_object_set_new(row, "problems", problems);
		json_array_append_new(list, row);
	}
	return 0;
}

static int run_server_check(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const struct environment *only = NULL;
	const char *name = input_str(in, "environment");
	uint64_t bad = 0;

	if (name && project_find_environment(engine->project, name, &only, err))
		return -1;
	json_t *list = json_array();
	for (size_t i = 0; i < engine->project->environments.count; i++) {
		const struct environment *environment = &engine->project->environments.items[i];
		if ((!only || environment == only) && check_environment(engine, environment, list, &bad, err)) {
			json_decref(list);
			return -1;
		}
	}
	*out = json_pack("{s:o, s:I, s:i}", "servers", list, "bad", (json_int_t)bad, "exit", bad ? ERR_USER : 0);
	return 0;
}

static const struct operation_key check_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .optional = true, .value = "ENV", .text = "only this environment" },
};

const struct operation operation_server_check = {
	.name = "server check",
	.summary = "connect to the servers, say what is missing and how to mend it",
	.details = "Changes nothing on them. Exit code 1 when something stands in the way of a deployment.",
	.keys = check_keys,
	.key_count = ARRAY_LEN(check_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_server_check,
};
