/* Taking in a tree as a release: the walk is tree.c, the end is publish.c, here
 * the content is hashed and what the store lacks is written. */
#include "store/internal.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct import {
	struct store *store;
	const struct store_import *options;
	int dir_fd;
	struct tree tree;
	uint64_t files_done, bytes_done; /* atomic */
	uint64_t bytes_told;		 /* worker 0 */
	struct scratch {
		char *content; /* STORE_WHOLE bytes */
		struct buf packed;
	} scratch[POOL_WORKERS_MAX];
};

/* The workers share the fault points' counters. */
static int object_fault(struct store *store, struct err *err)
{
	pthread_mutex_lock(&store->mutex);
	int result = fault_point("store.import.object", err);
	pthread_mutex_unlock(&store->mutex);
	return result;
}

static int take_whole(struct import *import, struct slice content, struct entry *entry, struct buf *packed,
		      struct err *err)
{
	struct draft draft = DRAFT_INIT;

	entry->size = content.len;
	digest_of(content, &entry->digest);
	if (object_present(import->store, &entry->digest, entry->size))
		return 0;
	if (object_fault(import->store, err))
		return -1;
	int result = draft_write(import->store, &draft, content, packed, err);
	if (result == 0)
		pending_add(import->store, &draft, &entry->digest, import);
	draft_drop(import->store, &draft);
	return result;
}

static int rewind_file(int fd, struct err *err)
{
	return lseek(fd, 0, SEEK_SET) == 0 ? 0 : err_errno(err, "seek");
}

/* Large files are read twice, and only when the store lacks them: most that are
 * taken in are known already, and hashing is far quicker than compressing. */
static int take_large(struct import *import, int fd, struct slice begin, struct entry *entry, struct err *err)
{
	struct draft draft = DRAFT_INIT;
	struct digest again;
	AUTO(mem_free_ptr) char *piece = NULL;
	size_t got = STORE_PIECE;

	if (rewind_file(fd, err) || digest_of_fd(fd, &entry->digest, &entry->size, err))
		return -1;
	if (object_present(import->store, &entry->digest, entry->size))
		return 0;
	if (object_fault(import->store, err) || rewind_file(fd, err))
		return -1;
	piece = mem_alloc(STORE_PIECE);
	int result = draft_open(import->store, draft_pays(begin, entry->size), &draft, err);
	while (result == 0 && got == STORE_PIECE) {
		result = fd_read_full(fd, piece, STORE_PIECE, &got, err);
		if (result == 0)
			result = draft_put(import->store, &draft, slice_make(piece, got), err);
	}
	if (result == 0)
		result = draft_end(import->store, &draft, &again, err);
	if (result == 0 && !digest_equal(&again, &entry->digest)) {
		err_set(err, ERR_CONFLICT, "the file changed while it was being read");
		result = err_hint(
			err,
			"something still writes into the folder; let it end before the release is taken");
	}
	if (result == 0)
		pending_add(import->store, &draft, &entry->digest, import);
	draft_drop(import->store, &draft);
	return result;
}

static int take_file(struct import *import, struct scratch *scratch, struct entry *entry, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	struct stat st;
	size_t got;

	/* Not blocking, should a fifo have taken the file's place since the walk. */
	if (open_beneath(import->dir_fd, entry->path.ptr, O_RDONLY | O_NONBLOCK, 0, false, &fd, err)) {
		if (err->code == ERR_DENIED)
			err_hint(err, "every file of the release must be readable by whoever builds it");
		return -1;
	}
	if (fstat(fd, &st) != 0)
		return err_errno(err, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CONFLICT, "is no longer a file");
	if (fd_read_full(fd, scratch->content, STORE_WHOLE, &got, err))
		return -1;
	struct slice begin = slice_make(scratch->content, got);
	if (got < STORE_WHOLE)
		return take_whole(import, begin, entry, &scratch->packed, err);
	return take_large(import, fd, begin, entry, err);
}

static void tell(struct import *import, bool end)
{
	const struct store_import *options = import->options;
	uint64_t files = __atomic_load_n(&import->files_done, __ATOMIC_RELAXED);
	uint64_t bytes = __atomic_load_n(&import->bytes_done, __ATOMIC_RELAXED);

	if (!options || !options->progress || (!end && files % 64 && bytes - import->bytes_told < MIB(4)))
		return;
	import->bytes_told = bytes;
	options->progress(options->context, files, bytes);
}

static int take_entry(void *context, int worker, size_t index, struct err *err)
{
	struct import *import = context;
	struct entry *entry = &import->tree.entries[index];
	struct scratch *scratch = &import->scratch[worker];
	int result = 0;

	if (entry->type == ENTRY_DIR)
		return 0;
	if (!scratch->content)
		scratch->content = mem_alloc(STORE_WHOLE);
	if (entry->type == ENTRY_FILE) {
		result = take_file(import, scratch, entry, err);
	} else {
		const struct slice *target = map_get(&import->tree.links, entry->path);
		result = take_whole(import, *target, entry, &scratch->packed, err);
	}
	if (result)
		return tree_wrap(err, entry->path);
	if (entry->type == ENTRY_FILE) {
		__atomic_add_fetch(&import->files_done, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&import->bytes_done, entry->size, __ATOMIC_RELAXED);
	}
	if (worker == 0)
		tell(import, false);
	return 0;
}

int store_import_tree(struct store *store, int dir_fd, const struct store_import *options,
		      struct arena *arena, struct manifest *manifest_out, struct err *err)
{
	struct import import = {.store = store, .options = options, .dir_fd = dir_fd};

	for (int i = 0; i < POOL_WORKERS_MAX; i++)
		import.scratch[i].packed = BUF_INIT(STORE_WHOLE * 2);
	int result = tree_walk(dir_fd, options, &import.tree, err);
	if (result == 0)
		result = pool_run(import.tree.count, take_entry, &import, err);
	if (result == 0)
		result = manifest_build(arena, import.tree.entries, import.tree.count, manifest_out, err);
	if (result == 0) {
		tell(&import, true);
		result = publish_manifest(store, manifest_out, err);
	}
	if (result)
		pending_drop(store, &import);
	for (int i = 0; i < POOL_WORKERS_MAX; i++) {
		free(import.scratch[i].content);
		buf_free(&import.scratch[i].packed);
	}
	tree_free(&import.tree);
	return result;
}
