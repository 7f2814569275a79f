/* MySQL and MariaDB in three parts, as PostgreSQL's. */
#pragma once

#include "base/map.h"
#include "introspect/gather.h"

struct mysql_gather {
	struct gather gather; /* first: rows are given a pointer to it */
	bool is_mariadb;
	const char *grantee;	   /* "'app'@'%'": who we are */
	struct map privileges;	   /* ours on this database */
	struct map collations;	   /* of tables */
	struct slice *partitioned; /* tables */
	struct slice *tables, *sequences;
	size_t partitioned_count, table_count, sequence_count;
};

int mysql_server(struct mysql_gather *mysql, struct err *err) CHECKED;
int mysql_roles(struct mysql_gather *mysql, struct err *err) CHECKED;
int mysql_schema(struct mysql_gather *mysql, struct err *err) CHECKED;

/* Whether we hold a privilege without which objects of some kind do not show. */
bool mysql_may(const struct mysql_gather *mysql, const char *privilege);
/* "a, b" → FACT_SET. */
struct slice mysql_set(struct gather *gather, struct slice list, char separator);
