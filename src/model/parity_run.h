/* Looks at environments (`diff`, `parity`, `drift`): when, at what, how much of it, and
 * what each server showed. What a run found is in parity_finding.h, the facts themselves in
 * files (parity_snapshot.h). */
#pragma once

#include "fact/compare.h"
#include "model/home.h"
#include "model/model.h"

enum parity_run_kind { PARITY_RUN_DIFF = 1, PARITY_RUN_PARITY, PARITY_RUN_DRIFT };
const char *parity_run_kind_name(enum parity_run_kind kind); /* "diff", "parity", "drift" */

struct parity_run {
	const char *id;	     /* required; deployment_make_id's form */
	const char *project; /* required; "" for a diff outside any project */
	enum parity_run_kind kind;
	const char *subjects;  /* what was held against each other, in the project's order:
				  "staging production"; required */
	const char *reference; /* NULL */
	const char *who;
	const char *run;    /* run folder, relative to the home folder; NULL */
	int64_t started_ms; /* required */
	int64_t ended_ms;   /* 0: not ended */
	struct compare_totals totals;
	int64_t finding_count;
	int coverage;	   /* per cent */
	const char *error; /* for people; NULL when all went well */
};

struct parity_run_list {
	struct parity_run *items;
	size_t count;
};

/* What one server showed in a run. */
struct parity_snapshot {
	const char *run, *environment; /* required */
	const char *server;	       /* its place, as a key; required */
	const char *label;	       /* for people */
	const char *digest;	       /* 64 hex: parity_snapshot_store's; required */
	uint64_t size, bytes;	       /* decoded, and on disk */
	int64_t taken_ms;	       /* required */
};

struct parity_snapshot_list {
	struct parity_snapshot *items;
	size_t count;
};

/* ERR_CONFLICT when the id exists: make another. */
int parity_run_insert(struct db *db, const struct parity_run *run, struct err *err) CHECKED;
/* At the end: overwrites ended_ms, totals, finding_count, coverage, error. ERR_NOT_FOUND. */
int parity_run_update(struct db *db, const struct parity_run *run, struct err *err) CHECKED;
/* ERR_NOT_FOUND. */
int parity_run_find(struct db *db, struct arena *arena, const char *id, struct parity_run *out,
		    struct err *err) CHECKED;
/* Newest first; `project` NULL: all. */
int parity_run_list(struct db *db, struct arena *arena, const char *project, const struct page *page,
		    struct parity_run_list *out, struct err *err) CHECKED;
/* The newest one that ended without error and saw servers of both environments.
 * *found_out false: there is none. */
int parity_run_latest(struct db *db, struct arena *arena, const char *project, const char *environment,
		      const char *other, bool *found_out, struct parity_run *out, struct err *err) CHECKED;

/* After its file is durable: a row never names what is not there. Inserts or replaces. */
int parity_snapshot_put(struct db *db, const struct parity_snapshot *snapshot, struct err *err) CHECKED;
/* In order of environment and server. */
int parity_snapshot_list(struct db *db, struct arena *arena, const char *run,
			 struct parity_snapshot_list *out, struct err *err) CHECKED;

enum { PARITY_KEEP_DAYS = 90, PARITY_KEEP_RUNS = 200 };
/* Forgets runs older than `days`, and of each project all but the newest `runs`; the newest
 * of a project always stays. What is known of findings stays; their changes go with the
 * days. Files are parity_snapshot_gc's. How many runs in *count_out. */
int parity_run_prune(struct db *db, int64_t now_ms, int64_t days, int64_t runs, size_t *count_out,
		     struct err *err) CHECKED;
