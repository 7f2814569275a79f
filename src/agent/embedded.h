/* The agents inside the program, one for each kind of processor it can serve. */
#pragma once

#include "base/slice.h"
#include "codec/digest.h"

struct embedded_agent {
	const char *arch;                   /* as `uname -m` says it: "x86_64", "aarch64" */
	struct slice bytes;                 /* a static ELF program */
	char digest_hex[DIGEST_HEX_LEN + 1];
};

/* The agents there are; *count_out of them. Digests are made on first use; not for
 * use by several threads at once. */
const struct embedded_agent *embedded_agents(size_t *count_out);
/* NULL when this program carries none for that processor. */
const struct embedded_agent *embedded_agent_find(const char *arch);
