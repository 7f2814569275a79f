/* From candidates to config sets: precedence server > group > environment > project >
 * default, and the contract. Pure: no I/O, no clock. */
#pragma once

#include "doc/json.h"
#include "values/config_set.h"

struct resolve_scope {
	const char *server; /* its text; NULL: the environment as a whole, no group */
	const char *group;  /* NULL: belongs to every group */
};

/* By name, the strongest first. */
void candidates_sort(struct candidate *candidates, size_t count);

/* `candidates` are sorted. Two of one level that both apply are refused, naming both
 * places. Names and places stay where they are; only the set is in the arena. */
int config_resolve(struct arena *arena, const struct candidate *candidates, size_t count,
		   const struct resolve_scope *scope, struct config_set *out, struct err *err) CHECKED;

/* What is wrong with the configuration of an environment, by itself and beside others.
 * A value that is not present (only its name was asked for) counts as there and is not
 * compared. */
enum contract_problem_kind {
	CONTRACT_MISSING = 1, /* required, and no value */
	CONTRACT_TYPE,	      /* not of its type */
	CONTRACT_NOT_UNIQUE,  /* `unique`, equal in another environment */
	CONTRACT_NOT_SAME,    /* `same`, different in another environment */
	CONTRACT_LIVE_KEY,    /* a live credential where none belongs */
	CONTRACT_TEST_KEY,    /* a test credential where live_only_in names this environment */
	CONTRACT_UNDECLARED,  /* has a value, is not declared: a warning; not without any contract */
	CONTRACT_BAKED,	      /* a name a build bakes in has different values per environment: a warning */
};
struct contract_problem {
	enum contract_problem_kind kind;
	bool refuses;
	const char *name, *environment, *other; /* other environment; NULL */
	const char *text, *hint;		/* for people; never a value */
};
struct contract_problems {
	struct contract_problem *items;
	size_t count, refusing;
};
struct environment_values {
	const char *environment;
	const struct config_set *sets; /* one a server */
	size_t count;
};
/* `contract` was indexed. */
void contract_check(struct arena *arena, const struct contract *contract,
		    const struct environment_values *subject, const struct environment_values *others,
		    size_t other_count, struct contract_problems *out);
/* The second half of it, for callers who hold the values of one other environment at a
 * time: adds to `out`, which contract_check filled. */
void contract_check_against(struct arena *arena, const struct contract *contract,
			    const struct environment_values *subject, const struct environment_values *other,
			    struct contract_problems *out);
/* All that refuse, in one error (ERR_USER); 0 when none does. */
int contract_problems_check(const struct contract_problems *problems, const char *environment,
			    struct err *err) CHECKED;
