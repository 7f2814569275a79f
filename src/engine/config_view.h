/* Looking at configuration: why a variable has its value, what differs between
 * environments or versions, what an environment ran with. No secret's value is in any
 * answer. */
#pragma once

#include "engine/configuration.h"

/* Every candidate for a variable, its place, which won where, and why. */
int config_explain(struct engine *engine, const char *environment, const char *name, json_t **out,
		   struct err *err) CHECKED;
/* Keys × environments as they are now. `exit` 9 when something is missing or different
 * that the contract does not expect to be. */
struct compare_options {
	bool all;	 /* also what is the same */
	bool names_only; /* no provider is asked for values: only what is there and what is missing */
};
int config_compare(struct engine *engine, const char *const *environments, size_t count,
		   const struct compare_options *options, json_t **out, struct err *err) CHECKED;
/* One environment now against a version it ran with (`version`: digest, deployment, or
 * NULL for the newest). `files`: which config files are new, gone or changed (in content,
 * permissions or owner); null where the version does not say. */
int config_compare_version(struct engine *engine, const char *environment, const char *version, bool all,
			   json_t **out, struct err *err) CHECKED;
/* Puts into `out` what differs from the version that was deployed last, as this machine
 * knows it: `config_changes`, the rows of variables, empty when it knows none, and
 * `file_changes`, as `files` above. Wipes what was rendered until now. */
void config_changes(struct engine *engine, struct configuration *configuration, json_t *out);

/* Versions an environment ran with, newest first, as this machine knows them. */
int config_history(struct engine *engine, const char *environment, size_t limit, json_t **out,
		   struct err *err) CHECKED;
