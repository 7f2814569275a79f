/* Growing, bounded bytes. Reading them again is slice.c. */
#include "base/buf.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void grow(struct buf *buf, size_t cap)
{
	if (!buf->wipes) {
		buf->ptr = mem_grow(buf->ptr, cap, 1);
	} else {
		char *bigger = mem_alloc(cap);
		if (buf->ptr) {
			memcpy(bigger, buf->ptr, buf->len);
			explicit_bzero(buf->ptr, buf->cap);
			free(buf->ptr);
		}
		buf->ptr = bigger;
	}
	buf->cap = cap;
}

char *buf_reserve(struct buf *buf, size_t len)
{
	ASSERT(buf->max < SIZE_MAX / 2 && buf->len <= buf->max);
	if (buf->overflow || len > buf->max - buf->len) {
		buf->overflow = true;
		return NULL;
	}
	size_t wanted = buf->len + len + 1;
	if (wanted > buf->cap) {
		size_t cap = MAX(wanted, MIN(buf->cap * 2, buf->max + 1));
		grow(buf, MAX(cap, (size_t)64));
	}
	buf->ptr[buf->len + len] = '\0';
	return buf->ptr + buf->len;
}

void buf_put(struct buf *buf, const void *bytes, size_t len)
{
	char *room = buf_reserve(buf, len);
	if (!room)
		return;
	if (len)
		memcpy(room, bytes, len);
	buf->len += len;
	buf->ptr[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_put(buf, text, strlen(text));
}
void buf_put_slice(struct buf *buf, struct slice s)
{
	buf_put(buf, s.ptr, s.len);
}
void buf_putc(struct buf *buf, char c)
{
	buf_put(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	ASSERT(len >= 0);
	char *room = buf_reserve(buf, (size_t)len);
	if (!room)
		return;
	va_start(args, format);
	vsnprintf(room, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
	unsigned char bytes[4];
	for (int i = 0; i < 4; i++)
		bytes[i] = (unsigned char)(value >> (8 * i));
	buf_put(buf, bytes, sizeof(bytes));
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
	unsigned char bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(value >> (8 * i));
	buf_put(buf, bytes, sizeof(bytes));
}

void buf_consume(struct buf *buf, size_t len)
{
	ASSERT(len <= buf->len);
	if (len == 0)
		return;
	buf->len -= len;
	memmove(buf->ptr, buf->ptr + len, buf->len);
	if (buf->wipes)
		explicit_bzero(buf->ptr + buf->len, len);
	buf->ptr[buf->len] = '\0';
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	buf->overflow = false;
	if (buf->ptr)
		buf->ptr[0] = '\0';
}

void buf_free(struct buf *buf)
{
	if (buf->wipes && buf->ptr)
		explicit_bzero(buf->ptr, buf->cap);
	free(buf->ptr);
	*buf = (struct buf){.max = buf->max, .wipes = buf->wipes};
}

struct slice buf_slice(const struct buf *buf)
{
	return slice_make(buf->ptr, buf->len);
}
const char *buf_str(const struct buf *buf)
{
	return buf->ptr ? buf->ptr : "";
}

int buf_check(const struct buf *buf, const char *what, struct err *err)
{
	if (!buf->overflow)
		return 0;
	return err_set(err, ERR_INTERNAL, "%s is larger than the limit of %zu bytes", what, buf->max);
}

/* Characters that move the cursor, start an escape sequence or reorder what stands
 * around them: C0, DEL, C1 (C2 80..9F), U+2028..202E (E2 80 A8..AE) and
 * U+2066..2069 (E2 81 A6..A9). */
static bool is_harmful(struct slice character)
{
	const unsigned char *c = (const unsigned char *)character.ptr;

	switch (character.len) {
	case 1:
		return c[0] < 0x20 || c[0] == 0x7F;
	case 2:
		return c[0] == 0xC2 && c[1] < 0xA0;
	case 3:
		return c[0] == 0xE2 && ((c[1] == 0x80 && c[2] >= 0xA8 && c[2] <= 0xAE) ||
					(c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9));
	default:
		return false;
	}
}

static void put_escaped(struct buf *buf, struct slice s, bool quotes)
{
	while (s.len) {
		size_t len = slice_utf8_len(s);
		struct slice character = slice_make(s.ptr, MAX(len, (size_t)1));
		if (len == 0 || is_harmful(character)) {
			for (size_t i = 0; i < character.len; i++)
				buf_printf(buf, "\\x%02x", (unsigned char)character.ptr[i]);
		} else {
			if (quotes && (*character.ptr == '"' || *character.ptr == '\\'))
				buf_putc(buf, '\\');
			buf_put_slice(buf, character);
		}
		s = slice_skip(s, character.len);
	}
}

void buf_put_printable(struct buf *buf, struct slice s) { put_escaped(buf, s, true); }
void buf_put_visible(struct buf *buf, struct slice s) { put_escaped(buf, s, false); }
