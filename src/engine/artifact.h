/* Getting hold of a release: the one a commit builds, found where it exists already
 * (here, on the servers) before anything is built. */
#pragma once

#include "engine/fleet_of.h"

struct artifact {
	struct digest release;
	char hex[DIGEST_HEX_LEN + 1];
	const char *commit, *ref, *subject, *author; /* "" when not known */
	int64_t committed_ms;
	const char *tree, *recipe, *build_key, *platform; /* "" when not known */
	const char *log;                                   /* of the build; "" */
	bool built;                                        /* just now */
	const char *from;                                  /* where it was found, for people */
	uint64_t files, bytes;
};

/* Of a ref (NULL: the environment's default). The servers of `fleets` (each may be NULL) are
 * asked before anything is built; without `fleets` those of all environments. `environment`
 * may be NULL (`lockstep build`). */
int artifact_of_ref(struct engine *engine, const struct environment *environment, const char *ref,
		    struct fleet *const *fleets, size_t fleet_count, struct artifact *out, struct err *err) CHECKED;
/* The same, but only looks here: *found_out is false when a server would have to be
 * asked or something built. The source is fetched once, whoever asks first. */
int artifact_at_hand(struct engine *engine, const struct environment *environment, const char *ref,
		     struct artifact *out, bool *found_out, struct err *err) CHECKED;
/* Of a release's digest or a beginning of it. */
int artifact_of_release(struct engine *engine, const char *digest, struct fleet *const *fleets, size_t fleet_count,
			struct artifact *out, struct err *err) CHECKED;
/* What is live and the same on all servers of a fleet; ERR_GATE when they differ. */
int artifact_of_fleet(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		      struct artifact *out, struct err *err) CHECKED;
/* Makes sure the release is in the store, fetched back from a server if need be. */
int artifact_fetch(struct engine *engine, const struct artifact *artifact, struct fleet *const *fleets,
		   size_t fleet_count, struct err *err) CHECKED;
