#include "engine/deploy.h"

#include "engine/config_view.h"
#include "engine/history.h"
#include "engine/impact.h"
#include "engine/rollout.h"
#include "engine/secret_scan.h"

#include "base/clock.h"
#include "base/random.h"
#include "model/seen_place.h"

#include <stdio.h>
#include <stdlib.h>

enum { STALE_AFTER_MS = 20000, DESCRIBED_MEANWHILE_MAX = 20000 };

/* One deployment from the request to its end; freed by close_job. */
struct job {
	struct engine *engine;
	const struct deploy_request *request;
	const struct environment *environment;
	struct fleet *fleet;
	struct fleet **upstreams; /* one per promote_from; NULL where not connected */
	struct fleet *from;       /* promote: borrowed from upstreams */
	struct rollout_options options;
	struct configuration configuration;
	char config_key[DIGEST_HEX_LEN + 1];
	struct artifact artifact;
	bool unverified; /* what is live did not pass everywhere: not to be taken for done */
	bool searched; /* for secrets */
	bool look_later; /* for hand edits: their list comes with the lease */
	bool at_hand; /* the artifact was found while the lines were being set up */
	struct plan plan;
	struct rollout rollout;
	struct history history;
	json_t *templates; /* that changed since the last deployments; NULL: not asked */
};

static void close_job(struct job *job)
{
	explicit_bzero(job->config_key, sizeof(job->config_key));
	configuration_close(&job->configuration);
	for (size_t i = 0; job->upstreams && i < job->environment->promote_from.count; i++)
		fleet_close(&job->upstreams[i]);
	fleet_close(&job->fleet);
	json_decref(job->templates);
}

/* --- servers ----------------------------------------------------------------------- */

/* The lease says the same; a plan, and a deployment that has nothing to do, take none. */
static int check_owner(struct job *job, struct err *err)
{
	for (size_t i = 0; i < fleet_count(job->fleet); i++) {
		const struct server_hello *hello = &fleet_state(job->fleet, i)->hello;
		if (state_is_ours(fleet_state(job->fleet, i), job->engine->project->name, job->environment->name))
			continue;
		err_set(err, ERR_CONFLICT, "%s: %s belongs to %s of %s, not to %s of %s",
			job->environment->servers.items[i].place.text, hello->path, hello->environment, hello->project,
			job->environment->name, job->engine->project->name);
		return err_hint(err, "give this environment another path, or pass --take-over if the place is really meant "
				     "(a project that was renamed)");
	}
	return 0;
}

static int begin_target(struct job *job, struct err *err)
{
	fleet_close(&job->fleet);
	return fleet_begin_environment(job->engine, job->environment, job->request->dry_run, &job->fleet, err);
}

/* Hand edits decide nothing where another release goes to a single server: what is looked
 * at there need not be waited for. */
static bool looks_later(struct job *job)
{
	const struct server_state *state;
	const struct server_activation *live;

	if (!job->at_hand || job->request->dry_run || job->request->kind != DEPLOYMENT_DEPLOY || fleet_count(job->fleet) != 1 ||
	    !fleet_greeted(job->fleet))
		return false;
	state = fleet_state(job->fleet, 0);
	live = state_live(state);
	return !state->pending && !(live && digest_equal(&live->release, &job->artifact.release));
}

static int await_target(struct job *job, struct err *err)
{
	job->look_later = looks_later(job);
	/* Which servers could not be reached is told by name, once, in one error. */
	if (!job->look_later)
		(void)!fleet_connected(job->fleet, err);
	if (fleet_interrupted(job->fleet))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	err_clear(err);
	if (plan_need_all(job->environment, job->fleet, err))
		return -1;
	return job->request->take_over ? 0 : check_owner(job, err);
}

static int open_target(struct job *job, struct err *err)
{
	return begin_target(job, err) || await_target(job, err) ? -1 : 0;
}

/* Hand edits of one server by name, as a scan found them. */
static void tell_edits_of(struct engine *engine, const struct environment *environment, size_t server,
			  const struct scan_result *scan)
{
	for (size_t e = 0; e < scan->edits_kept; e++) {
		const struct server_edit *edit = &scan->edits[e];
		event_emit(&engine->events, "edit",
			   json_pack("{s:s, s:s, s:o, s:s, s:o, s:I}", "environment", environment->name, "server",
				     environment->servers.items[server].place.text, "path",
				     json_text(slice_of(edit->path)), "kind", edit->kind, "owner",
				     json_cstr(edit->owner), "modified", (json_int_t)edit->modified));
	}
}

static void tell_edits(struct engine *engine, const struct environment *environment, struct fleet *fleet)
{
	for (size_t i = 0; i < fleet_count(fleet); i++)
		if (fleet_results(fleet, i))
			tell_edits_of(engine, environment, i, &fleet_results(fleet, i)->scan);
}

static int begin_upstreams(struct job *job, struct err *err)
{
	const struct environment *environment = job->environment;
	size_t count = environment->promote_from.count;

	job->upstreams = ARENA_NEW_ARRAY(&job->engine->arena, count, struct fleet *);
	if (job->request->kind == DEPLOYMENT_ROLLBACK)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const char *name = environment->promote_from.items[i];
		const struct environment *upstream = project_environment(job->engine->project, name);
		if (fleet_begin_environment(job->engine, upstream, true, &job->upstreams[i], err))
			return err_wrap(err, "%s", name);
	}
	return 0;
}

static int await_upstreams(struct job *job, struct err *err)
{
	const struct environment *environment = job->environment;

	if (job->request->kind == DEPLOYMENT_ROLLBACK)
		return 0;
	for (size_t i = 0; i < environment->promote_from.count; i++) {
		const char *name = environment->promote_from.items[i];
		const struct environment *upstream = project_environment(job->engine->project, name);
		struct err unreachable = ERR_INIT;
		/* A server that is not there is evidence too: the gate says what it means. */
		(void)!fleet_connected(job->upstreams[i], &unreachable);
		if (fleet_interrupted(job->upstreams[i]))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		err_clear(&unreachable);
		if (fleet_scan(job->upstreams[i], NULL, false, &unreachable))
			event_note(&job->engine->events, "warn", "%s: %s", name, unreachable.text);
		tell_edits(job->engine, upstream, job->upstreams[i]);
		if (job->request->from && strcmp(job->request->from, name) == 0)
			job->from = job->upstreams[i];
	}
	return 0;
}

/* What an interrupted deployment left is put in order first. */
static int recover(struct job *job, struct err *err)
{
	struct recovered recovered;

	if (job->request->dry_run)
		return 0;
	if (rollout_recover(job->engine, job->environment, job->fleet, &job->options, &recovered, err))
		return -1;
	job->unverified = recovered.unverified;
	return recovered.did ? open_target(job, err) : 0;
}

/* --- configuration -------------------------------------------------------------------- */

/* What of lockstep.yml holds variables that only a provider knows. */
static int fill_in(struct job *job, struct err *err)
{
	if (!job->environment->delivery.health.late)
		return 0;
	struct environment *filled = ARENA_NEW(&job->engine->arena, struct environment);
	*filled = *job->environment;
	if (health_fill(&job->engine->arena, &job->environment->delivery.health, &job->configuration.whole,
			&filled->delivery.health, err))
		return err_wrap(err, "health of %s", filled->name);
	job->environment = filled;
	return 0;
}

/* The environment's own key stands on its servers; the first that has one says it. */
static void choose_config_key(struct job *job)
{
	uint8_t fresh[DIGEST_LEN];

	for (size_t i = 0; i < fleet_count(job->fleet); i++) {
		const struct server_state *state = fleet_state(job->fleet, i);
		if (!state || strlen(state->hello.config_key) != DIGEST_HEX_LEN)
			continue;
		memcpy(job->config_key, state->hello.config_key, sizeof(job->config_key));
		return;
	}
	random_bytes(fresh, sizeof(fresh));
	hex_encode(fresh, sizeof(fresh), job->config_key);
	explicit_bzero(fresh, sizeof(fresh));
}

/* A rollback brings the configuration it kept; what its commands would need of today's
 * may be missing then, but never holds it up. */
static int finish_configuration(struct job *job, struct err *err)
{
	bool back = job->request->kind == DEPLOYMENT_ROLLBACK;

	if (back)
		configuration_mask_earlier(job->engine, job->environment);
	if (configuration_finish(&job->configuration, err) == 0) {
		job->options.configuration = &job->configuration;
		return fill_in(job, err);
	}
	if (!back || err->code == ERR_INTERRUPTED)
		return -1;
	event_note(&job->engine->events, "warn", "commands of this rollback go without the values of today: %s", err->text);
	err_clear(err);
	job->configuration.sets = NULL;
	return 0;
}

static int name_configuration(struct job *job, struct err *err)
{
	choose_config_key(job);
	if (configuration_name(&job->configuration, slice_of(job->config_key), err))
		return -1;
	job->plan.configuration = &job->configuration;
	job->plan.config_key = job->config_key;
	memcpy(job->plan.config_hex, job->configuration.digest_hex, sizeof(job->plan.config_hex));
	return 0;
}

/* Judged before anything is sent; named as the servers name it. */
static int check_configuration(struct job *job, struct err *err)
{
	if (configuration_check(&job->configuration, err))
		return -1;
	configuration_warn_earlier(&job->configuration);
	return name_configuration(job, err);
}

/* --- what is deployed ----------------------------------------------------------------- */

static int check_promotion(struct job *job, struct err *err)
{
	const struct environment *environment = job->environment;
	const struct environment *from;
	AUTO(buf_free) struct buf allowed = BUF_INIT(4096);

	if (!job->request->from)
		return 0;
	if (project_find_environment(job->engine->project, job->request->from, &from, err))
		return -1;
	for (size_t i = 0; i < environment->promote_from.count; i++) {
		if (strcmp(environment->promote_from.items[i], job->request->from) == 0)
			return 0;
		buf_printf(&allowed, "%s%s", i ? ", " : "", environment->promote_from.items[i]);
	}
	err_set(err, ERR_USER, "%s is not promoted from %s", environment->name, job->request->from);
	return allowed.len ? err_hint(err, "its promote_from is: %s", buf_str(&allowed))
			   : err_hint(err, "it has no promote_from in %s", job->engine->project->file);
}

static bool has_substitutes(const struct environment *environment)
{
	for (size_t i = 0; i < environment->files.count; i++)
		if (environment->files.items[i].kind == FILE_SUBSTITUTE)
			return true;
	return false;
}

/* An environment that is only promoted to takes what is live before it. */
static bool promoted_only(const struct job *job)
{
	return !job->request->ref && !job->request->release && !job->environment->ref &&
	       job->environment->deploy_on.kind == TRIGGER_MANUAL && job->environment->promote_from.count == 1;
}

/* Whether a commit decides what is deployed. */
static bool needs_source(const struct job *job)
{
	return job->request->kind != DEPLOYMENT_ROLLBACK && !job->request->config_only && !job->request->from && !job->request->release &&
	       !promoted_only(job);
}

/* What the servers are remembered to run: an engine's guess, good for nothing but to
 * begin early what will probably have to be done. */
static bool remembered_live(struct job *job, struct digest *out, bool *known_out)
{
	struct engine *engine = job->engine;
	struct seen_place seen;
	struct err unknown = ERR_INIT;
	bool found = false;

	*known_out = false;
	if (job->environment->servers.count == 0 ||
	    seen_place_find(engine->home.db, &engine->arena, engine->project->name, job->environment->name,
			    server_key(&engine->arena, &job->environment->servers.items[0]), &found, &seen, &unknown))
		return false;
	*known_out = found && seen.release && digest_from_hex(slice_of(seen.release), out);
	/* A release that is live there but not in the store cannot be compared with. */
	return !*known_out || store_has_manifest(engine->store, out);
}

/* A plan tells, a deployment refuses. */
static int search_for_secrets(struct job *job, struct err *err)
{
	struct err found = ERR_INIT;

	if (job->searched || job->request->config_only)
		return 0;
	job->searched = true;
	if (scan_check_release(job->engine, &job->artifact, &found) == 0)
		return 0;
	if (!job->request->dry_run || found.code != ERR_USER) {
		*err = found;
		return -1;
	}
	event_note(&job->engine->events, "bad", "%s", found.text);
	return 0;
}

/* While the lines are being set up: what a commit gives when it was built here before,
 * and what the servers will probably lack of it. */
static int work_ahead(struct job *job, struct err *err)
{
	struct digest live;
	bool known;

	if (!needs_source(job))
		return 0;
	if (artifact_at_hand(job->engine, job->environment, job->request->ref, &job->artifact, &job->at_hand, err))
		return -1;
	engine_release_signals();
	if (engine_stopped())
		return err_set(err, ERR_INTERRUPTED, "interrupted; no server was touched");
	if (!job->at_hand || job->request->dry_run)
		return 0;
	bool guessed = remembered_live(job, &live, &known);
	if (guessed && !(known && digest_equal(&live, &job->artifact.release)))
		fleet_forecast(job->fleet, job->engine->store, &job->artifact.release, known ? &live : NULL);
	return search_for_secrets(job, err);
}

static int choose_artifact(struct job *job, struct err *err)
{
	const struct deploy_request *request = job->request;
	size_t count = 0, upstream_count = job->environment->promote_from.count;

	if (job->at_hand)
		return 0;
	struct fleet **fleets = ARENA_NEW_ARRAY(&job->engine->arena, upstream_count + 1, struct fleet *);

	fleets[count++] = job->fleet;
	for (size_t i = 0; i < upstream_count; i++)
		fleets[count++] = job->upstreams[i];
	if (request->config_only) {
		if (artifact_of_fleet(job->engine, job->environment, job->fleet, &job->artifact, err))
			return -1;
		/* Nothing of it is sent, and looked into only for what stands in its files. */
		if (!has_substitutes(job->environment))
			return 0;
	} else if (request->from || promoted_only(job)) {
		const char *name = request->from ? request->from : job->environment->promote_from.items[0];
		struct fleet *from = job->from ? job->from : job->upstreams[0];
		if (artifact_of_fleet(job->engine, project_environment(job->engine->project, name), from, &job->artifact,
				      err))
			return -1;
	} else if (request->release) {
		if (artifact_of_release(job->engine, request->release, fleets, count, &job->artifact, err))
			return -1;
	} else {
		return artifact_of_ref(job->engine, job->environment, request->ref, fleets, count, &job->artifact, err);
	}
	/* For a plan, only what is compared would be fetched; nothing needs to be. */
	return request->dry_run ? 0 : artifact_fetch(job->engine, &job->artifact, fleets, count, err);
}

static bool is_deployment(const struct server_activation *activation, const char *named)
{
	struct slice id = slice_of(activation->deployment);

	return slice_is(id, named) || slice_ends_with(id, named) || slice_starts_with(id, named);
}

static bool is_same_pair(const struct server_activation *a, const struct server_activation *b)
{
	return digest_equal(&a->release, &b->release) && strcmp(a->config, b->config) == 0;
}

/* Per server the kept activation a rollback goes back to: that of a deployment, or one
 * like another server's, or the last with another release. */
static const struct server_activation *way_back(const struct server_state *state, const char *deployment,
						const struct server_activation *like)
{
	const struct server_activation *live = state_live(state);

	for (size_t i = 0; i < state->activation_count; i++) {
		const struct server_activation *candidate = &state->activations[i];
		bool wanted = deployment ? is_deployment(candidate, deployment)
			      : like	 ? is_same_pair(candidate, like)
					 : live && candidate->number < live->number &&
						   !digest_equal(&candidate->release, &live->release);
		/* The live one, where it is named or the others go to it: what was edited in it is healed. */
		if (wanted && activation_is_good(candidate) && (deployment || like || candidate != live))
			return candidate;
	}
	return NULL;
}

/* Per server the kept activation whose configuration goes back: that of a deployment, or
 * one like another server's, or the last good one with another. */
static const struct server_activation *config_way_back(const struct server_state *state, const char *deployment,
						       const char *like)
{
	const struct server_activation *live = state_live(state);

	for (size_t i = 0; live && i < state->activation_count; i++) {
		const struct server_activation *candidate = &state->activations[i];
		bool wanted = deployment ? is_deployment(candidate, deployment)
			      : like	 ? strcmp(candidate->config, like) == 0
					 : candidate->number < live->number && strcmp(candidate->config, live->config) != 0;
		if (wanted && activation_is_good(candidate) && (like || candidate != live))
			return candidate;
	}
	return NULL;
}

/* A group goes back together, to the same release with the same configuration. */
static int refuse_alone(struct job *job, size_t server, const char *what, struct err *err)
{
	const struct server *servers = job->environment->servers.items;

	err_set(err, ERR_NOT_FOUND, "%s does not keep %s that %s goes back to", servers[server].place.text, what,
		servers[0].place.text);
	return err_hint(err, "`lockstep log` lists deployments, for --to; or deploy an earlier commit: `lockstep deploy %s "
			     "--ref REF`", job->environment->name);
}

/* The kept activations a rollback takes from, one a server; NULL: none. */
struct way {
	const char **from, **config_from;
	const char **own_config; /* as the activation says whose configuration it is */
};

static int choose_config_way_back(struct job *job, struct way *way, struct err *err)
{
	if (artifact_of_fleet(job->engine, job->environment, job->fleet, &job->artifact, err))
		return -1;
	for (size_t i = 0; i < fleet_count(job->fleet); i++) {
		const struct server_state *state = fleet_state(job->fleet, i);
		const struct server_activation *found = config_way_back(state, job->request->to, NULL);
		/* All of them get the same, or none does. */
		if (i > 0 && (!found || strcmp(found->config, job->plan.config_hex) != 0))
			found = config_way_back(state, NULL, job->plan.config_hex);
		if (!found && i > 0)
			return refuse_alone(job, i, "the configuration", err);
		if (!found) {
			err_set(err, ERR_NOT_FOUND, "%s keeps no good activation with another configuration%s%s",
				job->environment->servers.items[i].place.text, job->request->to ? " of deployment " : "",
				job->request->to ? job->request->to : "");
			return err_hint(err, "`lockstep log` lists deployments; set the values back where they come from, and "
					     "`lockstep deploy %s --config-only`",
					job->environment->name);
		}
		way->from[i] = state_live(state)->name;
		way->config_from[i] = found->name;
		way->own_config[i] = found->own_config;
		snprintf(job->plan.config_hex, sizeof(job->plan.config_hex), "%s", found->config);
	}
	return 0;
}

static int choose_way_back(struct job *job, struct way *way, struct err *err)
{
	const struct server_activation *first = NULL;

	for (size_t i = 0; i < fleet_count(job->fleet); i++) {
		const struct server_state *state = fleet_state(job->fleet, i);
		const char *label = job->environment->servers.items[i].place.text;
		/* A server that came later may have it under another deployment: then by what it is. */
		const struct server_activation *found = way_back(state, job->request->to, NULL);
		if (first && (!found || !is_same_pair(found, first)))
			found = way_back(state, NULL, first);
		if (first && !found)
			return refuse_alone(job, i, arena_printf(&job->engine->arena, "release %.12s with the configuration",
								  first->release_hex), err);
		if (!found && job->request->to) {
			err_set(err, ERR_NOT_FOUND, "%s keeps no good activation of deployment %s", label, job->request->to);
			return err_hint(err, "`lockstep log` lists deployments; a server keeps the last %lld good ones",
					(long long)job->environment->delivery.keep);
		}
		if (!found) {
			err_set(err, ERR_NOT_FOUND, "%s keeps no earlier good activation of another release to go back to", label);
			return err_hint(err, "deploy an earlier commit instead: `lockstep deploy %s --ref REF`",
					job->environment->name);
		}
		if (!first)
			first = found;
		way->from[i] = found->name;
		way->own_config[i] = found->own_config;
	}
	snprintf(job->plan.config_hex, sizeof(job->plan.config_hex), "%s", first->config);
	job->artifact = (struct artifact){
		.release = first->release,
		.commit = first->commit,
		.ref = "",
		.subject = first->subject,
		.author = "",
		.tree = "",
		.recipe = "",
		.build_key = "",
		.platform = "",
		.log = "",
		.from = "kept on the servers",
	};
	snprintf(job->artifact.hex, sizeof(job->artifact.hex), "%s", first->release_hex);
	return 0;
}

static int choose_kept(struct job *job, struct way *way, struct err *err)
{
	struct arena *arena = &job->engine->arena;

	way->from = ARENA_NEW_ARRAY(arena, fleet_count(job->fleet), const char *);
	way->own_config = ARENA_NEW_ARRAY(arena, fleet_count(job->fleet), const char *);
	if (!job->request->config_back)
		return choose_way_back(job, way, err);
	way->config_from = ARENA_NEW_ARRAY(arena, fleet_count(job->fleet), const char *);
	return choose_config_way_back(job, way, err);
}

/* Secrets that say `on_rollback: latest` do not go back: then the files are rendered
 * anew with them. */
static int keep_latest(struct job *job, struct err *err)
{
	bool needed = false;

	if (!job->configuration.sets || configuration_pin(&job->configuration, job->plan.config_hex, &needed, err))
		return job->configuration.sets ? -1 : 0;
	if (!needed)
		return 0;
	return name_configuration(job, err);
}

/* --- the plan ---------------------------------------------------------------------------- */

static int make_plan(struct job *job, const struct way *way, struct err *err)
{
	enum deployment_kind kind = job->request->config_only ? DEPLOYMENT_CONFIG : job->request->kind;

	if ((!job->look_later && plan_look(job->fleet, err)) ||
	    plan_make(job->engine, job->environment, kind, &job->artifact, job->fleet, &job->plan, err))
		return -1;
	for (size_t i = 0; way->from && i < job->plan.server_count; i++) {
		job->plan.servers[i].from = way->from[i];
		job->plan.servers[i].config_from = way->config_from ? way->config_from[i] : NULL;
		if (!job->plan.configuration)
			job->plan.servers[i].own_config = way->own_config[i];
	}
	if (!job->look_later)
		tell_edits(job->engine, job->environment, job->fleet);
	return 0;
}

static int judge(struct job *job, struct err *err)
{
	job->plan.environment = job->environment;
	job->plan.artifact = job->artifact;
	job->plan.hotfix = job->request->hotfix;
	job->plan.again = job->request->again || job->unverified;
	job->plan.reason = job->request->reason;
	/* The release is live there already: its way there was judged when it came. */
	if (job->request->kind == DEPLOYMENT_ROLLBACK || job->request->config_only)
		return 0;
	return plan_judge(job->engine, &job->plan, job->upstreams, err);
}

static json_t *result_json(struct job *job)
{
	json_t *out = plan_json(job->engine, &job->plan);
	json_t *servers = json_array();

	json_object_set_new(out, "deployment", json_string(job->plan.id));
	json_object_set_new(out, "dry_run", json_boolean(job->request->dry_run));
	if (job->rollout.outcome)
		json_object_set_new(out, "outcome", json_string(deployment_outcome_name(job->rollout.outcome)));
	for (size_t i = 0; i < job->rollout.server_count; i++) {
		const struct deployment_server *row = &job->rollout.servers[i];
		json_array_append_new(servers, json_pack("{s:s, s:s, s:o, s:o, s:I, s:I}", "server", row->label, "verdict",
							 server_verdict_name(row->verdict), "previous",
							 json_cstr(row->previous), "activation", json_cstr(row->activation),
							 "files", (json_int_t)row->files, "bytes", (json_int_t)row->bytes));
	}
	json_object_set_new(out, "results", servers);
	if (job->plan.configuration && job->request->dry_run)
		config_changes(job->engine, job->plan.configuration, out);
	json_object_set_new(out, "next_time",
			    job->plan.current && job->request->kind != DEPLOYMENT_ROLLBACK
				    ? impact_of_delivery(job->engine, job->environment)
				    : json_null());
	json_object_set_new(out, "templates", job->templates ? json_incref(job->templates) : json_array());
	return out;
}

/* Before anything is done; a plan shows them itself. */
static void tell_templates(struct job *job)
{
	size_t index;
	json_t *row;

	job->templates = impact_of_project(job->engine);
	json_array_foreach(job->templates, index, row)
		if (!job->request->dry_run)
			event_note(&job->engine->events, "info", "template %s",
				   json_string_value(json_object_get(row, "text")));
}

static void describe(void *context)
{
	struct job *job = context;

	plan_describe(job->engine, &job->plan);
}

/* A commit is deployed, not what lies in this folder: said to whom may wonder. The history waits
 * for it, and a working folder may be huge or on a file server that is gone: it is only a note. */
static void tell_uncommitted(struct job *job)
{
	enum { STATUS_TIME_MS = 5000 };
	struct engine *engine = job->engine;
	struct source *source;
	struct err untold = ERR_INIT;
	size_t count;

	if (!needs_source(job) || strcmp(engine->project->source, ".") != 0 ||
	    engine_source(engine, false, &source, &untold))
		return;
	if (source_count_uncommitted(source, engine->project->dir, STATUS_TIME_MS, &count, &untold))
		event_note(&engine->events, "info",
			   "whether all in this folder is committed is not known (%s): this is commit %.8s",
			   untold.text, job->artifact.commit);
	else if (count)
		event_note(&engine->events, "info",
			   "%zu %s in this folder %s not committed, and so not in this: it is commit %.8s", count,
			   count == 1 ? "change" : "changes", count == 1 ? "is" : "are", job->artifact.commit);
}

/* A provider that is away must not keep a fleet from being put in order. */
static int configure_and_recover(struct job *job, struct err *err)
{
	struct err why = ERR_INIT;
	int configured = finish_configuration(job, &why);

	if (recover(job, err))
		return -1;
	if (configured)
		*err = why;
	return configured;
}

/* What was looked for while the lease was asked for; `line` was the one then, also where it was
 * made anew since. */
static void note_edits(struct job *job, const struct link_results *line)
{
	job->look_later = false;
	plan_note_edits(&job->plan.servers[0], &line->scan);
	tell_edits_of(job->engine, job->environment, 0, &line->scan);
	if (job->rollout.prepared && !line->scan.live)
		event_note(&job->engine->events, "warn", "%s: what was live could not be looked at for hand edits",
			   job->environment->servers.items[0].place.text);
}

/* --- top down ------------------------------------------------------------------------------- */

static int plan_and_run(struct job *job, struct err *err)
{
	struct way way = { 0 };
	bool moved;

	if (check_promotion(job, err))
		return -1;
	if (needs_source(job))
		engine_fetch_ahead(job->engine);
	/* Providers are asked while the servers are connected to. */
	configuration_begin(job->engine, job->environment, false, &job->configuration);
	int64_t begun = clock_mono_ms();
	/* Handshakes are mostly waiting: everything else that must be done first is done meanwhile. */
	if (begin_target(job, err) || begin_upstreams(job, err) || work_ahead(job, err) ||
	    await_target(job, err) || configure_and_recover(job, err) || await_upstreams(job, err))
		return -1;
	if (job->request->kind == DEPLOYMENT_ROLLBACK) {
		if (choose_kept(job, &way, err) || keep_latest(job, err))
			return -1;
	} else if (check_configuration(job, err) || choose_artifact(job, err) || search_for_secrets(job, err)) {
		return -1;
	}
	engine_release_signals();
	if (engine_stopped())
		return err_set(err, ERR_INTERRUPTED, "interrupted; no server was touched");
	/* Building and looking for secrets hold whole trees; what comes now does, too. */
	mem_trim();
	/* A long build outlasts the agents' patience: connect anew. */
	if (clock_mono_ms() - begun > STALE_AFTER_MS && open_target(job, err))
		return -1;
	if (judge(job, err) || make_plan(job, &way, err))
		return -1;
	history_planned(&job->history, &job->plan);
	if (job->request->kind != DEPLOYMENT_ROLLBACK)
		tell_templates(job);
	if (job->request->dry_run)
		return 0;
	if (job->plan.gates.count && gate_require_open(&job->plan.gates, err)) {
		job->rollout.outcome = OUTCOME_REFUSED;
		return -1;
	}
	if (job->plan.current && !way.from) {
		job->rollout.outcome = OUTCOME_UNCHANGED;
		return 0;
	}
	/* Of a large release the stream's manifest is memory enough for now: it is described last. */
	if (job->artifact.files <= DESCRIBED_MEANWHILE_MAX)
		fleet_meanwhile(job->fleet, describe, job);
	const struct link_results *line = fleet_results(job->fleet, 0);
	int leased = rollout_lease(job->engine, &job->plan, job->fleet, &job->options, &job->rollout, &moved, err);
	if (job->look_later)
		note_edits(job, line);
	if (leased) {
		if (!job->rollout.outcome)
			job->rollout.outcome = err->code == ERR_INTERRUPTED ? OUTCOME_INTERRUPTED : OUTCOME_REFUSED;
		return -1;
	}
	/* Whatever was sent meanwhile, the plan is not described while it is made again. */
	fleet_meanwhile(job->fleet, NULL, NULL);
	if (moved && make_plan(job, &way, err))
		return -1;
	if (job->plan.current && !way.from) {
		job->rollout.outcome = OUTCOME_UNCHANGED;
		return 0;
	}
	return rollout_run(job->engine, &job->plan, job->fleet, &job->options, &job->rollout, err);
}

/* What became of a deployment that ended before its rollout said so. Without a plan
 * nothing was begun: then what was asked for was refused, unless something broke. */
static enum deployment_outcome outcome_of(const struct job *job, const struct err *err)
{
	switch (err->code) {
	case ERR_INTERRUPTED:
		return OUTCOME_INTERRUPTED;
	case ERR_MIXED:
		return OUTCOME_UNKNOWN;
	case ERR_USER:
	case ERR_DENIED:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
	case ERR_GATE:
		return job->plan.servers ? OUTCOME_FAILED : OUTCOME_REFUSED;
	default:
		return OUTCOME_FAILED;
	}
}

int deploy_run(struct engine *engine, const struct deploy_request *request, json_t **out, struct err *err)
{
	struct job job = {
		.engine = engine,
		.request = request,
		.options = { .wait_ms = request->wait_ms, .take_over = request->take_over },
	};

	if (request->config_only && (request->ref || request->release)) {
		err_set(err, ERR_USER, "--config-only takes the release that is live: --ref and --release go without it");
		return -1;
	}
	if (request->hotfix && (!request->reason || !*request->reason)) {
		err_set(err, ERR_USER, "--hotfix needs --reason");
		return err_hint(err, "say why the order is left out; it is written to every server's journal");
	}
	if (project_find_environment(engine->project, request->environment, &job.environment, err))
		return -1;
	if (request->dry_run)
		deployment_make_id(clock_wall_ms(), job.plan.id);
	else if (history_begin(&job.history, engine, request, job.plan.id, err))
		return -1;
	int result = plan_and_run(&job, err);
	if (result)
		mask_err(engine->events.mask, err);
	if (result && !job.rollout.outcome)
		job.rollout.outcome = outcome_of(&job, err);
	/* The servers hear good-bye while this machine writes down what happened. */
	if (job.fleet)
		fleet_leave(job.fleet);
	if (result == 0)
		tell_uncommitted(&job);
	if (!request->dry_run) {
		history_end(&job.history, &job.plan, &job.rollout, result ? err : NULL);
		if (job.plan.servers)
			history_seen(engine, job.environment, job.fleet, result == 0 ? &job.plan : NULL);
		if (job.rollout.outcome == OUTCOME_LIVE && request->kind != DEPLOYMENT_ROLLBACK)
			impact_record(engine, job.environment, job.plan.id);
		if (result == 0 && job.rollout.outcome == OUTCOME_LIVE)
			history_configuration(engine, &job.plan);
	}
	if (job.plan.servers) {
		plan_describe(engine, &job.plan);
		*out = result_json(&job);
	}
	close_job(&job);
	return result;
}
