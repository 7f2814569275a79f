/* The operating system: release, kernel, architecture, time, locale, limits, sysctl. */
#include "probe/kinds.h"
#include "probe/pins.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { SMALL_FILE_MAX = 64 << 10 };

static void release(struct probe_sink *sink)
{
	const char *why;
	struct slice text = probe_file(sink, "/etc/os-release", SMALL_FILE_MAX, &why);
	if (!text.ptr)
		text = probe_file(sink, "/usr/lib/os-release", SMALL_FILE_MAX, &why);
	if (!text.ptr) {
		probe_skip(sink, SLICE("os/release/"), "/etc/os-release: %s", why);
		return;
	}
	struct slice id = pin_assignment(text, "ID"), version = pin_assignment(text, "VERSION_ID");
	probe_text(sink, SLICE("os/release/name"), id.ptr ? id : SLICE("linux"));
	/* The point release is only in a file of its own. */
	struct slice point = slice_is(id, "debian")
				     ? slice_trim(probe_file(sink, "/etc/debian_version", 256, &why))
				     : (struct slice){0};
	probe_version(sink, SLICE("os/release/version"),
		      point.len	    ? point
		      : version.len ? version
				    : SLICE("rolling"));
}

static void kernel(struct probe_sink *sink)
{
	struct utsname name;

	if (uname(&name) != 0)
		return;
	probe_version(sink, SLICE("os/kernel/version"), slice_of(name.release));
	probe_str(sink, SLICE("os/kernel/build"), name.version);
	probe_str(sink, SLICE("os/arch/machine"), name.machine);
	probe_evidence(sink, SLICE("os/host/name"), slice_of(name.nodename));
}

static void zone(struct probe_sink *sink)
{
	char target[4096];
	const char *why, *zone = NULL;
	ssize_t len = readlink("/etc/localtime", target, sizeof(target) - 1);

	if (len > 0) {
		target[len] = 0;
		zone = strstr(target, "zoneinfo/");
		zone = zone ? zone + strlen("zoneinfo/") : NULL;
	}
	struct slice text = zone ? slice_of(zone) : slice_trim(probe_file(sink, "/etc/timezone", 256, &why));
	if (slice_is(text, "Etc/UTC") || slice_is(text, "UCT") || slice_is(text, "Zulu"))
		text = SLICE("UTC");
	probe_text(sink, SLICE("os/timezone/name"), text.len ? text : SLICE("UTC"));
}

/* To the quarter of a minute, so that machines that are right are equal. */
static void clock_facts(struct probe_sink *sink)
{
	enum { ROUND_MS = 15000 };
	struct timex state = {0};
	struct timespec now;
	char text[64];

	if (adjtimex(&state) >= 0)
		probe_str(sink, SLICE("os/clock/synchronized"), state.status & STA_UNSYNC ? "no" : "yes");
	else
		probe_skip(sink, SLICE("os/clock/synchronized"), "the kernel does not say");
	if (!sink->request->now_ms || clock_gettime(CLOCK_REALTIME, &now) != 0)
		return;
	int64_t offset = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - sink->request->now_ms;
	snprintf(text, sizeof(text), "%lld ms beside the clock that asked", (long long)offset);
	probe_evidence(sink, SLICE("os/clock/offset/measured"), slice_of(text));
	int64_t rounded = (offset + (offset < 0 ? -ROUND_MS / 2 : ROUND_MS / 2)) / ROUND_MS * ROUND_MS;
	probe_number(sink, SLICE("os/clock/offset/rounded"), rounded / 1000, "s");
	probe_str(sink, SLICE("os/clock/offset/state"),
		  rounded == 0 ? "right" : arena_printf(&sink->arena, "%lld s off", (long long)rounded / 1000));
}

static void locale(struct probe_sink *sink)
{
	const char *why;
	struct slice text = probe_file(sink, "/etc/default/locale", SMALL_FILE_MAX, &why);

	if (!text.ptr)
		text = probe_file(sink, "/etc/locale.conf", SMALL_FILE_MAX, &why);
	struct slice lang = pin_assignment(text, "LANG"), all = pin_assignment(text, "LC_ALL");
	probe_text(sink, SLICE("os/locale/lang"), lang.len ? lang : SLICE("not set"));
	probe_text(sink, SLICE("os/locale/all"), all.len ? all : SLICE("not set"));
}

/* --- limits ------------------------------------------------------------------------ */

static void put_limit(struct probe_sink *sink, const char *name, const char *side, struct slice value)
{
	probe_text(sink, probe_key(sink, "os/limit/%s/%s", name, side), value);
}

static struct slice limit_text(struct probe_sink *sink, rlim_t limit)
{
	return limit == RLIM_INFINITY
		       ? SLICE("unlimited")
		       : slice_of(arena_printf(&sink->arena, "%llu", (unsigned long long)limit));
}

static void own_limits(struct probe_sink *sink)
{
	static const struct {
		const char *name;
		int which;
	} rows[] = {{"open-files", RLIMIT_NOFILE},
		    {"processes", RLIMIT_NPROC},
		    {"stack", RLIMIT_STACK},
		    {"address-space", RLIMIT_AS}};
	struct rlimit limit;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (getrlimit((unsigned)rows[i].which, &limit) == 0) {
			put_limit(sink, rows[i].name, "soft", limit_text(sink, limit.rlim_cur));
			put_limit(sink, rows[i].name, "hard", limit_text(sink, limit.rlim_max));
		}
	probe_evidence(sink, SLICE("os/limit/whose"),
		       SLICE("those of a login: no process of the application could be read"));
}

/* "Max open files            1024                 1048576              files" */
static bool process_limits(struct probe_sink *sink, const struct probe_process *process)
{
	static const char *const rows[][2] = {{"Max open files", "open-files"},
					      {"Max processes", "processes"},
					      {"Max stack size", "stack"},
					      {"Max address space", "address-space"}};
	const char *why;
	struct slice text = probe_file(sink, arena_printf(&sink->arena, "/proc/%d/limits", process->pid),
				       SMALL_FILE_MAX, &why);

	if (!text.len)
		return false;
	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			if (!slice_starts_with(line, rows[i][0]))
				continue;
			struct slice values = slice_trim(slice_skip(line, strlen(rows[i][0])));
			struct slice soft = slice_cut(&values, ' ');
			values = slice_trim(values);
			put_limit(sink, rows[i][1], "soft", soft);
			put_limit(sink, rows[i][1], "hard", slice_cut(&values, ' '));
		}
	}
	probe_evidence(sink, SLICE("os/limit/whose"),
		       slice_of(arena_printf(&sink->arena, "those of %s", process->command)));
	return true;
}

static void limits(struct probe_sink *sink)
{
	struct probe_process *processes;
	struct err unreadable = ERR_INIT;
	size_t count = 0;

	if (probe_processes(sink, &processes, &count, &unreadable))
		count = 0;
	for (size_t i = 0; i < count; i++)
		if (process_limits(sink, &processes[i]))
			return;
	own_limits(sink);
}

/* --- sysctl -------------------------------------------------------------------------- */

static const char *const settings[] = {
	"fs/file-max",
	"fs/inotify/max_user_instances",
	"fs/inotify/max_user_watches",
	"kernel/pid_max",
	"kernel/randomize_va_space",
	"kernel/shmmax",
	"kernel/threads-max",
	"net/core/rmem_max",
	"net/core/somaxconn",
	"net/core/wmem_max",
	"net/ipv4/ip_forward",
	"net/ipv4/ip_local_port_range",
	"net/ipv4/tcp_fin_timeout",
	"net/ipv4/tcp_keepalive_time",
	"net/ipv4/tcp_max_syn_backlog",
	"net/ipv4/tcp_tw_reuse",
	"net/ipv6/conf/all/disable_ipv6",
	"vm/max_map_count",
	"vm/overcommit_memory",
	"vm/overcommit_ratio",
	"vm/swappiness",
};

static void sysctl_facts(struct probe_sink *sink)
{
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		char name[128];
		const char *why;
		snprintf(name, sizeof(name), "%s", settings[i]);
		for (char *c = name; *c; c++)
			*c = *c == '/' ? '.' : *c;
		struct slice key = probe_key(sink, "os/sysctl/%s/value", name);
		const char *path = arena_printf(&sink->arena, "/proc/sys/%s", settings[i]);
		struct slice text = slice_trim(probe_file(sink, path, SMALL_FILE_MAX, &why));
		char *value = arena_str(&sink->arena, text);
		for (char *c = value; *c; c++)
			*c = *c == '\t' ? ' ' : *c;
		if (text.len)
			probe_str(sink, key, value);
		else if (why && access(path, F_OK) == 0)
			probe_skip(sink, key, "%s", why);
	}
	const char *why;
	struct slice pages = probe_file(sink, "/sys/kernel/mm/transparent_hugepage/enabled", 256, &why);
	ptrdiff_t open = pages.ptr ? slice_find(pages, '[') : -1,
		  close = pages.ptr ? slice_find(pages, ']') : -1;
	if (open >= 0 && close > open)
		probe_text(sink, SLICE("os/sysctl/transparent_hugepage/value"),
			   slice_make(pages.ptr + open + 1, (size_t)(close - open - 1)));
}

static int run(struct probe_sink *sink, struct err *err)
{
	(void)err;
	release(sink);
	kernel(sink);
	zone(sink);
	clock_facts(sink);
	locale(sink);
	limits(sink);
	sysctl_facts(sink);
	return 0;
}

static const struct probe_fact facts[] = {
	{"os/release/name", "text", "the distribution, ID of /etc/os-release"},
	{"os/release/version", "version", "its version; on Debian with the point release"},
	{"os/kernel/version", "version", "as `uname -r` says"},
	{"os/kernel/build", "text", "as `uname -v` says"},
	{"os/arch/machine", "text", "as `uname -m` says"},
	{"os/host/name", "evidence", "the host's own name"},
	{"os/timezone/name", "text", "the system's time zone"},
	{"os/clock/synchronized", "text", "whether the kernel's clock is kept right by a time service"},
	{"os/clock/offset/state", "text", "`right`, or how far the clock is off the one that asked"},
	{"os/clock/offset/rounded", "number", "how far, to 15 s; `measured` is the exact figure, evidence"},
	{"os/locale/lang", "text", "LANG of the system's default locale; `all`: LC_ALL"},
	{"os/limit/NAME/soft", "text",
	 "of the application's process where one can be read, else of a login; `hard` too"},
	{"os/limit/whose", "evidence", "which of the two"},
	{"os/sysctl/NAME/value", "text", "kernel settings that change how an application behaves"},
	{NULL, NULL, NULL},
};

const struct probe probe_os = {
	.dimension = "os",
	.text = "operating system: release, kernel, clock, locale, limits, kernel settings",
	.facts = facts,
	.run = run,
};
