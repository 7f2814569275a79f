/* What an administrator writes into sudoers, so that the deploy user may do exactly what a
 * reload needs. */
#pragma once

#include "base/arena.h"

/* "deploy ALL=(root) NOPASSWD: /usr/bin/PROGRAM VERB SUBJECT[, /usr/bin/PROGRAM ASKS SUBJECT]";
 * `asks` may be NULL. What sudoers(5) would read as more than itself is escaped. */
const char *sudoers_line(struct arena *arena, const char *program, const char *verb, const char *asks,
			 const char *subject);
