/* The shape of an environment: how many servers each group has. */
#include "collect/kinds.h"

#include <stdio.h>

static int run(const struct collect_request *request, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	for (size_t i = 0; i < request->group_count; i++) {
		char number[32];
		snprintf(number, sizeof(number), "%zu", request->groups[i].servers);
		if (fact_add(out, fact_key(&arena, "shape/%s/servers", request->groups[i].name), FACT_NUMBER,
			     slice_of(number), err))
			return -1;
	}
	return 0;
}

static const struct collect_fact facts[] = {
	{"shape/GROUP/servers", "number", "servers in this group"},
	{NULL, NULL, NULL},
};

const struct collector collector_shape = {
	.dimension = "shape",
	.text = "servers per group, and what stands before them",
	.facts = facts,
	.run = run,
};
