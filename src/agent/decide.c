/* The decision and what follows it: DECIDE, ACTIVATE, REVERT, RECORD, ABANDON. */
#include "agent/session.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"

#include <stdio.h>

static int send_done(struct session *session, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(256);

	record_begin(&text, "done");
	return session_send_record(session, MSG_DONE, &text, err);
}

/* "<event> at=… deployment=… name=…": how every line about the pending deployment begins. */
static void begin_line(struct session *session, struct buf *line, const char *event)
{
	record_begin(line, event);
	record_put_i64(line, "at", clock_wall_ms());
	record_put_str(line, "deployment", state_pending(&session->state, "deployment"));
	record_put_str(line, "name", state_pending(&session->state, "name"));
}

int handle_decide(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	struct slice decision, why = record_get(request, "why");
	const char *before;

	if (session_check_pending(session, request, err) || record_need(request, "decision", &decision, err))
		return -1;
	if (!slice_is(decision, "commit") && !slice_is(decision, "go-back"))
		return err_set(err, ERR_USER, "\"%.*s\" is no decision", SLICE_ARG(decision));
	if (strcmp(state_pending(&session->state, "decision_place"), session->state.place_id) != 0)
		return err_set(err, ERR_CONFLICT, "the decision about this deployment belongs to another server");
	if (journal_decision(&session->place, state_pending(&session->state, "deployment"), &before, err))
		return -1;
	/* Said before: fine. A commit after a go-back would revive what was given up. */
	if (slice_is(decision, before))
		return send_done(session, err);
	if (slice_is(decision, "commit") && *before)
		return err_set(err, ERR_CONFLICT, "this deployment was taken back already");
	if (slice_is(decision, "commit") && strcmp(state_pending(&session->state, "phase"), "prepared") != 0)
		return err_set(err, ERR_CONFLICT, "this deployment is not prepared here");
	begin_line(session, &line, slice_is(decision, "commit") ? "commit" : "go-back");
	if (why.len)
		record_put(&line, "why", why);
	if (fault_point("agent.decide.before", err) || journal_append(&session->place, &line, err))
		return -1;
	fault_mark("agent.decide.after");
	return send_done(session, err);
}

static int send_activated(struct session *session, const char *name, const char *previous, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(8 << 10);

	record_begin(&text, "activated");
	record_put_str(&text, "name", name);
	record_put_str(&text, "previous", previous);
	record_put_i64(&text, "at", clock_wall_ms());
	return session_send_record(session, MSG_ACTIVATED, &text, err);
}

/* Journal and state follow `current`: written again when a crash came between. */
static int note_switch(struct session *session, const char *event, const char *phase, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);

	if (strcmp(state_pending(&session->state, "phase"), phase) == 0)
		return 0;
	begin_line(session, &line, event);
	record_put_str(&line, "previous", state_pending(&session->state, "previous"));
	if (journal_append(&session->place, &line, err) || state_set_phase(&session->state, phase, err))
		return -1;
	return state_save(&session->place, &session->state, err);
}

int handle_activate(struct session *session, const struct record *request, struct err *err)
{
	struct slice expect = record_get(request, "expect");
	char target[PLACE_NAME_MAX + 16];
	struct live live;

	if (session_check_pending(session, request, err) || place_live(&session->place, &live, err))
		return -1;
	const char *name = state_pending(&session->state, "name");
	if (strcmp(state_pending(&session->state, "phase"), "begun") == 0)
		return err_set(err, ERR_CONFLICT, "%s is not prepared", name);
	snprintf(target, sizeof(target), "releases/%s", name);
	if (strcmp(live.name, name) != 0) {
		if (!slice_is(expect, live.name) || live.blocked) {
			err_set(err, ERR_CONFLICT, "%s shows %s, the plan expected %.*s", session->place.path,
				live.name[0] ? live.name : "nothing of ours",
				SLICE_ARG(expect.len ? expect : SLICE("nothing")));
			return err_hint(err, "somebody deployed or changed `current` meanwhile; plan again");
		}
		if (fault_point("agent.activate.before", err) || place_switch(&session->place, target, err))
			return -1;
	}
	if (fault_point("agent.activate.after_switch", err) || note_switch(session, "activated", "activated", err))
		return -1;
	return send_activated(session, name, state_pending(&session->state, "previous"), err);
}

int handle_revert(struct session *session, const struct record *request, struct err *err)
{
	struct live live;

	if (session_check_pending(session, request, err) || place_live(&session->place, &live, err))
		return -1;
	const char *name = state_pending(&session->state, "name");
	const char *previous = state_pending(&session->state, "previous");
	if (strcmp(live.name, name) == 0 &&
	    (fault_point("agent.revert.before", err) || place_switch(&session->place, previous, err)))
		return -1;
	if (fault_point("agent.revert.after_switch", err) || note_switch(session, "reverted", "reverted", err))
		return -1;
	struct slice shown = slice_of(previous);
	if (slice_starts_with(shown, "releases/"))
		previous += 9;
	return send_activated(session, previous, name, err);
}

static bool is_event(struct slice event, bool *ends_out)
{
	static const struct {
		const char *name;
		bool ends; /* the pending deployment is over */
	} events[] = { { "verified", true }, { "live", true }, { "failed", true }, { "restored", true }, { "note", false } };

	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		if (!slice_is(event, events[i].name))
			continue;
		*ends_out = events[i].ends;
		return true;
	}
	return false;
}

int handle_record(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	struct slice event;
	bool ends = false;

	if (session_check_lease(session, request, err) || record_need(request, "event", &event, err))
		return -1;
	if (!is_event(event, &ends))
		return err_set(err, ERR_USER, "\"%.*s\" is no event of the journal", SLICE_ARG(event));
	if (ends && session_check_pending(session, request, err))
		return -1;
	char kind[16];
	snprintf(kind, sizeof(kind), "%.*s", SLICE_ARG(event));
	if (ends)
		begin_line(session, &line, kind);
	else
		record_begin(&line, kind);
	for (size_t i = 0; i < request->field_count; i++) {
		char key[64];
		snprintf(key, sizeof(key), "%.*s", SLICE_ARG(request->fields[i].key));
		if (strcmp(key, "epoch") != 0 && strcmp(key, "event") != 0 &&
		    (!ends || (strcmp(key, "deployment") != 0 && strcmp(key, "at") != 0 && strcmp(key, "name") != 0)))
			record_put(&line, key, request->fields[i].value);
	}
	if (fault_point("agent.record.before", err) || journal_append(&session->place, &line, err))
		return -1;
	if (ends) {
		state_clear_pending(&session->state);
		if (state_save(&session->place, &session->state, err))
			return -1;
	}
	fault_mark("agent.record.after");
	return send_done(session, err);
}

int handle_abandon(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	char path[PLACE_NAME_MAX + 16], trash[PLACE_NAME_MAX + 16];
	struct live live;

	if (session_check_lease(session, request, err))
		return -1;
	preparation_free(&session->preparation);
	/* Nothing pending: it was abandoned before, or never began. */
	if (!state_has_pending(&session->state))
		return send_done(session, err);
	if (session_check_pending(session, request, err) || place_live(&session->place, &live, err))
		return -1;
	const char *name = state_pending(&session->state, "name");
	if (strcmp(live.name, name) == 0)
		return err_set(err, ERR_CONFLICT, "%s is live: it can be reverted, not abandoned", name);
	snprintf(path, sizeof(path), "prepare/%s", name);
	if (tree_remove_at(session->place.private_fd, path, err))
		return -1;
	/* Out of releases/ in one step, so that nobody ever sees half of it there. */
	snprintf(path, sizeof(path), "releases/%s", name);
	snprintf(trash, sizeof(trash), "trash/%s", name);
	if (renameat(session->place.dir_fd, path, session->place.private_fd, trash) == 0 &&
	    tree_remove_at(session->place.private_fd, trash, err))
		return -1;
	snprintf(path, sizeof(path), "manifests/%s", name);
	if (tree_remove_at(session->place.private_fd, path, err) || fault_point("agent.abandon.before_journal", err))
		return -1;
	begin_line(session, &line, "abandoned");
	if (journal_append(&session->place, &line, err))
		return -1;
	state_clear_pending(&session->state);
	if (state_save(&session->place, &session->state, err))
		return -1;
	return send_done(session, err);
}
