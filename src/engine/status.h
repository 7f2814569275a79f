/* Where every environment stands, read from the servers in one go. */
#pragma once

#include "engine/fleet_of.h"

/* `environment` NULL: all. Servers that cannot be reached are shown as they were
 * last seen, marked stale. */
int status_read(struct engine *engine, const char *environment, json_t **out, struct err *err) CHECKED;
