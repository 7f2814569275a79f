#include "agent/embedded.h"

/* Made by tools/embed-agent: the bytes between two symbols, and their digest. */
extern const char agent_x86_64_begin[], agent_x86_64_end[], agent_x86_64_digest[];
#ifdef AGENT_AARCH64
extern const char agent_aarch64_begin[], agent_aarch64_end[], agent_aarch64_digest[];
#endif

const struct embedded_agent *embedded_agents(size_t *count_out)
{
	static struct embedded_agent agents[] = {
		{ .arch = "x86_64", .digest_hex = agent_x86_64_digest },
#ifdef AGENT_AARCH64
		{ .arch = "aarch64", .digest_hex = agent_aarch64_digest },
#endif
	};

	agents[0].bytes = slice_make(agent_x86_64_begin, (size_t)(agent_x86_64_end - agent_x86_64_begin));
#ifdef AGENT_AARCH64
	agents[1].bytes = slice_make(agent_aarch64_begin, (size_t)(agent_aarch64_end - agent_aarch64_begin));
#endif
	*count_out = ARRAY_LEN(agents);
	return agents;
}
