/* Git's index: whatever comes out lies in what went in, and paths stay within their limit. */
#include "probe/git_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct git_index index;
	struct git_entry entry;
	size_t count = 0;

	if (!git_index_open(slice_make(data, size), &index))
		return 0;
	while (git_index_next(&index, &entry)) {
		ASSERT(++count <= size);
		ASSERT(entry.blob >= data && entry.blob + SHA1_LEN <= data + size);
		ASSERT(entry.path.len && entry.path.len <= GIT_INDEX_PATH_MAX);
		ASSERT(slice_find(entry.path, '\0') < 0);
	}
	return 0;
}
