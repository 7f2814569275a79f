/* What the files of this module share. */
#pragma once

#include "probe/probe.h"

/* What programs answered, kept for the life of the agent in memory that its children share:
 * a version asked for again over a kept line costs nothing. One probe, one writer. */
enum { PROBE_MEMORY_MAX = 128 << 10 };
struct probe_memory {
	uint32_t used; /* set last, when what it counts is whole */
	char bytes[PROBE_MEMORY_MAX];
};

/* What was kept under `key`; memory may be NULL. Keeping under a key again adds an entry behind
 * the old one: `memory_recall` finds the last. */
bool memory_recall(const struct probe_memory *memory, struct slice key, struct slice *out);
void memory_keep(struct probe_memory *memory, struct slice key, struct slice answer);

/* What probes that share a process find out for each other. */
struct probe_common {
	struct probe_process *processes; /* of the application */
	size_t process_count;
	bool knows_processes;
};

/* Whether a process ("1234") is inside of a container on this machine, as its process name
 * space shows: what runs there is not the machine's own. */
bool process_is_contained(struct probe_sink *sink, const char *pid);

/* probe_command_kept for an answer that depends on more than the program: kept as long as
 * `also` (a digest of settings, say) is the same too. */
struct slice command_kept(struct probe_sink *sink, const char *const *argv, struct slice also,
			  int64_t time_ms, size_t output_max, const char **why_out);
