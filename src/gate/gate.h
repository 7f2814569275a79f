/* Gates: pure verdicts over gathered evidence. No I/O, no clock, no database: the
 * engine gathers, a gate judges. Every gate is one row in a file of its own, listed
 * in gate_kinds[] (docs/adding-a-gate.md).
 *
 * Only GATE_OPEN lets a deployment through. A rollback needs only its permission:
 * the engine does not ask gates for one. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "fact/rule.h"

enum gate_state {
	GATE_OPEN = 1,
	GATE_CLOSED,
	GATE_NOT_CHECKED, /* it could not be judged: stays shut */
};
const char *gate_state_name(enum gate_state state); /* "open", "closed", "not_checked" */

/* What the receipts on a server say about its live activation. */
enum gate_receipt {
	GATE_RECEIPT_VERIFIED = 1, /* hashed clean, checks passed, reload proved */
	GATE_RECEIPT_NOT_CHECKED,  /* live, but there was no health check to pass */
	GATE_RECEIPT_FAILED,	   /* live, and its verification failed */
	GATE_RECEIPT_NONE,	   /* no receipt: interrupted, or not put there by us */
};

struct gate_server {
	const char *label; /* for people; required */
	bool reachable;	   /* false: nothing below counts but unreachable_why */
	const char *unreachable_why;
	const char *live_release; /* 64 hex; NULL: nothing is live, or a foreign release */
	enum gate_receipt receipt;
	int64_t receipt_ms; /* 0: none */
	int64_t edits;	    /* files of the live activation edited by hand; -1: not looked at */
};

struct gate_upstream {
	const char *environment; /* required */
	bool health_none;	 /* `health: none` is declared: not_checked is meant */
	const struct gate_server *servers;
	size_t server_count;
};

/* One difference, as the last look found it. */
struct gate_finding {
	const char *id, *key, *text; /* required */
	enum severity severity;	     /* never SEVERITY_NONE */
	const char *allowed_by;	     /* why a rule lets it differ, for people; NULL: none does */
	int64_t until_ms;	     /* the end of that rule; 0: it has none */
};

/* What was to be looked at and was not. */
struct gate_gap {
	const char *key, *environment, *why; /* required */
	uint64_t rows;
};

/* `require.parity_with`: how like each other two environments were found. */
struct gate_parity {
	const char *with, *environment; /* required; environment: as in gate_input */
	enum severity severity;		/* the worst that is let through; SEVERITY_NONE: not even low */
	int coverage_min, coverage;	/* per cent */
	int64_t checked_ms;		/* 0: never */
	int64_t max_age_ms;		/* above 0 */
	const struct gate_finding *findings; /* in any order */
	size_t finding_count;
	const struct gate_gap *gaps; /* in any order */
	size_t gap_count;
	const char *not_checked_why; /* nothing could be looked at, and this is why; NULL */
};

struct gate_input {
	const char *environment;	       /* where to; required */
	const char *release;		       /* 64 hex; required */
	const struct gate_upstream *upstreams; /* one per name in promote_from */
	size_t upstream_count;
	const struct gate_parity *parity; /* NULL: not required */
	int64_t now_ms; /* when the deployment will really start */
	const char *who;
	bool hotfix;	    /* --hotfix */
	const char *reason; /* --reason */
};

struct gate_kind;

struct gate_verdict {
	const struct gate_kind *gate; /* set by gate_check */
	enum gate_state state;
	bool overridden;	/* open only because of --hotfix; `reason` says by whom and why */
	const char *reason;	/* one or more lines for people, never NULL */
	const char *what_to_do; /* "" when open */
};

struct gate_kind {
	const char *name;    /* as written under `require:` and in --json */
	const char *summary; /* one line for help and the page */
	bool hotfix_opens;   /* --hotfix --reason is a recorded way around it */
	/* Fills *out; texts in the arena. -1 only for evidence that is malformed. */
	int (*check)(struct arena *arena, const struct gate_input *in, struct gate_verdict *out,
		     struct err *err) CHECKED;
};

extern const struct gate_kind *const gate_kinds[]; /* ends with NULL */

struct gate_verdicts {
	struct gate_verdict *items; /* in the order of gate_kinds */
	size_t count;
	bool open; /* every one of them is */
};

/* Checks the evidence, asks the gate, and applies the hotfix. On -1 (ERR_INTERNAL:
 * malformed evidence; ERR_USER: --hotfix without reason) *out is not open. */
int gate_check(const struct gate_kind *gate, struct arena *arena, const struct gate_input *in,
	       struct gate_verdict *out, struct err *err) CHECKED;
/* All gates. -1 as gate_check; then out->open is false. */
int gate_check_all(struct arena *arena, const struct gate_input *in, struct gate_verdicts *out,
		   struct err *err) CHECKED;
/* -1 with ERR_GATE, every reason, and what to do, unless all are open. */
int gate_require_open(const struct gate_verdicts *verdicts, struct err *err) CHECKED;
