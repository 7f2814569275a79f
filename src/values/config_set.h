/* The config set: the resolved variables of one environment, for each of its servers. */
#pragma once

#include "base/arena.h"
#include "codec/digest.h"
#include "seal/secret.h"
#include "values/contract.h"

enum value_level { LEVEL_DEFAULT = 1, LEVEL_PROJECT, LEVEL_ENVIRONMENT, LEVEL_GROUP, LEVEL_SERVER };
const char *value_level_name(enum value_level level);

/* One place that says what a variable is. */
struct candidate {
	const char *name;
	struct secret value;
	bool secret; /* declared so, or from a provider that does not say it is plain */
	enum value_level level;
	const char *scope;   /* LEVEL_GROUP: the group; LEVEL_SERVER: the server's text; else NULL */
	const char *place;   /* "lockstep.yml:14:5", "vault://kv/shop#DB_PASSWORD" */
	const char *version; /* NULL where none is kept */
};

struct config_value { /* a candidate that won */
	const char *name;
	struct secret value;
	bool secret;
	enum value_level level;
	const char *scope, *place, *version;
};

struct config_set {
	struct config_value *values; /* sorted by name, no name twice */
	size_t count;
};

/* NULL when absent. */
const struct config_value *config_set_get(const struct config_set *set, struct slice name);
/* The value's text for those who may see it: "" when absent. Check with config_set_get. */
struct slice config_set_text(const struct config_set *set, struct slice name);
/* For tests and for what has no contract: plain values of level ENVIRONMENT. */
int config_set_of_values(struct arena *arena, struct safe *safe, const struct value_list *values,
			 struct config_set *out, struct err *err) CHECKED;

/* The fingerprint of one value: HMAC-SHA-256 under the key, over name NUL length NUL
 * value, the length in decimal. */
void config_fingerprint(const struct config_value *value, struct slice key, struct digest *out);
/* Names the sets of all servers of an environment together: HMAC-SHA-256 under `key`
 * (kept on the servers, never in a repository) over each set's names and values, in
 * the order given: "lockstep-config 2\n", and for each set "set NUMBER COUNT\n" and its
 * values as above. Equal configuration has an equal digest, whoever computes it. */
void config_digest(const struct config_set *sets, size_t count, struct slice key, struct digest *out);
