/* A systemd unit: reload-or-restart, its processes by its control group. */
#include "agent/reload.h"
#include "agent/sudoers.h"

#include "base/fd.h"

#include <fcntl.h>
#include <unistd.h>

static int reload_unit(struct reload *reload, struct err *err)
{
	const char *unit = reload->subject;

	const char *sudo = geteuid() == 0 ? "" : "sudo -n ";
	const char *hint =
		arena_printf(reload->arena, "let the deploy user do exactly this, with a line in sudoers: %s",
			     sudoers_line(reload->arena, "systemctl", "reload-or-restart", NULL, unit));
	return reload_run(reload,
			  arena_printf(reload->arena, "%ssystemctl reload-or-restart '%s'", sudo, unit),
			  arena_printf(reload->arena, "systemctl reload-or-restart %s", unit),
			  geteuid() == 0 ? NULL : hint, err);
}

static bool unit_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count)
{
	AUTO(buf_free) struct buf group = BUF_INIT(4096);
	AUTO(buf_free) struct buf procs = BUF_INIT(256 << 10);
	struct command_result result;
	struct err err = ERR_INIT;
	struct command command = {
		.text = arena_printf(reload->arena, "systemctl show -p MainPID -p ControlGroup '%s'",
				     reload->subject),
		.dir = reload->session->place.path,
		.env = command_environment(reload->session, reload->arena, NULL),
		.timeout_ms = 10000,
	};

	*count = 0;
	if (command_ask(reload->session, &command, &group, &result, &err) || result.status != 0)
		return false;
	const char *path = "";
	uint64_t main_pid = 0, pid;
	for (struct slice rest = buf_slice(&group); rest.len;) {
		struct slice line = slice_cut(&rest, '\n');
		if (slice_starts_with(line, "ControlGroup="))
			path = arena_str(reload->arena, slice_skip(line, 13));
		else if (slice_starts_with(line, "MainPID=") && !slice_to_u64(slice_skip(line, 8), &main_pid))
			main_pid = 0;
	}
	if (path[0] != '/' || max == 0)
		return false;
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
					    "/sys/fs/cgroup/systemd"};
	bool found = false;
	for (size_t i = 0; i < ARRAY_LEN(roots) && !found; i++) {
		buf_clear(&procs);
		found = file_read_at(AT_FDCWD,
				     arena_printf(reload->arena, "%s%s/cgroup.procs", roots[i], path), &procs,
				     &err) == 0;
	}
	/* The master's seat is the first, also when nobody sits there. */
	pids[(*count)++] = main_pid;
	for (struct slice rest = buf_slice(&procs); rest.len;)
		if (slice_to_u64(slice_cut(&rest, '\n'), &pid) && pid != main_pid) {
			if (*count < max)
				pids[*count] = pid;
			(*count)++;
		}
	return found;
}

const struct reload_kind reload_systemd = {
	.kind = RELOAD_SYSTEMD,
	.summary = "a systemd unit: systemctl reload-or-restart",
	.in_place = true,
	.reload = reload_unit,
	.processes = unit_processes,
};
