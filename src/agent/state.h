/* The state file of a place: what must be known before the journal is read. Two
 * sealed records at most, replaced as a whole and durably. */
#pragma once

#include "agent/place.h"

struct state {
	uint64_t layout, epoch, next;
	const char *place_id, *project, *environment;
	struct record pending; /* kind.len == 0: none; see MSG_PENDING for its keys */
	struct arena arena;    /* what the fields point into */
};

/* A missing file is an empty state (layout 0, next 1), with owner and numbers from the
 * journal and releases/ where there are any. A layout newer than ours is refused, and so
 * is a damaged file. */
int state_load(const struct place *place, struct state *state, struct err *err) CHECKED;
int state_save(const struct place *place, const struct state *state, struct err *err) CHECKED;
/* The journal decides over the state: a pending deployment that it has closed is none,
 * a crash came between the two. Changes nothing on disk. */
int state_follow_journal(const struct place *place, struct state *state, struct err *err) CHECKED;
void state_free(struct state *state); /* cleanup function */

bool state_has_pending(const struct state *state);
const char *state_pending(struct state *state, const char *key); /* "" when absent */
/* Replaces the pending record by a copy of the one line in `text` (no crc). */
int state_set_pending(struct state *state, struct slice text, struct err *err) CHECKED;
void state_clear_pending(struct state *state);
/* The same record with another phase. */
int state_set_phase(struct state *state, const char *phase, struct err *err) CHECKED;
