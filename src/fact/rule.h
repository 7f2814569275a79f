/* Rules on facts: what must be the same, what may differ and how, and how bad it is when
 * it does. The shipped policy (policy.c) is rows of the same kind; a project's own rules
 * stand over it. Pure: no clock, no I/O. */
#pragma once

#include "fact/fact.h"

enum rule_kind {
	RULE_SAME = 1,	   /* must be equal everywhere in scope */
	RULE_UNIQUE,	   /* must differ between any two environments in scope */
	RULE_RATIO,	   /* numbers: at least `ratio` of the reference's, at most its inverse when `both` */
	RULE_MINOR,	   /* versions: equal up to the second number */
	RULE_MAJOR,	   /* versions: equal up to the first number */
	RULE_ONE_OF,	   /* one of `words` */
	RULE_LIVE_ONLY_IN, /* "live" in the environments of `words`, "test" (or not live) in all others */
	RULE_PRESENT,	   /* there everywhere; its value may differ */
	RULE_IGNORE,	   /* may differ or be missing */
	RULE_AT_LEAST,	   /* numbers: each at least `least`; only in the policy */
};
const char *rule_kind_name(enum rule_kind kind); /* "same", "live_only_in", … */

enum severity { SEVERITY_NONE = 0, SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH, SEVERITY_CRITICAL };
const char *severity_name(enum severity severity); /* "low", … */
enum severity severity_parse(struct slice name);   /* SEVERITY_NONE: unknown */

struct rule {
	const char *fact; /* slice_glob_match on the whole key; '*' takes '/' too */
	enum rule_kind kind;
	double ratio;		  /* RULE_RATIO, 0 < ratio <= 1 */
	bool both;		  /* RULE_RATIO */
	double least;		  /* RULE_AT_LEAST */
	const char *const *words; /* RULE_ONE_OF; RULE_LIVE_ONLY_IN (none: the reference) */
	size_t word_count;
	const char *const *environments; /* scope; count 0: all */
	size_t environment_count;
	enum severity severity;	    /* of a breach; SEVERITY_NONE: as the policy says of this fact */
	const char *owner, *reason; /* of a project's own; NULL in the policy */
	int64_t until_ms;	    /* the end of that day; 0: no end */
	const char *where;	    /* "lockstep.yml:41", "kept on this machine"; NULL: the policy */
	const char *text;	    /* the policy's: what it means when this differs, one sentence */
	const char *advice;	    /* what to do, with {key} {subject} {attribute} {environment}; NULL */
};

/* The shipped policy: later rows stand over earlier ones, every key is matched by one at
 * least. docs/reference/parity-policy.md is printed from it. */
extern const struct rule policy_rules[];
extern const size_t policy_rule_count;
void policy_print(struct buf *out); /* the reference page */

/* Rules compiled for matching: a literal beginning up to the first wildcard decides first,
 * so that a million facts cost little. */
struct rule_book;
/* `own` may be empty; all is borrowed. */
struct rule_book *rule_book_new(const struct rule *own, size_t own_count, int64_t now_ms);
void rule_book_free(struct rule_book **book); /* cleanup function */
/* The policy's row for a key; never NULL. */
const struct rule *rule_book_policy(const struct rule_book *book, struct slice key);
/* The last of the project's own rules that matches and has not lapsed; NULL: none. */
const struct rule *rule_book_own(const struct rule_book *book, struct slice key);
/* All of these, the last first, at most `max`: one whose scope leaves an environment out
 * does not hide an earlier one. */
size_t rule_book_own_all(const struct rule_book *book, struct slice key, const struct rule **out, size_t max);
/* The last own rule that matches and has lapsed; NULL: none. */
const struct rule *rule_book_lapsed(const struct rule_book *book, struct slice key);
/* Whether equal values may break a rule of this key: unique, one_of, live_only_in,
 * at_least. Quick. */
bool rule_book_demands(const struct rule_book *book, struct slice key);
/* Whether the environment is in its scope. */
bool rule_covers(const struct rule *rule, const char *environment);
/* The own rules as given to rule_book_new. */
size_t rule_book_own_count(const struct rule_book *book);
const struct rule *rule_book_own_at(const struct rule_book *book, size_t index);
/* What a fact pattern begins with before its first wildcard. */
struct slice rule_literal(const char *pattern);
