/* What the server is, and who may do what. */
#include "introspect/mysql/mysql.h"

/* --- server ------------------------------------------------------------------------- */

static int take_server(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	struct mysql_gather *mysql = context;
	ASSERT(count == 6);
	struct slice build = values[0], version = slice_cut(&build, '-');

	mysql->is_mariadb = memmem(values[0].ptr, values[0].len, "MariaDB", 7) != NULL;
	/* MariaDB 10 says "5.5.5-10.11.6-MariaDB" to clients of MySQL. */
	if (slice_is(version, "5.5.5") && mysql->is_mariadb)
		version = slice_cut(&build, '-');
	/* current_user() is "app@%": information_schema writes it with quotes. */
	struct slice host = values[1], user = slice_cut(&host, '@');
	mysql->grantee = arena_printf(&gather->arena, "'%.*s'@'%.*s'", SLICE_ARG(user), SLICE_ARG(host));
	if (gather_put(gather, FACT_VERSION, version, err, "server/version") ||
	    gather_put(gather, FACT_TEXT, mysql->is_mariadb ? SLICE("MariaDB") : SLICE("MySQL"), err,
		       "server/product") ||
	    gather_evidence(gather, FACT_TEXT, values[0], err, "server/build") ||
	    gather_put(gather, FACT_TEXT, values[2], err, "server/encoding") ||
	    gather_put(gather, FACT_TEXT, values[3], err, "server/collate") ||
	    gather_put(gather, FACT_TEXT, gather_yes(slice_is(values[4], "1")), err, "server/read_only"))
		return -1;
	return gather_put(gather, FACT_TEXT, values[5], err, "server/case_of_table_names");
}

static bool is_in(struct slice name, const char *const *names)
{
	for (; *names; names++)
		if (slice_is(name, *names))
			return true;
	return false;
}

static bool ends_in(struct slice name, const char *const *ends)
{
	for (; *ends; ends++)
		if (slice_ends_with(name, *ends))
			return true;
	return false;
}

/* Belong to the machine, not to the application: the policy lets them differ. */
static bool is_of_machine(struct slice name)
{
	static const char *const names[] = {"basedir",
					    "datadir",
					    "hostname",
					    "port",
					    "socket",
					    "bind_address",
					    "server_id",
					    "server_uuid",
					    "tmpdir",
					    "slave_load_tmpdir",
					    "system_time_zone",
					    "report_host",
					    "report_port",
					    "gtid_domain_id",
					    "mysqlx_port",
					    "mysqlx_socket",
					    "mysqlx_bind_address",
					    "admin_address",
					    "version_compile_machine",
					    NULL};
	static const char *const ends[] = {"_file",    "_dir",	  "_path",     "_basename", "_directory",
					   "_index",   "_ssl_ca", "_ssl_cert", "_ssl_key",  "ssl_ca",
					   "ssl_cert", "ssl_key", "_address",  "_home_dir", NULL};

	return is_in(name, names) || ends_in(name, ends) || slice_starts_with(name, "wsrep_node") ||
	       slice_starts_with(name, "report_");
}

static bool is_private(struct slice name)
{
	static const char *const parts[] = {"password",	       "secret",	   "_auth", "passphrase",
					    "cluster_address", "provider_options", NULL};

	for (const char *const *part = parts; *part; part++)
		if (memmem(name.ptr, name.len, *part, strlen(*part)))
			return true;
	return false;
}

/* Say what the server is at this moment, or are told elsewhere. */
static bool is_no_setting(struct slice name)
{
	static const char *const names[] = {"timestamp",
					    "last_insert_id",
					    "rand_seed1",
					    "rand_seed2",
					    "insert_id",
					    "pseudo_thread_id",
					    "version",
					    "version_comment",
					    "version_source_revision",
					    "version_malloc_library",
					    "version_ssl_library",
					    "version_compile_os",
					    "identity",
					    "gtid_binlog_pos",
					    "gtid_current_pos",
					    "gtid_slave_pos",
					    "gtid_binlog_state",
					    "error_count",
					    "warning_count",
					    "uptime",
					    "in_transaction",
					    "proxy_user",
					    "external_user",
					    "gtid_executed",
					    "gtid_purged",
					    "innodb_version",
					    "license",
					    "protocol_version",
					    "wsrep_last_written_gtid",
					    "skip_replication",
					    "open_files_limit",
					    "debug_sync",
					    "innodb_buffer_pool_load_now",
					    "gtid_seq_no",
					    "gtid_last_gtid",
					    "large_page_size",
					    NULL};

	return is_in(name, names);
}

static int take_setting(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	AUTO(buf_free) struct buf lower = BUF_INIT(256);
	for (size_t i = 0; i < values[0].len; i++)
		buf_putc(&lower, values[0].ptr[i] >= 'A' && values[0].ptr[i] <= 'Z'
					 ? (char)(values[0].ptr[i] | 32)
					 : values[0].ptr[i]);
	struct slice name = buf_slice(&lower), value = values[1].ptr ? values[1] : SLICE("");
	const char *dimension = is_of_machine(name) ? "machine" : "setting";
	bool is_set = slice_is(name, "sql_mode") || slice_is(name, "optimizer_switch");

	if (is_no_setting(name))
		return 0;
	if (is_private(name))
		value = value.len ? SLICE("set") : SLICE("not set");
	if (is_set)
		value = mysql_set(gather, value, ',');
	if (gather_put(gather, is_set ? FACT_SET : FACT_TEXT, value, err, "%s/%s/value", dimension,
		       buf_str(&lower)))
		return -1;
	return gather_evidence(gather, FACT_TEXT, values[2], err, "%s/%s/source", dimension, buf_str(&lower));
}

/* Told even where they have the default: another version's default is another value. */
#define ALWAYS                                                                                               \
	"'sql_mode', 'character_set_server', 'collation_server', 'time_zone', 'default_storage_engine', "    \
	"'transaction_isolation', 'tx_isolation', 'max_allowed_packet', 'explicit_defaults_for_timestamp', " \
	"'event_scheduler', 'innodb_strict_mode', 'lower_case_table_names', 'group_concat_max_len', "        \
	"'default_authentication_plugin', 'sql_require_primary_key', 'foreign_key_checks'"

int mysql_server(struct mysql_gather *mysql, struct err *err)
{
	struct err why = ERR_INIT;

	/* Without the answer to this one nothing else would be understood. */
	if (catalog_query(
		    mysql->gather.catalog,
		    "select version(), current_user(), default_character_set_name, default_collation_name,"
		    " @@global.read_only, @@global.lower_case_table_names"
		    " from information_schema.schemata where schema_name = database()",
		    take_server, mysql, &why)) {
		*err = why;
		return -1;
	}
	if (!mysql->grantee)
		return err_set(err, ERR_USER,
			       "there is no database of this name, or this user does not see it");
	return gather_query(
		&mysql->gather, "setting/ machine/",
		mysql->is_mariadb ? "select variable_name, global_value, lower(global_value_origin)"
				    " from information_schema.system_variables where global_value is not null"
				    " and (global_value_origin not in ('COMPILE-TIME', 'AUTO')"
				    " or variable_name in (" ALWAYS "))"
				  : "select v.variable_name, v.variable_value, lower(i.variable_source)"
				    " from performance_schema.global_variables v"
				    " join performance_schema.variables_info i using (variable_name)"
				    " where i.variable_source <> 'COMPILED' or v.variable_name in (" ALWAYS
				    ")",
		take_setting, err);
}

/* --- roles -------------------------------------------------------------------------------- */

static int take_privilege(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct mysql_gather *mysql = context;
	ASSERT(count == 1);

	(void)err;
	map_put(&mysql->privileges, arena_slice(&mysql->gather.arena, values[0]), mysql);
	return 0;
}

bool mysql_may(const struct mysql_gather *mysql, const char *privilege)
{
	return map_get(&mysql->privileges, slice_of(privilege)) != NULL;
}

/* "'app'@'10.0.%'" → "app@10.0.%" */
static const char *role_of(struct gather *gather, struct slice grantee)
{
	AUTO(buf_free) struct buf out = BUF_INIT(512);

	for (size_t i = 0; i < grantee.len; i++)
		if (grantee.ptr[i] != '\'')
			buf_putc(&out, grantee.ptr[i]);
	return arena_strdup(&gather->scratch, buf_str(&out));
}

static int take_grant(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 4);
	return gather_put(gather, FACT_SET, mysql_set(gather, values[3], ','), err,
			  "grant/%.*s%.*s/%s/privileges", SLICE_ARG(values[0]), SLICE_ARG(values[1]),
			  role_of(gather, values[2]));
}

static int take_account(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	return gather_put(gather, FACT_TEXT, values[2], err, "role/%.*s@%.*s/authentication",
			  SLICE_ARG(values[0]), SLICE_ARG(values[1]));
}

#define PRIVILEGES                                                                                           \
	"group_concat(concat(privilege_type, if(is_grantable = 'YES', '*', '')) order by privilege_type "    \
	"separator ',')"

int mysql_roles(struct mysql_gather *mysql, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(4096), mine = BUF_INIT(512);

	catalog_put_literal(mysql->gather.catalog, &mine, slice_of(mysql->grantee));
	buf_printf(&sql,
		   "select privilege_type from information_schema.user_privileges where grantee = %s union"
		   " select privilege_type from information_schema.schema_privileges where grantee = %s"
		   " and database() like table_schema",
		   buf_str(&mine), buf_str(&mine));
	if (gather_query(&mysql->gather, "", buf_str(&sql), take_privilege, err))
		return -1;
	/* Everybody sees their own; those of others only who may read the mysql database. */
	if (gather_query(&mysql->gather, "role/ grant/", "select user, host, plugin from mysql.user",
			 take_account, err))
		return -1;
	return gather_query(
		&mysql->gather, "grant/",
		"select 'server', '', grantee, " PRIVILEGES " from information_schema.user_privileges"
		" group by grantee"
		" union all select 'database', '', grantee, " PRIVILEGES
		" from information_schema.schema_privileges where table_schema = database() group by grantee"
		" union all select '', table_name, grantee, " PRIVILEGES
		" from information_schema.table_privileges where table_schema = database()"
		" group by table_name, grantee"
		" union all select 'column ', concat(table_name, '.', column_name), grantee, " PRIVILEGES
		" from information_schema.column_privileges where table_schema = database()"
		" group by table_name, column_name, grantee",
		take_grant, err);
}
