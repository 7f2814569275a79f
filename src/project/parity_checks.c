/* What of `parity` and `require` is right in each row but wrong together, and what
 * follows: the reference, the rules, what each environment is looked at for. */
#include "project/keys.h"

#include "values/interpolate.h"

struct parity_resolver {
	struct arena *arena;
	struct diags *diags;
	struct project *project;
};

/* Element of a list, or the value that stands for a list of one. */
static struct origin element_origin(const struct node *map, const char *key, size_t index)
{
	const struct node *node = node_get(map, key);
	if (node && node->kind == NODE_LIST && index < node->count)
		return node->items[index].value->origin;
	return node ? node->origin : node_key_origin(map, key);
}

/* ---- the reference ---- */

static bool is_promoted_from(const struct project *project, const char *name)
{
	for (size_t i = 0; i < project->environments.count; i++) {
		const struct str_list *from = &project->environments.items[i].promote_from;
		for (size_t j = 0; j < from->count; j++)
			if (from->items[j] && strcmp(from->items[j], name) == 0)
				return true;
	}
	return false;
}

/* How many environments a release passes before it comes to each. Rounds as many as there
 * are environments are enough where there is no circle, and end where there is one. */
static void measure_depths(const struct project *project, size_t *depths)
{
	size_t count = project->environments.count;
	bool changed = true;
	for (size_t round = 0; round < count && changed; round++) {
		changed = false;
		for (size_t i = 0; i < count; i++) {
			const struct str_list *from = &project->environments.items[i].promote_from;
			for (size_t j = 0; j < from->count; j++) {
				const struct environment *upstream =
					from->items[j] ? project_environment(project, from->items[j]) : NULL;
				size_t least =
					upstream ? depths[upstream - project->environments.items] + 1 : 0;
				changed = changed || least > depths[i];
				depths[i] = MAX(depths[i], least);
			}
		}
	}
}

static void resolve_reference(struct parity_resolver *resolver)
{
	struct project *project = resolver->project;
	const char **reference = &project->parity.reference;
	size_t count = project->environments.count;

	if (*reference) {
		struct str_list one = {reference, 1};
		check_environment_names(project, resolver->diags, &one,
					node_key_origin(project->parity.node, "reference"), "reference");
		return;
	}
	size_t *depths = ARENA_NEW_ARRAY(resolver->arena, count, size_t), best = count;
	measure_depths(project, depths);
	for (size_t i = 0; i < count; i++)
		if (!is_promoted_from(project, project->environments.items[i].name) &&
		    (best == count || depths[i] >= depths[best]))
			best = i;
	if (best < count)
		*reference = project->environments.items[best].name;
}

/* ---- rules ---- */

static const char *where(struct parity_resolver *resolver, const struct node *node)
{
	return arena_printf(resolver->arena, "%s:%u",
			    node->origin.file ? node->origin.file->name : PROJECT_FILE,
			    (unsigned)node->origin.line);
}

static size_t contract_rules(struct parity_resolver *resolver, struct rule *out)
{
	const struct contract *contract = &resolver->project->env;
	size_t count = 0;

	for (size_t i = 0; i < contract->keys.count; i++) {
		const struct contract_key *key = &contract->keys.items[i];
		if (!key->name || !key->node)
			continue; /* refused, and told of */
		struct rule rule = {.where = where(resolver, key->node)};
		if (key->same || key->unique) {
			rule.kind = key->same ? RULE_SAME : RULE_UNIQUE;
			rule.fact = arena_printf(resolver->arena, "env/%s/value", key->name);
			out[count++] = rule;
		}
		if (key->live_only_in.count) {
			rule.kind = RULE_LIVE_ONLY_IN;
			rule.fact = arena_printf(resolver->arena, "endpoint/%s/mode", key->name);
			rule.words = (const char *const *)key->live_only_in.items;
			rule.word_count = key->live_only_in.count;
			out[count++] = rule;
		}
	}
	return count;
}

static struct rule allowed_rule(struct parity_resolver *resolver, const struct parity_allow_key *allow)
{
	struct rule rule = {
		.fact = allow->fact,
		.kind = allow->same		    ? RULE_SAME
			: allow->unique		    ? RULE_UNIQUE
			: allow->ratio		    ? RULE_RATIO
			: allow->minor		    ? RULE_MINOR
			: allow->major		    ? RULE_MAJOR
			: allow->one_of.count	    ? RULE_ONE_OF
			: allow->live_only_in.count ? RULE_LIVE_ONLY_IN
			: allow->present	    ? RULE_PRESENT
						    : RULE_IGNORE,
		.environments = (const char *const *)allow->environments.items,
		.environment_count = allow->environments.count,
		.severity = (enum severity)allow->severity,
		.owner = allow->owner,
		.reason = allow->reason,
		.until_ms = allow->until_ms,
		.where = where(resolver, allow->node),
	};
	const struct str_list *words = allow->one_of.count ? &allow->one_of : &allow->live_only_in;
	rule.words = (const char *const *)words->items;
	rule.word_count = words->count;
	if (allow->ratio && !parity_ratio(allow->ratio, &rule.ratio))
		rule.ratio = 1; /* refused, and told of */
	return rule;
}

static void resolve_rules(struct parity_resolver *resolver)
{
	struct project *project = resolver->project;
	struct project_parity *parity = &project->parity;
	/* One declaration makes two rules at most. */
	struct rule *rules = ARENA_NEW_ARRAY(resolver->arena,
					     2 * project->env.keys.count + parity->allow.count, struct rule);
	size_t count = contract_rules(resolver, rules);

	for (size_t i = 0; i < parity->allow.count; i++) {
		const struct parity_allow_key *allow = &parity->allow.items[i];
		if (!allow->node)
			continue; /* refused, and told of */
		check_environment_names(project, resolver->diags, &allow->environments,
					node_key_origin(allow->node, "environments"), "environments");
		check_environment_names(project, resolver->diags, &allow->live_only_in,
					node_key_origin(allow->node, "live_only_in"), "live_only_in");
		if (allow->fact)
			rules[count++] = allowed_rule(resolver, allow);
	}
	parity->rules.items = rules;
	parity->rules.count = count;
}

/* ---- what an environment is looked at for ---- */

static void join_words(struct arena *arena, const struct str_list *a, const struct str_list *b,
		       struct str_list *out)
{
	const char **items = ARENA_NEW_ARRAY(arena, a->count + b->count, const char *);
	size_t count = 0;

	for (size_t i = 0; i < a->count + b->count; i++) {
		const char *word = i < a->count ? a->items[i] : b->items[i - a->count];
		bool twice = !word; /* refused, and told of */
		for (size_t j = 0; j < count && !twice; j++)
			twice = strcmp(items[j], word) == 0;
		if (!twice)
			items[count++] = word;
	}
	*out = (struct str_list){items, count};
}

static void default_env_files(struct arena *arena, const struct environment *environment,
			      struct str_list *out)
{
	const char **items = ARENA_NEW_ARRAY(arena, environment->files.count + 1, const char *);
	size_t count = 0;

	for (size_t i = 0; i < environment->files.count; i++) {
		const struct config_file *file = &environment->files.items[i];
		if (file->kind == FILE_ENV && file->path)
			items[count++] = file->path;
	}
	if (!count)
		items[count++] = ".env";
	*out = (struct str_list){items, count};
}

struct known {
	const struct project *project;
	const struct environment *environment;
	bool own;     /* the text is the environment's, not the project's */
	bool secrets; /* may stand in it */
	bool late;
};

static bool known_elsewhere(const struct project *project, struct slice name)
{
	for (size_t i = 0; i < project->environments.count; i++)
		if (value_list_get(&project->environments.items[i].values, name))
			return true;
	return false;
}

/* A text of the project's may speak of a variable that only some environments have: in the
 * others it is late, and then not checked for want of the value. */
static int look_up(void *context, struct slice name, struct err *err)
{
	struct known *known = context;
	const struct contract_key *key = contract_find(&known->project->env, name);
	const struct environment *environment = known->environment;

	if (key && key->secret && !known->secrets)
		return err_set(err, ERR_USER, "`${%s}` is a secret, and this stands in reports", key->name);
	for (size_t i = 0; i < environment->values_for.count; i++)
		if (value_list_get(&environment->values_for.items[i].values, name))
			known->late = true;
	if (value_list_get(&environment->values, name))
		return 0;
	bool sources = known->project->values_from.count || environment->values_from.count;
	for (size_t i = 0; i < known->project->environments.count && !known->own; i++)
		sources = sources || known->project->environments.items[i].values_from.count;
	if (key || sources || (!known->own && known_elsewhere(known->project, name)))
		known->late = true;
	return 0;
}

static void resolve_text(struct parity_resolver *resolver, const struct environment *environment, bool own,
			 enum parity_text_kind kind, struct parity_text *text)
{
	static const char *(*const faults[])(struct slice) = {
		[PARITY_URL] = url_fault,
		[PARITY_NAME] = dns_name_fault,
		[PARITY_PORT] = address_fault,
		[PARITY_DATABASE] = NULL,
	};
	struct known known = {.project = resolver->project,
			      .environment = environment,
			      .own = own,
			      .secrets = kind == PARITY_DATABASE};
	struct err err = ERR_INIT;
	const char *written = text->text;

	bool wrong = interpolate_each(written, look_up, &known, &err);
	if (!wrong && known.late) {
		text->late = true;
		return;
	}
	if (wrong || interpolate(resolver->arena, written, &environment->values, &text->text, &err)) {
		diags_error(resolver->diags, text->origin, "%s", err.text);
		if (err.hint[0])
			diags_hint(resolver->diags, "%s", err.hint);
		return;
	}
	/* Without a value in it, it was judged by its row. */
	const char *fault = faults[kind] && strstr(written, "${") ? faults[kind](slice_of(text->text)) : NULL;
	if (fault)
		diags_error(resolver->diags, text->origin, "`%.500s` %s, in environment `%s`", text->text,
			    fault, environment->name);
}

static void add_texts(struct parity_resolver *resolver, const struct environment *environment, bool own,
		      enum parity_text_kind kind, const struct str_list *list, const char *key,
		      struct parity_texts *out)
{
	const struct node *map = own ? environment->parity.node : resolver->project->parity.node;

	for (size_t i = 0; i < list->count; i++) {
		struct parity_text text = {.text = list->items[i], .origin = element_origin(map, key, i)};
		bool twice = !text.text;
		if (!twice)
			resolve_text(resolver, environment, own, kind, &text);
		for (size_t j = 0; j < out->count && !twice; j++)
			twice = strcmp(out->items[j].text, text.text) == 0;
		if (!twice)
			out->items[out->count++] = text;
	}
}

static void join_texts(struct parity_resolver *resolver, const struct environment *environment,
		       enum parity_text_kind kind, const char *key, const struct str_list *theirs,
		       const struct str_list *own, struct parity_texts *out)
{
	out->items = ARENA_NEW_ARRAY(resolver->arena, theirs->count + own->count, struct parity_text);
	add_texts(resolver, environment, false, kind, theirs, key, out);
	add_texts(resolver, environment, true, kind, own, key, out);
}

static void join_databases(struct parity_resolver *resolver, const struct environment *environment,
			   const struct parity_looks *theirs, const struct parity_looks *own,
			   struct parity_texts *out)
{
	out->items = ARENA_NEW_ARRAY(resolver->arena, theirs->databases.count + own->databases.count,
				     struct parity_text);
	for (size_t i = 0; i < theirs->databases.count + own->databases.count; i++) {
		bool mine = i >= theirs->databases.count;
		const struct parity_database *database =
			mine ? &own->databases.items[i - theirs->databases.count]
			     : &theirs->databases.items[i];
		const struct node *map = node_get(
			mine ? environment->parity.node : resolver->project->parity.node, "databases");
		bool replaced = !database->address;
		for (size_t j = 0; j < own->databases.count && !mine && !replaced; j++)
			replaced = strcmp(own->databases.items[j].name, database->name) == 0;
		if (replaced)
			continue;
		struct parity_text *text = &out->items[out->count++];
		*text = (struct parity_text){.name = database->name,
					     .text = database->address,
					     .origin = node_key_origin(map, database->name)};
		resolve_text(resolver, environment, mine, PARITY_DATABASE, text);
	}
}

static void resolve_looks(struct parity_resolver *resolver, struct environment *environment)
{
	const struct parity_looks *theirs = &resolver->project->parity.looks, own = environment->parity.looks;
	struct environment_parity *parity = &environment->parity;

	join_words(resolver->arena, &theirs->paths, &own.paths, &parity->looks.paths);
	join_words(resolver->arena, &theirs->skip, &own.skip, &parity->looks.skip);
	join_words(resolver->arena, &theirs->env_files, &own.env_files, &parity->looks.env_files);
	if (!parity->looks.env_files.count)
		default_env_files(resolver->arena, environment, &parity->looks.env_files);
	join_texts(resolver, environment, PARITY_URL, "urls", &theirs->urls, &own.urls, &parity->urls);
	join_texts(resolver, environment, PARITY_NAME, "names", &theirs->names, &own.names, &parity->names);
	join_texts(resolver, environment, PARITY_PORT, "ports", &theirs->ports, &own.ports, &parity->ports);
	join_databases(resolver, environment, theirs, &own, &parity->databases);
}

/* ---- dimensions, require ---- */

static void check_skipped(struct parity_resolver *resolver, const struct str_list *skip, struct origin origin)
{
	const struct str_list *only = &resolver->project->parity.only;

	for (size_t i = 0; i < only->count; i++)
		for (size_t j = 0; j < skip->count; j++)
			if (only->items[i] && skip->items[j] && strcmp(only->items[i], skip->items[j]) == 0)
				diags_error(resolver->diags, origin, "`%s` stands in both `only` and `skip`",
					    only->items[i]);
}

static void check_parity_with(struct parity_resolver *resolver, const struct environment *environment)
{
	const struct require_parity *with = &environment->require.parity_with;
	struct origin origin = node_key_origin(environment->require.node, "parity_with");

	if (!with->environment)
		return;
	if (strcmp(with->environment, environment->name) == 0) {
		diags_error(resolver->diags, origin, "`parity_with` compares `%s` with itself",
			    environment->name);
		return;
	}
	const char *name = with->environment;
	struct str_list one = {&name, 1};
	check_environment_names(resolver->project, resolver->diags, &one, origin, "parity_with");
}

void parity_resolve(struct arena *arena, struct project *project, struct diags *diags)
{
	struct parity_resolver resolver = {.arena = arena, .diags = diags, .project = project};

	resolve_reference(&resolver);
	resolve_rules(&resolver);
	check_skipped(&resolver, &project->parity.looks.skip, node_key_origin(project->parity.node, "skip"));
	for (size_t i = 0; i < project->environments.count; i++) {
		struct environment *environment = &project->environments.items[i];
		check_skipped(&resolver, &environment->parity.looks.skip,
			      node_key_origin(environment->parity.node, "skip"));
		resolve_looks(&resolver, environment);
		check_parity_with(&resolver, environment);
	}
}
