/* Deployments begun on this machine and what became of them, as history. What is
 * live is read from the servers, never from here. */
#pragma once

#include "model/model.h"

enum { DEPLOYMENT_ID_LEN = 12 }; /* "261122-k3m9x": day in UTC, five random characters */

enum deployment_kind {
	DEPLOYMENT_DEPLOY = 1,
	DEPLOYMENT_PROMOTE,
	DEPLOYMENT_ROLLBACK,
	DEPLOYMENT_RECOVER,
	DEPLOYMENT_CONFIG, /* the live release with a new config set */
};

enum deployment_outcome {
	OUTCOME_RUNNING = 1, /* or killed: its run folder's lock tells */
	OUTCOME_LIVE,	     /* new on every server */
	OUTCOME_UNCHANGED,   /* it was live already */
	OUTCOME_RESTORED,    /* activated, then taken back everywhere */
	OUTCOME_FAILED,	     /* failed before anything was activated */
	OUTCOME_ALL_OLD,     /* re-read: every server has the old activation */
	OUTCOME_PARTIAL,     /* planned: a batch or canary is new */
	OUTCOME_MIXED,
	OUTCOME_UNKNOWN,
	OUTCOME_INTERRUPTED, /* a person stopped it; servers untouched or restored */
	OUTCOME_REFUSED,     /* a gate was closed, a lease held */
};

/* "deploy", "live", "all_old", …; "?" for what is none. */
const char *deployment_kind_name(enum deployment_kind kind);
const char *deployment_outcome_name(enum deployment_outcome outcome);

struct deployment {
	const char *id; /* required */
	enum deployment_kind kind;
	const char *project;	 /* required */
	const char *environment; /* required */
	const char *release;	 /* 64 hex; NULL until it is known */
	const char *config;	 /* digest of the config set */
	const char *plan;	 /* digest of the plan */
	const char *commit;
	const char *ref;
	const char *subject;
	const char *who;
	const char *reason; /* given with --hotfix */
	bool hotfix;
	int64_t started_ms; /* required */
	int64_t ended_ms;   /* 0: not ended */
	enum deployment_outcome outcome;
	int exit_code;
	const char *error; /* text for people; NULL when all went well */
	const char *run;   /* run folder, relative to the home folder */
};

struct deployment_list {
	struct deployment *items;
	size_t count;
};

/* yymmdd- and five characters of Crockford's base32 (no i, l, o, u). Random, not
 * checked against anything: deployment_insert refuses an id that exists. */
void deployment_make_id(int64_t now_ms, char out[DEPLOYMENT_ID_LEN + 1]);
bool deployment_id_valid(struct slice text);

/* ERR_CONFLICT when the id exists: make another. */
int deployment_insert(struct db *db, const struct deployment *deployment, struct err *err) CHECKED;
/* Everything that becomes known on the way: overwrites all fields but id,
 * project, environment, started_ms. ERR_NOT_FOUND. */
int deployment_update(struct db *db, const struct deployment *deployment, struct err *err) CHECKED;
/* By id or a unique beginning or end of it (3 characters or more). ERR_NOT_FOUND,
 * ERR_USER as release_find. `project` NULL: any. */
int deployment_find(struct db *db, struct arena *arena, const char *project, struct slice id,
		    struct deployment *out, struct err *err) CHECKED;
/* Newest first; `project`, `environment` NULL: all. */
int deployment_list(struct db *db, struct arena *arena, const char *project, const char *environment,
		    const struct page *page, struct deployment_list *out, struct err *err) CHECKED;
/* Those without an end, oldest first, at most PAGE_LIMIT_MAX: for recovery. */
int deployment_list_running(struct db *db, struct arena *arena, const char *project, const char *environment,
			    struct deployment_list *out, struct err *err) CHECKED;
