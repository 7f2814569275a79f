/* The schema: one question a kind of object, whatever the number of tables. What belongs to
 * an extension is that extension's version; what a partition has from its parent is told
 * once, there. */
#include "introspect/postgresql/postgresql.h"

#define OF_TABLE " and not {system} and not {extension:pg_class:c.oid} and c.oid not in ({locked})"

static bool is_true(struct slice value)
{
	return slice_is(value, "t");
}

/* Views and materialized views have indexes and triggers too. */
static const char *holder(struct gather *gather, const struct slice *values)
{
	bool is_view = slice_is(values[2], "v") || slice_is(values[2], "m");

	return arena_printf(&gather->scratch, "%s/%s", is_view ? "view" : "table",
			    gather_name(gather, values[0], values[1]));
}

static const char *kind_of_relation(struct slice kind)
{
	switch (kind.len ? kind.ptr[0] : '\0') {
	case 'p':
		return "partitioned table";
	case 'f':
		return "foreign table";
	case 'v':
		return "view";
	case 'm':
		return "materialized view";
	default:
		return "table";
	}
}

/* --- tables ------------------------------------------------------------------------- */

static const char tables[] =
	"select n.nspname, c.relname, c.relkind, c.relpersistence = 'u', c.relrowsecurity, "
	"c.relforcerowsecurity,"
	" array_to_string(c.reloptions, ', '), case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,"
	" case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end,"
	" (select string_agg(pn.nspname || '.' || p.relname, ', ' order by i.inhseqno) from pg_inherits i"
	" join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace"
	" where i.inhrelid = c.oid), c.relispartition, pg_get_userbyid(c.relowner),"
	" case c.relreplident when 'n' then 'nothing' when 'f' then 'full' when 'i' then 'index' end,"
	" (select s.srvname from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver"
	" where f.ftrelid = c.oid)"
	" from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', "
	"'f')" OF_TABLE;

static int take_table(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 14);
	const char *name = gather_name(gather, values[0], values[1]);
	bool is_partition = is_true(values[10]);
	const char *kind = is_true(values[3]) ? "unlogged table" : kind_of_relation(values[2]);

	if (gather_put(gather, FACT_TEXT, slice_of(kind), err, "table/%s/kind", name) ||
	    gather_put(gather, FACT_TEXT, values[11], err, "owner/%s/role", name) ||
	    gather_put(gather, FACT_TEXT, values[6], err, "table/%s/options", name) ||
	    gather_put(gather, FACT_TEXT, values[12], err, "table/%s/replica_identity", name) ||
	    gather_put(gather, FACT_TEXT, values[13], err, "table/%s/foreign_server", name) ||
	    gather_sql(gather, values[7], err, "table/%s/partition/key", name) ||
	    gather_sql(gather, values[8], err, "table/%s/partition/bound", name) ||
	    gather_sql(gather, values[9], err, "table/%s/%s", name,
		       is_partition ? "partition/of" : "inherits"))
		return -1;
	if (!is_true(values[4]))
		return 0;
	return gather_put(gather, FACT_TEXT, is_true(values[5]) ? SLICE("forced") : SLICE("enabled"), err,
			  "table/%s/row_security", name);
}

static const char columns[] =
	"select n.nspname, c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod), "
	"a.attnotnull,"
	" pg_get_expr(d.adbin, d.adrelid), a.attidentity, {12+|a.attgenerated|''},"
	" (select co.collname from pg_collation co join pg_type t on t.oid = a.atttypid"
	" where co.oid = a.attcollation and a.attcollation <> t.typcollation), a.attrelid"
	" from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = "
	"c.relnamespace"
	" left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
	" where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f') and not "
	"c.relispartition" OF_TABLE " order by a.attrelid, a.attnum";

/* Where the column stands among those that are left of its table. */
struct positions {
	char relation[24];
	int position;
};
static _Thread_local struct positions positions;

static int position_of(struct slice relation)
{
	if (!slice_is(relation, positions.relation)) {
		positions = (struct positions){0};
		memcpy(positions.relation, relation.ptr, MIN(relation.len, sizeof(positions.relation) - 1));
	}
	return ++positions.position;
}

static int take_column(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 11);
	const char *key = arena_printf(&gather->scratch, "table/%s/column/%.*s",
				       gather_name(gather, values[0], values[1]), SLICE_ARG(values[3]));
	const char *position = arena_printf(&gather->scratch, "%d", position_of(values[10]));
	char identity = values[7].len ? values[7].ptr[0] : '\0',
	     generated = values[8].len ? values[8].ptr[0] : '\0';

	if (gather_sql(gather, values[4], err, "%s/type", key) ||
	    gather_put(gather, FACT_TEXT, gather_yes(!is_true(values[5])), err, "%s/null", key) ||
	    gather_evidence(gather, FACT_NUMBER, slice_of(position), err, "%s/position", key) ||
	    gather_put(gather, FACT_TEXT, values[9], err, "%s/collation", key))
		return -1;
	if (identity && gather_put(gather, FACT_TEXT, identity == 'a' ? SLICE("always") : SLICE("by default"),
				   err, "%s/identity", key))
		return -1;
	if (!generated)
		return gather_sql(gather, values[6], err, "%s/default", key);
	const char *expression = arena_printf(&gather->scratch, "%.*s %s", SLICE_ARG(values[6]),
					      generated == 's' ? "STORED" : "VIRTUAL");
	return gather_sql(gather, slice_of(expression), err, "%s/generated", key);
}

/* --- indexes, constraints, triggers, rules, policies ---------------------------------- */

static const char indexes[] =
	"select n.nspname, c.relname, c.relkind, ic.relname, pg_get_indexdef(i.indexrelid),"
	" i.indisvalid and i.indisready and i.indislive,"
	" exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', "
	"'x')"
	" and k.conrelid = i.indrelid), ic.relispartition, i.indisreplident"
	" from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_class c on c.oid = i.indrelid"
	" join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'm')" OF_TABLE;

/* "CREATE UNIQUE INDEX a ON ONLY public.b USING btree (c)" → "UNIQUE USING btree (c)": a
 * renamed index has the definition it had. */
static struct slice index_definition(struct gather *gather, struct slice sql)
{
	bool unique = slice_starts_with(sql, "CREATE UNIQUE");
	const char *using = memmem(sql.ptr, sql.len, " USING ", 7);

	if (!using)
		return sql;
	return slice_of(arena_printf(&gather->scratch, "%s%.*s", unique ? "UNIQUE " : "",
				     (int)(sql.len - (size_t)(using + 1 - sql.ptr)), using + 1));
}

static int take_index(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 9);
	const char *key =
		arena_printf(&gather->scratch, "%s/index/%.*s", holder(gather, values), SLICE_ARG(values[3]));
	bool valid = is_true(values[5]);

	/* The index of a constraint is told by it; one attached to a parent's by that. */
	if ((is_true(values[6]) || is_true(values[7])) && valid)
		return 0;
	if (gather_sql(gather, index_definition(gather, values[4]), err, "%s/definition", key))
		return -1;
	return gather_put(gather, FACT_TEXT, gather_yes(valid), err, "%s/valid", key);
}

static const char constraints[] =
	"select n.nspname, c.relname, c.relkind, k.conname, pg_get_constraintdef(k.oid), k.convalidated"
	" from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = "
	"c.relnamespace"
	" where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0 and (k.conislocal or "
	"k.coninhcount = 0)" OF_TABLE;

static struct slice without_not_valid(struct slice sql)
{
	static const char end[] = " NOT VALID";

	if (slice_ends_with(sql, end))
		sql.len -= sizeof(end) - 1;
	return sql;
}

static int take_constraint(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	const char *key = arena_printf(&gather->scratch, "%s/constraint/%.*s", holder(gather, values),
				       SLICE_ARG(values[3]));

	if (gather_sql(gather, without_not_valid(values[4]), err, "%s/definition", key))
		return -1;
	return gather_put(gather, FACT_TEXT, gather_yes(is_true(values[5])), err, "%s/validated", key);
}

static const char triggers[] =
	"select n.nspname, c.relname, c.relkind, g.tgname, pg_get_triggerdef(g.oid), g.tgenabled"
	" from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = "
	"c.relnamespace"
	" where not g.tgisinternal {13+|and g.tgparentid = 0|}" OF_TABLE
	" union all select n.nspname, c.relname, c.relkind, r.rulename, pg_get_ruledef(r.oid), r.ev_enabled"
	" from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = "
	"c.relnamespace"
	" where r.rulename <> '_RETURN'" OF_TABLE;

static int take_trigger(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	bool is_rule = slice_starts_with(values[4], "CREATE RULE");
	const char *key = arena_printf(&gather->scratch, "%s/%s/%.*s", holder(gather, values),
				       is_rule ? "rule" : "trigger", SLICE_ARG(values[3]));

	if (gather_sql(gather, values[4], err, "%s/definition", key))
		return -1;
	/* 'O' is the way triggers are made. */
	if (slice_is(values[5], "O"))
		return 0;
	return gather_put(gather, FACT_TEXT,
			  slice_is(values[5], "D")   ? SLICE("disabled")
			  : slice_is(values[5], "R") ? SLICE("on replicas")
						     : SLICE("always"),
			  err, "%s/enabled", key);
}

static const char policies[] =
	"select n.nspname, c.relname, c.relkind, p.polname, concat_ws(' ',"
	" case when p.polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end, 'FOR',"
	" case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then "
	"'DELETE'"
	" else 'ALL' end, 'TO', (select string_agg(coalesce(r.rolname, 'public'), ', ' order by r.rolname)"
	" from unnest(p.polroles) u left join pg_roles r on r.oid = u),"
	" 'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',"
	" 'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')"
	" from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = "
	"c.relnamespace"
	" where true" OF_TABLE;

static int take_policy(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 5);
	return gather_sql(gather, values[4], err, "%s/policy/%.*s/definition", holder(gather, values),
			  SLICE_ARG(values[3]));
}

/* --- views, functions, sequences, types ------------------------------------------------ */

static const char views[] =
	"select n.nspname, c.relname, c.relkind, pg_get_viewdef(c.oid), array_to_string(c.reloptions, ', '),"
	" c.relispopulated, pg_get_userbyid(c.relowner)"
	" from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', "
	"'m')" OF_TABLE;

static int take_view(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 7);
	AUTO(buf_free) struct buf text = BUF_INIT(GATHER_SQL_MAX);
	const char *name = gather_name(gather, values[0], values[1]);
	struct slice sql = values[3];

	if (sql.ptr && !gather->version_16) {
		struct sql_tokens tokens = sql_text_split(&gather->scratch, SQL_POSTGRESQL, sql);
		sql_text_drop_only_table(&tokens);
		sql_text_put(&text, &tokens);
		sql = text.overflow ? sql : buf_slice(&text);
	}
	if (sql.len && sql.ptr[sql.len - 1] == ';')
		sql.len--;
	if (gather_sql(gather, sql, err, "view/%s/definition", name) ||
	    gather_put(gather, FACT_TEXT, slice_of(kind_of_relation(values[2])), err, "view/%s/kind", name) ||
	    gather_put(gather, FACT_TEXT, values[6], err, "owner/%s/role", name) ||
	    gather_put(gather, FACT_TEXT, values[4], err, "view/%s/options", name))
		return -1;
	if (is_true(values[5]))
		return 0;
	return gather_put(gather, FACT_TEXT, SLICE("no"), err, "view/%s/populated", name);
}

static const char functions[] =
	"select n.nspname, p.proname, oidvectortypes(p.proargtypes), pg_get_userbyid(p.proowner), l.lanname,"
	" concat_ws(' ', case p.prokind when 'p' then 'PROCEDURE' when 'a' then 'AGGREGATE' when 'w' then "
	"'WINDOW'"
	" else 'FUNCTION' end, '(' || pg_get_function_arguments(p.oid) || ')',"
	" 'RETURNS ' || pg_get_function_result(p.oid), 'LANGUAGE ' || l.lanname,"
	" case p.provolatile when 'i' then 'IMMUTABLE' when 's' then 'STABLE' end,"
	" case when p.proisstrict then 'STRICT' end, case when p.prosecdef then 'SECURITY DEFINER' end,"
	" case when p.proleakproof then 'LEAKPROOF' end,"
	" case p.proparallel when 's' then 'PARALLEL SAFE' when 'r' then 'PARALLEL RESTRICTED' end,"
	" case when p.procost <> case when l.lanname in ('internal', 'c') then 1 else 100 end"
	" and p.prokind <> 'a' then 'COST ' || p.procost end,"
	" case when p.prorows not in (0, 1000) then 'ROWS ' || p.prorows end,"
	" 'SET ' || (select string_agg(s, ', ' order by s) from unnest(p.proconfig) s),"
	" case when a.aggfnoid is not null then concat_ws(' ', a.aggtransfn, a.aggtranstype::regtype,"
	" nullif(a.aggfinalfn::text, '-'), nullif(a.aggcombinefn::text, '-'), quote_nullable(a.agginitval),"
	" a.aggkind) end, p.probin),"
	" case when p.prokind <> 'a' then p.prosrc end, {14+|pg_get_function_sqlbody(p.oid)|null}"
	" from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = "
	"p.prolang"
	" left join pg_aggregate a on a.aggfnoid = p.oid"
	" where not {system} and not {extension:pg_proc:p.oid}";

/* Bodies of these are SQL to our reader: white space does not matter in them. */
static bool is_sql(struct slice language)
{
	return slice_is(language, "sql") || slice_is(language, "plpgsql");
}

static int take_function(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 8);
	AUTO(buf_free) struct buf arguments = BUF_INIT(64 << 10);
	struct sql_tokens tokens = sql_text_split(&gather->scratch, SQL_POSTGRESQL, values[2]);
	sql_text_drop_schema(&gather->scratch, &tokens, slice_of(gather->home));
	sql_text_put(&arguments, &tokens);
	const char *name = arena_printf(&gather->scratch, "%s(%s)", gather_name(gather, values[0], values[1]),
					buf_str(&arguments));
	struct slice body = values[6].len || !values[7].ptr ? values[6] : values[7];

	if (gather_put(gather, FACT_TEXT, values[3], err, "owner/function %s/role", name))
		return -1;
	if (gather_sql(gather, values[5], err, "function/%s/signature", name))
		return -1;
	if (is_sql(values[4]))
		return gather_sql(gather, body, err, "function/%s/definition", name);
	return gather_put(gather, FACT_TEXT, body, err, "function/%s/definition", name);
}

static const char sequences[] =
	"select n.nspname, c.relname, concat_ws(' ', 'AS', format_type(s.seqtypid, null), 'START', "
	"s.seqstart,"
	" 'INCREMENT', s.seqincrement, 'MIN', s.seqmin, 'MAX', s.seqmax, 'CACHE', s.seqcache,"
	" case when s.seqcycle then 'CYCLE' end),"
	" (select quote_ident(tn.nspname) || '.' || quote_ident(t.relname) || '.' || quote_ident(a.attname)"
	" from pg_depend d join pg_class t on t.oid = d.refobjid join pg_namespace tn on tn.oid = "
	"t.relnamespace"
	" join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid"
	" where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass"
	" and d.deptype = 'a'), pg_get_userbyid(c.relowner)"
	" from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = "
	"c.relnamespace"
	" where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = "
	"c.oid"
	" and d.deptype = 'i')" OF_TABLE;

static int take_sequence(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 5);
	const char *name = gather_name(gather, values[0], values[1]);

	if (gather_put(gather, FACT_TEXT, values[2], err, "sequence/%s/definition", name) ||
	    gather_put(gather, FACT_TEXT, values[4], err, "owner/%s/role", name))
		return -1;
	return gather_sql(gather, values[3], err, "sequence/%s/owned_by", name);
}

static const char types[] =
	"select n.nspname, t.typname, t.typtype, case t.typtype"
	" when 'e' then (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)"
	" from pg_enum e where e.enumtypid = t.oid)"
	" when 'd' then format_type(t.typbasetype, t.typtypmod)"
	" when 'r' then 'RANGE OF ' || (select format_type(r.rngsubtype, null) from pg_range r where "
	"r.rngtypid = t.oid)"
	" when 'c' then (select string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, "
	"a.atttypmod), ', '"
	" order by a.attnum) from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not "
	"a.attisdropped)"
	" else 'BASE' end, t.typdefault, t.typnotnull"
	" from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = "
	"t.typrelid"
	" where (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and c.relkind = 'c')"
	" or (t.typtype = 'b' and t.typelem = 0)) and not {system} and not {extension:pg_type:t.oid}";

static int take_type(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	const char *name = gather_name(gather, values[0], values[1]);

	if (slice_is(values[2], "e"))
		return gather_put(gather, FACT_TEXT, values[3].ptr ? values[3] : SLICE(""), err,
				  "enum/%s/values", name);
	if (!slice_is(values[2], "d"))
		return gather_sql(gather, values[3], err, "type/%s/definition", name);
	if (gather_sql(gather, values[3], err, "domain/%s/type", name) ||
	    gather_put(gather, FACT_TEXT, gather_yes(!is_true(values[5])), err, "domain/%s/null", name))
		return -1;
	return gather_sql(gather, values[4], err, "domain/%s/default", name);
}

static const char domain_constraints[] =
	"select n.nspname, t.typname, k.conname, pg_get_constraintdef(k.oid), k.convalidated"
	" from pg_constraint k join pg_type t on t.oid = k.contypid join pg_namespace n on n.oid = "
	"t.typnamespace"
	" where k.contype = 'c' and not {system} and not {extension:pg_type:t.oid}";

static int take_domain_constraint(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 5);
	const char *key = arena_printf(&gather->scratch, "domain/%s/constraint/%.*s",
				       gather_name(gather, values[0], values[1]), SLICE_ARG(values[2]));

	if (gather_sql(gather, without_not_valid(values[3]), err, "%s/definition", key))
		return -1;
	return gather_put(gather, FACT_TEXT, gather_yes(is_true(values[4])), err, "%s/validated", key);
}

/* --- the rest ---------------------------------------------------------------------------- */

static const char others[] =
	"select 'statistics', n.nspname, s.stxname, pg_get_statisticsobjdef(s.oid) from pg_statistic_ext s"
	" join pg_namespace n on n.oid = s.stxnamespace where not {system}"
	" union all select 'event_trigger', null, e.evtname, concat_ws(' ', e.evtevent, e.evtfoid::regproc,"
	" e.evtenabled, array_to_string(e.evttags, ', ')) from pg_event_trigger e"
	" union all select 'publication', null, p.pubname, concat_ws(' ', case when p.puballtables then 'ALL "
	"TABLES' end,"
	" case when p.pubinsert then 'INSERT' end, case when p.pubupdate then 'UPDATE' end,"
	" case when p.pubdelete then 'DELETE' end, case when p.pubtruncate then 'TRUNCATE' end,"
	" (select string_agg(t.schemaname || '.' || t.tablename, ', ' order by 1) from pg_publication_tables "
	"t"
	" where t.pubname = p.pubname and not p.puballtables)) from pg_publication p"
	" union all select 'foreign_server', null, s.srvname, w.fdwname from pg_foreign_server s"
	" join pg_foreign_data_wrapper w on w.oid = s.srvfdw";

static int take_other(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 4);
	const char *name =
		values[1].ptr ? gather_name(gather, values[1], values[2]) : gather_str(gather, values[2]);

	return gather_sql(gather, values[3].ptr ? values[3] : SLICE(""), err, "%.*s/%s/definition",
			  SLICE_ARG(values[0]), name);
}

int postgresql_schema(struct gather *gather, struct err *err)
{
	static const struct {
		const char *covers, *question;
		catalog_row *row;
	} rows[] = {
		{"table/", tables, take_table},
		{"table/", columns, take_column},
		{"table/ view/", indexes, take_index},
		{"table/", constraints, take_constraint},
		{"table/ view/", triggers, take_trigger},
		{"table/", policies, take_policy},
		{"view/", views, take_view},
		{"function/", functions, take_function},
		{"sequence/", sequences, take_sequence},
		{"enum/ domain/ type/", types, take_type},
		{"domain/", domain_constraints, take_domain_constraint},
		{"statistics/ event_trigger/ publication/ foreign_server/", others, take_other},
	};

	positions = (struct positions){0};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (postgresql_ask(gather, rows[i].covers, rows[i].question, rows[i].row, err))
			return -1;
	return 0;
}
