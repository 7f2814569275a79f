/* Which migrations a database says were applied: the tables the tools keep, one row a tool.
 * "db/NAME/migration/TOOL/applied" is a set; tools' tables outside the default schema are
 * told as "TOOL:SCHEMA". Found among the schema's facts, which must have been gathered. */
#pragma once

#include "introspect/gather.h"

enum { MIGRATION_ROWS_MAX = 100000 };

struct migration_tool {
	const char *name, *table;
	const char *columns[3]; /* joined with a space: one applied migration */
	const char *needs;	/* a further column the table must have; NULL */
	const char *lacks;	/* one it must not have */
	const char *beside;	/* a table in the same schema that tells this tool from another */
	const char *schema;	/* where it stands by itself: not named in the subject */
	/* Columns that say how it went; NULL: none does. */
	const char *bad;  /* true: "(dirty)" */
	const char *good; /* false: "(failed)" */
	const char *done; /* null: "(failed)" */
	const char *gone; /* not null: taken back, and left out */
};
extern const struct migration_tool migration_tools[];
extern const size_t migration_tool_count;

int migration_tables_gather(struct gather *gather, struct err *err) CHECKED;
