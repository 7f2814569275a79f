/* Taking in a tree as a release. */
#include "store/internal.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct import {
	struct store *store;
	const struct store_import *options;
	struct arena paths;
	struct entry *entries;
	size_t count, cap;
	uint64_t files_done, bytes_done;
	char *piece; /* STORE_PIECE bytes */
};

static int bad_file(struct err *err, const char *path, const char *why)
{
	AUTO(buf_free) struct buf shown = BUF_INIT(64 << 10);

	buf_put_printable(&shown, slice_of(path));
	return err_set(err, ERR_USER, "\"%s\" %s", buf_str(&shown), why);
}

static struct entry *add_entry(struct import *import, struct slice path)
{
	if (import->count == import->cap) {
		import->cap = MAX(import->cap * 2, (size_t)256);
		import->entries = mem_grow(import->entries, import->cap, sizeof(*import->entries));
	}
	struct entry *entry = &import->entries[import->count++];
	*entry = (struct entry){ .path = arena_slice(&import->paths, path) };
	return entry;
}

/* Reads the file once to learn its digest; only content the store lacks is read
 * again and written. Files that fit one piece are read a single time. */
static int store_content(struct import *import, int fd, struct entry *entry, const char *path, struct err *err)
{
	struct object_file file;
	struct digest again;
	size_t got;

	if (fd_read_full(fd, import->piece, STORE_PIECE, &got, err))
		return -1;
	bool whole = got < STORE_PIECE;
	struct slice first = slice_make(import->piece, got);
	entry->size = got;
	if (whole) {
		digest_of(first, &entry->digest);
	} else {
		if (lseek(fd, 0, SEEK_SET) != 0)
			return err_errno(err, "seek");
		if (digest_of_fd(fd, &entry->digest, &entry->size, err) || lseek(fd, 0, SEEK_SET) != 0)
			return err->code ? -1 : err_errno(err, "seek");
	}
	if (store_has_object(import->store, &entry->digest))
		return 0;
	if (fault_point("store.import.object", err))
		return -1;
	if (object_file_open(import->store, first, entry->size, &file, err))
		return -1;
	int result = 0;
	if (whole) {
		result = object_file_put(&file, first, err);
	} else {
		do {
			result = fd_read_full(fd, import->piece, STORE_PIECE, &got, err);
			if (result == 0 && got)
				result = object_file_put(&file, slice_make(import->piece, got), err);
		} while (result == 0 && got == STORE_PIECE);
	}
	if (result == 0)
		result = object_file_end(&file, &again, err);
	if (result == 0 && !digest_equal(&again, &entry->digest))
		result = bad_file(err, path, "changed while it was being read");
	if (result == 0)
		result = object_file_publish(import->store, &file, &entry->digest, err);
	if (result)
		object_file_drop(import->store, &file);
	return result;
}

static int import_file(struct import *import, int dir_fd, const char *name, const struct stat *st, struct slice path,
		       struct err *err)
{
	if (st->st_mode & (S_ISUID | S_ISGID))
		return bad_file(err, path.ptr, "is setuid or setgid: a release cannot carry that");
	AUTO(close_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, "%s", path.ptr);
	struct entry *entry = add_entry(import, path);
	entry->type = ENTRY_FILE;
	entry->mode = st->st_mode & 0111 ? 0755 : 0644;
	if (store_content(import, fd, entry, path.ptr, err))
		return err_wrap(err, "%s", path.ptr);
	import->files_done++;
	import->bytes_done += entry->size;
	if (import->options && import->options->progress && import->files_done % 64 == 0)
		import->options->progress(import->options->context, import->files_done, import->bytes_done);
	return 0;
}

static int import_link(struct import *import, int dir_fd, const char *name, struct slice path, struct err *err)
{
	char target[MANIFEST_LINK_MAX + 1];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));
	struct object_file file;

	if (len < 0)
		return err_errno(err, "%s", path.ptr);
	if (len > MANIFEST_LINK_MAX)
		return bad_file(err, path.ptr, "is a symlink with an overlong target");
	struct slice bytes = slice_make(target, (size_t)len);
	if (!manifest_link_stays_inside(path, bytes)) {
		bad_file(err, path.ptr, "is a symlink that leads out of the release");
		return err_hint(err, "links must be relative and stay inside; what outlives releases belongs into "
				     "shared_dirs or shared_files");
	}
	struct entry *entry = add_entry(import, path);
	entry->type = ENTRY_LINK;
	entry->mode = 0777;
	entry->size = bytes.len;
	digest_of(bytes, &entry->digest);
	if (store_has_object(import->store, &entry->digest))
		return 0;
	/* The manifest knows a link's digest; the target itself is an object like any other. */
	if (object_file_open(import->store, slice_make(NULL, 0), 0, &file, err))
		return -1;
	if (object_file_put(&file, bytes, err) || object_file_end(&file, &entry->digest, err) ||
	    object_file_publish(import->store, &file, &entry->digest, err)) {
		object_file_drop(import->store, &file);
		return -1;
	}
	return 0;
}

struct folder {
	struct import *import;
	int fd;
	struct slice path; /* empty at the top */
	int depth;
};

static int import_entry(void *context, const char *name, struct err *err)
{
	struct folder *folder = context;
	struct import *import = folder->import;
	const struct store_import *options = import->options;
	struct stat st;
	AUTO(buf_free) struct buf path = BUF_INIT(MANIFEST_PATH_MAX);

	if (folder->path.len) {
		buf_put_slice(&path, folder->path);
		buf_putc(&path, '/');
	}
	buf_puts(&path, name);
	if (path.overflow)
		return bad_file(err, name, "lies too deep: its path is longer than 4095 bytes");
	if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", buf_str(&path));
	if (options && options->skip && options->skip(options->context, buf_slice(&path), S_ISDIR(st.st_mode)))
		return 0;
	if (import->count >= MANIFEST_ENTRIES_MAX)
		return err_set(err, ERR_USER, "more than %d files and folders", MANIFEST_ENTRIES_MAX);
	if (S_ISREG(st.st_mode))
		return import_file(import, folder->fd, name, &st, buf_slice(&path), err);
	if (S_ISLNK(st.st_mode))
		return import_link(import, folder->fd, name, buf_slice(&path), err);
	if (!S_ISDIR(st.st_mode))
		return bad_file(err, buf_str(&path), "is a device, socket or fifo: a release cannot carry that");
	if (folder->depth >= 128)
		return bad_file(err, buf_str(&path), "lies too deep: more than 128 folders");
	struct entry *entry = add_entry(import, buf_slice(&path));
	entry->type = ENTRY_DIR;
	entry->mode = 0755;
	struct folder below = { import, -1, entry->path, folder->depth + 1 };
	below.fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (below.fd < 0)
		return err_errno(err, "%s", buf_str(&path));
	int result = dir_each_at(below.fd, ".", import_entry, &below, err);
	close_fd(&below.fd);
	return result;
}

int store_publish(struct store *store, const struct manifest *manifest, struct err *err)
{
	char path[OBJECT_PATH_LEN];

	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		if (entry->type != ENTRY_DIR && !store_has_object(store, &entry->digest))
			return bad_file(err, entry->path.ptr, "has no object in the store");
	}
	if (store_has_manifest(store, &manifest->digest))
		return 0;
	/* Objects first, all of them, and only then the manifest: one that can be seen
	 * names content that is on the disk. */
	if (store_sync(store, err) || fault_point("store.publish.before_manifest", err))
		return -1;
	manifest_path(&manifest->digest, path);
	return file_replace_at(store->dir_fd, path, manifest->bytes, 0400, err);
}

int store_import_tree(struct store *store, int dir_fd, const struct store_import *options, struct arena *arena,
		      struct manifest *manifest_out, struct err *err)
{
	struct import import = { .store = store, .options = options, .piece = mem_alloc(STORE_PIECE) };
	struct folder top = { &import, dir_fd, { "", 0 }, 0 };
	int result = dir_each_at(dir_fd, ".", import_entry, &top, err);

	if (result == 0)
		result = manifest_build(arena, import.entries, import.count, manifest_out, err);
	if (result == 0 && options && options->progress)
		options->progress(options->context, import.files_done, import.bytes_done);
	if (result == 0)
		result = store_publish(store, manifest_out, err);
	free(import.entries);
	free(import.piece);
	arena_free(&import.paths);
	return result;
}
