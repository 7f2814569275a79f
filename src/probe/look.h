/* A whole look kept for the life of the agent, and told again as long as every file it came
 * from is the same by its stat signature, and the same was asked. For dimensions that come
 * from files alone and hold nothing fingerprinted under the run's key. */
#pragma once

#include "probe/probe.h"

struct look; /* in memory shared by the agent and the processes of its probes */

struct look *look_new(void); /* NULL: there is no memory for it */

/* In the probe's process, around its run. `look_same`: the answer kept may be told. */
bool look_same(const struct look *look, const struct probe_request *request, struct slice *answer_out);
void look_keep(struct look *look, struct probe_sink *sink, struct slice answer);

/* For probes; nothing happens where looks are not kept. */
void look_input(struct probe_sink *sink, const char *path); /* before it is read */
void look_forget(struct probe_sink *sink);		    /* what no file's signature shows: not kept */
