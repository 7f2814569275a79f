/* What the files of this module share. */
#pragma once

#include "probe/probe.h"

/* What programs answered, kept for the life of the agent in memory that its children share:
 * a version asked for again over a kept line costs nothing. One probe, one writer. */
enum { PROBE_MEMORY_MAX = 64 << 10 };
struct probe_memory {
	uint32_t used; /* set last, when what it counts is whole */
	char bytes[PROBE_MEMORY_MAX];
};
