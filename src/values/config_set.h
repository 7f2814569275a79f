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
/* A config file as one server gets it. */
struct config_set_file {
	const char *path;	   /* in the activation; of `pattern`: which files of the release */
	bool pattern;		   /* their content follows from the release and the values */
	unsigned mode;		   /* permission bits; of `pattern`, 0: as in the release */
	const char *owner, *group; /* NULL: whoever deploys */
	struct slice content;
};

/* HMAC-SHA-256 under the key, over `file` or `files` (a pattern), path, mode in octal, owner,
 * group, length in decimal, each with a NUL behind it, and the content. */
void config_file_fingerprint(const struct config_set_file *file, struct slice key, struct digest *out);
/* Names what one server gets: HMAC-SHA-256 under `key` (kept on the servers, never in a
 * repository) over "lockstep-config 3\n", "values COUNT\n" and the values as above,
 * "files COUNT\n" and the files as above, in the order given. Nothing of it depends on
 * who computes it, or on other servers. */
void config_set_digest(const struct config_set *set, const struct config_set_file *files, size_t file_count,
		       struct slice key, struct digest *out);

/* What one server of an environment gets. */
struct config_share {
	const char *server, *group; /* group NULL: of none */
	struct digest digest;	    /* of config_set_digest */
};
/* Names the config set of an environment; sorts `shares`. Where all servers get the same it
 * is the digest of what they get; else HMAC-SHA-256 under `key` over "lockstep-config-sets 1\n"
 * and, sorted, a line `group NAME NUL digest` for each group in which all get the same, and
 * `server NAME NUL digest` for each server of the others. So one more server that gets what
 * its group gets does not change it. */
void config_digest(struct config_share *shares, size_t count, struct slice key, struct digest *out);
