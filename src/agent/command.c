#include "agent/command.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Field 22 of /proc/PID/stat (proc(5)): start time in ticks after boot. The name
 * in field 2 may hold spaces and brackets: count from the last ')'. */
static uint64_t start_time(pid_t pid)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	char path[64];
	uint64_t value = 0;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (file_read_at(AT_FDCWD, path, &text, &err))
		return 0;
	char *after = strrchr(text.ptr, ')');
	if (!after)
		return 0;
	struct slice rest = slice_of(after + 1);
	slice_cut(&rest, ' ');
	for (int field = 3; field < 22; field++)
		slice_cut(&rest, ' ');
	return slice_to_u64(slice_cut(&rest, ' '), &value) ? value : 0;
}

static void mark_name(pid_t pid, char out[64]) { snprintf(out, 64, "hooks/%ld", (long)pid); }

static int mark_running(struct session *session, pid_t pid, struct err *err)
{
	char name[64], text[64];

	mark_name(pid, name);
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)start_time(pid));
	return file_replace_at(session->place.private_fd, name, slice_of(text), 0600, err);
}

static void unmark(struct session *session, pid_t pid)
{
	char name[64];

	mark_name(pid, name);
	unlinkat(session->place.private_fd, name, 0);
}

static int end_survivor(void *context, const char *name, struct err *err)
{
	struct session *session = context;
	AUTO(buf_free) struct buf text = BUF_INIT(64);
	char path[300];
	uint64_t pid, started;

	(void)err;
	snprintf(path, sizeof(path), "hooks/%s", name);
	struct err unreadable = ERR_INIT;
	if (slice_to_u64(slice_of(name), &pid) && pid > 1 && pid < INT32_MAX &&
	    file_read_at(session->place.private_fd, path, &text, &unreadable) == 0 &&
	    slice_to_u64(slice_trim(buf_slice(&text)), &started) && started && start_time((pid_t)pid) == started)
		kill(-(pid_t)pid, SIGKILL);
	unlinkat(session->place.private_fd, path, 0);
	return 0;
}

void hook_end_survivors(struct session *session)
{
	struct err err = ERR_INIT;

	if (dir_each_at(session->place.private_fd, "hooks", end_survivor, session, &err))
		return; /* nothing of ours is running, then */
}

const char *const *command_environment(struct session *session, struct arena *arena, const struct record *request)
{
	static const char *const inherited[] = { "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ" };
	struct state *state = &session->state;
	size_t cap = 64 + (request ? request->field_count : 0), count = 0, cursor = 0;
	const char **env = ARENA_NEW_ARRAY(arena, cap, const char *);
	struct slice value;

	for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
		const char *text = getenv(inherited[i]);
		if (text)
			env[count++] = arena_printf(arena, "%s=%s", inherited[i], text);
	}
	env[count++] = arena_printf(arena, "LOCKSTEP_PLACE=%s", session->place.path);
	env[count++] = arena_printf(arena, "LOCKSTEP_PROJECT=%s", state->project);
	env[count++] = arena_printf(arena, "LOCKSTEP_ENVIRONMENT=%s", state->environment);
	if (state_has_pending(state)) {
		env[count++] = arena_printf(arena, "LOCKSTEP_ACTIVATION=%s/releases/%s", session->place.path,
					    state_pending(state, "name"));
		env[count++] = arena_printf(arena, "LOCKSTEP_RELEASE=%s", state_pending(state, "release"));
		env[count++] = arena_printf(arena, "LOCKSTEP_COMMIT=%s", state_pending(state, "commit"));
		env[count++] = arena_printf(arena, "LOCKSTEP_DEPLOYMENT=%s", state_pending(state, "deployment"));
	}
	while (request && record_next(request, "env", &cursor, &value))
		if (slice_find(value, '=') > 0 && slice_find(value, '\0') < 0)
			env[count++] = arena_str(arena, value);
	return env;
}

/* Hands output on, or collects it; beyond the limit it is read and dropped. */
struct outlet {
	struct session *session;
	struct buf *collect; /* NULL: to the controller */
	uint64_t seen;
};

static int pass_output(struct outlet *outlet, const char *stream, struct slice bytes, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(FRAME_PAYLOAD_MAX);
	bool was_full = outlet->seen >= COMMAND_OUTPUT_MAX;

	outlet->seen += bytes.len;
	if (outlet->collect && strcmp(stream, "out") == 0) {
		buf_put_slice(outlet->collect, bytes);
		return 0;
	}
	if (was_full)
		return 0;
	record_begin(&text, "output");
	record_put_str(&text, "stream", stream);
	record_put(&text, "text",
		   outlet->seen >= COMMAND_OUTPUT_MAX ? SLICE("[more output was dropped]\n") : bytes);
	return session_send_record(outlet->session, MSG_OUTPUT, &text, err);
}

static int take_output(struct outlet *outlet, int *fd, const char *stream, struct err *err)
{
	char piece[16 << 10];
	ssize_t got = read(*fd, piece, sizeof(piece));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0) {
		close_fd(fd);
		return 0;
	}
	return pass_output(outlet, stream, slice_make(piece, (size_t)got), err);
}

/* Until the command's output is closed and it is gone, or time or line are over.
 * A command may leave something running that holds its output open: after its end
 * we wait a moment for last words only. */
static int attend(struct session *session, struct child *child, struct outlet *outlet, int64_t until,
		  struct command_result *result, int *raw, struct err *err)
{
	bool ended = false;
	int64_t last_words = 0;

	for (;;) {
		int64_t now = clock_mono_ms();
		if (!ended) {
			pid_t got = waitpid(child->pid, raw, WNOHANG);
			ended = got == child->pid;
			last_words = now + 200;
		}
		if (ended && ((child->stdout_fd < 0 && child->stderr_fd < 0) || now >= last_words))
			return 0;
		if (!ended && now >= until) {
			result->timed_out = true;
			return 0;
		}
		struct pollfd fds[3] = { { STDIN_FILENO, POLLIN, 0 },
					 { child->stdout_fd, POLLIN, 0 },
					 { child->stderr_fd, POLLIN, 0 } };
		/* Without SIGCHLD in the poll, a short nap bounds how late an end is noticed. */
		bool closed = child->stdout_fd < 0 && child->stderr_fd < 0;
		if (poll(fds, 3, closed ? 2 : 50) < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (session_listen(session, 0, err))
			return -1;
		if ((fds[1].revents && take_output(outlet, &child->stdout_fd, "out", err)) ||
		    (fds[2].revents && take_output(outlet, &child->stderr_fd, "err", err)))
			return -1;
	}
}

static int run(struct session *session, const struct command *command, struct buf *collect,
	       struct command_result *result, struct err *err)
{
	const char *argv[10];
	size_t count = 0;
	AUTO(child_close) struct child child = CHILD_INIT;
	struct outlet outlet = { session, collect, 0 };
	int64_t begun = clock_mono_ms();
	int raw = 0;

	*result = (struct command_result){ 0 };
	if (command->as && *command->as) {
		const char *const sudo[] = { "sudo", "-n", "-E", "-u", command->as, "--" };
		for (size_t i = 0; i < ARRAY_LEN(sudo); i++)
			argv[count++] = sudo[i];
	}
	argv[count++] = "/bin/sh";
	argv[count++] = "-c";
	argv[count++] = command->text;
	argv[count] = NULL;
	struct child_spec spec = { .argv = argv,
				   .env = command->env,
				   .dir = command->dir,
				   .stdin_fd = -1,
				   .stdout_fd = CHILD_PIPE,
				   .stderr_fd = CHILD_PIPE,
				   .die_with_us = true };
	if (child_start(&child, &spec, err))
		return -1;
	pid_t pid = child.pid;
	int done = session->leased ? mark_running(session, pid, err) : 0;
	fault_mark("agent.command.running");
	if (done == 0)
		done = attend(session, &child, &outlet, begun + command->timeout_ms, result, &raw, err);
	bool ended = done == 0 && !result->timed_out;
	if (ended)
		child.pid = 0; /* reaped by attend */
	else
		child_stop(&child, 2000);
	if (session->leased)
		unmark(session, pid);
	result->duration_ms = clock_mono_ms() - begun;
	result->status = ended && WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
	result->signal = ended && WIFSIGNALED(raw) ? WTERMSIG(raw) : 0;
	return done;
}

int command_run(struct session *session, const struct command *command, struct command_result *result,
		struct err *err)
{
	return run(session, command, NULL, result, err);
}

int command_ask(struct session *session, const struct command *command, struct buf *out,
		struct command_result *result, struct err *err)
{
	return run(session, command, out, result, err);
}
