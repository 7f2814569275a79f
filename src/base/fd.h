/* Files by descriptor. Paths below a folder that somebody else may own are only
 * ever opened with the *_beneath calls: openat2(2) with RESOLVE_BENEATH, no
 * symlinks followed out of the folder. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <sys/stat.h>
#include <sys/types.h>

void close_fd(int *fd); /* cleanup function; -1 is fine; keeps errno */
int steal_fd(int *fd);  /* returns *fd and sets it to -1 */

/* All of these retry EINTR; what opens sets FD_CLOEXEC. The descriptors must be
 * blocking: EAGAIN is an error here. */
int fd_write_all(int fd, const void *bytes, size_t len, struct err *err) CHECKED;
/* Reads until `len` bytes or end of file; the count in *len_out. */
int fd_read_full(int fd, void *bytes, size_t len, size_t *len_out, struct err *err) CHECKED;
int fd_read_all(int fd, struct buf *out, struct err *err) CHECKED; /* limit: out->max, larger is an error */
int fd_set_nonblocking(int fd, bool on, struct err *err) CHECKED;

/* Whole small files, `path` relative to `dir_fd` (AT_FDCWD allowed). */
int file_read_at(int dir_fd, const char *path, struct buf *out, struct err *err) CHECKED;
/* Durable replace: temporary file in the same folder, data synced, renamed over
 * `path`, folder synced. After a crash there is the old or the new content. */
int file_replace_at(int dir_fd, const char *path, struct slice content, mode_t mode, struct err *err) CHECKED;

/* A file that is gone with its descriptor, in `folder` (NULL: $TMPDIR, else /var/tmp). */
int file_nameless_open(const char *folder, int *fd_out, struct err *err) CHECKED;

int dir_open_at(int dir_fd, const char *path, int *fd_out, struct err *err) CHECKED;
/* mkdir -p; existing folders are fine, anything else in the way is an error. */
int dir_make_at(int dir_fd, const char *path, mode_t mode, struct err *err) CHECKED;
int dir_sync(int dir_fd, struct err *err) CHECKED;
/* Calls `visit` for each entry but "." and "..", sorted by name (bytes). A
 * non-zero return of visit stops the walk and is returned. A folder with more entries than
 * `max` is an error that names it, and nothing of it is visited. */
int dir_each_max(int dir_fd, const char *path, size_t max,
		 int (*visit)(void *context, const char *name, struct err *err), void *context,
		 struct err *err) CHECKED;
/* The same for what nobody should have more of: as many as a release may hold. */
enum { DIR_ENTRIES_MAX = 1 << 20 };
int dir_each_at(int dir_fd, const char *path,
		int (*visit)(void *context, const char *name, struct err *err), void *context,
		struct err *err) CHECKED;
/* The same for an open folder; moves its position, and costs half the system calls. `type` is
 * d_type of readdir(3): DT_UNKNOWN where the file system does not say. `path` is for messages. */
int dir_each_fd(int dir_fd, const char *path,
		int (*visit)(void *context, const char *name, unsigned char type, struct err *err), void *context,
		struct err *err) CHECKED;
/* rm -rf beneath dir_fd: never follows a symlink, neither on the way nor below; a
 * missing path is fine. The folder an absolute path lies in is the caller's to trust.
 * Read-only folders of our own are made writable first. */
int tree_remove_at(int dir_fd, const char *path, struct err *err) CHECKED;

/* openat2 with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS (and RESOLVE_NO_SYMLINKS
 * unless `follow`); flags as open(2), O_CLOEXEC added. On a kernel without
 * openat2 (< 5.6, and every system that is not Linux) the path is walked
 * component by component with O_NOFOLLOW, which refuses all symlinks. */
int open_beneath(int dir_fd, const char *path, int flags, mode_t mode, bool follow, int *fd_out,
		 struct err *err) CHECKED;
