/* One spelling for SQL that servers print and people write: white space and comments do not
 * count, names of the default schema lose it, and views of old PostgreSQL read like those
 * of new. Not a parser: the text is tokens, and only what is named here is changed. Pure. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum sql_dialect { SQL_POSTGRESQL = 1, SQL_MYSQL, SQL_SQLITE };

enum sql_token_kind { SQL_WORD = 1, SQL_NAME, SQL_STRING, SQL_NUMBER, SQL_SIGN };

struct sql_token {
	enum sql_token_kind kind; /* a name is quoted; its quotes and a string's belong to the text */
	struct slice text;
};

struct sql_tokens {
	struct sql_token *items;
	size_t count;
};

/* Any bytes at all; what is not SQL comes out as signs. Tokens point into `text`. */
struct sql_tokens sql_text_split(struct arena *arena, enum sql_dialect dialect, struct slice text);
/* "HOME." before a name, also in a string that is cast to regclass or regproc. */
void sql_text_drop_schema(struct arena *arena, struct sql_tokens *tokens, struct slice home);
/* PostgreSQL before 16 names the table before each column of a view even where there is
 * only one table; newer ones do not. */
void sql_text_drop_only_table(struct sql_tokens *tokens);
void sql_text_put(struct buf *out, const struct sql_tokens *tokens);
