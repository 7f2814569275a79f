#include "agent/embedded.h"

/* Made by tools/embed-agent: the bytes between two symbols. */
extern const char agent_x86_64_begin[], agent_x86_64_end[];
#ifdef AGENT_AARCH64
extern const char agent_aarch64_begin[], agent_aarch64_end[];
#endif

const struct embedded_agent *embedded_agents(size_t *count_out)
{
	static struct embedded_agent agents[] = {
		{ .arch = "x86_64" },
#ifdef AGENT_AARCH64
		{ .arch = "aarch64" },
#endif
	};

	if (!agents[0].bytes.ptr) {
		agents[0].bytes = slice_make(agent_x86_64_begin, (size_t)(agent_x86_64_end - agent_x86_64_begin));
#ifdef AGENT_AARCH64
		agents[1].bytes = slice_make(agent_aarch64_begin, (size_t)(agent_aarch64_end - agent_aarch64_begin));
#endif
		for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
			struct digest digest;
			digest_of(agents[i].bytes, &digest);
			digest_to_hex(&digest, agents[i].digest_hex);
		}
	}
	*count_out = ARRAY_LEN(agents);
	return agents;
}

const struct embedded_agent *embedded_agent_find(const char *arch)
{
	size_t count;
	const struct embedded_agent *agents = embedded_agents(&count);

	for (size_t i = 0; i < count; i++)
		if (slice_is(slice_of(arch), agents[i].arch))
			return &agents[i];
	return NULL;
}
