/* Sealed files as commands change them: which file, its lock, its key, its writing. */
#pragma once

#include "engine/engine.h"
#include "seal/key_file.h"
#include "secret/sealed_file.h"

struct sealed_place {
	const struct environment *environment;
	const char *path;  /* to open */
	const char *shown; /* as in lockstep.yml */
	bool listed;	   /* under values_from; else a hint is due */
	bool exists;
	struct sealed_file file; /* empty when it does not exist yet */
	int lock_fd;
};
#define SEALED_PLACE_INIT ((struct sealed_place){.lock_fd = -1})

/* The file of an environment: `path` (NULL: not said; relative to the folder of
 * lockstep.yml), else the first `sealed:` of its values_from, else deploy/ENV.sealed.
 * With `lock` nobody else changes it until it is closed. */
int sealed_place_open(struct engine *engine, const char *environment, const char *path, bool lock,
		      struct sealed_place *out, struct err *err) CHECKED;
void sealed_place_close(struct sealed_place *place); /* cleanup function */
/* The key the file names. Where there is no file yet: the environment's, and where there
 * is none either, a new one (*made_out, may be NULL) that is saved at once. */
int sealed_place_key(struct engine *engine, struct sealed_place *place, struct safe *safe, struct seal_key *out,
		     bool *made_out, struct err *err) CHECKED;
int sealed_place_save(struct engine *engine, struct sealed_place *place, struct err *err) CHECKED;
/* ERR_NOT_FOUND when there is no file. */
int sealed_place_must_exist(const struct sealed_place *place, struct err *err) CHECKED;
