/* Who may do what: roles, memberships, what they are granted. */
#include "introspect/postgresql/postgresql.h"

static int take_role(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 4);
	const char *name = gather_str(gather, values[0]);

	if (gather_put(gather, FACT_SET, postgresql_set(gather, values[1]), err, "role/%s/attributes", name))
		return -1;
	if (values[2].len &&
	    gather_put(gather, FACT_SET, postgresql_set(gather, values[2]), err, "role/%s/member_of", name))
		return -1;
	return gather_put(gather, FACT_TEXT, values[3], err, "role/%s/valid_until", name);
}

/* `alter role … set`: "work_mem=64MB". A name with a dot is the application's own, and its
 * value may be a key: that it is set is all we say. */
static int take_role_setting(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	struct slice value = values[2], name = slice_cut(&value, '=');

	if (slice_find(name, '.') >= 0 || !value.ptr)
		value = SLICE("set");
	return gather_put(gather, FACT_TEXT, value, err, "role/%s/setting/%s%s/value",
			  gather_str(gather, values[0]), gather_str(gather, name),
			  slice_is(values[1], "t") ? "" : " (all databases)");
}

static int take_grant(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 5);
	struct slice kind = values[0];
	const char *name =
		values[1].ptr ? gather_name(gather, values[1], values[2]) : gather_str(gather, values[2]);

	if (slice_is(kind, "schema") && slice_is(values[2], gather->home))
		name = "(default)";
	return gather_put(gather, FACT_SET, postgresql_set(gather, values[4]), err,
			  "grant/%.*s%s%s/%s/privileges", SLICE_ARG(kind), kind.len ? " " : "", name,
			  gather_str(gather, values[3]));
}

/* One kind of object's grants; what an owner has by owning is left out. */
#define GRANTS(kind, schema, name, owner, acl, from)                                                         \
	"select " kind ", " schema ", " name ", coalesce(g.rolname, 'public'), string_agg(x.privilege_type " \
	"|| case when x.is_grantable then '*' else "                                                         \
	"'' end, " PG_JOIN ") from " from " cross join lateral aclexplode(" acl                              \
	") x left join pg_roles g on g.oid = x.grantee where x.grantee <> " owner " and "
#define GRANTS_END " group by 1, 2, 3, 4"

static const char grants[] = GRANTS("''", "n.nspname", "c.relname", "c.relowner", "c.relacl", "pg_class c join pg_namespace n on n.oid = c.relnamespace") "c.relacl is not null and not {system} and not {extension:pg_class:c.oid}" GRANTS_END " union all " GRANTS(
	"'column'", "n.nspname", "c.relname || '.' || a.attname", "c.relowner", "a.attacl",
	"pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = "
	"c.relnamespace") "a.attacl is not null and not {system} and not "
			  "{extension:pg_class:c.oid}" GRANTS_END " union all " GRANTS(
				  "'function'", "n.nspname",
				  "p.proname || '(' || oidvectortypes(p.proargtypes) || "
				  "')'",
				  "p.proowner", "p.proacl",
				  "pg_proc p join pg_namespace n on n.oid = "
				  "p.pronamespace") "p.proacl is not null and not "
						    "{system} and not "
						    "{extension:pg_proc:p."
						    "oid}" GRANTS_END " union all " GRANTS(
							    "'type'", "n.nspname", "t.typname", "t.typowner",
							    "t.typacl",
							    "pg_type t join "
							    "pg_namespace n on n.oid = "
							    "t.typnamespace") "t.typacl "
									      "is not "
									      "null and "
									      "not "
									      "{system} "
									      "and not "
									      "{extensio"
									      "n:pg_"
									      "type:t."
									      "oid"
									      "}" GRANTS_END " union "
									      "all"
									      " " GRANTS(
										      "'"
										      "s"
										      "c"
										      "h"
										      "e"
										      "m"
										      "a"
										      "'",
										      "n"
										      "u"
										      "l"
										      "l",
										      "n"
										      "."
										      "n"
										      "s"
										      "p"
										      "n"
										      "a"
										      "m"
										      "e",
										      "n"
										      "."
										      "n"
										      "s"
										      "p"
										      "o"
										      "w"
										      "n"
										      "e"
										      "r",
										      "n"
										      "."
										      "n"
										      "s"
										      "p"
										      "a"
										      "c"
										      "l",
										      "p"
										      "g"
										      "_"
										      "n"
										      "a"
										      "m"
										      "e"
										      "s"
										      "p"
										      "a"
										      "c"
										      "e"
										      " "
										      "n") "n.nspacl is not "
											   "null and not "
											   "{system"
											   "}" GRANTS_END
											   " union "
											   "all " GRANTS(
												   "'database"
												   "'",
												   "null",
												   "''",
												   "d.datdba",
												   "d.datacl",
												   "pg_"
												   "database "
												   "d") "d."
													"data"
													"cl "
													"is "
													"not "
													"null"
													" and"
													" d."
													"datn"
													"ame "
													"= "
													"curr"
													"ent_"
													"data"
													"base"
													"("
													")" GRANTS_END
													" uni"
													"on "
													"all"
													" " GRANTS(
														"'default for ' || case e.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences'"
														" when 'f' then 'functions' when 'T' then 'types' else 'schemas' end || ' of ' ||"
														" pg_get_userbyid(e.defaclrole)",
														"null",
														"coalesce(n.nspname, '')",
														"e.defaclrole",
														"e.defaclacl",
														"pg_default_acl e left join pg_namespace n on n.oid = e.defaclnamespace") "true" GRANTS_END;

int postgresql_roles(struct gather *gather, struct err *err)
{
	if (postgresql_ask(
		    gather, "role/",
		    "select r.rolname, concat_ws(" PG_JOIN ", case when r.rolcanlogin then 'login' end,"
		    " case when r.rolsuper then 'superuser' end, case when r.rolcreatedb then 'createdb' end,"
		    " case when r.rolcreaterole then 'createrole' end,"
		    " case when r.rolreplication then 'replication' end,"
		    " case when r.rolbypassrls then 'bypassrls' end,"
		    " case when not r.rolinherit then 'noinherit' end,"
		    " case when r.rolconnlimit >= 0 then 'at most ' || r.rolconnlimit || ' connections' end),"
		    " (select string_agg(g.rolname || case when m.admin_option then ' (admin)' else '' end,"
		    " " PG_JOIN ") from pg_auth_members m join pg_roles g on g.oid = m.roleid"
		    " where m.member = r.oid), r.rolvaliduntil at time zone 'UTC'"
		    " from pg_roles r where r.rolname not like 'pg\\_%'",
		    take_role, err))
		return -1;
	if (postgresql_ask(gather, "role/",
			   "select coalesce(r.rolname, '(all)'), s.setdatabase <> 0, unnest(s.setconfig)"
			   " from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole"
			   " where s.setdatabase in (0, (select oid from pg_database where datname = "
			   "current_database()))",
			   take_role_setting, err))
		return -1;
	return postgresql_ask(gather, "grant/", grants, take_grant, err);
}
