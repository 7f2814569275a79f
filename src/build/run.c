/* Runs one command of a build: output as it comes, a deadline, a way to be stopped. */
#include "build/internal.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100, GRACE_MS = 3000, DRAIN_MS = 1000 };

struct running {
	struct child child;
	const struct build_request *request;
	struct mask_stream *mask;
	int64_t deadline_ms;
	bool ended;
	int64_t ended_ms;
	int status;
};

static int read_output(struct running *running, struct err *err)
{
	char piece[32 << 10];
	ssize_t got = read(running->child.stdout_fd, piece, sizeof(piece));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0) {
		close_fd(&running->child.stdout_fd);
		return 0;
	}
	return mask_stream_put(running->mask, slice_make(piece, (size_t)got), err);
}

static void look_for_end(struct running *running)
{
	pid_t pid = running->child.pid;
	int raw;

	if (pid <= 0 || waitpid(pid, &raw, WNOHANG) != pid)
		return;
	running->status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	running->ended = true;
	running->ended_ms = clock_mono_ms();
	running->child.pid = 0;
	/* What it left running in the background would hold the output open for ever. */
	kill(-pid, SIGKILL);
}

/* 0: it ended; 1: the deadline passed; -1: stopped, or our own failure. */
static int follow(struct running *running, struct err *err)
{
	while (!running->ended || running->child.stdout_fd >= 0) {
		struct pollfd ready = {running->child.stdout_fd, POLLIN, 0};
		int got = poll(&ready, 1, running->ended ? 0 : LOOK_MS);
		if (got > 0 && read_output(running, err))
			return -1;
		/* Whoever escaped its group may go on writing; nobody listens any more. */
		if (running->ended && (got <= 0 || clock_mono_ms() - running->ended_ms > DRAIN_MS))
			break;
		look_for_end(running);
		if (running->ended)
			continue;
		if (running->request->stop && running->request->stop(running->request->context))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		if (clock_mono_ms() >= running->deadline_ms)
			return 1;
	}
	return 0;
}

int run_command(struct sandbox *sandbox, const char *command, int64_t deadline_ms, struct mask_stream *mask,
		int *status_out, bool *timed_out, struct err *err)
{
	struct sandbox_command how = {0};
	struct running running = {
		.child = CHILD_INIT, .request = sandbox->request, .mask = mask, .deadline_ms = deadline_ms};

	*timed_out = false;
	if (sandbox_command(sandbox, command, &how, err))
		return -1;
	struct child_spec spec = {.argv = how.argv,
				  .env = how.env,
				  .dir = how.dir,
				  .stdin_fd = -1,
				  .stdout_fd = CHILD_PIPE,
				  .stderr_fd = CHILD_STDOUT,
				  .die_with_us = true,
				  .pass_fds = how.fds,
				  .pass_fd_count = how.fd_count};
	if (child_start(&running.child, &spec, err))
		return -1;
	int result = follow(&running, err);
	if (result) {
		child_stop(&running.child, GRACE_MS);
		sandbox_after_stop(sandbox);
		*timed_out = result > 0;
	}
	child_close(&running.child);
	/* What was held back because it could have become a secret. */
	struct err ignored = ERR_INIT;
	if (mask_stream_flush(mask, result < 0 ? &ignored : err) && result >= 0)
		return -1;
	*status_out = running.status;
	return result < 0 ? -1 : 0;
}
