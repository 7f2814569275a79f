/* What is true on a server: the folder `deploy.path` and what lies in it. Only the
 * agent opens it; it is drawn here because people may need it with mv and ln.
 *
 *	current -> releases/000042-3fa9c1d20b7e
 *	releases/000042-3fa9c1d20b7e/       an activation: number, first 12 digits of the release
 *	shared/
 *	.lockstep/                  0700, owned by the deploy user
 *		lock                flocked while an agent holds the lease; its text says who
 *		state               layout, place id, project, environment, epoch, next number, pending
 *		journal             one sealed record a line, only ever appended
 *		manifests/NAME      an activation's own manifest (with stat signatures)
 *		manifests/release-HEX   a release's manifest
 *		prepare/NAME/       an activation that is not complete yet
 *		objects/HEX         content no activation shows (covered, generated, pristine sides)
 *		rendered/NAME/HEX   0600, the config files an activation was given, by content
 *		config-key          0600, what config sets of this environment are named with
 *		aside/DEPLOYMENT/   hand-edited files as they were found
 *		trash/              what could not be removed
 *		hooks/              process groups of running hooks (pid, start time)
 *		agent-HEX           this program
 *
 * Order of durability in a deployment:
 *	1. lock held, epoch + 1 in `state` (replaced durably)
 *	2. `state` gets the pending deployment, before anything else is created
 *	3. prepare/NAME filled, its config files kept in rendered/NAME, then written into
 *	   it, config-key replaced where it differs, all of it synced
 *	4. prepare/NAME renamed to releases/NAME, both folders synced
 *	5. journal `prepared` synced
 *	6. journal `commit` synced, on the decision server only
 *	7. current.new renamed over current, folder synced, journal `activated` synced
 *	8. journal `verified` (the receipt) synced, then pending removed from `state`
 * A crash after 2 to 5 leaves the old activation live and something ABANDON
 * clears; after 6 recovery goes forward, after a `go-back` line it goes back.
 * `current` decides over the journal, the journal over `state`. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "codec/digest.h"
#include "codec/record.h"

enum { PLACE_LAYOUT = 1, PLACE_NAME_MAX = 32 }; /* "000042-3fa9c1d20b7e" */

struct place {
	char *path;     /* absolute, symlinks resolved */
	int dir_fd;
	int private_fd; /* .lockstep; -1: there is none yet */
};

/* `create` makes the folder and the layout below it (a changing request); without
 * it a missing folder is no error: dir_fd is -1 then. A .lockstep that is a
 * symlink or belongs to somebody else is refused. */
int place_open(const char *path, bool create, struct place *place, struct err *err) CHECKED;
void place_close(struct place *place); /* cleanup function */

/* What `current` shows. */
struct live {
	char name[PLACE_NAME_MAX]; /* of an activation of ours; "" otherwise */
	char target[4096];         /* the link's text; "" when there is no `current` */
	bool foreign;              /* there is a `current`, but it is not ours */
	bool blocked;              /* `current` is no symlink */
};
int place_live(const struct place *place, struct live *live, struct err *err) CHECKED;

/* number - 12 digits of the release. */
void place_make_name(uint64_t number, const char *release_hex, char out[PLACE_NAME_MAX]);
bool place_parse_name(struct slice name, uint64_t *number_out);

/* Names in releases/ that are ours, newest first. */
int place_activations(const struct place *place, struct arena *arena, const char ***names_out, size_t *count_out,
		      struct err *err) CHECKED;

/* releases/, which must be a folder of the place itself: through a symlink we would
 * rename and remove in somebody else's. */
int place_open_releases(const struct place *place, int *fd_out, struct err *err) CHECKED;

/* `current` shows `target` (NULL or "": is removed), durably. */
int place_switch(const struct place *place, const char *target, struct err *err) CHECKED;
