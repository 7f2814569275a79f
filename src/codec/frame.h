/* Frames: how the conversation between controller and agent is cut into
 * messages. A pure decoder, no I/O.
 *
 *	 0        4      5
 *	+--------+------+-----------------+
 *	| length | type | payload         |   length: little endian, of the payload
 *	+--------+------+-----------------+   ≤ FRAME_PAYLOAD_MAX
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { FRAME_HEADER_LEN = 5, FRAME_PAYLOAD_MAX = 256 << 10 };

struct frame {
	uint8_t type;
	struct slice payload; /* borrowed from the decoder's buffer until the next feed */
};

struct frame_decoder {
	struct buf pending;
	size_t consumed; /* bytes of `pending` that the last frame covered */
};

void frame_decoder_init(struct frame_decoder *decoder);
void frame_decoder_free(struct frame_decoder *decoder);
/* Take all frames out with _next between feeds: more than four whole frames waiting
 * is an error. */
int frame_decoder_feed(struct frame_decoder *decoder, struct slice bytes, struct err *err) CHECKED;
/* 1: *frame is the next one; 0: more bytes are needed; -1: the peer is not
 * speaking our protocol (length above the limit; ERR_NETWORK). */
int frame_decoder_next(struct frame_decoder *decoder, struct frame *frame, struct err *err) CHECKED;

/* 1: a whole frame of that type is the next one, and stays there; otherwise as _next. */
int frame_decoder_peek(const struct frame_decoder *decoder, uint8_t *type, struct err *err) CHECKED;

/* Overwrites the frames that were taken out; the last one's payload is zeros then. */
void frame_decoder_wipe(struct frame_decoder *decoder);

/* Whole or, beyond the buffer's limit, not at all (buf_check tells). */
void frame_put(struct buf *out, uint8_t type, struct slice payload);
