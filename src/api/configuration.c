/* config explain, config diff, config history, config import: looking at configuration,
 * and taking it in. */
#include "api/list.h"

#include "engine/config_import.h"
#include "engine/config_view.h"

static int run_explain(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const char *only = input_str(in, "env"), *name = input_str(in, "variable");
	const struct environment **order = project_order(&engine->arena, engine->project);
	json_t *list = json_array();
	int result = 0;

	for (size_t i = 0; i < engine->project->environments.count && result == 0; i++) {
		json_t *one = NULL;
		result = config_explain(engine, only ? only : order[i]->name, name, &one, err);
		if (one)
			json_array_append_new(list, one);
		if (only)
			break;
	}
	*out = json_pack("{s:s, s:o}", "variable", name, "environments", list);
	return result;
}

static const struct operation_key explain_keys[] = {
	{ "variable", OPERATION_STRING, .positional = true, .value = "KEY", .text = "the variable" },
	{ "env", OPERATION_STRING, .value = "ENV", .text = "the environment; all of them when absent" },
};

const struct operation operation_config_explain = {
	.name = "config explain",
	.summary = "where a variable's value comes from: every candidate, which won and why",
	.details = "A server's own value goes before its group's, that before the environment's, that before the\n"
		   "project's, that before the default of the contract. Values of secrets are never shown.",
	.keys = explain_keys,
	.key_count = ARRAY_LEN(explain_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_explain,
};

static int run_diff(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const json_t *list = json_object_get(in, "environments");
	size_t count = json_array_size(list);
	const char **names = ARENA_NEW_ARRAY(&engine->arena, count, const char *);
	const char *version = input_str(in, "version");
	const struct compare_options options = { .all = input_flag(in, "all"), .names_only = input_flag(in, "names") };

	for (size_t i = 0; i < count; i++)
		names[i] = json_string_value(json_array_get(list, i));
	if (count == 1)
		return config_compare_version(engine, names[0], version, options.all, out, err);
	if (version)
		return err_set(err, ERR_USER, "--version goes with one environment: it is compared with what it is now");
	return config_compare(engine, names, count, &options, out, err);
}

static const struct operation_key diff_keys[] = {
	{ "environments", OPERATION_LIST, .positional = true, .value = "ENV...",
	  .text = "two or more environments; or one, which is compared with what it ran with last" },
	{ "version", OPERATION_STRING, .value = "CONFIG", .text = "with one environment: a config set or deployment of its history" },
	{ "all", OPERATION_FLAG, .text = "also what is the same" },
	{ "names", OPERATION_FLAG, .text = "ask providers for names only: what is there and what is missing" },
};

const struct operation operation_config_diff = {
	.name = "config diff",
	.summary = "which variables environments have, lack, and have differently",
	.details = "same: equal. expected: different as the contract wants it. different: nobody said that it may be.\n"
		   "missing: required, or undeclared, and not there. Ends with 9 when something is missing where it is\n"
		   "required, or not `same` or `unique` as declared. Values of secrets are compared, never shown.",
	.keys = diff_keys,
	.key_count = ARRAY_LEN(diff_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_diff,
};

static int run_history(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	int64_t last = input_int(in, "last", 20);

	if (last < 1 || last > PAGE_LIMIT_MAX)
		return err_set(err, ERR_USER, "--last takes a number from 1 to %d", PAGE_LIMIT_MAX);
	return config_history(engine, input_str(in, "environment"), (size_t)last, out, err);
}

static const struct operation_key history_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" },
	{ "last", OPERATION_INT, .value = "N", .text = "how many (20)" },
};

const struct operation operation_config_history = {
	.name = "config history",
	.summary = "the configurations an environment ran with, as this machine knows them",
	.details = "`lockstep config diff ENV --version CONFIG` shows what is different now.",
	.keys = history_keys,
	.key_count = ARRAY_LEN(history_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_history,
};

static int run_import(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const json_t *list = json_object_get(in, "path");
	size_t count = json_array_size(list);
	const char **names = ARENA_NEW_ARRAY(&engine->arena, count, const char *);

	for (size_t i = 0; i < count; i++)
		names[i] = json_string_value(json_array_get(list, i));
	const struct import_request request = {
		.environment = input_str(in, "environment"),
		.file = input_str(in, "env_file"),
		.names = names,
		.name_count = count,
		.sealed = input_str(in, "sealed"),
		.dry_run = input_flag(in, "dry_run"),
	};
	if (!request.file == !input_flag(in, "from_server")) {
		err_set(err, ERR_USER, "say where from: a file, or --from-server");
		return err_hint(err, "`lockstep config import %s .env`, or `lockstep config import %s --from-server`",
				request.environment, request.environment);
	}
	return config_import(engine, &request, out, err);
}

static const struct operation_key import_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment the values are of" },
	{ "env_file", OPERATION_STRING, .positional = true, .optional = true, .value = "FILE", .text = "a .env file on this machine" },
	{ "from_server", OPERATION_FLAG, .text = "read the files of the environment's servers" },
	{ "path", OPERATION_LIST, .value = "PATH", .text = "with --from-server: which files, in current/, shared/ or the place itself (.env)" },
	{ "sealed", OPERATION_STRING, .value = "FILE", .text = "the sealed file; otherwise that of values_from, or deploy/ENV.sealed" },
	{ "dry_run", OPERATION_FLAG, .text = "seal nothing, only show what would come" },
};

const struct operation operation_config_import = {
	.name = "config import",
	.summary = "take in existing .env files: secrets sealed, the rest and the contract as YAML",
	.details = "What looks like a secret, or is declared one, is sealed for the environment; everything else is printed\n"
		   "for lockstep.yml together with the contract that can be inferred. Differences in keys between servers,\n"
		   "and to the contract there is, are listed. Nothing is changed on a server or in lockstep.yml.",
	.keys = import_keys,
	.key_count = ARRAY_LEN(import_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.run = run_import,
};
