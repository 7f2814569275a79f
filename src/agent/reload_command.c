/* Any shell command, run in the place's folder. */
#include "agent/reload.h"

static int run_it(struct reload *reload, struct err *err)
{
	return reload_run(reload, reload->subject, "the reload command", NULL, err);
}

const struct reload_kind reload_command = {
	.kind = RELOAD_COMMAND,
	.summary = "a shell command",
	.reload = run_it,
	.processes = reload_no_processes,
};
