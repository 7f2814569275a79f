/* The config set: the resolved variables of one environment, sorted by name, and
 * a digest that names the set. Two sets with the same pairs have the same
 * digest, whatever order they were written in.
 *
 * The digest is of "lockstep-config 1\n" and then, for each pair in order of the
 * name's bytes, name NUL, length of the value in decimal, NUL, value. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "codec/digest.h"

enum {
	VALUE_NAME_MAX = 255,
	VALUE_MAX = 128 << 10,
	CONFIG_SET_MAX = 10000, /* pairs */
};

struct value {
	const char *name;
	const char *text;
};

struct config_set {
	struct value *values; /* sorted by name, no name twice */
	size_t count;
	struct digest digest;
};

/* [A-Za-z_][A-Za-z0-9_]*, at most VALUE_NAME_MAX bytes. */
bool value_name_valid(struct slice name);

/* Sorts a copy; names and texts are copied to the arena. Errors name the value:
 * a bad name, a name twice, a value too long. */
int config_set_build(struct arena *arena, const struct value *values, size_t count, struct config_set *out,
		     struct err *err) CHECKED;
/* NULL when absent. */
const char *config_set_get(const struct config_set *set, struct slice name);
