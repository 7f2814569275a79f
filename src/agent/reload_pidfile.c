/* A process that writes its id to a file: "pidfile:PATH[:SIGNAL]" (SIGHUP unless
 * named). A relative path is relative to the place. */
#include "agent/reload.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

static int read_pid(struct reload *reload, uint64_t *pid, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64);

	if (file_read_at(reload->session->place.dir_fd, reload->subject, &text, err))
		return err_wrap(err, "the pid file");
	if (!slice_to_u64(slice_trim(buf_slice(&text)), pid) || *pid < 2 || *pid > INT32_MAX)
		return err_set(err, ERR_FAILED, "the pid file %s holds no process id", reload->subject);
	return 0;
}

static int signal_process(struct reload *reload, struct err *err)
{
	uint64_t pid;

	if (read_pid(reload, &pid, err))
		return -1;
	if (kill((pid_t)pid, reload->signal) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(err, ERR_FAILED, "process %llu of the pid file does not run", (unsigned long long)pid);
	return err_errno(err, "signalling process %llu", (unsigned long long)pid);
}

static bool pidfile_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count)
{
	struct err err = ERR_INIT;

	*count = max > 0 && read_pid(reload, &pids[0], &err) == 0;
	if (*count == 0)
		return false;
	reload_add_children(pids, max, count);
	return true;
}

const struct reload_kind reload_pidfile = {
	.kind = RELOAD_PIDFILE,
	.summary = "a signal to the process named in a pid file",
	.in_place = true,
	.reload = signal_process,
	.processes = pidfile_processes,
};
