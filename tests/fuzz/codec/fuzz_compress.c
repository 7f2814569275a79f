/* Two readings of the input. As compressed data: decoding any bytes, with or without
 * a prefix, in pieces or whole, gives the same content or a refusal, within the limit.
 * As content: whatever is compressed comes back. The first byte says the size of the
 * pieces and whether there is a prefix. */
#include "codec/compress.h"

#include <stdio.h>
#include <stdlib.h>

static const char prefix_text[] = "the quick brown fox jumps over the lazy dog, again and again and again";

static int gather(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	ASSERT(bytes.len > 0 && bytes.len <= KIB(128));
	buf_put_slice(out, bytes);
	return buf_check(out, "content", err);
}

static int decode_in_pieces(struct slice prefix, struct slice in, size_t step, struct buf *out)
{
	AUTO(decompressor_free) struct decompressor *decompressor = decompressor_new(prefix);
	struct err err = ERR_INIT;
	bool ended = false;

	while (in.len) {
		size_t piece = MIN(step, in.len);
		if (decompressor_feed(decompressor, slice_make(in.ptr, piece), gather, out, &ended, &err)) {
			ASSERT(err.text[0]);
			return -1;
		}
		in = slice_skip(in, piece);
	}
	return ended ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_free) struct buf whole = BUF_INIT(MIB(1));
	AUTO(buf_free) struct buf pieces = BUF_INIT(MIB(1));
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(2));
	AUTO(buf_free) struct buf again = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;

	if (size < 1)
		return 0;
	size_t step = (size_t)(data[0] >> 1) + 1;
	struct slice prefix = data[0] & 1 ? slice_of(prefix_text) : slice_make(NULL, 0);
	struct slice rest = slice_make(data + 1, MIN(size - 1, KIB(256)));

	int result = decompress_all(prefix, rest, &whole, &err);
	ASSERT(decode_in_pieces(prefix, rest, step, &pieces) == result);
	ASSERT(result || slice_equal(buf_slice(&whole), buf_slice(&pieces)));
	ASSERT(!result || err.text[0]);

	if (compress_all(1, prefix, rest, &packed, &err))
		ASSERT(!"compressing");
	if (decompress_all(prefix, buf_slice(&packed), &again, &err))
		ASSERT(!"reading what was compressed");
	ASSERT(slice_equal(buf_slice(&again), rest));
	return 0;
}
