/* RUN: hooks and health commands. */
#include "agent/command.h"

#include "base/clock.h"
#include "base/fault.h"

#include <stdio.h>

struct history {
	const char *deployment;
	struct slice point;
	uint64_t index;
	bool started, ended;
	struct command_result result; /* when it ended */
	struct arena scratch;
};

static int history_line(void *context, struct slice line, struct err *err)
{
	struct history *history = context;
	struct record record;
	struct err damage = ERR_INIT;

	(void)err;
	if (!slice_starts_with(line, "hook "))
		return 0;
	arena_free(&history->scratch);
	if (record_parse_sealed(&history->scratch, line, &record, &damage) ||
	    !slice_is(record_get(&record, "deployment"), history->deployment) ||
	    !slice_equal(record_get(&record, "point"), history->point) ||
	    record_get_u64(&record, "index", 0) != history->index)
		return 0;
	if (slice_is(record_get(&record, "state"), "started")) {
		history->started = true;
		history->ended = false;
	} else {
		history->ended = true;
		history->result = (struct command_result){
			.status = (int)record_get_i64(&record, "status", 0),
			.signal = (int)record_get_i64(&record, "signal", 0),
			.timed_out = record_get_u64(&record, "timed_out", 0),
			.duration_ms = record_get_i64(&record, "duration_ms", 0),
		};
	}
	return 0;
}

static int journal_hook(struct session *session, const struct history *history, const char *state,
			const struct command_result *result, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);

	record_begin(&line, "hook");
	record_put_i64(&line, "at", clock_wall_ms());
	record_put_str(&line, "deployment", history->deployment);
	record_put(&line, "point", history->point);
	record_put_u64(&line, "index", history->index);
	record_put_str(&line, "state", state);
	if (result) {
		record_put_i64(&line, "status", result->status);
		record_put_i64(&line, "signal", result->signal);
		record_put_u64(&line, "timed_out", result->timed_out);
		record_put_i64(&line, "duration_ms", result->duration_ms);
	}
	return journal_append(&session->place, &line, err);
}

static int send_ran(struct session *session, const struct command_result *result, bool skipped, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);

	record_begin(&text, "ran");
	record_put_i64(&text, "status", result->status);
	record_put_i64(&text, "signal", result->signal);
	record_put_u64(&text, "timed_out", result->timed_out);
	record_put_i64(&text, "duration_ms", result->duration_ms);
	if (skipped)
		record_put_u64(&text, "skipped", 1);
	return session_send_record(session, MSG_RAN, &text, err);
}

static const char *folder_of(struct session *session, struct arena *arena, const struct record *request)
{
	struct slice dir = record_get(request, "dir");

	if (slice_is(dir, "live"))
		return arena_printf(arena, "%s/current", session->place.path);
	if (slice_is(dir, "prepared") && state_has_pending(&session->state))
		return arena_printf(arena, "%s/releases/%s", session->place.path, state_pending(&session->state, "name"));
	return session->place.path;
}

static const char *hook_deployment(struct session *session, struct arena *arena, const struct record *request)
{
	const char *named = record_get_str(arena, request, "deployment");

	return *named ? named : state_pending(&session->state, "deployment");
}

int handle_run(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf secrets = BUF_SECRET(COMMAND_SECRETS_MAX);
	struct slice command_text;
	struct command_result result = { 0 };
	/* Before PREPARE and behind the end nothing is pending, and hooks have a history still. */
	struct history history = { .deployment = hook_deployment(session, &arena, request),
				   .point = record_get(request, "point"),
				   .index = record_get_u64(request, "index", 0) };
	struct slice retry = record_get(request, "on_retry");
	/* A health command only looks: it may run as often as it likes. */
	bool is_hook = !slice_is(history.point, "health");

	if (session_check_lease(session, request, err) || record_need(request, "command", &command_text, err) ||
	    command_secrets(request, &secrets, err))
		return -1;
	if (is_hook) {
		int looked = journal_each(&session->place, history_line, &history, err);
		arena_free(&history.scratch);
		if (looked)
			return -1;
		/* What it did stands in the journal; only `run` means to do it twice. */
		if (history.ended && !slice_is(retry, "run"))
			return send_ran(session, &history.result, true, err);
		if (history.started && !history.ended && slice_is(retry, "skip"))
			return send_ran(session, &result, true, err);
		if (history.started && !history.ended && !slice_is(retry, "run")) {
			err_set(err, ERR_CONFLICT, "hook %.*s was started for this deployment and its end is unknown",
				SLICE_ARG(history.point));
			return err_hint(err, "look at what it did; `on_retry: run` or `skip` says what a second run means");
		}
	}
	struct command command = {
		.text = arena_str(&arena, command_text),
		.as = record_get_str(&arena, request, "as"),
		.dir = folder_of(session, &arena, request),
		.env = command_environment(session, &arena, request),
		.secrets = buf_slice(&secrets),
		.timeout_ms = record_get_i64(request, "timeout_ms", 300000),
	};
	if (is_hook && (journal_hook(session, &history, "started", NULL, err) || fault_point("agent.hook.before", err)))
		return -1;
	if (command_run(session, &command, &result, err)) {
		struct err ignored = ERR_INIT;
		/* It never began, and that is its known end; a lost line leaves it unknown. */
		result.status = -1;
		if (is_hook && !session->lost && journal_hook(session, &history, "ended", &result, &ignored))
			err_wrap(err, "%s", ignored.text);
		return -1;
	}
	if (is_hook && (fault_point("agent.hook.after", err) || journal_hook(session, &history, "ended", &result, err)))
		return -1;
	return send_ran(session, &result, false, err);
}
