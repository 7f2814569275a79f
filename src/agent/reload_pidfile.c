/* A process that writes its id to a file: "pidfile:PATH[:SIGNAL]" (SIGHUP unless
 * named). A relative path is relative to the place. */
#include "agent/reload.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

static const struct {
	const char *name;
	int number;
} signals[] = { /* those that lockstep.yml takes (project/delivery_keys.c) */
	{ "HUP", SIGHUP }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },   { "TERM", SIGTERM },
	{ "INT", SIGINT }, { "QUIT", SIGQUIT }, { "WINCH", SIGWINCH },
};

/* Splits the subject and reads the id. */
static int read_pid(struct reload *reload, uint64_t *pid, int *number, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64);
	struct slice path = slice_of(reload->subject);
	const char *colon = strrchr(reload->subject, ':');

	*number = SIGHUP;
	for (size_t i = 0; colon && i < ARRAY_LEN(signals); i++) {
		struct slice name = slice_of(colon + 1);
		if (slice_is(name, signals[i].name) ||
		    (slice_starts_with(name, "SIG") && slice_is(slice_skip(name, 3), signals[i].name))) {
			*number = signals[i].number;
			path.len = (size_t)(colon - reload->subject);
			break;
		}
	}
	if (file_read_at(reload->session->place.dir_fd, arena_str(reload->arena, path), &text, err))
		return err_wrap(err, "the pid file");
	if (!slice_to_u64(slice_trim(buf_slice(&text)), pid) || *pid < 2 || *pid > INT32_MAX)
		return err_set(err, ERR_FAILED, "the pid file %.*s holds no process id", SLICE_ARG(path));
	return 0;
}

static int signal_process(struct reload *reload, struct err *err)
{
	uint64_t pid;
	int number;

	if (read_pid(reload, &pid, &number, err))
		return -1;
	if (kill((pid_t)pid, number) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(err, ERR_FAILED, "process %llu of the pid file does not run", (unsigned long long)pid);
	return err_errno(err, "signalling process %llu", (unsigned long long)pid);
}

static bool pidfile_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count)
{
	struct err err = ERR_INIT;
	int number;

	*count = max > 0 && read_pid(reload, &pids[0], &number, &err) == 0;
	if (*count == 0)
		return false;
	reload_add_children(pids, max, count);
	return true;
}

const struct reload_kind reload_pidfile = {
	.name = "pidfile",
	.summary = "a signal to the process named in a pid file",
	.in_place = true,
	.reload = signal_process,
	.processes = pidfile_processes,
};
