/* allow, accept, revert: what to do about a finding. */
#include "api/list.h"

#include "base/clock.h"
#include "engine/parity_accept.h"
#include "engine/parity_result.h"
#include "model/parity_allow.h"
#include "model/parity_finding.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	enum rule_kind kind;
} plain_kinds[] = {
	{"ignore", RULE_IGNORE}, {"present", RULE_PRESENT}, {"minor", RULE_MINOR},
	{"major", RULE_MAJOR},	 {"same", RULE_SAME},	    {"unique", RULE_UNIQUE},
};

/* "2027-03-01" to the end of that day. */
static int parse_until(const char *text, int64_t *out, struct err *err)
{
	char iso[CLOCK_ISO_LEN + 1];

	snprintf(iso, sizeof(iso), "%.10sT23:59:59Z", text);
	if (strlen(text) == 10 && clock_parse_iso(slice_of(iso), out))
		return 0;
	return err_set(err, ERR_USER, "--until %s is no date such as 2027-03-01", text);
}

static int parse_kind(struct rule *rule, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(plain_kinds); i++)
		if (strcmp(plain_kinds[i].name, name) == 0) {
			rule->kind = plain_kinds[i].kind;
			return 0;
		}
	if (strncmp(name, "ratio=", 6) == 0) {
		char *end;
		rule->kind = RULE_RATIO;
		rule->ratio = strtod(name + 6, &end);
		if (*end == 0 && rule->ratio > 0 && rule->ratio <= 1)
			return 0;
	}
	err_set(err, ERR_USER, "--as %s is no kind of rule", name);
	return err_hint(err, "ignore, present, minor, major, same, unique or ratio=0.25");
}

static int run_add(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const char *fact = input_str(in, "fact"), *until = input_str(in, "until"),
		   *kind = input_str(in, "as");
	const json_t *environments = json_object_get(in, "env");
	struct parity_allow allow = {
		.project = engine->project->name,
		.who = engine->who,
		.created_ms = clock_wall_ms(),
		.rule = {.fact = fact,
			 .kind = RULE_IGNORE,
			 .owner = input_str(in, "owner"),
			 .reason = input_str(in, "reason")},
	};
	struct parity_finding finding;
	struct err unknown = ERR_INIT;

	if (!allow.rule.reason || !*allow.rule.reason) {
		err_set(err, ERR_USER, "a difference that is allowed needs a --reason");
		return err_hint(err,
				"the next person reads it: lockstep allow add %s --reason \"staging is small "
				"on purpose\"",
				fact);
	}
	if (!allow.rule.owner)
		allow.rule.owner = engine->who;
	if ((kind && parse_kind(&allow.rule, kind, err)) ||
	    (until && parse_until(until, &allow.rule.until_ms, err)))
		return -1;
	/* A finding's id stands for its fact. */
	if (!strchr(fact, '/')) {
		if (parity_finding_find(engine->home.db, &engine->arena, engine->project->name, fact,
					&finding, &unknown)) {
			err_set(err, ERR_USER, "%s is neither a fact nor the id of a finding", fact);
			return err_hint(err, "a fact is written as in `lockstep facts ENV`, such as "
					     "hw/memory/total; * stands for anything");
		}
		/* All of a tree. */
		allow.rule.fact = arena_printf(&engine->arena, "%s%s", finding.key,
					       slice_ends_with(slice_of(finding.key), "/") ? "*" : "");
	}
	size_t count = json_array_size(environments);
	const char **names = ARENA_NEW_ARRAY(&engine->arena, count, const char *);
	for (size_t i = 0; i < count; i++) {
		const struct environment *environment;
		if (project_find_environment(engine->project,
					     json_string_value(json_array_get(environments, i)), &environment,
					     err))
			return -1;
		names[i] = environment->name;
	}
	allow.rule.environments = names;
	allow.rule.environment_count = count;
	if (parity_allow_put(engine->home.db, &allow, &allow.number, err))
		return -1;
	*out = json_pack("{s:I, s:o, s:s, s:s}", "rule", (json_int_t)allow.number, "fact",
			 json_text(slice_of(allow.rule.fact)), "kind", rule_kind_name(allow.rule.kind), "how",
			 "it is kept on this machine alone: put it under `parity: allow:` in lockstep.yml "
			 "for everybody");
	return 0;
}

static const struct operation_key add_keys[] = {
	{"fact", OPERATION_STRING, .positional = true, .value = "FACT",
	 .text = "a fact, * for anything in it; or the id of a finding"},
	{"reason", OPERATION_STRING, .value = "TEXT", .text = "why it may differ"},
	{"owner", OPERATION_STRING, .value = "WHO", .text = "who answers for it (you)"},
	{"until", OPERATION_STRING, .value = "DATE", .text = "from the day after it is a finding again"},
	{"as", OPERATION_STRING, .value = "KIND",
	 .text = "ignore (default), present, minor, major, same, unique, ratio=N"},
	{"env", OPERATION_LIST, .value = "ENV", .text = "only where these environments differ"},
};

const struct operation operation_allow_add = {
	.name = "allow add",
	.summary = "let something differ, with a reason, an owner and perhaps a date",
	.details = "Kept on this machine, over the rules of lockstep.yml; those stand under `parity: allow:` "
		   "and count for\n"
		   "everybody. A rule that lapsed, and one that nothing needs any more, become findings "
		   "themselves.",
	.keys = add_keys,
	.key_count = ARRAY_LEN(add_keys),
	.permission = PERMISSION_ADMIN,
	.need = NEED_PROJECT,
	.run = run_add,
};

static json_t *listed(const struct rule *rule, int64_t number)
{
	json_t *environments = json_array();
	json_t *out =
		json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:o}", "fact", json_text(slice_of(rule->fact)),
			  "kind", rule_kind_name(rule->kind), "where", text_or_null(rule->where), "owner",
			  text_or_null(rule->owner), "reason", text_or_null(rule->reason), "until",
			  (json_int_t)rule->until_ms, "environments", environments);

	for (size_t i = 0; i < rule->environment_count; i++)
		json_array_append_new(environments, json_string(rule->environments[i]));
	if (number)
		json_object_set_new(out, "rule", json_integer((json_int_t)number));
	return out;
}

static int run_list(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct parity_allow_list kept;
	json_t *list = json_array();

	(void)in;
	if (parity_allow_list(engine->home.db, &engine->arena, engine->project->name, &kept, err)) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 0; i < engine->project->parity.rules.count; i++)
		json_array_append_new(list, listed(&engine->project->parity.rules.items[i], 0));
	for (size_t i = 0; i < kept.count; i++)
		json_array_append_new(list, listed(&kept.items[i].rule, kept.items[i].number));
	*out = json_pack("{s:o}", "rules", list);
	return 0;
}

const struct operation operation_allow_list = {
	.name = "allow list",
	.summary = "the rules: of lockstep.yml, and those kept on this machine",
	.details = "Later rules stand over earlier ones, and all of them over the shipped policy\n"
		   "(docs/reference/parity-policy.md).",
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_list,
};

static int run_remove(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	int64_t number = input_int(in, "rule", 0);

	if (parity_allow_remove(engine->home.db, engine->project->name, number, err)) {
		if (err->code == ERR_NOT_FOUND)
			err_hint(err, "`lockstep allow list` shows their numbers; a rule of lockstep.yml is "
				      "removed there");
		return -1;
	}
	*out = json_pack("{s:I}", "rule", (json_int_t)number);
	return 0;
}

static const struct operation_key remove_keys[] = {
	{"rule", OPERATION_INT, .positional = true, .value = "N",
	 .text = "its number in `lockstep allow list`"},
};

const struct operation operation_allow_remove = {
	.name = "allow remove",
	.summary = "forget a rule kept on this machine",
	.details = "",
	.keys = remove_keys,
	.key_count = ARRAY_LEN(remove_keys),
	.permission = PERMISSION_ADMIN,
	.need = NEED_PROJECT,
	.run = run_remove,
};

static int run_accept(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	return parity_accept(engine, input_str(in, "finding"), out, err);
}

static const struct operation_key finding_keys[] = {
	{"finding", OPERATION_STRING, .positional = true, .value = "FINDING",
	 .text = "its id, or a beginning of it"},
};

const struct operation operation_accept = {
	.name = "accept",
	.summary = "how the project would say what a server shows: a patch, a value, or a rule",
	.details = "For a file edited on a server the patch goes to standard output: `lockstep accept ID | "
		   "git apply`.\n"
		   "Nothing is changed, neither here nor there.",
	.keys = finding_keys,
	.key_count = ARRAY_LEN(finding_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_accept,
};

static int run_revert(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	enum { WAIT_MS = 600000 };
	const struct revert_request request = {
		.finding = input_str(in, "finding"),
		.dry_run = input_flag(in, "dry_run"),
		.reason = input_str(in, "reason"),
		.wait_ms = input_int(in, "wait", WAIT_MS),
	};

	return parity_revert(engine, &request, out, err);
}

static const struct operation_key revert_keys[] = {
	{"finding", OPERATION_STRING, .positional = true, .value = "FINDING",
	 .text = "its id, or a beginning of it"},
	{"dry_run", OPERATION_FLAG, .text = "show the plan and stop"},
	{"reason", OPERATION_STRING, .value = "TEXT", .text = "kept with the deployment"},
	{"wait", OPERATION_DURATION, .value = "TIME",
	 .text = "how long to wait for another deployment to end (10m)"},
};

const struct operation operation_revert = {
	.name = "revert",
	.summary = "put a server back to what was deployed: every file hashed, what was edited healed",
	.details =
		"Of findings of `lockstep drift`. What was edited is kept aside on the server. The whole "
		"environment is\n"
		"put back, not one file alone, since a server goes from one complete activation to another.",
	.keys = revert_keys,
	.key_count = ARRAY_LEN(revert_keys),
	.permission = PERMISSION_ROLLBACK,
	.need = NEED_PROJECT,
	.run = run_revert,
};
