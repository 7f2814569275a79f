/* Making things durable and visible, in this order:
 *
 *	the bytes of all drafts, and of the manifest, are synced in incoming/
 *	→ objects are renamed to their names
 *	→ the folders they came into are synced
 *	→ the manifest is renamed to its name, manifests/ is synced
 *
 * A name below objects/ therefore never stands for bytes that a power failure
 * could still take away, so that every process may trust an object another one
 * has just brought; and a manifest that can be seen names only what is there. */
#include "store/internal.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct slice key_of(const struct digest *digest)
{
	return slice_make(digest->bytes, DIGEST_LEN);
}

void pending_add(struct store *store, struct draft *draft, const struct digest *digest, const void *owner)
{
	pthread_mutex_lock(&store->mutex);
	/* Two workers may have written the same content at once: the second is dropped
	 * by its draft_drop. */
	if (!map_get(&store->pending, key_of(digest))) {
		struct pending *pending = ARENA_NEW(&store->pending_arena, struct pending);
		*pending = (struct pending){*digest, draft->number, draft->compressed, owner};
		map_put(&store->pending, key_of(&pending->digest), pending);
		draft->number = 0;
	}
	pthread_mutex_unlock(&store->mutex);
}

bool pending_has(struct store *store, const struct digest *digest)
{
	pthread_mutex_lock(&store->mutex);
	bool there = map_get(&store->pending, key_of(digest)) != NULL;
	pthread_mutex_unlock(&store->mutex);
	return there;
}

void pending_drop(struct store *store, const void *owner)
{
	char name[40];

	pthread_mutex_lock(&store->mutex);
	for (size_t i = 0; i < store->pending.entries_used; i++) {
		struct map_entry *entry = &store->pending.entries[i];
		if (!entry->key.ptr)
			continue;
		struct pending *pending = entry->value;
		if (owner && pending->owner != owner)
			continue;
		draft_name(store, pending->number, name);
		unlinkat(store->incoming_fd, name, 0);
		map_remove(&store->pending, entry->key);
	}
	pthread_mutex_unlock(&store->mutex);
}

/* One call for thousands of files; it covers their folders too. Elsewhere than on
 * Linux each draft was synced when it ended, and names are left to the system. */
static int sync_all(struct store *store, struct err *err)
{
#ifdef __linux__
	if (syncfs(store->dir_fd) != 0) {
		int why = errno;
		err_errno(err, "sync");
		return draft_no_room(store, why, err);
	}
#else
	(void)store;
	(void)err;
	sync();
#endif
	return 0;
}

static int give_name(struct store *store, const struct pending *pending, struct err *err)
{
	char path[OBJECT_PATH_LEN], other[OBJECT_PATH_LEN], folder[OBJECT_PATH_LEN];
	char name[40];

	draft_name(store, pending->number, name);
	object_path(&pending->digest, pending->compressed, path);
	int done = renameat(store->incoming_fd, name, store->dir_fd, path);
	if (done != 0 && errno == ENOENT) {
		/* The first object with these two digits. */
		snprintf(folder, sizeof(folder), "%.10s", path);
		if (dir_make_at(store->dir_fd, folder, 0700, err))
			return err_wrap(err, "the store %s", store->path);
		done = renameat(store->incoming_fd, name, store->dir_fd, path);
	}
	if (done != 0)
		return err_errno(err, "the store %s: %s", store->path, path);
	/* Had the other form been believable, this one would not have been written. */
	object_path(&pending->digest, !pending->compressed, other);
	unlinkat(store->dir_fd, other, 0);
	return 0;
}

static int settle_locked(struct store *store, struct err *err)
{
	if (store->pending.count == 0)
		return 0;
	if (fault_point("store.publish.before_sync", err) || sync_all(store, err) ||
	    fault_point("store.publish.before_objects", err))
		return -1;
	for (size_t i = 0; i < store->pending.entries_used; i++) {
		struct map_entry *entry = &store->pending.entries[i];
		if (!entry->key.ptr)
			continue;
		if (give_name(store, entry->value, err) || fault_point("store.publish.object", err))
			return -1;
		map_remove(&store->pending, entry->key);
	}
	map_free(&store->pending);
	arena_free(&store->pending_arena);
	return 0;
}

int pending_settle(struct store *store, struct err *err)
{
	pthread_mutex_lock(&store->mutex);
	int result = settle_locked(store, err);
	pthread_mutex_unlock(&store->mutex);
	return result;
}

/* Whether exactly these bytes are published already. */
static bool manifest_is_there(struct store *store, const char *path, struct slice bytes)
{
	AUTO(buf_free) struct buf found = BUF_INIT(bytes.len + 1);
	struct err ignored = ERR_INIT;

	return file_read_at(store->dir_fd, path, &found, &ignored) == 0 &&
	       slice_equal(buf_slice(&found), bytes);
}

static int sync_manifests(struct store *store, struct err *err)
{
	AUTO(close_fd) int fd = -1;

	if (dir_open_at(store->dir_fd, "manifests", &fd, err) || dir_sync(fd, err))
		return err_wrap(err, "the store %s", store->path);
	return 0;
}

int publish_manifest(struct store *store, const struct manifest *manifest, struct err *err)
{
	struct draft draft = DRAFT_INIT;
	char path[OBJECT_PATH_LEN], name[40];

	manifest_path(&manifest->digest, path);
	if (manifest_is_there(store, path, manifest->bytes)) {
		/* Drafts can still wait: an object that was lost or damaged was written anew. */
		pthread_mutex_lock(&store->mutex);
		bool anew = store->pending.count > 0;
		pthread_mutex_unlock(&store->mutex);
		if (pending_settle(store, err) || (anew && sync_all(store, err)))
			return -1;
		return sync_manifests(store, err);
	}
	if (draft_open(store, false, &draft, err))
		return -1;
	draft_name(store, draft.number, name);
	int result = draft_put(store, &draft, manifest->bytes, err);
	struct digest digest;
	if (result == 0)
		result = draft_end(store, &draft, &digest, err);
	if (result == 0)
		result = pending_settle(store, err);
	/* Covers the names just given, those other processes gave, and the manifest's bytes. */
	if (result == 0)
		result = sync_all(store, err);
	if (result == 0)
		result = fault_point("store.publish.before_rename", err);
	if (result == 0 && renameat(store->incoming_fd, name, store->dir_fd, path) != 0)
		result = err_errno(err, "the store %s: %s", store->path, path);
	if (result) {
		draft_drop(store, &draft);
		return -1;
	}
	draft.number = 0;
	if (fault_point("store.publish.after_rename", err))
		return -1;
	return sync_manifests(store, err);
}

int store_publish(struct store *store, const struct manifest *manifest, struct err *err)
{
	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		if (entry->type == ENTRY_DIR || object_present(store, &entry->digest, entry->size))
			continue;
		tree_refuse(err, entry->path, "has no object in the store");
		err->code = ERR_INTERNAL;
		return err_wrap(err, "the store %s", store->path);
	}
	return publish_manifest(store, manifest, err);
}
