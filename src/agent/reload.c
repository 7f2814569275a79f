/* RELOAD: finds the kind, does it, and proves that nothing runs from the old
 * activation any more. */
#include "agent/reload.h"

#include "agent/uses.h"
#include "base/clock.h"
#include "base/fault.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

const struct reload_kind *const reload_kinds[] = {
	&reload_none, &reload_systemd, &reload_supervisor, &reload_pidfile, &reload_command,
};
const size_t reload_kind_count = ARRAY_LEN(reload_kinds);

bool reload_no_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count)
{
	(void)reload, (void)pids, (void)max;
	*count = 0;
	return false;
}

int reload_run(struct reload *reload, const char *text, const char *what, const char *hint, struct err *err)
{
	struct command_result result;
	struct command command = {
		.text = text,
		.dir = reload->session->place.path,
		.env = command_environment(reload->session, reload->arena, NULL),
		.timeout_ms = reload->timeout_ms,
	};

	if (command_run(reload->session, &command, &result, err))
		return err_wrap(err, "%s", what);
	if (result.status == 0 && !result.timed_out)
		return 0;
	if (result.timed_out)
		err_set(err, ERR_FAILED, "%s: no end within %lld s", what, (long long)(reload->timeout_ms / 1000));
	else
		err_set(err, ERR_FAILED, "%s: ended with status %d", what, result.status);
	return hint ? err_hint(err, "%s", hint) : -1;
}

static const struct reload_kind *find_kind(struct slice spec, const char **subject, struct arena *arena)
{
	struct slice rest = spec;
	struct slice name = slice_cut(&rest, ':');

	*subject = rest.ptr ? arena_str(arena, rest) : "";
	for (size_t i = 0; i < reload_kind_count; i++)
		if (slice_is(name, reload_kinds[i]->name))
			return reload_kinds[i];
	return NULL;
}

enum { PROVE_FOR_MS = 10000, PROVE_EVERY_MS = 50 };

struct proof {
	const char *verdict; /* proved | draining | not_checked */
	char why[512];
	uint64_t processes;
};

/* Waits a while for old processes to go. */
static int prove(struct reload *reload, const struct reload_kind *kind, const char *away_from, struct proof *proof,
		 struct err *err)
{
	struct session *session = reload->session;
	const char *releases = arena_printf(reload->arena, "%s/releases", session->place.path);
	int64_t until = clock_mono_ms() + MIN(reload->timeout_ms, (int64_t)PROVE_FOR_MS);

	for (;;) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct uses uses;
		const struct process_use *old = NULL;
		uint64_t pids[256];
		size_t count = 0;
		if (uses_find(&arena, releases, &uses, err))
			return -1;
		for (size_t i = 0; i < uses.count && !old; i++)
			if (*away_from && strcmp(uses.items[i].name, away_from) == 0)
				old = &uses.items[i];
		bool knows = kind->processes(reload, pids, ARRAY_LEN(pids), &count);
		proof->processes = count;
		if (!old) {
			if (!knows && uses.unreadable) {
				proof->verdict = "not_checked";
				snprintf(proof->why, sizeof(proof->why),
					 "%llu processes of other users cannot be looked at without root",
					 (unsigned long long)uses.unreadable);
			} else {
				proof->verdict = "proved";
				proof->why[0] = '\0';
			}
			return 0;
		}
		proof->verdict = "draining";
		snprintf(proof->why, sizeof(proof->why), "process %llu (%s) still runs from %s by its %s",
			 (unsigned long long)old->pid, old->command, old->name, old->what);
		if (clock_mono_ms() >= until)
			return 0;
		if (session_listen(session, PROVE_EVERY_MS, err))
			return -1;
	}
}

int handle_reload(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	struct slice spec;
	struct proof proof = { .verdict = "not_checked" };
	struct reload reload = {
		.session = session,
		.arena = &arena,
		.request = request,
		.timeout_ms = record_get_i64(request, "timeout_ms", 60000),
	};

	if (session_check_lease(session, request, err) || record_need(request, "spec", &spec, err))
		return -1;
	const struct reload_kind *kind = find_kind(spec, &reload.subject, &arena);
	if (!kind)
		return err_set(err, ERR_USER, "there is no kind of reload \"%.*s\"", SLICE_ARG(spec));
	if (fault_point("agent.reload.before", err) || kind->reload(&reload, err) ||
	    prove(&reload, kind, record_get_str(&arena, request, "away_from"), &proof, err))
		return -1;
	record_begin(&text, "reloaded");
	record_put_str(&text, "kind", kind->name);
	record_put_str(&text, "proved", proof.verdict);
	record_put_opt(&text, "why", proof.why);
	record_put_u64(&text, "processes", proof.processes);
	return session_send_record(session, MSG_RELOADED, &text, err);
}
