/* A probe's turn: it looks, and its snapshot is told. In a process made for it, alone or one
 * after the other with others. */
#pragma once

#include "probe/internal.h"
#include "probe/look.h"

enum { TURN_SNAPSHOT_MAX = PROBE_FACTS_BYTES_MAX };

struct turn {
	const struct probe *probe;
	struct probe_memory *memory; /* NULL: nothing is remembered */
	struct look *look;	     /* NULL: the look is not kept */
};

/* How a process that was made for one turn ends. */
enum turn_status { TURN_QUICK = 0, TURN_FAILED = 1, TURN_SLOW = 2 };

/* Nothing of the agent's is the probes': the conversation stays with the parent. */
void turn_settle(void);
/* Tells one snapshot, whatever happens to the probe, into `fd` (-1: only kept in copy) and, unless
 * NULL, `copy`. Quick is what started no program and took little of the processor. What the
 * probe found lives until the process ends. */
enum turn_status turn_take(const struct turn *turn, const struct probe_request *request,
			   struct probe_common *common, int fd, struct buf *copy);
