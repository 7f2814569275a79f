/* A stream and its secrets: first byte the size of the pieces, then a secret up to
 * a NUL, then the text. No secret comes out, wherever the text is cut. */
#include "build/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	(void)err;
	buf_put_slice(out, bytes);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
	AUTO(mask_free) struct mask mask = {.sink = collect, .context = &out};
	struct err err = ERR_INIT;

	if (size < 2 || size > 4096)
		return 0;
	size_t piece = data[0] % 64 + 1;
	struct slice text = slice_make(data + 1, size - 1), secret = slice_cut(&text, '\0');
	const char *value = arena_str(&arena, secret);
	mask_add(&mask, value);
	while (text.len) {
		size_t len = MIN(piece, text.len);
		ASSERT(mask_put(&mask, slice_make(text.ptr, len), &err) == 0);
		text = slice_skip(text, len);
	}
	ASSERT(mask_flush(&mask, &err) == 0);
	/* A value made of stars, or that a mask completes, is no leak. */
	if (strlen(value) >= MASK_MIN && !strchr(value, '*'))
		ASSERT(!memmem(buf_str(&out), out.len, value, strlen(value)));
	return 0;
}
