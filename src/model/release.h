/* Releases this machine has built or fetched, and which build gave which release.
 * The bytes are in the store; here is where they came from. */
#pragma once

#include "model/model.h"

/* All text; NULL where not known, except where said. */
struct release {
	const char *digest;    /* 64 hex; required */
	const char *project;   /* required */
	const char *tree;      /* git tree; required */
	const char *recipe;    /* digest of the build recipe, 64 hex; required */
	const char *platform;  /* image digest, or the builder's platform; required */
	const char *build_key; /* digest of (tree, recipe, platform), 64 hex; required */
	const char *commit;    /* the commit it was first built for */
	const char *ref;       /* as asked for: "main", "v1.2.3" */
	const char *subject;   /* of the commit */
	const char *author;
	const char *log;     /* path of the build's log, relative to the home folder */
	const char *builder; /* who built it, where: "ana@laptop"; a server it was fetched from */
	int64_t committed_ms;
	int64_t created_ms; /* when it was recorded first; required */
	int64_t file_count;
	int64_t total_size;
};

struct release_list {
	struct release *items;
	size_t count;
};

/* Records the result of a build. Write-once: the same again is fine and changes
 * nothing; another digest for a build key that has one is ERR_CONFLICT, and the
 * first stays. */
int release_insert(struct db *db, const struct release *release, struct err *err) CHECKED;

/* By digest or a unique beginning of it (6 digits or more). ERR_NOT_FOUND;
 * ERR_USER when several begin like that, or it is no hexadecimal. */
int release_find(struct db *db, struct arena *arena, const char *project, struct slice digest,
		 struct release *out, struct err *err) CHECKED;
/* What a build gave; *found_out false when it was never built here. */
int release_find_build(struct db *db, struct arena *arena, const char *project, const char *build_key,
		       bool *found_out, struct release *out, struct err *err) CHECKED;
/* Newest first. `project` NULL: all. */
int release_list(struct db *db, struct arena *arena, const char *project, const struct page *page,
		 struct release_list *out, struct err *err) CHECKED;

/* Forgets what a build gave, so that it may be built again: only when no copy of
 * the release survives anywhere. The release itself stays in the list. */
int release_forget_build(struct db *db, const char *project, const char *build_key, struct err *err) CHECKED;
