/* Walking and opening below an activation whose folders somebody else may own:
 * no symlink is ever followed, whatever is swapped while we look. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

/* Remembers the folder opened last, because sorted paths share folders. */
struct tree_cursor {
	int root_fd; /* borrowed */
	int dir_fd;
	char dir[4096];
	bool open;
};

void tree_cursor_init(struct tree_cursor *cursor, int root_fd);
void tree_cursor_close(struct tree_cursor *cursor); /* cleanup function */
/* The folder `path` lies in and its last component (points into path, which must
 * be NUL-terminated behind its length). */
int tree_parent(struct tree_cursor *cursor, struct slice path, int *dir_fd_out, const char **name_out,
		struct err *err) CHECKED;
