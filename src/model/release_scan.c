/* See release_scan.h. */
#include "model/release_scan.h"
#include "model/internal.h"

int release_scan_put(struct db *db, const struct release_scan *scan, struct err *err)
{
	return db_exec_bound(db,
			     "insert into release_scan (release_digest, project, rules_digest, findings, scanned_ms)"
			     " values (:release, :project, :rules, :findings, :scanned_ms)"
			     " on conflict (release_digest) do update set project = excluded.project,"
			     " rules_digest = excluded.rules_digest, findings = excluded.findings,"
			     " scanned_ms = excluded.scanned_ms",
			     DB_BINDS(DB_STR(":release", scan->release), DB_STR(":project", scan->project),
				      DB_STR(":rules", scan->rules), DB_STR(":findings", scan->findings),
				      DB_INT(":scanned_ms", scan->scanned_ms)),
			     err);
}

static int read_one(struct db_stmt *stmt, struct arena *arena, bool *found_out, struct release_scan *out, struct err *err)
{
	int got = db_step(stmt, err);

	*found_out = got > 0;
	if (got > 0)
		*out = (struct release_scan){
			.release = db_column_text(stmt, "release_digest", arena),
			.project = db_column_text(stmt, "project", arena),
			.rules = db_column_text(stmt, "rules_digest", arena),
			.findings = db_column_text(stmt, "findings", arena),
			.scanned_ms = db_column_int(stmt, "scanned_ms"),
		};
	return got < 0 ? -1 : 0;
}

#define COLUMNS "select release_digest, project, rules_digest, findings, scanned_ms from release_scan "

int release_scan_find(struct db *db, struct arena *arena, const char *release, const char *rules, bool *found_out,
		      struct release_scan *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query_bound(db, &stmt, COLUMNS "where release_digest = :release and rules_digest = :rules",
			   DB_BINDS(DB_STR(":release", release), DB_STR(":rules", rules)), err))
		return -1;
	return read_one(stmt, arena, found_out, out, err);
}

int release_scan_latest(struct db *db, struct arena *arena, const char *project, const char *rules, bool *found_out,
			struct release_scan *out, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;

	if (db_query_bound(db, &stmt,
			   COLUMNS "where project = :project and rules_digest = :rules order by scanned_ms desc limit 1",
			   DB_BINDS(DB_STR(":project", project), DB_STR(":rules", rules)), err))
		return -1;
	return read_one(stmt, arena, found_out, out, err);
}
