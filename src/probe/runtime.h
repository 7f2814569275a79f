/* What the files of the probe `runtime` share: languages, and PHP, which is one of its own. */
#pragma once

#include "probe/internal.h"

enum { RUNTIME_TIME_MS = 4000, RUNTIME_OUTPUT_MAX = 256 << 10 };

/* The program of that name in the login's PATH, else in the system's folders; NULL: none. */
const char *runtime_program(struct probe_sink *sink, const char *name);

/* PHP by its kind of server: `php` (command line), `php-fpm`, `php-apache`. The version of
 * the first in *version_out; empty when there is none. */
void runtime_php(struct probe_sink *sink, struct slice *version_out);
