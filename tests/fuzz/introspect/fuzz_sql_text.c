/* Any text as SQL, in each dialect: never a crash; what was spelled once stays as it is. */
#include "introspect/sql_text.h"
#include "introspect/sqlite/table_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 8192)
		return 0;
	for (int dialect = SQL_POSTGRESQL; dialect <= SQL_SQLITE; dialect++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(buf_free) struct buf out = BUF_INIT(MIB(1));
		struct slice text = slice_make(data, size);
		struct sql_tokens tokens = sql_text_split(&arena, (enum sql_dialect)dialect, text);
		sql_text_drop_schema(&arena, &tokens, SLICE("public"));
		sql_text_drop_only_table(&tokens);
		sql_text_put(&out, &tokens);
		if (dialect == SQL_SQLITE)
			sqlite_table_text(&arena, text);
	}
	return 0;
}
