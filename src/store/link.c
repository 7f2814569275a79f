/* Whether a symlink stays inside its tree when other symlinks of the same tree
 * are followed on the way: "a/up -> .." is inside, and so is "a/up/x", but
 * "a/up/../x" is not, although it reads as if it were. */
#include "store/internal.h"

enum { HOPS_MAX = 64, WAY_MAX = 256 << 10 };

/* Drops the last component; false at the top. */
static bool go_up(struct buf *at)
{
	if (at->len == 0)
		return false;
	while (at->len && at->ptr[at->len - 1] != '/')
		at->len--;
	if (at->len)
		at->len--;
	return true;
}

bool link_stays_inside(const struct map *links, struct slice path, struct slice target)
{
	AUTO(buf_free) struct buf at = BUF_INIT(WAY_MAX);
	AUTO(buf_free) struct buf way = BUF_INIT(WAY_MAX);
	int hops = 0;

	if (!manifest_link_stays_inside(path, target))
		return false;
	buf_put_slice(&at, path);
	go_up(&at);
	buf_put_slice(&way, target);
	for (struct slice rest = buf_slice(&way); rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (part.len == 0 || slice_is(part, "."))
			continue;
		if (slice_is(part, "..")) {
			if (!go_up(&at))
				return false;
			continue;
		}
		if (at.len)
			buf_putc(&at, '/');
		buf_put_slice(&at, part);
		if (at.overflow)
			return false;
		const struct slice *next = map_get(links, buf_slice(&at));
		/* The last component's own link is followed too: a chain must not leave either. */
		if (!next)
			continue;
		/* Links in a circle lead nowhere, hence not out. */
		if (++hops > HOPS_MAX)
			return true;
		if (next->len && next->ptr[0] == '/')
			return false;
		go_up(&at);
		struct buf longer = BUF_INIT(WAY_MAX);
		buf_put_slice(&longer, *next);
		if (rest.ptr) {
			buf_putc(&longer, '/');
			buf_put_slice(&longer, rest);
		}
		buf_free(&way);
		way = longer;
		rest = buf_slice(&way);
		if (way.overflow)
			return false;
	}
	return true;
}
