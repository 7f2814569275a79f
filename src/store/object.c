/* Objects: content named by its SHA-256, raw or compressed. */
#include "store/internal.h"

#include "base/fault.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int object_open(struct store *store, const struct digest *digest, int *fd_out, bool *compressed_out, struct err *err)
{
	char path[OBJECT_PATH_LEN];

	for (int compressed = 1; compressed >= 0; compressed--) {
		object_path(digest, compressed, path);
		int fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0) {
			*fd_out = fd;
			*compressed_out = compressed;
			return 0;
		}
		if (errno != ENOENT)
			return err_errno(err, "the store %s: %s", store->path, path);
	}
	char hex[DIGEST_HEX_LEN + 1];
	digest_to_hex(digest, hex);
	return err_set(err, ERR_NOT_FOUND, "object %s is not in the store %s", hex, store->path);
}

/* Holds every piece back until the next one comes, so that the last is handed
 * out only after the digest of the whole was found right. */
struct reading {
	struct digest_stream hash;
	store_sink *sink;
	void *context;
	struct buf held;
};

static int pass_on(void *context, struct slice bytes, struct err *err)
{
	struct reading *reading = context;

	if (reading->held.len && reading->sink(reading->context, buf_slice(&reading->held), err))
		return -1;
	digest_update(&reading->hash, bytes.ptr, bytes.len);
	buf_clear(&reading->held);
	buf_put_slice(&reading->held, bytes);
	return buf_check(&reading->held, "a piece of an object", err);
}

static int read_pieces(int fd, bool compressed, struct reading *reading, struct err *err)
{
	AUTO(buf_free) struct buf piece = BUF_INIT(STORE_PIECE);
	AUTO(decompressor_free) struct decompressor *decompressor =
		compressed ? decompressor_new(slice_make(NULL, 0)) : NULL;
	bool ended = false;
	size_t got;
	char *room = buf_reserve(&piece, STORE_PIECE);

	do {
		if (fd_read_full(fd, room, STORE_PIECE, &got, err))
			return -1;
		struct slice bytes = slice_make(room, got);
		if (got && (compressed ? decompressor_feed(decompressor, bytes, pass_on, reading, &ended, err)
				       : pass_on(reading, bytes, err)))
			return -1;
	} while (got == STORE_PIECE);
	if (compressed && !ended)
		return err_set(err, ERR_INTERNAL, "the compressed data end too early");
	return 0;
}

int store_read_object(struct store *store, const struct digest *digest, store_sink *sink, void *context,
		      struct err *err)
{
	struct reading reading = { .sink = sink, .context = context, .held = BUF_INIT(STORE_PIECE) };
	AUTO(close_fd) int fd = -1;
	bool compressed;
	struct digest found;
	char hex[DIGEST_HEX_LEN + 1];

	if (object_open(store, digest, &fd, &compressed, err))
		return -1;
	digest_init(&reading.hash);
	int result = read_pieces(fd, compressed, &reading, err);
	if (result == 0) {
		digest_finish(&reading.hash, &found);
		if (!digest_equal(&found, digest))
			result = err_set(err, ERR_INTERNAL, "its content has another digest");
	}
	if (result) {
		digest_to_hex(digest, hex);
		err_wrap(err, "object %s in the store %s is damaged", hex, store->path);
		err_hint(err, "`lockstep store verify` lists all damage");
	} else if (reading.held.len) {
		result = sink(context, buf_slice(&reading.held), err);
	}
	buf_free(&reading.held);
	return result;
}

static int collect(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	buf_put_slice(out, bytes);
	return buf_check(out, "an object", err);
}

int store_load_object(struct store *store, const struct digest *digest, uint64_t max, struct arena *arena,
		      struct slice *out, struct err *err)
{
	AUTO(buf_free) struct buf content = BUF_INIT(max);

	if (store_read_object(store, digest, collect, &content, err))
		return -1;
	*out = arena_slice(arena, buf_slice(&content));
	return 0;
}

/* Pays when the sample shrinks by a tenth at least. */
static bool compression_pays(struct slice sample, uint64_t size)
{
	AUTO(buf_free) struct buf packed = BUF_INIT(STORE_PIECE * 2);
	struct err err = ERR_INIT;

	if (size < STORE_RAW_BELOW)
		return false;
	if (compress_all(1, slice_make(NULL, 0), sample, &packed, &err))
		return false;
	return packed.len < sample.len - sample.len / 10;
}

int object_file_open(struct store *store, struct slice sample, uint64_t size, struct object_file *file,
		     struct err *err)
{
	uint64_t tag[2];

	*file = (struct object_file){ .fd = -1, .pending = BUF_INIT(MIB(2)) };
	random_bytes(tag, sizeof(tag));
	snprintf(file->name, sizeof(file->name), "%016llx%016llx", (unsigned long long)tag[0],
		 (unsigned long long)tag[1]);
	file->fd = openat(store->incoming_fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (file->fd < 0)
		return err_errno(err, "the store %s: incoming/%s", store->path, file->name);
	if (compression_pays(sample, size))
		file->compressor = compressor_new(STORE_LEVEL, slice_make(NULL, 0));
	digest_init(&file->hash);
	return 0;
}

int object_file_put(struct object_file *file, struct slice bytes, struct err *err)
{
	digest_update(&file->hash, bytes.ptr, bytes.len);
	file->size += bytes.len;
	if (!file->compressor)
		return fd_write_all(file->fd, bytes.ptr, bytes.len, err);
	if (compressor_feed(file->compressor, bytes, &file->pending, err) ||
	    fd_write_all(file->fd, file->pending.ptr, file->pending.len, err))
		return -1;
	buf_clear(&file->pending);
	return 0;
}

int object_file_end(struct object_file *file, struct digest *digest, struct err *err)
{
	if (file->compressor && (compressor_end(file->compressor, &file->pending, err) ||
				 fd_write_all(file->fd, file->pending.ptr, file->pending.len, err)))
		return -1;
	digest_finish(&file->hash, digest);
	return 0;
}

static void close_file(struct object_file *file)
{
	close_fd(&file->fd);
	compressor_free(&file->compressor);
	buf_free(&file->pending);
}

int object_file_publish(struct store *store, struct object_file *file, const struct digest *digest, struct err *err)
{
	char path[OBJECT_PATH_LEN];

	object_path(digest, file->compressor != NULL, path);
	close_file(file);
	if (fault_point("store.object.before_rename", err))
		return -1;
	if (renameat(store->incoming_fd, file->name, store->dir_fd, path) == 0)
		return 0;
	if (errno != ENOENT)
		return err_errno(err, "the store %s: %s", store->path, path);
	/* The first object with these two digits. */
	char folder[OBJECT_PATH_LEN];
	snprintf(folder, sizeof(folder), "%.10s", path);
	if (dir_make_at(store->dir_fd, folder, 0700, err))
		return err_wrap(err, "the store %s", store->path);
	if (renameat(store->incoming_fd, file->name, store->dir_fd, path) != 0)
		return err_errno(err, "the store %s: %s", store->path, path);
	return 0;
}

void object_file_drop(struct store *store, struct object_file *file)
{
	if (file->fd < 0)
		return;
	close_file(file);
	unlinkat(store->incoming_fd, file->name, 0);
}
