/* zstd frames, one per stream, with memory bounded on both sides. */
#include "codec/compress.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

struct compressor {
	ZSTD_CCtx *context;
	bool ended;
};

struct decompressor {
	ZSTD_DCtx *context;
	size_t magic_seen;
	bool ended;
	char piece[128 << 10];
};

/* Most streams are of small files: making a context anew, and touching its memory for the
 * first time, took longer than the work itself. Each thread keeps one of each kind,
 * unless it has grown large. */
enum { SPARE_MAX = 16 << 20, WINDOW_LOG_LEAST = 10, WINDOW_LOG_OF_STREAMS = 18 };
struct spare {
	ZSTD_CCtx *compression;
	struct decompressor *decompressor;
};
static _Thread_local struct spare spare;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;
static pthread_key_t spare_key;
static bool spare_kept; /* there is a key, so a thread's spares end with it */

/* RFC 8878 section 3.1.1. */
static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};

static void spare_free(void *context)
{
	struct spare *old = context;

	ZSTD_freeCCtx(old->compression);
	if (old->decompressor)
		ZSTD_freeDCtx(old->decompressor->context);
	free(old->decompressor);
	*old = (struct spare){0};
}

static void spare_make_key(void)
{
	spare_kept = pthread_key_create(&spare_key, spare_free) == 0;
}

static bool can_keep(void)
{
	pthread_once(&spare_once, spare_make_key);
	return spare_kept && pthread_setspecific(spare_key, &spare) == 0;
}

/* Both are null only when memory is out, and that aborts everywhere. */
static ZSTD_CCtx *new_compression(void)
{
	ZSTD_CCtx *context = spare.compression ? spare.compression : ZSTD_createCCtx();
	ASSERT(context);
	spare.compression = NULL;
	return context;
}

static struct decompressor *new_decompressor(void)
{
	struct decompressor *decompressor = spare.decompressor;

	spare.decompressor = NULL;
	if (!decompressor) {
		decompressor = mem_alloc(sizeof(*decompressor));
		decompressor->context = ZSTD_createDCtx();
		ASSERT(decompressor->context);
	}
	decompressor->magic_seen = 0;
	decompressor->ended = false;
	return decompressor;
}

static void give_compression_back(ZSTD_CCtx *context)
{
	if (!spare.compression && ZSTD_sizeof_CCtx(context) <= SPARE_MAX && can_keep() &&
	    !ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)))
		spare.compression = context;
	else
		ZSTD_freeCCtx(context);
}

static void give_decompressor_back(struct decompressor *decompressor)
{
	ZSTD_DCtx *context = decompressor->context;

	if (!spare.decompressor && ZSTD_sizeof_DCtx(context) <= SPARE_MAX && can_keep() &&
	    !ZSTD_isError(ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters))) {
		spare.decompressor = decompressor;
		return;
	}
	ZSTD_freeDCtx(context);
	free(decompressor);
}

/* For calls whose arguments are ours alone: an error is a bug. */
static void must(size_t result)
{
	ASSERT(!ZSTD_isError(result));
}

/* Small tables for small contents: they are cleared for each frame. */
static void set_prefix(ZSTD_CCtx *context, struct slice prefix, size_t window, int window_log)
{
	/* The window must reach back over what was written and all of the prefix. */
	while (window_log < COMPRESS_WINDOW_LOG_MAX && ((size_t)1 << window_log) < window)
		window_log++;
	must(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log));
	/* The ordinary tables cannot index a long prefix: at level 1 half of 512 KiB was
	 * lost, at any level most of 8 MiB; the long-distance matcher finds all of it
	 * (100 to 900 bytes) for half a millisecond a megabyte. */
	must(ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, prefix.len > KIB(256)));
	must(ZSTD_CCtx_refPrefix(context, prefix.ptr, prefix.len));
}

struct compressor *compressor_new(int level, struct slice prefix)
{
	struct compressor *compressor = mem_alloc(sizeof(*compressor));
	ZSTD_CCtx *context = new_compression();

	ASSERT(level >= 1 && level <= 19 && prefix.len <= COMPRESS_PREFIX_MAX);
	compressor->context = context;
	must(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level));
	if (prefix.len)
		set_prefix(context, prefix, prefix.len * 2, WINDOW_LOG_OF_STREAMS);
	return compressor;
}

struct compressor *compressor_new_wide(int level, uint64_t window)
{
	struct compressor *compressor = compressor_new(level, slice_make(NULL, 0));
	int window_log = WINDOW_LOG_OF_STREAMS;

	while (window_log < COMPRESS_WINDOW_LOG_MAX && ((uint64_t)1 << window_log) < window)
		window_log++;
	must(ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_windowLog, window_log));
	return compressor;
}

static int run(struct compressor *compressor, struct slice in, ZSTD_EndDirective directive, struct buf *out,
	       struct err *err)
{
	ZSTD_inBuffer input = {in.ptr, in.len, 0};
	size_t left;

	/* The prefix counts for one frame only; a second would silently lack it. */
	ASSERT(!compressor->ended);
	compressor->ended = directive == ZSTD_e_end;
	do {
		size_t room = MIN(ZSTD_CStreamOutSize(), out->max - out->len);
		char *at = buf_reserve(out, room);
		if (!at)
			return buf_check(out, "compressed data", err);
		size_t consumed = input.pos;
		ZSTD_outBuffer output = {at, room, 0};
		left = ZSTD_compressStream2(compressor->context, &output, &input, directive);
		out->len += output.pos;
		out->ptr[out->len] = '\0';
		if (ZSTD_isError(left))
			return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
		if (room == 0 && input.pos == consumed && (left > 0 || input.pos < input.size)) {
			out->overflow = true;
			return buf_check(out, "compressed data", err);
		}
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
	give_compression_back((*compressor)->context);
	free(*compressor);
	*compressor = NULL;
}

struct decompressor *decompressor_new(struct slice prefix)
{
	struct decompressor *decompressor = new_decompressor();

	ASSERT(prefix.len <= COMPRESS_PREFIX_MAX);
	must(ZSTD_DCtx_setParameter(decompressor->context, ZSTD_d_windowLogMax, COMPRESS_WINDOW_LOG_MAX));
	if (prefix.len)
		must(ZSTD_DCtx_refPrefix(decompressor->context, prefix.ptr, prefix.len));
	return decompressor;
}

int decompressor_feed(struct decompressor *decompressor, struct slice in, decompress_sink *sink,
		      void *context, bool *ended, struct err *err)
{
	ZSTD_inBuffer input = {in.ptr, in.len, 0};
	bool more = false; /* the last output was full: the decoder may hold more */

	/* libzstd would also read skippable frames and the formats before 1.0, which
	 * know no limit of the window. */
	for (size_t i = 0; i < in.len && decompressor->magic_seen < sizeof(magic); i++)
		if ((unsigned char)in.ptr[i] != magic[decompressor->magic_seen++])
			return err_set(err, ERR_USER, "compressed data are damaged: not a zstd frame");
	while (input.pos < input.size || more) {
		if (decompressor->ended)
			return err_set(err, ERR_USER, "compressed data: bytes after the end");
		ZSTD_outBuffer output = {decompressor->piece, sizeof(decompressor->piece), 0};
		size_t left = ZSTD_decompressStream(decompressor->context, &output, &input);
		if (ZSTD_isError(left))
			return err_set(err, ERR_USER, "compressed data are damaged: %s",
				       ZSTD_getErrorName(left));
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
	give_decompressor_back(*decompressor);
	*decompressor = NULL;
}

int compress_all(int level, struct slice prefix, struct slice in, struct buf *out, struct err *err)
{
	size_t bound = ZSTD_compressBound(in.len);

	ASSERT(level >= 1 && level <= 19 && prefix.len <= COMPRESS_PREFIX_MAX);
	AUTO(compressor_free) struct compressor *compressor = compressor_new(level, slice_make(NULL, 0));
	if (prefix.len)
		set_prefix(compressor->context, prefix, prefix.len + in.len, WINDOW_LOG_LEAST);
	/* In one go where it surely fits: the buffers of a stream are as large as its window. */
	char *at = bound <= out->max - out->len ? buf_reserve(out, bound) : NULL;
	if (!at) {
		must(ZSTD_CCtx_setPledgedSrcSize(compressor->context, in.len));
		return run(compressor, in, ZSTD_e_end, out, err);
	}
	size_t len = ZSTD_compress2(compressor->context, at, bound, in.ptr, in.len);
	if (ZSTD_isError(len))
		return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(len));
	out->len += len;
	out->ptr[out->len] = '\0';
	return 0;
}

static int append(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	buf_put_slice(out, bytes);
	return out->overflow ? err_set(err, ERR_USER, "compressed data hold more than %zu bytes", out->max)
			     : 0;
}

int decompress_all(struct slice prefix, struct slice in, struct buf *out, struct err *err)
{
	AUTO(decompressor_free) struct decompressor *decompressor = decompressor_new(prefix);
	bool ended = false;

	if (decompressor_feed(decompressor, in, append, out, &ended, err))
		return -1;
	return ended ? 0 : err_set(err, ERR_USER, "compressed data end too early");
}
