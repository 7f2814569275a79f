/* Any text as the address of a provider: never a crash, one line of what is wrong, and
 * the same verdict again from a copy of exactly its length. */
#include "base/arena.h"
#include "secret/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct provider *provider;
	struct err err = ERR_INIT;
	struct slice url = slice_make(data, size);

	if (size > 4096)
		return 0;
	if (provider_find(url, &provider, &err)) {
		ASSERT(err.code == ERR_USER && err.text[0] && slice_is_utf8(slice_of(err.text)));
		return 0;
	}
	const char *fault = provider->check(url);
	ASSERT(!fault || (*fault && !strchr(fault, '\n')));
	/* Text that goes on behind it is no part of it. */
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	char *longer = arena_alloc(&arena, size + 2);
	memcpy(longer, data, size);
	memcpy(longer + size, "?#", 2);
	ASSERT(provider->check(slice_make(longer, size)) == fault);
	return 0;
}
