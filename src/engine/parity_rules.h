/* The rules of a run: what the contract and `parity: allow:` say, and those kept on this
 * machine, over the shipped policy. */
#pragma once

#include "engine/engine.h"
#include "fact/rule.h"

struct parity_rules {
	struct rule_book *book;
	struct rule *own; /* in the engine's arena */
	size_t own_count;
};

/* Without a project there are only those of the policy. */
int parity_rules_open(struct engine *engine, struct parity_rules *out, struct err *err) CHECKED;
/* For one environment against itself: everything must be as it was, but for what a rule
 * ignores. Rules between environments say nothing here. */
int parity_rules_open_same(struct engine *engine, struct parity_rules *out, struct err *err) CHECKED;
void parity_rules_close(struct parity_rules *rules); /* cleanup function */
