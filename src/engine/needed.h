/* Which releases anything needs: what `store gc` leaves alone. */
#pragma once

#include "engine/engine.h"

#include "base/map.h"

struct needed {
	struct map releases; /* keys are 64 hex digits, in the engine's arena */
	json_t *not_asked;   /* [{environment, server, why}]: of these, what this machine knows is kept */
	size_t asked;	     /* servers */
};

/* What runs anywhere, is kept on a server to go back to, went live lately, or is younger
 * than `age_ms`. Asks the servers of the project, where there is one (engine->project),
 * changing nothing there; of a server that cannot be asked, and of other projects, it takes
 * what this machine knows. needed_free it, also after an error. */
int needed_collect(struct engine *engine, int64_t age_ms, struct needed *out, struct err *err) CHECKED;
bool needed_has(const struct needed *needed, const struct digest *release);
void needed_free(struct needed *needed); /* cleanup function */
