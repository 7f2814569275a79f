/* Findings: what is left of a comparison for people: differences no rule allows, rules
 * that lapsed, rules nothing needs any more. Gathered from rows, explained, ranked. Pure. */
#pragma once

#include "fact/compare.h"

enum finding_kind {
	FINDING_DRIFT = 1,    /* between environments */
	FINDING_WITHIN,	      /* between servers of one environment */
	FINDING_LAPSED,	      /* a rule's date is over, and the difference is still there */
	FINDING_UNNEEDED,     /* a rule that nothing needs any more */
	FINDING_HAND_CHANGE,  /* seen now differs from what we last applied: changed on the server */
	FINDING_NOT_DEPLOYED, /* declared differs from what we last applied: the code changed, no deployment
				 yet */
};
const char *finding_kind_name(enum finding_kind kind);

/* Against whom it points. Production has, staging lacks, is worst: it passes staging. */
enum finding_direction {
	FINDING_DIFFERS = 1,
	FINDING_REFERENCE_HAS, /* the reference has it, another lacks it */
	FINDING_REFERENCE_LACKS,
};

struct finding_cell {
	const char *environment, *server; /* server NULL: all of the environment's */
	const char *text;		  /* fact_put_value, "missing", "not checked: why" */
	enum cell_state state;
};

struct finding {
	/* 12 hex digits of SHA-256 over kind, key and the names of the compared environments: the
	 * same from run to run, whatever their order, and while only some of them are put right. */
	char id[13];
	enum finding_kind kind;
	/* A fact's; one that ends in '/' is all that begins with it; of FINDING_LAPSED and
	 * FINDING_UNNEEDED the rule's pattern. */
	const char *key;
	enum severity severity;
	enum finding_direction direction;
	const struct finding_cell *cells;
	size_t cell_count;
	const struct rule *rule;
	const char *text; /* one sentence: what is the case, for whom it matters */
	const char *
		cause; /* "" when not known: "edited 3 Nov 14:02 by deploy", "upgraded with libssl3 by apt" */
	const char *advice; /* what to do, a command where there is one */
	size_t folded; /* so many further rows of the same cause are told by this one (a package's files) */
	/* Rank; set by findings_rank. */
	double score;
	const char *why; /* the reasons for the rank, for people: "critical; the pending release reads it; 12
			    days" */
	/* Set by whoever keeps history; 0: not known. */
	int64_t first_seen_ms, last_seen_ms;
};

struct findings {
	struct finding *items;
	size_t count;
	struct compare_totals totals;
	const char *reference;
	const struct rule *const *excusing; /* the project's own rules that let something differ now */
	size_t excusing_count;
	/* What was not checked, by reason: "net/firewall/: needs root (…)" and for whom. A key
	 * that ends in '/' is all below it, or several below it for one reason; "*" is everything
	 * of a server that could not be reached. server NULL: all of the environment's. */
	struct gap {
		const char *key, *environment, *server, *why;
		uint64_t rows;
	} * gaps;
	size_t gap_count;
};

enum { FINDINGS_MAX = 20000 }; /* further ones are only counted in totals */
enum { FINDING_CROWD = 40 };   /* more files or packages that differ alike are one finding */

/* Compares and gathers. Texts live in the arena. */
int findings_gather(struct arena *arena, const struct compare_input *input, struct findings *out,
		    struct err *err) CHECKED;

/* What the release that goes next touches; NULL members: not known. */
struct pending {
	/* True when the release uses what the key is about; *why_out: "app/Pay.php reads it". */
	bool (*touches)(void *context, struct slice key, const char **why_out);
	void *context;
};
/* severity x pending x direction x age x confidence; sorts, worst first. Every factor that is
 * not 1 stands in `why`. */
void findings_rank(struct arena *arena, struct findings *findings, const struct pending *pending,
		   int64_t now_ms);
