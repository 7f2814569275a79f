/* What a deployment did on each server: see deployment_server.h. */
#include "model/deployment_server.h"

#include "model/internal.h"

static const char *const verdict_names[] = {
	[SERVER_PENDING] = "pending",
	[SERVER_OLD] = "old",
	[SERVER_NEW] = "new",
	[SERVER_NOT_CHECKED] = "not_checked",
	[SERVER_UNVERIFIED] = "unverified",
	[SERVER_RESTORED] = "restored",
	[SERVER_UNKNOWN] = "unknown",
};

const char *server_verdict_name(enum server_verdict verdict)
{
	return model_name_of(verdict_names, ARRAY_LEN(verdict_names), (int)verdict);
}

int deployment_server_put(struct db *db, const struct deployment_server *row, struct err *err)
{
	ASSERT(row->verdict >= SERVER_PENDING && row->verdict <= SERVER_UNKNOWN);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	return db_exec_bound(
		db,
		"insert into deployment_server (deployment_id, server, position, label, previous, activation,"
		" files, bytes, duration_ms, verdict, error) "
		"values (:deployment, :server,"
		" (select coalesce(max(position), 0) + 1 from deployment_server"
		" where deployment_id = :deployment),"
		" :label, :previous, :activation, :files, :bytes, :duration_ms, :verdict, :error) "
		"on conflict (deployment_id, server) do update set"
		" label = excluded.label, previous = excluded.previous, activation = excluded.activation,"
		" files = excluded.files, bytes = excluded.bytes, duration_ms = excluded.duration_ms,"
		" verdict = excluded.verdict, error = excluded.error",
		DB_BINDS(DB_STR(":deployment", row->deployment), DB_STR(":server", row->server),
			 CLEAN(&arena, ":label", row->label), CLEAN(&arena, ":previous", row->previous),
			 CLEAN(&arena, ":activation", row->activation), DB_INT(":files", row->files),
			 DB_INT(":bytes", row->bytes), DB_INT(":duration_ms", row->duration_ms),
			 DB_STR(":verdict", server_verdict_name(row->verdict)),
			 DB_STR(":error", model_clean(&arena, row->error, TEXT_MAX_BYTES))),
		err);
}

int deployment_server_put_all(struct db *db, const struct deployment_server *rows, size_t count,
			      struct err *err)
{
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	if (db_begin(db, &transaction, err))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (deployment_server_put(db, &rows[i], err))
			return -1;
	return db_commit(&transaction, err);
}

static void read_row(struct db_stmt *stmt, struct arena *arena, struct deployment_server *out)
{
	AUTO(arena_free) struct arena scratch = ARENA_INIT;
	*out = (struct deployment_server){
		.deployment = db_column_text(stmt, "deployment_id", arena),
		.server = db_column_text(stmt, "server", arena),
		.label = db_column_text(stmt, "label", arena),
		.previous = db_column_text(stmt, "previous", arena),
		.activation = db_column_text(stmt, "activation", arena),
		.files = db_column_int(stmt, "files"),
		.bytes = db_column_int(stmt, "bytes"),
		.duration_ms = db_column_int(stmt, "duration_ms"),
		.verdict = (enum server_verdict)model_value_of(verdict_names, ARRAY_LEN(verdict_names),
							       db_column_text(stmt, "verdict", &scratch)),
		.error = db_column_text(stmt, "error", arena),
	};
}

int deployment_server_list(struct db *db, struct arena *arena, const char *deployment,
			   struct deployment_server_list *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(
		    db, &stmt,
		    "select * from deployment_server where deployment_id = :deployment order by position",
		    DB_BINDS(DB_STR(":deployment", deployment)), err))
		return -1;
	*out = (struct deployment_server_list){0};
	int got;
	while ((got = db_step(stmt, err)) > 0)
		read_row(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)));
	return got;
}
