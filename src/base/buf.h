/* A growable byte buffer with a limit given at birth. All building of text and
 * of messages goes through it. The bytes are always followed by a NUL that is
 * not counted. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct buf {
	char *ptr; /* never NULL after the first append; use buf_str for a safe read */
	size_t len;
	size_t cap;
	size_t max; /* len never exceeds it */
	bool overflow; /* an append did not fit and was left out whole */
	bool wipes;    /* memory is overwritten before it is given back: BUF_SECRET */
};

#define BUF_INIT(limit) ((struct buf){ .max = (limit) })
/* For what must not stay behind in freed memory, also when the buffer grows. Freed
 * with buf_wipe_free (seal/secret.h). */
#define BUF_SECRET(limit) ((struct buf){ .max = (limit), .wipes = true })

/* Appending what would exceed the limit changes nothing but `overflow`;
 * buf_check turns that into an error once, at the end of building. */
void buf_put(struct buf *buf, const void *bytes, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_put_slice(struct buf *buf, struct slice s);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF(2, 3);
void buf_put_u32(struct buf *buf, uint32_t value); /* little endian */
void buf_put_u64(struct buf *buf, uint64_t value);
/* Room for `len` more bytes, to be filled by the caller who then adds to
 * buf->len; NULL (and overflow) beyond the limit. */
char *buf_reserve(struct buf *buf, size_t len);
void buf_consume(struct buf *buf, size_t len); /* drops bytes from the front */
void buf_clear(struct buf *buf);               /* keeps the memory */
void buf_free(struct buf *buf);                /* cleanup function; max stays */
struct slice buf_slice(const struct buf *buf);
const char *buf_str(const struct buf *buf); /* "" when empty */
int buf_check(const struct buf *buf, const char *what, struct err *err) CHECKED;

/* Text for people: control characters, bytes that are not UTF-8 and characters
 * that turn the writing direction as \xNN, quotes and backslashes with a backslash
 * before them; a file name can never forge a line or a colour. */
void buf_put_printable(struct buf *buf, struct slice s);
/* The same with quotes and backslashes as they are, for whole messages and columns. */
void buf_put_visible(struct buf *buf, struct slice s);
