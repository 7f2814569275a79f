/* ${NAME} in a text, replaced by an environment's value. Strict: an unknown
 * name, a `${` without end and a bad name are errors. `$${` stands for `${`; a
 * `$` before anything else is itself. The result is not looked at again. */
#pragma once

#include "values/value_list.h"

enum { INTERPOLATE_MAX = 256 << 10 };

int interpolate(struct arena *arena, const char *text, const struct value_list *values, const char **out,
		struct err *err) CHECKED;

/* Calls `visit` for each name that `text` uses, in order. */
int interpolate_each(const char *text, int (*visit)(void *context, struct slice name, struct err *err),
		     void *context, struct err *err) CHECKED;
