/* The application's variables: what its deployed files of variables say, and what its
 * running processes really have. No value is ever in a text. */
#include "probe/helper.h"
#include "probe/kinds.h"
#include "probe/parse.h"

#include "base/fd.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum {
	ENV_FILE_MAX = 1 << 20,
	ENV_NAMES_MAX = 4096,
	ENV_PROCESSES_MAX = 16,
	ENVIRON_MAX = 256 << 10,
};

struct variable {
	struct slice name, value; /* value.ptr NULL: not in a file */
	bool refers;
	bool same, differs, running;
	struct slice running_value; /* of the first process that has it */
	bool varies;		    /* processes differ among themselves */
};

struct env {
	struct probe_sink *sink;
	struct names names;
	struct variable *variables;
	size_t count;
	struct map by_name;
	size_t files;
	bool closed;		/* one is there that cannot be read */
	size_t looked_at;	/* processes */
	const char *unreadable; /* why others were not */
};

static struct variable *variable_of(struct env *env, struct slice name)
{
	struct variable *variable = map_get(&env->by_name, name);

	if (variable || env->count == ENV_NAMES_MAX)
		return variable;
	variable = &env->variables[env->count++];
	variable->name = arena_slice(&env->sink->arena, name);
	map_put(&env->by_name, variable->name, variable);
	return variable;
}

/* ---- files ---- */

static int open_in_place(struct env *env, const char *path, int *fd, struct err *err)
{
	return open_beneath(env->sink->request->place_fd, path, O_RDONLY | O_NONBLOCK, 0, true, fd, err);
}

/* Below the place links are followed, as .env often is one into shared/, but not out of it. */
static int open_env_file(struct env *env, const char *file, bool is_in_place, struct err *err)
{
	const struct probe_request *request = env->sink->request;
	size_t place_len = request->place ? strlen(request->place) : 0;
	char target[PATH_MAX];
	struct err absolute = ERR_INIT;
	int fd = -1;

	if (file[0] == '/') {
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		return fd >= 0 ? fd : err_errno(err, "%s", file);
	}
	if (is_in_place && request->place_fd >= 0)
		return open_in_place(env, file, &fd, err) ? -1 : fd;
	if (request->live_fd < 0 || !request->live)
		return err_set(err, ERR_NOT_FOUND, "nothing is live");
	if (request->place_fd < 0 || strncmp(request->live, request->place, place_len) != 0 ||
	    request->live[place_len] != '/')
		return open_beneath(request->live_fd, file, O_RDONLY | O_NONBLOCK, 0, true, &fd, err) ? -1
												      : fd;
	if (open_in_place(env, arena_printf(&env->sink->arena, "%s/%s", request->live + place_len + 1, file),
			  &fd, err) == 0)
		return fd;
	/* Capistrano links by absolute path, which no opening beneath a folder follows. */
	ssize_t len = readlinkat(request->live_fd, file, target, sizeof(target) - 1);
	if (len <= (ssize_t)place_len)
		return -1;
	target[len] = '\0';
	if (memcmp(target, request->place, place_len) == 0 && target[place_len] == '/' &&
	    open_in_place(env, target + place_len + 1, &fd, &absolute) == 0)
		return fd;
	return -1;
}

static void take_file(struct env *env, const char *file, struct slice text)
{
	struct probe_sink *sink = env->sink;
	struct parse_env parser;
	struct parsed_variable parsed;
	int result;

	env->files++;
	parse_env_begin(&parser, text);
	while ((result = parse_env_next(&parser, &parsed)) != 0) {
		if (result < 0) {
			probe_skip(sink, probe_key(sink, "env/%s:%zu/present", file, parser.line),
				   "line %zu of %s is not of the form NAME=VALUE", parser.line, file);
			continue;
		}
		struct variable *variable = variable_of(env, parsed.name);
		if (!variable)
			break;
		variable->value = arena_slice(&sink->arena, parsed.value);
		variable->refers = parsed.refers;
	}
	buf_free(&parser.value);
}

/* False when it is not there. */
static bool read_file(struct env *env, const char *file, bool is_in_place)
{
	AUTO(buf_free) struct buf text = BUF_SECRET(ENV_FILE_MAX);
	struct err err = ERR_INIT;
	struct stat st;
	AUTO(close_fd) int fd = open_env_file(env, file, is_in_place, &err);

	if (fd < 0 && err.code == ERR_NOT_FOUND)
		return false;
	if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		err_set(&err, ERR_USER, "%s is no file", file);
	else if (fd >= 0 && fd_read_all(fd, &text, &err) == 0) {
		take_file(env, file, buf_slice(&text));
		return true;
	}
	probe_skip(env->sink, SLICE("env/"), "%s", err.text);
	env->closed = true;
	return true;
}

/* Where it is kept when nothing links it into the activation. */
static bool read_shared(struct env *env, const char *file)
{
	return file[0] != '/' && read_file(env, arena_printf(&env->sink->arena, "shared/%s", file), true);
}

static void read_files(struct env *env)
{
	const struct probe_request *request = env->sink->request;

	for (size_t i = 0; i < request->env_file_count; i++)
		if (!read_file(env, request->env_files[i], false) && !read_shared(env, request->env_files[i]))
			probe_evidence(env->sink, probe_key(env->sink, "env/%s/file", request->env_files[i]),
				       SLICE("it is not there"));
	if (request->env_file_count == 0 && !read_file(env, ".env", false))
		(void)(read_file(env, "shared/.env", true) || read_file(env, ".env", true));
}

/* ---- processes ---- */

/* What systemd, sshd and the shell make anew for each process says nothing. */
static bool is_volatile(struct slice name)
{
	static const char *const names[] = {
		"INVOCATION_ID",
		"JOURNAL_STREAM",
		"SYSTEMD_*",
		"MAINPID",
		"LISTEN_*",
		"NOTIFY_SOCKET",
		"WATCHDOG_*",
		"MEMORY_PRESSURE_*",
		"CREDENTIALS_DIRECTORY",
		"SSH_*",
		"XDG_*",
		"DBUS_*",
		"PWD",
		"OLDPWD",
		"SHLVL",
		"_",
		"HOME",
		"USER",
		"LOGNAME",
		"SHELL",
		"TERM",
		"LS_COLORS",
		"COLUMNS",
		"LINES",
		"HOSTNAME",
		"MAIL",
		"SUDO_*",
		"RUNTIME_DIRECTORY",
		"FPM_SOCKETS",
		"SUPERVISOR_*",
		"NODE_UNIQUE_ID",
		"NODE_CHANNEL_*",
		"pm_*",
		"KUBERNETES_*",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_glob_match(slice_of(names[i]), name))
			return true;
	return false;
}

static void take_environ(struct env *env, struct slice text)
{
	env->looked_at++;
	while (text.ptr && text.len) {
		struct slice value = slice_cut(&text, '\0'), name = slice_cut(&value, '=');
		if (!value.ptr || !name.len || name.len > 255 || is_volatile(name))
			continue;
		struct variable *variable = variable_of(env, name);
		if (!variable)
			return;
		if (variable->value.ptr) {
			variable->same |= slice_equal(value, variable->value);
			variable->differs |= !slice_equal(value, variable->value);
		}
		if (!variable->running)
			variable->running_value = arena_slice(&env->sink->arena, value);
		else
			variable->varies |= !slice_equal(variable->running_value, value);
		variable->running = true;
	}
}

/* A person's shell that stands in the release is none of the application's. */
static bool has_terminal(int pid)
{
	char path[64];
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	struct err err = ERR_INIT;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read_at(AT_FDCWD, path, &text, &err))
		return false;
	/* pid (comm) state ppid pgrp session tty_nr; comm may hold anything. */
	struct slice rest = buf_slice(&text);
	const char *close = memrchr(rest.ptr, ')', rest.len);
	if (!close)
		return false;
	rest = slice_skip(rest, (size_t)(close - rest.ptr) + 1);
	struct slice word = {0};
	for (int i = 0; i < 5; i++)
		word = parse_word(&rest);
	return !slice_is(word, "0");
}

static void ask_as_user(struct env *env, const struct probe_process *process)
{
	struct probe_sink *sink = env->sink;
	const char *file = arena_printf(&sink->arena, "/proc/%d/environ", process->pid);
	const char *why = "permission denied",
		   *argv[] = {"sudo", "-n", "-u", process->user, "/usr/bin/cat", file, NULL};
	struct slice text = {0};

	/* Where no administrator prepared anything, sudo is not asked. */
	if (helper_is_there(sink) && process->user && process->user[0] != '-')
		text = probe_command(sink, argv, 3000, ENVIRON_MAX, &why);
	if (text.ptr) {
		take_environ(env, text);
		return;
	}
	if (!env->unreadable)
		env->unreadable = arena_printf(&sink->arena,
					       "the environment of %s's processes may not be read; with the "
					       "helper installed, this line in sudoers "
					       "(sudo 1.9.10 or later) allows it: %s ALL=(%s) NOPASSWD: "
					       "/usr/bin/cat ^/proc/[0-9]+/environ$",
					       process->user ? process->user : "another user",
					       names_us(&env->names), process->user ? process->user : "USER");
}

static void read_process(struct env *env, const struct probe_process *process)
{
	AUTO(buf_free) struct buf text = BUF_SECRET(ENVIRON_MAX);
	struct err err = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", process->pid);
	if (process->readable && file_read_at(AT_FDCWD, path, &text, &err) == 0)
		take_environ(env, buf_slice(&text));
	else if (!process->readable || err.code == ERR_DENIED)
		ask_as_user(env, process);
}

static bool is_service(const struct probe_process *process)
{
	return process->unit && slice_ends_with(slice_of(process->unit), ".service") &&
	       !slice_starts_with(slice_of(process->unit), "ssh") &&
	       !slice_starts_with(slice_of(process->unit), "user@");
}

static int read_processes(struct env *env, struct err *err)
{
	struct probe_process *processes;
	size_t count, services = 0, taken = 0;

	if (probe_processes(env->sink, &processes, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++)
		services += is_service(&processes[i]);
	for (size_t i = 0; i < count && taken < ENV_PROCESSES_MAX; i++) {
		/* Agents of lockstep, ours too, run from there. */
		bool agent = processes[i].exe && strstr(processes[i].exe, "/.lockstep/agent-");
		if (agent || (services && !is_service(&processes[i])) || has_terminal(processes[i].pid))
			continue;
		taken++;
		read_process(env, &processes[i]);
	}
	return 0;
}

/* ---- facts ---- */

static void put_running(struct env *env, const struct variable *variable)
{
	struct probe_sink *sink = env->sink;
	struct slice key = probe_key(sink, "env/%.*s/running", SLICE_ARG(variable->name));

	if (env->files == 0)
		return; /* nothing to hold it against */
	if (env->looked_at == 0 || (env->unreadable && !variable->running)) {
		probe_skip(sink, key, "%s",
			   env->unreadable ? env->unreadable : "no process of the application runs");
		return;
	}
	if (!variable->value.ptr)
		probe_text(sink, key, SLICE("only in the process"));
	else if (!variable->running)
		probe_text(sink, key, SLICE("missing in the process"));
	else if (variable->differs && variable->refers)
		probe_skip(sink, key, "its value in the file refers to other variables");
	else
		probe_text(sink, key,
			   variable->differs ? SLICE("differs from the file") : SLICE("as in the file"));
}

static void put_variable(struct env *env, const struct variable *variable)
{
	struct probe_sink *sink = env->sink;
	struct slice value = variable->value.ptr ? variable->value : variable->running_value;
	struct slice key = probe_key(sink, "env/%.*s/value", SLICE_ARG(variable->name));

	if (variable->value.ptr || env->files == 0)
		probe_text(sink, probe_key(sink, "env/%.*s/present", SLICE_ARG(variable->name)),
			   SLICE("yes"));
	if (!variable->value.ptr && variable->varies)
		probe_skip(sink, key, "the application's processes differ in it");
	else
		probe_secret(sink, key, value);
	put_running(env, variable);
}

static int env_run(struct probe_sink *sink, struct err *err)
{
	struct env env = {.sink = sink, .names = {.sink = sink}};
	struct err unread = ERR_INIT;

	(void)err;
	env.variables = ARENA_NEW_ARRAY(&sink->arena, ENV_NAMES_MAX, struct variable);
	read_files(&env);
	if (read_processes(&env, &unread))
		env.unreadable = arena_strdup(&sink->arena, unread.text);
	for (size_t i = 0; i < env.count; i++)
		put_variable(&env, &env.variables[i]);
	if (env.count == ENV_NAMES_MAX)
		probe_skip(sink, SLICE("env/"), "there are more than %d variables", ENV_NAMES_MAX);
	else if (env.files == 0 && env.looked_at == 0 && !env.closed)
		probe_skip(sink, SLICE("env/"), "%s",
			   env.unreadable ? env.unreadable
					  : "there is neither a file of variables nor a running process of "
					    "the application");
	map_free(&env.by_name);
	return 0;
}

static const struct probe_fact env_facts[] = {
	{"env/NAME/present", "text", "\"yes\": the deployed file of variables has it"},
	{"env/NAME/value", "hmac", "its value, as a fingerprint under the key of this run"},
	{"env/NAME/running", "text",
	 "what the application's processes were started with: as in the file, differs from the file, missing "
	 "in the "
	 "process, only in the process"},
	{"env/FILE/file", "evidence", "a file of variables that was said is not there"},
	{NULL, NULL, NULL},
};

const struct probe probe_env = {
	.dimension = "env",
	.text = "variables of the application: its files of variables against its running processes",
	.facts = env_facts,
	.run = env_run,
};
