/* The agents inside the program, one for each kind of processor it can serve. */
#pragma once

#include "base/slice.h"

struct embedded_agent {
	const char *arch;       /* as `uname -m` says it: "x86_64", "aarch64" */
	struct slice bytes;     /* a static ELF program */
	const char *digest_hex; /* of the bytes; made when the program was built */
};

/* The agents there are; *count_out of them. Not for use by several threads at once. */
const struct embedded_agent *embedded_agents(size_t *count_out);
