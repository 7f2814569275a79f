/* Rules on facts that are kept on this machine, beside those of lockstep.yml: what a person
 * allowed with `lockstep allow add` and nobody has written into the file yet. They stand
 * over the file's. */
#pragma once

#include "fact/rule.h"
#include "model/model.h"

struct parity_allow {
	int64_t number;	     /* given by parity_allow_put */
	const char *project; /* required */
	struct rule rule;    /* as of lockstep.yml; `where` is set when it is read */
	const char *who;
	int64_t created_ms;
};

struct parity_allow_list {
	struct parity_allow *items;
	size_t count;
};

int parity_allow_put(struct db *db, const struct parity_allow *allow, int64_t *number_out,
		     struct err *err) CHECKED;
/* In the order they were added. */
int parity_allow_list(struct db *db, struct arena *arena, const char *project, struct parity_allow_list *out,
		      struct err *err) CHECKED;
/* ERR_NOT_FOUND. */
int parity_allow_remove(struct db *db, const char *project, int64_t number, struct err *err) CHECKED;
