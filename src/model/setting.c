/* Settings: see setting.h. */
#include "model/setting.h"

#include "base/random.h"

int setting_find(struct db *db, struct arena *arena, const char *key, const char **value_out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt, "select value from setting where name = :name",
			   DB_BINDS(DB_STR(":name", key)), err))
		return -1;
	int got = db_step(stmt, err);
	if (got < 0)
		return -1;
	*value_out = got ? db_column_text(stmt, "value", arena) : NULL;
	return 0;
}

int setting_set(struct db *db, const char *key, const char *value, struct err *err)
{
	return db_exec_bound(db,
			     "insert into setting (name, value) values (:name, :value) "
			     "on conflict (name) do update set value = excluded.value",
			     DB_BINDS(DB_STR(":name", key), DB_STR(":value", value)), err);
}

int setting_keep(struct db *db, struct arena *arena, const char *key, const char *value,
		 const char **value_out, struct err *err)
{
	if (db_exec_bound(db,
			  "insert into setting (name, value) values (:name, :value) "
			  "on conflict (name) do nothing",
			  DB_BINDS(DB_STR(":name", key), DB_STR(":value", value)), err))
		return -1;
	return setting_find(db, arena, key, value_out, err);
}

int setting_controller_id(struct db *db, struct arena *arena, const char **id_out, struct err *err)
{
	enum { ID_BYTES = 8 };
	if (setting_find(db, arena, "controller_id", id_out, err))
		return -1;
	if (*id_out)
		return 0;
	uint8_t bytes[ID_BYTES];
	char id[2 * ID_BYTES + 1];
	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), id);
	return setting_keep(db, arena, "controller_id", id, id_out, err);
}
