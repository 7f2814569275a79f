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

const struct reload_kind reload_supervisor = {
	.name = "supervisor",
	.summary = "a program under supervisord: supervisorctl restart",
	.reload = restart_program,
	.processes = reload_no_processes,
};
