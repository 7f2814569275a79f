/* Files by descriptor: whole reads and writes, durable replacement, folders, and the
 * opening that cannot be led astray. What the files mean is not known here. */
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
	int len =
		snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
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
	if ((size_t)snprintf(temporary, sizeof(temporary), ".%.200s.%016llx", name,
			     (unsigned long long)tag) >= sizeof(temporary))
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

int file_nameless_open(const char *folder, int *fd_out, struct err *err)
{
	const char *chosen = getenv("TMPDIR");
	char path[4096];

	if (!folder)
		folder = chosen && *chosen ? chosen : "/var/tmp";
	*fd_out = -1;
#ifdef O_TMPFILE
	*fd_out = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (*fd_out >= 0)
		return 0;
#endif
	if (snprintf(path, sizeof(path), "%s/lockstep-XXXXXX", folder) >= (int)sizeof(path))
		return err_set(err, ERR_USER, "the name of the folder for temporary files is too long");
	*fd_out = mkostemp(path, O_CLOEXEC);
	if (*fd_out < 0)
		return err_errno(err, "cannot make a temporary file in %s", folder);
	unlink(path);
	return 0;
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
	int saved = errno;
	struct stat st;
	bool is_dir = fstatat(dir_fd, path, &st, 0) == 0 && S_ISDIR(st.st_mode);

	errno = saved;
	return is_dir;
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
		/* Whatever mkdir says (EEXIST, EROFS, EACCES): a folder that is there is fine. */
		if (mkdirat(dir_fd, partial, mode) != 0 && !is_dir_at(dir_fd, partial)) {
			if (errno == EEXIST)
				return err_set(err, ERR_INTERNAL, "%s is in the way: it is not a folder",
					       partial);
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

struct names {
	struct arena arena;
	char **items; /* the type stands before the name */
	size_t count, cap, max;
	bool more; /* than `max` there are */
};

static void names_add(struct names *names, const char *name, unsigned char type)
{
	size_t len = strlen(name);

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	names->more = names->count == names->max;
	if (names->more)
		return;
	if (names->count == names->cap) {
		names->cap = names->cap ? names->cap * 2 : 64;
		names->items = mem_grow(names->items, names->cap, sizeof(*names->items));
	}
	char *copy = arena_alloc(&names->arena, len + 2);
	*copy = (char)type;
	names->items[names->count++] = memcpy(copy + 1, name, len + 1);
}

static void names_free(struct names *names)
{
	free(names->items);
	arena_free(&names->arena);
}

static int names_read_at(int dir_fd, const char *path, struct names *names, struct err *err)
{
	int fd, result = 0;

	if (dir_open_at(dir_fd, path, &fd, err))
		return -1;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "%s", path);
	}
	while (!names->more) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry) {
			if (errno)
				result = err_errno(err, "reading the folder %s", path);
			break;
		}
		names_add(names, entry->d_name, entry->d_type);
	}
	closedir(dir);
	return result;
}

#ifdef __linux__
static int names_read_fd(int dir_fd, const char *path, struct names *names, struct err *err)
{
	_Alignas(struct dirent64) char piece[16 << 10];
	long got = 0;

	if (lseek(dir_fd, 0, SEEK_SET) != 0)
		return err_errno(err, "reading the folder %s", path);
	while (!names->more && (got = syscall(SYS_getdents64, dir_fd, piece, sizeof(piece))) > 0) {
		for (long at = 0; at < got;) {
			const struct dirent64 *entry = (const void *)(piece + at);
			names_add(names, entry->d_name, entry->d_type);
			at += entry->d_reclen;
		}
	}
	return got < 0 ? err_errno(err, "reading the folder %s", path) : 0;
}
#else
static int names_read_fd(int dir_fd, const char *path, struct names *names, struct err *err)
{
	return names_read_at(dir_fd, ".", names, err) ? err_wrap(err, "%s", path) : 0;
}
#endif

static void names_sort(struct names *names)
{
	if (names->count)
		qsort(names->items, names->count, sizeof(*names->items), compare_names);
}

static int too_many(const struct names *names, const char *path, struct err *err)
{
	return err_set(err, ERR_USER, "the folder %s holds more than %zu entries", path, names->max);
}

int dir_each_max(int dir_fd, const char *path, size_t max,
		 int (*visit)(void *context, const char *name, struct err *err), void *context,
		 struct err *err)
{
	struct names names = {.arena = ARENA_INIT, .max = max};
	int result = names_read_at(dir_fd, path, &names, err);

	if (!result && names.more)
		result = too_many(&names, path, err);
	names_sort(&names);
	for (size_t i = 0; i < names.count && result == 0; i++)
		result = visit(context, names.items[i], err);
	names_free(&names);
	return result;
}

int dir_each_at(int dir_fd, const char *path, int (*visit)(void *context, const char *name, struct err *err),
		void *context, struct err *err)
{
	return dir_each_max(dir_fd, path, DIR_ENTRIES_MAX, visit, context, err);
}

int dir_each_fd(int dir_fd, const char *path,
		int (*visit)(void *context, const char *name, unsigned char type, struct err *err),
		void *context, struct err *err)
{
	struct names names = {.arena = ARENA_INIT, .max = DIR_ENTRIES_MAX};
	int result = names_read_fd(dir_fd, path, &names, err);

	if (!result && names.more)
		result = too_many(&names, path, err);
	names_sort(&names);
	for (size_t i = 0; i < names.count && result == 0; i++)
		result = visit(context, names.items[i], (unsigned char)names.items[i][-1], err);
	names_free(&names);
	return result;
}

/* A folder of our own without the rights to list or change it gets them. */
static void make_writable(int dir_fd, const char *name)
{
	struct stat st;
#ifdef O_PATH
	/* By descriptor, because another user may put a symlink there meanwhile; O_PATH
	 * needs no right on the folder, and /proc is how such a descriptor is changed. */
	AUTO(close_fd) int fd = open_retry(dir_fd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY, 0);
	char link[64];
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 0700) == 0700)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	(void)!chmod(link, 0700);
#else
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && (st.st_mode & 0700) != 0700)
		(void)!fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW);
#endif
}

static int remove_all(int dir_fd, struct err *err);

static int remove_entry(int dir_fd, const char *name, struct err *err)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* Linux says EISDIR for a folder, POSIX EPERM, a parent we may not write EACCES. */
	int refused = errno;
	bool perhaps_folder = refused == EISDIR || refused == EPERM || refused == EACCES;
	if (perhaps_folder && (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT))
		return 0;
	if (!perhaps_folder || !(errno == ENOTEMPTY || errno == EEXIST || errno == EACCES)) {
		errno = errno == ENOTDIR ? refused : errno;
		return err_errno(err, "cannot remove %s", name);
	}
	make_writable(dir_fd, name);
	AUTO(close_fd) int below = open_retry(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (below < 0) {
		errno = errno == ENOTDIR || errno == ELOOP ? refused : errno;
		return err_errno(err, "cannot remove %s", name);
	}
	if (remove_all(below, err))
		return err_wrap(err, "%s", name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		return err_errno(err, "cannot remove %s", name);
	return 0;
}

/* However many there are: some at a time, and what is removed is not found again. */
static int remove_all(int dir_fd, struct err *err)
{
	enum { AT_A_TIME = 1 << 14 };
	bool more = true;
	int result = 0;

	while (more && result == 0) {
		struct names names = {.arena = ARENA_INIT, .max = AT_A_TIME};
		result = names_read_at(dir_fd, ".", &names, err);
		names_sort(&names);
		for (size_t i = 0; i < names.count && result == 0; i++)
			result = remove_entry(dir_fd, names.items[i], err);
		more = names.more;
		names_free(&names);
	}
	return result;
}

int tree_remove_at(int dir_fd, const char *path, struct err *err)
{
	AUTO(close_fd) int parent = -1;
	char folder[4096];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	size_t name_at = len;
	while (name_at > 0 && path[name_at - 1] != '/')
		name_at--;
	if (len == 0 || len >= sizeof(folder))
		return err_set(err, ERR_USER, "\"%.100s\" is no usable path", path);
	memcpy(folder, path, len);
	folder[len] = '\0';
	const char *name = folder + name_at;
	if (strcmp(name, "") == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(err, ERR_USER, "%s: will not remove that", path);
	if (name_at == 0)
		return remove_entry(dir_fd, name, err);
	folder[name_at - 1] = '\0';
	int failed = *path == '/'
			     ? dir_open_at(dir_fd, name_at == 1 ? "/" : folder, &parent, err)
			     : open_beneath(dir_fd, folder, O_RDONLY | O_DIRECTORY, 0, false, &parent, err);
	if (failed) {
		if (err->code != ERR_NOT_FOUND)
			return err_wrap(err, "cannot remove %s", path);
		err_clear(err);
		return 0;
	}
	if (remove_entry(parent, name, err)) {
		folder[name_at - 1] = '/';
		folder[name_at] = '\0';
		return err_wrap(err, "%s", folder);
	}
	return 0;
}

/* One component; a symlink is ELOOP, also where the system says ENOTDIR because a
 * folder was asked for. */
static int open_component(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd = open_retry(dir_fd, name, flags | O_NOFOLLOW, mode);
	struct stat st;

	if (fd < 0 && errno == ENOTDIR && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		errno = S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
	return fd;
}

/* Going through a folder needs the right to search it, not to list it. */
#if defined(O_PATH)
#define STEP_FLAGS O_PATH
#elif defined(O_SEARCH)
#define STEP_FLAGS O_SEARCH
#else
#define STEP_FLAGS O_RDONLY
#endif

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
			return open_component(here, len ? name : ".", flags, mode);
		path = slash + 1;
		if (len == 0)
			continue;
		int next = open_component(here, name, STEP_FLAGS | O_DIRECTORY, 0);
		if (next < 0)
			return -1;
		close_fd(&at);
		at = here = next;
	}
}

int open_beneath(int dir_fd, const char *path, int flags, mode_t mode, bool follow, int *fd_out,
		 struct err *err)
{
	int fd = -1;
	bool walk = true;

#ifdef __linux__
	static _Atomic bool missing; /* the kernel has no openat2 */
	if (!missing) {
		bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
		struct open_how how = {
			.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
			.mode = creates ? mode & 07777 : 0,
			.resolve =
				RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (follow ? 0 : RESOLVE_NO_SYMLINKS),
		};
		/* EAGAIN: something was renamed while the kernel looked; try again, but not for ever. */
		for (int tries = 0; tries < 100; tries++) {
			fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
			if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
				break;
		}
		/* A container's filter that does not know the call may answer EPERM, which may
		 * also be meant; walking then gives the same answer or the file. */
		walk = fd < 0 && (errno == ENOSYS || errno == EPERM);
		missing = fd < 0 && errno == ENOSYS;
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
