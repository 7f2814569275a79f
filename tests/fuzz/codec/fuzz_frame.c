/* A stream of frames, cut into pieces where the input says (the first byte is
 * the size of the pieces): the cuts never change what is decoded. */
#include "codec/frame.h"

struct seen {
	size_t frames;
	size_t payload;
	uint64_t sum; /* over types and payloads, in order */
	bool refused;
};

static void decode(struct slice stream, size_t step, struct seen *seen)
{
	AUTO(frame_decoder_free) struct frame_decoder decoder;
	struct err err = ERR_INIT;

	frame_decoder_init(&decoder);
	while (stream.len && !seen->refused) {
		size_t piece = MIN(step, stream.len);
		if (frame_decoder_feed(&decoder, slice_make(stream.ptr, piece), &err))
			ASSERT(!"a drained decoder takes a piece");
		stream = slice_skip(stream, piece);
		struct frame frame;
		int got;
		while ((got = frame_decoder_next(&decoder, &frame, &err)) == 1) {
			ASSERT(frame.payload.len <= FRAME_PAYLOAD_MAX);
			seen->frames++;
			seen->payload += frame.payload.len;
			seen->sum = seen->sum * 31 + frame.type;
			for (size_t i = 0; i < frame.payload.len; i++)
				seen->sum = seen->sum * 31 + (unsigned char)frame.payload.ptr[i];
		}
		seen->refused = got < 0;
		ASSERT(!seen->refused || err.text[0]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen small = {0}, whole = {0};

	if (size < 1)
		return 0;
	struct slice stream = slice_make(data + 1, MIN(size - 1, (size_t)FRAME_PAYLOAD_MAX));
	decode(stream, (size_t)data[0] + 1, &small);
	decode(stream, FRAME_PAYLOAD_MAX, &whole);
	ASSERT(small.frames == whole.frames && small.payload == whole.payload && small.sum == whole.sum &&
	       small.refused == whole.refused);
	return 0;
}
