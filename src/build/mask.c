/* Takes secrets out of a stream of bytes, wherever the pieces are cut: the values,
 * their lines, and their usual encodings (base64, also inside a longer text, percent). */
#include "build/internal.h"

#include <ctype.h>
#include <stdlib.h>

static const char masked[] = "***";

static void add_bytes(struct mask *mask, const char *bytes, size_t len)
{
	if (len < MASK_MIN)
		return;
	if (mask->count == mask->cap) {
		mask->cap = MAX(mask->cap * 2, (size_t)16);
		mask->needles = mem_grow(mask->needles, mask->cap, sizeof(*mask->needles));
	}
	char *copy = mem_alloc(len + 1);
	memcpy(copy, bytes, len);
	mask->needles[mask->count++] = (struct mask_needle){copy, len};
	mask->longest = MAX(mask->longest, len);
}

/* Base64 of `value` as it stands behind `before` other bytes (0 to 2), without the
 * characters at either end that depend on what surrounds it. */
static void add_base64(struct mask *mask, const char *value, size_t len, size_t before, const char *last_two)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t out_len = 0, total = before + len;
	AUTO(mem_free_ptr) char *out = mem_alloc(total * 4 / 3 + 8);

	for (size_t bit = 0; bit + 6 <= total * 8; bit += 6) {
		unsigned number = 0;
		for (size_t i = bit; i < bit + 6; i++) {
			unsigned char byte = i / 8 < before ? 0 : (unsigned char)value[i / 8 - before];
			number = number << 1 | ((byte >> (7 - i % 8)) & 1);
		}
		/* A character that holds bits of what stands before is not ours. */
		if (bit / 8 >= before)
			out[out_len++] = number < 62 ? digits[number] : last_two[number - 62];
	}
	if (out_len >= 2 * (size_t)MASK_MIN)
		add_bytes(mask, out, out_len);
	memset(out, 0, out_len);
}

static void add_percent(struct mask *mask, const char *value, size_t len)
{
	AUTO(mem_free_ptr) char *out = mem_alloc(len * 3 + 1);
	size_t out_len = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];
		if (isalnum(c) || strchr("-_.~", c)) {
			out[out_len++] = (char)c;
			continue;
		}
		out[out_len++] = '%';
		out[out_len++] = "0123456789ABCDEF"[c >> 4];
		out[out_len++] = "0123456789ABCDEF"[c & 15];
	}
	if (out_len != len)
		add_bytes(mask, out, out_len);
	memset(out, 0, out_len);
}

void mask_add(struct mask *mask, const char *value)
{
	size_t len = strlen(value);

	mask->pending.max = 16 << 20; /* the longest needle and one read are far below */
	add_bytes(mask, value, len);
	for (size_t before = 0; before < 3; before++) {
		add_base64(mask, value, len, before, "+/");
		add_base64(mask, value, len, before, "-_");
	}
	add_percent(mask, value, len);
	/* A program may print a key line by line. */
	struct slice rest = slice_of(value);
	while (rest.ptr && slice_find(slice_of(value), '\n') >= 0) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		if (line.len >= 2 * (size_t)MASK_MIN)
			add_bytes(mask, line.ptr, line.len);
	}
}

static int emit(struct mask *mask, struct slice bytes, struct err *err)
{
	return bytes.len ? mask->sink(mask->context, bytes, err) : 0;
}

/* The first needle in the text, the longest of those that start there. */
static const struct mask_needle *find_first(const struct mask *mask, struct slice text, size_t *at)
{
	const struct mask_needle *found = NULL;

	if (text.len == 0) /* memmem takes no NULL */
		return NULL;
	for (size_t i = 0; i < mask->count; i++) {
		const struct mask_needle *needle = &mask->needles[i];
		const char *hit = memmem(text.ptr, text.len, needle->bytes, needle->len);
		if (!hit)
			continue;
		size_t position = (size_t)(hit - text.ptr);
		if (!found || position < *at || (position == *at && needle->len > found->len)) {
			found = needle;
			*at = position;
		}
	}
	return found;
}

/* Where the first suffix starts that could go on to become a needle. */
static size_t safe_length(const struct mask *mask, struct slice text)
{
	size_t start = text.len >= mask->longest ? text.len - mask->longest + 1 : 0;

	for (size_t at = start; at < text.len; at++)
		for (size_t i = 0; i < mask->count; i++) {
			size_t len = text.len - at;
			if (len < mask->needles[i].len &&
			    memcmp(text.ptr + at, mask->needles[i].bytes, len) == 0)
				return at;
		}
	return text.len;
}

int mask_put(struct mask *mask, struct slice bytes, struct err *err)
{
	const struct mask_needle *needle;
	size_t at = 0;

	if (mask->count == 0)
		return emit(mask, bytes, err);
	buf_put_slice(&mask->pending, bytes);
	struct slice text = buf_slice(&mask->pending);
	while ((needle = find_first(mask, text, &at))) {
		/* A longer needle may start here or earlier and still be incomplete. */
		if (safe_length(mask, text) <= at)
			break;
		if (emit(mask, slice_make(text.ptr, at), err) || emit(mask, slice_of(masked), err))
			return -1;
		text = slice_skip(text, at + needle->len);
	}
	size_t safe = safe_length(mask, text);
	if (emit(mask, slice_make(text.ptr, safe), err))
		return -1;
	buf_consume(&mask->pending, mask->pending.len - text.len + safe);
	return 0;
}

int mask_flush(struct mask *mask, struct err *err)
{
	const struct mask_needle *needle;
	struct slice text = buf_slice(&mask->pending);
	size_t at = 0;

	while ((needle = find_first(mask, text, &at))) {
		if (emit(mask, slice_make(text.ptr, at), err) || emit(mask, slice_of(masked), err))
			return -1;
		text = slice_skip(text, at + needle->len);
	}
	if (emit(mask, text, err))
		return -1;
	buf_clear(&mask->pending);
	return 0;
}

void mask_free(struct mask *mask)
{
	for (size_t i = 0; i < mask->count; i++) {
		explicit_bzero(mask->needles[i].bytes, mask->needles[i].len);
		free(mask->needles[i].bytes);
	}
	free(mask->needles);
	if (mask->pending.ptr)
		explicit_bzero(mask->pending.ptr, mask->pending.cap);
	buf_free(&mask->pending);
	*mask = (struct mask){0};
}
