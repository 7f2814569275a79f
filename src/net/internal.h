/* What the users of libcurl in this folder share. */
#pragma once

#include "base/err.h"

/* Loads libcurl and starts it, once in the life of the process, from whatever thread comes
 * first. Before that none of its functions may be called. Its memory is wiped when freed:
 * headers and bodies pass through it. */
int curl_start(struct err *err) CHECKED;
