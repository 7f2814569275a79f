/* What was last seen on each server: for `status` when a server cannot be
 * reached, where it is shown as stale. Never used to decide anything. */
#pragma once

#include "model/model.h"

enum seen_verified { SEEN_VERIFIED = 1, SEEN_UNVERIFIED, SEEN_NOT_CHECKED };
const char *seen_verified_name(enum seen_verified verified);

struct seen_place {
	const char *project;	 /* required */
	const char *environment; /* required */
	const char *place;	 /* canonical (place_key); required */
	const char *label;	 /* for people */
	const char *place_id;	 /* the random id in the server's state; NULL: never deployed to */
	int64_t number;		 /* of the live activation; 0: none */
	const char *activation;	 /* its name; NULL: none */
	const char *release;
	const char *config;
	enum seen_verified verified;
	const char *deployment; /* that made it live */
	const char *commit;
	const char *subject;
	const char *who;
	int64_t activated_ms;
	int64_t edits;	 /* files edited by hand; -1: not looked at */
	int64_t seen_ms; /* required */
};

struct seen_place_list {
	struct seen_place *items;
	size_t count;
};

/* Inserts or replaces, unless what is there was seen later. */
int seen_place_put(struct db *db, const struct seen_place *place, struct err *err) CHECKED;
int seen_place_find(struct db *db, struct arena *arena, const char *project, const char *environment,
		    const char *place, bool *found_out, struct seen_place *out, struct err *err) CHECKED;
/* Sorted by environment and place; `environment` NULL: all. */
int seen_place_list(struct db *db, struct arena *arena, const char *project, const char *environment,
		    struct seen_place_list *out, struct err *err) CHECKED;
/* For a server that left the project. */
int seen_place_forget(struct db *db, const char *project, const char *environment, const char *place,
		      struct err *err) CHECKED;
