/* What the server is: version, database, settings, extensions, collations. */
#include "introspect/postgresql/postgresql.h"

static int take_home(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	struct slice build = values[1], version = slice_cut(&build, ' ');

	gather->home = arena_str(&gather->arena, values[0].len ? values[0] : SLICE("public"));
	gather->version_16 = catalog_version(gather->catalog) >= 160000;
	if (gather_put(gather, FACT_VERSION, version, err, "server/version") ||
	    gather_put(gather, FACT_TEXT, SLICE("PostgreSQL"), err, "server/product") ||
	    gather_put(gather, FACT_TEXT, slice_of(gather->home), err, "server/schema"))
		return -1;
	return build.ptr ? gather_evidence(gather, FACT_TEXT, values[1], err, "server/build") : 0;
}

static int take_database(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 8);
	static const char *const keys[] = {"server/encoding",
					   "server/collate",
					   "server/ctype",
					   "server/locale_provider",
					   "collation/default/version",
					   "collation/default/actual"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (gather_put(gather, FACT_TEXT, values[i], err, "%s", keys[i]))
			return -1;
	if (gather_put(gather, FACT_TEXT, gather_yes(slice_is(values[6], "t")), err, "server/standby"))
		return -1;
	return gather_put(gather, FACT_TEXT, values[7], err, "owner/database/role");
}

/* Belong to the machine, not to the application: the policy lets them differ. */
static bool is_of_machine(struct slice name)
{
	static const char *const names[] = {"data_directory",
					    "config_file",
					    "hba_file",
					    "ident_file",
					    "external_pid_file",
					    "listen_addresses",
					    "port",
					    "cluster_name",
					    "ssl_cert_file",
					    "ssl_key_file",
					    "ssl_ca_file",
					    "ssl_crl_file",
					    "archive_command",
					    "restore_command",
					    "archive_cleanup_command",
					    "primary_conninfo",
					    "primary_slot_name",
					    "synchronous_standby_names",
					    "unix_socket_directories",
					    "log_directory",
					    "log_filename",
					    "stats_temp_directory",
					    "dynamic_library_path",
					    "krb_server_keyfile",
					    "bonjour_name",
					    "recovery_end_command",
					    "unix_socket_group",
					    "synchronized_standby_slots"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_is(name, names[i]))
			return true;
	return false;
}

/* May hold passwords, or keys an application put there; that it is set is all we say. */
static bool is_private(struct slice name, struct slice category)
{
	static const char *const names[] = {"primary_conninfo",	    "archive_command",
					    "restore_command",	    "archive_cleanup_command",
					    "recovery_end_command", "ssl_passphrase_command"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_is(name, names[i]))
			return true;
	return slice_is(category, "Customized Options") && slice_find(name, '.') > 0;
}

/* "16384" in "8kB" → a number fact with its unit. */
static struct fact value_of(struct gather *gather, struct slice value, struct slice unit, struct slice type)
{
	struct fact fact = {.kind = FACT_TEXT, .value = value};
	int64_t number = 0;
	bool counts = slice_is(type, "integer") || slice_is(type, "real");

	if (!counts)
		return fact;
	fact.kind = FACT_NUMBER;
	if (!unit.len || !slice_to_i64(value, &number) || number <= 0)
		return fact;
	struct slice name = unit;
	uint64_t times = 1;
	while (name.len && name.ptr[0] >= '0' && name.ptr[0] <= '9')
		name = slice_skip(name, 1);
	if (name.len < unit.len && slice_to_u64(slice_make(unit.ptr, unit.len - name.len), &times))
		number *= (int64_t)MIN(times, (uint64_t)1 << 20);
	fact.value =
		slice_of(arena_printf(&gather->scratch, "%lld %.*s", (long long)number, SLICE_ARG(name)));
	return fact;
}

static int take_setting(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 8);
	const char *dimension = is_of_machine(values[0]) ? "machine" : "setting";
	const char *name = gather_str(gather, values[0]);
	struct fact fact = value_of(gather, values[1], values[2], values[6]);
	struct slice file = values[4].ptr ? values[4] : slice_make("", 0);

	for (ptrdiff_t at; (at = slice_find(file, '/')) >= 0;)
		file = slice_skip(file, (size_t)at + 1);
	if (is_private(values[0], values[5]))
		fact = (struct fact){.kind = FACT_TEXT, .value = SLICE("set")};
	if (gather_put(gather, fact.kind, fact.value, err, "%s/%s/value", dimension, name))
		return -1;
	if (slice_is(values[7], "t") && gather_put(gather, FACT_TEXT, SLICE("waits for a restart"), err,
						   "%s/%s/pending", dimension, name))
		return -1;
	return gather_evidence(gather, FACT_TEXT,
			       slice_of(arena_printf(&gather->scratch, "%.*s%s%.*s", SLICE_ARG(values[3]),
						     file.len ? ", " : "", SLICE_ARG(file))),
			       err, "%s/%s/source", dimension, name);
}

static int take_extension(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	const char *name = gather_str(gather, values[0]);

	if (gather_put(gather, FACT_VERSION, values[1], err, "extension/%s/version", name))
		return -1;
	return gather_put(gather, FACT_TEXT,
			  slice_is(values[2], gather->home) ? SLICE("(default)") : values[2], err,
			  "extension/%s/schema", name);
}

static int take_collation(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	const char *name = gather_str(gather, values[0]);

	if (gather_put(gather, FACT_TEXT, values[1], err, "collation/%s/version", name))
		return -1;
	return gather_put(gather, FACT_TEXT, values[2], err, "collation/%s/actual", name);
}

static int take_schema(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 2);
	const char *name = slice_is(values[0], gather->home) ? "(default)" : gather_str(gather, values[0]);

	return gather_put(gather, FACT_TEXT, values[1], err, "owner/schema/%s/role", name);
}

int postgresql_server(struct gather *gather, struct err *err)
{
	struct err why = ERR_INIT;

	/* The first question decides what all others mean, and is asked before any name of the
	 * application's could stand for one of PostgreSQL's. */
	if (catalog_query(
		    gather->catalog,
		    "select pg_catalog.current_schema(), pg_catalog.current_setting('server_version'), 1",
		    take_home, gather, &why) ||
	    catalog_query(gather->catalog, "set local search_path = pg_catalog, pg_temp", NULL, NULL, &why)) {
		*err = why;
		return -1;
	}
	if (postgresql_ask(
		    gather, "server/",
		    "select pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,"
		    " {15+|case d.datlocprovider when 'c' then 'libc' when 'i' then 'icu' else 'builtin' "
		    "end|'libc'},"
		    " {15+|d.datcollversion|null}, {15+|pg_database_collation_actual_version(d.oid)|null},"
		    " pg_is_in_recovery(), pg_get_userbyid(d.datdba)"
		    " from pg_database d where d.datname = current_database()",
		    take_database, err))
		return -1;
	/* What this transaction itself has set is told as it was before. */
	if (postgresql_ask(
		    gather, "setting/ machine/",
		    "select name, case when source = 'session' then reset_val else setting end, unit,"
		    " case when source = 'session' then 'configuration' else source end, sourcefile, "
		    "category,"
		    " vartype, pending_restart from pg_settings"
		    " where (source not in ('default', 'override', 'client', 'session', 'interactive')"
		    " or (source = 'session' and reset_val is distinct from boot_val) or pending_restart"
		    " or name in ('data_checksums', 'timezone')) and name <> 'application_name'"
		    " and name not like 'transaction\\_%'",
		    take_setting, err))
		return -1;
	if (postgresql_ask(gather, "extension/",
			   "select e.extname, e.extversion, n.nspname from pg_extension e"
			   " join pg_namespace n on n.oid = e.extnamespace",
			   take_extension, err))
		return -1;
	if (postgresql_ask(gather, "collation/",
			   "select co.collname, co.collversion, pg_collation_actual_version(co.oid)"
			   " from pg_collation co where co.collversion is not null and (co.oid >= 16384"
			   " or co.oid in (select a.attcollation from pg_attribute a join pg_class c on "
			   "c.oid = a.attrelid"
			   " where c.oid >= 16384 and a.attnum > 0))",
			   take_collation, err))
		return -1;
	return postgresql_ask(gather, "owner/",
			      "select n.nspname, pg_get_userbyid(n.nspowner) from pg_namespace n"
			      " where not {system} and not {extension:pg_namespace:n.oid}",
			      take_schema, err);
}
