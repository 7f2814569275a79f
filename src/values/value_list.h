/* Plain values as they stand in lockstep.yml: names and texts, sorted by name. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum {
	VALUE_NAME_MAX = 255,
	VALUE_MAX = 128 << 10,
	CONFIG_SET_MAX = 10000, /* variables of an environment */
};

struct value {
	const char *name;
	const char *text;
};

struct value_list {
	struct value *items; /* sorted by name, no name twice */
	size_t count;
};

/* [A-Za-z_][A-Za-z0-9_]*, at most VALUE_NAME_MAX bytes. */
bool value_name_valid(struct slice name);

/* Sorts a copy; names and texts are copied to the arena. Errors name the value:
 * a bad name, a name twice, a value too long. */
int value_list_build(struct arena *arena, const struct value *values, size_t count, struct value_list *out,
		     struct err *err) CHECKED;
/* NULL when absent. */
const char *value_list_get(const struct value_list *list, struct slice name);
