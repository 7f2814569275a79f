/* The contract applied to config sets: what is missing, of a wrong type, equal or
 * different where it must not be. Never puts a value into a text. */
#include "values/resolve.h"

/* Sets and contract are sorted by the same order, so each is walked once. */
struct cursor {
	const struct config_set *set;
	size_t at;
};

struct check {
	struct arena *arena;
	const struct contract *contract;
	const struct environment_values *subject;
	struct contract_problems *out;
	size_t cap;
};

static const struct config_value *cursor_find(struct cursor *cursor, const char *name)
{
	for (; cursor->at < cursor->set->count; cursor->at++) {
		int order = strcmp(cursor->set->values[cursor->at].name, name);
		if (order >= 0)
			return order == 0 ? &cursor->set->values[cursor->at] : NULL;
	}
	return NULL;
}

static struct cursor *cursors(struct arena *arena, const struct environment_values *values)
{
	struct cursor *list = ARENA_NEW_ARRAY(arena, values->count, struct cursor);

	for (size_t i = 0; i < values->count; i++)
		list[i].set = &values->sets[i];
	return list;
}

static struct contract_problem *add(struct check *check, enum contract_problem_kind kind, bool refuses,
				    const char *name)
{
	struct contract_problems *out = check->out;

	if (out->count == check->cap) {
		check->cap = MAX(out->count * 2, (size_t)16);
		struct contract_problem *items =
			ARENA_NEW_ARRAY(check->arena, check->cap, struct contract_problem);
		if (out->count)
			memcpy(items, out->items, out->count * sizeof(*items));
		out->items = items;
	}
	struct contract_problem *problem = &out->items[out->count++];
	*problem = (struct contract_problem){
		.kind = kind, .refuses = refuses, .name = name, .environment = check->subject->environment};
	out->refusing += refuses;
	return problem;
}

static bool lists(const struct str_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

/* ---- one environment by itself ---- */

static void report_missing(struct check *check, const struct contract_key *key, size_t missing, bool empty)
{
	const char *environment = check->subject->environment;
	struct contract_problem *problem = add(check, CONTRACT_MISSING, true, key->name);
	const char *where = missing == check->subject->count
				    ? ""
				    : arena_printf(check->arena, " on %zu of %zu servers", missing,
						   check->subject->count);

	problem->text = arena_printf(check->arena, "`%s` is required and %s%s", key->name,
				     empty ? "its value is empty" : "has no value", where);
	if (key->secret)
		problem->hint = arena_printf(check->arena, "`lockstep secret set %s %s` gives it one",
					     environment, key->name);
	else
		problem->hint = arena_printf(check->arena,
					     "add it to `values` of environment `%s`, or declare it "
					     "`required: false`",
					     environment);
}

static void check_mode(struct check *check, const struct contract_key *key, const struct config_value *value)
{
	const char *service = NULL, *environment = check->subject->environment;
	enum key_mode mode = value_key_mode(secret_reveal(value->value), &service);
	bool live_here = lists(&key->live_only_in, environment);

	if (mode == KEY_MODE_LIVE && !live_here) {
		struct contract_problem *problem = add(check, CONTRACT_LIVE_KEY, true, key->name);
		problem->text =
			arena_printf(check->arena, "`%s` is a live key (%s), which belongs in `%s` only",
				     key->name, service, key->live_only_in.items[0]);
		problem->hint = arena_printf(check->arena, "give `%s` a test key: it stands at %s",
					     environment, value->place ? value->place : "?");
	} else if (mode == KEY_MODE_TEST && live_here) {
		struct contract_problem *problem = add(check, CONTRACT_TEST_KEY, true, key->name);
		problem->text =
			arena_printf(check->arena, "`%s` is a test key (%s), where the live one belongs",
				     key->name, service);
		problem->hint =
			arena_printf(check->arena, "it stands at %s", value->place ? value->place : "?");
	}
}

/* The same value need not be judged again for each server. */
static void check_value(struct check *check, const struct contract_key *key, const struct config_value *value)
{
	struct slice text = secret_reveal(value->value);
	bool required = contract_requires(key, check->subject->environment);
	const char *fault = text.len || required ? value_type_fault(key, text) : NULL;

	if (fault && text.len) {
		struct contract_problem *problem = add(check, CONTRACT_TYPE, true, key->name);
		problem->text = arena_printf(check->arena, "`%s` %s", key->name, fault);
		problem->hint = arena_printf(check->arena, "its value stands at %s",
					     value->place ? value->place : "?");
	}
	if (key->live_only_in.count)
		check_mode(check, key, value);
}

static void check_key(struct check *check, const struct contract_key *key, struct cursor *sets)
{
	const struct config_value *judged = NULL;
	size_t missing = 0, empty = 0, count = check->out->count;

	for (size_t i = 0; i < check->subject->count; i++) {
		const struct config_value *value = cursor_find(&sets[i], key->name);
		missing += !value;
		if (!value || !secret_present(value->value))
			continue; /* absent, or nothing but its name was asked for */
		empty += secret_reveal(value->value).len == 0;
		/* Once something was found, the other servers add nothing. */
		if (check->out->count == count && (!judged || judged->value.bytes != value->value.bytes))
			check_value(check, key, value);
		judged = value;
	}
	if (!contract_requires(key, check->subject->environment))
		return;
	if (missing)
		report_missing(check, key, missing, false);
	else if (empty)
		report_missing(check, key, empty, true);
}

static void check_undeclared(struct check *check)
{
	const struct environment_values *subject = check->subject;

	if (!check->contract->keys.count)
		return;
	for (size_t s = 0; s < subject->count; s++) {
		size_t at = 0;
		for (size_t i = 0; i < subject->sets[s].count; i++) {
			const struct config_value *value = &subject->sets[s].values[i];
			while (at < check->contract->keys.count &&
			       strcmp(check->contract->keys.items[at].name, value->name) < 0)
				at++;
			if (at < check->contract->keys.count &&
			    strcmp(check->contract->keys.items[at].name, value->name) == 0)
				continue;
			bool told = false;
			for (size_t before = 0; before < s && !told; before++)
				told = config_set_get(&subject->sets[before], slice_of(value->name)) != NULL;
			if (told)
				continue;
			struct contract_problem *problem =
				add(check, CONTRACT_UNDECLARED, false, value->name);
			problem->text = arena_printf(check->arena,
						     "`%s` has a value (%s) and is not declared in `env`",
						     value->name, value->place ? value->place : "?");
			problem->hint =
				"declare it, so that every environment is known to have it; or take it away";
		}
	}
}

/* ---- two environments ---- */

struct pair {
	bool equal, different; /* some value here and some value there are */
};

static struct pair compare_values(struct cursor *mine, size_t mine_count, struct cursor *theirs,
				  size_t their_count, const char *name)
{
	struct pair pair = {0};

	for (size_t i = 0; i < mine_count; i++) {
		const struct config_value *a = cursor_find(&mine[i], name);
		if (!a || !secret_present(a->value))
			continue;
		for (size_t j = 0; j < their_count; j++) {
			const struct config_value *b = cursor_find(&theirs[j], name);
			if (!b || !secret_present(b->value))
				continue;
			if (secret_equal(a->value, b->value))
				pair.equal = pair.equal || secret_reveal(a->value).len > 0;
			else
				pair.different = true;
		}
	}
	return pair;
}

static void check_relation(struct check *check, const struct contract_key *key, const char *other,
			   struct pair pair)
{
	const char *environment = check->subject->environment;
	bool live_here = lists(&key->live_only_in, environment),
	     live_there = lists(&key->live_only_in, other);
	struct contract_problem *problem = NULL;

	if (key->unique && pair.equal) {
		problem = add(check, CONTRACT_NOT_UNIQUE, true, key->name);
		problem->text = arena_printf(
			check->arena,
			"`%s` must be different in each environment, but is equal to that of `%s`", key->name,
			other);
		problem->hint = "give each environment a value of its own";
	} else if (key->same && pair.different) {
		problem = add(check, CONTRACT_NOT_SAME, true, key->name);
		problem->text = arena_printf(
			check->arena,
			"`%s` must be the same in all environments, but differs from that of `%s`", key->name,
			other);
		problem->hint =
			arena_printf(check->arena, "`lockstep config diff %s %s` shows the keys that differ",
				     environment, other);
	} else if (key->live_only_in.count && live_here != live_there && pair.equal) {
		problem = add(check, live_here ? CONTRACT_TEST_KEY : CONTRACT_LIVE_KEY, true, key->name);
		problem->text = arena_printf(
			check->arena, "`%s` is equal to that of `%s`, but only `%s` may have the live one",
			key->name, other, live_here ? environment : other);
		problem->hint = "one of the two holds the wrong credential";
	}
	if (problem)
		problem->other = other;
}

static void check_relations(struct check *check, const struct environment_values *other)
{
	struct cursor *mine = cursors(check->arena, check->subject), *theirs = cursors(check->arena, other);

	for (size_t i = 0; i < check->contract->keys.count; i++) {
		const struct contract_key *key = &check->contract->keys.items[i];
		if (!key->unique && !key->same && !key->live_only_in.count)
			continue;
		check_relation(check, key, other->environment,
			       compare_values(mine, check->subject->count, theirs, other->count, key->name));
	}
}

/* What a build bakes in is compared whether it is declared or not. */
static void check_baked(struct check *check, const struct environment_values *other)
{
	if (!check->subject->count || !other->count)
		return;
	const struct config_set *here = &check->subject->sets[0], *there = &other->sets[0];
	struct cursor cursor = {there, 0};
	for (size_t i = 0; i < here->count; i++) {
		const struct config_value *mine = &here->values[i];
		if (!value_name_baked(slice_of(mine->name)))
			continue;
		const struct config_value *theirs = cursor_find(&cursor, mine->name);
		if (!theirs || !secret_present(mine->value) || !secret_present(theirs->value) ||
		    secret_equal(mine->value, theirs->value))
			continue;
		struct contract_problem *problem = add(check, CONTRACT_BAKED, false, mine->name);
		problem->other = other->environment;
		problem->text =
			arena_printf(check->arena,
				     "`%s` differs from that of `%s`, but builds bake it into their result, "
				     "and a release is built once for all environments",
				     mine->name, other->environment);
		problem->hint = arena_printf(check->arena,
					     "build with %s=__%s__ and let `files: [{substitute: "
					     "\"PATTERN\"}]` put each environment's "
					     "value in",
					     mine->name, mine->name);
	}
}

/* ---- public ---- */

void contract_check_against(struct arena *arena, const struct contract *contract,
			    const struct environment_values *subject, const struct environment_values *other,
			    struct contract_problems *out)
{
	struct check check = {arena, contract, subject, out, out->count};

	if (!subject->count || !other->count)
		return;
	check_relations(&check, other);
	check_baked(&check, other);
}

void contract_check(struct arena *arena, const struct contract *contract,
		    const struct environment_values *subject, const struct environment_values *others,
		    size_t other_count, struct contract_problems *out)
{
	*out = (struct contract_problems){0};
	struct check check = {arena, contract, subject, out, 0};
	struct cursor *sets = cursors(arena, subject);

	if (subject->count) {
		for (size_t i = 0; i < contract->keys.count; i++)
			check_key(&check, &contract->keys.items[i], sets);
		check_undeclared(&check);
	}
	for (size_t i = 0; i < other_count; i++)
		contract_check_against(arena, contract, subject, &others[i], out);
}

int contract_problems_check(const struct contract_problems *problems, const char *environment,
			    struct err *err)
{
	const char *hint = NULL;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));

	if (!problems->refusing)
		return 0;
	for (size_t i = 0; i < problems->count; i++) {
		if (!problems->items[i].refuses)
			continue;
		buf_printf(&text, "\n  %s", problems->items[i].text);
		hint = hint ? hint : problems->items[i].hint;
	}
	err_set(err, ERR_USER, "the configuration of `%s` is refused: %zu mistake%s%s", environment,
		problems->refusing, problems->refusing == 1 ? "" : "s", buf_str(&text));
	return hint ? err_hint(err, "%s", hint) : -1;
}
