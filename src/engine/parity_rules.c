#include "engine/parity_rules.h"

#include "base/clock.h"
#include "model/parity_allow.h"

static int gather(struct engine *engine, struct parity_rules *out, struct err *err)
{
	const struct project *project = engine->project;
	struct parity_allow_list kept = {0};

	*out = (struct parity_rules){0};
	if (project && parity_allow_list(engine->home.db, &engine->arena, project->name, &kept, err))
		return -1;
	size_t written = project ? project->parity.rules.count : 0;
	out->own = ARENA_NEW_ARRAY(&engine->arena, written + kept.count, struct rule);
	for (size_t i = 0; i < written; i++)
		out->own[out->own_count++] = project->parity.rules.items[i];
	for (size_t i = 0; i < kept.count; i++)
		out->own[out->own_count++] = kept.items[i].rule;
	return 0;
}

int parity_rules_open(struct engine *engine, struct parity_rules *out, struct err *err)
{
	if (gather(engine, out, err))
		return -1;
	out->book = rule_book_new(out->own, out->own_count, clock_wall_ms());
	return 0;
}

int parity_rules_open_same(struct engine *engine, struct parity_rules *out, struct err *err)
{
	struct parity_rules all;
	size_t count = 0;

	if (gather(engine, &all, err))
		return -1;
	*out = (struct parity_rules){.own = ARENA_NEW_ARRAY(&engine->arena, all.own_count + 1, struct rule)};
	out->own[count++] = (struct rule){.fact = "*", .kind = RULE_SAME};
	for (size_t i = 0; i < all.own_count; i++)
		if (all.own[i].kind == RULE_IGNORE)
			out->own[count++] = all.own[i];
	out->own_count = count;
	out->book = rule_book_new(out->own, out->own_count, clock_wall_ms());
	return 0;
}

void parity_rules_close(struct parity_rules *rules)
{
	rule_book_free(&rules->book);
}
