/* Precedence and the contract: see resolve.h. */
#include "values/resolve.h"

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

/* The end of the sorted stretch that begins at `from`. */
static size_t run_end(const struct candidate *candidates, size_t from, size_t count)
{
	size_t end = from + 1;

	while (end < count && compare(&candidates[end - 1], &candidates[end]) <= 0)
		end++;
	return end;
}

static void merge(const struct candidate *from, size_t start, size_t middle, size_t end, struct candidate *to)
{
	size_t left = start, right = middle;

	for (size_t at = start; at < end; at++)
		if (right == end || (left < middle && compare(&from[left], &from[right]) <= 0))
			to[at] = from[left++];
		else
			to[at] = from[right++];
}

/* Natural merge sort: candidates come as a few sorted stretches, one a provider, so that
 * this is two or three passes where a general sort takes fifteen. */
void candidates_sort(struct candidate *candidates, size_t count)
{
	AUTO(mem_free_ptr) struct candidate *other = NULL;
	AUTO(mem_free_ptr) size_t *ends = NULL; /* of the sorted stretches */
	struct candidate *from = candidates;
	size_t runs = 0, cap = 0;

	for (size_t at = 0; at < count; at = ends[runs++]) {
		if (runs == cap) {
			cap = MAX(cap * 2, (size_t)16);
			ends = mem_grow(ends, cap, sizeof(*ends));
		}
		ends[runs] = run_end(from, at, count);
	}
	if (runs > 1)
		other = mem_array(count, sizeof(*other));
	while (runs > 1) {
		struct candidate *to = from == candidates ? other : candidates;
		size_t start = 0, merged = 0;
		for (size_t i = 0; i < runs; i += 2) {
			size_t end = ends[MIN(i + 1, runs - 1)];
			merge(from, start, ends[i], end, to);
			ends[merged++] = start = end;
		}
		runs = merged;
		from = to;
	}
	if (from != candidates)
		memcpy(candidates, from, count * sizeof(*candidates));
}

int config_resolve(struct arena *arena, const struct candidate *candidates, size_t count,
		   const struct resolve_scope *scope, struct config_set *out, struct err *err)
{
	*out = (struct config_set){
		.values = ARENA_NEW_ARRAY(arena, MIN(count, (size_t)CONFIG_SET_MAX), struct config_value)};
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
		if (winner && out->count == CONFIG_SET_MAX)
			return err_set(err, ERR_USER, "more than %d variables", CONFIG_SET_MAX);
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
