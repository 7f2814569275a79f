/* The configuration an environment ran with, version by version, as this machine
 * knows it: names, where each value came from, and fingerprints under a key only
 * this machine has. No secret in clear: where a provider keeps no versions, a sealed
 * copy, so that a rollback can have the value again; `secret revoke` removes those. */
#pragma once

#include "model/model.h"

struct config_entry {
	const char *name;	 /* required */
	const char *scope;	 /* group or server; NULL: the whole environment */
	const char *level;	 /* default | project | environment | group | server; required */
	const char *place;	 /* required */
	const char *version;	 /* as the provider counts; NULL where it keeps none */
	const char *fingerprint; /* 64 hex; required */
	const char *text;	 /* the value, when it is no secret; NULL */
	const char *sealed;	 /* a secret its provider keeps no versions of; NULL */
	bool secret;
};

struct config_entry_list {
	struct config_entry *items;
	size_t count;
};

/* A config file, or a pattern of files a value is put into. */
struct config_kept_file {
	const char *path;	 /* required */
	const char *fingerprint; /* 64 hex, of content, permissions and owner; required */
};

struct config_kept_file_list {
	struct config_kept_file *items;
	size_t count;
};

struct config_version {
	int64_t number;		 /* given by config_version_put */
	const char *project;	 /* required */
	const char *environment; /* required */
	const char *digest;	 /* of the config set, 64 hex; required */
	const char *deployment;	 /* that made it live; NULL */
	const char *who;
	int64_t created_ms; /* required */
	int64_t entry_count;
	int64_t file_count; /* -1: an earlier lockstep did not write down which */
};

struct config_version_list {
	struct config_version *items;
	size_t count;
};

/* Appends a version with its entries and, unless its file_count is -1, its files, no path
 * twice; not where the newest has this digest already (*added_out false then). */
int config_version_put(struct db *db, const struct config_version *version,
		       const struct config_entry_list *entries, const struct config_kept_file_list *files,
		       bool *added_out, struct err *err) CHECKED;
/* Newest first, at most `limit` (0: 50). */
int config_version_list(struct db *db, struct arena *arena, const char *project, const char *environment,
			size_t limit, struct config_version_list *out, struct err *err) CHECKED;
/* The newest, or the newest whose digest begins with `digest` (6 digits or more), or
 * that of a deployment. *found_out false: there is none. */
int config_version_find(struct db *db, struct arena *arena, const char *project, const char *environment,
			const char *digest, bool *found_out, struct config_version *out,
			struct err *err) CHECKED;
/* In order of name and scope. */
int config_entry_list(struct db *db, struct arena *arena, const struct config_version *version,
		      struct config_entry_list *out, struct err *err) CHECKED;
/* By path; none of a version whose file_count is not known. */
int config_kept_file_list(struct db *db, struct arena *arena, const struct config_version *version,
			  struct config_kept_file_list *out, struct err *err) CHECKED;
/* Removes the sealed copies of a variable (NULL: all) of an environment (NULL: all of
 * the project); how many in *count_out. */
int config_version_purge(struct db *db, const char *project, const char *environment, const char *name,
			 size_t *count_out, struct err *err) CHECKED;
