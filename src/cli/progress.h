/* Events of a run on standard error: a bar per server on a terminal, plain lines
 * otherwise, or JSON lines on standard output. */
#pragma once

#include "cli/terminal.h"
#include "engine/event.h"

enum progress_mode { PROGRESS_QUIET = 1, PROGRESS_LINES, PROGRESS_BARS, PROGRESS_JSON };

struct progress;

/* `plan`: the result will begin with the release, so it is not told on the way. */
struct progress *progress_new(enum progress_mode mode, const struct terminal *terminal, bool plan);
struct event_sink progress_sink(struct progress *progress);
/* Takes the bars away, so that a result or an error can be printed. */
void progress_finish(struct progress *progress);
void progress_free(struct progress **progress); /* cleanup function */
