/* Every probe, one line each. Nobody outside this folder includes this. */
#pragma once

#include "probe/probe.h"

extern const struct probe probe_container;
extern const struct probe probe_env;
extern const struct probe probe_files; /* the dimension file; probe_file reads one */
extern const struct probe probe_hw;
extern const struct probe probe_net;
extern const struct probe probe_os;
extern const struct probe probe_pkg;
extern const struct probe probe_runtime;
extern const struct probe probe_unit;
