/* The state folder of this machine: $LOCKSTEP_HOME, else $XDG_STATE_HOME/lockstep,
 * else ~/.local/state/lockstep.
 *
 *	state.db    the database (src/model)
 *	store/      releases (src/store)
 *	mirrors/    bare mirrors of sources
 *	builds/     build folders and their logs
 *	runs/       one folder a deployment: events, lock
 *	caches/     build caches
 *	facts/      what parity runs saw (parity_snapshot.h)
 *
 * It is a cache and a work list: deleting it loses history on this machine, never
 * the truth about servers. Everything is 0700. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "db/db.h"

struct home {
	const char *path; /* absolute; this and the following live in the caller's arena */
	const char *store;
	const char *mirrors;
	const char *builds;
	const char *runs;
	const char *caches;
	const char *facts;
	int dir_fd;    /* the folder itself */
	struct db *db; /* open, schema up to date */
};

#define HOME_INIT ((struct home){.dir_fd = -1})

/* Where it is or would be; creates nothing. ERR_USER when the environment does not
 * say, or says a relative path. */
int home_locate(struct arena *arena, const char **path_out, struct err *err) CHECKED;
/* `path` NULL: home_locate. Creates what is missing, refuses a folder that belongs
 * to another user or that group or others may write (ERR_DENIED). */
int home_open(struct arena *arena, const char *path, struct home *out, struct err *err) CHECKED;
void home_close(struct home *home); /* cleanup function */
