/* The application's processes, as /proc shows them. */
#include "probe/internal.h"

#include "base/fd.h"
#include "codec/reload_spec.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROCESSES_MAX = 4096, PROC_FILE_MAX = 16 << 10, ANCESTORS_MAX = 64 };

struct search {
	struct probe_sink *sink;
	struct probe_process *items;
	size_t count;
	struct slice passwd;
	uint64_t wanted_uid;
	bool has_wanted, has_units;
	int ancestors[ANCESTORS_MAX]; /* whoever started this look stands in the folder too */
	size_t ancestor_count;
};

/* "NSpid:	1234	7": it has another number in a name space below ours (proc_pid_status(5)). */
bool process_is_contained(struct probe_sink *sink, const char *pid)
{
	const char *why;
	struct slice rest =
		probe_file(sink, arena_printf(&sink->arena, "/proc/%s/status", pid), PROC_FILE_MAX, &why);

	while (rest.ptr) {
		struct slice line = slice_cut(&rest, '\n');
		if (slice_starts_with(line, "NSpid:"))
			return slice_find(slice_trim(slice_skip(line, strlen("NSpid:"))), '\t') >= 0;
	}
	return false;
}

static struct slice proc_file(struct search *search, const char *pid, const char *name)
{
	const char *why;

	return probe_file(search->sink, arena_printf(&search->sink->arena, "/proc/%s/%s", pid, name),
			  PROC_FILE_MAX, &why);
}

static const char *proc_link(struct search *search, const char *pid, const char *name)
{
	char path[64], target[4096];

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	ssize_t len = readlink(path, target, sizeof(target) - 1);
	return len < 0 ? NULL : arena_str(&search->sink->arena, slice_make(target, (size_t)len));
}

/* The name of a number, or the number of a name, by /etc/passwd. */
static const char *user_name(struct search *search, uint64_t uid)
{
	for (struct slice rest = search->passwd; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n'), name = slice_cut(&line, ':');
		uint64_t number;
		slice_cut(&line, ':');
		if (slice_to_u64(slice_cut(&line, ':'), &number) && number == uid)
			return arena_str(&search->sink->arena, name);
	}
	return arena_printf(&search->sink->arena, "%llu", (unsigned long long)uid);
}

static bool user_number(struct search *search, const char *wanted, uint64_t *out)
{
	for (struct slice rest = search->passwd; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n'), name = slice_cut(&line, ':');
		slice_cut(&line, ':');
		if (slice_is(name, wanted))
			return slice_to_u64(slice_cut(&line, ':'), out);
	}
	return slice_to_u64(slice_of(wanted), out);
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = folder ? strlen(folder) : 0;

	return path && len > 1 && strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0);
}

/* "shop.service" of "0::/system.slice/shop.service"; a session's scope is no unit. */
static const char *unit_of(struct search *search, struct slice cgroup)
{
	const char *unit = NULL;

	for (struct slice rest = cgroup; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		while (line.ptr) {
			struct slice part = slice_cut(&line, '/');
			if (slice_ends_with(part, ".service"))
				unit = arena_str(&search->sink->arena, part);
		}
	}
	return unit;
}

static bool is_of_reload(const struct probe_request *request, const char *unit)
{
	for (size_t i = 0; unit && i < request->reload_count; i++) {
		struct slice name;
		if (!reload_spec_is(slice_of(request->reloads[i]), RELOAD_SYSTEMD, &name))
			continue;
		if (slice_is(name, unit) ||
		    (strlen(unit) == name.len + strlen(".service") && strncmp(unit, name.ptr, name.len) == 0))
			return true;
	}
	return false;
}

/* Fields of /proc/PID/stat from the third on. The name in parentheses before them may hold
 * anything, so they begin behind the last one. */
static struct slice stat_fields(struct search *search, const char *pid)
{
	struct slice text = proc_file(search, pid, "stat");
	const char *behind = text.ptr ? memrchr(text.ptr, ')', text.len) : NULL;

	return behind ? slice_trim(slice_skip(text, (size_t)(behind - text.ptr) + 1)) : slice_make(NULL, 0);
}

static struct slice stat_field(struct slice fields, int number)
{
	struct slice field = {0};

	for (int i = 3; i <= number && fields.ptr; i++)
		field = slice_cut(&fields, ' ');
	return field;
}

static void find_ancestors(struct search *search)
{
	uint64_t pid = (uint64_t)getpid();

	while (pid > 1 && search->ancestor_count < ANCESTORS_MAX) {
		char text[24];
		search->ancestors[search->ancestor_count++] = (int)pid;
		snprintf(text, sizeof(text), "%d", (int)pid);
		if (!slice_to_u64(stat_field(stat_fields(search, text), 4), &pid))
			return;
	}
}

static bool is_ancestor(const struct search *search, int pid)
{
	for (size_t i = 0; i < search->ancestor_count; i++)
		if (search->ancestors[i] == pid)
			return true;
	return false;
}

/* A person who stands in the folder with a shell or an editor is not the application. */
static bool is_persons(struct slice command, struct slice tty)
{
	static const char *const tools[] = {
		"bash", "zsh",	"fish", "sh",	 "dash",  "ksh",  "mksh",   "tcsh", "csh",  "nu",   "vi",
		"vim",	"nvim", "nano", "emacs", "less",  "more", "man",    "top",  "htop", "tail", "watch",
		"git",	"ssh",	"scp",	"sftp",	 "rsync", "tmux", "screen", "mc",   "su",   "sudo"};

	if (slice_is(command, "lockstep"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(tools) && !slice_is(tty, "0"); i++)
		if (slice_is(command, tools[i]))
			return true;
	return false;
}

static int visit(void *context, const char *pid, struct err *err)
{
	struct search *search = context;
	const struct probe_request *request = search->sink->request;
	char path[64];
	struct stat st;

	(void)err;
	if (!isdigit((unsigned char)pid[0]) || search->count >= PROCESSES_MAX ||
	    is_ancestor(search, atoi(pid)))
		return 0;
	const char *exe = proc_link(search, pid, "exe"), *cwd = proc_link(search, pid, "cwd");
	bool ours = is_below(exe, request->place) || is_below(cwd, request->place);
	/* Without a user or units to look for, most processes cost two links. */
	if (!ours && !search->has_wanted && !search->has_units)
		return 0;
	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (stat(path, &st) != 0)
		return 0;
	/* A user's number means somebody else inside of a container. */
	ours = ours || (search->has_wanted && st.st_uid == search->wanted_uid &&
			!process_is_contained(search->sink, pid));
	if (!ours && !search->has_units)
		return 0;
	const char *unit = unit_of(search, proc_file(search, pid, "cgroup"));
	if (!ours && !is_of_reload(request, unit))
		return 0;
	struct slice fields = stat_fields(search, pid), comm = slice_trim(proc_file(search, pid, "comm"));
	if (!fields.ptr || is_persons(comm, stat_field(fields, 7)))
		return 0;
	snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	AUTO(close_fd) int environ_fd = open(path, O_RDONLY | O_CLOEXEC);
	struct probe_process *process = &search->items[search->count++];
	*process = (struct probe_process){
		.pid = atoi(pid),
		.exe = exe,
		.user = user_name(search, st.st_uid),
		.command = arena_str(&search->sink->arena, comm),
		.unit = unit,
		.readable = environ_fd >= 0,
	};
	(void)!slice_to_u64(stat_field(fields, 22), &process->start);
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct probe_process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

int probe_processes(struct probe_sink *sink, struct probe_process **out, size_t *count_out, struct err *err)
{
	struct probe_common *common = sink->common;
	const char *why;

	if (common && common->knows_processes) {
		*out = common->processes;
		*count_out = common->process_count;
		return 0;
	}
	struct search search = {
		.sink = sink,
		.items = ARENA_NEW_ARRAY(&sink->arena, PROCESSES_MAX, struct probe_process),
		.passwd = probe_file(sink, "/etc/passwd", 4 << 20, &why),
	};

	for (size_t i = 0; i < sink->request->reload_count; i++) {
		struct slice unit;
		search.has_units |= reload_spec_is(slice_of(sink->request->reloads[i]), RELOAD_SYSTEMD, &unit);
	}
	if (sink->request->user)
		/* Our own logins would be among them, or the whole system. */
		search.has_wanted = user_number(&search, sink->request->user, &search.wanted_uid) &&
				    search.wanted_uid != getuid() && search.wanted_uid != 0;
	find_ancestors(&search);
	if (dir_each_at(AT_FDCWD, "/proc", visit, &search, err))
		return -1;
	qsort(search.items, search.count, sizeof(*search.items), by_pid);
	*out = search.items;
	*count_out = search.count;
	if (common)
		*common = (struct probe_common){search.items, search.count, true};
	return 0;
}
