#include "agent/command.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* proc(5). The name in field 2 may hold spaces and brackets: count from the last ')'. */
uint64_t process_stat(uint64_t pid, int number)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	char path[64];
	uint64_t value = 0;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	if (file_read_at(AT_FDCWD, path, &text, &err))
		return 0;
	const char *after = strrchr(buf_str(&text), ')');
	if (!after)
		return 0;
	struct slice rest = slice_of(after + 1);
	slice_cut(&rest, ' ');
	for (int field = 3; field < number; field++)
		slice_cut(&rest, ' ');
	return slice_to_u64(slice_cut(&rest, ' '), &value) ? value : 0;
}

uint64_t process_clock(void)
{
#ifdef CLOCK_BOOTTIME
	struct timespec now;
	long ticks = sysconf(_SC_CLK_TCK);

	if (ticks > 0 && clock_gettime(CLOCK_BOOTTIME, &now) == 0)
		return (uint64_t)now.tv_sec * (uint64_t)ticks +
		       (uint64_t)now.tv_nsec / (1000000000u / (uint64_t)ticks);
#endif
	return 0;
}

uint64_t process_clock_next(void)
{
	uint64_t before = process_clock(), now = before;

	while (now && now == before) {
		poll(NULL, 0, 1);
		now = process_clock();
	}
	return now;
}

static void mark_name(pid_t pid, char out[64])
{
	snprintf(out, 64, "hooks/%ld", (long)pid);
}

static int mark_running(struct session *session, pid_t pid, struct err *err)
{
	char name[64], text[64];

	mark_name(pid, name);
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)process_stat((uint64_t)pid, STAT_STARTED));
	return file_replace_at(session->place.private_fd, name, slice_of(text), 0600, err);
}

static void unmark(struct session *session, pid_t pid)
{
	char name[64];

	mark_name(pid, name);
	unlinkat(session->place.private_fd, name, 0);
}

/* One of ours, by its environment: a number that was given out anew belongs to a stranger. */
static bool is_of_place(const char *pid, const struct place *place)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	struct err err = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	if (file_read_at(AT_FDCWD, path, &text, &err))
		return false;
	for (struct slice rest = buf_slice(&text); rest.len;) {
		struct slice entry = slice_cut(&rest, '\0');
		if (slice_starts_with(entry, "LOCKSTEP_PLACE=") &&
		    slice_is(slice_skip(entry, 15), place->path))
			return true;
	}
	return false;
}

struct group {
	const struct place *place;
	uint64_t id, started;
};

static int end_member(void *context, const char *name, struct err *err)
{
	const struct group *group = context;
	uint64_t pid;

	(void)err;
	if (slice_to_u64(slice_of(name), &pid) && process_stat(pid, STAT_GROUP) == group->id &&
	    process_stat(pid, STAT_STARTED) >= group->started && is_of_place(name, group->place))
		kill((pid_t)pid, SIGKILL);
	return 0;
}

static int end_survivor(void *context, const char *name, struct err *err)
{
	struct session *session = context;
	AUTO(buf_free) struct buf text = BUF_INIT(64);
	struct group group = {.place = &session->place};
	struct err unreadable = ERR_INIT;
	char path[300];

	(void)err;
	snprintf(path, sizeof(path), "hooks/%s", name);
	if (slice_to_u64(slice_of(name), &group.id) && group.id > 1 && group.id < INT32_MAX &&
	    file_read_at(session->place.private_fd, path, &text, &unreadable) == 0 &&
	    slice_to_u64(slice_trim(buf_slice(&text)), &group.started) && group.started) {
		uint64_t leader = process_stat(group.id, STAT_STARTED);
		if (leader == group.started)
			kill(-(pid_t)group.id, SIGKILL);
		else if (!leader && dir_each_at(AT_FDCWD, "/proc", end_member, &group, &unreadable))
			log_warn("%s", unreadable.text);
	}
	unlinkat(session->place.private_fd, path, 0);
	return 0;
}

void hook_end_survivors(struct session *session)
{
	struct err err = ERR_INIT;

	if (dir_each_at(session->place.private_fd, "hooks", end_survivor, session, &err))
		return; /* nothing of ours is running, then */
}

/* What a hook is told about: the deployment under way, or, behind its end, what is live. */
struct about {
	const char *name, *release, *commit, *deployment;
};

static struct about find_about(struct session *session, struct arena *arena, const struct record *request)
{
	struct state *state = &session->state;
	struct account *accounts;
	struct err unknown = ERR_INIT;
	struct live live;
	size_t count;

	if (state_has_pending(state))
		return (struct about){state_pending(state, "name"), state_pending(state, "release"),
				      state_pending(state, "commit"), state_pending(state, "deployment")};
	if (!request || !slice_is(record_get(request, "dir"), "live") ||
	    place_live(&session->place, &live, &unknown) || !live.name[0] ||
	    journal_accounts(&session->place, arena, &accounts, &count, &unknown))
		return (struct about){0};
	const struct account *account = account_find(accounts, count, live.name);
	if (!account)
		return (struct about){0};
	return (struct about){account->name, account->release, account->commit, account->deployment};
}

const char *const *command_environment(struct session *session, struct arena *arena,
				       const struct record *request)
{
	static const char *const inherited[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ"};
	size_t cap = 64 + (request ? request->field_count : 0), count = 0, cursor = 0;
	const char **env = ARENA_NEW_ARRAY(arena, cap, const char *);
	struct about about = find_about(session, arena, request);
	struct slice value;

	for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
		const char *text = getenv(inherited[i]);
		if (text)
			env[count++] = arena_printf(arena, "%s=%s", inherited[i], text);
	}
	env[count++] = arena_printf(arena, "LOCKSTEP_PLACE=%s", session->place.path);
	env[count++] = arena_printf(arena, "LOCKSTEP_PROJECT=%s", session->state.project);
	env[count++] = arena_printf(arena, "LOCKSTEP_ENVIRONMENT=%s", session->state.environment);
	if (about.name) {
		env[count++] = arena_printf(arena, "LOCKSTEP_ACTIVATION=%s/releases/%s", session->place.path,
					    about.name);
		env[count++] = arena_printf(arena, "LOCKSTEP_RELEASE=%s", about.release);
		env[count++] = arena_printf(arena, "LOCKSTEP_COMMIT=%s", about.commit);
		env[count++] = arena_printf(arena, "LOCKSTEP_DEPLOYMENT=%s", about.deployment);
	}
	while (request && record_next(request, "env", &cursor, &value))
		if (slice_find(value, '=') > 0 && slice_find(value, '\0') < 0)
			env[count++] = arena_str(arena, value);
	if (request && record_get(request, "secret_env").ptr)
		env[count++] = "LOCKSTEP_SECRETS_FD=3";
	return env;
}

/* --- as somebody else -------------------------------------------------------------- */

static bool is_us(const char *user)
{
	static char name[256];
	uint64_t number;

	if (slice_to_u64(slice_of(user), &number))
		return number == geteuid();
	if (!name[0]) {
		AUTO(buf_free) struct buf out = BUF_INIT(sizeof(name));
		const char *const argv[] = {"id", "-un", NULL};
		struct child_spec spec = {.argv = argv};
		struct err err = ERR_INIT;
		int status;
		if (child_run(&spec, slice_make(NULL, 0), &out, NULL, 10000, &status, &err) || status != 0)
			return false;
		snprintf(name, sizeof(name), "%.*s", SLICE_ARG(slice_trim(buf_slice(&out))));
	}
	return strcmp(user, name) == 0;
}

static bool is_shell_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!(c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return name.len > 0;
}

/* A command begins only when its start is written down, or it could outlive us unknown:
 * its shell waits for a word on standard input, and ends when we do. For another user
 * the values come before that word, a line each: sudo drops the environment, and a
 * command line is for everybody to read. Secrets come behind it, and are handed on
 * through a pipe which that user made and may therefore open by name. (`read` takes
 * nothing that is behind its line.) What fills that pipe is not waited for: a process
 * that the command leaves behind may hold the other end and never read it. */
static const char as_us[] = "read -r go || exit 126; exec /bin/sh -c \"$1\" </dev/null";
static const char as_other[] =
	"lockstep_nl='\n'; while IFS= read -r lockstep_line; do "
	"[ \"$lockstep_line\" = LOCKSTEP_GO ] && break; eval \"$lockstep_line\"; done; "
	"[ \"$lockstep_line\" = LOCKSTEP_GO ] || exit 126; [ \"$LOCKSTEP_SECRETS_FD\" ] || exec /bin/sh -c "
	"\"$1\" </dev/null; exec 4<&0; { cat <&4 4<&- 2>/dev/null & } | "
	"{ exec 3<&0 </dev/null 4<&-; exec /bin/sh -c \"$1\"; }";
/* A pipe takes so much at once, so that writing never waits; it is made larger for more. */
enum { PIPE_USUAL = 60 << 10, WORDS_MAX = (60 << 10) + COMMAND_SECRETS_MAX };

static void put_quoted(struct buf *out, struct slice value, const char *newline)
{
	buf_putc(out, '\'');
	for (size_t at = 0; at < value.len; at++)
		if (value.ptr[at] == '\'')
			buf_puts(out, "'\\''");
		else if (value.ptr[at] == '\n')
			buf_puts(out, newline);
		else
			buf_putc(out, value.ptr[at]);
	buf_puts(out, "'\n");
}

int command_secrets(const struct record *request, struct buf *out, struct err *err)
{
	size_t cursor = 0;
	struct slice value;

	while (record_next(request, "secret_env", &cursor, &value)) {
		struct slice name = slice_cut(&value, '=');
		if (!is_shell_name(name) || !value.ptr)
			return err_set(err, ERR_USER, "a secret's name is none that a shell knows");
		if (slice_find(value, '\0') >= 0)
			return err_set(err, ERR_USER, "the secret %.*s holds a NUL byte, which no shell can",
				       SLICE_ARG(name));
		buf_put_slice(out, name);
		buf_putc(out, '=');
		put_quoted(out, value, "\n");
	}
	return buf_check(out, "the secrets of a command", err);
}

/* What is ours (HOME, PATH) stays here. */
static void put_values(struct buf *out, const char *const *env)
{
	bool ours = true;

	for (size_t i = 0; env[i]; i++) {
		struct slice value = slice_of(env[i]);
		struct slice name = slice_cut(&value, '=');
		ours = ours && !slice_starts_with(name, "LOCKSTEP_");
		if (ours || !is_shell_name(name))
			continue;
		buf_puts(out, "export ");
		buf_put_slice(out, name);
		buf_putc(out, '=');
		put_quoted(out, value, "'\"$lockstep_nl\"'");
	}
	buf_puts(out, "LOCKSTEP_GO\n");
}

/* Nobody can change it any more, us included. */
static int make_sealed(struct slice content, int *fd_out, struct err *err)
{
#ifdef __linux__
	AUTO(close_fd) int fd = memfd_create("lockstep-secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(err, "memory for secrets");
	if (fd_write_all(fd, content.ptr, content.len, err))
		return -1;
	if (lseek(fd, 0, SEEK_SET) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		return err_errno(err, "sealing secrets");
	*fd_out = steal_fd(&fd);
	return 0;
#else
	(void)content, (void)fd_out;
	return err_set(err, ERR_USER, "secrets cannot be given to commands on this system");
#endif
}

static int make_room(int pipe_fd, size_t len, struct err *err)
{
	if (len <= PIPE_USUAL)
		return 0;
#ifdef __linux__
	if (fcntl(pipe_fd, F_SETPIPE_SZ, (int)len) >= (int)len)
		return 0;
#endif
	return err_set(err, ERR_USER, "the values and secrets of a command are %zu bytes: more than fit here",
		       len);
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
	/* Whoever asks may not be in a request that OUTPUT belongs to. */
	if (outlet->collect && strcmp(stream, "out") == 0)
		buf_put_slice(outlet->collect, bytes);
	if (was_full || outlet->collect)
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
		struct pollfd fds[3] = {{STDIN_FILENO, POLLIN, 0},
					{child->stdout_fd, POLLIN, 0},
					{child->stderr_fd, POLLIN, 0}};
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
	AUTO(buf_free) struct buf words = BUF_SECRET(WORDS_MAX);
	AUTO(close_fd) int secrets = -1;
	const char *argv[12];
	size_t count = 0;
	AUTO(child_close) struct child child = CHILD_INIT;
	AUTO(close_fd) int words_in = -1;
	AUTO(close_fd) int words_out = -1;
	struct outlet outlet = {session, collect, 0};
	int64_t begun = clock_mono_ms();
	bool other = command->as && *command->as && !is_us(command->as);
	int raw = 0, ends[2];

	*result = (struct command_result){0};
	if (other) {
		if (command->as[0] == '-')
			return err_set(err, ERR_USER, "\"%s\" is no user", command->as);
		/* Root needs no sudo, and a small server may have none. */
		bool runuser = geteuid() == 0 && !child_in_path("sudo", NULL);
		const char *const become[] = {runuser ? "runuser" : "sudo", runuser ? "-u" : "-nu",
					      command->as, "--"};
		for (size_t i = 0; i < ARRAY_LEN(become); i++)
			argv[count++] = become[i];
		put_values(&words, command->env);
		buf_put_slice(&words, command->secrets);
		if (buf_check(&words, "the environment of a command", err))
			return -1;
	} else {
		buf_puts(&words, "go\n");
		if (command->secrets.len && make_sealed(command->secrets, &secrets, err))
			return -1;
	}
	const char *const shell[] = {"/bin/sh", "-c", other ? as_other : as_us, "sh", command->text};
	for (size_t i = 0; i < ARRAY_LEN(shell); i++)
		argv[count++] = shell[i];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_errno(err, "pipe");
	words_in = ends[0];
	words_out = ends[1];
	if (make_room(words_out, words.len, err))
		return -1;
	argv[count] = NULL;
	struct child_spec spec = {.argv = argv,
				  .env = command->env,
				  .dir = command->dir,
				  .stdin_fd = words_in,
				  .stdout_fd = CHILD_PIPE,
				  .stderr_fd = CHILD_PIPE,
				  .third_fd = secrets,
				  /* Between its start and its mark we might be killed. */
				  .die_with_us = true};
	if (child_start(&child, &spec, err))
		return -1;
	close_fd(&words_in);
	pid_t pid = child.pid;
	int done = session->leased ? mark_running(session, pid, err) : 0;
	if (done == 0)
		done = fault_point("agent.command.marked", err);
	/* A command that ended already (no such user) says why by itself. */
	ssize_t put = done == 0 ? write(words_out, words.ptr, words.len) : 0;
	if (put < 0 && errno != EPIPE)
		done = err_errno(err, "starting a command");
	close_fd(&words_out);
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
