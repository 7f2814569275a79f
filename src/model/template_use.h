/* What an environment was delivered with the last time from this machine: the templates
 * its lockstep.yml was merged from, and what they resolved to. From this it is told
 * what a changed template would alter. Holds no values of `values`. */
#pragma once

#include "model/model.h"

struct template_use {
	const char *address; /* "lockstep:node", "deploy/common.yml", "git+URL//PATH@COMMIT" */
	const char *digest;  /* of the file, 64 hex digits */
};

struct delivered {
	const char *project;	 /* required */
	const char *environment; /* required */
	const char *file;	 /* lockstep.yml as it was read, absolute */
	const char *digest;	 /* of the settings, 64 hex digits */
	const char *settings;	 /* JSON: {"key": ["value as YAML", "template" or null]} */
	const char *deployment;
	int64_t used_ms;
	struct template_use *templates; /* in the order they applied */
	size_t template_count;
};

struct delivered_list {
	struct delivered *items;
	size_t count;
};

enum { DELIVERED_SETTINGS_MAX = 4 << 20 };

/* Replaces what was known of the environment. */
int delivered_put(struct db *db, const struct delivered *row, struct err *err) CHECKED;
/* By project and environment; NULL: all. */
int delivered_list(struct db *db, struct arena *arena, const char *project, struct delivered_list *out,
		   struct err *err) CHECKED;
