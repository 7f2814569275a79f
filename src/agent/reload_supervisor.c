/* A program or group under supervisord: restarted; its processes by `supervisorctl status`. */
#include "agent/reload.h"
#include "agent/sudoers.h"

#include <unistd.h>

static int restart_program(struct reload *reload, struct err *err)
{
	const char *program = reload->subject;

	const char *sudo = geteuid() == 0 ? "" : "sudo -n ";
	return reload_run(
		reload, arena_printf(reload->arena, "%ssupervisorctl restart '%s'", sudo, program),
		arena_printf(reload->arena, "supervisorctl restart %s", program),
		geteuid() == 0
			? NULL
			: arena_printf(
				  reload->arena,
				  "let the deploy user do exactly this, with a line in sudoers: %s",
				  sudoers_line(reload->arena, "supervisorctl", "restart", "status", program)),
		err);
}

/* "shop-worker:shop-worker_00   RUNNING   pid 1234, uptime 0:00:05", one line a process. */
static bool pid_of(struct slice line, uint64_t *pid)
{
	slice_cut(&line, ' ');
	while (line.ptr)
		if (slice_is(slice_cut(&line, ' '), "pid"))
			return slice_to_u64(slice_cut(&line, ','), pid) && *pid > 1;
	return false;
}

/* They are restarted, so each process itself is new, and all below it. */
static bool program_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count)
{
	AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);
	struct command_result result;
	struct err err = ERR_INIT;
	const char *sudo = geteuid() == 0 ? "" : "sudo -n ";
	struct command command = {
		.text = arena_printf(reload->arena, "%ssupervisorctl status '%s'", sudo, reload->subject),
		.dir = reload->session->place.path,
		.env = command_environment(reload->session, reload->arena, NULL),
		.timeout_ms = 10000,
	};

	*count = 0;
	if (command_ask(reload->session, &command, &out, &result, &err) || result.status != 0)
		return false;
	for (struct slice rest = buf_slice(&out); rest.len && *count < max;)
		*count += pid_of(slice_cut(&rest, '\n'), &pids[*count]);
	reload_add_children(pids, max, count);
	return *count > 0;
}

const struct reload_kind reload_supervisor = {
	.kind = RELOAD_SUPERVISOR,
	.summary = "a program or group under supervisord: supervisorctl restart",
	.reload = restart_program,
	.processes = program_processes,
};
