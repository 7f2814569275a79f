/* diff, parity, drift, facts: environments held against each other. Looking changes nothing. */
#include "api/list.h"

#include "api/parity.h"
#include "engine/parity_history.h"

/* A list input as texts; with `split`, "env,db" is two. */
static struct str_list texts(struct arena *arena, const json_t *in, const char *name, bool split)
{
	const json_t *list = json_object_get(in, name);
	struct str_list out = {0};
	size_t index, most = 0;
	json_t *item;

	json_array_foreach(list, index, item)
	{
		most++;
		for (const char *text = json_string_value(item); *text; text++)
			most += *text == ',';
	}
	out.items = ARENA_NEW_ARRAY(arena, most, const char *);
	json_array_foreach(list, index, item)
	{
		struct slice rest = slice_of(json_string_value(item));
		if (!split)
			out.items[out.count++] = json_string_value(item);
		while (split && rest.ptr) {
			struct slice part = slice_trim(slice_cut(&rest, ','));
			if (part.len)
				out.items[out.count++] = arena_str(arena, part);
		}
	}
	return out;
}

struct parity_request parity_input(struct engine *engine, const json_t *in)
{
	struct str_list only = texts(&engine->arena, in, "only", true);
	struct str_list subjects = texts(&engine->arena, in, "subjects", false);

	return (struct parity_request){
		.subjects = subjects.items,
		.count = subjects.count,
		.reference = input_str(in, "reference"),
		.only = only.items,
		.only_count = only.count,
		.all = input_flag(in, "all"),
		.no_databases = input_flag(in, "no_databases"),
		.offline = input_flag(in, "offline"),
		.since = input_str(in, "since"),
	};
}

static int run_diff(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct parity_request request = parity_input(engine, in);

	return parity_diff(engine, &request, out, err);
}

static const struct operation_key diff_keys[] = {
	{"subjects", OPERATION_LIST, .positional = true, .value = "A B",
	 .text = "environments, places ([user@]host:path, a folder), release:ID"},
	PARITY_LOOK_KEYS,
	PARITY_SHOW_KEYS,
};

const struct operation operation_diff = {
	.name = "diff",
	.summary = "what differs between environments, servers or releases, in every dimension",
	.details = "Works without any file: `lockstep diff deploy@stg:/var/www/shop "
		   "deploy@prod:/var/www/shop`. Nothing is\n"
		   "changed or left behind on a server. The last one named is the reference, unless "
		   "--reference or the\n"
		   "project says otherwise. What could not be looked at is counted as not checked, never as "
		   "the same;\n"
		   "--coverage says why. Exit code 9 when there are differences no rule allows, else 4\n"
		   "when a server could not be looked at.",
	.keys = diff_keys,
	.key_count = ARRAY_LEN(diff_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT_IF_THERE,
	.run = run_diff,
};

static int run_parity(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct parity_request request = parity_input(engine, in);

	return parity_matrix(engine, &request, out, err);
}

static const struct operation_key parity_keys[] = {
	{"subjects", OPERATION_LIST, .positional = true, .optional = true, .value = "ENV",
	 .text = "only these environments"},
	{"since", OPERATION_STRING, .value = "RUN|AGE",
	 .text = "also what came and what went since that run, or that long"},
	PARITY_LOOK_KEYS,
	PARITY_SHOW_KEYS,
};

const struct operation operation_parity = {
	.name = "parity",
	.summary = "all environments in one matrix: what drifted, what to fix first, and why",
	.details =
		"Findings are ranked by how bad they are, whether the release that goes next touches them, "
		"who lacks\n"
		"what, and how long it has been so; each says why it stands where it does. Every run is kept "
		"on this\n"
		"machine. Rules and what is looked at: `parity` in lockstep.yml. Exit code 9 with findings.",
	.keys = parity_keys,
	.key_count = ARRAY_LEN(parity_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_parity,
};

static int run_drift(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct parity_request request = parity_input(engine, in);

	return parity_drift(engine, input_str(in, "environment"), &request, out, err);
}

static const struct operation_key drift_keys[] = {
	{"environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment"},
	PARITY_LOOK_KEYS,
	PARITY_SHOW_KEYS,
};

const struct operation operation_drift = {
	.name = "drift",
	.summary = "what changed on servers since the last deployment, and what waits to be deployed",
	.details = "Three sides are held against each other: what the project declares, what was deployed "
		   "last, and what is\n"
		   "there now. So a file edited on the server and code that nobody deployed yet are told "
		   "apart. Exit code 9\n"
		   "when somebody changed something on a server.",
	.keys = drift_keys,
	.key_count = ARRAY_LEN(drift_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_drift,
};

static int run_facts(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct parity_request request = parity_input(engine, in);
	const char *history = input_str(in, "history");

	if (!history)
		return parity_facts(engine, &request, out, err);
	if (!engine->project || request.count != 1)
		return err_set(err, ERR_USER, "--history is about one environment of a project");
	return parity_history_timeline(engine, request.subjects[0], history, out, err);
}

static const struct operation_key facts_keys[] = {
	{"subjects", OPERATION_LIST, .positional = true, .value = "ENV",
	 .text = "environments, places, release:ID"},
	{ "history", OPERATION_STRING, .value = "FACT", .text = "when this one changed, from the runs kept on this machine" },
	PARITY_LOOK_KEYS,
};

const struct operation operation_facts = {
	.name = "facts",
	.summary = "everything that can be seen of an environment, one fact a line",
	.details = "Secrets and what could be guessed from a fingerprint are shown as present, never by "
		   "value. What each\n"
		   "fact means: docs/reference/facts.md.",
	.keys = facts_keys,
	.key_count = ARRAY_LEN(facts_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT_IF_THERE,
	.run = run_facts,
};
