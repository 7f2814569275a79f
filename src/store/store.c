/* Opening a store, and finding manifests in it. */
#include "store/internal.h"

#include "base/clock.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

/* Exclusive: asks again and again, because flock(2) cannot wait for a time only. */
static int take_lock(struct store *store, bool exclusive, int64_t wait_ms, struct err *err)
{
	int64_t until = clock_mono_ms() + wait_ms;

	while (flock(store->lock_fd, exclusive ? LOCK_EX | LOCK_NB : LOCK_SH) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return err_errno(err, "the store %s: lock", store->path);
		if (clock_mono_ms() >= until) {
			err_set(err, ERR_CONFLICT, "the store %s is being used by another run", store->path);
			return err_hint(err,
					"wait until the builds and deployments on this machine are done");
		}
		poll(NULL, 0, 20);
	}
	return 0;
}

int store_open_locked(const char *path, bool exclusive, int64_t wait_ms, struct store **store_out,
		      struct err *err)
{
	static const char *const folders[] = {"objects", "manifests", "incoming"};
	AUTO(store_close) struct store *store = mem_alloc(sizeof(*store));

	*store = (struct store){.path = mem_strdup(path), .dir_fd = -1, .incoming_fd = -1, .lock_fd = -1};
	pthread_mutex_init(&store->mutex, NULL);
	random_bytes(&store->tag, sizeof(store->tag));
	store->drafts = 1; /* 0 stands for no draft */
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
	if (take_lock(store, exclusive, wait_ms, err))
		return -1;
	*store_out = store;
	store = NULL;
	return 0;
}

int store_open(const char *path, struct store **store_out, struct err *err)
{
	return store_open_locked(path, false, 0, store_out, err);
}

void store_close(struct store **store_slot)
{
	struct store *store = *store_slot;

	if (!store)
		return;
	/* What was never published would only wait for gc. */
	if (store->incoming_fd >= 0)
		pending_drop(store, NULL);
	map_free(&store->pending);
	arena_free(&store->pending_arena);
	pthread_mutex_destroy(&store->mutex);
	close_fd(&store->lock_fd);
	close_fd(&store->incoming_fd);
	close_fd(&store->dir_fd);
	free(store->path);
	free(store);
	*store_slot = NULL;
}

bool store_has_manifest(struct store *store, const struct digest *release)
{
	char path[OBJECT_PATH_LEN];
	struct stat st;

	manifest_path(release, path);
	return fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size > 0;
}

int store_load_manifest(struct store *store, const struct digest *release, struct arena *arena,
			struct manifest *out, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	char path[OBJECT_PATH_LEN];
	char hex[DIGEST_HEX_LEN + 1];
	struct digest found;

	manifest_path(release, path);
	digest_to_hex(release, hex);
	if (file_read_at(store->dir_fd, path, &bytes, err)) {
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "release %.12s is not in the store %s", hex,
				       store->path);
		return err_wrap(err, "the store %s", store->path);
	}
	/* Before it is parsed: what is damaged is damaged, however it reads. */
	digest_of(buf_slice(&bytes), &found);
	if (!digest_equal(&found, release)) {
		err_set(err, ERR_INTERNAL, "release %.12s: its manifest in the store %s is damaged", hex,
			store->path);
		return err_hint(
			err,
			"`lockstep store verify` lists all damage; once the manifest is deleted, building "
			"or fetching the release again brings it back");
	}
	if (manifest_parse(arena, arena_slice(arena, buf_slice(&bytes)), out, err))
		return err_wrap(err, "release %.12s in the store %s", hex, store->path);
	return 0;
}
