/* What the kinds of database share while they gather: keys below "db/NAME/", values within
 * their limits, and queries whose failure is a fact of its own. */
#pragma once

#include "db/catalog.h"
#include "introspect/introspect.h"
#include "introspect/sql_text.h"

/* Longer texts are told by their digest. */
enum { GATHER_TEXT_MAX = 16 << 10, GATHER_SQL_MAX = 1 << 20 };

struct route;

struct gather {
	const struct database_spec *spec;
	struct fact_list *out;
	struct catalog *catalog; /* NULL: SQLite */
	struct route *route;	 /* NULL: straight from here */
	enum sql_dialect dialect;
	const char *home;     /* the schema whose name is left out of subjects */
	struct arena arena;   /* for all of it */
	struct arena scratch; /* for one row */
	bool broken;	      /* a fact could not be kept: the run ends, and err says why */
	bool version_16;      /* PostgreSQL prints views as since 16 */
	/* A table's rows as text, `schema` "" for the default one; context goes to `row`. */
	int (*read_table)(struct gather *gather, const char *schema, const char *table,
			  const char *const *columns, size_t count, size_t rows_max, catalog_row *row,
			  void *context, struct err *err);
	char *locked; /* PostgreSQL: oids of relations somebody holds exclusively, "0,16385" */
};

void gather_free(struct gather *gather); /* cleanup function */
/* Connects as the spec says, itself or through the server (route.h). */
int gather_connect(struct gather *gather, const struct catalog_engine *engine, struct err *err) CHECKED;

/* One fact; the format gives what follows "db/NAME/". A value without ptr adds nothing. */
int gather_put(struct gather *gather, enum fact_kind kind, struct slice value, struct err *err,
	       const char *format, ...) PRINTF(5, 6) CHECKED;
/* One that is shown and not compared. */
int gather_evidence(struct gather *gather, enum fact_kind kind, struct slice value, struct err *err,
		    const char *format, ...) PRINTF(5, 6) CHECKED;
/* SQL in its one spelling, or its digest when it is long. */
int gather_sql(struct gather *gather, struct slice sql, struct err *err, const char *format, ...)
	PRINTF(4, 5) CHECKED;
/* `key` ends in '/' for all that begins so; "" is everything. */
int gather_gap(struct gather *gather, const char *key, const char *why, struct err *err) CHECKED;

/* Runs a query. When it cannot be answered, the keys of `covers` (separated by spaces) are
 * not checked, and the result is still 0: only what ends the run is -1. */
int gather_query(struct gather *gather, const char *covers, const char *sql, catalog_row *row,
		 struct err *err) CHECKED;
/* The reason as it stands in a fact. */
const char *gather_reason(struct gather *gather, const struct err *why);

/* "users", or "audit.users" outside the default schema. In the scratch arena. */
const char *gather_name(struct gather *gather, struct slice schema, struct slice name);
struct slice gather_yes(bool yes);
const char *gather_str(struct gather *gather, struct slice text); /* scratch */

/* "db/NAME/fingerprint/schema" over every fact of the schema, not checked when one is. */
int gather_fingerprint(struct gather *gather, struct err *err) CHECKED;
