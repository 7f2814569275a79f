#include "codec/compress.h"

#include "base/arena.h"

#include <stdlib.h>
#include <zstd.h>

struct compressor {
	ZSTD_CCtx *context;
};

struct decompressor {
	ZSTD_DCtx *context;
	bool ended;
	char piece[128 << 10];
};

static void *must_have(void *context)
{
	if (!context)
		abort(); /* out of memory */
	return context;
}

struct compressor *compressor_new(int level, struct slice prefix)
{
	struct compressor *compressor = mem_alloc(sizeof(*compressor));
	ZSTD_CCtx *context = must_have(ZSTD_createCCtx());

	ASSERT(prefix.len <= COMPRESS_PREFIX_MAX);
	compressor->context = context;
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0);
	if (prefix.len) {
		/* The window must reach back over the prefix, or it could not be used;
		 * long-distance matching finds far matches at any level. */
		int window_log = 18;
		while (window_log < COMPRESS_WINDOW_LOG_MAX && ((size_t)1 << window_log) < prefix.len * 2)
			window_log++;
		ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
		ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, prefix.len > (1 << 20));
		ZSTD_CCtx_refPrefix(context, prefix.ptr, prefix.len);
	}
	return compressor;
}

static int run(struct compressor *compressor, struct slice in, ZSTD_EndDirective directive, struct buf *out,
	       struct err *err)
{
	ZSTD_inBuffer input = { in.ptr, in.len, 0 };
	size_t left;

	do {
		size_t room = ZSTD_CStreamOutSize();
		char *at = buf_reserve(out, room);
		if (!at) {
			/* Less than a full piece of room may still be enough. */
			out->overflow = false;
			room = out->max - out->len;
			at = room ? buf_reserve(out, room) : NULL;
			if (!at)
				return err_set(err, ERR_INTERNAL, "compressed data exceed %zu bytes", out->max);
		}
		ZSTD_outBuffer output = { at, room, 0 };
		left = ZSTD_compressStream2(compressor->context, &output, &input, directive);
		out->len += output.pos;
		out->ptr[out->len] = '\0';
		if (ZSTD_isError(left))
			return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
	} while (input.pos < input.size || (directive != ZSTD_e_continue && left > 0));
	return 0;
}

int compressor_feed(struct compressor *compressor, struct slice in, struct buf *out, struct err *err)
{
	return in.len ? run(compressor, in, ZSTD_e_continue, out, err) : 0;
}

int compressor_flush(struct compressor *compressor, struct buf *out, struct err *err)
{
	return run(compressor, slice_make(NULL, 0), ZSTD_e_flush, out, err);
}

int compressor_end(struct compressor *compressor, struct buf *out, struct err *err)
{
	return run(compressor, slice_make(NULL, 0), ZSTD_e_end, out, err);
}

void compressor_free(struct compressor **compressor)
{
	if (!*compressor)
		return;
	ZSTD_freeCCtx((*compressor)->context);
	free(*compressor);
	*compressor = NULL;
}

struct decompressor *decompressor_new(struct slice prefix)
{
	struct decompressor *decompressor = mem_alloc(sizeof(*decompressor));

	ASSERT(prefix.len <= COMPRESS_PREFIX_MAX);
	decompressor->context = must_have(ZSTD_createDCtx());
	ZSTD_DCtx_setParameter(decompressor->context, ZSTD_d_windowLogMax, COMPRESS_WINDOW_LOG_MAX);
	if (prefix.len)
		ZSTD_DCtx_refPrefix(decompressor->context, prefix.ptr, prefix.len);
	return decompressor;
}

int decompressor_feed(struct decompressor *decompressor, struct slice in, decompress_sink *sink, void *context,
		      bool *ended, struct err *err)
{
	ZSTD_inBuffer input = { in.ptr, in.len, 0 };
	bool more = false; /* the last output was full: the decoder may hold more */

	while (input.pos < input.size || more) {
		if (decompressor->ended)
			return err_set(err, ERR_USER, "compressed data: bytes after the end");
		ZSTD_outBuffer output = { decompressor->piece, sizeof(decompressor->piece), 0 };
		size_t left = ZSTD_decompressStream(decompressor->context, &output, &input);
		if (ZSTD_isError(left))
			return err_set(err, ERR_USER, "compressed data are damaged: %s", ZSTD_getErrorName(left));
		decompressor->ended = left == 0;
		more = !decompressor->ended && output.pos == output.size;
		if (output.pos && sink(context, slice_make(decompressor->piece, output.pos), err))
			return -1;
	}
	*ended = decompressor->ended;
	return 0;
}

void decompressor_free(struct decompressor **decompressor)
{
	if (!*decompressor)
		return;
	ZSTD_freeDCtx((*decompressor)->context);
	free(*decompressor);
	*decompressor = NULL;
}

int compress_all(int level, struct slice prefix, struct slice in, struct buf *out, struct err *err)
{
	AUTO(compressor_free) struct compressor *compressor = compressor_new(level, prefix);

	ZSTD_CCtx_setPledgedSrcSize(compressor->context, in.len);
	return run(compressor, in, ZSTD_e_end, out, err);
}

static int append(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	buf_put_slice(out, bytes);
	return out->overflow ? err_set(err, ERR_USER, "compressed data hold more than %zu bytes", out->max) : 0;
}

int decompress_all(struct slice prefix, struct slice in, struct buf *out, struct err *err)
{
	AUTO(decompressor_free) struct decompressor *decompressor = decompressor_new(prefix);
	bool ended = false;

	if (decompressor_feed(decompressor, in, append, out, &ended, err))
		return -1;
	return ended ? 0 : err_set(err, ERR_USER, "compressed data end too early");
}
