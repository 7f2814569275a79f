/* The decoders of formats that zstd had before 2016, left out: nobody sends them, they
 * take 110 KB of the agent, and a parser that is not there has no faults. Weak, so that a
 * library whose archive brings them along all the same wins over these. */
#include "base/compiler.h"

#include <stddef.h>

#define LEGACY(version)                                                                                      \
	void *ZSTDv##version##_createDCtx(void);                                                             \
	size_t ZSTDv##version##_freeDCtx(void *context);                                                     \
	size_t ZSTDv##version##_getFrameParams(void *out, const void *bytes, size_t len);                    \
	size_t ZSTDv##version##_decompress_usingDict(void *context, void *out, size_t out_len,               \
						     const void *bytes, size_t len, const void *dict,        \
						     size_t dict_len);                                       \
	void ZSTDv##version##_findFrameSizeInfoLegacy(const void *bytes, size_t len, size_t *frame_len,      \
						      unsigned long long *bound);                            \
	void *ZBUFFv##version##_createDCtx(void);                                                            \
	size_t ZBUFFv##version##_freeDCtx(void *context);                                                    \
	size_t ZBUFFv##version##_decompressInitDictionary(void *context, const void *dict, size_t dict_len); \
	size_t ZBUFFv##version##_decompressContinue(void *context, void *out, size_t *out_len,               \
						    const void *bytes, size_t *len);                         \
	__attribute__((weak)) void *ZSTDv##version##_createDCtx(void)                                        \
	{                                                                                                    \
		return NULL;                                                                                 \
	}                                                                                                    \
	__attribute__((weak)) size_t ZSTDv##version##_freeDCtx(void *context)                                \
	{                                                                                                    \
		(void)context;                                                                               \
		return 0;                                                                                    \
	}                                                                                                    \
	__attribute__((weak))                                                                                \
	size_t ZSTDv##version##_getFrameParams(void *out, const void *bytes, size_t len)                     \
	{                                                                                                    \
		(void)out, (void)bytes, (void)len;                                                           \
		return (size_t)-1;                                                                           \
	}                                                                                                    \
	__attribute__((weak)) size_t ZSTDv##version##_decompress_usingDict(                                  \
		void *context, void *out, size_t out_len, const void *bytes, size_t len, const void *dict,   \
		size_t dict_len)                                                                             \
	{                                                                                                    \
		(void)context, (void)out, (void)out_len, (void)bytes, (void)len, (void)dict, (void)dict_len; \
		return (size_t)-1;                                                                           \
	}                                                                                                    \
	__attribute__((weak)) void ZSTDv##version##_findFrameSizeInfoLegacy(                                 \
		const void *bytes, size_t len, size_t *frame_len, unsigned long long *bound)                 \
	{                                                                                                    \
		(void)bytes, (void)len;                                                                      \
		*frame_len = (size_t)-1;                                                                     \
		*bound = 0ULL - 2; /* ZSTD_CONTENTSIZE_ERROR */                                              \
	}                                                                                                    \
	__attribute__((weak)) void *ZBUFFv##version##_createDCtx(void)                                       \
	{                                                                                                    \
		return NULL;                                                                                 \
	}                                                                                                    \
	__attribute__((weak)) size_t ZBUFFv##version##_freeDCtx(void *context)                               \
	{                                                                                                    \
		(void)context;                                                                               \
		return 0;                                                                                    \
	}                                                                                                    \
	__attribute__((weak))                                                                                \
	size_t ZBUFFv##version##_decompressInitDictionary(void *context, const void *dict, size_t dict_len)  \
	{                                                                                                    \
		(void)context, (void)dict, (void)dict_len;                                                   \
		return (size_t)-1;                                                                           \
	}                                                                                                    \
	__attribute__((weak)) size_t ZBUFFv##version##_decompressContinue(                                   \
		void *context, void *out, size_t *out_len, const void *bytes, size_t *len)                   \
	{                                                                                                    \
		(void)context, (void)out, (void)out_len, (void)bytes, (void)len;                             \
		return (size_t)-1;                                                                           \
	}

LEGACY(05)
LEGACY(06)
LEGACY(07)
