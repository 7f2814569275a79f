/* The root-owned read-only helper (docs/parity-helper.md): what only root may read, if its
 * administrator put it there. */
#pragma once

#include "probe/names.h"

/* All it prints; ptr NULL and *why_out, which says what to do, when it is not there or may
 * not be run. */
struct slice helper_run(struct probe_sink *sink, struct names *names, const char **why_out);
/* Whether it is there: only then is sudo asked for anything, because asking in vain may
 * send root a mail. */
bool helper_is_there(const struct probe_sink *sink);
/* The next part: "== NAME" and the lines below it; *output goes on behind. False when there
 * is none left. */
bool helper_next(struct slice *output, struct slice *name, struct slice *body);
