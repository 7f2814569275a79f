/* Opening, and the small helpers of the nouns. */
#include "model/internal.h"

#include "base/buf.h"

int model_open(const char *path, struct db **db_out, struct err *err)
{
	AUTO(db_close) struct db *db = NULL;
	if (db_open(path, &db, err) || db_migrate(db, model_migrations, model_migrations_count, err))
		return -1;
	*db_out = db;
	db = NULL;
	return 0;
}

/* Length of the UTF-8 character at the front; 0 when there is none. */
static size_t character_len(struct slice s)
{
	for (size_t len = 1; len <= 4 && len <= s.len; len++)
		if (slice_is_utf8(slice_make(s.ptr, len)))
			return len;
	return 0;
}

const char *model_clean(struct arena *arena, const char *text, size_t max)
{
	static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
	if (!text)
		return NULL;

	AUTO(buf_free) struct buf out = BUF_INIT(max);
	struct slice rest = slice_make(text, strnlen(text, max + 4));
	while (rest.len > 0 && !out.overflow) {
		size_t len = character_len(rest);
		if (len > 0)
			buf_put(&out, rest.ptr, len);
		else
			buf_puts(&out, replacement);
		rest = slice_skip(rest, MAX(len, (size_t)1));
	}
	return arena_strdup(arena, buf_str(&out));
}

void *model_grow(struct arena *arena, void *items_pointer, size_t *count, size_t item_size)
{
	void *items;
	memcpy(&items, items_pointer, sizeof(items));
	size_t used = *count;
	if ((used & (used - 1)) == 0) {
		void *grown = arena_array(arena, MAX(used * 2, (size_t)1), item_size);
		if (used > 0)
			memcpy(grown, items, used * item_size);
		items = grown;
		memcpy(items_pointer, &items, sizeof(items));
	}
	*count = used + 1;
	return (char *)items + used * item_size;
}

size_t page_limit(const struct page *page)
{
	enum { PAGE_LIMIT_USUAL = 50 };
	if (!page || page->limit == 0)
		return PAGE_LIMIT_USUAL;
	return MIN(page->limit, (size_t)PAGE_LIMIT_MAX);
}

int64_t page_before_ms(const struct page *page)
{
	return page && page->before_ms > 0 ? page->before_ms : INT64_MAX;
}

const char *page_before_id(const struct page *page)
{
	return page && page->before_id ? page->before_id : "";
}

const char *model_name_of(const char *const *names, size_t count, int value)
{
	return value > 0 && (size_t)value < count ? names[value] : "?";
}

int model_value_of(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 1; name && i < count; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return 0;
}
