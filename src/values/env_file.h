/* Files of variables, in grammars that differ: what dotenv libraries read, what
 * systemd's EnvironmentFile= reads, what `docker run --env-file` reads (no quotes, no
 * newlines), what a POSIX shell sources. */
#pragma once

#include "base/buf.h"
#include "values/config_set.h"

enum env_grammar { ENV_DOTENV = 1, ENV_SYSTEMD, ENV_DOCKER, ENV_SHELL };
bool env_grammar_find(struct slice name, enum env_grammar *out);

/* Variables in order of name, with a first line that says where it comes from. A value
 * the grammar cannot say (a newline for Docker) is refused by name. */
int env_file_write(enum env_grammar grammar, const struct config_set *set, struct buf *out,
		   struct err *err) CHECKED;
