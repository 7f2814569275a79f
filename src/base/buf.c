#include "base/buf.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *buf_reserve(struct buf *buf, size_t len)
{
	if (buf->overflow || len > buf->max - MIN(buf->len, buf->max)) {
		buf->overflow = true;
		return NULL;
	}
	size_t wanted = buf->len + len + 1;
	if (wanted > buf->cap) {
		size_t cap = MAX(wanted, MIN(buf->cap * 2, buf->max + 1));
		buf->cap = MAX(cap, (size_t)64);
		buf->ptr = mem_grow(buf->ptr, buf->cap, 1);
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

void buf_puts(struct buf *buf, const char *text) { buf_put(buf, text, strlen(text)); }
void buf_put_slice(struct buf *buf, struct slice s) { buf_put(buf, s.ptr, s.len); }
void buf_putc(struct buf *buf, char c) { buf_put(buf, &c, 1); }

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
	free(buf->ptr);
	*buf = BUF_INIT(buf->max);
}

struct slice buf_slice(const struct buf *buf) { return slice_make(buf->ptr, buf->len); }
const char *buf_str(const struct buf *buf) { return buf->ptr ? buf->ptr : ""; }

int buf_check(const struct buf *buf, const char *what, struct err *err)
{
	if (!buf->overflow)
		return 0;
	return err_set(err, ERR_INTERNAL, "%s is larger than the limit of %zu bytes", what, buf->max);
}

void buf_put_printable(struct buf *buf, struct slice s)
{
	bool utf8 = slice_is_utf8(s);

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		/* U+0080..U+009F are control characters too: C2 80..9F. */
		bool c1 = utf8 && c == 0xC2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xA0;
		if (c == '"' || c == '\\')
			buf_printf(buf, "\\%c", c);
		else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8))
			buf_printf(buf, "\\x%02x", c);
		else if (c1) {
			buf_printf(buf, "\\x%02x\\x%02x", c, (unsigned char)s.ptr[i + 1]);
			i++;
		} else
			buf_putc(buf, (char)c);
	}
}
