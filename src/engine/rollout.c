#include "engine/run.h"

#include "base/clock.h"
#include "base/fault.h"

#include <stdio.h>

static void after_success(struct run *run)
{
	struct err err = ERR_INIT;

	if (run_hooks(run, HOOK_AFTER_LIVE, "live", &err))
		event_note(&run->engine->events, "warn", "%s (the deployment stays live)", err.text);
	run_tell_pruned(run);
}

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
		if (!run_takes_part(run, i))
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

static struct text_list texts_of(const struct str_list *list)
{
	return (struct text_list){ (const char *const *)list->items, list->count };
}

/* With the lease, a fleet of one gets what may follow, too; `carry` may be NULL. */
static int prepare(struct run *run, const struct plan *plan, bool with_lease, const struct carry_request *carry,
		   struct rollout *out, struct err *err)
{
	struct arena *arena = &run->engine->arena;
	const struct delivery *delivery = &run->environment->delivery;
	const struct artifact *artifact = &plan->artifact;
	struct prepare_request *each = ARENA_NEW_ARRAY(arena, run->count, struct prepare_request);
	const char **labels = ARENA_NEW_ARRAY(arena, run->count, const char *);
	/* A fleet of one decides where it stands. */
	const char *decision_place = with_lease ? NULL : fleet_results(run->fleet, 0)->lease.place_id;

	for (size_t i = 0; i < run->count; i++)
		labels[i] = plan->servers[i].label;
	for (size_t i = 0; i < run->count; i++) {
		struct rendered_file *rendered = NULL;
		size_t rendered_count = 0;
		if (plan->configuration && configuration_render(plan->configuration, i, &artifact->release, &rendered,
								&rendered_count, err))
			return -1;
		each[i] = (struct prepare_request){
			.deployment = run->deployment,
			.plan = plan->digest_hex,
			.kind = plan->hotfix ? "hotfix" : deployment_kind_name(plan->kind),
			.release = artifact->release,
			.config = plan->config_hex,
			.own_config = plan->servers[i].own_config,
			.commit = artifact->commit,
			.subject = artifact->subject,
			.by = run->by,
			.reason = plan->reason,
			.commit_time = artifact->committed_ms / 1000,
			.expect = plan->servers[i].expect,
			.decision_place = decision_place,
			.decision_server = plan->servers[0].label,
			.servers = {labels, run->count},
			.link_mode = delivery->link == LINK_COPY ? "copy" : "auto",
			.shared_dirs = texts_of(&delivery->shared_dirs),
			.shared_files = texts_of(&delivery->shared_files),
			.generated = texts_of(&delivery->generated),
			.tree = artifact->tree,
			.recipe = artifact->recipe,
			.build_key = artifact->build_key,
			.platform = artifact->platform,
			.shape = plan->shape_hex,
			.from = plan->servers[i].from,
			.rendered = rendered,
			.rendered_count = rendered_count,
			.no_rendered = plan->configuration && !rendered_count,
			.config_from = plan->servers[i].config_from,
			.config_key = plan->config_key,
			.trust_signatures = plan->kind == DEPLOYMENT_CONFIG,
		};
	}
	event_step(&run->engine->events, "prepare", NULL);
	int result = with_lease ? fleet_lease_prepare(run->fleet, NULL, &run->lease, run->engine->store, each, carry, err)
				: fleet_prepare(run->fleet, NULL, run->engine->store, each, err);
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
	if (!out->prepared &&
	    (fault_point("engine.before_prepare", err) || run_hooks(run, HOOK_BEFORE_PREPARE, "place", err) ||
	     prepare(run, plan, false, NULL, out, err)))
		return -1;
	if (run_hooks(run, HOOK_AFTER_PREPARE, "prepared", err) ||
	    run_hooks(run, HOOK_BEFORE_ACTIVATE, "prepared", err) || fault_point("engine.before_decide", err))
		return -1;
	if (fleet_interrupted(run->fleet))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	return 0;
}

/* Every line is good, and no lease was taken: no server knows of this deployment. */
static bool is_untouched(struct run *run)
{
	bool untouched = true;

	for (size_t i = 0; i < run->count; i++)
		untouched = untouched && link_status(fleet_link(run->fleet, i)) == LINK_IDLE &&
			    !link_leased(fleet_link(run->fleet, i));
	return untouched;
}

static void undo(struct run *run)
{
	struct err hooks = ERR_INIT;

	run_undo_hooks(run, HOOK_BEFORE_ACTIVATE, "prepared");
	run_undo_hooks(run, HOOK_AFTER_PREPARE, "prepared");
	run_abandon(run);
	if (run_hooks(run, HOOK_ON_FAILURE, "place", &hooks))
		event_note(&run->engine->events, "warn", "%s", hooks.text);
}

static int fail_before_decision(struct run *run, struct rollout *out, struct err *err)
{
	struct err why = *err;

	if (!is_untouched(run))
		undo(run);
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

/* Whoever comes next would go forward. A fleet of one decides as it activates, and may never have. */
static bool may_be_committed(struct run *run)
{
	struct err unknown = ERR_INIT;
	const char *decision = run_decision_of(run->fleet, run->decision_server, run->deployment, &unknown);

	return !decision || strcmp(decision, "commit") == 0;
}

static int fail_after_decision(struct run *run, struct rollout *out, struct err *err)
{
	struct err why = *err;
	struct err back = ERR_INIT, hooks = ERR_INIT;

	out->went_back = true;
	int result = run_go_back(run, why.text, &back);
	if (run_hooks(run, HOOK_ON_FAILURE, "place", &hooks))
		event_note(&run->engine->events, "warn", "%s", hooks.text);
	*err = why;
	if (result)
		event_note(&run->engine->events, "bad", "%s", back.text);
	enum deployment_outcome outcome = read_outcome(run, out, err);
	if (outcome == OUTCOME_ALL_OLD && (run->go_back_decided || !may_be_committed(run))) {
		char hint[ERR_HINT_MAX];
		snprintf(hint, sizeof(hint), "%s", why.hint);
		out->outcome = why.code == ERR_INTERRUPTED ? OUTCOME_INTERRUPTED : OUTCOME_RESTORED;
		err_set(err, why.code == ERR_INTERRUPTED ? ERR_INTERRUPTED : ERR_FAILED,
			"%s\nall servers are back on what was live before", why.text);
		return *hint ? err_hint(err, "%s", hint) : -1;
	}
	out->outcome = outcome;
	if (outcome != OUTCOME_LIVE && outcome != OUTCOME_ALL_OLD)
		return -1;
	/* All the same, but what is written down says otherwise, and whoever comes next goes by that. */
	out->outcome = OUTCOME_UNKNOWN;
	err_set(err, ERR_MIXED, "%s\nthe servers now: all %s, and %s", why.text,
		outcome == OUTCOME_LIVE ? "have the new activation" : "are as before",
		run->go_back_decided ? "the way back could not be gone" : "that it is to go back could not be written down");
	return err_hint(err, "run the same command again when the servers can be reached: it finishes or goes back by what was "
			     "decided");
}

/* The point of no silent return: from here on an interruption goes forward. */
static int commit(struct run *run, const struct plan *plan, struct rollout *out, struct err *err)
{
	if (run_decide(run, "commit", NULL, err) == 0)
		return 0;
	/* Was it written? Only that server knows; its answer was lost. */
	struct err lost = ERR_INIT;
	event_note(&run->engine->events, "warn", "the answer to the decision was lost (%s); asking again", err->text);
	if (run_reconnect(run, &lost)) {
		out->outcome = OUTCOME_UNKNOWN;
		err_set(err, ERR_MIXED, "%s: whether it decided to commit is unknown; no server was switched",
			plan->servers[0].label);
		return err_hint(err, "run the same command again when it can be reached: it goes on by what was decided");
	}
	return run_decide(run, "commit", NULL, err) ? fail_before_decision(run, out, err) : 0;
}

/* Nothing that the lease's answer could tell is needed, nor anything to be done before
 * the preparation. */
static bool can_prepare_at_once(const struct run *run)
{
	const struct server_state *state = run->count == 1 ? fleet_state(run->fleet, 0) : NULL;

	return state && !state->pending && !run->lease.take_over &&
	       run->environment->delivery.hooks.points[HOOK_BEFORE_PREPARE].count == 0;
}

/* Ours is the next epoch unless there was another in between. */
static bool has_moved(const struct run *run, const uint64_t *before)
{
	bool moved = false;

	for (size_t i = 0; i < run->count; i++)
		moved = moved || fleet_results(run->fleet, i)->lease.epoch != before[i] + 1 ||
			fleet_state(run->fleet, i)->pending;
	return moved;
}

static int lease_alone(struct run *run, const uint64_t *before, bool *moved_out, struct err *err)
{
	event_step(&run->engine->events, "lease", NULL);
	if (run_lease(run, err))
		return -1;
	*moved_out = has_moved(run, before);
	return 0;
}

/* A deployment that came to its good end, as the server itself says. */
static bool is_over(const struct server_state *state, const char *deployment)
{
	const struct server_activation *live = state_live(state);

	return !state->pending && live && strcmp(live->deployment, deployment) == 0;
}

static int carried_through(const struct carry_request *carry, struct rollout *out, struct err *err)
{
	err_clear(err);
	out->prepared = out->activated = true;
	out->recorded = carry->record != NULL;
	return 0;
}

/* The server was told to go on by itself, and that failed somewhere, or the line was lost:
 * how far it got, only the server knows. */
static int settle_carried(struct run *run, const struct plan *plan, const struct carry_request *carry, struct rollout *out,
			  struct err *err)
{
	struct link *link = fleet_link(run->fleet, 0);
	const struct link_results *results = fleet_results(run->fleet, 0);
	struct err why = *err, asking = ERR_INIT;

	if (results->prepare.name)
		run->names[0] = results->prepare.name;
	if (link_status(link) != LINK_LOST && link_status(link) != LINK_BUSY) {
		/* Without a failure it is an interruption that came while the last answers were under
		 * way. Behind the receipt there is nothing left to go back from. */
		if (!link_failure(link) && carry->record)
			return carried_through(carry, out, err);
		/* It is live, and only its receipt was not written? */
		if (results->activate.name && carry->record && why.code != ERR_INTERRUPTED &&
		    run_reconnect(run, &asking) == 0 && run_record(run, carry->record->event, NULL, &asking) == 0)
			return carried_through(carry, out, err);
		return fail_after_decision(run, out, err);
	}
	/* The line was lost, or is not waited for any more. */
	if (run_reconnect(run, &asking)) {
		out->outcome = OUTCOME_UNKNOWN;
		err_set(err, ERR_MIXED, "%s\n%s: whether the new activation is live is unknown", why.text,
			plan->servers[0].label);
		return err_hint(err, "run the same command again when it can be reached: it goes on by what was decided");
	}
	const struct server_state *state = fleet_state(run->fleet, 0);
	if (is_over(state, run->deployment)) {
		out->servers[0].activation = state->hello.live;
		carried_through(carry, out, err);
		out->recorded = true;
		return 0;
	}
	/* Somebody else may have deployed meanwhile: the journal still knows a receipt of ours. */
	if (!state->pending)
		return carry->record && run_record(run, carry->record->event, NULL, &asking) == 0
			       ? carried_through(carry, out, err)
			       : fail_before_decision(run, out, err);
	if (strcmp(state->pending->deployment, run->deployment) != 0 || !*state->pending->decided)
		return fail_before_decision(run, out, err);
	run->names[0] = out->servers[0].activation = state->pending->name;
	/* Perhaps only the receipt is missing; what is not live is not recorded. */
	if (why.code != ERR_INTERRUPTED && carry->record && strcmp(state->pending->decided, "commit") == 0 &&
	    run_record(run, carry->record->event, NULL, &asking) == 0)
		return carried_through(carry, out, err);
	return fail_after_decision(run, out, err);
}

/* What could not even be sent; what was looked for at the start may still be under way. */
static int fail_unsent(struct run *run, struct rollout *out, struct err *err)
{
	struct err ignored = ERR_INIT;

	(void)!fleet_connected(run->fleet, &ignored);
	return fail_before_decision(run, out, err);
}

static int lease_and_prepare(struct run *run, const struct plan *plan, struct rollout *out, const uint64_t *before,
			     bool *moved_out, struct err *err)
{
	struct link *link = fleet_link(run->fleet, 0);
	int64_t wait_ms = run->lease.wait_ms;
	struct carry_request carry;

	fill_rows(run, plan, out);
	run->previous[0] = plan->servers[0].expect;
	bool carries = run_carry(run, &carry);
	event_step(&run->engine->events, "lease", NULL);
	if (fault_point("engine.before_prepare", err) ||
	    (carries && (fault_point("engine.before_decide", err) || fault_point("engine.before_activate", err))))
		return fail_unsent(run, out, err);
	/* What is sent ahead does not wait in line. */
	run->lease.wait_ms = 0;
	int result = prepare(run, plan, true, carries ? &carry : NULL, out, err);
	run->lease.wait_ms = wait_ms;
	if (result == 0) {
		out->prepared = true;
		return carries ? carried_through(&carry, out, err) : 0;
	}
	if (link_carried(link))
		return settle_carried(run, plan, &carry, out, err);
	/* The lease was refused, so nothing was prepared. */
	if (link_status(link) == LINK_IDLE && !link_leased(link)) {
		if (wait_ms == 0 || err->code != ERR_CONFLICT)
			return -1;
		err_clear(err);
		return lease_alone(run, before, moved_out, err);
	}
	if (link_leased(link) && has_moved(run, before)) {
		*moved_out = true;
		err_clear(err);
		return 0;
	}
	return fail_unsent(run, out, err);
}

int rollout_lease(struct engine *engine, const struct plan *plan, struct fleet *fleet,
		  const struct rollout_options *options, struct rollout *out, bool *moved_out, struct err *err)
{
	struct run run = run_begin(engine, plan->environment, fleet, plan->id, options);
	uint64_t *before = ARENA_NEW_ARRAY(&engine->arena, run.count, uint64_t);

	*moved_out = false;
	for (size_t i = 0; i < run.count; i++)
		before[i] = fleet_state(fleet, i) ? fleet_state(fleet, i)->hello.epoch : 0;
	if (can_prepare_at_once(&run))
		return lease_and_prepare(&run, plan, out, before, moved_out, err);
	return fleet_connected(fleet, err) || lease_alone(&run, before, moved_out, err) ? -1 : 0;
}

int rollout_run(struct engine *engine, const struct plan *plan, struct fleet *fleet,
		const struct rollout_options *options, struct rollout *out, struct err *err)
{
	struct run run = run_begin(engine, plan->environment, fleet, plan->id, options);

	if (!out->prepared)
		fill_rows(&run, plan, out);
	for (size_t i = 0; i < run.count; i++) {
		run.previous[i] = plan->servers[i].expect;
		if (out->prepared)
			run.names[i] = out->servers[i].activation;
	}
	run.activated = out->activated;
	run.recorded = out->recorded;
	if (!run.activated && prepare_all(&run, plan, out, err))
		return fail_before_decision(&run, out, err);
	run.decide_on_activate = run.count == 1;
	if (!run.decide_on_activate && commit(&run, plan, out, err))
		return -1;
	fault_mark("engine.decided");
	if (run_finish(&run, err))
		return fail_after_decision(&run, out, err);
	after_success(&run);
	for (size_t i = 0; i < run.count; i++)
		out->servers[i].verdict =
			plan->environment->delivery.health.kind == HEALTH_UNSET ? SERVER_NOT_CHECKED : SERVER_NEW;
	out->outcome = OUTCOME_LIVE;
	return 0;
}
