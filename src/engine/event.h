/* Events: what a run tells while it works. Each is one JSON object, appended as a
 * line to the run's events file and handed to the sink of whoever watches (the
 * terminal, later the page). Keys every event has: "event", "at" (ms), "run".
 *
 *	step      step, text                        a phase begins
 *	note      text, level (info|warn|good|bad)  a line for people
 *	server    server, step, state (begun|done|failed), text
 *	progress  server, step, files, files_total, bytes, bytes_total
 *	output    server, stream, text              of hooks and builds
 *	edit      server, path, kind, owner, modified
 *	gate      gate, state, reason, hint
 *	outcome   outcome, text
 */
#pragma once

#include "base/err.h"
#include "doc/json.h"
#include "seal/mask.h"

struct event_sink {
	void (*handle)(void *context, const json_t *event);
	void *context;
};

struct events {
	struct event_sink sink;
	int fd;         /* the run's events file; -1: none */
	const char *run;
	struct mask *mask; /* taken out of every text; NULL: nothing is */
};

/* From here on this value is masked in every event. */
void event_mask(struct events *events, struct secret value);
void events_close(struct events *events);

/* Takes over the reference `fields` (may be NULL). */
void event_emit(struct events *events, const char *name, json_t *fields);
void event_step(struct events *events, const char *step, const char *text);
void event_note(struct events *events, const char *level, const char *format, ...) PRINTF(3, 4);
void event_server(struct events *events, const char *server, const char *step, const char *state, const char *text);
