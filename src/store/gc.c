/* Removing what nothing needs any more. */
#include "store/internal.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct gc {
	struct store *store;
	bool (*keep)(void *context, const struct digest *release);
	void *context;
	bool dry_run;
	struct store_gc_result *result;
	struct digest_set needed; /* objects that kept manifests name */
	struct digest *going;	  /* manifests to be removed */
	size_t going_count, going_cap;
	const char *folder; /* the two digits under way */
};

static int visit_manifest(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	struct digest release;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;

	if (!digest_from_hex(slice_of(name), &release))
		return 0;
	if (!gc->keep(gc->context, &release)) {
		if (gc->going_count == gc->going_cap) {
			gc->going_cap = MAX(gc->going_cap * 2, (size_t)16);
			gc->going = mem_grow(gc->going, gc->going_cap, sizeof(*gc->going));
		}
		gc->going[gc->going_count++] = release;
		return 0;
	}
	/* A kept manifest that cannot be read stops everything, before anything is
	 * removed: what it needs is unknown. */
	if (store_load_manifest(gc->store, &release, &arena, &manifest, err))
		return -1;
	gc->result->manifests_kept++;
	for (size_t i = 0; i < manifest.count; i++)
		if (manifest.entries[i].type != ENTRY_DIR)
			digest_set_add(&gc->needed, &manifest.entries[i].digest);
	return 0;
}

/* Manifests go before their objects, durably: a crash in between leaves objects
 * without a manifest, which the next gc takes, never a manifest without objects. */
static int remove_manifests(struct gc *gc, struct err *err)
{
	char path[OBJECT_PATH_LEN];
	AUTO(close_fd) int fd = -1;

	gc->result->manifests_removed = gc->going_count;
	if (gc->dry_run || gc->going_count == 0)
		return 0;
	for (size_t i = 0; i < gc->going_count; i++) {
		manifest_path(&gc->going[i], path);
		if (fault_point("store.gc.manifest", err))
			return -1;
		if (unlinkat(gc->store->dir_fd, path, 0) != 0)
			return err_errno(err, "%s", path);
	}
	return dir_open_at(gc->store->dir_fd, "manifests", &fd, err) || dir_sync(fd, err) ? -1 : 0;
}

static int visit_object(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	char path[OBJECT_PATH_LEN];
	struct digest digest;
	struct stat st;
	bool compressed;

	/* What is not ours to name is left alone; verify points at it. */
	if (!object_name_parse(gc->folder, name, &digest, &compressed) ||
	    digest_set_has(&gc->needed, &digest))
		return 0;
	object_path(&digest, compressed, path);
	if (fstatat(gc->store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		gc->result->bytes_removed += (uint64_t)st.st_size;
	gc->result->objects_removed++;
	if (gc->dry_run)
		return 0;
	if (fault_point("store.gc.object", err))
		return -1;
	return unlinkat(gc->store->dir_fd, path, 0) == 0 ? 0 : err_errno(err, "%s", path);
}

static int visit_folder(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "objects/%s", name);
	if (strlen(name) != 2 || fstatat(gc->store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	gc->folder = name;
	return dir_each_at(gc->store->dir_fd, path, visit_object, gc, err);
}

/* Whoever wrote it is gone: we hold the lock alone. */
static int remove_incoming(void *context, const char *name, struct err *err)
{
	struct gc *gc = context;
	struct stat st;

	if (fstatat(gc->store->incoming_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		gc->result->bytes_removed += (uint64_t)st.st_size;
	return gc->dry_run ? 0 : tree_remove_at(gc->store->incoming_fd, name, err);
}

int store_gc(const char *path, bool (*keep)(void *context, const struct digest *release), void *context,
	     bool dry_run, int64_t wait_ms, struct store_gc_result *result, struct err *err)
{
	AUTO(store_close) struct store *store = NULL;

	*result = (struct store_gc_result){0};
	if (store_open_locked(path, true, wait_ms, &store, err))
		return -1;
	struct gc gc = {
		.store = store, .keep = keep, .context = context, .dry_run = dry_run, .result = result};
	int done = dir_each_at(store->dir_fd, "manifests", visit_manifest, &gc, err) ||
		   remove_manifests(&gc, err) ||
		   dir_each_at(store->dir_fd, "objects", visit_folder, &gc, err) ||
		   dir_each_at(store->incoming_fd, ".", remove_incoming, &gc, err);
	digest_set_free(&gc.needed);
	mem_free_ptr(&gc.going);
	return done ? err_wrap(err, "the store %s", path) : 0;
}
