/* version: the program and the agents it carries. */
#include "api/list.h"

#include "agent/embedded.h"

static int run_version(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	size_t count;
	const struct embedded_agent *agents = embedded_agents(&count);
	json_t *list = json_array();

	(void)engine, (void)in, (void)err;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "arch", agents[i].arch, "digest",
						      agents[i].digest_hex, "bytes", (json_int_t)agents[i].bytes.len));
	*out = json_pack("{s:s, s:o}", "version", LOCKSTEP_VERSION, "agents", list);
	return 0;
}

const struct operation operation_version = {
	.name = "version",
	.summary = "the version of the program and the agents it carries",
	.details = "",
	.permission = PERMISSION_NONE,
	.need = NEED_NOTHING,
	.run = run_version,
};
