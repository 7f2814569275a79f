/* `lockstep init`: looks at a folder, recognises what it holds, and prints a
 * commented lockstep.yml that validates. Writes nothing. */
#pragma once

#include "project/project.h"

/* One file each: init_laravel.c, init_rails.c, init_node.c, init_static.c,
 * init_plain.c. */
struct init_row {
	const char *name;  /* "laravel" */
	const char *words; /* "a Laravel application" */
	/* Whether the folder holds one. */
	bool (*recognise)(int dir_fd);
	/* The parts of the file that differ, as YAML with its comments. */
	const char *build;  /* `build:` and what is below it */
	const char *deploy; /* lines of `deploy:` behind `path`, indented by two */
};

/* The rows, in the order in which they are tried; ends with NULL. The last one
 * takes everything. */
extern const struct init_row *const init_rows[];

const struct init_row *init_recognise(int dir_fd);
const struct init_row *init_find(const char *name); /* NULL when unknown */

/* `project_name` may be any text (a folder's name): it is made into a valid name. */
void init_print(const struct init_row *row, const char *project_name, struct buf *out);

/* For rows: whether a file is there, and whether a small one holds a text. */
bool init_has(int dir_fd, const char *path);
bool init_holds(int dir_fd, const char *path, const char *text);
