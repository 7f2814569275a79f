/* The agents that are built into this program, as the bootstrap wants them. */
#include "agent/embedded.h"
#include "target/bootstrap.h"

enum { IMAGES_MAX = 8 };

size_t images_embedded(const struct agent_image **images_out)
{
	static struct agent_image images[IMAGES_MAX];
	size_t count;
	const struct embedded_agent *agents = embedded_agents(&count);
	ASSERT(count <= IMAGES_MAX);
	for (size_t i = 0; i < count; i++) {
		images[i].arch = agents[i].arch;
		images[i].bytes = agents[i].bytes;
		bool is_hex = digest_from_hex(slice_of(agents[i].digest_hex), &images[i].digest);
		ASSERT(is_hex);
	}
	*images_out = images;
	return count;
}
