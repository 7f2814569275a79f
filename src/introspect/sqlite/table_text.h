/* What pragmas do not tell of a table stands in its CREATE TABLE only: checks, generated
 * columns, collations. Read by tokens. Pure. */
#pragma once

#include "introspect/sql_text.h"

struct table_text {
	struct {
		struct slice column;	/* empty: of the table */
		const char *name;	/* of a check: its own, or one made of its place */
		struct slice attribute; /* "check", "generated", "collation" */
		const char *text;	/* in one spelling */
	} * parts;
	size_t count;
};

struct table_text sqlite_table_text(struct arena *arena, struct slice create);
/* A quoted name without its quotes. */
struct slice sqlite_name(struct arena *arena, struct slice token);
