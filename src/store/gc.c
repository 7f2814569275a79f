/* Removing what nothing needs any more. */
#include "store/internal.h"

#include "base/clock.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct gc {
	struct store *store;
	bool (*keep)(void *context, const struct digest *release);
	void *context;
	bool dry_run;
	struct store_gc_result *result;
	struct arena arena; /* what the map's keys point into */
	struct map needed;  /* digests (32 bytes) of objects */
	const char *folder;
};

static int visit_manifest(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	struct digest release;
	struct manifest manifest;
	char path[OBJECT_PATH_LEN];

	if (!digest_from_hex(slice_of(name), &release))
		return 0;
	if (!gc->keep(gc->context, &release)) {
		gc->result->manifests_removed++;
		manifest_path(&release, path);
		/* The manifest goes before its objects: a crash in between leaves objects
		 * without a manifest, which the next gc takes, never the reverse. */
		if (!gc->dry_run && unlinkat(gc->store->dir_fd, path, 0) != 0)
			return err_errno(err, "%s", path);
		return 0;
	}
	/* A kept manifest that cannot be read stops everything: what it needs is unknown. */
	if (store_load_manifest(gc->store, &release, &gc->arena, &manifest, err))
		return -1;
	gc->result->manifests_kept++;
	for (size_t i = 0; i < manifest.count; i++)
		if (manifest.entries[i].type != ENTRY_DIR)
			map_put(&gc->needed, slice_make(manifest.entries[i].digest.bytes, DIGEST_LEN), gc);
	return 0;
}

static int visit_object(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	char hex[DIGEST_HEX_LEN + 8];
	char path[OBJECT_PATH_LEN + 300];
	struct digest digest;
	struct stat st;

	if (strlen(name) + 2 >= sizeof(hex))
		return 0;
	snprintf(hex, sizeof(hex), "%.2s%.66s", gc->folder, name);
	struct slice text = slice_of(hex);
	if (slice_ends_with(text, ".zst"))
		text.len -= 4;
	if (!digest_from_hex(text, &digest) || map_get(&gc->needed, slice_make(digest.bytes, DIGEST_LEN)))
		return 0;
	snprintf(path, sizeof(path), "objects/%s/%s", gc->folder, name);
	if (fstatat(gc->store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		gc->result->bytes_removed += (uint64_t)st.st_size;
	gc->result->objects_removed++;
	if (!gc->dry_run && unlinkat(gc->store->dir_fd, path, 0) != 0)
		return err_errno(err, "%s", path);
	return 0;
}

static int visit_folder(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	char path[300];

	if (strlen(name) != 2)
		return 0;
	snprintf(path, sizeof(path), "objects/%s", name);
	gc->folder = name;
	return dir_each_at(gc->store->dir_fd, path, visit_object, gc, err);
}

static int remove_incoming(void *context, const char *name, struct err *err)
{
	return tree_remove_at(*(int *)context, name, err);
}

static int take_exclusive(struct store *store, int64_t wait_ms, struct err *err)
{
	int64_t until = clock_mono_ms() + wait_ms;

	while (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, "the store %s: lock", store->path);
		if (clock_mono_ms() >= until) {
			err_set(err, ERR_CONFLICT, "the store %s is being used by another run", store->path);
			return err_hint(err, "wait until the builds and deployments on this machine are done");
		}
		poll(NULL, 0, 20);
	}
	return 0;
}

int store_gc(const char *path, bool (*keep)(void *context, const struct digest *release), void *context, bool dry_run,
	     int64_t wait_ms, struct store_gc_result *result, struct err *err)
{
	AUTO(store_close) struct store *store = NULL;

	*result = (struct store_gc_result){ 0 };
	if (store_open(path, &store, err) || take_exclusive(store, wait_ms, err))
		return -1;
	struct gc gc = { store, keep, context, dry_run, result, ARENA_INIT, MAP_INIT, NULL };
	int done = dir_each_at(store->dir_fd, "manifests", visit_manifest, &gc, err) ||
		   dir_each_at(store->dir_fd, "objects", visit_folder, &gc, err) ||
		   (!dry_run && dir_each_at(store->incoming_fd, ".", remove_incoming, &store->incoming_fd, err));
	map_free(&gc.needed);
	arena_free(&gc.arena);
	return done ? err_wrap(err, "the store %s", path) : 0;
}
