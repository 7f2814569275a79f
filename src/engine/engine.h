/* The engine: what one command of lockstep works with. Opened once, closed at the
 * end; everything it hands out lives until then. */
#pragma once

#include "base/arena.h"
#include "engine/event.h"
#include "model/home.h"
#include "project/project.h"
#include "source/source.h"
#include "store/store.h"

struct engine {
	struct arena arena;
	struct home home;
	struct store *store;
	struct project *project;   /* NULL unless the command needs one */
	struct source *source;     /* opened on first use: engine_source */
	pid_t fetch_pid;           /* a fetch begun by engine_fetch_ahead; 0: none */
	int fetch_fd;              /* what it says at its end */
	bool fetched;              /* once is enough for one command */
	struct events events;
	struct relay_context *relays; /* what passes servers' events on: fleet_of.c */
	const char *who;           /* "ada@laptop" */
	const char *directory;     /* where to look for lockstep.yml; NULL: here */
	const char *project_file;  /* --file; NULL */
};

/* `project`: also reads lockstep.yml; every mistake in it is in err's text. */
int engine_open(struct engine *engine, bool with_project, struct err *err) CHECKED;
void engine_close(struct engine *engine); /* cleanup function */

/* Begins to fetch the source in a process of its own, so that it is done while the
 * servers are being connected to; the next engine_source waits for it. Only saves
 * time: whatever goes wrong is told by engine_source. */
void engine_fetch_ahead(struct engine *engine);

/* The project's source, fetched when `fetch`; without a network it goes on with what
 * the mirror has and says so. */
int engine_source(struct engine *engine, bool fetch, struct source **out, struct err *err) CHECKED;

/* SIGINT and SIGTERM set a flag, a second one ends the program at once: for fetching
 * and building. Releasing gives them back to whom they belonged (a fleet). */
void engine_watch_signals(void);
void engine_release_signals(void);
bool engine_stopped(void);
