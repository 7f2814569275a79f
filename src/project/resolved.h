/* The project as it takes effect, as a tree and as a flat list: what templates and
 * the file say together, each value with the place it was written at. */
#pragma once

#include "project/project.h"

/* The merged file. `resolved`: every environment also has what it takes from `deploy`,
 * and what nobody wrote has its default. `only`: of this environment alone (always
 * resolved in what surrounds it: no other environment is shown). */
const struct node *project_view(struct arena *arena, const struct project *project, const struct environment *only,
				bool resolved);
/* "deploy/common.yml:7", "lockstep:php:4", "default". */
void project_put_origin(const struct node *node, struct buf *out);
/* The template a value comes from; NULL: the project's own file, or a default. */
const struct project_template *project_template_of(const struct project *project, const struct node *node);

/* One value, a list as a whole. */
struct setting_value {
	const char *path; /* "build.run", "keep", "hooks.after_prepare" */
	const char *text; /* on one line, as YAML */
	const struct node *node;
};
struct setting_list {
	struct setting_value *items; /* by path */
	size_t count;
};
/* How this environment is built and delivered: `build`, and its own keys resolved, without
 * what stands under `values` and `values_for` (a value may be meant to be secret). */
void project_settings(struct arena *arena, const struct project *project, const struct environment *environment,
		      struct setting_list *out);
/* SHA-256 of the list. */
void project_settings_digest(const struct setting_list *settings, char hex_out[DIGEST_HEX_LEN + 1]);
/* A value on one line: `[a, "b c"]`. */
void project_put_flow(const struct node *node, struct buf *out);
