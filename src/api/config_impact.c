/* config impact: which projects and environments a template has a say in, and what it
 * would alter there now. */
#include "api/list.h"

#include "engine/impact.h"

static int run_impact(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	return impact_of_template(engine, input_str(in, "template"), out, err);
}

static const struct operation_key keys[] = {
	{ "template", OPERATION_STRING, .positional = true, .value = "TEMPLATE",
	  .text = "lockstep:NAME, a path, or git+URL//PATH, with @COMMIT for another commit than is written" },
};

const struct operation operation_config_impact = {
	.name = "config impact",
	.summary = "which projects and environments a template alters, and how",
	.details = "Compares what every environment that was deployed from this machine was delivered with, and what its\n"
		   "lockstep.yml resolves to now. Nothing is changed. What was never deployed from here is not known.",
	.keys = keys,
	.key_count = ARRAY_LEN(keys),
	.permission = PERMISSION_READ,
	.need = NEED_HOME,
	.run = run_impact,
};
