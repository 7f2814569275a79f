/* RELOAD: finds the kind, does it, and proves that nothing runs from the old
 * activation any more. */
#include "agent/reload.h"

#include "agent/uses.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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
		.env = command_environment(reload->session, reload->arena,
					   reload->with_values ? reload->request : NULL),
		.secrets = reload->secrets,
		.timeout_ms = reload->timeout_ms,
	};

	if (command_run(reload->session, &command, &result, err))
		return err_wrap(err, "%s", what);
	if (result.status == 0 && !result.timed_out)
		return 0;
	if (result.timed_out)
		err_set(err, ERR_FAILED, "%s: no end within %lld s", what,
			(long long)(reload->timeout_ms / 1000));
	else
		err_set(err, ERR_FAILED, "%s: ended with status %d", what, result.status);
	return hint ? err_hint(err, "%s", hint) : -1;
}

static const struct reload_kind *find_kind(struct reload *reload, struct slice text, struct err *err)
{
	struct reload_spec spec;
	const char *fault = reload_spec_parse(text, &spec);

	reload->subject = arena_str(reload->arena, spec.subject);
	reload->signal = spec.signal;
	for (size_t i = 0; i < reload_kind_count && !fault; i++)
		if (reload_kinds[i]->kind == spec.kind)
			return reload_kinds[i];
	err_set(err, ERR_USER, "the reload \"%.*s\" %s", (int)MIN(text.len, (size_t)200), text.ptr,
		fault ? fault : "is not known here");
	return NULL;
}

struct family {
	uint64_t *pids;
	size_t max, *count;
};

static int add_child(void *context, const char *name, struct err *err)
{
	struct family *family = context;
	uint64_t pid;

	(void)err;
	if (!slice_to_u64(slice_of(name), &pid))
		return 0;
	uint64_t parent = process_stat(pid, STAT_PARENT);
	size_t known = MIN(*family->count, family->max);
	bool is_child = false;
	for (size_t i = 0; i < known; i++) {
		is_child = is_child || (parent && family->pids[i] == parent);
		if (family->pids[i] == pid)
			return 0;
	}
	if (is_child && *family->count < family->max)
		family->pids[*family->count] = pid;
	*family->count += is_child;
	return 0;
}

void reload_add_children(uint64_t *pids, size_t max, size_t *count)
{
	struct family family = {pids, max, count};
	struct err unreadable = ERR_INIT;
	size_t before;

	/* A child may have a smaller number than its parent: until nothing is added. */
	do {
		before = *count;
		if (dir_each_at(AT_FDCWD, "/proc", add_child, &family, &unreadable))
			return;
	} while (*count != before && *count < max);
}

enum { PROVE_FOR_MS = 10000, PROVE_EVERY_MS = 100, PROCESSES_MAX = 1024 };

struct proof {
	const char *verdict; /* proved | draining | not_checked */
	char why[512];
	uint64_t processes;
	bool passing; /* another look may see something else */
};

/* A master that reloads in place is told by its new workers, or by what it runs from. One
 * without workers that is closed to us tells nothing. */
static bool stayed_unseen(uint64_t pid, uint64_t began)
{
	char path[64], target[4096];

	snprintf(path, sizeof(path), "/proc/%llu/cwd", (unsigned long long)pid);
	return pid > 1 && process_stat(pid, STAT_STARTED) < began &&
	       readlink(path, target, sizeof(target)) < 0 && errno == EACCES;
}

/* DESIGN: every process of the unit started after the switch, a master that reloads in
 * place excepted. `began` is when the reload did, by process_clock. */
static void judge(struct reload *reload, const struct reload_kind *kind, const char *away_from,
		  uint64_t began, const struct uses *uses, struct proof *proof)
{
	uint64_t pids[PROCESSES_MAX];
	size_t count = 0;
	bool knows = kind->processes(reload, pids, ARRAY_LEN(pids), &count);

	proof->processes = count;
	proof->passing = true;
	for (size_t i = 0; i < uses->count && *away_from; i++) {
		const struct process_use *old = &uses->items[i];
		if (strcmp(old->name, away_from) != 0)
			continue;
		proof->verdict = "draining";
		snprintf(proof->why, sizeof(proof->why), "process %llu (%s) still runs from %s by its %s",
			 (unsigned long long)old->pid, old->command, old->name, old->what);
		return;
	}
	/* What other users' processes do will not become readable by waiting. */
	proof->verdict = "not_checked";
	proof->passing = false;
	if (!knows && uses->unreadable) {
		snprintf(proof->why, sizeof(proof->why),
			 "%llu processes of other users cannot be looked at without root",
			 (unsigned long long)uses->unreadable);
		return;
	}
	if (count > ARRAY_LEN(pids) || (knows && !began)) {
		snprintf(proof->why, sizeof(proof->why), "%s",
			 began ? "there are too many processes to look at"
			       : "the system does not say when processes started");
		return;
	}
	if (kind->in_place && count == 1 && stayed_unseen(pids[0], began)) {
		snprintf(proof->why, sizeof(proof->why),
			 "process %llu stayed when it was reloaded, and only root can see what it runs from",
			 (unsigned long long)pids[0]);
		return;
	}
	for (size_t i = kind->in_place ? 1 : 0; i < count; i++) {
		uint64_t started = process_stat(pids[i], STAT_STARTED);
		if (started >= began)
			continue;
		/* 0: it has ended since it was listed, and the next look tells what came after it,
		 * or cannot be seen (hidepid). */
		bool gone = !started && kill((pid_t)pids[i], 0) != 0 && errno == ESRCH;
		proof->verdict = started || gone ? "draining" : "not_checked";
		proof->passing = started || gone;
		snprintf(proof->why, sizeof(proof->why),
			 started ? "process %llu is older than the reload"
			 : gone	 ? "process %llu was about to end"
				 : "process %llu cannot be looked at",
			 (unsigned long long)pids[i]);
		return;
	}
	proof->verdict = "proved";
	proof->passing = false;
	proof->why[0] = '\0';
}

/* Waits a while for old processes to go. */
static int prove(struct reload *reload, const struct reload_kind *kind, const char *away_from, uint64_t began,
		 struct proof *proof, struct err *err)
{
	struct session *session = reload->session;
	const char *releases = arena_printf(reload->arena, "%s/releases", session->place.path);
	int64_t until = clock_mono_ms() + MIN(reload->timeout_ms, (int64_t)PROVE_FOR_MS);

	for (;;) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct uses uses;
		if (uses_find(&arena, releases, &uses, err))
			return -1;
		judge(reload, kind, away_from, began, &uses, proof);
		if (!proof->passing || clock_mono_ms() >= until)
			return 0;
		if (session_listen(session, PROVE_EVERY_MS, err))
			return -1;
	}
}

int handle_reload(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	AUTO(buf_free) struct buf secrets = BUF_SECRET(COMMAND_SECRETS_MAX);
	struct slice spec;
	struct proof proof = {.verdict = "not_checked"};
	struct reload reload = {
		.session = session,
		.arena = &arena,
		.request = request,
		.timeout_ms = record_get_i64(request, "timeout_ms", 60000),
	};

	if (session_check_lease(session, request, err) || record_need(request, "spec", &spec, err))
		return -1;
	const struct reload_kind *kind = find_kind(&reload, spec, err);
	if (!kind)
		return -1;
	/* The other kinds start programs that have no business with them. */
	reload.with_values = kind == &reload_command;
	if (reload.with_values && command_secrets(request, &secrets, err))
		return -1;
	reload.secrets = buf_slice(&secrets);
	uint64_t began = process_clock_next();
	if (fault_point("agent.reload.before", err) || kind->reload(&reload, err) ||
	    prove(&reload, kind, record_get_str(&arena, request, "away_from"), began, &proof, err))
		return -1;
	record_begin(&text, "reloaded");
	record_put_str(&text, "kind", reload_spec_name(kind->kind));
	record_put_str(&text, "proved", proof.verdict);
	record_put_opt(&text, "why", proof.why);
	record_put_u64(&text, "processes", proof.processes);
	return session_send_record(session, MSG_RELOADED, &text, err);
}
