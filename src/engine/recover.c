/* Recovery: what an interrupted deployment left is finished or taken back, by what
 * was decided. */
#include "engine/run.h"

#include "codec/record.h"

#include <stdlib.h>

static bool has_pending(struct fleet *fleet, size_t server)
{
	const struct server_state *state = fleet_state(fleet, server);

	return state && state->pending;
}

const char *run_decision_of(struct fleet *fleet, size_t server, const char *deployment, struct err *err)
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
			*decision = run_decision_of(run->fleet, i, pending->deployment, err);
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

/* After the decision nothing is as it was: what could not be done leaves it mixed. */
static int left_undone(struct err *err)
{
	if (err->code == ERR_INTERRUPTED || err->code == ERR_MIXED)
		return -1;
	err->code = ERR_MIXED;
	return *err->hint ? -1 : err_hint(err, "run the same command again when the servers can be reached");
}

/* The decision server has finished, and with it the deployment: nobody can take it back for
 * the rest. They show what all show, not verified and perhaps not reloaded; *unverified says so,
 * and what we were asked for must not be taken for done because of it. */
static int finish_unverified(struct run *run, const struct err *why, bool *unverified, struct err *err)
{
	if (why->code != ERR_FAILED) {
		*err = *why;
		/* A hook that asks what to do is answered, not mended. */
		return why->code == ERR_CONFLICT ? -1 : left_undone(err);
	}
	*unverified = true;
	err_clear(err);
	if (run_record(run, "live", why->text, err))
		return left_undone(err);
	event_note(&run->engine->events, "warn",
		   "the interrupted deployment %s was finished before on other servers, so it stays live, not verified: %s",
		   run->deployment, why->text);
	return 0;
}

static int recover_one(struct run *run, const struct server_pending *first, bool *which, bool *unverified,
		       struct err *err)
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
		if (fleet_revert(run->fleet, which, run->deployment, err) || run_reload(run, run->names, err) ||
		    run_record(run, "failed", "taken back after an interruption", err))
			return left_undone(err);
		return 0;
	}
	if (run_finish(run, err) == 0)
		return 0;
	struct err why = *err;
	if (!which[run->decision_server])
		return finish_unverified(run, &why, unverified, err);
	if (run_go_back(run, why.text, err))
		return left_undone(err);
	event_note(&run->engine->events, "warn", "the interrupted deployment %s did not pass and was taken back: %s",
		   run->deployment, why.text);
	err_clear(err);
	return 0;
}

int rollout_recover(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		    const struct rollout_options *options, struct recovered *out, struct err *err)
{
	bool any = false;

	*out = (struct recovered){0};
	for (size_t i = 0; i < fleet_count(fleet); i++)
		any = any || has_pending(fleet, i);
	if (!any)
		return 0;
	/* Perhaps it is only under way: then the lease waits for it, or says who. */
	struct run run = run_begin(engine, environment, fleet, "recovery", options);
	if (run_lease(&run, err))
		return -1;
	out->did = true;
	bool *done = ARENA_NEW_ARRAY(&engine->arena, run.count, bool);
	for (size_t i = 0; i < run.count; i++) {
		bool *which = ARENA_NEW_ARRAY(&engine->arena, run.count, bool);
		if (done[i] || !has_pending(fleet, i))
			continue;
		if (recover_one(&run, fleet_state(fleet, i)->pending, which, &out->unverified, err))
			return err_wrap(err, "recovering from an interrupted deployment");
		for (size_t s = 0; s < run.count; s++)
			done[s] = done[s] || which[s];
	}
	return 0;
}
