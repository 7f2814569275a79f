/* Rendered files: config files that the controller made for one activation. They are
 * written into the activation itself, so that code and configuration switch in one
 * rename, and kept in .lockstep/rendered for going back to them. Here are also the
 * folder they are kept in and the key that config sets are named with; owners and
 * groups are owner.h's. */
#pragma once

#include "agent/owner.h"
#include "agent/place.h"
#include "agent/protocol.h"
#include "codec/digest.h"

struct preparation;

struct rendered {
	struct slice path; /* NUL-terminated */
	uint16_t mode;
	struct ownership ownership;
	uint64_t size;
	struct buf content; /* wiped when freed */
	struct digest digest;
};

/* --- a preparation's files --- */

/* One more is announced by a RENDER record; -1 when it may not be. */
int render_announce(struct preparation *p, const struct record *record, struct err *err) CHECKED;
int render_content(struct preparation *p, struct slice bytes, struct err *err) CHECKED;
/* Everything that was announced has come. */
bool render_complete(const struct preparation *p);
/* Once all have come and the manifest is known, before the tree is begun: takes those of
 * a kept activation where that was asked for, and refuses what is in another's way. */
int render_settle(struct preparation *p, struct err *err) CHECKED;
/* NULL when there is none at that path; once settled. */
const struct rendered *render_find(const struct preparation *p, struct slice path);
/* Keeps all of them in rendered/NAME, then puts them into the tree. */
int render_put(struct preparation *p, struct err *err) CHECKED;
void render_free(struct preparation *p);

/* --- what is kept of an activation --- */

int render_forget(const struct place *place, const char *name, struct err *err) CHECKED;
/* What neither an activation of releases/ nor `pending` (may be "") has. */
int render_sweep(const struct place *place, const char *pending, struct err *err) CHECKED;

/* --- the key --- */

/* "" when there is none, or it is damaged. */
void config_key_load(const struct place *place, char out[CONFIG_KEY_HEX_LEN + 1]);
/* Durably, where it differs. */
int config_key_save(const struct place *place, const char *hex, struct err *err) CHECKED;
