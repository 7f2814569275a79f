/* The schema from information_schema: one question a kind of object. What both products
 * and their versions spell differently is spelled one way here. */
#include "introspect/mysql/mysql.h"

#include <ctype.h>

static void keep(struct mysql_gather *mysql, struct slice **list, size_t *count, struct slice name)
{
	if ((*count & (*count - 1)) == 0) { /* a power of two: full */
		struct slice *grown =
			ARENA_NEW_ARRAY(&mysql->gather.arena, *count ? *count * 2 : 1, struct slice);
		if (*count)
			memcpy(grown, *list, *count * sizeof(*grown));
		*list = grown;
	}
	(*list)[(*count)++] = arena_slice(&mysql->gather.arena, name);
}

/* utf8 is what older servers call utf8mb3. */
static struct slice charset_name(struct gather *gather, struct slice name)
{
	if (slice_is(name, "utf8"))
		return SLICE("utf8mb3");
	if (!slice_starts_with(name, "utf8_"))
		return name;
	return slice_of(arena_printf(&gather->scratch, "utf8mb3_%.*s", SLICE_ARG(slice_skip(name, 5))));
}

/* --- tables ----------------------------------------------------------------------------- */

static int take_table(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct mysql_gather *mysql = context;
	struct gather *gather = context;
	ASSERT(count == 5);
	const char *name = gather_str(gather, values[0]);
	struct slice kind =
		slice_is(values[1], "BASE TABLE") ? SLICE("table") : SLICE("system versioned table");
	struct slice options = values[4].ptr ? slice_trim(values[4]) : SLICE("");
	struct slice collation = charset_name(gather, values[3]);

	if (slice_is(values[1], "SEQUENCE")) {
		keep(mysql, &mysql->sequences, &mysql->sequence_count, values[0]);
		return 0;
	}
	keep(mysql, &mysql->tables, &mysql->table_count, values[0]);
	if (!values[2].ptr) /* what cannot be opened has no engine */
		return gather_gap(gather, arena_printf(&gather->scratch, "table/%s/", name),
				  "the server cannot open it now: it is locked, or damaged", err);
	if (memmem(options.ptr, options.len, "partitioned", 11))
		keep(mysql, &mysql->partitioned, &mysql->partitioned_count, values[0]);
	if (values[3].ptr)
		map_put(&mysql->collations, arena_slice(&gather->arena, values[0]),
			arena_str(&gather->arena, collation));
	if (gather_put(gather, FACT_TEXT, kind, err, "table/%s/kind", name) ||
	    gather_put(gather, FACT_TEXT, values[2], err, "table/%s/engine", name) ||
	    gather_put(gather, FACT_TEXT, collation, err, "table/%s/collation", name))
		return -1;
	return options.len ? gather_put(gather, FACT_TEXT, options, err, "table/%s/options", name) : 0;
}

/* "int(11) unsigned" → "int unsigned": newer MySQL leaves out how wide it is shown. */
static struct slice column_type(struct gather *gather, struct slice type)
{
	static const char *const kinds[] = {"int(",	  "bigint(",  "smallint(",
					    "mediumint(", "tinyint(", "year("};
	ptrdiff_t end = slice_find(type, ')');

	if (slice_starts_with(type, "tinyint(1)") || slice_ends_with(type, "zerofill") || end < 0)
		return type;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_starts_with(type, kinds[i]))
			return slice_of(arena_printf(&gather->scratch, "%.*s%.*s", (int)strlen(kinds[i]) - 1,
						     type.ptr, SLICE_ARG(slice_skip(type, (size_t)end + 1))));
	return type;
}

static bool is_number(struct slice text)
{
	size_t at = text.len && text.ptr[0] == '-';

	for (size_t i = at; i < text.len; i++)
		if (!isdigit((unsigned char)text.ptr[i]) && text.ptr[i] != '.')
			return false;
	return text.len > at;
}

/* MariaDB quotes what is a string and writes NULL for none; MySQL does neither. */
static struct slice column_default(struct mysql_gather *mysql, struct slice value, struct slice extra)
{
	struct gather *gather = &mysql->gather;
	bool is_expression = memmem(extra.ptr, extra.len, "DEFAULT_GENERATED", 17) != NULL;

	if (!value.ptr || (mysql->is_mariadb && slice_is(value, "NULL")))
		return slice_make(NULL, 0);
	if (slice_is(value, "current_timestamp()") || slice_is(value, "CURRENT_TIMESTAMP"))
		return SLICE("current_timestamp");
	if (slice_starts_with(value, "CURRENT_TIMESTAMP(") || slice_starts_with(value, "current_timestamp("))
		return slice_of(arena_printf(&gather->scratch, "current_timestamp%.*s",
					     SLICE_ARG(slice_skip(value, 17))));
	if (mysql->is_mariadb || is_expression || is_number(value))
		return value;
	AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);
	buf_putc(&out, '\'');
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\'')
			buf_putc(&out, '\'');
		buf_putc(&out, value.ptr[i]);
	}
	buf_putc(&out, '\'');
	return arena_slice(&gather->scratch, buf_slice(&out));
}

static int put_extra(struct gather *gather, const char *key, struct slice extra, struct slice expression,
		     struct err *err)
{
	bool stored = memmem(extra.ptr, extra.len, "STORED GENERATED", 16) ||
		      memmem(extra.ptr, extra.len, "PERSISTENT", 10);
	const char *on_update = memmem(extra.ptr, extra.len, "on update ", 10);

	if (memmem(extra.ptr, extra.len, "auto_increment", 14) &&
	    gather_put(gather, FACT_TEXT, SLICE("auto_increment"), err, "%s/identity", key))
		return -1;
	if (memmem(extra.ptr, extra.len, "INVISIBLE", 9) &&
	    gather_put(gather, FACT_TEXT, SLICE("yes"), err, "%s/invisible", key))
		return -1;
	if (on_update && gather_put(gather, FACT_TEXT, SLICE("current_timestamp"), err, "%s/on_update", key))
		return -1;
	if (!expression.len)
		return 0;
	return gather_sql(gather,
			  slice_of(arena_printf(&gather->scratch, "%.*s %s", SLICE_ARG(expression),
						stored ? "STORED" : "VIRTUAL")),
			  err, "%s/generated", key);
}

static int take_column(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct mysql_gather *mysql = context;
	struct gather *gather = context;
	ASSERT(count == 9);
	const char *table_collation = map_get(&mysql->collations, values[0]);
	const char *key = arena_printf(&gather->scratch, "table/%.*s/column/%.*s", SLICE_ARG(values[0]),
				       SLICE_ARG(values[1]));
	struct slice collation = charset_name(gather, values[6]),
		     extra = values[5].ptr ? values[5] : SLICE("");

	if (!table_collation) /* of a view or a sequence */
		return 0;
	if (gather_put(gather, FACT_TEXT, column_type(gather, values[2]), err, "%s/type", key) ||
	    gather_put(gather, FACT_TEXT, gather_yes(slice_is(values[3], "YES")), err, "%s/null", key) ||
	    gather_evidence(gather, FACT_NUMBER, values[8], err, "%s/position", key) ||
	    gather_sql(gather, column_default(mysql, values[4], extra), err, "%s/default", key))
		return -1;
	if (collation.ptr && !slice_is(collation, table_collation) &&
	    gather_put(gather, FACT_TEXT, collation, err, "%s/collation", key))
		return -1;
	return put_extra(gather, key, extra, values[7], err);
}

/* --- indexes and constraints ----------------------------------------------------------------- */

static int take_index(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	const char *table = gather_str(gather, values[0]), *name = gather_str(gather, values[1]);

	if (slice_is(values[1], "PRIMARY"))
		return gather_put(
			gather, FACT_TEXT,
			slice_of(arena_printf(&gather->scratch, "PRIMARY KEY (%.*s)", SLICE_ARG(values[4]))),
			err, "table/%s/constraint/PRIMARY/definition", table);
	const char *definition =
		arena_printf(&gather->scratch, "%s%.*s (%.*s)", slice_is(values[2], "0") ? "UNIQUE " : "",
			     SLICE_ARG(values[3]), SLICE_ARG(values[4]));
	if (gather_put(gather, FACT_TEXT, slice_of(definition), err, "table/%s/index/%s/definition", table,
		       name))
		return -1;
	return slice_is(values[5], "NO") ? gather_put(gather, FACT_TEXT, SLICE("no"), err,
						      "table/%s/index/%s/visible", table, name)
					 : 0;
}

/* The same to InnoDB, and each product's default. */
static const char *rule_text(struct gather *gather, const char *words, struct slice rule)
{
	if (slice_is(rule, "NO ACTION") || slice_is(rule, "RESTRICT"))
		return "";
	return arena_printf(&gather->scratch, " %s %.*s", words, SLICE_ARG(rule));
}

static int take_foreign_key(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 8);
	const char *definition = arena_printf(&gather->scratch, "FOREIGN KEY (%.*s) REFERENCES %s (%.*s)%s%s",
					      SLICE_ARG(values[2]), gather_name(gather, values[3], values[4]),
					      SLICE_ARG(values[5]), rule_text(gather, "ON UPDATE", values[6]),
					      rule_text(gather, "ON DELETE", values[7]));

	return gather_put(gather, FACT_TEXT, slice_of(definition), err, "table/%s/constraint/%s/definition",
			  gather_str(gather, values[0]), gather_str(gather, values[1]));
}

static int take_check(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 4);
	const char *key = arena_printf(&gather->scratch, "table/%.*s/constraint/%.*s", SLICE_ARG(values[0]),
				       SLICE_ARG(values[1]));

	if (gather_sql(gather, slice_of(arena_printf(&gather->scratch, "CHECK (%.*s)", SLICE_ARG(values[2]))),
		       err, "%s/definition", key))
		return -1;
	return slice_is(values[3], "NO") ? gather_put(gather, FACT_TEXT, SLICE("no"), err, "%s/enforced", key)
					 : 0;
}

/* --- views, routines, triggers, events ---------------------------------------------------------- */

static int take_view(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 5);
	const char *name = gather_str(gather, values[0]);

	if (!values[1].len)
		return gather_gap(gather, arena_printf(&gather->scratch, "view/%s/", name),
				  "this user may not see it: it needs the privilege SHOW VIEW", err);
	if (gather_sql(gather, values[1], err, "view/%s/definition", name) ||
	    gather_put(gather, FACT_TEXT, SLICE("view"), err, "view/%s/kind", name) ||
	    gather_put(gather, FACT_TEXT, values[3], err, "view/%s/security", name) ||
	    gather_put(gather, FACT_TEXT, values[4], err, "owner/%s/role", name))
		return -1;
	return slice_is(values[2], "NONE")
		       ? 0
		       : gather_put(gather, FACT_TEXT, values[2], err, "view/%s/check", name);
}

static int take_routine(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 9);
	bool is_function = slice_is(values[1], "FUNCTION");
	const char *key = arena_printf(&gather->scratch, "%s/%.*s", is_function ? "function" : "procedure",
				       SLICE_ARG(values[0]));

	const char *signature =
		arena_printf(&gather->scratch, "(%.*s)%s%.*s%s %.*s SECURITY %.*s", SLICE_ARG(values[7]),
			     is_function ? " RETURNS " : "", SLICE_ARG(values[3]),
			     slice_is(values[4], "YES") ? " DETERMINISTIC" : "", SLICE_ARG(values[5]),
			     SLICE_ARG(values[6]));
	if (gather_sql(gather, slice_of(signature), err, "%s/signature", key) ||
	    gather_put(gather, FACT_TEXT, values[8], err, "owner/%s/role", key))
		return -1;
	if (!values[2].len)
		return gather_gap(gather, arena_printf(&gather->scratch, "%s/definition", key),
				  "only its definer may see its body", err);
	return gather_sql(gather, values[2], err, "%s/definition", key);
}

static int take_trigger(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	const char *key = arena_printf(&gather->scratch, "table/%.*s/trigger/%.*s", SLICE_ARG(values[0]),
				       SLICE_ARG(values[1]));
	const char *definition = arena_printf(&gather->scratch, "%.*s %.*s %.*s", SLICE_ARG(values[2]),
					      SLICE_ARG(values[3]), SLICE_ARG(values[4]));

	if (gather_put(gather, FACT_TEXT, values[5], err, "owner/%s/role", key))
		return -1;
	return gather_sql(gather, slice_of(definition), err, "%s/definition", key);
}

static int take_event(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 4);
	const char *name = gather_str(gather, values[0]);

	if (gather_put(gather, FACT_TEXT, values[2], err, "event/%s/enabled", name) ||
	    gather_put(gather, FACT_TEXT, values[3], err, "owner/event %s/role", name))
		return -1;
	return gather_sql(gather, values[1], err, "event/%s/definition", name);
}

/* --- partitions, sequences: a question each, since to ask for all would open every table ------------ */

static int take_partition(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	const char *table = gather_str(gather, values[0]);
	const char *key =
		arena_printf(&gather->scratch, "%.*s (%.*s)", SLICE_ARG(values[3]), SLICE_ARG(values[4]));
	const char *name = values[2].ptr ? arena_printf(&gather->scratch, "%.*s.%.*s", SLICE_ARG(values[1]),
							SLICE_ARG(values[2]))
					 : gather_str(gather, values[1]);

	if (gather_sql(gather, slice_of(key), err, "table/%s/partition/key", table))
		return -1;
	return gather_sql(gather, values[5].ptr ? values[5] : SLICE(""), err, "table/%s/partition/%s/bound",
			  table, name);
}

static int ask_partitions(struct mysql_gather *mysql, struct slice table, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(4096);

	buf_puts(&sql, "select table_name, partition_name, subpartition_name, partition_method, "
		       "partition_expression,"
		       " partition_description from information_schema.partitions"
		       " where table_schema = database() and table_name = ");
	catalog_put_literal(mysql->gather.catalog, &sql, table);
	return gather_query(&mysql->gather,
			    arena_printf(&mysql->gather.arena, "table/%.*s/partition/", SLICE_ARG(table)),
			    buf_str(&sql), take_partition, err);
}

static int take_sequence(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 2);
	return gather_put(gather, FACT_TEXT, values[1], err, "sequence/%s/definition",
			  gather_str(gather, values[0]));
}

static int ask_sequence(struct mysql_gather *mysql, struct slice name, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(4096);

	buf_puts(&sql, "select ");
	catalog_put_literal(mysql->gather.catalog, &sql, name);
	buf_puts(&sql,
		 ", concat('START ', start_value, ' INCREMENT ', increment, ' MIN ', minimum_value, ' MAX ',"
		 " maximum_value, ' CACHE ', cache_size, if(cycle_option, ' CYCLE', '')) from `");
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '`')
			buf_putc(&sql, '`');
		buf_putc(&sql, name.ptr[i]);
	}
	buf_putc(&sql, '`');
	return gather_query(&mysql->gather,
			    arena_printf(&mysql->gather.arena, "sequence/%.*s/", SLICE_ARG(name)),
			    buf_str(&sql), take_sequence, err);
}

/* --- what does not show without a privilege --------------------------------------------------------------
 */

/* Objects a user has no right to are simply not listed: that is not the same as not there. */
static int tell_hidden(struct mysql_gather *mysql, struct err *err)
{
	struct gather *gather = &mysql->gather;

	if (!mysql_may(mysql, "EVENT") && gather_gap(gather, "event/", "it needs the privilege EVENT", err))
		return -1;
	if (!mysql_may(mysql, "EXECUTE") && !mysql_may(mysql, "SHOW_ROUTINE") &&
	    (gather_gap(gather, "function/", "it needs the privilege EXECUTE", err) ||
	     gather_gap(gather, "procedure/", "it needs the privilege EXECUTE", err)))
		return -1;
	/* A privilege may also be held on single tables; then those are seen, and told besides. */
	for (size_t i = 0; !mysql_may(mysql, "TRIGGER") && i < mysql->table_count; i++)
		if (gather_put(gather, FACT_NOT_CHECKED, SLICE("it needs the privilege TRIGGER"), err,
			       "table/%.*s/trigger/", SLICE_ARG(mysql->tables[i])))
			return -1;
	if (!mysql_may(mysql, "SELECT") &&
	    gather_gap(gather, "table/",
		       "only tables this user has rights on are seen: it needs SELECT on all of them", err))
		return -1;
	return 0;
}

/* --- all of it
 * ---------------------------------------------------------------------------------------------- */

#define HERE "table_schema = database()"

static int ask_rows(struct mysql_gather *mysql, struct err *err)
{
	int version = catalog_version(mysql->gather.catalog);
	bool has_checks = mysql->is_mariadb ? version >= 100200 : version >= 80016;
	bool has_generated = mysql->is_mariadb ? version >= 100200 : version >= 50700;
	bool has_expressions = !mysql->is_mariadb && version >= 80013,
	     has_visible = !mysql->is_mariadb && version >= 80000;
	bool has_ignored = mysql->is_mariadb && version >= 100600;
	const char *column =
		has_expressions ? "coalesce(column_name, concat('(', expression, ')'))" : "column_name";
	const char *visible = has_visible   ? "max(is_visible)"
			      : has_ignored ? "if(max(ignored) = 'YES', 'NO', 'YES')"
					    : "'YES'";
	struct gather *gather = &mysql->gather;
	const struct {
		const char *covers, *question;
		catalog_row *row;
	} rows[] = {
		{"table/",
		 "select table_name, table_type, engine, table_collation, create_options"
		 " from information_schema.tables where " HERE
		 " and table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')",
		 take_table},
		{"table/",
		 arena_printf(
			 &gather->arena,
			 "select table_name, column_name, column_type, is_nullable, column_default, extra,"
			 " collation_name, %s, ordinal_position from information_schema.columns where " HERE,
			 has_generated ? "generation_expression" : "null"),
		 take_column},
		{"table/",
		 arena_printf(&gather->arena,
			      "select table_name, index_name, max(non_unique), max(index_type),"
			      " group_concat(concat(%s, if(sub_part is null, '', concat('(', sub_part, ')')),"
			      " if(collation = 'D', ' DESC', '')) order by seq_in_index separator ', '), %s"
			      " from information_schema.statistics where " HERE
			      " group by table_name, index_name",
			      column, visible),
		 take_index},
		{"table/",
		 "select k.table_name, k.constraint_name,"
		 " group_concat(k.column_name order by k.ordinal_position separator ', '),"
		 " max(k.referenced_table_schema), max(k.referenced_table_name),"
		 " group_concat(k.referenced_column_name order by k.ordinal_position separator ', '),"
		 " max(r.update_rule), max(r.delete_rule) from information_schema.key_column_usage k"
		 " join information_schema.referential_constraints r on r.constraint_schema = "
		 "k.constraint_schema"
		 " and r.constraint_name = k.constraint_name and r.table_name = k.table_name"
		 " where k.table_schema = database() and r.constraint_schema = database()"
		 " and k.referenced_table_name is not null group by k.table_name, k.constraint_name",
		 take_foreign_key},
		{"view/",
		 "select table_name, view_definition, check_option, security_type, definer"
		 " from information_schema.views where " HERE,
		 take_view},
		{"function/ procedure/",
		 "select r.routine_name, r.routine_type, r.routine_definition, r.dtd_identifier, "
		 "r.is_deterministic,"
		 " r.sql_data_access, r.security_type, coalesce((select group_concat(concat_ws(' ', "
		 "p.parameter_mode,"
		 " p.parameter_name, p.dtd_identifier) order by p.ordinal_position separator ', ')"
		 " from information_schema.parameters p where p.specific_schema = database()"
		 " and p.specific_name = r.specific_name and p.routine_type = r.routine_type and "
		 "p.ordinal_position > 0),"
		 " ''), r.definer from information_schema.routines r where r.routine_schema = database()",
		 take_routine},
		{"table/",
		 "select event_object_table, trigger_name, action_timing, event_manipulation, "
		 "action_statement,"
		 " definer from information_schema.triggers where event_object_schema = database()",
		 take_trigger},
		{"event/",
		 "select event_name, concat_ws(' ', if(event_type = 'ONE TIME', concat('AT ', execute_at), "
		 "concat('EVERY ',"
		 " interval_value, ' ', interval_field)), 'DO', event_definition), status, definer"
		 " from information_schema.events where event_schema = database()",
		 take_event},
		{has_checks ? "table/" : NULL,
		 mysql->is_mariadb
			 ? "select table_name, constraint_name, check_clause, 'YES'"
			   " from information_schema.check_constraints where constraint_schema = database()"
			 : "select t.table_name, t.constraint_name, c.check_clause, t.enforced"
			   " from information_schema.table_constraints t"
			   " join information_schema.check_constraints c"
			   " on c.constraint_schema = t.constraint_schema and c.constraint_name = "
			   "t.constraint_name"
			   " where t.constraint_schema = database() and t.constraint_type = 'CHECK'",
		 take_check},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].covers &&
		    gather_query(gather, rows[i].covers, rows[i].question, rows[i].row, err))
			return -1;
	return 0;
}

int mysql_schema(struct mysql_gather *mysql, struct err *err)
{
	if (ask_rows(mysql, err))
		return -1;
	for (size_t i = 0; i < mysql->partitioned_count; i++)
		if (ask_partitions(mysql, mysql->partitioned[i], err))
			return -1;
	for (size_t i = 0; i < mysql->sequence_count; i++)
		if (ask_sequence(mysql, mysql->sequences[i], err))
			return -1;
	return tell_hidden(mysql, err);
}
