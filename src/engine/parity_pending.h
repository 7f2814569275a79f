/* What the release that goes next would touch: it is held against the findings, so that what
 * breaks the next deployment stands first. */
#pragma once

#include "engine/engine.h"
#include "fact/finding.h"

/* The release that is live in the environments before `environment`, against what is live in
 * `environment`, as this machine last saw both. Where that is not known (or without a
 * project) nothing is touched. Lives in the engine's arena. */
void parity_pending_open(struct engine *engine, const char *environment, struct pending *out);
