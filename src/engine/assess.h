/* How deployments are done here, held against what keeps environments alike; the one next
 * step that would help most, why, and the command that does it. */
#pragma once

#include "engine/engine.h"

int assess(struct engine *engine, json_t **out, struct err *err) CHECKED;
