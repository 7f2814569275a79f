/* Reads .deploybuild.yaml, the build file of people who come from DeployHQ, so
 * that their project builds as it is: build_commands become `build.run`,
 * build_cache_files `build.cache`. build_languages is understood and only
 * reported, as we install no languages. */
#pragma once

#include "project/project.h"

struct deployhq_command {
	const char *description; /* NULL when absent */
	const char *command;	 /* several lines are joined by the shell as they are */
	bool halt_on_error;	 /* default true */
};

struct deployhq_language {
	const char *name, *version;
};

struct deployhq_build {
	LIST_OF(struct deployhq_command) commands;
	struct str_list cache; /* folders */
	LIST_OF(struct deployhq_language) languages;
};

/* A file of theirs may hold keys that are not ours to know: those give warnings
 * in `diags`; what is wrong in the keys we know gives errors. */
int deployhq_parse(struct arena *arena, const char *file_name, struct slice text, struct deployhq_build *out,
		   struct diags *diags, struct err *err) CHECKED;

/* Fills the build part of a project that says nothing about `run` and `cache`
 * itself; otherwise changes nothing. A command that need not succeed gets
 * ` || true` in effect. */
void deployhq_apply(struct arena *arena, const struct deployhq_build *from, struct project_build *build);
