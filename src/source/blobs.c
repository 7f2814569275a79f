/* Every content a repository ever held. */
#include "source/internal.h"

enum { LISTING_MAX = 256 << 20 };

int source_each_blob(struct source *source, size_t max,
		     int (*visit)(void *context, const char *path, const char *hash, struct slice bytes, struct err *err),
		     void *context, uint64_t *skipped_out, struct err *err)
{
	AUTO(buf_free) struct buf listing = BUF_INIT(LISTING_MAX);
	const struct git_call call = {
		.args = GIT_ARGS("rev-list", "--objects", "--all", "--filter=object:type=blob"),
		.git_dir = source->mirror,
	};

	*skipped_out = 0;
	if (mirror_need(source, err) || git_run(source, &call, slice_of(""), &listing, NULL, err))
		return -1;
	for (struct slice rest = buf_slice(&listing); rest.len;) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(buf_free) struct buf content = BUF_INIT(max);
		struct slice path = slice_cut(&rest, '\n'), hash = slice_cut(&path, ' ');
		struct err unread = ERR_INIT;
		char real[COMMIT_HASH_MAX + 1];
		if (!path.len || !hash_is_full(hash))
			continue;
		/* Too long, or an object a shallow repository lacks. */
		if (object_read(source, arena_str(&arena, hash), "blob", &content, real, &unread)) {
			++*skipped_out;
			continue;
		}
		if (visit(context, arena_str(&arena, path), real, buf_slice(&content), err))
			return -1;
	}
	return 0;
}
