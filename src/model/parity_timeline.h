/* One fact of one server over the runs that are kept: read from their snapshots, changes
 * only. */
#pragma once

#include "model/parity_snapshot.h"

enum parity_point_kind {
	PARITY_POINT_VALUE = 1,
	PARITY_POINT_MISSING,	  /* looked for, not there */
	PARITY_POINT_NOT_CHECKED, /* text: why */
	PARITY_POINT_UNREADABLE,  /* the run's snapshot is gone or damaged; text: which file */
};

struct parity_point {
	int64_t at_ms;	 /* when that was first seen */
	const char *run; /* by this run */
	enum parity_point_kind kind;
	/* The value for people. Of a fingerprint "present", or "present, another value" after a
	 * change; what only one run's key has fingerprinted changes unseen. */
	const char *text;
};

struct parity_timeline {
	struct parity_point *items; /* oldest first */
	size_t count;
	size_t runs; /* that were read or share a snapshot with one that was */
	int64_t last_seen_ms;
};

/* `since_ms` 0: all runs kept. */
int parity_timeline(const struct home *home, struct arena *arena, const char *project,
		    const char *environment, const char *server, const char *key, int64_t since_ms,
		    struct parity_timeline *out, struct err *err) CHECKED;
