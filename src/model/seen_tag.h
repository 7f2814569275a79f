/* Which commit each tag of a source named when it was seen first, so that a moved
 * tag is refused even when the mirror was made anew. */
#pragma once

#include "model/model.h"

/* Records the first sight. A tag that named another commit before is ERR_CONFLICT
 * and stays as it was. `source` as written in lockstep.yml. */
int seen_tag_check(struct db *db, const char *source, const char *tag, const char *commit, int64_t now_ms,
		   struct err *err) CHECKED;
/* A person says that the move is meant. */
int seen_tag_accept(struct db *db, const char *source, const char *tag, const char *commit, int64_t now_ms,
		    struct err *err) CHECKED;
