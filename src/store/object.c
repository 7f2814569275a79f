/* Objects that lie in the store: their names, their presence, their content.
 * How they get there is draft.c and publish.c. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* RFC 8878 section 3.1.2; a variant of our own, so that no other tool's is taken for it. */
const unsigned char trailer_head[TRAILER_HEAD_LEN] = {0x5c, 0x2a, 0x4d, 0x18, DIGEST_LEN, 0, 0, 0};
static const unsigned char frame_magic[4] = {0x28, 0xb5, 0x2f, 0xfd};

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

bool object_name_parse(const char *folder, const char *name, struct digest *digest, bool *compressed)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct slice rest = slice_of(name);

	*compressed = slice_ends_with(rest, ".zst");
	if (*compressed)
		rest.len -= 4;
	if (strlen(folder) != 2 || rest.len != DIGEST_HEX_LEN - 2)
		return false;
	snprintf(hex, sizeof(hex), "%s%.*s", folder, SLICE_ARG(rest));
	return digest_from_hex(slice_of(hex), digest);
}

bool digest_set_add(struct digest_set *set, const struct digest *digest)
{
	if (digest_set_has(set, digest))
		return false;
	struct digest *kept = ARENA_NEW(&set->arena, struct digest);
	*kept = *digest;
	map_put(&set->map, slice_make(kept->bytes, DIGEST_LEN), kept);
	return true;
}

bool digest_set_has(const struct digest_set *set, const struct digest *digest)
{
	return map_get(&set->map, slice_make(digest->bytes, DIGEST_LEN)) != NULL;
}

void digest_set_free(struct digest_set *set)
{
	map_free(&set->map);
	arena_free(&set->arena);
}

/* A raw object of no bytes is what a file system without our order of syncing
 * leaves after a power failure; only the empty content may look like that. */
static bool raw_believable(const struct digest *digest, uint64_t found, uint64_t size)
{
	struct digest empty;

	if (size != UINT64_MAX || found)
		return size == UINT64_MAX || found == size;
	digest_of(slice_make("", 0), &empty);
	return digest_equal(digest, &empty);
}

static bool compressed_believable(struct store *store, const char *path)
{
	unsigned char head[sizeof(frame_magic)], tail[TRAILER_HEAD_LEN];
	struct stat st;
	AUTO(close_fd) int fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > TRAILER_LEN &&
	       pread(fd, head, sizeof(head), 0) == sizeof(head) &&
	       pread(fd, tail, sizeof(tail), st.st_size - TRAILER_LEN) == sizeof(tail) &&
	       memcmp(head, frame_magic, sizeof(head)) == 0 && memcmp(tail, trailer_head, sizeof(tail)) == 0;
}

bool object_present(struct store *store, const struct digest *digest, uint64_t size)
{
	char path[OBJECT_PATH_LEN];
	struct stat st;

	object_path(digest, false, path);
	if (fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    raw_believable(digest, (uint64_t)st.st_size, size))
		return true;
	object_path(digest, true, path);
	return compressed_believable(store, path) || pending_has(store, digest);
}

bool store_has_object(struct store *store, const struct digest *digest)
{
	return object_present(store, digest, UINT64_MAX);
}

int object_file_open(struct store *store, const struct digest *digest, int *fd_out, bool *compressed_out,
		     struct err *err)
{
	char path[OBJECT_PATH_LEN];
	char hex[DIGEST_HEX_LEN + 1];

	if (pending_has(store, digest) && pending_settle(store, err))
		return -1;
	/* Thrice, because another process may just be replacing one form by the other. */
	for (int attempt = 0; attempt < 3; attempt++) {
		bool compressed = attempt % 2 == 0;
		object_path(digest, compressed, path);
		int fd = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0) {
			*fd_out = fd;
			*compressed_out = compressed;
			return 0;
		}
		if (errno != ENOENT)
			return err_errno(err, "the store %s: %s", store->path, path);
	}
	digest_to_hex(digest, hex);
	return err_set(err, ERR_NOT_FOUND, "object %s is not in the store %s", hex, store->path);
}

/* Holds every piece back until the next one comes, so that the last is handed
 * out only after the digest of the whole was found right. */
struct reading {
	struct digest_stream content, frame;
	store_sink *sink;
	void *context;
	struct buf held;
	enum read_check check;
	uint64_t size; /* so far; of READ_SIZED */
	bool sink_failed;
};

static int hand_out(struct reading *reading, struct err *err)
{
	if (reading->held.len == 0)
		return 0;
	reading->sink_failed = reading->sink(reading->context, buf_slice(&reading->held), err) != 0;
	buf_clear(&reading->held);
	return reading->sink_failed ? -1 : 0;
}

static int pass_on(void *context, struct slice bytes, struct err *err)
{
	struct reading *reading = context;

	if (reading->check == READ_SIZED) {
		reading->size += bytes.len;
		reading->sink_failed = reading->sink(reading->context, bytes, err) != 0;
		return reading->sink_failed ? -1 : 0;
	}
	if (hand_out(reading, err))
		return -1;
	digest_update(&reading->content, bytes.ptr, bytes.len);
	buf_put_slice(&reading->held, bytes);
	return buf_check(&reading->held, "a piece of an object", err);
}

static int read_raw(int fd, uint64_t size, struct reading *reading, struct err *err)
{
	AUTO(buf_free) struct buf piece = BUF_INIT(STORE_PIECE);
	size_t want = (size_t)MIN(size + 1, (uint64_t)STORE_PIECE);
	char *room = buf_reserve(&piece, want);
	size_t got;

	do {
		if (fd_read_full(fd, room, want, &got, err))
			return -1;
		if (got && pass_on(reading, slice_make(room, got), err))
			return -1;
	} while (got == want);
	return 0;
}

static int read_compressed(int fd, uint64_t size, struct reading *reading, struct err *err)
{
	bool strict = reading->check == READ_STRICTLY;
	AUTO(buf_free) struct buf piece = BUF_INIT(STORE_PIECE);
	AUTO(decompressor_free) struct decompressor *decompressor = NULL;
	unsigned char trailer[TRAILER_LEN];
	struct digest frame;
	uint64_t left = size - TRAILER_LEN;
	bool ended = false;
	size_t got;

	if (size <= TRAILER_LEN)
		return err_set(err, ERR_INTERNAL, "the file is cut off");
	decompressor = decompressor_new(slice_make(NULL, 0));
	char *room = buf_reserve(&piece, (size_t)MIN(left, (uint64_t)STORE_PIECE));
	while (left) {
		size_t want = (size_t)MIN(left, (uint64_t)STORE_PIECE);
		if (fd_read_full(fd, room, want, &got, err))
			return -1;
		if (got != want)
			return err_set(err, ERR_INTERNAL, "the file is cut off");
		left -= got;
		if (strict)
			digest_update(&reading->frame, room, got);
		if (decompressor_feed(decompressor, slice_make(room, got), pass_on, reading, &ended, err))
			return -1;
	}
	if (!ended)
		return err_set(err, ERR_INTERNAL, "the compressed data end too early");
	if (!strict)
		return 0;
	if (fd_read_full(fd, trailer, sizeof(trailer), &got, err))
		return -1;
	digest_finish(&reading->frame, &frame);
	if (got != sizeof(trailer) || memcmp(trailer, trailer_head, TRAILER_HEAD_LEN) != 0 ||
	    memcmp(trailer + TRAILER_HEAD_LEN, &frame, sizeof(frame)) != 0)
		return err_set(err, ERR_INTERNAL, "the compressed bytes have another digest");
	return 0;
}

int object_file_read(int fd, bool compressed, enum read_check check, const struct digest *digest, uint64_t size,
		     store_sink *sink, void *context, struct err *err)
{
	struct reading reading = {.sink = sink, .context = context, .held = BUF_INIT(STORE_PIECE), .check = check};
	struct digest found;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_errno(err, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INTERNAL, "it is not a file");
	digest_init(&reading.content);
	digest_init(&reading.frame);
	int result = compressed ? read_compressed(fd, (uint64_t)st.st_size, &reading, err)
				: read_raw(fd, (uint64_t)st.st_size, &reading, err);
	if (result == 0 && check == READ_SIZED) {
		if (reading.size != size)
			result = err_set(err, ERR_INTERNAL, "its content has another size");
	} else if (result == 0) {
		digest_finish(&reading.content, &found);
		if (digest_equal(&found, digest))
			result = hand_out(&reading, err);
		else
			result = err_set(err, ERR_INTERNAL, "its content has another digest");
	}
	/* Damage on our disk is never the user's mistake, whatever the decoder called it. */
	if (result && !reading.sink_failed) {
		char hex[DIGEST_HEX_LEN + 1];
		digest_to_hex(digest, hex);
		err->code = ERR_INTERNAL;
		err_wrap(err, "object %s is damaged", hex);
		err_hint(err, "`lockstep store verify` lists all damage; once a damaged object is deleted, "
			      "building or "
			      "fetching the release again brings it back");
	}
	buf_free(&reading.held);
	return result;
}

static int read_object(struct store *store, const struct digest *digest, enum read_check check, uint64_t size,
		       store_sink *sink, void *context, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	bool compressed;

	if (object_file_open(store, digest, &fd, &compressed, err))
		return -1;
	return object_file_read(fd, compressed, check, digest, size, sink, context, err);
}

int store_read_object(struct store *store, const struct digest *digest, store_sink *sink, void *context,
		      struct err *err)
{
	return read_object(store, digest, READ_CHECKED, 0, sink, context, err);
}

int store_read_object_unchecked(struct store *store, const struct digest *digest, uint64_t size, store_sink *sink,
				void *context, struct err *err)
{
	return read_object(store, digest, READ_SIZED, size, sink, context, err);
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
