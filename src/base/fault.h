/* Fault points: named places where a test can make the program fail, die or
 * stop. Always compiled; off unless LOCKSTEP_FAULT is set, e.g.
 *
 *	LOCKSTEP_FAULT=agent.activate.before_rename=kill
 *	LOCKSTEP_FAULT=agent.journal.append=fail,target.send=kill:3
 *	LOCKSTEP_FAULT=agent.prepare.receive=hang
 *
 * Actions: fail (the call behaves as if the system said EIO), kill (SIGKILL to
 * ourselves, nothing is flushed), hang (SIGSTOP to ourselves), exit (_exit(70)).
 * `:N` acts on the Nth pass only (default 1). LOCKSTEP_FAULT_LIST=FILE appends
 * the name of every point passed, so that the test suite can walk all of them.
 * The controller forwards LOCKSTEP_FAULT_AGENT to the agent as its LOCKSTEP_FAULT
 * (only to points whose name starts with "agent."). */
#pragma once

#include "base/err.h"

/* 0 to go on; -1 with err set when the point is told to fail. */
int fault_point(const char *name, struct err *err) CHECKED;
/* For places that cannot fail: kill, hang and exit only. */
void fault_mark(const char *name);
