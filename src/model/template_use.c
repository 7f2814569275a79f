/* Templates and what they resolved to: see template_use.h. */
#include "model/template_use.h"

#include "model/internal.h"

static int put_templates(struct db *db, const struct delivered *row, struct err *err)
{
	for (size_t i = 0; i < row->template_count; i++)
		if (db_exec_bound(db,
				  "insert into template_use (project, environment, position, template,"
				  " template_digest) values (:project, :environment, :position, :template, :digest)",
				  DB_BINDS(DB_STR(":project", row->project), DB_STR(":environment", row->environment),
					   DB_INT(":position", (int64_t)i), DB_STR(":template", row->templates[i].address),
					   DB_STR(":digest", row->templates[i].digest)),
				  err))
			return -1;
	return 0;
}

int delivered_put(struct db *db, const struct delivered *row, struct err *err)
{
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	if (db_begin(db, &transaction, err) ||
	    db_exec_bound(db,
			  "insert into delivered (project, environment, file, settings_digest, settings,"
			  " deployment_id, used_ms) "
			  "values (:project, :environment, :file, :digest, :settings, :deployment, :used_ms) "
			  "on conflict (project, environment) do update set file = excluded.file,"
			  " settings_digest = excluded.settings_digest, settings = excluded.settings,"
			  " deployment_id = excluded.deployment_id, used_ms = excluded.used_ms",
			  DB_BINDS(DB_STR(":project", row->project), DB_STR(":environment", row->environment),
				   DB_STR(":file", row->file), DB_STR(":digest", row->digest),
				   DB_STR(":settings", row->settings), DB_STR(":deployment", row->deployment),
				   DB_INT(":used_ms", row->used_ms)),
			  err) ||
	    db_exec_bound(
		    db, "delete from template_use where project = :project and environment = :environment",
		    DB_BINDS(DB_STR(":project", row->project), DB_STR(":environment", row->environment)), err) ||
	    put_templates(db, row, err))
		return -1;
	return db_commit(&transaction, err);
}

static int read_templates(struct db *db, struct arena *arena, struct delivered *row, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	if (db_query_bound(db, &stmt,
			   "select template, template_digest from template_use where project = :project"
			   " and environment = :environment order by position",
			   DB_BINDS(DB_STR(":project", row->project), DB_STR(":environment", row->environment)), err))
		return -1;
	int got;
	while ((got = db_step(stmt, err)) > 0) {
		struct template_use *use =
			model_grow(arena, &row->templates, &row->template_count, sizeof(*row->templates));
		use->address = db_column_text(stmt, "template", arena);
		use->digest = db_column_text(stmt, "template_digest", arena);
	}
	return got;
}

int delivered_list(struct db *db, struct arena *arena, const char *project, struct delivered_list *out,
		   struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	*out = (struct delivered_list){0};
	if (db_query_bound(db, &stmt,
			   "select * from delivered where project = coalesce(:project, project)"
			   " order by project, environment",
			   DB_BINDS(DB_STR(":project", project)), err))
		return -1;
	int got;
	while ((got = db_step(stmt, err)) > 0) {
		struct delivered *row = model_grow(arena, &out->items, &out->count, sizeof(*out->items));
		*row = (struct delivered){
			.project = db_column_text(stmt, "project", arena),
			.environment = db_column_text(stmt, "environment", arena),
			.file = db_column_text(stmt, "file", arena),
			.digest = db_column_text(stmt, "settings_digest", arena),
			.settings = db_column_text(stmt, "settings", arena),
			.deployment = db_column_text(stmt, "deployment_id", arena),
			.used_ms = db_column_int(stmt, "used_ms"),
		};
	}
	for (size_t i = 0; got == 0 && i < out->count; i++)
		got = read_templates(db, arena, &out->items[i], err);
	return got;
}
