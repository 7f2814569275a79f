/* A stream and its values: first byte the size of the pieces, then values (\x01 between
 * them) up to a NUL, then the text. Whatever the pieces, the result is that of the
 * naive way: at each place the longest form that stands there. */
#include "seal/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	buf_put_slice(context, bytes);
	return 0;
}

static void mask_naively(struct mask *mask, struct slice text, struct buf *out)
{
	size_t count = mask_form_count(mask);

	while (text.len) {
		size_t longest = 0;
		for (size_t i = 0; i < count; i++) {
			struct slice form = mask_form(mask, i);
			if (form.len > longest && form.len <= text.len && memcmp(text.ptr, form.ptr, form.len) == 0)
				longest = form.len;
		}
		if (longest)
			buf_puts(out, MASK_TEXT);
		else
			buf_putc(out, *text.ptr);
		text = slice_skip(text, MAX(longest, (size_t)1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20), naive = BUF_INIT(1 << 20);
	AUTO(mask_close) struct mask *mask = mask_open();
	AUTO(mask_stream_free) struct mask_stream stream = {.mask = mask, .sink = collect, .context = &out};
	struct err err = ERR_INIT;

	if (size < 2 || size > 2048)
		return 0;
	size_t piece = data[0] % 64 + 1;
	struct slice text = slice_make(data + 1, size - 1), values = slice_cut(&text, '\0');
	while (values.ptr)
		mask_add(mask, slice_cut(&values, '\1'));
	mask_naively(mask, text, &naive);
	while (text.len) {
		size_t len = MIN(piece, text.len);
		ASSERT(mask_stream_put(&stream, slice_make(text.ptr, len), &err) == 0);
		text = slice_skip(text, len);
	}
	ASSERT(mask_stream_flush(&stream, &err) == 0);
	ASSERT(slice_equal(buf_slice(&out), buf_slice(&naive)));
	return 0;
}
