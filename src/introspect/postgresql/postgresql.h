/* PostgreSQL in three parts: what the server is, who may do what, the schema. Each adds
 * facts, and is 0 unless the run cannot go on. */
#pragma once

#include "introspect/gather.h"

int postgresql_server(struct gather *gather, struct err *err) CHECKED;
int postgresql_roles(struct gather *gather, struct err *err) CHECKED;
int postgresql_schema(struct gather *gather, struct err *err) CHECKED;

/* Which relations nobody else can read now; each is told as not checked. */
int postgresql_find_locks(struct gather *gather, struct err *err) CHECKED;

/* One question in the spelling of this server: "{15+|new|old}" by its version, "{system}"
 * (n is of the system), "{locked}" (oids), "{extension:pg_class:c.oid}" (belongs to one). */
int postgresql_ask(struct gather *gather, const char *covers, const char *question, catalog_row *row,
		   struct err *err) CHECKED;

/* "{a,b}" as PostgreSQL prints arrays of names is never parsed: questions join with this. */
#define PG_JOIN "E'\\x1f'"
struct slice postgresql_set(struct gather *gather, struct slice joined); /* FACT_SET of such */
