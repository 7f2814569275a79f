/* The search zstd does above level 9 (btopt, btultra), left out: the agent compresses at
 * levels 3 and 6 only, and it takes 48 KB. Should it be chosen all the same, the search of
 * the level below (btlazy2) is done instead: the same format, a little longer. Weak, as in
 * zstd_legacy.c. */
#include "base/compiler.h"

typedef size_t block_search(void *match_state, void *sequences, uint32_t *repeats, const void *bytes, size_t len);

block_search ZSTD_compressBlock_btlazy2, ZSTD_compressBlock_btlazy2_dictMatchState,
	ZSTD_compressBlock_btlazy2_extDict;
block_search ZSTD_compressBlock_btopt, ZSTD_compressBlock_btopt_dictMatchState, ZSTD_compressBlock_btopt_extDict;
block_search ZSTD_compressBlock_btultra, ZSTD_compressBlock_btultra_dictMatchState,
	ZSTD_compressBlock_btultra_extDict, ZSTD_compressBlock_btultra2;
void ZSTD_updateTree(void *match_state, const void *bytes, const void *end);

#define INSTEAD(name, other)                                                                                 \
	__attribute__((weak)) size_t ZSTD_compressBlock_##name(void *match_state, void *sequences,           \
							       uint32_t *repeats, const void *bytes, size_t len) \
	{                                                                                                    \
		return ZSTD_compressBlock_##other(match_state, sequences, repeats, bytes, len);              \
	}

INSTEAD(btopt, btlazy2)
INSTEAD(btopt_dictMatchState, btlazy2_dictMatchState)
INSTEAD(btopt_extDict, btlazy2_extDict)
INSTEAD(btultra, btlazy2)
INSTEAD(btultra_dictMatchState, btlazy2_dictMatchState)
INSTEAD(btultra_extDict, btlazy2_extDict)
INSTEAD(btultra2, btlazy2)

/* A prefix is not put into the tree then: fewer matches, no wrong ones. */
__attribute__((weak)) void ZSTD_updateTree(void *match_state, const void *bytes, const void *end)
{
	(void)match_state, (void)bytes, (void)end;
}
