/* Any number of snapshots side by side, in one linear merge. The memory is that of one
 * fact a column, whatever the snapshots' size. Pure. */
#pragma once

#include "fact/rule.h"
#include "fact/snapshot.h"

enum { COMPARE_COLUMNS_MAX = 4096 };

/* One server. Columns of one environment stand together. Servers of one group must be
 * alike, and are held against the reference's of the same group; what has no counterpart
 * there (another group, or none) is held together against what is left of the reference.
 * What is seen of an environment as a whole is a column with a group of its own. */
struct compare_column {
	size_t environment; /* index into compare_input.environments */
	const char *server; /* for people */
	const char *group;  /* NULL: none, which is one as well */
	struct fact_reader *reader;
	bool stale; /* seen earlier, could not be reached now */
};

struct compare_input {
	const char *const *environments;
	size_t environment_count;
	size_t reference; /* index: the one the others are held against; no majority votes */
	const struct compare_column *columns;
	size_t column_count;
	const struct rule_book *rules;
	int64_t now_ms;
	/* Not all of the project's environments are here: whether a rule is needed is not said. */
	bool partial;
	/* The columns are sides of one server, "declared" and the like: what is known beside a fact
	 * need not say whose it is. */
	bool sides;
	/* Keys that are looked at: NULL: all. */
	bool (*wanted)(void *context, struct slice key);
	/* Why a column that lacks the key was not looked at for it; NULL: it was. The member NULL: all
	 * were looked at for everything. */
	const char *(*unseen)(void *context, size_t column, struct slice key);
	void *context;
};

enum cell_state {
	CELL_SAME = 1,
	CELL_ALLOWED, /* differs, and a rule says it may */
	CELL_DRIFT,
	CELL_MISSING, /* looked for, not there, and that is no rule's leave */
	CELL_NOT_CHECKED,
	CELL_STALE, /* of a stale column, or held against nothing but stale ones */
};
const char *cell_state_name(enum cell_state state); /* "same", …, "not_checked", "stale" */

struct cell {
	const struct fact *fact; /* NULL: missing, or not checked */
	const char *why;	 /* not checked: the reason; else NULL */
	/* Not checked: the key of the FACT_NOT_CHECKED that says so. Empty where the cell itself
	 * was looked at and only the judgement could not be made (the reference was not). */
	struct slice range;
	/* Not there: how many bytes at the key's beginning some other key of this column has, so
	 * that whatever is longer is missing with all that is below it. */
	size_t known;
	enum cell_state state; /* against the reference and the rule; same: also where nobody has it */
};

struct compare_row {
	struct slice key;
	const struct cell *cells; /* one a column */
	const struct cell
		*environments;	   /* one an environment: its servers' common cell; drift when they differ */
	enum cell_state state;	   /* the worst of the environments': missing, drift, not checked, stale,
				      allowed, same */
	bool within;		   /* the servers of one environment and group differ among themselves */
	const struct rule *rule;   /* what it was judged by: own, else policy */
	const struct rule *policy; /* severity, text and advice come from here where the rule has none */
	enum severity severity;	   /* SEVERITY_NONE unless drift or missing */
	bool is_evidence;
	/* Own rules without which, by the policy alone, this would be drift or missing. */
	const struct rule *const *excused_by;
	size_t excused_count;
};

struct compare_totals {
	uint64_t rows, same, allowed, drift, missing, not_checked,
		stale;	/* rows by state; evidence not counted */
	uint64_t facts; /* read in all */
};

/* Calls `visit` in key order (a range behind the keys in it) for each row that is not the same everywhere,
 * for each breach of a rule that equal values break (unique, live_only_in, one_of), whether or not an own
 * rule excuses it, and for evidence; with
 * `every` for all rows. Pointers live during the call. A missing or unchecked range counts
 * one row per key some other column has, and one for the range itself when there is no such
 * key: then nobody has any in it, or all have the same and who knows what else.
 * Coverage is same + allowed + drift + missing over rows. */
int compare_run(const struct compare_input *input, bool every,
		int (*visit)(void *context, const struct compare_row *row, struct err *err), void *context,
		struct compare_totals *totals, struct err *err) CHECKED;
/* 0..100, rounded down, so that 100 means all. */
int compare_coverage(const struct compare_totals *totals);
