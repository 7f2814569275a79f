/* Opening a store and finding things in it. */
#include "store/internal.h"

#include "base/arena.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

void object_path(const struct digest *digest, bool compressed, char out[OBJECT_PATH_LEN])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	snprintf(out, OBJECT_PATH_LEN, "objects/%.2s/%s%s", hex, hex + 2, compressed ? ".zst" : "");
}

void manifest_path(const struct digest *release, char out[OBJECT_PATH_LEN])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(release, hex);
	snprintf(out, OBJECT_PATH_LEN, "manifests/%s", hex);
}

int store_open(const char *path, struct store **store_out, struct err *err)
{
	static const char *const folders[] = { "objects", "manifests", "incoming" };
	struct store *store = mem_alloc(sizeof(*store));
	AUTO(store_close) struct store *closing = store;

	*store = (struct store){ mem_strdup(path), -1, -1, -1 };
	if (dir_make_at(AT_FDCWD, path, 0700, err) || dir_open_at(AT_FDCWD, path, &store->dir_fd, err))
		return err_wrap(err, "the store %s", path);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (dir_make_at(store->dir_fd, folders[i], 0700, err))
			return err_wrap(err, "the store %s", path);
	if (dir_open_at(store->dir_fd, "incoming", &store->incoming_fd, err))
		return err_wrap(err, "the store %s", path);
	store->lock_fd = openat(store->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return err_errno(err, "the store %s: lock", path);
	while (flock(store->lock_fd, LOCK_SH) != 0)
		if (errno != EINTR)
			return err_errno(err, "the store %s: lock", path);
	closing = NULL;
	*store_out = store;
	return 0;
}

void store_close(struct store **store)
{
	if (!*store)
		return;
	close_fd(&(*store)->lock_fd);
	close_fd(&(*store)->incoming_fd);
	close_fd(&(*store)->dir_fd);
	free((*store)->path);
	free(*store);
	*store = NULL;
}

int store_sync(struct store *store, struct err *err)
{
#ifdef __linux__
	/* One call for thousands of files; it covers their folders too. */
	if (syncfs(store->dir_fd) != 0)
		return err_errno(err, "the store %s: sync", store->path);
	return 0;
#else
	(void)err;
	sync();
	return 0;
#endif
}

static bool present(struct store *store, const char *path)
{
	struct stat st;
	return fstatat(store->dir_fd, path, &st, 0) == 0 && S_ISREG(st.st_mode);
}

bool store_has_object(struct store *store, const struct digest *digest)
{
	char path[OBJECT_PATH_LEN];

	object_path(digest, true, path);
	if (present(store, path))
		return true;
	object_path(digest, false, path);
	return present(store, path);
}

bool store_has_manifest(struct store *store, const struct digest *release)
{
	char path[OBJECT_PATH_LEN];

	manifest_path(release, path);
	return present(store, path);
}

int store_load_manifest(struct store *store, const struct digest *release, struct arena *arena,
			struct manifest *out, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	char path[OBJECT_PATH_LEN];
	char hex[DIGEST_HEX_LEN + 1];

	manifest_path(release, path);
	digest_to_hex(release, hex);
	if (file_read_at(store->dir_fd, path, &bytes, err)) {
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "release %.12s is not in the store %s", hex, store->path);
		return err_wrap(err, "the store %s", store->path);
	}
	if (manifest_parse(arena, arena_slice(arena, buf_slice(&bytes)), out, err))
		return err_wrap(err, "release %.12s in the store %s", hex, store->path);
	if (!digest_equal(&out->digest, release)) {
		err_set(err, ERR_INTERNAL, "release %.12s: the manifest in the store %s is damaged", hex, store->path);
		return err_hint(err, "`lockstep store verify` lists all damage; deleting the file lets the release be "
				     "fetched back from a server");
	}
	return 0;
}
