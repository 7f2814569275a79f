/* Every collector, one line each. Nobody outside this folder includes this. */
#pragma once

#include "collect/collect.h"

extern const struct collector collector_shape;
