/* checklist and assess: what the advice of this field asks, answered from what is seen. */
#include "api/list.h"
#include "api/parity.h"

#include "engine/assess.h"
#include "engine/checklist.h"

static int run_checklist(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct parity_request request = parity_input(engine, in);

	return checklist_answer(engine, &request, out, err);
}

static const struct operation_key checklist_keys[] = {
	{"subjects", OPERATION_LIST, .positional = true, .optional = true, .value = "ENV",
	 .text = "only these environments"},
	PARITY_LOOK_KEYS,
	{"reference", OPERATION_STRING, .value = "ENV", .text = "what the others are held against"},
};

const struct operation operation_checklist = {
	.name = "checklist",
	.summary = "works on staging, breaks in production: seven questions, answered with evidence",
	.details = "Same OS, runtimes, database, endpoints, variables, permissions, network? An answer is "
		   "yes only when\n"
		   "everything the question asks for was looked at. Exit code 9 when one differs.",
	.keys = checklist_keys,
	.key_count = ARRAY_LEN(checklist_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT_IF_THERE,
	.run = run_checklist,
};

static int run_assess(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	(void)in;
	return assess(engine, out, err);
}

const struct operation operation_assess = {
	.name = "assess",
	.summary = "how deployments are done here, and the one step that would help most",
	.details = "Held against what is known to keep environments alike: built once, promoted in order, "
		   "configuration\n"
		   "declared and injected, migrations with the deployment, gates before production, no "
		   "deployments into the\n"
		   "weekend, drift looked for. From lockstep.yml, the repository beside it and this "
		   "machine's history;\n"
		   "nothing is asked of servers.",
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT_IF_THERE,
	.run = run_assess,
};
