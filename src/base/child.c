#include "base/child.h"

#include "base/clock.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int make_pipe(int ends[2], struct err *err)
{
	if (pipe(ends) != 0)
		return err_errno(err, "cannot make a pipe");
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	return 0;
}

/* In the child: everything above the standard streams goes, except `keep`. All of
 * ours are close-on-exec already; this is for what we inherited ourselves. */
static void close_inherited(int keep)
{
	long limit = sysconf(_SC_OPEN_MAX);

	for (int fd = 3; fd < (limit > 0 && limit < 4096 ? (int)limit : 4096); fd++)
		if (fd != keep)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void NORETURN run_in_child(const struct child_spec *spec, int in, int out, int errors, int report)
{
	int number;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (!spec->keep_controlling_group)
		setpgid(0, 0);
	/* The descriptors may themselves be 0, 1 or 2: lift them out of the way first. */
	int lifted[3] = { fcntl(in, F_DUPFD_CLOEXEC, 3), fcntl(out, F_DUPFD_CLOEXEC, 3),
			  fcntl(errors, F_DUPFD_CLOEXEC, 3) };
	for (int i = 0; i < 3; i++)
		if (dup2(lifted[i], i) < 0)
			goto failed;
	close_inherited(report);
	if (spec->dir && chdir(spec->dir) != 0)
		goto failed;
	if (spec->env)
		environ = (char **)(uintptr_t)spec->env;
	execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
failed:
	number = errno;
	(void)!write(report, &number, sizeof(number));
	_exit(127);
}

int child_start(struct child *child, const struct child_spec *spec, struct err *err)
{
	int report[2], in[2] = { -1, -1 }, out[2] = { -1, -1 }, errors[2] = { -1, -1 };
	AUTO(close_fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	*child = CHILD_INIT;
	if (null_fd < 0)
		return err_errno(err, "/dev/null");
	if (make_pipe(report, err) || (spec->stdin_fd == CHILD_PIPE && make_pipe(in, err)) ||
	    (spec->stdout_fd == CHILD_PIPE && make_pipe(out, err)) ||
	    (spec->stderr_fd == CHILD_PIPE && make_pipe(errors, err)))
		return -1;
	int in_fd = spec->stdin_fd == CHILD_PIPE ? in[0] : spec->stdin_fd;
	int out_fd = spec->stdout_fd == CHILD_PIPE ? out[1] : spec->stdout_fd;
	int errors_fd = spec->stderr_fd == CHILD_PIPE ? errors[1] : spec->stderr_fd;
	in_fd = in_fd == -1 ? null_fd : in_fd;
	out_fd = out_fd == -1 ? null_fd : out_fd;
	errors_fd = errors_fd == -1 ? null_fd : errors_fd == CHILD_STDOUT ? out_fd : errors_fd;

	pid_t pid = fork();
	if (pid == 0)
		run_in_child(spec, in_fd, out_fd, errors_fd, report[1]);
	int fork_errno = errno;
	close(report[1]);
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&errors[1]);
	int number = 0;
	ssize_t got = 0;
	if (pid > 0) {
		do
			got = read(report[0], &number, sizeof(number));
		while (got < 0 && errno == EINTR);
	}
	close(report[0]);
	if (pid < 0 || got > 0) {
		close_fd(&in[1]);
		close_fd(&out[0]);
		close_fd(&errors[0]);
		if (pid > 0)
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
		if (pid > 0 && number == ENOENT)
			return err_set(err, ERR_NOT_FOUND, "%s: %s", spec->argv[0],
				       strchr(spec->argv[0], '/') ? "no such program" : "not found in PATH");
		errno = pid < 0 ? fork_errno : number;
		return err_errno(err, "cannot start %s", spec->argv[0]);
	}
	*child = (struct child){ pid, in[1], out[0], errors[0] };
	return 0;
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
	*status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	return 0;
}

static void signal_group(pid_t pid, int number)
{
	if (kill(-pid, number) != 0)
		kill(pid, number);
}

void child_stop(struct child *child, int grace_ms)
{
	if (child->pid <= 0)
		return;
	int64_t until = clock_mono_ms() + grace_ms;
	if (grace_ms > 0)
		signal_group(child->pid, SIGTERM);
	while (grace_ms > 0 && clock_mono_ms() < until) {
		pid_t got = waitpid(child->pid, NULL, WNOHANG);
		if (got == child->pid || (got < 0 && errno == ECHILD)) {
			/* The leader is gone; what it left behind in its group goes too. */
			kill(-child->pid, SIGKILL);
			child->pid = 0;
			return;
		}
		poll(NULL, 0, 5);
	}
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
	if (!out)
		return 0;
	buf_put(out, piece, (size_t)got);
	if (out->overflow)
		return err_set(err, ERR_INTERNAL, "%s wrote more than %zu bytes", program, out->max);
	return 0;
}

static int feed(int *fd, struct slice *input)
{
	ssize_t written = input->len ? write(*fd, input->ptr, input->len) : 0;

	if (written < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	/* A program need not read all it is given. */
	if (written < 0 || (size_t)written == input->len) {
		close_fd(fd);
		return 0;
	}
	*input = slice_skip(*input, (size_t)written);
	return 0;
}

int child_run(const struct child_spec *spec, struct slice input, struct buf *out, struct buf *errors,
	      int64_t timeout_ms, int *status, struct err *err)
{
	struct child_spec piped = *spec;
	AUTO(child_close) struct child child = CHILD_INIT;
	int64_t until = clock_mono_ms() + timeout_ms;

	piped.stdin_fd = input.len ? CHILD_PIPE : -1;
	piped.stdout_fd = out ? CHILD_PIPE : -1;
	piped.stderr_fd = errors ? CHILD_PIPE : spec->stderr_fd;
	if (child_start(&child, &piped, err))
		return -1;
	void (*old_handler)(int) = signal(SIGPIPE, SIG_IGN);
	if (child.stdin_fd >= 0 && fd_set_nonblocking(child.stdin_fd, true, err))
		return -1;
	int result = 0;
	while (result == 0 && (child.stdin_fd >= 0 || child.stdout_fd >= 0 || child.stderr_fd >= 0)) {
		struct pollfd fds[3] = { { child.stdin_fd, POLLOUT, 0 },
					 { child.stdout_fd, POLLIN, 0 },
					 { child.stderr_fd, POLLIN, 0 } };
		int64_t left = timeout_ms ? until - clock_mono_ms() : -1;
		if (timeout_ms && left <= 0) {
			result = err_set(err, ERR_INTERNAL, "%s took longer than %lld s", spec->argv[0],
					 (long long)(timeout_ms / 1000));
			break;
		}
		if (poll(fds, 3, timeout_ms ? (int)MIN(left, (int64_t)60000) : -1) < 0 && errno != EINTR)
			result = err_errno(err, "poll");
		if (result == 0 && fds[0].revents)
			result = feed(&child.stdin_fd, &input);
		if (result == 0 && fds[1].revents)
			result = drain(&child.stdout_fd, out, spec->argv[0], err);
		if (result == 0 && fds[2].revents)
			result = drain(&child.stderr_fd, errors, spec->argv[0], err);
	}
	signal(SIGPIPE, old_handler);
	if (result)
		return -1;
	return child_wait(&child, status, err);
}
