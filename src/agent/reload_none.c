/* Nothing to reload: static files, or an application that reads `current` anew. */
#include "agent/reload.h"

static int do_nothing(struct reload *reload, struct err *err)
{
	(void)reload, (void)err;
	return 0;
}

const struct reload_kind reload_none = {
	.kind = RELOAD_NONE,
	.summary = "nothing has to be told",
	.reload = do_nothing,
	.processes = reload_no_processes,
};
