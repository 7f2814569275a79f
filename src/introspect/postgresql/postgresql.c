/* The row of PostgreSQL: order of the parts, and how its questions are spelled. */
#include "introspect/postgresql/postgresql.h"

#include "introspect/kinds.h"
#include "introspect/migration_tables.h"

/* --- questions ------------------------------------------------------------------ */

static void put_version_part(struct buf *out, struct slice inside, int major)
{
	uint64_t from = 0;
	struct slice number = slice_cut(&inside, '+');

	ASSERT(slice_to_u64(number, &from) && inside.ptr && inside.ptr[0] == '|');
	inside = slice_skip(inside, 1);
	struct slice newer = slice_cut(&inside, '|');
	buf_put_slice(out, major >= (int)from ? newer : inside);
}

static void put_extension_part(struct buf *out, struct slice inside)
{
	slice_cut(&inside, ':');
	struct slice catalog = slice_cut(&inside, ':');

	buf_printf(out,
		   "%.*s in (select objid from pg_depend where deptype = 'e' and classid = '%.*s'::regclass)",
		   SLICE_ARG(inside), SLICE_ARG(catalog));
}

static void put_question(struct buf *out, const struct gather *gather, const char *question)
{
	int major = catalog_version(gather->catalog) / 10000;
	struct slice rest = slice_of(question);

	while (rest.ptr) {
		struct slice plain = slice_cut(&rest, '{');
		buf_put_slice(out, plain);
		if (!rest.ptr)
			break;
		struct slice inside = slice_cut(&rest, '}');
		if (slice_is(inside, "system"))
			buf_puts(out, "(n.nspname in ('pg_catalog', 'information_schema') or "
				      "n.nspname like 'pg\\_t%')");
		else if (slice_is(inside, "locked"))
			buf_puts(out, gather->locked ? gather->locked : "0");
		else if (slice_starts_with(inside, "extension:"))
			put_extension_part(out, inside);
		else
			put_version_part(out, inside, major);
	}
}

int postgresql_ask(struct gather *gather, const char *covers, const char *question, catalog_row *row,
		   struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(GATHER_SQL_MAX);

	put_question(&sql, gather, question);
	if (sql.overflow) /* tens of thousands of locked tables */
		return gather_gap(gather, covers, "too much is locked", err);
	return gather_query(gather, covers, buf_str(&sql), row, err);
}

struct slice postgresql_set(struct gather *gather, struct slice joined)
{
	size_t count = 0, cap = 16;
	struct slice *elements = ARENA_NEW_ARRAY(&gather->scratch, cap, struct slice);

	if (!joined.ptr)
		return slice_make(NULL, 0);
	for (struct slice rest = joined; rest.ptr;) {
		struct slice element = slice_cut(&rest, '\x1f');
		if (!element.len)
			continue;
		if (count == cap) {
			struct slice *grown = ARENA_NEW_ARRAY(&gather->scratch, cap * 2, struct slice);
			memcpy(grown, elements, count * sizeof(*grown));
			elements = grown;
			cap *= 2;
		}
		elements[count++] = element;
	}
	return fact_set_value(&gather->scratch, elements, count);
}

/* --- locks ----------------------------------------------------------------------- */

static int take_lock(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 4);
	bool is_view = slice_is(values[3], "v") || slice_is(values[3], "m");
	const char *key = arena_printf(&gather->scratch, "%s/%s/", is_view ? "view" : "table",
				       gather_name(gather, values[1], values[2]));

	gather->locked = arena_printf(&gather->arena, "%s, %.*s", gather->locked, SLICE_ARG(values[0]));
	if (strlen(gather->locked) > GATHER_SQL_MAX / 16)
		return err_set(err, ERR_INTERNAL, "too much is locked");
	return gather_gap(gather, key, "somebody holds an exclusive lock on it", err);
}

/* Views ask for a lock on what they read when they are printed. */
int postgresql_find_locks(struct gather *gather, struct err *err)
{
	gather->locked = arena_strdup(&gather->arena, "0");
	return postgresql_ask(
		gather, "",
		"with held as (select distinct relation from pg_locks where locktype = 'relation'"
		" and mode = 'AccessExclusiveLock' and pid <> pg_backend_pid()"
		" and database = (select oid from pg_database where datname = current_database()))"
		" select c.oid, n.nspname, c.relname, c.relkind from pg_class c"
		" join pg_namespace n on n.oid = c.relnamespace"
		" where c.relkind in ('r', 'p', 'f', 'v', 'm') and not {system} and (c.oid in (select "
		"relation from held)"
		" or exists (select from pg_rewrite r join pg_depend d on d.objid = r.oid and d.classid = "
		"'pg_rewrite'::regclass"
		" join held on held.relation = d.refobjid where r.ev_class = c.oid"
		" and d.refclassid = 'pg_class'::regclass))",
		take_lock, err);
}

/* --- tables' rows ------------------------------------------------------------------- */

static void put_name(struct buf *out, struct slice name)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '"')
			buf_putc(out, '"');
		buf_putc(out, name.ptr[i]);
	}
	buf_putc(out, '"');
}

static int read_table(struct gather *gather, const char *schema, const char *table,
		      const char *const *columns, size_t count, size_t rows_max, catalog_row *row,
		      void *context, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(64 << 10);

	for (size_t i = 0; i < count; i++) {
		buf_puts(&sql, i ? ", " : "select ");
		put_name(&sql, slice_of(columns[i]));
		buf_puts(&sql, "::text");
	}
	buf_puts(&sql, " from ");
	put_name(&sql, slice_of(*schema ? schema : gather->home));
	buf_putc(&sql, '.');
	put_name(&sql, slice_of(table));
	buf_printf(&sql, " limit %zu", rows_max);
	return catalog_query(gather->catalog, buf_str(&sql), row, context, err);
}

/* --- all of it ---------------------------------------------------------------------- */

static int gather_all(struct gather *gather, struct err *err)
{
	if (postgresql_server(gather, err) || postgresql_roles(gather, err) ||
	    postgresql_find_locks(gather, err) || postgresql_schema(gather, err) ||
	    migration_tables_gather(gather, err))
		return -1;
	return gather_fingerprint(gather, err);
}

static int postgresql_facts(const struct database_spec *spec, struct fact_list *out, struct err *err)
{
	AUTO(gather_free)
	struct gather gather = {
		.spec = spec, .out = out, .dialect = SQL_POSTGRESQL, .read_table = read_table};

	if (gather_connect(&gather, &catalog_postgresql, err))
		return -1;
	return gather_all(&gather, err);
}

static const char *const schemes[] = {"postgresql", "postgres", "pgsql", "postgis", NULL};

const struct database_kind database_postgresql = {
	.name = "postgresql",
	.schemes = schemes,
	.port = 5432,
	.facts = postgresql_facts,
};
