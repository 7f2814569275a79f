/* Which processes still use an activation: by working folder, program, root or
 * mapped file. What another user's process uses cannot be read without root. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct process_use {
	uint64_t pid;
	const char *name;    /* of the activation */
	const char *what;    /* cwd | exe | root | map */
	const char *command;
};

struct uses {
	struct process_use *items;
	size_t count;
	uint64_t unreadable; /* processes that could not be looked at */
};

/* All processes that use anything below `releases_path` (absolute). */
int uses_find(struct arena *arena, const char *releases_path, struct uses *out, struct err *err) CHECKED;
bool uses_has(const struct uses *uses, const char *name);
