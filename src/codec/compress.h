/* zstd streams with bounded memory. The only user of libzstd.
 *
 * A *prefix* is earlier content both sides have (an old version of a file, an
 * old manifest): the frame then costs little more than what changed. Both sides
 * must give the identical prefix; it is borrowed until the stream ends. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Decoders refuse frames that ask for a larger window: 8 MB keeps the agent's
 * memory bounded whatever a controller sends. */
enum { COMPRESS_WINDOW_LOG_MAX = 23, COMPRESS_PREFIX_MAX = 8 << 20 };

struct compressor;
struct decompressor;

/* level 1..19. `prefix` may be empty; longer than COMPRESS_PREFIX_MAX asserts. */
struct compressor *compressor_new(int level, struct slice prefix);
/* Without a prefix, finding again what came up to `window` bytes before (8 MB at most);
 * whoever decodes holds as much. */
struct compressor *compressor_new_wide(int level, uint64_t window);
/* Appends compressed bytes to `out` as they come. */
int compressor_feed(struct compressor *compressor, struct slice in, struct buf *out, struct err *err) CHECKED;
int compressor_flush(struct compressor *compressor, struct buf *out, struct err *err) CHECKED;
int compressor_end(struct compressor *compressor, struct buf *out, struct err *err) CHECKED; /* ends the frame */
void compressor_free(struct compressor **compressor); /* cleanup function */

typedef int decompress_sink(void *context, struct slice bytes, struct err *err);
struct decompressor *decompressor_new(struct slice prefix);
/* Calls `sink` with decoded pieces of at most 128 KiB. *ended becomes true when the
 * frame is complete; bytes after that are an error. */
int decompressor_feed(struct decompressor *decompressor, struct slice in, decompress_sink *sink,
		      void *context, bool *ended, struct err *err) CHECKED;
void decompressor_free(struct decompressor **decompressor); /* cleanup function */

/* Whole buffers. Decoding refuses content larger than out->max. */
int compress_all(int level, struct slice prefix, struct slice in, struct buf *out, struct err *err) CHECKED;
int decompress_all(struct slice prefix, struct slice in, struct buf *out, struct err *err) CHECKED;
