/* What the search for secrets found in releases: paths, lines and rules, no values. */
#pragma once

#include "model/model.h"

struct release_scan {
	const char *release;  /* 64 hex; required */
	const char *project;  /* required */
	const char *rules;    /* digest of the rules it was searched by; required */
	const char *findings; /* JSON; required */
	int64_t scanned_ms;
};

/* Inserts or replaces. */
int release_scan_put(struct db *db, const struct release_scan *scan, struct err *err) CHECKED;
/* *found_out false: never searched by these rules. */
int release_scan_find(struct db *db, struct arena *arena, const char *release, const char *rules, bool *found_out,
		      struct release_scan *out, struct err *err) CHECKED;
/* The last release of a project that was searched by these rules. */
int release_scan_latest(struct db *db, struct arena *arena, const char *project, const char *rules, bool *found_out,
			struct release_scan *out, struct err *err) CHECKED;
