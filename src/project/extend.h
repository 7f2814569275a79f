/* Templates: what `extends` names, read and merged before any row is decoded, so
 * that every check sees the merged file and every value still knows where it
 * was written.
 *
 *	extends: [lockstep:laravel, ./deploy/common.yml,
 *	          "git+https://git.acme.io/templates.git//php.yml@<40 hex digits>"]
 *
 * The files apply one after the other: what a file extends comes before it, a
 * later one wins, the project's own file comes last. A template that several name
 * applies once, where it is named first. docs/templates.md has the rules.
 * Private to this module. */
#pragma once

#include "project/project.h"

enum {
	EXTEND_DEPTH_MAX = 8,	   /* templates that extend templates */
	EXTEND_FILES_MAX = 32,	   /* templates of one project */
	EXTEND_BYTES_MAX = MIB(1), /* of one template */
	EXTEND_NODES_MAX = 100000, /* values in one template */
};

/* `root`: the project's own file, a map. Returns the merged map, or NULL after
 * reporting; `project` receives its templates. What the file's `extends` is wrong
 * in by its kind is left to the decoder. */
const struct node *extend_merge(struct arena *arena, const struct project_reading *reading,
				const struct node *root, struct project *project, struct diags *diags);

/* The two rules of merging, for tests: `over` on `base` (NULL: nothing below). */
const struct node *extend_merge_nodes(struct arena *arena, const struct node *base, const struct node *over);

/* Templates that are part of the program: src/project/templates, one file each. */
struct builtin_template {
	const char *name; /* "laravel" */
	const char *text;
};
extern const struct builtin_template builtin_templates[]; /* ends with a NULL name */
