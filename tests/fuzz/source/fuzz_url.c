/* Addresses of repositories: whatever is taken must be nothing git could mistake
 * for an option or a program, and must be taken again. */
#include "source/source.h"
#include "source/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	char *text = arena_str(&arena, slice_make(data, size));
	struct err err = ERR_INIT;
	struct url url, again;
	const char *resolved;

	if (url_parse(text, "/nowhere", &arena, &url, &err))
		return 0;
	ASSERT(url.address[0] != '-' && strncmp(url.address, "ext::", 5) != 0);
	ASSERT(strlen(url.shown) > 0 && strlen(url.canonical) > 0);
	ASSERT(!url.local || url.address[0] == '/');
	if (!url.local)
		ASSERT(url_parse(url.address, "/nowhere", &arena, &again, &err) == 0 &&
		       strcmp(again.canonical, url.canonical) == 0);
	if (url_resolve(url.address, "../other", &arena, &resolved, &err) == 0)
		ASSERT(strlen(resolved) > 0);
	return 0;
}
