#include "agent/tree.h"

#include "base/fd.h"

#include <fcntl.h>

void tree_cursor_init(struct tree_cursor *cursor, int root_fd)
{
	cursor->root_fd = root_fd;
	cursor->dir_fd = -1;
	cursor->dir[0] = '\0';
	cursor->open = false;
}

void tree_cursor_close(struct tree_cursor *cursor)
{
	close_fd(&cursor->dir_fd);
	cursor->open = false;
}

int tree_parent(struct tree_cursor *cursor, struct slice path, int *dir_fd_out, const char **name_out,
		struct err *err)
{
	size_t len = path.len;

	while (len && path.ptr[len - 1] != '/')
		len--;
	*name_out = path.ptr + len;
	struct slice dir = slice_make(path.ptr, len ? len - 1 : 0);
	if (dir.len >= sizeof(cursor->dir))
		return err_set(err, ERR_USER, "a path is too long");
	if (!cursor->open || !slice_is(dir, cursor->dir)) {
		tree_cursor_close(cursor);
		if (dir.len)
			memcpy(cursor->dir, dir.ptr, dir.len);
		cursor->dir[dir.len] = '\0';
		if (open_beneath(cursor->root_fd, dir.len ? cursor->dir : ".", O_RDONLY | O_DIRECTORY, 0, false,
				 &cursor->dir_fd, err))
			return -1;
		cursor->open = true;
	}
	*dir_fd_out = cursor->dir_fd;
	return 0;
}
