/* All dimensions there are: those of probes, of collectors, and the databases'. */
#pragma once

#include "base/slice.h"

struct dimension {
	const char *name, *text;
	bool of_server; /* seen on each server; else of the environment as a whole, from beside it */
};

const struct dimension *dimension_at(size_t index); /* sorted by name; NULL behind the last */
size_t dimension_count(void);
/* false: *nearest_out is one that is written alike, or NULL. */
bool dimension_known(const char *name, const char **nearest_out);
