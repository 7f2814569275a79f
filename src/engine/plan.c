#include "engine/plan.h"

#include "engine/parity.h"

#include "project/resolved.h"

#include "base/clock.h"

#include <stdio.h>

int plan_need_all(const struct environment *environment, struct fleet *fleet, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX * 2);
	struct err first = ERR_INIT;

	for (size_t i = 0; i < fleet_count(fleet); i++) {
		const struct err *why = fleet_failure(fleet, i);
		if (fleet_state(fleet, i) && !why)
			continue;
		if (why && first.code == ERR_NONE)
			first = *why;
		const char *label = environment->servers.items[i].place.text;
		size_t len = strlen(label);
		/* "web1: web1 accepts none of your keys" names it once too often. */
		bool named = why && strncmp(why->text, label, len) == 0 && (why->text[len] == ' ' || why->text[len] == ':');
		buf_printf(&text, "%s%s%s%s", text.len ? "\n" : "", named ? "" : label, named ? "" : ": ",
			   why ? why->text : "no connection");
	}
	if (!text.len)
		return 0;
	err_set(err, first.code ? first.code : ERR_NETWORK, "%s", buf_str(&text));
	return *first.hint ? err_hint(err, "%s", first.hint) : -1;
}

/* A manifest that is not here is an empty one. */
static bool load_known(struct engine *engine, const struct digest *release, struct arena *arena,
		       struct manifest *out)
{
	struct err unknown = ERR_INIT;

	*out = (struct manifest){ 0 };
	if (store_has_manifest(engine->store, release) &&
	    store_load_manifest(engine->store, release, arena, out, &unknown) == 0)
		return true;
	*out = (struct manifest){ 0 };
	return false;
}

/* Copies what is shown: two manifests of a large release would weigh as much as all else. */
static void keep_changes(struct engine *engine, struct plan *plan, const struct manifest_change *changes, size_t count)
{
	plan->change_count = count;
	plan->changes = ARENA_NEW_ARRAY(&engine->arena, MIN(count, (size_t)PLAN_CHANGES_SHOWN), struct plan_change);
	for (size_t i = 0; i < count && plan->changes_shown < PLAN_CHANGES_SHOWN; i++) {
		const struct manifest_change *change = &changes[i];
		const struct entry *entry = change->to ? change->to : change->from;
		if (entry->type == ENTRY_DIR)
			continue;
		plan->changes[plan->changes_shown++] = (struct plan_change){
			.what = !change->from ? "added" : !change->to ? "removed" : "changed",
			.path = arena_slice(&engine->arena, entry->path),
		};
	}
}

/* What differs between the live release of one server and the new one. */
static void compare_server(struct engine *engine, struct plan *plan, struct plan_server *server,
			   const struct manifest *to)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest from = { 0 };
	struct manifest_change *changes;
	bool known = server->live && load_known(engine, &server->live->release, &arena, &from);
	size_t count = manifest_diff(&arena, &from, to, &changes);

	for (size_t i = 0; i < count; i++) {
		if (!changes[i].to || changes[i].to->type == ENTRY_DIR)
			continue;
		server->files_changed++;
		server->bytes_changed += changes[i].to->size;
	}
	if (known && server == &plan->servers[0])
		keep_changes(engine, plan, changes, count);
}

static bool lives_same(const struct plan_server *a, const struct plan_server *b)
{
	return a->live && b->live && digest_equal(&a->live->release, &b->live->release);
}

/* What differs between the live releases and the new one, where both are known here. */
static void compare_releases(struct engine *engine, struct plan *plan)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest to = { 0 };
	bool loaded = false;

	for (size_t i = 0; i < plan->server_count; i++) {
		struct plan_server *server = &plan->servers[i];
		if (server->live && digest_equal(&server->live->release, &plan->artifact.release))
			continue;
		if (i > 0 && lives_same(server, &plan->servers[0])) {
			server->files_changed = plan->servers[0].files_changed;
			server->bytes_changed = plan->servers[0].bytes_changed;
			continue;
		}
		if (!loaded && !load_known(engine, &plan->artifact.release, &arena, &to))
			return;
		loaded = true;
		compare_server(engine, plan, server, &to);
	}
}

static void list_commits(struct engine *engine, struct plan *plan)
{
	const struct server_activation *live = plan->servers[0].live;
	struct source *source;
	struct err unknown = ERR_INIT;

	if (!live || !*live->commit || !*plan->artifact.commit || strcmp(live->commit, plan->artifact.commit) == 0)
		return;
	if (engine_source(engine, false, &source, &unknown) || !source_has_mirror(source))
		return;
	/* Either may be a commit the mirror has lost (a rewritten branch): then nothing is said. */
	if (source_list_commits(source, live->commit, plan->artifact.commit, PLAN_COMMITS_MAX, &engine->arena,
				&plan->commits, &plan->commits_shown, &plan->commits_total, &unknown)) {
		plan->commits_shown = 0;
		return;
	}
	uint64_t ahead;
	if (source_compare(source, live->commit, plan->artifact.commit, &ahead, &plan->commits_back, &unknown))
		plan->commits_back = 0;
}

static void put_paths(struct buf *text, const char *what, const struct str_list *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		buf_printf(text, "%s %s\n", what, paths->items[i]);
}

/* What of lockstep.yml shows in an activation, besides its release and its configuration. */
static void name_shape(struct plan *plan)
{
	const struct delivery *delivery = &plan->environment->delivery;
	AUTO(buf_free) struct buf text = BUF_INIT(16 << 20);
	struct digest digest;

	buf_printf(&text, "link %d\n", delivery->link);
	put_paths(&text, "shared_dir", &delivery->shared_dirs);
	put_paths(&text, "shared_file", &delivery->shared_files);
	put_paths(&text, "generated", &delivery->generated);
	digest_of(buf_slice(&text), &digest);
	digest_to_hex(&digest, plan->shape_hex);
}

/* What an earlier lockstep deployed does not say; it is taken to fit. */
static bool has_shape(const struct server_activation *activation, const struct plan *plan)
{
	return !*activation->shape || strcmp(activation->shape, plan->shape_hex) == 0;
}

/* What an earlier lockstep put there does not say what of the configuration it is. */
static bool has_config(const struct plan_server *server)
{
	return *server->own_config && strcmp(server->live->own_config, server->own_config) == 0;
}

/* Each has what it gets, but by the names of different sets: `status` calls that mixed. */
static bool are_of_one_config(const struct plan *plan)
{
	for (size_t i = 1; i < plan->server_count; i++)
		if (strcmp(plan->servers[i].live->config, plan->servers[0].live->config) != 0)
			return false;
	return true;
}

/* Everything that, if it were different, would make this another deployment. */
static void name_plan(struct engine *engine, struct plan *plan)
{
	const struct delivery *delivery = &plan->environment->delivery;
	AUTO(buf_free) struct buf text = BUF_INIT(16 << 20);
	struct setting_list settings;
	struct digest digest;

	buf_printf(&text, "lockstep-plan 1\nproject %s\nenvironment %s\nkind %s\nrelease %s\nconfig %s\n",
		   engine->project->name, plan->environment->name, deployment_kind_name(plan->kind), plan->artifact.hex,
		   plan->config_hex);
	buf_printf(&text, "keep %lld\nlink %d\nhealth %d %s %lld %s %s\n", (long long)delivery->keep, delivery->link,
		   delivery->health.kind, delivery->health.url ? delivery->health.url : "-",
		   (long long)delivery->health.status, delivery->health.body ? delivery->health.body : "-",
		   delivery->health.command ? delivery->health.command : "-");
	buf_printf(&text, "shape %s\n", plan->shape_hex);
	for (size_t p = 0; p < HOOK_POINTS; p++)
		for (size_t i = 0; i < delivery->hooks.points[p].count; i++) {
			const struct hook *hook = &delivery->hooks.points[p].items[i];
			buf_printf(&text, "hook %s %d %s %s %s\n", hook_point_name((enum hook_point)p), hook->where,
				   hook->group ? hook->group : "-", hook->as ? hook->as : "-", hook->run);
		}
	for (size_t i = 0; i < plan->server_count; i++) {
		buf_printf(&text, "server %s config %s expect %s from %s %s\n", plan->servers[i].key,
			   *plan->servers[i].own_config ? plan->servers[i].own_config : "-",
			   *plan->servers[i].expect ? plan->servers[i].expect : "-",
			   plan->servers[i].from ? plan->servers[i].from : "-",
			   plan->servers[i].config_from ? plan->servers[i].config_from : "-");
	}
	for (size_t i = 0; i < delivery->reload.count; i++)
		buf_printf(&text, "reload %s %s\n", delivery->reload.items[i].group ? delivery->reload.items[i].group : "-",
			   delivery->reload.items[i].text);
	project_settings(&engine->arena, engine->project, plan->environment, &settings);
	project_settings_digest(&settings, plan->delivery_hex);
	buf_printf(&text, "delivery %s\n", plan->delivery_hex);
	digest_of(buf_slice(&text), &digest);
	digest_to_hex(&digest, plan->digest_hex);
}

/* Whether a new activation can be made of the live one alone: what was edited by hand
 * is a rendered file or nothing. */
static bool can_only_configure(const struct plan_server *server, const struct plan *plan)
{
	if (!server->live || !digest_equal(&server->live->release, &plan->artifact.release) ||
	    !server->shape_same || !activation_is_good(server->live) ||
	    server->edit_count != server->edits_kept)
		return false;
	for (size_t i = 0; i < server->edits_kept; i++)
		if (!server->edits[i].rendered)
			return false;
	return true;
}

int plan_look(struct fleet *fleet, struct err *err)
{
	/* Reading only: a failed scan is an error, since not to know of edits is not to have none. */
	return fleet_scan(fleet, NULL, false, err) ? err_wrap(err, "looking for hand edits") : 0;
}

void plan_note_edits(struct plan_server *server, const struct scan_result *scan)
{
	server->edits = scan->edits;
	server->edits_kept = scan->edits_kept;
	server->edit_count = scan->edit_count;
}

int plan_make(struct engine *engine, const struct environment *environment, enum deployment_kind kind,
	      const struct artifact *artifact, struct fleet *fleet, struct plan *plan, struct err *err)
{
	struct arena *arena = &engine->arena;
	bool config_only;

	plan->kind = kind;
	plan->environment = environment;
	plan->artifact = *artifact;
	plan->current = plan->foreign = plan->described = false;
	plan->commits_shown = plan->changes_shown = plan->change_count = 0;
	plan->commits_total = plan->commits_back = 0;
	plan->server_count = environment->servers.count;
	plan->servers = ARENA_NEW_ARRAY(arena, plan->server_count, struct plan_server);
	if (plan_need_all(environment, fleet, err))
		return -1;
	name_shape(plan);
	plan->current = plan->server_count > 0;
	config_only = kind == DEPLOYMENT_DEPLOY && plan->configuration && !plan->hotfix;
	for (size_t i = 0; i < plan->server_count; i++) {
		struct plan_server *server = &plan->servers[i];
		const struct server_state *state = fleet_state(fleet, i);
		const struct scan_result *scan = &fleet_results(fleet, i)->scan;
		server->server = &environment->servers.items[i];
		server->label = server->server->place.text;
		server->key = server_key(arena, server->server);
		plan_note_edits(server, scan);
		server->expect = scan->live ? scan->live : state->hello.live;
		server->live = state_activation(state, server->expect);
		server->own_config = plan->configuration ? plan->configuration->own_hex[i] : "";
		server->shape_same = server->live && has_shape(server->live, plan);
		server->current = server->live && digest_equal(&server->live->release, &artifact->release) &&
				  has_config(server) && server->shape_same &&
				  activation_is_good(server->live) && server->edit_count == 0 && !plan->again;
		/* What asks for a verification is not satisfied by one that never happened. */
		if (server->current && environment->delivery.health.kind != HEALTH_UNSET &&
		    strcmp(server->live->verdict, "verified") != 0)
			server->current = false;
		/* Taken over, it has yet to be written down whose it is. */
		if (!state_is_ours(state, engine->project->name, environment->name))
			server->current = false;
		plan->current = plan->current && server->current;
		config_only = config_only && can_only_configure(server, plan);
		plan->foreign = plan->foreign || state->hello.foreign;
	}
	plan->current = plan->current && are_of_one_config(plan);
	/* The release is live everywhere: only its configuration is made anew. */
	if (config_only && !plan->current && plan->server_count)
		plan->kind = DEPLOYMENT_CONFIG;
	for (size_t i = 0; i < plan->server_count && plan->kind == DEPLOYMENT_CONFIG; i++)
		plan->servers[i].from = plan->servers[i].expect;
	name_plan(engine, plan);
	return 0;
}

void plan_describe(struct engine *engine, struct plan *plan)
{
	if (plan->server_count == 0 || plan->described)
		return;
	plan->described = true;
	compare_releases(engine, plan);
	list_commits(engine, plan);
}

/* --- gates ------------------------------------------------------------------------------ */

static enum gate_receipt receipt_of(const struct server_activation *live)
{
	if (!live)
		return GATE_RECEIPT_NONE;
	if (strcmp(live->verdict, "verified") == 0)
		return strcmp(live->receipt, "none") == 0 ? GATE_RECEIPT_NOT_CHECKED : GATE_RECEIPT_VERIFIED;
	if (strcmp(live->verdict, "live") == 0)
		return GATE_RECEIPT_NOT_CHECKED;
	if (strcmp(live->verdict, "failed") == 0 || strcmp(live->verdict, "reverted") == 0)
		return GATE_RECEIPT_FAILED;
	return GATE_RECEIPT_NONE;
}

static void gather_upstream(struct engine *engine, const struct environment *environment, struct fleet *fleet,
			    struct gate_upstream *out)
{
	struct arena *arena = &engine->arena;
	size_t count = environment->servers.count;
	struct gate_server *servers = ARENA_NEW_ARRAY(arena, count, struct gate_server);

	for (size_t i = 0; i < count; i++) {
		const struct server_state *state = fleet ? fleet_state(fleet, i) : NULL;
		const struct err *why = fleet ? fleet_failure(fleet, i) : NULL;
		const struct server_activation *live = state_live(state);
		servers[i] = (struct gate_server){
			.label = environment->servers.items[i].place.text,
			.reachable = state != NULL,
			.unreachable_why = state ? NULL : why ? arena_strdup(arena, why->text) : "no connection",
			.live_release = live ? live->release_hex : NULL,
			.receipt = receipt_of(live),
			.receipt_ms = live ? live->verified_at : 0,
			.edits = -1,
		};
		const struct link_results *results = state ? fleet_results(fleet, i) : NULL;
		if (results && results->scan.live)
			servers[i].edits = (int64_t)results->scan.edit_count;
	}
	*out = (struct gate_upstream){
		.environment = environment->name,
		.health_none = environment->delivery.health.kind == HEALTH_NONE,
		.servers = servers,
		.server_count = count,
	};
}

/* Looked at now, whatever was seen before: the gate speaks of the moment it opens. */
static void gather_parity(struct engine *engine, const struct environment *environment, struct gate_parity *out)
{
	struct parity_evidence evidence;
	struct err err = ERR_INIT;

	event_step(&engine->events, "parity", out->with);
	if (parity_between(engine, environment, out->with, &evidence, &err)) {
		out->not_checked_why = arena_strdup(&engine->arena, err.text);
		return;
	}
	out->findings = evidence.findings;
	out->finding_count = evidence.finding_count;
	out->gaps = evidence.gaps;
	out->gap_count = evidence.gap_count;
	out->coverage = evidence.coverage;
	out->checked_ms = evidence.checked_ms;
}

int plan_judge(struct engine *engine, struct plan *plan, struct fleet *const *upstreams, struct err *err)
{
	const struct environment *environment = plan->environment;
	size_t count = environment->promote_from.count;
	struct gate_upstream *evidence = ARENA_NEW_ARRAY(&engine->arena, count, struct gate_upstream);

	for (size_t i = 0; i < count; i++)
		gather_upstream(engine, project_environment(engine->project, environment->promote_from.items[i]),
				upstreams[i], &evidence[i]);
	const struct require_parity *with = &environment->require.parity_with;
	struct gate_parity parity = {
		.with = with->environment,
		.environment = environment->name,
		.severity = (enum severity)with->severity,
		.coverage_min = (int)with->coverage,
		.max_age_ms = with->max_age_ms,
	};
	if (with->node)
		gather_parity(engine, environment, &parity);
	const struct gate_input input = {
		.environment = environment->name,
		.release = plan->artifact.hex,
		.upstreams = evidence,
		.upstream_count = count,
		.parity = with->node ? &parity : NULL,
		.now_ms = clock_wall_ms(),
		.who = engine->who,
		.hotfix = plan->hotfix,
		.reason = plan->reason,
	};
	if (gate_check_all(&engine->arena, &input, &plan->gates, err))
		return err_wrap(err, "judging the gates of %s", environment->name);
	for (size_t i = 0; i < plan->gates.count; i++) {
		const struct gate_verdict *verdict = &plan->gates.items[i];
		event_emit(&engine->events, "gate",
			   json_pack("{s:s, s:s, s:b, s:s, s:s}", "gate", verdict->gate->name, "state",
				     gate_state_name(verdict->state), "overridden", verdict->overridden, "reason",
				     verdict->reason, "hint", verdict->what_to_do));
	}
	return 0;
}

/* --- as JSON ------------------------------------------------------------------------------ */

static json_t *edits_json(const struct plan_server *server)
{
	json_t *list = json_array();

	for (size_t i = 0; i < server->edits_kept; i++) {
		const struct server_edit *edit = &server->edits[i];
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:I}", "path", json_text(slice_of(edit->path)),
						      "kind", edit->kind, "owner", json_cstr(edit->owner), "modified",
						      (json_int_t)edit->modified));
	}
	return list;
}

/* same | changed | unknown: beside what is live; NULL where nothing is. */
static const char *config_state(const struct plan_server *server)
{
	if (!server->live)
		return NULL;
	if (!*server->own_config || !*server->live->own_config)
		return "unknown";
	return has_config(server) ? "same" : "changed";
}

static json_t *servers_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->server_count; i++) {
		const struct plan_server *server = &plan->servers[i];
		json_t *row = json_pack("{s:s, s:o, s:b, s:I, s:I, s:I, s:o}", "server", server->label, "live",
					server->live ? json_string(server->live->release_hex) : json_null(), "current",
					server->current, "files", (json_int_t)server->files_changed, "bytes",
					(json_int_t)server->bytes_changed, "edit_count", (json_int_t)server->edit_count,
					"edits", edits_json(server));
		json_t *reloads = json_array();
		for (size_t r = 0; r < plan->environment->delivery.reload.count; r++)
			if (server_in_group(server->server, plan->environment->delivery.reload.items[r].group))
				json_array_append_new(reloads,
						      json_string(plan->environment->delivery.reload.items[r].text));
		json_object_set_new(row, "activation", json_string(server->expect));
		json_object_set_new(row, "shape_same", json_boolean(server->shape_same));
		json_object_set_new(row, "config", json_cstr(config_state(server)));
		json_object_set_new(row, "group", json_cstr(server->server->group));
		json_object_set_new(row, "reload", reloads);
		if (server->from)
			json_object_set_new(row, "from", json_string(server->from));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *changes_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->changes_shown; i++)
		json_array_append_new(list, json_pack("{s:s, s:o}", "change", plan->changes[i].what, "path",
						      json_text(plan->changes[i].path)));
	return list;
}

static json_t *hooks_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t p = 0; p < HOOK_POINTS; p++)
		for (size_t i = 0; i < plan->environment->delivery.hooks.points[p].count; i++) {
			const struct hook *hook = &plan->environment->delivery.hooks.points[p].items[i];
			json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:o}", "point",
							      hook_point_name((enum hook_point)p), "run",
							      json_text(slice_of(hook->run)), "where",
							      hook->where == HOOK_ONCE ? "once" : "each", "group",
							      json_cstr(hook->group)));
		}
	return list;
}

json_t *plan_json(struct engine *engine, const struct plan *plan)
{
	json_t *commits = json_array(), *gates = json_array();

	for (size_t i = 0; i < plan->commits_shown; i++)
		json_array_append_new(commits, json_pack("{s:s, s:o, s:o, s:I}", "commit", plan->commits[i].hash, "subject",
							 json_text(slice_of(plan->commits[i].subject)), "author",
							 json_text(slice_of(plan->commits[i].author_name)), "at",
							 (json_int_t)plan->commits[i].committed_ms));
	for (size_t i = 0; i < plan->gates.count; i++)
		json_array_append_new(gates,
				      json_pack("{s:s, s:s, s:b, s:s, s:s}", "gate", plan->gates.items[i].gate->name, "state",
						gate_state_name(plan->gates.items[i].state), "overridden",
						plan->gates.items[i].overridden, "reason", plan->gates.items[i].reason,
						"hint", plan->gates.items[i].what_to_do));
	json_t *out = json_object();
	json_object_set_new(out, "project", json_string(engine->project->name));
	json_object_set_new(out, "environment", json_string(plan->environment->name));
	json_object_set_new(out, "kind", json_string(deployment_kind_name(plan->kind)));
	json_object_set_new(out, "release", json_string(plan->artifact.hex));
	json_object_set_new(out, "release_from", json_string(plan->artifact.from));
	json_object_set_new(out, "built", json_boolean(plan->artifact.built));
	json_object_set_new(out, "config", json_string(plan->config_hex));
	json_object_set_new(out, "commit", json_string(plan->artifact.commit));
	json_object_set_new(out, "ref", json_string(plan->artifact.ref));
	json_object_set_new(out, "subject", json_text(slice_of(plan->artifact.subject)));
	json_object_set_new(out, "plan", json_string(plan->digest_hex));
	json_object_set_new(out, "delivery", json_string(plan->delivery_hex));
	json_object_set_new(out, "current", json_boolean(plan->current));
	json_object_set_new(out, "foreign", json_boolean(plan->foreign));
	json_object_set_new(out, "gates_open", json_boolean(plan->gates.count == 0 || plan->gates.open));
	json_object_set_new(out, "gates", gates);
	json_object_set_new(out, "commits", commits);
	json_object_set_new(out, "commits_total", json_integer((json_int_t)plan->commits_total));
	json_object_set_new(out, "commits_back", json_integer((json_int_t)plan->commits_back));
	json_object_set_new(out, "changes", changes_json(plan));
	json_object_set_new(out, "changes_total", json_integer((json_int_t)plan->change_count));
	json_object_set_new(out, "servers", servers_json(plan));
	json_object_set_new(out, "hooks", hooks_json(plan));
	return out;
}
