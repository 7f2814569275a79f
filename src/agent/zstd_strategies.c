/* zstd's searches for levels above 3, left out of the agent: it compresses at level 3 at
 * most, whose searches are `fast` and `dfast` for every size of input, and the others take
 * 250 KB. Should one be asked for all the same, it finds nothing: what it returns says that
 * the whole block is literal, which is valid and merely larger. Weak, so that a library whose
 * archive brings them along wins over these. */
#include "base/compiler.h"

#include <stddef.h>

#define SEARCH(name)                                                                                         \
	size_t ZSTD_compressBlock_##name(void *state, void *sequences, void *repeats, const void *bytes,     \
					 size_t len);                                                        \
	__attribute__((weak)) size_t ZSTD_compressBlock_##name(void *state, void *sequences, void *repeats,  \
							       const void *bytes, size_t len)                \
	{                                                                                                    \
		(void)state, (void)sequences, (void)repeats, (void)bytes;                                    \
		return len;                                                                                  \
	}
#define SEARCHES(name) SEARCH(name) SEARCH(name##_dictMatchState) SEARCH(name##_extDict)
#define ROW_SEARCHES(name)                                                                                   \
	SEARCHES(name)                                                                                       \
	SEARCH(name##_row)                                                                                   \
	SEARCH(name##_dictMatchState_row)                                                                    \
	SEARCH(name##_extDict_row) SEARCH(name##_dedicatedDictSearch) SEARCH(name##_dedicatedDictSearch_row)

ROW_SEARCHES(greedy)
ROW_SEARCHES(lazy)
ROW_SEARCHES(lazy2)
SEARCHES(btlazy2)
SEARCHES(btopt)
SEARCHES(btultra)
SEARCH(btultra2)

/* Called only for those strategies, to index what came before. */
#define NOTHING(name)                                                                                        \
	void name(void);                                                                                     \
	__attribute__((weak)) void name(void) {}
NOTHING(ZSTD_insertAndFindFirstIndex)
NOTHING(ZSTD_dedicatedDictSearch_lazy_loadDictionary)
NOTHING(ZSTD_row_update)
NOTHING(ZSTD_updateTree)
