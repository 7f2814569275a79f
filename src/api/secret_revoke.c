/* secret revoke: values that must not come back. */
#include "api/list.h"

#include "model/config_version.h"

static int run_revoke(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const char *environment = input_str(in, "environment"), *name = input_str(in, "name");
	const struct environment *known;
	size_t count;

	if (project_find_environment(engine->project, environment, &known, err) ||
	    config_version_purge(engine->home.db, engine->project->name, environment, name, &count, err))
		return -1;
	*out = json_pack("{s:s, s:s, s:I}", "environment", environment, "name", name, "removed", (json_int_t)count);
	return 0;
}

static const struct operation_key revoke_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" },
	{ "name", OPERATION_STRING, .positional = true, .value = "NAME", .text = "the variable" },
};

const struct operation operation_secret_revoke = {
	.name = "secret revoke",
	.summary = "remove the copies of a secret's values that this machine keeps for rollbacks",
	.details = "Where a provider keeps no versions, this machine keeps sealed copies of what was deployed. They go away;\n"
		   "fingerprints stay. Config files in activations that servers still keep hold their values until those are\n"
		   "pruned (`keep`), and a rollback brings them back unless the variable says `on_rollback: latest`.",
	.keys = revoke_keys,
	.key_count = ARRAY_LEN(revoke_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.run = run_revoke,
};
