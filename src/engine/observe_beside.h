/* What belongs to an environment as a whole: its databases, and what is seen from beside
 * it. In threads of their own while the servers are asked. */
#pragma once

#include "engine/configuration.h"
#include "engine/observe.h"

struct beside;

/* `environment` NULL: a place without a project, whose databases are found by the .env file
 * that stands on it. `configuration` NULL: no values are known. Nothing of it fails: what
 * cannot be seen is a fact of that kind. */
void beside_begin(struct engine *engine, const struct observe_request *request,
		  const struct environment *environment, const struct place *place,
		  const struct configuration *configuration, struct beside **out);
bool beside_done(const struct beside *beside); /* beside_wait would return at once */
void beside_wait(struct beside *beside);
/* After beside_wait. */
struct fact_list *beside_facts(struct beside *beside);
void beside_close(struct beside **beside); /* cleanup function; waits */
