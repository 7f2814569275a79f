/* Databases into facts: server, settings, extensions, roles, the whole schema, migration
 * tables. One row a kind of database, in a folder of files of its own. Read-only
 * transaction, statement time limit, nothing locked that writers would wait for.
 *
 *	db/NAME/server/version | product | encoding | collate …
 *	db/NAME/setting/work_mem/value   (source: evidence)
 *	db/NAME/machine/data_directory/value               settings that belong to a machine
 *	db/NAME/extension/vat/version | schema             db/NAME/collation/en_US/version | actual
 *	db/NAME/role/app/attributes | member_of            …/setting/work_mem/value
 *	db/NAME/grant/TABLE/ROLE/privileges                "schema x", "function f(int)", "database"
 *	db/NAME/owner/TABLE/role                           likewise
 *	db/NAME/table/users/kind | options | row_security | …
 *	db/NAME/table/users/column/email/type | null | default | collation | generated | identity
 *	                                 (position: evidence, since order does not matter)
 *	db/NAME/table/users/index/users_name/definition | valid     (of a constraint: that one)
 *	db/NAME/table/users/constraint/NAME/definition | validated
 *	db/NAME/table/users/trigger | rule | policy/NAME/definition | enabled
 *	db/NAME/table/users/partition/key                  db/NAME/table/users_1/partition/of | bound
 *	db/NAME/view/NAME/definition | kind | options      and /index/… of a materialized one
 *	db/NAME/function/NAME(ARGS)/signature | definition MySQL: function/NAME, procedure/NAME
 *	db/NAME/sequence/NAME/definition | owned_by        db/NAME/enum/status/values
 *	db/NAME/domain/… type/… statistics/… event/… event_trigger/… publication/… foreign_server/…
 *	db/NAME/migration/TOOL/applied (set)               TOOL:SCHEMA outside the default schema
 *	db/NAME/fingerprint/schema (digest of table/ to event/ above)
 *
 * Subjects carry the schema ("audit.users") unless it is the default one. Definitions are
 * in one spelling: white space and the order things were made in do not matter. */
#pragma once

#include "fact/snapshot.h"
#include "target/address.h"

enum { DATABASE_TIME_MS = 30000, DATABASE_FACTS_BYTES_MAX = 256 << 20 };

/* How a database is reached. Texts are secrets where they may hold a password: they are
 * never logged, never an argument. */
struct database_address {
	const struct database_kind *kind;
	const char *host;					/* NULL: a local socket, or a file */
	uint16_t port;						/* 0: the kind's own */
	const char *database, *user, *password, *socket, *path; /* path: SQLite's file */
	const char *tls;					/* as written in `sslmode`/`ssl-mode`; NULL */
};

struct database_spec {
	const char *name; /* "main": the subject's first part; no '/' */
	struct database_address address;
	/* The server it is reached from: its localhost is the database's localhost, its files are
	 * SQLite's files. NULL: from here. Another ssh connection carries it (ssh -W or -L to a
	 * private socket); nothing is put on the server. */
	const struct place_address *via;
	const char *ssh; /* NULL: $LOCKSTEP_SSH, else "ssh" */
	int64_t time_ms; /* 0: DATABASE_TIME_MS, for all of it */
};

struct database_kind {
	const char *name;	    /* "postgresql" */
	const char *const *schemes; /* "postgres", "postgresql"; ends with NULL */
	uint16_t port;
	int (*facts)(const struct database_spec *spec, struct fact_list *out, struct err *err);
};
extern const struct database_kind *const database_kinds[]; /* ends with NULL */

/* "postgres://user:pw@host:5432/shop?sslmode=require", "mysql://…", "mariadb://…",
 * "sqlite:///abs/path", "sqlite:relative". An error never quotes the address. */
int database_address_parse(struct arena *arena, struct slice url, struct database_address *out,
			   struct err *err) CHECKED;
/* What an application's own variables say: DATABASE_URL, Laravel's DB_…, PG…, MYSQL_…,
 * Django's and Rails' usual names. `get` gives a variable's value or ptr NULL. false: none. */
bool database_address_from_variables(struct arena *arena,
				     struct slice (*get)(void *context, const char *name), void *context,
				     struct database_address *out);

/* Gathers all facts; whatever part cannot be read is FACT_NOT_CHECKED with its reason. -1
 * when the database cannot be reached or is no such database: the caller then adds
 * "db/NAME/" as not checked. Blocking: called from a thread or process of its own. */
int introspect_database(const struct database_spec *spec, struct fact_list *out, struct err *err) CHECKED;

/* Columns, tables and indexes that probably were renamed: one side lacks A, the other B, of
 * one shape in one table. For findings' causes. Pairs of keys in the arena. */
struct rename_pair {
	const char *from, *to; /* "table/users/column/mail", "table/users/column/email" */
};
int introspect_renames(struct arena *arena, struct fact_reader *a, struct fact_reader *b, const char *name,
		       struct rename_pair **out, size_t *count_out, struct err *err) CHECKED;
