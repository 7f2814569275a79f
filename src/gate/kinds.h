/* Every gate, one line each; gate.c lists them. Nobody outside this folder
 * includes this. */
#pragma once

#include "gate/gate.h"

extern const struct gate_kind gate_order;
extern const struct gate_kind gate_parity;
