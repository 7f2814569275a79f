#include "base/fd.h"

#include "base/arena.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif

void close_fd(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int steal_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

int fd_write_all(int fd, const void *bytes, size_t len, struct err *err)
{
	const char *at = bytes;

	while (len) {
		ssize_t written = write(fd, at, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return err_errno(err, "write");
		at += written;
		len -= (size_t)written;
	}
	return 0;
}

int fd_read_full(int fd, void *bytes, size_t len, size_t *len_out, struct err *err)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)bytes + got, len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*len_out = got;
	return 0;
}

int fd_read_all(int fd, struct buf *out, struct err *err)
{
	char piece[64 << 10];
	size_t got;

	do {
		if (fd_read_full(fd, piece, sizeof(piece), &got, err))
			return -1;
		buf_put(out, piece, got);
		if (out->overflow)
			return err_set(err, ERR_INTERNAL, "larger than the limit of %zu bytes", out->max);
	} while (got == sizeof(piece));
	return 0;
}

int fd_set_nonblocking(int fd, bool on, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		return err_errno(err, "cannot set a descriptor's blocking mode");
	return 0;
}

static int open_retry(int dir_fd, const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = openat(dir_fd, path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

int file_read_at(int dir_fd, const char *path, struct buf *out, struct err *err)
{
	AUTO(close_fd) int fd = open_retry(dir_fd, path, O_RDONLY, 0);
	if (fd < 0)
		return err_errno(err, "%s", path);
	if (fd_read_all(fd, out, err))
		return err_wrap(err, "%s", path);
	return 0;
}

/* The folder a path's last component lies in. */
static int open_parent(int dir_fd, const char *path, int *fd_out, const char **name_out, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];

	*name_out = slash ? slash + 1 : path;
	int len = snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	if (slash == path)
		len = snprintf(parent, sizeof(parent), "/");
	if (len < 0 || (size_t)len >= sizeof(parent))
		return err_set(err, ERR_USER, "%.100s…: the path is too long", path);
	return dir_open_at(dir_fd, parent, fd_out, err);
}

int file_replace_at(int dir_fd, const char *path, struct slice content, mode_t mode, struct err *err)
{
	AUTO(close_fd) int parent = -1;
	const char *name;
	uint64_t tag;
	char temporary[300];

	if (open_parent(dir_fd, path, &parent, &name, err))
		return -1;
	random_bytes(&tag, sizeof(tag));
	if ((size_t)snprintf(temporary, sizeof(temporary), ".%.200s.%016llx", name, (unsigned long long)tag) >=
	    sizeof(temporary))
		return err_set(err, ERR_USER, "%.100s…: the name is too long", name);
	AUTO(close_fd) int fd = open_retry(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_errno(err, "cannot write %s", path);
	/* fchmod, because the umask took part in the mode given to open. */
	if (fd_write_all(fd, content.ptr, content.len, err) == 0) {
		if (fchmod(fd, mode) != 0 || fsync(fd) != 0 || renameat(parent, temporary, parent, name) != 0)
			err_errno(err, "cannot write %s", path);
		else
			return dir_sync(parent, err);
	} else {
		err_wrap(err, "cannot write %s", path);
	}
	unlinkat(parent, temporary, 0);
	return -1;
}

int dir_open_at(int dir_fd, const char *path, int *fd_out, struct err *err)
{
	int fd = open_retry(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return err_errno(err, "%s", path);
	*fd_out = fd;
	return 0;
}

static bool is_dir_at(int dir_fd, const char *path)
{
	struct stat st;
	return fstatat(dir_fd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int dir_make_at(int dir_fd, const char *path, mode_t mode, struct err *err)
{
	char partial[4096];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(partial))
		return err_set(err, ERR_USER, "\"%.100s\" is no usable path for a folder", path);
	memcpy(partial, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (partial[i] != '/' && partial[i] != '\0')
			continue;
		char kept = partial[i];
		partial[i] = '\0';
		if (mkdirat(dir_fd, partial, mode) != 0 && !(errno == EEXIST && is_dir_at(dir_fd, partial)) &&
		    !is_dir_at(dir_fd, partial)) {
			if (errno == EEXIST)
				return err_set(err, ERR_INTERNAL, "%s is in the way: it is not a folder", partial);
			return err_errno(err, "cannot create the folder %s", partial);
		}
		partial[i] = kept;
	}
	return 0;
}

int dir_sync(int dir_fd, struct err *err)
{
	/* Some file systems cannot sync a folder; they say EINVAL and need not. */
	if (fsync(dir_fd) != 0 && errno != EINVAL)
		return err_errno(err, "cannot sync a folder");
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int dir_each_at(int dir_fd, const char *path, int (*visit)(void *context, const char *name, struct err *err),
		void *context, struct err *err)
{
	int fd;
	if (dir_open_at(dir_fd, path, &fd, err))
		return -1;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "%s", path);
	}
	struct arena arena = ARENA_INIT;
	char **names = NULL;
	size_t count = 0, cap = 0;
	int result = 0;
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry) {
			if (errno)
				result = err_errno(err, "reading the folder %s", path);
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (count == cap) {
			cap = cap ? cap * 2 : 64;
			names = mem_grow(names, cap, sizeof(*names));
		}
		names[count++] = arena_strdup(&arena, entry->d_name);
	}
	closedir(dir);
	if (count)
		qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count && result == 0; i++)
		result = visit(context, names[i], err);
	free(names);
	arena_free(&arena);
	return result;
}

static int remove_below(void *context, const char *name, struct err *err)
{
	return tree_remove_at(*(int *)context, name, err);
}

int tree_remove_at(int dir_fd, const char *path, struct err *err)
{
	if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
		return 0;
	/* Linux says EISDIR for a folder, POSIX EPERM. */
	if (errno != EISDIR && errno != EPERM && errno != EACCES)
		return err_errno(err, "cannot remove %s", path);
	int refused = errno;
	if (unlinkat(dir_fd, path, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES) {
		errno = errno == ENOTDIR ? refused : errno;
		return err_errno(err, "cannot remove %s", path);
	}
	AUTO(close_fd) int below = open_retry(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (below < 0) {
		struct stat st;
		if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
		    st.st_uid == geteuid() && fchmodat(dir_fd, path, 0700, 0) == 0)
			below = open_retry(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (below < 0)
			return err_errno(err, "cannot remove %s", path);
	}
	struct stat st;
	if (fstat(below, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0700) != 0700)
		(void)!fchmod(below, 0700);
	if (dir_each_at(below, ".", remove_below, &below, err))
		return err_wrap(err, "%s", path);
	if (unlinkat(dir_fd, path, AT_REMOVEDIR) != 0 && errno != ENOENT)
		return err_errno(err, "cannot remove %s", path);
	return 0;
}

/* Component by component; refuses every symlink, also with `follow`. */
static int open_walking(int dir_fd, const char *path, int flags, mode_t mode)
{
	AUTO(close_fd) int at = -1;
	int here = dir_fd;

	if (*path == '/') {
		errno = EXDEV;
		return -1;
	}
	for (;;) {
		const char *slash = strchr(path, '/');
		char name[256];
		size_t len = slash ? (size_t)(slash - path) : strlen(path);
		if (len >= sizeof(name)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		if (strcmp(name, "..") == 0) {
			errno = EXDEV;
			return -1;
		}
		if (!slash)
			return open_retry(here, len ? name : ".", flags | O_NOFOLLOW, mode);
		path = slash + 1;
		if (len == 0)
			continue;
		int next = open_retry(here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (next < 0)
			return -1;
		close_fd(&at);
		at = here = next;
	}
}

int open_beneath(int dir_fd, const char *path, int flags, mode_t mode, bool follow, int *fd_out, struct err *err)
{
	int fd = -1;
	bool walk = true;

#ifdef __linux__
	static bool missing; /* the kernel has no openat2 */
	if (!missing) {
		struct open_how how = {
			.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
			.mode = flags & O_CREAT ? mode : 0,
			.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (follow ? 0 : RESOLVE_NO_SYMLINKS),
		};
		/* EAGAIN: something was renamed while the kernel looked; try again, but not for ever. */
		for (int tries = 0; tries < 100; tries++) {
			fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
			if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
				break;
		}
		/* A seccomp filter that does not know the call answers EPERM or ENOSYS. */
		missing = fd < 0 && errno == ENOSYS;
		walk = missing;
	}
#else
	(void)follow;
#endif
	if (walk)
		fd = open_walking(dir_fd, path, flags, mode);
	if (fd < 0 && (errno == ELOOP || errno == EXDEV))
		return err_set(err, ERR_DENIED, "%s leads through a symlink or out of its folder", path);
	if (fd < 0)
		return err_errno(err, "%s", path);
	*fd_out = fd;
	return 0;
}
