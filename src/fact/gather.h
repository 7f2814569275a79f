/* Findings on their way: what finding.c gathers, gap.c and fold.c work on. Only for src/fact. */
#pragma once

#include "base/map.h"
#include "fact/words.h"

enum {
	CAUSE_MAX = 1000,
	CELLS_MAX = 64,	   /* of one finding */
	EVIDENCE_MAX = 16, /* attributes of one subject */
	ROOTS_OPEN = 8,	   /* missing trees that are looked at for another row */
	CROWDS_MAX = 256,
	CROWD_ELSEWHERE = 1000,
	GAPS_MAX = 4096,
};

/* A finding on its way. */
struct draft {
	struct finding finding;
	const char *sentence, *why_it_matters, *advice; /* what text and advice are made of */
	const char *environment;			/* that is to be changed */
	size_t root;	     /* so much of its key is missing with all that is below; 0: not so */
	size_t shared;	     /* so much of it all have that were folded into the tree */
	uint64_t pattern;    /* which columns are in which state */
	const char *package; /* that a file belongs to */
	size_t crowd;	     /* plus one */
	bool by_hand;	     /* somebody edited it: never one of a crowd */
	bool ours;	     /* and there lockstep deployed, as to an environment of the project */
	bool missing;
	bool gone; /* told by another */
};

struct evidence {
	const char *attribute;
	const char **texts; /* one a column; NULL: none */
};

/* Rows of one subject stand together: what is known beside them is attached when the next
 * subject begins. */
struct window {
	struct arena arena;
	struct buf subject;
	struct draft *drafts;
	size_t draft_count, draft_cap;
	struct evidence evidence[EVIDENCE_MAX];
	size_t evidence_count;
};

/* So many of one dimension that differ alike. */
struct crowd {
	const char *dimension;
	enum finding_kind kind;
	enum severity severity;
	uint64_t pattern;
	size_t first, count;
};

struct open_gap {
	struct gap gap;
	size_t column;
	bool exact; /* of one single key so far */
};

struct gatherer {
	struct arena *arena;
	const struct compare_input *input;
	struct findings *out;
	struct draft *drafts;
	size_t count, cap;
	size_t roots[ROOTS_OPEN], root_count; /* the latest missing trees */
	struct crowd crowds[CROWDS_MAX];
	size_t crowd_count;
	struct window window;
	const char **put_by; /* one a column: who can say what its files should be; NULL: nobody */
	bool *untimed;	     /* one a column: when a file was changed is not told of all */
	struct map gaps;     /* → struct open_gap */
	bool *needed;	     /* one an own rule */
	size_t *lapsed;	     /* one an own rule: its draft's place, plus one */
};

/* gap.c: what was not checked, told together by reason. */
void gaps_note(struct gatherer *gatherer, const struct compare_row *row);
void gaps_finish(struct gatherer *gatherer);

/* finding.c: `more` is told by `draft` from now on. */
void draft_take_in(struct draft *draft, const struct draft *more);
/* The key without its attribute, slash included. */
struct slice draft_subject(struct slice key);
/* So many of a dimension that differ alike are still told one by one. */
size_t draft_crowd_limit(const char *dimension);

/* fold.c: once all are gathered, one cause is made one finding. */
void fold_all(struct gatherer *gatherer);
