/* Any bytes: reading never goes outside them, and what is accepted is the one
 * form that building from its own entries gives again. */
#include "store/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct slice bytes = slice_make(data, size);
	struct err err = ERR_INIT;
	struct manifest manifest, again;
	struct manifest_change *changes;

	if (manifest_parse(&arena, bytes, &manifest, &err)) {
		ASSERT(err.code == ERR_USER && err.text[0]);
		return 0;
	}
	ASSERT(manifest.count <= MANIFEST_ENTRIES_MAX && manifest.file_count <= manifest.count);
	if (manifest_build(&arena, manifest.entries, manifest.count, &again, &err))
		ASSERT(!"what was read can be built");
	ASSERT(slice_equal(again.bytes, bytes) && digest_equal(&again.digest, &manifest.digest));
	ASSERT(again.total_size == manifest.total_size);
	ASSERT(manifest_diff(&arena, &manifest, &again, &changes) == 0);
	for (size_t i = 0; i < manifest.count; i++) {
		const struct entry *entry = &manifest.entries[i];
		ASSERT(manifest_find(&manifest, entry->path) == entry);
		/* A path that is also read as a target: a link to it from the top is inside. */
		ASSERT(manifest_link_stays_inside(SLICE("link"), entry->path));
		ASSERT(slice_find(entry->path, '\0') < 0 && entry->path.ptr[0] != '/');
	}
	return 0;
}
