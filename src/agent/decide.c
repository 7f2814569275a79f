/* The decision and what follows it: DECIDE, ACTIVATE, REVERT, RECORD, ABANDON. */
#include "agent/render.h"
#include "agent/scan.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
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

/* One synced line, on the server the plan names. */
static int write_decision(struct session *session, struct slice decision, struct slice why, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	const char *before;

	if (!slice_is(decision, "commit") && !slice_is(decision, "go-back"))
		return err_set(err, ERR_USER, "\"%.*s\" is no decision", SLICE_ARG(decision));
	if (strcmp(state_pending(&session->state, "decision_place"), session->state.place_id) != 0)
		return err_set(err, ERR_CONFLICT,
			       "the decision about this deployment belongs to another server");
	if (journal_decision(&session->place, state_pending(&session->state, "deployment"), &before, err))
		return -1;
	/* Said before: fine. A commit after a go-back would revive what was given up. */
	if (slice_is(decision, before))
		return 0;
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
	return 0;
}

int handle_decide(struct session *session, const struct record *request, struct err *err)
{
	struct slice decision;

	if (session_check_pending(session, request, err) || record_need(request, "decision", &decision, err) ||
	    write_decision(session, decision, record_get(request, "why"), err))
		return -1;
	return send_done(session, err);
}

static bool phase_is(struct session *session, const char *phase)
{
	return strcmp(state_pending(&session->state, "phase"), phase) == 0;
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

	if (phase_is(session, phase))
		return 0;
	begin_line(session, &line, event);
	record_put_str(&line, "previous", state_pending(&session->state, "previous"));
	if (journal_append(&session->place, &line, err) || state_set_phase(&session->state, phase, err))
		return -1;
	return state_save(&session->place, &session->state, err);
}

/* `current` shows what it showed when this deployment was prepared. */
static bool shows_previous(struct session *session, const struct live *live)
{
	return strcmp(live->target, state_pending(&session->state, "previous")) == 0;
}

static int shown_otherwise(struct session *session, const struct live *live, const char *expected,
			   struct err *err)
{
	err_set(err, ERR_CONFLICT, "%s shows %s, the plan expected %s", session->place.path,
		live->blocked	  ? "a folder or file"
		: live->target[0] ? live->target
				  : "nothing",
		*expected ? expected : "nothing");
	return err_hint(err, "somebody deployed or changed `current` meanwhile; plan again");
}

/* What must be true before `current` may show the pending activation. */
static int check_activation(struct session *session, const char *name, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	const char *decision;

	if (!phase_is(session, "prepared") && !phase_is(session, "activated"))
		return err_set(err, ERR_CONFLICT, "%s %s", name,
			       phase_is(session, "begun") ? "is not prepared" : "was taken back already");
	if (strcmp(state_pending(&session->state, "decision_place"), session->state.place_id) == 0) {
		if (journal_decision(&session->place, state_pending(&session->state, "deployment"), &decision,
				     err))
			return -1;
		if (strcmp(decision, "commit") != 0)
			return err_set(err, ERR_CONFLICT, "the deployment of %s was not decided", name);
	}
	/* A link that leads nowhere would be neither the old nor the new one. */
	return activation_open(&session->place, name, &fd, err);
}

int handle_activate(struct session *session, const struct record *request, struct err *err)
{
	struct slice expect = record_get(request, "expect");
	char target[PLACE_NAME_MAX + 16];
	struct live live;

	if (session_check_pending(session, request, err) || place_live(&session->place, &live, err))
		return -1;
	const char *name = state_pending(&session->state, "name");
	/* A place that is the whole fleet decides and switches in one request. */
	if (record_get_u64(request, "decide", 0) &&
	    write_decision(session, SLICE("commit"), slice_make(NULL, 0), err))
		return -1;
	if (check_activation(session, name, err))
		return -1;
	snprintf(target, sizeof(target), "releases/%s", name);
	if (strcmp(live.name, name) != 0) {
		const char *shown = live.name[0] ? live.name : "";
		/* Whoever finishes for another names a foreign one by its folder. */
		if (!live.name[0] && expect.len && strncmp(live.target, "releases/", 9) == 0)
			shown = live.target + 9;
		if (!slice_is(expect, shown) || live.blocked || !shows_previous(session, &live))
			return shown_otherwise(session, &live, state_pending(&session->state, "previous"),
					       err);
		if (fault_point("agent.activate.before", err) || place_switch(&session->place, target, err))
			return -1;
	}
	if (fault_point("agent.activate.after_switch", err) ||
	    note_switch(session, "activated", "activated", err))
		return -1;
	return send_activated(session, name, state_pending(&session->state, "previous"), err);
}

/* Going back to an activation that was removed meanwhile would show nothing at all. */
static int check_way_back(struct session *session, const char *previous, struct err *err)
{
	struct slice name = slice_of(previous);
	AUTO(close_fd) int fd = -1;
	uint64_t number;

	if (!slice_starts_with(name, "releases/") || !place_parse_name(slice_skip(name, 9), &number))
		return 0;
	if (activation_open(&session->place, previous + 9, &fd, err) == 0)
		return 0;
	err_wrap(err, "there is no way back");
	return err_hint(err, "what was live before is gone; deploy an earlier release instead");
}

int handle_revert(struct session *session, const struct record *request, struct err *err)
{
	struct live live;

	if (session_check_pending(session, request, err) || place_live(&session->place, &live, err))
		return -1;
	const char *name = state_pending(&session->state, "name");
	const char *previous = state_pending(&session->state, "previous");
	if (strcmp(live.name, name) == 0) {
		if (check_way_back(session, previous, err) || fault_point("agent.revert.before", err) ||
		    place_switch(&session->place, previous, err))
			return -1;
	} else if (!shows_previous(session, &live)) {
		return shown_otherwise(session, &live, name, err);
	}
	if (fault_point("agent.revert.after_switch", err) ||
	    note_switch(session, "reverted", "reverted", err))
		return -1;
	struct slice shown = slice_of(previous);
	if (slice_starts_with(shown, "releases/"))
		previous += 9;
	return send_activated(session, previous, name, err);
}

static const struct event {
	const char *name;
	bool ends; /* the pending deployment is over */
	bool live; /* and its activation is what `current` shows; otherwise it must not */
} events[] = {
	{"verified", true, true},  {"live", true, true},   {"failed", true, false},
	{"restored", true, false}, {"note", false, false},
};

static const struct event *find_event(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (slice_is(name, events[i].name))
			return &events[i];
	return NULL;
}

/* Nothing is under way, and the last that is known of the deployment is this event:
 * it was recorded, and only the answer was lost. */
static bool is_recorded(struct session *session, const struct record *request, const struct event *event)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct account *accounts;
	struct err err = ERR_INIT;
	size_t count;
	struct slice deployment = record_get(request, "deployment");

	if (state_has_pending(&session->state) ||
	    journal_accounts(&session->place, &arena, &accounts, &count, &err))
		return false;
	for (size_t i = count; i > 0; i--)
		if (slice_is(deployment, accounts[i - 1].deployment))
			return strcmp(accounts[i - 1].verdict, event->name) == 0;
	return false;
}

/* The journal never says of an activation what `current` denies. */
static int check_event(struct session *session, const struct event *event, struct err *err)
{
	const char *name = state_pending(&session->state, "name");
	struct live live;

	if (place_live(&session->place, &live, err))
		return -1;
	if ((strcmp(live.name, name) == 0) == event->live)
		return 0;
	return err_set(err, ERR_CONFLICT, "%s is %s: it cannot be recorded as %s", name,
		       event->live ? "not live" : "live", event->name);
}

/* Keys of the request that say how, not what. */
static bool is_for_journal(const char *key, bool ends)
{
	static const char *const not[] = { "epoch", "event", "keep", "behind", "expect", "decide" };
	static const char *const written[] = { "deployment", "at", "name" };

	for (size_t i = 0; i < ARRAY_LEN(not); i++)
		if (strcmp(key, not[i]) == 0)
			return false;
	for (size_t i = 0; i < ARRAY_LEN(written) && ends; i++)
		if (strcmp(key, written[i]) == 0)
			return false;
	return true;
}

int handle_record(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	struct slice name;

	if (session_check_lease(session, request, err) || record_need(request, "event", &name, err))
		return -1;
	const struct event *event = find_event(name);
	if (!event)
		return err_set(err, ERR_USER, "\"%.*s\" is no event of the journal", SLICE_ARG(name));
	bool ends = event->ends;
	if (ends && is_recorded(session, request, event))
		return send_done(session, err);
	if (ends && (session_check_pending(session, request, err) || check_event(session, event, err)))
		return -1;
	if (ends)
		begin_line(session, &line, event->name);
	else
		record_begin(&line, event->name);
	for (size_t i = 0; i < request->field_count; i++) {
		char key[64];
		snprintf(key, sizeof(key), "%.*s", SLICE_ARG(request->fields[i].key));
		if (is_for_journal(key, ends))
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
	uint64_t keep = record_get_u64(request, "keep", 0);
	return keep ? prune_after_record(session, keep, err) : send_done(session, err);
}

/* Out of releases/ in one step, so that nobody ever sees half of it there. */
static int drop_activation(struct session *session, const char *name, struct err *err)
{
	AUTO(close_fd) int releases = -1;
	struct err refused = ERR_INIT;
	char trash[PLACE_NAME_MAX + 16];

	snprintf(trash, sizeof(trash), "trash/%s", name);
	if (place_open_releases(&session->place, &releases, err))
		return -1;
	if (renameat(releases, name, session->place.private_fd, trash) != 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s/releases/%s", session->place.path, name);
	/* What the application wrote there may not be ours to remove: pruning reports it. */
	if (tree_remove_at(session->place.private_fd, trash, &refused))
		log_warn("%s", refused.text);
	return 0;
}

int handle_abandon(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	char path[PLACE_NAME_MAX + 16];
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
	if (drop_activation(session, name, err))
		return -1;
	snprintf(path, sizeof(path), "manifests/%s", name);
	if (tree_remove_at(session->place.private_fd, path, err) ||
	    render_forget(&session->place, name, err) || fault_point("agent.abandon.before_journal", err))
		return -1;
	begin_line(session, &line, "abandoned");
	if (journal_append(&session->place, &line, err))
		return -1;
	state_clear_pending(&session->state);
	if (state_save(&session->place, &session->state, err))
		return -1;
	return send_done(session, err);
}
