#include "engine/dimension.h"

#include "collect/collect.h"
#include "probe/probe.h"

#include <stdlib.h>

enum { DIMENSIONS_MAX = 64 };

static struct dimension all[DIMENSIONS_MAX];
static size_t count;

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct dimension *)a)->name, ((const struct dimension *)b)->name);
}

/* Gathered once from the tables; the same every time, so it does not matter who does it. */
static void gather(void)
{
	if (count)
		return;
	size_t found = 0;
	for (size_t i = 0; probes[i] && found < DIMENSIONS_MAX; i++)
		all[found++] = (struct dimension){probes[i]->dimension, probes[i]->text, true};
	for (size_t i = 0; collectors[i] && found < DIMENSIONS_MAX; i++)
		all[found++] = (struct dimension){collectors[i]->dimension, collectors[i]->text, false};
	all[found++] = (struct dimension){
		"db", "databases: server, settings, roles, the whole schema, migrations", false};
	qsort(all, found, sizeof(*all), by_name);
	count = found;
}

const struct dimension *dimension_at(size_t index)
{
	gather();
	return index < count ? &all[index] : NULL;
}

size_t dimension_count(void)
{
	gather();
	return count;
}

bool dimension_known(const char *name, const char **nearest_out)
{
	size_t best = 3;

	gather();
	*nearest_out = NULL;
	for (size_t i = 0; i < count; i++) {
		size_t distance = slice_edit_distance(slice_of(all[i].name), slice_of(name));
		if (distance == 0)
			return true;
		if (distance < best) {
			best = distance;
			*nearest_out = all[i].name;
		}
	}
	return false;
}
