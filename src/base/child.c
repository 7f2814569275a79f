/* Starting, stopping and running children. Not for the event loop of the
 * server: these calls wait. */
#include "base/child.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/stop.h"
#include "base/wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

extern char **environ;

/* What the child could not do, told through a pipe that a successful exec closes. */
struct report {
	enum { AT_PLUMBING = 1, AT_CHDIR, AT_EXEC } stage;
	int number; /* errno */
};

static int make_pipe(int ends[2], struct err *err)
{
#ifdef __linux__
	/* In one step: another thread may fork in between. */
	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_errno(err, "cannot make a pipe");
#else
	if (pipe(ends) != 0)
		return err_errno(err, "cannot make a pipe");
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
	return 0;
}

/* All of ours are close-on-exec already; this is for what we inherited ourselves. */
static void close_inherited_on_exec(void)
{
#if defined(__linux__) && defined(SYS_close_range)
	if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		return;
#endif
	long limit = sysconf(_SC_OPEN_MAX);
	for (int fd = 3; fd < (limit > 0 && limit < 65536 ? (int)limit : 65536); fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void reset_signals(const sigset_t *mask)
{
	struct sigaction fallback = {.sa_handler = SIG_DFL};

	/* The numbers that cannot be set (KILL, STOP, libc's own) refuse harmlessly. */
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &fallback, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
}

/* Between fork and exec: only what is safe when other threads held locks. */
static void NORETURN run_in_child(const struct child_spec *spec, const int fds[3], int report_fd)
{
	struct report report = {.stage = AT_PLUMBING};
	int lifted[3];
	sigset_t none;

	sigemptyset(&none);
	reset_signals(&none);
	if (!spec->keep_controlling_group)
		setpgid(0, 0);
	/* Any of them may itself be 0, 1 or 2 (when we were started without): lift
	 * all out of the way before putting them in place. */
	int lifted_report = fcntl(report_fd, F_DUPFD_CLOEXEC, 3);
	report_fd = lifted_report >= 0 ? lifted_report : report_fd;
	for (int i = 0; i < 3; i++)
		if ((lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3)) < 0)
			goto failed;
	for (int i = 0; i < 3; i++)
		if (dup2(lifted[i], i) < 0)
			goto failed;
	close_inherited_on_exec();
	for (size_t i = 0; i < spec->pass_fd_count; i++)
		fcntl(spec->pass_fds[i], F_SETFD, 0);
	if (spec->third_fd > 0) {
		/* Our own pipe may have that number. */
		if (report_fd == 3 && (report_fd = fcntl(3, F_DUPFD_CLOEXEC, 4)) < 0)
			goto failed;
		if (spec->third_fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(spec->third_fd, 3) < 0)
			goto failed;
	}
#ifdef __linux__
	if (spec->die_with_us)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	report.stage = AT_CHDIR;
	if (spec->dir && chdir(spec->dir) != 0)
		goto failed;
	report.stage = AT_EXEC;
	if (spec->env)
		environ = (char **)(uintptr_t)spec->env;
	execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
failed:
	report.number = errno;
	(void)!write(report_fd, &report, sizeof(report));
	_exit(127);
}

static const char *path_of(const char *const *env)
{
	for (size_t i = 0; env && env[i]; i++)
		if (strncmp(env[i], "PATH=", 5) == 0)
			return env[i] + 5;
	return env ? NULL : getenv("PATH");
}

bool child_in_path(const char *program, const char *const *env)
{
	struct slice rest = slice_of(path_of(env));

	while (rest.ptr) {
		struct slice folder = slice_cut(&rest, ':');
		AUTO(buf_free) struct buf candidate = BUF_INIT(4096);
		buf_put_slice(&candidate, folder.len ? folder : SLICE("."));
		buf_printf(&candidate, "/%s", program);
		if (!candidate.overflow && access(buf_str(&candidate), F_OK) == 0)
			return true;
	}
	return false;
}

static int explain(const struct child_spec *spec, const struct report *report, struct err *err)
{
	const char *program = spec->argv[0];
	bool by_path = !strchr(program, '/');
	int number = report->number;

	if (report->stage == AT_EXEC && number == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%s: %s", program,
			       by_path ? "not found in PATH"
				       : "no such program, or its interpreter is missing");
	/* execvp says EACCES already when one folder of PATH may not be searched. */
	if (report->stage == AT_EXEC && number == EACCES && by_path && !child_in_path(program, spec->env))
		return err_set(err, ERR_NOT_FOUND, "%s: not found in PATH", program);
	errno = number;
	if (report->stage == AT_CHDIR)
		return err_errno(err, "cannot start %s in %s", program, spec->dir);
	return err_errno(err, "cannot start %s", program);
}

struct pipes {
	int in[2], out[2], errors[2], report[2];
};

static void close_pipes(struct pipes *pipes)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&pipes->in[i]);
		close_fd(&pipes->out[i]);
		close_fd(&pipes->errors[i]);
		close_fd(&pipes->report[i]);
	}
}

/* Forks with all signals held back, so that no handler of ours runs in the child. */
static pid_t fork_quietly(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	int number = errno;
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return pid;
}

int child_start(struct child *child, const struct child_spec *spec, struct err *err)
{
	AUTO(close_pipes) struct pipes pipes = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
	AUTO(close_fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	*child = CHILD_INIT;
	ASSERT(spec->argv && spec->argv[0]);
	if (null_fd < 0)
		return err_errno(err, "/dev/null");
	if (make_pipe(pipes.report, err) || (spec->stdin_fd == CHILD_PIPE && make_pipe(pipes.in, err)) ||
	    (spec->stdout_fd == CHILD_PIPE && make_pipe(pipes.out, err)) ||
	    (spec->stderr_fd == CHILD_PIPE && make_pipe(pipes.errors, err)))
		return -1;
	int fds[3] = {
		spec->stdin_fd == CHILD_PIPE ? pipes.in[0] : spec->stdin_fd,
		spec->stdout_fd == CHILD_PIPE ? pipes.out[1] : spec->stdout_fd,
		spec->stderr_fd == CHILD_PIPE ? pipes.errors[1] : spec->stderr_fd,
	};
	for (int i = 0; i < 3; i++)
		fds[i] = fds[i] == -1 ? null_fd : fds[i];
	fds[2] = fds[2] == CHILD_STDOUT ? fds[1] : fds[2];

	pid_t pid = fork_quietly();
	if (pid == 0)
		run_in_child(spec, fds, pipes.report[1]);
	if (pid < 0)
		return err_errno(err, "cannot start %s", spec->argv[0]);
	close_fd(&pipes.report[1]);
	struct report report;
	size_t got = 0;
	if (fd_read_full(pipes.report[0], &report, sizeof(report), &got, err) || got > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return got == sizeof(report) ? explain(spec, &report, err)
					     : err_set(err, ERR_INTERNAL, "cannot start %s", spec->argv[0]);
	}
	*child = (struct child){pid, steal_fd(&pipes.in[1]), steal_fd(&pipes.out[0]),
				steal_fd(&pipes.errors[0])};
	return 0;
}

static int status_of(int raw)
{
	return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

int child_wait(struct child *child, int *status, struct err *err)
{
	int raw;
	pid_t got;

	ASSERT(child->pid > 0);
	do
		got = waitpid(child->pid, &raw, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, "waiting for a child process");
	child->pid = 0;
	*status = status_of(raw);
	return 0;
}

static void signal_group(pid_t pid, int number)
{
	/* No such group: it was started with keep_controlling_group. */
	if (kill(-pid, number) != 0)
		kill(pid, number);
}

/* True when the child is gone; it stays a zombie, so that its number, and that of
 * its group, cannot become somebody else's. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return errno == ECHILD;
	return info.si_pid == pid;
}

/* Waits until the child has ended or the time is over (until_ms on the monotonic
 * clock; 0: no limit). */
static bool wait_until(pid_t pid, int64_t until_ms)
{
	int pause_ms = 1;

	while (!has_ended(pid)) {
		if (until_ms && clock_mono_ms() >= until_ms)
			return false;
		/* There is no portable way to wait for a child and a time at once. */
		poll(NULL, 0, pause_ms);
		pause_ms = MIN(pause_ms * 2, 50);
	}
	return true;
}

void child_stop(struct child *child, int grace_ms)
{
	if (child->pid <= 0)
		return;
	if (grace_ms > 0) {
		signal_group(child->pid, SIGTERM);
		wait_until(child->pid, clock_mono_ms() + grace_ms);
	}
	/* Also when the leader went by itself: what it left behind goes too. */
	signal_group(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

void child_close(struct child *child)
{
	child_stop(child, 0);
	close_fd(&child->stdin_fd);
	close_fd(&child->stdout_fd);
	close_fd(&child->stderr_fd);
}

/* One ready pipe; closes it at its end. */
static int drain(int *fd, struct buf *out, const char *program, struct err *err)
{
	char piece[32 << 10];
	ssize_t got = read(*fd, piece, sizeof(piece));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0) {
		close_fd(fd);
		return 0;
	}
	buf_put(out, piece, (size_t)got);
	if (out->wipes)
		wipe_bytes(piece, (size_t)got);
	if (out->overflow)
		return err_set(err, ERR_INTERNAL, "%s wrote more than %zu bytes", program, out->max);
	return 0;
}

/* write(2) that fails with EPIPE and nothing else, whatever the process (or another
 * thread) thinks about SIGPIPE: the signal goes to the thread that wrote, where it is
 * held back and taken away again. */
static ssize_t write_without_sigpipe(int fd, const void *bytes, size_t len)
{
	sigset_t broken_pipe, before, pending;

	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
	sigpending(&pending);
	bool was_pending = sigismember(&pending, SIGPIPE);
	ssize_t written = write(fd, bytes, len);
	int number = errno;
	if (written < 0 && number == EPIPE && !was_pending) {
		sigpending(&pending);
		int taken;
		if (sigismember(&pending, SIGPIPE))
			sigwait(&broken_pipe, &taken);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return written;
}

static void feed(int *fd, struct slice *input)
{
	ssize_t written = write_without_sigpipe(*fd, input->ptr, input->len);

	if (written < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* A program need not read all it is given. */
	if (written < 0 || (size_t)written == input->len)
		close_fd(fd);
	else
		*input = slice_skip(*input, (size_t)written);
}

/* Moves bytes until all pipes are closed or the child has ended and nothing more
 * comes: a process it left behind (ssh's shared connection, a daemon) may hold the
 * pipes open for as long as it lives. */
static int exchange(struct child *child, const char *program, struct slice input, struct buf *out,
		    struct buf *errors, int64_t until_ms, struct err *err)
{
	enum { LOOK_MS = 100 };

	if (child->stdin_fd >= 0 && fd_set_nonblocking(child->stdin_fd, true, err))
		return -1;
	while (child->stdin_fd >= 0 || child->stdout_fd >= 0 || child->stderr_fd >= 0) {
		struct pollfd fds[3] = {{child->stdin_fd, POLLOUT, 0},
					{child->stdout_fd, POLLIN, 0},
					{child->stderr_fd, POLLIN, 0}};
		/* Asked before poll: what it wrote before it ended is then ready. */
		bool ended = has_ended(child->pid);
		int ready = poll(fds, 3, ended ? 0 : LOOK_MS);
		if (ready < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (ready == 0 && ended)
			return 0;
		if (stop_asked())
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		if (until_ms && clock_mono_ms() >= until_ms)
			return 0;
		if (ready <= 0)
			continue;
		if (fds[0].revents)
			feed(&child->stdin_fd, &input);
		if (fds[1].revents && drain(&child->stdout_fd, out, program, err))
			return -1;
		if (fds[2].revents && drain(&child->stderr_fd, errors, program, err))
			return -1;
	}
	return 0;
}

int child_run(const struct child_spec *spec, struct slice input, struct buf *out, struct buf *errors,
	      int64_t timeout_ms, int *status, struct err *err)
{
	struct child_spec piped = *spec;
	AUTO(child_close) struct child child = CHILD_INIT;
	int64_t until_ms = timeout_ms ? clock_mono_ms() + timeout_ms : 0;

	piped.stdin_fd = input.len ? CHILD_PIPE : -1;
	piped.stdout_fd = out ? CHILD_PIPE : -1;
	piped.stderr_fd = errors ? CHILD_PIPE : spec->stderr_fd == CHILD_STDOUT ? CHILD_STDOUT : -1;
	if (child_start(&child, &piped, err) ||
	    exchange(&child, spec->argv[0], input, out, errors, until_ms, err))
		return -1;
	if (until_ms && !wait_until(child.pid, until_ms)) {
		AUTO(buf_free) struct buf limit = BUF_INIT(64);
		clock_put_duration(&limit, timeout_ms);
		return err_set(err, ERR_INTERNAL, "%s took longer than %s and was stopped", spec->argv[0],
			       buf_str(&limit));
	}
	return child_wait(&child, status, err);
}
