/* Users and groups by name, and whether we may give a file to them. The static agent
 * cannot ask the system's name services itself: getent does. */
#pragma once

#include "base/err.h"

#include <sys/types.h>

/* -1: as it comes. */
struct ownership {
	int64_t uid, gid;
};

/* Names or numbers; "" or NULL: as it comes. A name that is not known, or that we may
 * not give a file to (only root may, but for groups we are in), is refused with what to
 * do about it. */
int ownership_find(const char *owner, const char *group, struct ownership *out, struct err *err) CHECKED;
/* Where the file has another owner or group. */
int ownership_give(const struct ownership *ownership, int fd, struct err *err) CHECKED;
