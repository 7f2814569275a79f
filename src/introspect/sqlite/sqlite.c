/* The row of SQLite. The file is read, not opened (file.h): its schema's statements are
 * built anew in memory, and asked there; the rows of migration tables come out of the file.
 * What was written meanwhile shows at the end, and the whole is read again. */
#include "introspect/gather.h"
#include "introspect/kinds.h"
#include "introspect/migration_tables.h"
#include "introspect/sqlite/file.h"
#include "introspect/sqlite/reader.h"
#include "introspect/sqlite/table_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { HEAD_BLOCKS = 256, UNIT = 1024, ROUNDS_MAX = 24, TRIES = 3, OBJECTS_MAX = 50000 };

struct object {
	const char *type, *name, *table, *sql;
	uint32_t root;
};

struct sqlite_gather {
	struct gather gather; /* first: rows are given a pointer to it */
	struct sqlite_file file;
	struct object *objects;
	struct catalog_statement *statements;
	size_t count, cap;
	struct slice head, log; /* as they were at the beginning */
	int rounds;
};

/* --- reading ---------------------------------------------------------------------------- */

static int fetch_wanted(struct sqlite_gather *sqlite, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct sqlite_file *file = &sqlite->file;
	struct sqlite_reading reading = {.unit = file->page_size, .count = file->wanted_count};

	if (++sqlite->rounds > ROUNDS_MAX || file->pages.count + file->wanted_count > SQLITE_PAGES_MAX)
		return err_set(err, ERR_INTERNAL, "more pages than are looked at");
	reading.pieces = ARENA_NEW_ARRAY(&arena, reading.count, struct sqlite_piece);
	for (size_t i = 0; i < reading.count; i++)
		reading.pieces[i] = (struct sqlite_piece){.block = file->wanted[i] - 1, .blocks = 1};
	if (sqlite_read(&arena, sqlite->gather.spec, &reading, err))
		return -1;
	for (size_t i = 0; i < reading.count; i++) {
		if (reading.pieces[i].bytes.len != file->page_size)
			return err_set(err, ERR_CONFLICT, "it is being written");
		sqlite_file_page(file, file->wanted[i], reading.pieces[i].bytes);
	}
	return 0;
}

static int walk(struct sqlite_gather *sqlite, uint32_t root, size_t rows_max,
		int (*row)(void *, int64_t, const struct slice *, size_t, struct err *), void *context,
		struct err *err)
{
	int status;

	while ((status = sqlite_file_table(&sqlite->file, root, rows_max, row, context, err)) > 0)
		if (fetch_wanted(sqlite, err))
			return -1;
	return status;
}

/* The beginning of the file, its log, and whether a rollback journal stands beside it. */
static int read_beginning(struct sqlite_gather *sqlite, struct arena *arena, size_t head_blocks,
			  struct sqlite_reading *reading, struct err *err)
{
	struct sqlite_piece *pieces = ARENA_NEW_ARRAY(arena, 3, struct sqlite_piece);

	pieces[0] = (struct sqlite_piece){.part = SQLITE_PART_FILE, .blocks = head_blocks};
	pieces[1] = (struct sqlite_piece){.part = SQLITE_PART_LOG, .blocks = SQLITE_WAL_MAX / UNIT + 1};
	pieces[2] = (struct sqlite_piece){.part = SQLITE_PART_JOURNAL, .blocks = 1};
	*reading = (struct sqlite_reading){.unit = UNIT, .pieces = pieces, .count = 3};
	return sqlite_read(arena, sqlite->gather.spec, reading, err);
}

/* A journal whose beginning is not zeroed belongs to a transaction that is under way, or was
 * cut off: what the file says is not what was committed. */
static bool is_hot(struct slice journal)
{
	for (size_t i = 0; i < journal.len && i < 8; i++)
		if (journal.ptr[i])
			return true;
	return false;
}

static int begin(struct sqlite_gather *sqlite, struct err *err)
{
	struct sqlite_reading reading;

	if (read_beginning(sqlite, &sqlite->gather.arena, HEAD_BLOCKS, &reading, err))
		return -1;
	struct slice head = reading.pieces[0].bytes, log = reading.pieces[1].bytes;
	if (reading.size == 0)
		return err_set(err, ERR_USER, "it is an empty file, no database yet");
	if (is_hot(reading.pieces[2].bytes))
		return err_set(err, ERR_CONFLICT, "a transaction is under way");
	if (log.len > SQLITE_WAL_MAX)
		return err_set(err, ERR_INTERNAL, "its write-ahead log is longer than %d MB",
			       SQLITE_WAL_MAX >> 20);
	if (sqlite_file_begin(&sqlite->file, head, reading.size, err) ||
	    sqlite_file_log(&sqlite->file, log, err))
		return -1;
	for (uint32_t page = 1; (uint64_t)page * sqlite->file.page_size <= head.len; page++)
		sqlite_file_page(&sqlite->file, page,
				 slice_skip(slice_make(head.ptr, (size_t)page * sqlite->file.page_size),
					    (size_t)(page - 1) * sqlite->file.page_size));
	sqlite->head = slice_make(head.ptr, SQLITE_HEADER_LEN);
	sqlite->log = log;
	return 0;
}

/* 1: what was read is of one moment; 0: somebody wrote meanwhile. */
static int is_unchanged(struct sqlite_gather *sqlite, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct sqlite_reading reading;

	if (read_beginning(sqlite, &arena, 1, &reading, err))
		return -1;
	return !is_hot(reading.pieces[2].bytes) && reading.pieces[0].bytes.len >= SQLITE_HEADER_LEN &&
	       memcmp(reading.pieces[0].bytes.ptr, sqlite->head.ptr, SQLITE_HEADER_LEN) == 0 &&
	       slice_equal(reading.pieces[1].bytes, sqlite->log);
}

/* sqlite_schema(type, name, tbl_name, rootpage, sql) */
static int take_object(void *context, int64_t rowid, const struct slice *values, size_t count,
		       struct err *err)
{
	struct sqlite_gather *sqlite = context;
	struct arena *arena = &sqlite->gather.arena;
	uint64_t root = 0;

	(void)rowid;
	if (count < 5 || !values[4].ptr || slice_starts_with(values[1], "sqlite_"))
		return 0;
	if (sqlite->count == OBJECTS_MAX)
		return err_set(err, ERR_INTERNAL, "more tables and indexes than are looked at");
	if (sqlite->count == sqlite->cap) {
		sqlite->cap = MAX(sqlite->cap * 2, (size_t)64);
		sqlite->objects = mem_grow(sqlite->objects, sqlite->cap, sizeof(*sqlite->objects));
	}
	if (values[3].ptr)
		slice_to_u64(values[3], &root);
	sqlite->objects[sqlite->count++] = (struct object){.type = arena_str(arena, values[0]),
							   .name = arena_str(arena, values[1]),
							   .table = arena_str(arena, values[2]),
							   .sql = arena_str(arena, values[4]),
							   .root = (uint32_t)MIN(root, (uint64_t)UINT32_MAX)};
	return 0;
}

/* --- facts ----------------------------------------------------------------------------------- */

static bool is_virtual(const struct object *object)
{
	return strncasecmp(object->sql, "create virtual ", 15) == 0;
}

/* Of "CREATE UNIQUE INDEX a ON b (c)": "UNIQUE (c)". */
static int put_index(struct gather *gather, const struct object *object, struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(GATHER_SQL_MAX);
	struct sql_tokens tokens = sql_text_split(&gather->scratch, SQL_SQLITE, slice_of(object->sql));
	bool unique = tokens.count > 1 && strncasecmp(tokens.items[1].text.ptr, "unique", 6) == 0;
	size_t at = 0;

	while (at < tokens.count && !slice_is(tokens.items[at].text, "("))
		at++;
	tokens.items += at;
	tokens.count -= at;
	buf_puts(&out, unique ? "UNIQUE " : "");
	sql_text_put(&out, &tokens);
	return gather_put(gather, FACT_TEXT, slice_make(buf_str(&out), out.len), err,
			  "table/%s/index/%s/definition", object->table, object->name);
}

/* Of "CREATE VIEW a AS SELECT 1": "SELECT 1". */
static int put_view(struct gather *gather, const struct object *object, struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(GATHER_SQL_MAX);
	struct sql_tokens tokens = sql_text_split(&gather->scratch, SQL_SQLITE, slice_of(object->sql));
	size_t at = MIN((size_t)3, tokens.count);

	if (at < tokens.count && tokens.items[at].text.len == 2 &&
	    strncasecmp(tokens.items[at].text.ptr, "as", 2) == 0)
		at++;
	tokens.items += at;
	tokens.count -= at;
	sql_text_put(&out, &tokens);
	if (gather_put(gather, FACT_TEXT, SLICE("view"), err, "view/%s/kind", object->name))
		return -1;
	return gather_put(gather, FACT_TEXT, slice_make(buf_str(&out), out.len), err, "view/%s/definition",
			  object->name);
}

static int put_table_text(struct gather *gather, const struct object *object, struct err *err)
{
	struct table_text text = sqlite_table_text(&gather->scratch, slice_of(object->sql));

	for (size_t i = 0; i < text.count; i++) {
		struct slice value = slice_of(text.parts[i].text);
		int status = slice_is(text.parts[i].attribute, "check")
				     ? gather_put(gather, FACT_TEXT, value, err,
						  "table/%s/constraint/%s/definition", object->name,
						  text.parts[i].name)
				     : gather_put(gather, FACT_TEXT, value, err, "table/%s/column/%.*s/%.*s",
						  object->name, SLICE_ARG(text.parts[i].column),
						  SLICE_ARG(text.parts[i].attribute));
		if (status)
			return status;
	}
	return 0;
}

static int put_object(struct gather *gather, const struct object *object, const char *why, struct err *err)
{
	if (strcmp(object->type, "index") == 0)
		return put_index(gather, object, err);
	if (strcmp(object->type, "view") == 0)
		return put_view(gather, object, err);
	if (strcmp(object->type, "trigger") == 0)
		return gather_sql(gather, slice_of(object->sql), err, "table/%s/trigger/%s/definition",
				  object->table, object->name);
	if (strcmp(object->type, "table") != 0)
		return 0;
	if (is_virtual(object)) {
		if (gather_put(gather, FACT_TEXT, SLICE("virtual table"), err, "table/%s/kind", object->name))
			return -1;
		return gather_sql(gather, slice_of(object->sql), err, "table/%s/definition", object->name);
	}
	if (why)
		return gather_gap(gather, arena_printf(&gather->scratch, "table/%s/", object->name),
				  arena_printf(&gather->scratch, "its definition is not understood: %s", why),
				  err);
	return put_table_text(gather, object, err);
}

static int take_table(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	const char *name = gather_str(gather, values[0]);
	bool without_rowid = slice_is(values[1], "1"), strict = slice_is(values[2], "1");

	if (gather_put(gather, FACT_TEXT, SLICE("table"), err, "table/%s/kind", name))
		return -1;
	return without_rowid || strict ? gather_put(gather, FACT_TEXT,
						    slice_of(without_rowid && strict ? "STRICT, WITHOUT ROWID"
							     : strict		     ? "STRICT"
										     : "WITHOUT ROWID"),
						    err, "table/%s/options", name)
				       : 0;
}

static int take_column(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 6);
	const char *key = arena_printf(&gather->scratch, "table/%.*s/column/%.*s", SLICE_ARG(values[0]),
				       SLICE_ARG(values[2]));
	uint64_t position = 0;

	slice_to_u64(values[1], &position);
	if (gather_put(gather, FACT_TEXT, values[3].ptr ? values[3] : SLICE(""), err, "%s/type", key) ||
	    gather_put(gather, FACT_TEXT, gather_yes(slice_is(values[4], "0")), err, "%s/null", key) ||
	    gather_evidence(
		    gather, FACT_NUMBER,
		    slice_of(arena_printf(&gather->scratch, "%llu", (unsigned long long)position + 1)), err,
		    "%s/position", key))
		return -1;
	return gather_sql(gather, values[5], err, "%s/default", key);
}

static int take_constraint(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct gather *gather = context;
	ASSERT(count == 3);
	return gather_put(gather, FACT_TEXT, values[2], err, "table/%s/constraint/%s/definition",
			  gather_str(gather, values[0]), gather_str(gather, values[1]));
}

/* SQLite gives no name to what a table's definition leaves unnamed: it is named by columns. */
static const char keys[] =
	"select * from (select m.name, 'PRIMARY', 'PRIMARY KEY (' || (select group_concat(c.name, ', ') from"
	" (select name from pragma_table_xinfo(m.name) where pk > 0 order by pk) c) || ')' as text from "
	"sqlite_schema m"
	" where m.type = 'table' and m.name not like 'sqlite\\_%' escape '\\') where text is not null"
	" union all select m.name, 'unique (' || (select group_concat(x.name, ', ') from "
	"pragma_index_info(i.name) x)"
	" || ')', 'UNIQUE (' || (select group_concat(x.name, ', ') from pragma_index_info(i.name) x) || ')'"
	" from sqlite_schema m, pragma_index_list(m.name) i where m.type = 'table' and i.origin = 'u'"
	" union all select m.name, 'foreign key (' || group_concat(f.\"from\", ', ') || ')', 'FOREIGN KEY (' "
	"||"
	" group_concat(f.\"from\", ', ') || ') REFERENCES ' || f.\"table\" || coalesce(' (' ||"
	" group_concat(f.\"to\", ', ') || ')', '') || case f.on_update when 'NO ACTION' then '' else ' ON "
	"UPDATE ' ||"
	" f.on_update end || case f.on_delete when 'NO ACTION' then '' else ' ON DELETE ' || f.on_delete end"
	" from sqlite_schema m, pragma_foreign_key_list(m.name) f where m.type = 'table' group by m.name, "
	"f.id";

static int put_server(struct sqlite_gather *sqlite, struct err *err)
{
	struct gather *gather = &sqlite->gather;
	uint32_t version = sqlite->file.written_by;
	const char *number = arena_printf(&gather->arena, "%u", sqlite->file.user_version);

	/* The library that wrote last; the one the application uses shows in its process only. */
	if (gather_evidence(gather, FACT_VERSION,
			    slice_of(arena_printf(&gather->arena, "%u.%u.%u", version / 1000000,
						  version / 1000 % 1000, version % 1000)),
			    err, "server/written_by") ||
	    gather_put(gather, FACT_TEXT, SLICE("SQLite"), err, "server/product") ||
	    gather_put(gather, FACT_TEXT, SLICE("UTF-8"), err, "server/encoding") ||
	    gather_put(gather, FACT_NUMBER, slice_of(number), err, "setting/user_version/value"))
		return -1;
	return gather_put(gather, FACT_TEXT, sqlite->file.is_wal ? SLICE("wal") : SLICE("rollback"), err,
			  "setting/journal_mode/value");
}

static int put_schema(struct sqlite_gather *sqlite, struct err *err)
{
	struct gather *gather = &sqlite->gather;

	for (size_t i = 0; i < sqlite->count; i++) {
		if (gather->scratch.used > MIB(1))
			arena_free(&gather->scratch);
		if (put_object(gather, &sqlite->objects[i], sqlite->statements[i].why, err))
			return -1;
	}
	if (gather_query(
		    gather, "table/",
		    "select name, wr, strict from pragma_table_list where schema = 'main' and type = 'table'"
		    " and name not like 'sqlite\\_%' escape '\\'",
		    take_table, err) ||
	    gather_query(
		    gather, "table/",
		    "select m.name, c.cid, c.name, c.type, c.\"notnull\", c.dflt_value from sqlite_schema m,"
		    " pragma_table_xinfo(m.name) c where m.type = 'table' and m.name not like 'sqlite\\_%' "
		    "escape '\\'",
		    take_column, err))
		return -1;
	return gather_query(gather, "table/", keys, take_constraint, err);
}

/* Tables first: the rest is about them. Virtual ones are not made: that would run a module. */
static int build(struct sqlite_gather *sqlite, struct err *err)
{
	static const char *const order[] = {"table", "index", "view", "trigger"};
	struct arena *arena = &sqlite->gather.arena;
	struct catalog_statement *rows = ARENA_NEW_ARRAY(arena, sqlite->count + 1, struct catalog_statement);
	size_t *of = ARENA_NEW_ARRAY(arena, sqlite->count + 1, size_t), count = 0;

	sqlite->statements = ARENA_NEW_ARRAY(arena, sqlite->count + 1, struct catalog_statement);
	for (size_t k = 0; k < ARRAY_LEN(order); k++)
		for (size_t i = 0; i < sqlite->count; i++)
			if (strcmp(sqlite->objects[i].type, order[k]) == 0 &&
			    !is_virtual(&sqlite->objects[i])) {
				rows[count].sql = sqlite->objects[i].sql;
				of[count++] = i;
			}
	if (catalog_open_memory(arena, rows, count, &sqlite->gather.catalog, err))
		return -1;
	for (size_t i = 0; i < count; i++)
		sqlite->statements[of[i]].why = rows[i].why;
	return 0;
}

/* --- rows of a table ------------------------------------------------------------------------- */

struct picked {
	const char *const *columns;
	size_t count;
	int at[SQLITE_VALUES_MAX]; /* where each stands in a record; -1: it is the row's number */
	size_t found;
	bool generated;
	catalog_row *row;
	void *context;
};

static int take_place(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct picked *picked = context;
	uint64_t place = 0;

	(void)err;
	ASSERT(count == 4);
	slice_to_u64(values[0], &place);
	picked->generated |= !slice_is(values[3], "0");
	for (size_t i = 0; i < picked->count; i++) {
		if (!slice_is(values[1], picked->columns[i]))
			continue;
		picked->at[i] = slice_is(values[2], "INTEGER") ? -1 - (int)place : (int)place;
		picked->found++;
	}
	return 0;
}

static int take_record(void *context, int64_t rowid, const struct slice *values, size_t count,
		       struct err *err)
{
	struct picked *picked = context;
	struct slice chosen[SQLITE_VALUES_MAX];
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)rowid);
	for (size_t i = 0; i < picked->count; i++) {
		bool maybe_rowid = picked->at[i] < 0;
		size_t at = (size_t)(maybe_rowid ? -1 - picked->at[i] : picked->at[i]);
		chosen[i] = at < count ? values[at] : slice_make(NULL, 0);
		if (maybe_rowid && !chosen[i].ptr) /* an integer primary key stands beside the record */
			chosen[i] = slice_of(number);
	}
	return picked->row(picked->context, chosen, picked->count, err);
}

static int read_table(struct gather *gather, const char *schema, const char *table,
		      const char *const *columns, size_t count, size_t rows_max, catalog_row *row,
		      void *context, struct err *err)
{
	struct sqlite_gather *sqlite = CONTAINER_OF(gather, struct sqlite_gather, gather);
	struct picked picked = {.columns = columns, .count = count, .row = row, .context = context};
	AUTO(buf_free) struct buf sql = BUF_INIT(4096);

	(void)schema;
	ASSERT(count <= SQLITE_VALUES_MAX);
	buf_puts(&sql, "select cid, name, case when pk > 0 then upper(type) else '' end, hidden from "
		       "pragma_table_xinfo(");
	catalog_put_literal(gather->catalog, &sql, slice_of(table));
	buf_puts(&sql, ")");
	if (catalog_query(gather->catalog, buf_str(&sql), take_place, &picked, err))
		return -1;
	if (picked.found != count || picked.generated)
		return err_set(err, ERR_INTERNAL, "its columns are of a kind that is not read");
	for (size_t i = 0; i < sqlite->count; i++)
		if (strcmp(sqlite->objects[i].type, "table") == 0 &&
		    strcmp(sqlite->objects[i].name, table) == 0)
			return walk(sqlite, sqlite->objects[i].root, rows_max, take_record, &picked, err);
	return err_set(err, ERR_INTERNAL, "it is not in the schema");
}

/* --- all of it ----------------------------------------------------------------------------------- */

static void sqlite_gather_free(struct sqlite_gather *sqlite)
{
	sqlite_file_free(&sqlite->file);
	free(sqlite->objects);
	gather_free(&sqlite->gather);
}

static int gather_all(struct sqlite_gather *sqlite, struct err *err)
{
	if (put_server(sqlite, err) || put_schema(sqlite, err) ||
	    migration_tables_gather(&sqlite->gather, err))
		return -1;
	return gather_fingerprint(&sqlite->gather, err);
}

/* 1: somebody wrote meanwhile, and what was gathered is of no use. */
static int try(const struct database_spec *spec, struct fact_list *out, struct err *err)
{
	AUTO(sqlite_gather_free)
	struct sqlite_gather sqlite = {
		.gather = {.spec = spec, .out = out, .dialect = SQL_SQLITE, .read_table = read_table}};
	int status = begin(&sqlite, err);

	if (status == 0)
		status = walk(&sqlite, 1, OBJECTS_MAX * 2, take_object, &sqlite, err);
	if (status == 0)
		status = build(&sqlite, err);
	if (status == 0)
		status = gather_all(&sqlite, err);
	if (status && err->code != ERR_CONFLICT && err->code != ERR_USER)
		return -1;
	/* A page that was overwritten while we read looks damaged. */
	struct err ignored = ERR_INIT;
	if (status && (err->code == ERR_CONFLICT || !sqlite.head.ptr || is_unchanged(&sqlite, &ignored) > 0))
		return err->code == ERR_CONFLICT ? 1 : -1;
	int unchanged = is_unchanged(&sqlite, err);
	if (unchanged == 0)
		err_set(err, ERR_CONFLICT, "it is being written");
	return unchanged < 0 ? -1 : !unchanged;
}

static int sqlite_facts(const struct database_spec *spec, struct fact_list *out, struct err *err)
{
	size_t count = out->count;

	if (!spec->address.path)
		return err_set(err, ERR_USER, "the address names no file");
	for (int i = 0; i < TRIES; i++) {
		int status = try(spec, out, err);
		if (status <= 0)
			return status;
		out->count = count; /* their keys are the same ones again */
	}
	err_hint(err, "it was written each of %d times it was read; run again", TRIES);
	return -1;
}

static const char *const schemes[] = {"sqlite", "sqlite3", "file", NULL};

const struct database_kind database_sqlite = {
	.name = "sqlite",
	.schemes = schemes,
	.facts = sqlite_facts,
};
