/* `lockstep init`: looks at a folder, recognises what it holds, and prints a
 * commented lockstep.yml that validates. Writes nothing. */
#pragma once

#include "project/project.h"

enum init_kind { INIT_PLAIN = 1, INIT_LARAVEL, INIT_RAILS, INIT_NODE, INIT_STATIC };

struct init_row {
	enum init_kind kind;
	const char *name;  /* "laravel" */
	const char *words; /* "a Laravel application" */
};

/* The rows, in the order in which they are tried. */
extern const struct init_row *const init_rows[];

/* What the folder holds; INIT_PLAIN when it is none of the others. */
int init_recognise(int dir_fd, const struct init_row **out, struct err *err) CHECKED;
const struct init_row *init_find(const char *name); /* NULL when unknown */

/* `project_name` may be any text (a folder's name): it is made into a valid name. */
void init_print(const struct init_row *row, const char *project_name, struct buf *out);
