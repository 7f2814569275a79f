#include "engine/rollout.h"

#include "base/clock.h"
#include "base/fault.h"
#include "codec/record.h"

#include <stdio.h>
#include <stdlib.h>

enum { RECONNECT_TRIES = 3, RECONNECT_PAUSE_MS = 1000, HEALTH_PAUSE_MS = 250, RELOAD_TIMEOUT_MS = 60000 };

struct run {
	struct engine *engine;
	const struct environment *environment;
	struct fleet *fleet;
	size_t count;
	const bool *which;        /* the servers taking part; NULL: all */
	const char *deployment;
	const char *by;
	const char **names;       /* per server: the new activation */
	const char **previous;    /* per server: what was live before */
	size_t decision_server;
	struct lease_request lease;
	const char *receipt;      /* http | command | none */
};

static bool takes_part(const struct run *run, size_t server) { return !run->which || run->which[server]; }

/* --- small steps ---------------------------------------------------------------------------- */

static const char **no_texts(struct run *run)
{
	const char **texts = ARENA_NEW_ARRAY(&run->engine->arena, run->count, const char *);

	for (size_t i = 0; i < run->count; i++)
		texts[i] = "";
	return texts;
}

/* Lines that were lost are made again, and the lease taken again: the old agent ends
 * by itself when its line is cut, at the latest after 30 s of silence. */
static int reconnect(struct run *run, struct err *err)
{
	struct lease_request again = run->lease;

	again.wait_ms = 40000;
	for (int i = 0; i < RECONNECT_TRIES; i++) {
		err_clear(err);
		if (fleet_reopen(run->fleet, run->which, err) == 0) {
			bool *missing = ARENA_NEW_ARRAY(&run->engine->arena, run->count, bool);
			bool any = false;
			for (size_t s = 0; s < run->count; s++) {
				missing[s] = takes_part(run, s) && !link_leased(fleet_link(run->fleet, s));
				any = any || missing[s];
			}
			if (!any || fleet_lease(run->fleet, missing, &again, err) == 0)
				return 0;
		}
		struct err waiting = ERR_INIT;
		if (fleet_wait(run->fleet, RECONNECT_PAUSE_MS, &waiting))
			break;
	}
	return -1;
}

static int hook_failed(struct run *run, const char *point, const struct hook *hook, const bool *which, struct err *err)
{
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!which[i] || !results || (results->run.status == 0 && !results->run.timed_out))
			continue;
		const char *server = run->environment->servers.items[i].place.text;
		if (results->run.timed_out)
			err_set(err, ERR_FAILED, "%s: the hook %s took longer than %lld s: %s", server, point,
				(long long)(hook->timeout_ms / 1000), hook->run);
		else
			err_set(err, ERR_FAILED, "%s: the hook %s ended with status %d: %s", server, point,
				results->run.status, hook->run);
		return err_hint(err, "what it printed stands above; `lockstep log %s` shows it again", run->deployment);
	}
	return 0;
}

static const char *const *hook_environment(struct run *run, size_t *count)
{
	const struct config_set *values = &run->environment->values;
	const char **env = ARENA_NEW_ARRAY(&run->engine->arena, values->count, const char *);

	for (size_t i = 0; i < values->count; i++)
		env[i] = arena_printf(&run->engine->arena, "%s=%s", values->values[i].name, values->values[i].text);
	*count = values->count;
	return env;
}

static int run_hooks(struct run *run, enum hook_point point, const char *dir, struct err *err)
{
	const struct hook_list *list = &run->environment->delivery.hooks.points[point];
	const char *name = hook_point_name(point);
	size_t env_count;

	if (list->count == 0)
		return 0;
	event_step(&run->engine->events, name, NULL);
	for (size_t i = 0; i < list->count; i++) {
		const struct hook *hook = &list->items[i];
		bool *which = servers_of_group(&run->engine->arena, run->environment, hook->group, hook->where == HOOK_ONCE);
		bool any = false;
		for (size_t s = 0; s < run->count; s++) {
			which[s] = which[s] && takes_part(run, s);
			any = any || which[s];
		}
		if (!any)
			continue;
		const char *const *env = hook_environment(run, &env_count);
		const struct run_request request = {
			.deployment = run->deployment,
			.point = name,
			.command = hook->run,
			.as = hook->as,
			.index = i,
			.dir = dir,
			.env = { env, env_count },
			.on_retry = hook->on_retry == HOOK_RETRY_RUN    ? "run"
				    : hook->on_retry == HOOK_RETRY_SKIP ? "skip"
									: "ask",
			.timeout_ms = hook->timeout_ms,
		};
		if (fleet_run(run->fleet, which, &request, err))
			return err_wrap(err, "hook %s", name);
		if (hook_failed(run, name, hook, which, err))
			return -1;
	}
	return 0;
}

/* What undoes hooks that ran before: their own `on_go_back` commands, in reverse. */
static void undo_hooks(struct run *run, enum hook_point point, const char *dir)
{
	const struct hook_list *list = &run->environment->delivery.hooks.points[point];
	struct err err = ERR_INIT;
	size_t env_count;

	for (size_t i = list->count; i > 0; i--) {
		const struct hook *hook = &list->items[i - 1];
		if (!hook->on_go_back)
			continue;
		bool *which = servers_of_group(&run->engine->arena, run->environment, hook->group, hook->where == HOOK_ONCE);
		for (size_t s = 0; s < run->count; s++)
			which[s] = which[s] && takes_part(run, s);
		const char *const *env = hook_environment(run, &env_count);
		const struct run_request request = {
			.deployment = run->deployment,
			.point = "on_go_back",
			.command = hook->on_go_back,
			.as = hook->as,
			.index = 1000 + (size_t)point * 100 + i,
			.dir = dir,
			.env = { env, env_count },
			.on_retry = "run",
			.timeout_ms = hook->timeout_ms,
		};
		if (fleet_run(run->fleet, which, &request, &err) || hook_failed(run, "on_go_back", hook, which, &err))
			event_note(&run->engine->events, "warn", "on the way back: %s", err.text);
	}
}

static int decide(struct run *run, const char *decision, const char *why, struct err *err)
{
	const struct decide_request request = { .deployment = run->deployment, .decision = decision, .why = why };

	return fleet_decide(run->fleet, run->decision_server, &request, err);
}

static int activate(struct run *run, struct err *err)
{
	struct activate_request *each = ARENA_NEW_ARRAY(&run->engine->arena, run->count, struct activate_request);

	event_step(&run->engine->events, "activate", NULL);
	for (size_t i = 0; i < run->count; i++)
		each[i] = (struct activate_request){ .deployment = run->deployment, .expect = run->previous[i] };
	return fleet_activate(run->fleet, run->which, each, err);
}

/* One kind of reload on the servers of its group. `away` names, per server, the
 * activation no process may run from any more. */
static int reload_group(struct run *run, const struct reload *kind, const char *const *away, struct err *err)
{
	struct arena *arena = &run->engine->arena;
	struct reload_request *each = ARENA_NEW_ARRAY(arena, run->count, struct reload_request);
	bool *which = servers_of_group(arena, run->environment, kind->group, false);
	bool any = false;

	for (size_t i = 0; i < run->count; i++) {
		which[i] = which[i] && takes_part(run, i);
		any = any || which[i];
		each[i] = (struct reload_request){
			.deployment = run->deployment,
			.spec = kind->text,
			.away_from = away[i],
			.timeout_ms = RELOAD_TIMEOUT_MS,
		};
	}
	if (!any)
		return 0;
	event_step(&run->engine->events, "reload", kind->text);
	if (fleet_reload(run->fleet, which, each, err))
		return err_wrap(err, "reload");
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (which[i] && results && strcmp(results->reload.proved, "proved") != 0)
			event_note(&run->engine->events, "warn", "%s: reload %s: %s",
				   run->environment->servers.items[i].place.text, results->reload.proved, results->reload.why);
	}
	return 0;
}

static int reload(struct run *run, const char *const *away, struct err *err)
{
	for (size_t i = 0; i < run->environment->delivery.reload.count; i++) {
		const struct reload *kind = &run->environment->delivery.reload.items[i];
		if (kind->kind != RELOAD_NONE && reload_group(run, kind, away, err))
			return -1;
	}
	return 0;
}

/* One look at every server in `waiting`; clears those that passed. */
static int look(struct run *run, const struct health *health, bool *waiting, int64_t left_ms, struct err *err)
{
	struct arena *arena = &run->engine->arena;

	if (health->kind == HEALTH_URL) {
		struct http_request request = {
			.url = health->url,
			.body_contains = health->body,
			.status = (int)health->status,
			.timeout_ms = MAX(MIN(left_ms, (int64_t)10000), (int64_t)500),
		};
		if (health->address) {
			const char *colon = strrchr(health->address, ':');
			uint64_t port = 0;
			size_t len = colon ? (size_t)(colon - health->address) : strlen(health->address);
			if (colon && slice_to_u64(slice_of(colon + 1), &port) && port <= UINT16_MAX)
				request.connect_port = (uint16_t)port;
			struct slice host = slice_make(health->address, len);
			if (host.len > 2 && host.ptr[0] == '[')
				host = slice_make(host.ptr + 1, host.len - 2);
			request.connect_host = arena_str(arena, host);
		}
		if (fleet_check_http(run->fleet, waiting, &request, err))
			return -1;
	} else {
		size_t env_count;
		const char *const *env = hook_environment(run, &env_count);
		const struct run_request request = {
			.deployment = run->deployment,
			.point = "health",
			.command = health->command,
			.dir = "live",
			.env = { env, env_count },
			.on_retry = "run",
			.timeout_ms = MAX(left_ms, (int64_t)500),
		};
		if (fleet_run(run->fleet, waiting, &request, err))
			return -1;
	}
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!waiting[i] || !results)
			continue;
		bool passed = health->kind == HEALTH_URL ? results->http.passed
							 : results->run.status == 0 && !results->run.timed_out;
		if (passed) {
			waiting[i] = false;
			event_server(&run->engine->events, run->environment->servers.items[i].place.text, "verify", "done",
				     NULL);
		}
	}
	return 0;
}

static int say_unhealthy(struct run *run, const struct health *health, const bool *waiting, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!waiting[i])
			continue;
		const char *server = run->environment->servers.items[i].place.text;
		buf_printf(&text, "%s%s failed its health check: ", text.len ? "\n" : "", server);
		if (health->kind == HEALTH_URL)
			buf_printf(&text, "%s: %s", health->url,
				   results && results->http.why ? results->http.why : "no answer");
		else if (results && results->run.timed_out)
			buf_printf(&text, "`%s` took too long", health->command);
		else
			buf_printf(&text, "`%s` ended with status %d", health->command, results ? results->run.status : -1);
		event_server(&run->engine->events, server, "verify", "failed", NULL);
	}
	return err_set(err, ERR_FAILED, "%s (tried for %lld s)", buf_str(&text), (long long)(health->within_ms / 1000));
}

/* Each server itself, until it passes or its time is over. */
static int verify(struct run *run, struct err *err)
{
	const struct health *health = &run->environment->delivery.health;
	bool *waiting = ARENA_NEW_ARRAY(&run->engine->arena, run->count, bool);
	int64_t until = clock_mono_ms() + health->within_ms;

	run->receipt = health->kind == HEALTH_URL ? "http" : health->kind == HEALTH_COMMAND ? "command" : "none";
	if (health->kind != HEALTH_URL && health->kind != HEALTH_COMMAND)
		return 0;
	event_step(&run->engine->events, "verify", health->kind == HEALTH_URL ? health->url : health->command);
	for (size_t i = 0; i < run->count; i++)
		waiting[i] = takes_part(run, i);
	for (;;) {
		if (look(run, health, waiting, until - clock_mono_ms(), err))
			return err_wrap(err, "health check");
		bool any = false;
		for (size_t i = 0; i < run->count; i++)
			any = any || waiting[i];
		if (!any)
			return 0;
		if (clock_mono_ms() >= until)
			return say_unhealthy(run, health, waiting, err);
		if (fleet_wait(run->fleet, HEALTH_PAUSE_MS, err))
			return -1;
	}
}

static int record(struct run *run, const char *event, const char *text, struct err *err)
{
	static const char *const keys[] = { "deployment", "by", "receipt", "text" };
	struct arena *arena = &run->engine->arena;
	const char **values = ARENA_NEW_ARRAY(arena, ARRAY_LEN(keys), const char *);
	struct record_request *each = ARENA_NEW_ARRAY(arena, run->count, struct record_request);

	values[0] = run->deployment;
	values[1] = run->by;
	values[2] = strcmp(event, "verified") == 0 ? run->receipt : NULL;
	values[3] = text;
	for (size_t i = 0; i < run->count; i++)
		each[i] = (struct record_request){ event, keys, values, ARRAY_LEN(keys) };
	return fleet_record(run->fleet, run->which, each, err);
}

static void prune(struct run *run)
{
	struct err err = ERR_INIT;

	/* Housekeeping never makes a deployment fail. */
	if (fleet_prune(run->fleet, run->which, (uint64_t)run->environment->delivery.keep, &err))
		event_note(&run->engine->events, "warn", "old activations were not removed: %s", err.text);
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		const char *server = run->environment->servers.items[i].place.text;
		if (!takes_part(run, i) || !results)
			continue;
		for (size_t u = 0; u < results->prune.in_use.count; u++)
			event_note(&run->engine->events, "info", "%s: %s is kept because a process still uses it", server,
				   results->prune.in_use.items[u]);
		if (results->prune.problem && *results->prune.problem)
			event_note(&run->engine->events, "warn", "%s: %s", server, results->prune.problem);
	}
}

/* --- the way back ------------------------------------------------------------------------------- */

/* Before the decision: what was prepared goes away, `current` was never touched. */
static void abandon(struct run *run)
{
	struct err err = ERR_INIT;

	event_step(&run->engine->events, "abandon", NULL);
	if (fleet_abandon(run->fleet, run->which, run->deployment, &err) == 0)
		return;
	/* A server that cannot be reached keeps its pending deployment; the next one clears it. */
	struct err lost = ERR_INIT;
	if (reconnect(run, &lost) || fleet_abandon(run->fleet, run->which, run->deployment, &err))
		event_note(&run->engine->events, "warn",
			   "what was prepared could not be removed everywhere; the next deployment does that (%s)", err.text);
}

/* After the decision: the go-back is decided first, so that whoever comes next goes
 * back too, then every server reverts, reloads, and writes it down. */
static int go_back(struct run *run, const char *why, struct err *err)
{
	event_step(&run->engine->events, "go-back", why);
	if (decide(run, "go-back", why, err)) {
		struct err lost = ERR_INIT;
		if (reconnect(run, &lost) || decide(run, "go-back", why, err))
			return err_wrap(err, "deciding to go back");
	}
	fault_mark("engine.go_back.decided");
	undo_hooks(run, HOOK_AFTER_ACTIVATE, "live");
	if (fleet_revert(run->fleet, run->which, run->deployment, err)) {
		struct err lost = ERR_INIT;
		err_clear(err);
		if (reconnect(run, &lost)) {
			*err = lost;
			return err_wrap(err, "going back");
		}
		if (fleet_revert(run->fleet, run->which, run->deployment, err))
			return err_wrap(err, "going back");
	}
	struct err reloading = ERR_INIT;
	if (reload(run, run->names, &reloading))
		event_note(&run->engine->events, "bad", "the earlier activation is back, but its reload failed: %s",
			   reloading.text);
	struct err hooks = ERR_INIT;
	undo_hooks(run, HOOK_BEFORE_ACTIVATE, "prepared");
	undo_hooks(run, HOOK_AFTER_PREPARE, "prepared");
	if (run_hooks(run, HOOK_ON_GO_BACK, "live", &hooks))
		event_note(&run->engine->events, "warn", "%s", hooks.text);
	if (record(run, "failed", why, err)) {
		struct err lost = ERR_INIT;
		if (reconnect(run, &lost) || record(run, "failed", why, err))
			return err_wrap(err, "writing down that we went back");
	}
	return 0;
}

/* --- forward --------------------------------------------------------------------------------------- */

/* From the decision on; what recovery does too. */
static int finish(struct run *run, struct err *err)
{
	const char *event;

	if (fault_point("engine.before_activate", err) || activate(run, err))
		return err_wrap(err, "activating");
	if (fault_point("engine.before_reload", err) || reload(run, run->previous, err))
		return -1;
	if (run_hooks(run, HOOK_AFTER_ACTIVATE, "live", err))
		return -1;
	if (fault_point("engine.before_verify", err) || verify(run, err))
		return -1;
	event = run->environment->delivery.health.kind == HEALTH_UNSET ? "live" : "verified";
	if (fault_point("engine.before_record", err))
		return -1;
	if (record(run, event, NULL, err)) {
		struct err lost = ERR_INIT;
		/* It is live and passed; only the receipt is missing somewhere. */
		if (reconnect(run, &lost) || record(run, event, NULL, err))
			return err_wrap(err, "writing the receipt");
	}
	fault_mark("engine.recorded");
	return 0;
}

static void after_success(struct run *run)
{
	struct err err = ERR_INIT;

	if (run_hooks(run, HOOK_AFTER_LIVE, "live", &err))
		event_note(&run->engine->events, "warn", "%s (the deployment stays live)", err.text);
	prune(run);
}

/* --- where everybody stands --------------------------------------------------------------------------- */

/* Asks the servers what is live: outcomes are read, never inferred. */
static enum deployment_outcome read_outcome(struct run *run, struct rollout *out, struct err *err)
{
	size_t new_count = 0, old_count = 0, unknown = 0;
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);
	struct err scanning = ERR_INIT;

	if (fleet_scan(run->fleet, run->which, false, &scanning)) {
		/* Lines that are lost are tried once more; what stays silent is unknown. */
		struct err lost = ERR_INIT;
		if (fleet_reopen(run->fleet, run->which, &lost) == 0 || lost.code)
			err_clear(&lost);
		if (fleet_scan(run->fleet, run->which, false, &scanning))
			err_clear(&scanning);
	}
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		struct deployment_server *row = &out->servers[i];
		if (!takes_part(run, i))
			continue;
		row->activation = *run->names[i] ? run->names[i] : NULL;
		if (fleet_failure(run->fleet, i) || !results || !results->scan.live) {
			row->verdict = SERVER_UNKNOWN;
			unknown++;
		} else if (*run->names[i] && strcmp(results->scan.live, run->names[i]) == 0) {
			row->verdict = SERVER_NEW;
			new_count++;
		} else {
			row->verdict = out->went_back ? SERVER_RESTORED : SERVER_OLD;
			old_count++;
		}
		buf_printf(&text, "%s%s: %s", text.len ? ", " : "", run->environment->servers.items[i].place.text,
			   row->verdict == SERVER_UNKNOWN ? "unknown"
			   : row->verdict == SERVER_NEW   ? "the new activation"
							  : "as before");
	}
	if (unknown == 0 && new_count == 0)
		return OUTCOME_ALL_OLD;
	if (unknown == 0 && old_count == 0)
		return OUTCOME_LIVE;
	enum deployment_outcome outcome = unknown ? OUTCOME_UNKNOWN : OUTCOME_MIXED;
	char why[ERR_TEXT_MAX];
	snprintf(why, sizeof(why), "%s", err->text);
	err_set(err, ERR_MIXED, "%s\nthe servers now: %s", why, buf_str(&text));
	err_hint(err, "run the same command again when the servers can be reached: it finishes or goes back by what was "
		      "decided");
	return outcome;
}

static void fill_rows(struct run *run, const struct plan *plan, struct rollout *out)
{
	out->server_count = run->count;
	out->servers = ARENA_NEW_ARRAY(&run->engine->arena, run->count, struct deployment_server);
	for (size_t i = 0; i < run->count; i++)
		out->servers[i] = (struct deployment_server){
			.deployment = run->deployment,
			.server = plan->servers[i].key,
			.label = plan->servers[i].label,
			.previous = *plan->servers[i].expect ? plan->servers[i].expect : NULL,
			.verdict = SERVER_OLD,
		};
}

/* --- the deployment ---------------------------------------------------------------------------------------- */

static struct text_list texts_of(const struct str_list *list)
{
	return (struct text_list){ (const char *const *)list->items, list->count };
}

static int prepare(struct run *run, const struct plan *plan, struct rollout *out, struct err *err)
{
	struct arena *arena = &run->engine->arena;
	const struct delivery *delivery = &run->environment->delivery;
	const struct artifact *artifact = &plan->artifact;
	struct prepare_request *each = ARENA_NEW_ARRAY(arena, run->count, struct prepare_request);
	const char **labels = ARENA_NEW_ARRAY(arena, run->count, const char *);
	const char *decision_place = fleet_results(run->fleet, 0)->lease.place_id;

	for (size_t i = 0; i < run->count; i++)
		labels[i] = plan->servers[i].label;
	for (size_t i = 0; i < run->count; i++)
		each[i] = (struct prepare_request){
			.deployment = run->deployment,
			.plan = plan->digest_hex,
			.kind = plan->hotfix ? "hotfix" : deployment_kind_name(plan->kind),
			.release = artifact->release,
			.config = plan->config_hex,
			.commit = artifact->commit,
			.subject = artifact->subject,
			.by = run->by,
			.reason = plan->reason,
			.commit_time = artifact->committed_ms / 1000,
			.expect = plan->servers[i].expect,
			.decision_place = decision_place,
			.decision_server = plan->servers[0].label,
			.servers = { labels, run->count },
			.link_mode = delivery->link == LINK_COPY ? "copy" : "auto",
			.shared_dirs = texts_of(&delivery->shared_dirs),
			.shared_files = texts_of(&delivery->shared_files),
			.generated = texts_of(&delivery->generated),
			.tree = artifact->tree,
			.recipe = artifact->recipe,
			.build_key = artifact->build_key,
			.platform = artifact->platform,
			.from = plan->servers[i].from,
		};
	event_step(&run->engine->events, "prepare", NULL);
	int result = fleet_prepare(run->fleet, NULL, run->engine->store, each, err);
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!results || !results->prepare.name || fleet_failure(run->fleet, i))
			continue;
		run->names[i] = results->prepare.name;
		out->servers[i].activation = results->prepare.name;
		out->servers[i].files = (int64_t)results->prepare.received;
		out->servers[i].bytes = (int64_t)results->prepare.sent_bytes;
		if (results->prepare.healed)
			event_note(&run->engine->events, "info", "%s: %llu files that had been edited in place were healed",
				   plan->servers[i].label, (unsigned long long)results->prepare.healed);
	}
	return result;
}

/* Up to the decision; nothing is visible to anybody yet. */
static int prepare_all(struct run *run, const struct plan *plan, struct rollout *out, struct err *err)
{
	if (fault_point("engine.before_prepare", err) || run_hooks(run, HOOK_BEFORE_PREPARE, "place", err) ||
	    prepare(run, plan, out, err) || run_hooks(run, HOOK_AFTER_PREPARE, "prepared", err) ||
	    run_hooks(run, HOOK_BEFORE_ACTIVATE, "prepared", err) || fault_point("engine.before_decide", err))
		return -1;
	if (fleet_interrupted(run->fleet))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	return 0;
}

static int fail_before_decision(struct run *run, struct rollout *out, struct err *err)
{
	struct err why = *err;
	struct err hooks = ERR_INIT;

	undo_hooks(run, HOOK_BEFORE_ACTIVATE, "prepared");
	undo_hooks(run, HOOK_AFTER_PREPARE, "prepared");
	abandon(run);
	if (run_hooks(run, HOOK_ON_FAILURE, "place", &hooks))
		event_note(&run->engine->events, "warn", "%s", hooks.text);
	out->outcome = why.code == ERR_INTERRUPTED ? OUTCOME_INTERRUPTED
		       : why.code == ERR_CONFLICT  ? OUTCOME_REFUSED
						   : OUTCOME_FAILED;
	*err = why;
	if (why.code != ERR_INTERRUPTED && why.code != ERR_CONFLICT)
		err->code = ERR_FAILED;
	char text[ERR_TEXT_MAX];
	snprintf(text, sizeof(text), "%s", err->text);
	char hint[ERR_HINT_MAX];
	snprintf(hint, sizeof(hint), "%s", err->hint);
	err_set(err, err->code, "%s\nno server was changed", text);
	return *hint ? err_hint(err, "%s", hint) : -1;
}

static int fail_after_decision(struct run *run, struct rollout *out, struct err *err)
{
	struct err why = *err;
	struct err back = ERR_INIT, hooks = ERR_INIT;

	out->went_back = true;
	int result = go_back(run, why.text, &back);
	if (run_hooks(run, HOOK_ON_FAILURE, "place", &hooks))
		event_note(&run->engine->events, "warn", "%s", hooks.text);
	*err = why;
	if (result)
		event_note(&run->engine->events, "bad", "%s", back.text);
	enum deployment_outcome outcome = read_outcome(run, out, err);
	if (outcome == OUTCOME_ALL_OLD) {
		char hint[ERR_HINT_MAX];
		snprintf(hint, sizeof(hint), "%s", why.hint);
		out->outcome = why.code == ERR_INTERRUPTED ? OUTCOME_INTERRUPTED : OUTCOME_RESTORED;
		err_set(err, why.code == ERR_INTERRUPTED ? ERR_INTERRUPTED : ERR_FAILED,
			"%s\nall servers are back on what was live before", why.text);
		return *hint ? err_hint(err, "%s", hint) : -1;
	}
	/* All new although something failed on the way: only the writing down is missing. */
	out->outcome = outcome == OUTCOME_LIVE ? OUTCOME_UNKNOWN : outcome;
	if (outcome == OUTCOME_LIVE)
		err->code = ERR_MIXED;
	return -1;
}

static struct run begin_run(struct engine *engine, const struct environment *environment, struct fleet *fleet,
			    const char *deployment, const struct rollout_options *options)
{
	struct run run = {
		.engine = engine,
		.environment = environment,
		.fleet = fleet,
		.count = fleet_count(fleet),
		.deployment = deployment,
		.by = engine->who,
		.receipt = "none",
		.lease = {
			.project = engine->project->name,
			.environment = environment->name,
			.by = engine->who,
			.deployment = deployment,
			.wait_ms = options->wait_ms,
			.take_over = options->take_over,
		},
	};
	run.names = no_texts(&run);
	run.previous = no_texts(&run);
	return run;
}

int rollout_lease(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		  const char *deployment, const struct rollout_options *options, bool *moved_out, struct err *err)
{
	struct run run = begin_run(engine, environment, fleet, deployment, options);

	uint64_t *before = ARENA_NEW_ARRAY(&engine->arena, run.count, uint64_t);

	*moved_out = false;
	for (size_t i = 0; i < run.count; i++)
		before[i] = fleet_state(fleet, i) ? fleet_state(fleet, i)->hello.epoch : 0;
	event_step(&engine->events, "lease", NULL);
	if (fleet_lease(fleet, NULL, &run.lease, err))
		return -1;
	for (size_t i = 0; i < run.count; i++)
		/* Ours is the next epoch unless there was another in between. */
		if (fleet_results(fleet, i)->lease.epoch != before[i] + 1 || fleet_state(fleet, i)->pending)
			*moved_out = true;
	return 0;
}

int rollout_run(struct engine *engine, const struct plan *plan, struct fleet *fleet,
		const struct rollout_options *options, struct rollout *out, struct err *err)
{
	struct run run = begin_run(engine, plan->environment, fleet, plan->id, options);

	fill_rows(&run, plan, out);
	for (size_t i = 0; i < run.count; i++)
		run.previous[i] = plan->servers[i].expect;
	if (prepare_all(&run, plan, out, err))
		return fail_before_decision(&run, out, err);
	if (decide(&run, "commit", NULL, err)) {
		/* Was it written? Only that server knows; its answer was lost. */
		struct err lost = ERR_INIT;
		event_note(&engine->events, "warn", "the answer to the decision was lost (%s); asking again", err->text);
		if (reconnect(&run, &lost)) {
			out->outcome = OUTCOME_UNKNOWN;
			err_set(err, ERR_MIXED, "%s: whether it decided to commit is unknown; no server was switched",
				plan->servers[0].label);
			return err_hint(err, "run the same command again when it can be reached: it goes on by what was decided");
		}
		if (decide(&run, "commit", NULL, err))
			return fail_before_decision(&run, out, err);
	}
	fault_mark("engine.decided");
	if (finish(&run, err))
		return fail_after_decision(&run, out, err);
	after_success(&run);
	for (size_t i = 0; i < run.count; i++)
		out->servers[i].verdict =
			plan->environment->delivery.health.kind == HEALTH_UNSET ? SERVER_NOT_CHECKED : SERVER_NEW;
	out->outcome = OUTCOME_LIVE;
	return 0;
}

/* --- recovery -------------------------------------------------------------------------------------------------- */

static bool has_pending(struct fleet *fleet, size_t server)
{
	const struct server_state *state = fleet_state(fleet, server);

	return state && state->pending;
}

/* What the decision server's journal says about a deployment that it has closed already. */
static const char *decision_in_journal(struct fleet *fleet, size_t server, const char *deployment, struct err *err)
{
	bool *only = calloc(fleet_count(fleet), sizeof(*only));
	const char *decision = "";

	if (!only)
		abort();
	only[server] = true;
	int result = fleet_journal(fleet, only, 0, err);
	free(only);
	if (result)
		return NULL;
	const struct journal_result *journal = &fleet_results(fleet, server)->journal;
	for (size_t i = 0; i < journal->count; i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct record record;
		struct err damage = ERR_INIT;
		if (record_parse_sealed(&arena, slice_of(journal->lines[i]), &record, &damage) ||
		    !slice_is(record_get(&record, "deployment"), deployment))
			continue;
		if (slice_is(record.kind, "commit"))
			decision = "commit";
		else if (slice_is(record.kind, "go-back"))
			decision = "go-back";
	}
	return decision;
}

static int find_decision(struct run *run, const struct server_pending *pending, const char **decision, struct err *err)
{
	for (size_t i = 0; i < run->count; i++) {
		const struct server_state *state = fleet_state(run->fleet, i);
		if (!state || strcmp(state->hello.place_id, pending->decision_place) != 0)
			continue;
		run->decision_server = i;
		if (state->pending && strcmp(state->pending->deployment, pending->deployment) == 0)
			*decision = state->pending->decided;
		else
			*decision = decision_in_journal(run->fleet, i, pending->deployment, err);
		return *decision ? 0 : -1;
	}
	/* Never leased by that deployment: it cannot have decided anything. */
	if (!*pending->decision_place) {
		*decision = "";
		return 0;
	}
	err_set(err, ERR_MIXED, "deployment %s is unfinished here, and the server that knows whether it was decided (%s) "
				"is not among the servers of %s any more", pending->deployment, pending->decision_server,
		run->environment->name);
	return err_hint(err, "put it back into lockstep.yml for one deployment, or look into its .lockstep/journal");
}

static int recover_one(struct run *run, const struct server_pending *first, bool *which, struct err *err)
{
	const char *decision = NULL;

	for (size_t i = 0; i < run->count; i++) {
		const struct server_state *state = fleet_state(run->fleet, i);
		which[i] = state && state->pending && strcmp(state->pending->deployment, first->deployment) == 0;
		if (!which[i])
			continue;
		const char *previous = state->pending->previous;
		run->names[i] = state->pending->name;
		run->previous[i] = strncmp(previous, "releases/", 9) == 0 ? previous + 9 : "";
	}
	run->deployment = first->deployment;
	if (find_decision(run, first, &decision, err))
		return -1;
	run->which = which;
	event_note(&run->engine->events, "info", "deployment %s by %s was interrupted; %s", first->deployment, first->by,
		   strcmp(decision, "commit") == 0 ? "it was decided: finishing it" : "taking it back");
	if (strcmp(decision, "") == 0)
		return fleet_abandon(run->fleet, which, run->deployment, err);
	if (strcmp(decision, "go-back") == 0) {
		if (fleet_revert(run->fleet, which, run->deployment, err) || reload(run, run->names, err))
			return -1;
		return record(run, "failed", "taken back after an interruption", err);
	}
	if (finish(run, err) == 0)
		return 0;
	struct err why = *err;
	/* A decision server that has finished already cannot take it back for the others. */
	if (!which[run->decision_server])
		return err_wrap(err, "finishing the interrupted deployment %s", run->deployment);
	if (go_back(run, why.text, err))
		return -1;
	event_note(&run->engine->events, "warn", "the interrupted deployment %s did not pass and was taken back: %s",
		   run->deployment, why.text);
	err_clear(err);
	return 0;
}

int rollout_recover(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		    const struct rollout_options *options, bool *did_out, struct err *err)
{
	bool any = false;

	*did_out = false;
	for (size_t i = 0; i < fleet_count(fleet); i++)
		any = any || has_pending(fleet, i);
	if (!any)
		return 0;
	/* Perhaps it is only under way: then the lease waits for it, or says who. */
	struct run run = begin_run(engine, environment, fleet, "recovery", options);
	if (fleet_lease(fleet, NULL, &run.lease, err))
		return -1;
	*did_out = true;
	bool *done = ARENA_NEW_ARRAY(&engine->arena, run.count, bool);
	for (size_t i = 0; i < run.count; i++) {
		bool *which = ARENA_NEW_ARRAY(&engine->arena, run.count, bool);
		if (done[i] || !has_pending(fleet, i))
			continue;
		if (recover_one(&run, fleet_state(fleet, i)->pending, which, err))
			return err_wrap(err, "recovering from an interrupted deployment");
		for (size_t s = 0; s < run.count; s++)
			done[s] = done[s] || which[s];
	}
	return 0;
}
