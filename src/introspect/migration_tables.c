#include "introspect/migration_tables.h"

/* Where two rows could be meant, the one further up counts. */
const struct migration_tool migration_tools[] = {
	{.name = "laravel", .table = "migrations", .columns = {"migration"}, .needs = "batch"},
	{.name = "typeorm", .table = "migrations", .columns = {"name"}, .needs = "timestamp"},
	{.name = "rails",
	 .table = "schema_migrations",
	 .columns = {"version"},
	 .beside = "ar_internal_metadata"},
	{.name = "golang-migrate",
	 .table = "schema_migrations",
	 .columns = {"version"},
	 .needs = "dirty",
	 .bad = "dirty"},
	{.name = "ecto", .table = "schema_migrations", .columns = {"version"}, .needs = "inserted_at"},
	{.name = "dbmate", .table = "schema_migrations", .columns = {"version"}, .lacks = "dirty"},
	{.name = "django", .table = "django_migrations", .columns = {"app", "name"}},
	{.name = "alembic", .table = "alembic_version", .columns = {"version_num"}},
	{.name = "flyway",
	 .table = "flyway_schema_history",
	 .columns = {"version", "script", "checksum"},
	 .good = "success"},
	{.name = "prisma",
	 .table = "_prisma_migrations",
	 .columns = {"migration_name", "checksum"},
	 .done = "finished_at",
	 .gone = "rolled_back_at"},
	/* Its MD5 changes with its own version, so it is no part of it. */
	{.name = "liquibase", .table = "databasechangelog", .columns = {"id", "author", "filename"}},
	{.name = "liquibase", .table = "DATABASECHANGELOG", .columns = {"ID", "AUTHOR", "FILENAME"}},
	{.name = "drizzle",
	 .table = "__drizzle_migrations",
	 .columns = {"created_at", "hash"},
	 .schema = "drizzle"},
	{.name = "sqitch",
	 .table = "changes",
	 .columns = {"project", "change", "script_hash"},
	 .needs = "planner_email",
	 .schema = "sqitch"},
	{.name = "knex", .table = "knex_migrations", .columns = {"name"}, .needs = "batch"},
	{.name = "sequelize", .table = "SequelizeMeta", .columns = {"name"}},
	{.name = "doctrine", .table = "doctrine_migration_versions", .columns = {"version"}},
	{.name = "doctrine", .table = "migration_versions", .columns = {"version"}},
	{.name = "atlas",
	 .table = "atlas_schema_revisions",
	 .columns = {"version", "hash"},
	 .schema = "atlas_schema_revisions"},
	{.name = "node-pg-migrate", .table = "pgmigrations", .columns = {"name"}},
	{.name = "goose", .table = "goose_db_version", .columns = {"version_id"}, .good = "is_applied"},
	{.name = "phinx", .table = "phinxlog", .columns = {"version", "migration_name"}},
	{.name = "mikro-orm", .table = "mikro_orm_migrations", .columns = {"name"}},
	{.name = "entity-framework", .table = "__EFMigrationsHistory", .columns = {"MigrationId"}},
	{.name = "diesel", .table = "__diesel_schema_migrations", .columns = {"version"}},
	{.name = "sqlx", .table = "_sqlx_migrations", .columns = {"version"}, .good = "success"},
	{.name = "yoyo", .table = "_yoyo_migration", .columns = {"migration_id"}},
};
const size_t migration_tool_count = ARRAY_LEN(migration_tools);

/* --- looking at the facts there are -------------------------------------------------- */

/* The first fact at or behind a key. */
static size_t find(const struct fact_list *list, struct slice key)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slice_compare(list->items[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool begins(const struct fact_list *list, const char *prefix)
{
	size_t at = find(list, slice_of(prefix));

	return at < list->count && slice_starts_with(list->items[at].key, prefix);
}

static bool has_column(struct gather *gather, const char *subject, const char *column)
{
	return !column || begins(gather->out, arena_printf(&gather->arena, "db/%s/table/%s/column/%s/type",
							   gather->spec->name, subject, column));
}

static bool is_tool(struct gather *gather, const struct migration_tool *tool, const char *subject,
		    const char *schema)
{
	for (size_t i = 0; i < ARRAY_LEN(tool->columns) && tool->columns[i]; i++)
		if (!has_column(gather, subject, tool->columns[i]))
			return false;
	const char *const more[] = {tool->needs, tool->bad, tool->good, tool->done, tool->gone};
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		if (!has_column(gather, subject, more[i]))
			return false;
	if (tool->lacks && has_column(gather, subject, tool->lacks))
		return false;
	return !tool->beside ||
	       begins(gather->out, arena_printf(&gather->arena, "db/%s/table/%s%s%s/", gather->spec->name,
						schema, *schema ? "." : "", tool->beside));
}

/* --- reading --------------------------------------------------------------------------- */

struct applied {
	struct gather *gather;
	const struct migration_tool *tool;
	size_t columns;
	struct slice *elements;
	size_t count, cap;
	bool too_many;
};

static bool is_true(struct slice value)
{
	return slice_is(value, "t") || slice_is(value, "true") || slice_is(value, "1") ||
	       (value.len == 1 && value.ptr[0] == 1);
}

/* What the columns behind those of the name say. */
static const char *outcome(const struct migration_tool *tool, const struct slice *values, bool *left_out)
{
	const char *text = "";
	size_t at = 0;

	if (tool->bad && is_true(values[at++]))
		text = " (dirty)";
	if (tool->good && !is_true(values[at++]))
		text = " (failed)";
	if (tool->done && !values[at++].ptr)
		text = " (failed)";
	*left_out = tool->gone && values[at].ptr;
	return text;
}

static int take_applied(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct applied *applied = context;
	struct arena *arena = &applied->gather->arena;
	bool left_out = false;
	const char *text = outcome(applied->tool, values + applied->columns, &left_out);

	(void)err;
	ASSERT(count >= applied->columns);
	if (left_out)
		return 0;
	if (applied->count == MIGRATION_ROWS_MAX) {
		applied->too_many = true;
		return 0;
	}
	if (applied->count == applied->cap) {
		applied->cap = MAX(applied->cap * 2, (size_t)64);
		applied->elements = mem_grow(applied->elements, applied->cap, sizeof(*applied->elements));
	}
	AUTO(buf_free) struct buf element = BUF_INIT(4096);
	for (size_t i = 0; i < applied->columns; i++) {
		if (i && values[i].len)
			buf_putc(&element, ' ');
		buf_put_slice(&element, values[i].ptr ? values[i] : slice_make("", 0));
	}
	buf_puts(&element, text);
	applied->elements[applied->count++] = arena_slice(arena, slice_make(buf_str(&element), element.len));
	return 0;
}

static int put_applied(struct applied *applied, const char *subject, struct err *err)
{
	struct gather *gather = applied->gather;
	const char *count = arena_printf(&gather->scratch, "%zu", applied->count);

	if (applied->too_many)
		return gather_gap(gather, arena_printf(&gather->arena, "migration/%s/applied", subject),
				  "more migrations than are looked at", err);
	if (gather_put(gather, FACT_SET, fact_set_value(&gather->arena, applied->elements, applied->count),
		       err, "migration/%s/applied", subject))
		return -1;
	return gather_evidence(gather, FACT_NUMBER, slice_of(count), err, "migration/%s/count", subject);
}

static int read_tool(struct gather *gather, const struct migration_tool *tool, const char *schema,
		     struct err *err)
{
	bool named = *schema && (!tool->schema || strcmp(schema, tool->schema) != 0);
	const char *subject =
		arena_printf(&gather->arena, "%s%s%s", tool->name, named ? ":" : "", named ? schema : "");
	const char *columns[ARRAY_LEN(tool->columns) + 5] = {NULL};
	struct applied applied = {.gather = gather, .tool = tool};
	struct err why = ERR_INIT;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(tool->columns) && tool->columns[i]; i++)
		columns[count++] = tool->columns[i];
	applied.columns = count;
	const char *const more[] = {tool->bad, tool->good, tool->done, tool->gone};
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		if (more[i])
			columns[count++] = more[i];
	int status = gather->read_table(gather, schema, tool->table, columns, count, MIGRATION_ROWS_MAX + 1,
					take_applied, &applied, &why);
	if (status == 0)
		status = put_applied(&applied, subject, err);
	else
		status = gather_gap(gather, arena_printf(&gather->arena, "migration/%s/", subject),
				    gather_reason(gather, &why), err);
	mem_free_ptr(&applied.elements);
	return status;
}

/* --- finding ----------------------------------------------------------------------------- */

/* "audit.migrations" → "audit" when the table is this one. */
static bool is_table(struct arena *arena, struct slice subject, const char *table, const char **schema_out)
{
	size_t len = strlen(table);

	if (slice_is(subject, table)) {
		*schema_out = "";
		return true;
	}
	if (subject.len <= len + 1 || !slice_ends_with(subject, table) ||
	    subject.ptr[subject.len - len - 1] != '.')
		return false;
	*schema_out = arena_str(arena, slice_make(subject.ptr, subject.len - len - 1));
	return true;
}

static int look_at(struct gather *gather, struct slice subject, bool readable, struct err *err)
{
	const char *schema;

	for (size_t i = 0; i < migration_tool_count; i++) {
		const struct migration_tool *tool = &migration_tools[i];
		if (!is_table(&gather->arena, subject, tool->table, &schema))
			continue;
		if (!readable)
			return gather_gap(gather, "migration/", "the table of migrations could not be read",
					  err);
		if (is_tool(gather, tool, arena_str(&gather->arena, subject), schema))
			return read_tool(gather, tool, schema, err);
	}
	return 0;
}

int migration_tables_gather(struct gather *gather, struct err *err)
{
	const char *prefix = arena_printf(&gather->arena, "db/%s/table/", gather->spec->name);

	fact_list_sort(gather->out);
	size_t end = gather->out->count; /* what is added stands behind */
	for (size_t i = find(gather->out, slice_of(prefix)); i < end; i++) {
		struct fact fact = gather->out->items[i];
		if (!slice_starts_with(fact.key, prefix))
			break;
		struct slice rest = slice_skip(fact.key, strlen(prefix));
		bool gap = fact.kind == FACT_NOT_CHECKED;
		if (gap && rest.len == 0) {
			if (gather_gap(gather, "migration/", "the tables could not be read", err))
				return -1;
		} else if (gap && rest.ptr[rest.len - 1] == '/') {
			rest.len--;
		} else if (slice_ends_with(rest, "/kind")) {
			rest.len -= strlen("/kind");
		} else {
			continue;
		}
		if (rest.len && look_at(gather, rest, !gap, err))
			return -1;
	}
	return 0;
}
