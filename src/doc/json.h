/* JSON, read and written. Owns jansson: whoever needs json_t includes this
 * header, so that limits and rules stand in one place. Use json_parse for
 * anything foreign, json_put for anything printed. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

enum { JSON_PARSE_MAX = 16 << 20 };

/* A new reference in *out. At most `max` bytes; keys twice, NUL in a text, bytes
 * that are not UTF-8, trailing text and nesting beyond 256 are refused. Errors
 * say "<what>: line L, column C: why". Any JSON value may stand at the top. */
int json_parse(struct slice text, const char *what, size_t max, json_t **out, struct err *err) CHECKED;

/* The same for a text that holds secrets: errors quote nothing of it. All of a tree's
 * memory is wiped when it is freed (jansson is given such an allocator), so what is
 * left to do is to hold the text itself in a buffer that wipes. */
int json_parse_secret(struct slice text, const char *what, size_t max, json_t **out,
		      struct err *err) CHECKED;

/* Canonical: sorted keys, no white space. Pretty: two spaces, keys as inserted,
 * final newline. Fails only beyond the limit of `out` (see buf_check). */
void json_put(struct buf *out, const json_t *json);
void json_put_pretty(struct buf *out, const json_t *json);

void json_free(json_t **json); /* cleanup function: AUTO(json_free) json_t *j = NULL; */

/* A JSON string of bytes that need not be UTF-8: those that are not become
 * U+FFFD. Never fails. */
json_t *json_text(struct slice bytes);
json_t *json_cstr(const char *text); /* NULL becomes null */

/* Members with a type; false when absent or of another type. */
bool json_get_str(const json_t *object, const char *key, const char **out);
bool json_get_int(const json_t *object, const char *key, int64_t *out);
bool json_get_bool(const json_t *object, const char *key, bool *out);
