/* The small steps of a deployment, and the two long ways: forward and back. */
#include "engine/run.h"

#include "base/clock.h"
#include "base/fault.h"

#include <stdio.h>

enum { RECONNECT_TRIES = 3, RECONNECT_PAUSE_MS = 1000, RELOAD_TIMEOUT_MS = 60000 };

bool run_takes_part(const struct run *run, size_t server) { return !run->which || run->which[server]; }

static const char **no_texts(struct run *run)
{
	const char **texts = ARENA_NEW_ARRAY(&run->engine->arena, run->count, const char *);

	for (size_t i = 0; i < run->count; i++)
		texts[i] = "";
	return texts;
}

struct run run_begin(struct engine *engine, const struct environment *environment, struct fleet *fleet,
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
		.configuration = options->configuration,
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

int run_lease(struct run *run, struct err *err)
{
	struct lease_request at_once = run->lease;
	struct err held = ERR_INIT;

	at_once.wait_ms = 0;
	if (run->count < 2 || run->lease.wait_ms == 0)
		return fleet_lease(run->fleet, NULL, &run->lease, err);
	if (fleet_lease(run->fleet, NULL, &at_once, &held) == 0)
		return 0;
	if (held.code != ERR_CONFLICT) {
		*err = held;
		return -1;
	}
	/* Two who each hold a part and wait for the other's would wait for ever. Whoever waits
	 * holds nothing: the first server is everybody's first. */
	bool *which = ARENA_NEW_ARRAY(&run->engine->arena, run->count, bool);
	for (size_t i = 0; i < run->count; i++)
		if ((which[i] = link_leased(fleet_link(run->fleet, i))))
			link_drop(fleet_link(run->fleet, i), ERR_CONFLICT, "given back until the others are free too");
	if (fleet_reopen(run->fleet, which, err))
		return -1;
	for (size_t i = 0; i < run->count; i++)
		which[i] = i == 0;
	if (fleet_lease(run->fleet, which, &run->lease, err))
		return -1;
	for (size_t i = 0; i < run->count; i++)
		which[i] = i > 0;
	return fleet_lease(run->fleet, which, &run->lease, err);
}

int run_reconnect(struct run *run, struct err *err)
{
	struct lease_request again = run->lease;

	again.wait_ms = 40000;
	for (int i = 0; i < RECONNECT_TRIES; i++) {
		err_clear(err);
		if (fleet_reopen(run->fleet, run->which, err) == 0) {
			bool *missing = ARENA_NEW_ARRAY(&run->engine->arena, run->count, bool);
			bool any = false;
			for (size_t s = 0; s < run->count; s++) {
				missing[s] = run_takes_part(run, s) && !link_leased(fleet_link(run->fleet, s));
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

/* What goes into a journal says no more than what people are shown. */
static const char *masked(struct run *run, const char *text)
{
	AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);

	if (!text)
		return NULL;
	mask_text(run->engine->events.mask, slice_of(text), &out);
	return arena_strdup(&run->engine->arena, out.overflow ? MASK_TEXT : buf_str(&out));
}

int run_decide(struct run *run, const char *decision, const char *why, struct err *err)
{
	const struct decide_request request = { .deployment = run->deployment, .decision = decision,
						.why = masked(run, why) };

	return fleet_decide(run->fleet, run->decision_server, &request, err);
}

static struct activate_request *activate_requests(struct run *run)
{
	struct activate_request *each = ARENA_NEW_ARRAY(&run->engine->arena, run->count, struct activate_request);

	for (size_t i = 0; i < run->count; i++)
		each[i] = (struct activate_request){ .deployment = run->deployment, .expect = run->previous[i],
						     .decide = run->decide_on_activate };
	return each;
}

int run_activate(struct run *run, struct err *err)
{
	event_step(&run->engine->events, "activate", NULL);
	return fleet_activate(run->fleet, run->which, activate_requests(run), err);
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
		struct variables variables;
		which[i] = which[i] && run_takes_part(run, i);
		any = any || which[i];
		run_variables(run, i, &variables);
		each[i] = (struct reload_request){
			.deployment = run->deployment,
			.spec = kind->text,
			.away_from = away[i],
			.timeout_ms = RELOAD_TIMEOUT_MS,
			.env = variables.plain,
			.secret_env = variables.secret,
			.secret_env_count = variables.secret_count,
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

int run_reload(struct run *run, const char *const *away, struct err *err)
{
	for (size_t i = 0; i < run->environment->delivery.reload.count; i++) {
		const struct reload *kind = &run->environment->delivery.reload.items[i];
		if (kind->kind != RELOAD_NONE && reload_group(run, kind, away, err))
			return -1;
	}
	return 0;
}

static struct record_request *record_requests(struct run *run, const char *event, const char *text)
{
	bool good = strcmp(event, "failed") != 0;
	static const char *const keys[] = { "deployment", "by", "receipt", "text" };
	struct arena *arena = &run->engine->arena;
	const char **values = ARENA_NEW_ARRAY(arena, ARRAY_LEN(keys), const char *);
	struct record_request *each = ARENA_NEW_ARRAY(arena, run->count, struct record_request);

	values[0] = run->deployment;
	values[1] = run->by;
	values[2] = strcmp(event, "verified") == 0 ? run->receipt : NULL;
	values[3] = masked(run, text);
	for (size_t i = 0; i < run->count; i++)
		each[i] = (struct record_request){
			.event = event,
			.keys = keys,
			.values = values,
			.count = ARRAY_LEN(keys),
			.keep = good ? (uint64_t)run->environment->delivery.keep : 0,
		};
	return each;
}

int run_record(struct run *run, const char *event, const char *text, struct err *err)
{
	return fleet_record(run->fleet, run->which, record_requests(run, event, text), err);
}

void run_tell_pruned(struct run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		const char *server = run->environment->servers.items[i].place.text;
		if (!run_takes_part(run, i) || !results)
			continue;
		for (size_t u = 0; u < results->prune.in_use.count; u++)
			event_note(&run->engine->events, "info", "%s: %s is kept because a process still uses it", server,
				   results->prune.in_use.items[u]);
		if (results->prune.problem && *results->prune.problem)
			event_note(&run->engine->events, "warn", "%s: old activations were not all removed: %s", server,
				   results->prune.problem);
	}
}

/* What a deployment ends with when all went well. */
static const char *good_event(const struct run *run)
{
	return run->environment->delivery.health.kind == HEALTH_UNSET ? "live" : "verified";
}

/* Nothing has to be done, looked at or asked between the switch and the receipt. */
static bool can_record_at_once(const struct run *run)
{
	const struct delivery *delivery = &run->environment->delivery;

	for (size_t i = 0; i < delivery->reload.count; i++)
		if (delivery->reload.items[i].kind != RELOAD_NONE)
			return false;
	return run->count == 1 && delivery->hooks.points[HOOK_AFTER_ACTIVATE].count == 0 &&
	       delivery->health.kind != HEALTH_URL && delivery->health.kind != HEALTH_COMMAND;
}

/* Nothing is asked of the server after the receipt. */
static bool is_last(const struct run *run)
{
	return run->environment->delivery.hooks.points[HOOK_AFTER_LIVE].count == 0;
}

bool run_carry(struct run *run, struct carry_request *out)
{
	const struct delivery *delivery = &run->environment->delivery;

	if (run->count != 1 || delivery->hooks.points[HOOK_AFTER_PREPARE].count ||
	    delivery->hooks.points[HOOK_BEFORE_ACTIVATE].count)
		return false;
	run->decide_on_activate = true;
	out->activate = activate_requests(run)[0];
	out->record = can_record_at_once(run) && is_last(run) ? record_requests(run, good_event(run), NULL) : NULL;
	return true;
}

static int activate_and_record(struct run *run, struct err *err)
{
	bool leave = is_last(run);
	const char *event = good_event(run);
	struct link *link = fleet_link(run->fleet, run->decision_server);

	event_step(&run->engine->events, "activate", NULL);
	if (fleet_activate_record(run->fleet, run->which, activate_requests(run), record_requests(run, event, NULL), leave,
				  err) == 0)
		return 0;
	/* An interruption that came while the last answers were under way: there is nothing left
	 * to go back from. */
	struct err why = *err, asking = ERR_INIT;
	if (link_status(link) != LINK_BUSY && !link_failure(link)) {
		err_clear(err);
		return 0;
	}
	/* Perhaps only the answer was lost, or the receipt. Who is asked again says so: what is
	 * not live is not recorded. */
	if (run_reconnect(run, &asking) == 0 && run_record(run, event, NULL, &asking) == 0) {
		err_clear(err);
		return 0;
	}
	*err = why;
	return -1;
}

int run_finish(struct run *run, struct err *err)
{
	const char *event;

	if (run->recorded)
		return 0;
	if (!run->activated && fault_point("engine.before_activate", err))
		return err_wrap(err, "activating");
	if (!run->activated && run->decide_on_activate && can_record_at_once(run)) {
		if (activate_and_record(run, err))
			return err_wrap(err, "activating");
		fault_mark("engine.recorded");
		return 0;
	}
	if (!run->activated && run_activate(run, err))
		return err_wrap(err, "activating");
	if (fault_point("engine.before_reload", err) || run_reload(run, run->previous, err))
		return -1;
	if (run_hooks(run, HOOK_AFTER_ACTIVATE, "live", err))
		return -1;
	if (fault_point("engine.before_verify", err) || run_verify(run, err))
		return -1;
	event = good_event(run);
	if (fault_point("engine.before_record", err))
		return -1;
	if (run_record(run, event, NULL, err)) {
		struct err lost = ERR_INIT;
		/* It is live and passed; only the receipt is missing somewhere. */
		if (run_reconnect(run, &lost) || run_record(run, event, NULL, err))
			return err_wrap(err, "writing the receipt");
	}
	fault_mark("engine.recorded");
	return 0;
}

void run_abandon(struct run *run)
{
	struct err err = ERR_INIT;

	event_step(&run->engine->events, "abandon", NULL);
	if (fleet_abandon(run->fleet, run->which, run->deployment, &err) == 0)
		return;
	/* A server that cannot be reached keeps its pending deployment; the next one clears it. */
	struct err lost = ERR_INIT;
	if (run_reconnect(run, &lost) || fleet_abandon(run->fleet, run->which, run->deployment, &err))
		event_note(&run->engine->events, "warn",
			   "what was prepared could not be removed everywhere; the next deployment does that (%s)", err.text);
}

int run_go_back(struct run *run, const char *why, struct err *err)
{
	event_step(&run->engine->events, "go-back", why);
	if (run_decide(run, "go-back", why, err)) {
		struct err lost = ERR_INIT;
		if (run_reconnect(run, &lost) || run_decide(run, "go-back", why, err))
			return err_wrap(err, "deciding to go back");
	}
	run->go_back_decided = true;
	fault_mark("engine.go_back.decided");
	run_undo_hooks(run, HOOK_AFTER_ACTIVATE, "live");
	if (fleet_revert(run->fleet, run->which, run->deployment, err)) {
		struct err lost = ERR_INIT;
		err_clear(err);
		if (run_reconnect(run, &lost)) {
			*err = lost;
			return err_wrap(err, "going back");
		}
		if (fleet_revert(run->fleet, run->which, run->deployment, err))
			return err_wrap(err, "going back");
	}
	struct err reloading = ERR_INIT;
	if (run_reload(run, run->names, &reloading))
		event_note(&run->engine->events, "bad", "the earlier activation is back, but its reload failed: %s",
			   reloading.text);
	struct err hooks = ERR_INIT;
	run_undo_hooks(run, HOOK_BEFORE_ACTIVATE, "prepared");
	run_undo_hooks(run, HOOK_AFTER_PREPARE, "prepared");
	if (run_hooks(run, HOOK_ON_GO_BACK, "live", &hooks))
		event_note(&run->engine->events, "warn", "%s", hooks.text);
	if (run_record(run, "failed", why, err)) {
		struct err lost = ERR_INIT;
		if (run_reconnect(run, &lost) || run_record(run, "failed", why, err))
			return err_wrap(err, "writing down that we went back");
	}
	return 0;
}
