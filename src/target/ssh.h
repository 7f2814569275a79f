/* The user's ssh program: how it is called, and what its errors mean. Pure. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "target/address.h"

/* The NULL-terminated argument list that starts `command` at the address. `words`
 * is the program and its first arguments, split at spaces. In the arena. */
const char *const *ssh_arguments(struct arena *arena, const char *words, const struct place_address *address,
				 const char *command);

/* Why ssh ended with this status before the agent spoke: `errors` is what it wrote
 * to standard error, `noise` what came from the server instead of our script. */
int ssh_explain(const struct place_address *address, int status, const char *errors, struct slice noise,
		struct err *err);
