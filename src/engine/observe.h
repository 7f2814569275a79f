/* Looking at places: everything parity needs of each server, in one snapshot a server.
 * What its agent's probes saw, what its databases hold, what is seen from beside it. Changes
 * nothing anywhere. */
#pragma once

#include "engine/engine.h"
#include "fact/compare.h"
#include "target/fleet.h"

/* One server of one column's environment. */
struct observed {
	const char *environment; /* its name; of a place without a project: as the user wrote it */
	const char *label, *key; /* "deploy@web1:/var/www/shop"; canonical */
	const char *group;
	int fd;		  /* the snapshot, a file without a name; -1: none */
	int64_t taken_ms; /* when; of an earlier run when `stale` */
	bool stale;
	const char *why; /* not NULL: it could not be looked at */
	/* What lockstep put there last; release "" where that is not known. */
	struct {
		const char *release, *config, *commit, *by, *deployment;
		int64_t at_ms;
	} applied;
	const struct environment *of; /* NULL: a place without a project, or a release */
};

struct observation {
	struct arena *arena;
	struct observed *items;
	size_t count;
	const char **environments; /* in the order asked for */
	size_t environment_count;
	uint8_t run_key[DIGEST_LEN]; /* what values are fingerprinted with in it; a secret */
	bool kept_keys;		     /* fingerprints in it may be kept */
	const char *const *only;     /* dimensions that were looked at; count 0: all */
	size_t only_count;
};

struct observe_request {
	/* Each an environment of the project, a place ("deploy@stg:/var/www/shop", "local:///x",
	 * "." for this machine and folder), or "release:ID" / "release:REF". */
	const char *const *subjects;
	size_t count;
	const char *const *only; /* dimensions; count 0: all */
	size_t only_count;
	bool no_databases, offline;
};

/* Places are looked at side by side. -1 only when nothing could be looked at, or a subject
 * is none; a server that could not be reached is an item with `why`. Close the fds with
 * observation_close. */
int observe(struct engine *engine, const struct observe_request *request, struct observation *out,
	    struct err *err) CHECKED;
/* Whether it was to be looked at: asked for, and not left out by `parity: skip`. What was and
 * is not in a snapshot is a gap or missing, never passed over. */
bool observe_wants(const struct observe_request *request, const char *dimension);
bool observe_skips(const struct environment *environment, const char *dimension); /* NULL: nothing */
bool observation_looked(const struct observation *observation, const struct environment *environment,
			const char *dimension);
/* 4 when a server could not be looked at, else 0: what nobody saw is not the same. */
int observation_exit(const struct observation *observation);
void observation_close(struct observation *observation); /* cleanup function */

/* The files of a release as facts: content and mode. */
int manifest_facts(const struct manifest *manifest, struct fact_list *list, struct err *err) CHECKED;
