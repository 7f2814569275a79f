/* The rules under which JSON is read and written here. Knows nothing of what it
 * says. */
#include "doc/json.h"

#include "base/wipe.h"

enum { JSON_DEPTH_MAX = 256 };

/* jansson's own limit is thousands of levels, and walking such a tree again is
 * recursive everywhere; ours is checked before it parses. */
static bool too_deep(struct slice text)
{
	size_t depth = 0;
	bool in_text = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (in_text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_text = false;
		} else if (c == '"') {
			in_text = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		}
	}
	return false;
}

/* Before main, so that no tree is older; blocks of both kinds mix all the same. */
static __attribute__((constructor)) void wipe_what_is_freed(void)
{
	json_set_alloc_funcs(wipe_malloc, wipe_free);
}

int json_parse(struct slice text, const char *what, size_t max, json_t **out, struct err *err)
{
	json_error_t error;
	if (text.len > max)
		return err_set(err, ERR_USER, "%s: larger than %zu bytes", what, max);
	if (too_deep(text))
		return err_set(err, ERR_USER, "%s: nested more than %d deep", what, JSON_DEPTH_MAX);
	*out = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
			  &error);
	if (*out)
		return 0;
	return err_set(err, ERR_USER, "%s: line %d, column %d: %s", what, error.line, error.column,
		       error.text);
}

int json_parse_secret(struct slice text, const char *what, size_t max, json_t **out, struct err *err)
{
	struct err inner = ERR_INIT;
	if (json_parse(text, what, max, out, &inner) == 0)
		return 0;
	/* What jansson says of a place quotes the text around it. */
	char *near = strstr(inner.text, " near '");
	if (near)
		*near = '\0';
	err_set(err, inner.code, "%s", inner.text);
	wipe_bytes(&inner, sizeof(inner));
	return -1;
}

static int put_piece(const char *bytes, size_t len, void *context)
{
	struct buf *out = context;
	buf_put(out, bytes, len);
	return 0;
}

void json_put(struct buf *out, const json_t *json)
{
	int status =
		json_dump_callback(json, put_piece, out, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
	ASSERT(status == 0);
}

void json_put_pretty(struct buf *out, const json_t *json)
{
	int status = json_dump_callback(json, put_piece, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
	ASSERT(status == 0);
	buf_putc(out, '\n');
}

void json_free(json_t **json)
{
	json_decref(*json);
	*json = NULL;
}

/* Bytes of the well-formed character at the front, or 0. */
static size_t character_at(struct slice s)
{
	for (size_t len = 1; len <= MIN((size_t)4, s.len); len++)
		if (slice_is_utf8(slice_make(s.ptr, len)))
			return len;
	return 0;
}

json_t *json_text(struct slice bytes)
{
	json_t *json = bytes.len ? json_stringn(bytes.ptr, bytes.len) : json_string("");
	if (json)
		return json;
	AUTO(buf_free) struct buf clean = BUF_INIT(bytes.len * 3);
	while (bytes.len) {
		size_t len = character_at(bytes);
		if (len)
			buf_put(&clean, bytes.ptr, len);
		else
			buf_puts(&clean, "\xef\xbf\xbd");
		bytes = slice_skip(bytes, len ? len : 1);
	}
	json = json_stringn(buf_str(&clean), clean.len);
	ASSERT(json);
	return json;
}

json_t *json_cstr(const char *text)
{
	return text ? json_text(slice_of(text)) : json_null();
}

bool json_get_str(const json_t *object, const char *key, const char **out)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_string(value))
		return false;
	*out = json_string_value(value);
	return true;
}

bool json_get_int(const json_t *object, const char *key, int64_t *out)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value))
		return false;
	*out = json_integer_value(value);
	return true;
}

bool json_get_bool(const json_t *object, const char *key, bool *out)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_boolean(value))
		return false;
	*out = json_is_true(value);
	return true;
}
