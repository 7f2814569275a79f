/* Files of variables: see env_file.h. */
#include "values/env_file.h"

bool env_grammar_find(struct slice name, enum env_grammar *out)
{
	static const char *const names[] = {
		[ENV_DOTENV] = "dotenv",
		[ENV_SYSTEMD] = "systemd",
		[ENV_DOCKER] = "docker",
		[ENV_SHELL] = "shell",
	};

	for (size_t i = ENV_DOTENV; i < ARRAY_LEN(names); i++)
		if (slice_is(name, names[i])) {
			*out = (enum env_grammar)i;
			return true;
		}
	return false;
}
