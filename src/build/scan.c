/* Looks for secret values in what is about to become a release: a release goes to
 * every server and stays there. */
#include "build/internal.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCAN_PIECE = 256 << 10 };

struct scan {
	const struct sandbox *sandbox;
	bool (*skip)(void *context, struct slice path, bool is_dir);
	void *skip_context;
	int dir_fd;
	const char *path; /* of the folder, "" at the top */
	char *piece;	  /* SCAN_PIECE + BUILD_SECRET_LEN_MAX bytes */
};

static const struct secret_value *find_secret(const struct scan *scan, struct slice bytes)
{
	for (size_t i = 0; i < scan->sandbox->secret_count; i++) {
		const struct secret_value *secret = &scan->sandbox->secrets[i];
		size_t len = strlen(secret->value);
		if (len >= SCAN_MIN && memmem(bytes.ptr, bytes.len, secret->value, len))
			return secret;
	}
	return NULL;
}

static size_t longest_secret(const struct scan *scan)
{
	size_t longest = 1;

	for (size_t i = 0; i < scan->sandbox->secret_count; i++)
		longest = MAX(longest, strlen(scan->sandbox->secrets[i].value));
	return longest;
}

static int scan_file(const struct scan *scan, int fd, const char *path, struct err *err)
{
	size_t kept = 0, got, overlap = longest_secret(scan) - 1;

	do {
		if (fd_read_full(fd, scan->piece + kept, SCAN_PIECE, &got, err))
			return err_wrap(err, "%s", path);
		const struct secret_value *secret = find_secret(scan, slice_make(scan->piece, kept + got));
		if (secret) {
			AUTO(buf_free) struct buf shown = BUF_INIT(1000);
			buf_put_printable(&shown, slice_make(path, MIN(strlen(path), (size_t)200)));
			err_set(err, ERR_FAILED,
				"build: %s holds the value of the secret %s, so it must not become a "
				"release",
				buf_str(&shown), secret->name);
			return err_hint(err, "remove it in the last command, or exclude it from the result");
		}
		size_t total = kept + got;
		kept = MIN(total, overlap);
		memmove(scan->piece, scan->piece + total - kept, kept);
	} while (got == SCAN_PIECE);
	return 0;
}

static int scan_entry(void *context, const char *name, struct err *err)
{
	struct scan *scan = context;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *path = arena_printf(&arena, "%s%s%s", scan->path, *scan->path ? "/" : "", name);
	struct stat info;

	if (fstatat(scan->dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", path);
	if ((!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) ||
	    scan->skip(scan->skip_context, slice_of(path), S_ISDIR(info.st_mode)))
		return 0;
	AUTO(close_fd) int fd = openat(scan->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "%s", path);
	if (S_ISREG(info.st_mode))
		return scan_file(scan, fd, path, err);
	struct scan inner = *scan;
	inner.dir_fd = fd;
	inner.path = path;
	return dir_each_at(fd, ".", scan_entry, &inner, err);
}

int scan_for_secrets(const struct sandbox *sandbox, int dir_fd,
		     bool (*skip)(void *context, struct slice path, bool is_dir), void *skip_context,
		     struct err *err)
{
	AUTO(mem_free_ptr) char *piece = NULL;

	if (sandbox->secret_count == 0)
		return 0;
	piece = mem_alloc(SCAN_PIECE + BUILD_SECRET_LEN_MAX);
	struct scan scan = {sandbox, skip, skip_context, dir_fd, "", piece};
	int result = dir_each_at(dir_fd, ".", scan_entry, &scan, err);
	explicit_bzero(piece, SCAN_PIECE + BUILD_SECRET_LEN_MAX);
	return result;
}
