/* Commit objects, as anybody who may push can make them. */
#include "source/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit = {.hash = "1111111111111111111111111111111111111111"};

	if (commit_parse(slice_make(data, size), &arena, &commit, &err))
		return 0;
	ASSERT(hash_is_full(slice_of(commit.tree)));
	ASSERT(!strchr(commit.subject, '\n') && commit.author_name && commit.author_email);
	return 0;
}
