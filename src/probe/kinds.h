/* Every probe, one line each. Nobody outside this folder includes this. */
#pragma once

#include "probe/probe.h"

extern const struct probe probe_os;
