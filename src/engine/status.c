#include "engine/status.h"

#include "base/clock.h"
#include "engine/history.h"
#include "model/seen_place.h"

static json_t *edits_json(const struct scan_result *scan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < scan->edits_kept && i < 100; i++)
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:I}", "path", json_text(slice_of(scan->edits[i].path)),
						      "kind", scan->edits[i].kind, "owner", json_cstr(scan->edits[i].owner),
						      "modified", (json_int_t)scan->edits[i].modified));
	return list;
}

static void put_live(json_t *row, const struct server_activation *live)
{
	json_object_set_new(row, "release", json_string(live->release_hex));
	json_object_set_new(row, "activation", json_string(live->name));
	json_object_set_new(row, "deployment", json_string(live->deployment));
	json_object_set_new(row, "commit", json_string(live->commit));
	json_object_set_new(row, "subject", json_text(slice_of(live->subject)));
	json_object_set_new(row, "by", json_text(slice_of(live->by)));
	json_object_set_new(row, "at", json_integer((json_int_t)live->at));
	json_object_set_new(row, "verdict", json_string(live->verdict));
	json_object_set_new(row, "receipt", json_string(live->receipt));
	json_object_set_new(row, "config", json_string(live->config));
	json_object_set_new(row, "kind", json_string(live->kind));
}

/* From this machine's memory: better than nothing, and said to be old. */
static void put_stale(struct engine *engine, const struct environment *environment, size_t server, json_t *row)
{
	struct seen_place seen;
	struct err unknown = ERR_INIT;
	bool found = false;

	if (seen_place_find(engine->home.db, &engine->arena, engine->project->name, environment->name,
			    server_key(&engine->arena, &environment->servers.items[server]), &found, &seen, &unknown) ||
	    !found)
		return;
	json_object_set_new(row, "stale", json_true());
	json_object_set_new(row, "seen_at", json_integer((json_int_t)seen.seen_ms));
	json_object_set_new(row, "release", json_cstr(seen.release));
	json_object_set_new(row, "commit", json_cstr(seen.commit));
	json_object_set_new(row, "subject", json_cstr(seen.subject));
	json_object_set_new(row, "by", json_cstr(seen.who));
	json_object_set_new(row, "at", json_integer((json_int_t)seen.activated_ms));
}

static json_t *server_json(struct engine *engine, const struct environment *environment, struct fleet *fleet,
			   size_t server)
{
	const struct server_state *state = fleet_state(fleet, server);
	const struct link_results *results = fleet_results(fleet, server);
	const struct err *failure = fleet_failure(fleet, server);
	json_t *row = json_pack("{s:s, s:b}", "server", environment->servers.items[server].place.text, "reachable",
				state != NULL);

	json_object_set_new(row, "group", json_cstr(environment->servers.items[server].group));
	if (!state) {
		json_object_set_new(row, "error", json_cstr(failure ? failure->text : "no connection"));
		put_stale(engine, environment, server, row);
		return row;
	}
	const struct server_activation *live = state_live(state);
	if (live)
		put_live(row, live);
	json_object_set_new(row, "foreign", json_boolean(state->hello.foreign));
	json_object_set_new(row, "shows", json_text(slice_of(state->hello.shows)));
	if (!state_is_ours(state, engine->project->name, environment->name))
		json_object_set_new(row, "owner", json_pack("{s:s, s:s}", "project", state->hello.project, "environment",
							    state->hello.environment));
	json_object_set_new(row, "kept", json_integer((json_int_t)state->activation_count));
	if (results && results->scan.live) {
		json_object_set_new(row, "edit_count", json_integer((json_int_t)results->scan.edit_count));
		json_object_set_new(row, "edits", edits_json(&results->scan));
	} else {
		json_object_set_new(row, "edits_not_checked", json_cstr(failure ? failure->text : "the scan failed"));
	}
	if (state->pending)
		json_object_set_new(row, "pending",
				    json_pack("{s:s, s:s, s:s, s:s}", "deployment", state->pending->deployment, "by",
					      state->pending->by, "phase", state->pending->phase, "decided",
					      state->pending->decided));
	return row;
}

/* One release with one configuration on all servers, or "mixed", or "unknown". */
static void summarise(const struct environment *environment, struct fleet *fleet, json_t *out)
{
	const struct server_activation *first = NULL;
	bool mixed = false, unknown = false, none = false, verified = true, foreign = false, open = false;
	bool configured = true;

	for (size_t i = 0; i < environment->servers.count; i++) {
		const struct server_state *state = fleet_state(fleet, i);
		const struct server_activation *live = state_live(state);
		unknown = unknown || !state;
		none = none || (state && !live);
		foreign = foreign || (state && state->hello.foreign);
		open = open || (state && state->pending);
		if (!live)
			continue;
		verified = verified && strcmp(live->verdict, "verified") == 0;
		mixed = mixed || (first && !digest_equal(&first->release, &live->release));
		configured = configured && (!first || strcmp(first->config, live->config) == 0);
		first = first ? first : live;
	}
	const char *state = mixed || (first && none) || !configured ? "mixed"
			    : unknown		     ? "unknown"
			    : !first		     ? foreign ? "foreign" : "empty"
			    : verified		     ? "verified"
						     : "live";
	json_object_set_new(out, "state", json_string(state));
	/* A server that is merely away is a matter of the network; one that is away while another
	 * waits for a decision may have been switched or not. */
	json_object_set_new(out, "exit", json_integer(strcmp(state, "mixed") == 0 ? ERR_MIXED
						      : unknown && open	       ? ERR_MIXED
						      : unknown		       ? ERR_NETWORK
									       : ERR_NONE));
	if (first && !mixed)
		put_live(out, first);
}

/* How many commits this environment lacks of the one before it. */
static void put_distance(struct engine *engine, const struct environment *environment, json_t *all, json_t *out)
{
	struct source *source;
	struct err unknown = ERR_INIT;
	const char *here, *there;
	uint64_t ahead, behind;

	if (environment->promote_from.count == 0 || !json_get_str(out, "commit", &here))
		return;
	const char *before = environment->promote_from.items[0];
	json_t *row;
	size_t index;
	json_array_foreach(all, index, row) {
		const char *name;
		if (!json_get_str(row, "environment", &name) || strcmp(name, before) != 0)
			continue;
		json_object_set_new(out, "before", json_string(before));
		if (!json_get_str(row, "commit", &there))
			return;
		if (strcmp(here, there) == 0) {
			json_object_set_new(out, "behind", json_integer(0));
			return;
		}
		if (engine_source(engine, false, &source, &unknown) == 0 && source_has_mirror(source) &&
		    source_compare(source, there, here, &ahead, &behind, &unknown) == 0) {
			json_object_set_new(out, "behind", json_integer((json_int_t)behind));
			json_object_set_new(out, "ahead", json_integer((json_int_t)ahead));
		}
	}
}

static json_t *environment_json(struct engine *engine, const struct environment *environment, json_t *all,
				struct err *err)
{
	AUTO(fleet_close) struct fleet *fleet = NULL;
	json_t *out = json_pack("{s:s}", "environment", environment->name), *servers = json_array();
	struct err unreachable = ERR_INIT;

	if (fleet_of_environment(engine, environment, true, &fleet, &unreachable) && !fleet) {
		json_decref(out);
		json_decref(servers);
		*err = unreachable;
		return NULL;
	}
	/* Who cannot be scanned says so in its own row. */
	if (fleet_scan(fleet, NULL, false, &unreachable))
		err_clear(&unreachable);
	for (size_t i = 0; i < environment->servers.count; i++)
		json_array_append_new(servers, server_json(engine, environment, fleet, i));
	summarise(environment, fleet, out);
	put_distance(engine, environment, all, out);
	json_object_set_new(out, "servers", servers);
	history_seen(engine, environment, fleet, NULL);
	return out;
}

int status_read(struct engine *engine, const char *environment, json_t **out, struct err *err)
{
	const struct environment **order = project_order(&engine->arena, engine->project);
	const struct environment *only = NULL;
	json_int_t worst = 0; /* 10 (mixed) over 4 (away) */
	json_t *all = json_array();

	if (environment && project_find_environment(engine->project, environment, &only, err)) {
		json_decref(all);
		return -1;
	}
	for (size_t i = 0; i < engine->project->environments.count; i++) {
		if (only && order[i] != only)
			continue;
		json_t *row = environment_json(engine, order[i], all, err);
		if (!row) {
			json_decref(all);
			return -1;
		}
		json_int_t code = json_integer_value(json_object_get(row, "exit"));
		json_object_del(row, "exit");
		worst = MAX(worst, code);
		json_array_append_new(all, row);
	}
	*out = json_pack("{s:s, s:o, s:I}", "project", engine->project->name, "environments", all, "exit", worst);
	return 0;
}
