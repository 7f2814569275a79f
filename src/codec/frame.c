/* Cutting a stream into frames and making them. */
#include "codec/frame.h"

void frame_decoder_init(struct frame_decoder *decoder)
{
	*decoder = (struct frame_decoder){.pending = BUF_SECRET(4 * (FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN))};
}

void frame_decoder_wipe(struct frame_decoder *decoder)
{
	if (decoder->pending.ptr)
		explicit_bzero(decoder->pending.ptr, decoder->consumed);
}

void frame_decoder_free(struct frame_decoder *decoder)
{
	buf_free(&decoder->pending);
}

static void forget_last(struct frame_decoder *decoder)
{
	buf_consume(&decoder->pending, decoder->consumed);
	decoder->consumed = 0;
}

int frame_decoder_feed(struct frame_decoder *decoder, struct slice bytes, struct err *err)
{
	forget_last(decoder);
	buf_put_slice(&decoder->pending, bytes);
	return buf_check(&decoder->pending, "what is waiting to be decoded", err);
}

/* The first frame behind those taken out, wherever it lies. */
static int look_at_next(const struct frame_decoder *decoder, struct frame *frame, struct err *err)
{
	/* Taking frames out of one large read must not move the rest each time. */
	size_t left = decoder->pending.len - decoder->consumed;

	if (left < FRAME_HEADER_LEN)
		return 0;
	const unsigned char *at = (const unsigned char *)decoder->pending.ptr + decoder->consumed;
	uint32_t len = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
	if (len > FRAME_PAYLOAD_MAX)
		return err_set(err, ERR_NETWORK,
			       "what came is not our protocol (a frame of %u bytes; the limit is %d)", len,
			       FRAME_PAYLOAD_MAX);
	if (left - FRAME_HEADER_LEN < len)
		return 0;
	frame->type = at[4];
	frame->payload = slice_make(at + FRAME_HEADER_LEN, len);
	return 1;
}

int frame_decoder_peek(const struct frame_decoder *decoder, uint8_t *type, struct err *err)
{
	struct frame frame = { 0 };
	int more = look_at_next(decoder, &frame, err);

	if (more > 0)
		*type = frame.type;
	return more;
}

int frame_decoder_next(struct frame_decoder *decoder, struct frame *frame, struct err *err)
{
	int more = look_at_next(decoder, frame, err);

	if (more > 0)
		decoder->consumed += FRAME_HEADER_LEN + frame->payload.len;
	return more;
}

void frame_put(struct buf *out, uint8_t type, struct slice payload)
{
	ASSERT(payload.len <= FRAME_PAYLOAD_MAX);
	/* Whole or not at all, also where the buffer ends. */
	if (!buf_reserve(out, FRAME_HEADER_LEN + payload.len))
		return;
	buf_put_u32(out, (uint32_t)payload.len);
	buf_putc(out, (char)type);
	buf_put_slice(out, payload);
}
