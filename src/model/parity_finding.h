/* What runs found, one row a finding whatever the number of runs that saw it: since when,
 * until when, and what appeared and went with each run. */
#pragma once

#include "fact/finding.h"
#include "model/parity_run.h"

struct parity_finding {
	const char *id;	     /* 12 hex: struct finding's */
	const char *project; /* "" outside any */
	const char *scope;   /* the subjects of the runs that tell of it, "drift " before those of drift */
	const char *key, *text;
	const char *cause; /* NULL: not known */
	enum finding_kind kind;
	enum severity severity;
	const char *cells;     /* JSON: [{"environment", "server", "text", "state"}] */
	int64_t first_seen_ms; /* ever */
	int64_t onset_ms;      /* since then it has been there without a break */
	int64_t last_seen_ms;
	int64_t gone_ms; /* 0: still there */
	const char *run; /* the last that saw it */
};

struct parity_finding_list {
	struct parity_finding *items;
	size_t count;
};

struct parity_changes {
	size_t appeared, gone;
};

/* Keeps what a run found, in one transaction, as seen at run->ended_ms (else started_ms), and
 * writes onset and last seen into each finding's first_seen_ms and last_seen_ms. What an
 * earlier run of the same scope saw and this one did not is gone, if this one would have seen
 * it: `looked` (NULL: always true) says so of a key; false for what --only left out and what
 * was not checked now. */
int parity_finding_record(struct db *db, const struct parity_run *run, struct findings *findings,
			  bool (*looked)(void *context, struct slice key), void *context,
			  struct parity_changes *out, struct err *err) CHECKED;

/* Those still there, longest first; `scope` NULL: all of the project. */
int parity_finding_list(struct db *db, struct arena *arena, const char *project, const char *scope,
			struct parity_finding_list *out, struct err *err) CHECKED;
/* By id or a unique beginning of it (4 digits or more), gone ones too. ERR_NOT_FOUND, ERR_USER. */
int parity_finding_find(struct db *db, struct arena *arena, const char *project, const char *id,
			struct parity_finding *out, struct err *err) CHECKED;

/* One finding that appeared or went. */
struct parity_change {
	int64_t at_ms;
	const char *id, *run, *key, *text;
	enum severity severity;
	bool gone;
};
struct parity_change_list {
	struct parity_change *items;
	size_t count;
};
enum { PARITY_CHANGES_MAX = 20000 };
/* In order of time. `since_ms` 0: all that is kept; `run` NULL: of any run. */
int parity_change_list(struct db *db, struct arena *arena, const char *project, int64_t since_ms,
		       const char *run, struct parity_change_list *out, struct err *err) CHECKED;
