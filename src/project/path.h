/* Paths inside a release, as written in lockstep.yml. Private to this module. */
#pragma once

#include "base/slice.h"

enum { PROJECT_PATH_MAX = 1024 };

/* NULL when `path` is relative, clean and stays inside; else what is wrong, to be
 * put behind "`x` ". A final slash must have been taken off. */
const char *path_fault(struct slice path);
/* Whether `path` is `folder` or lies below it. */
bool path_within(struct slice path, struct slice folder);
/* A byte that has no place in any name we pass on: control characters. */
bool has_control(struct slice text);
