/* Precedence and the contract: see resolve.h. */
#include "values/resolve.h"

#include <stdlib.h>

/* By name, then the strongest level first, then scope. */
static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order == 0)
		order = (int)y->level - (int)x->level;
	if (order == 0)
		order = strcmp(x->scope ? x->scope : "", y->scope ? y->scope : "");
	return order ? order : strcmp(x->place, y->place);
}

static bool applies(const struct candidate *candidate, const struct resolve_scope *scope)
{
	switch (candidate->level) {
	case LEVEL_DEFAULT:
	case LEVEL_PROJECT:
	case LEVEL_ENVIRONMENT:
		return true;
	case LEVEL_GROUP:
		/* A server of no particular group belongs to every group. */
		return scope->server && (!scope->group || strcmp(candidate->scope, scope->group) == 0);
	case LEVEL_SERVER:
		return scope->server && strcmp(candidate->scope, scope->server) == 0;
	}
	return false;
}

static int refuse_tie(const struct candidate *a, const struct candidate *b, struct err *err)
{
	err_set(err, ERR_USER, "%s has two values of the same rank (%s): %s and %s", a->name,
		value_level_name(a->level), a->place, b->place);
	return err_hint(err,
			"remove one, or give one to a server, a group or the environment: server goes before "
			"group, group before environment, environment before project");
}

void candidates_sort(struct candidate *candidates, size_t count)
{
	if (count)
		qsort(candidates, count, sizeof(*candidates), compare);
}

int config_resolve(struct arena *arena, const struct candidate *candidates, size_t count,
		   const struct resolve_scope *scope, struct config_set *out, struct err *err)
{
	size_t names = 0;

	for (size_t i = 0; i < count; i++)
		names += i == 0 || strcmp(candidates[i].name, candidates[i - 1].name) != 0;
	if (names > CONFIG_SET_MAX)
		return err_set(err, ERR_USER, "%zu variables; at most %d are possible", names,
			       CONFIG_SET_MAX);
	*out = (struct config_set){.values = ARENA_NEW_ARRAY(arena, names, struct config_value)};
	for (size_t i = 0, end; i < count; i = end) {
		const struct candidate *winner = NULL;
		for (end = i; end < count && strcmp(candidates[end].name, candidates[i].name) == 0; end++) {
			const struct candidate *candidate = &candidates[end];
			if (!applies(candidate, scope))
				continue;
			if (!winner)
				winner = candidate;
			else if (winner->level == candidate->level)
				return refuse_tie(winner, candidate, err);
		}
		if (winner)
			out->values[out->count++] = (struct config_value){
				.name = winner->name,
				.value = winner->value,
				.secret = winner->secret,
				.level = winner->level,
				.scope = winner->scope,
				.place = winner->place,
				.version = winner->version,
			};
	}
	return 0;
}
