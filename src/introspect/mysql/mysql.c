/* The row of MySQL and MariaDB: order of the parts. Only the database of the address is
 * looked at: to these servers another database is another schema of somebody else's. */
#include "introspect/mysql/mysql.h"

#include "introspect/kinds.h"
#include "introspect/migration_tables.h"

struct slice mysql_set(struct gather *gather, struct slice list, char separator)
{
	size_t count = 0, cap = 1;

	if (!list.ptr)
		return list;
	for (size_t i = 0; i < list.len; i++)
		cap += list.ptr[i] == separator;
	struct slice *elements = ARENA_NEW_ARRAY(&gather->scratch, cap, struct slice);
	for (struct slice rest = list; rest.ptr;) {
		struct slice element = slice_trim(slice_cut(&rest, separator));
		if (element.len)
			elements[count++] = element;
	}
	return fact_set_value(&gather->scratch, elements, count);
}

static void put_name(struct buf *out, const char *name)
{
	buf_putc(out, '`');
	for (; *name; name++) {
		if (*name == '`')
			buf_putc(out, '`');
		buf_putc(out, *name);
	}
	buf_putc(out, '`');
}

static int read_table(struct gather *gather, const char *schema, const char *table,
		      const char *const *columns, size_t count, size_t rows_max, catalog_row *row,
		      void *context, struct err *err)
{
	AUTO(buf_free) struct buf sql = BUF_INIT(64 << 10);

	(void)schema;
	for (size_t i = 0; i < count; i++) {
		buf_puts(&sql, i ? ", cast(" : "select cast(");
		put_name(&sql, columns[i]);
		buf_puts(&sql, " as char)");
	}
	buf_puts(&sql, " from ");
	put_name(&sql, table);
	buf_printf(&sql, " limit %zu", rows_max);
	return catalog_query(gather->catalog, buf_str(&sql), row, context, err);
}

static void free_maps(struct mysql_gather *mysql)
{
	map_free(&mysql->privileges);
	map_free(&mysql->collations);
	gather_free(&mysql->gather);
}

static int mysql_facts(const struct database_spec *spec, struct fact_list *out, struct err *err)
{
	AUTO(free_maps)
	struct mysql_gather mysql = {
		.gather = {.spec = spec, .out = out, .dialect = SQL_MYSQL, .read_table = read_table}};

	if (!spec->address.database) {
		err_set(err, ERR_USER, "the address names no database");
		return err_hint(err, "put its name behind the host: mysql://user@host/NAME");
	}
	mysql.gather.home = spec->address.database;
	if (gather_connect(&mysql.gather, &catalog_mysql, err) || mysql_server(&mysql, err) ||
	    mysql_roles(&mysql, err) || mysql_schema(&mysql, err) ||
	    migration_tables_gather(&mysql.gather, err))
		return -1;
	return gather_fingerprint(&mysql.gather, err);
}

static const char *const schemes[] = {"mysql", "mariadb", "mysql2", "trilogy", "mysqli", NULL};

const struct database_kind database_mysql = {
	.name = "mysql",
	.schemes = schemes,
	.port = 3306,
	.facts = mysql_facts,
};
