/* A program under supervisord: restarted; its process by `supervisorctl pid`. */
#include "agent/reload.h"

#include <stdlib.h>
#include <unistd.h>

static bool is_program_name(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
		      strchr(":-_.*", *c)))
			return false;
	return *text && *text != '-';
}

static int restart_program(struct reload *reload, struct err *err)
{
	const char *program = reload->subject;

	if (!is_program_name(program))
		return err_set(err, ERR_USER, "\"%s\" is no name of a supervisor program", program);
	const char *sudo = geteuid() == 0 ? "" : "sudo -n ";
	return reload_run(reload, arena_printf(reload->arena, "%ssupervisorctl restart '%s'", sudo, program),
			  arena_printf(reload->arena, "supervisorctl restart %s", program),
			  geteuid() == 0 ? NULL
					 : arena_printf(reload->arena,
							"let the deploy user do exactly this, with a line in sudoers: "
							"%s ALL=(root) NOPASSWD: /usr/bin/supervisorctl restart %s",
							getenv("USER") ? getenv("USER") : "DEPLOYUSER", program),
			  err);
}

/* It is restarted, so the process itself is new, and all below it. */
static bool program_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count)
{
	AUTO(buf_free) struct buf out = BUF_INIT(4096);
	struct command_result result;
	struct err err = ERR_INIT;
	const char *sudo = geteuid() == 0 ? "" : "sudo -n ";
	struct command command = {
		.text = arena_printf(reload->arena, "%ssupervisorctl pid '%s'", sudo, reload->subject),
		.dir = reload->session->place.path,
		.env = command_environment(reload->session, reload->arena, NULL),
		.timeout_ms = 10000,
	};

	*count = 0;
	if (max == 0 || command_ask(reload->session, &command, &out, &result, &err) || result.status != 0 ||
	    !slice_to_u64(slice_trim(buf_slice(&out)), &pids[0]) || pids[0] < 2)
		return false;
	*count = 1;
	reload_add_children(pids, max, count);
	return true;
}

const struct reload_kind reload_supervisor = {
	.name = "supervisor",
	.summary = "a program under supervisord: supervisorctl restart",
	.reload = restart_program,
	.processes = program_processes,
};
