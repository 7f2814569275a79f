/* The two ways out of a finding: make the project say it, or put the server back. */
#pragma once

#include "engine/engine.h"

/* A patch, or a rule for lockstep.yml, that would make the finding right: "patch" for `git
 * apply` or "rule" as YAML, and "how" for people. Changes nothing. */
int parity_accept(struct engine *engine, const char *finding, json_t **out, struct err *err) CHECKED;

struct revert_request {
	const char *finding;
	bool dry_run;
	const char *reason;
	int64_t wait_ms;
};
/* Puts what was deployed last on the servers again, every file hashed and healed: a
 * deployment of its own, in the log. Only of what lockstep deployed; of anything else err
 * says what a person can do. */
int parity_revert(struct engine *engine, const struct revert_request *request, json_t **out,
		  struct err *err) CHECKED;
