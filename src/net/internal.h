/* What the users of libcurl in this folder share. */
#pragma once

#include "base/err.h"

/* Starts libcurl once in the life of the process, from whatever thread comes first.
 * Its memory is wiped when freed: headers and bodies pass through it. */
int curl_start(struct err *err) CHECKED;
