/* Snapshots as files: see parity_snapshot.h. */
#include "model/parity_snapshot.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/random.h"
#include "codec/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum {
	BLOCK = 64 << 10,
	LEVEL = 1, /* a third of the time of 3, and digests do not get smaller anyway */
	OUT_MAX = 1 << 20,
	NAME_LEN = 2 + 1 + DIGEST_HEX_LEN + 4,
	GRACE_MS = 24 * 60 * 60 * 1000,
};
#define TEMPORARY ".tmp-"

/* The folder locked: between seeing that a file is there and touching it, nobody takes it
 * away. */
static int open_locked(const struct home *home, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = -1;

	if (dir_make_at(home->dir_fd, "facts", 0700, err) || dir_open_at(home->dir_fd, "facts", &fd, err))
		return err_wrap(err, "the folder %s/facts", home->path);
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return err_errno(err, "cannot lock %s/facts", home->path);
	*fd_out = steal_fd(&fd);
	return 0;
}

static void name_of(const char *digest, char out[NAME_LEN + 1])
{
	snprintf(out, NAME_LEN + 1, "%.2s/%s.zst", digest, digest);
}

/* ---- storing ---- */

typedef int take_block(void *context, struct slice bytes, struct err *err);

static int each_block(int fd, take_block *take, void *context, uint64_t *size_out, struct err *err)
{
	AUTO(mem_free_ptr) char *block = mem_alloc(BLOCK);
	uint64_t at = 0;

	for (;;) {
		ssize_t got = pread(fd, block, BLOCK, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "cannot read the snapshot");
		if (got == 0)
			break;
		at += (uint64_t)got;
		if (at > PARITY_SNAPSHOT_SIZE_MAX)
			return err_set(err, ERR_INTERNAL, "a snapshot of more than %llu MB is not kept",
				       (unsigned long long)(PARITY_SNAPSHOT_SIZE_MAX >> 20));
		if (take(context, slice_make(block, (size_t)got), err))
			return -1;
	}
	*size_out = at;
	return 0;
}

struct packing {
	struct digest_stream digest;
	struct compressor *compressor; /* NULL: only the digest is wanted */
	struct buf out;
	int fd;
	uint64_t bytes;
};

static void free_packing(struct packing *packing)
{
	compressor_free(&packing->compressor);
	buf_free(&packing->out);
}

static int drain(struct packing *packing, struct err *err)
{
	packing->bytes += packing->out.len;
	int status =
		packing->out.len ? fd_write_all(packing->fd, packing->out.ptr, packing->out.len, err) : 0;
	buf_clear(&packing->out);
	return status;
}

static int pack_block(void *context, struct slice bytes, struct err *err)
{
	struct packing *packing = context;

	digest_update(&packing->digest, bytes.ptr, bytes.len);
	if (!packing->compressor)
		return 0;
	return compressor_feed(packing->compressor, bytes, &packing->out, err) || drain(packing, err) ? -1
												      : 0;
}

static int pack(int fd, int out_fd, struct digest *digest_out, uint64_t *size_out, uint64_t *bytes_out,
		struct err *err)
{
	AUTO(free_packing) struct packing packing = {.out = BUF_INIT(OUT_MAX), .fd = out_fd};

	digest_init(&packing.digest);
	if (out_fd >= 0)
		packing.compressor = compressor_new(LEVEL, SLICE(""));
	if (each_block(fd, pack_block, &packing, size_out, err))
		return -1;
	if (packing.compressor &&
	    (compressor_end(packing.compressor, &packing.out, err) || drain(&packing, err)))
		return -1;
	digest_finish(&packing.digest, digest_out);
	*bytes_out = packing.bytes;
	return 0;
}

/* Known already: touched, so that gc sees that somebody is about to name it. */
static int share(const struct home *home, const char *name, struct parity_snapshot_file *out, struct err *err)
{
	AUTO(close_fd) int folder_fd = -1;
	struct stat st;

	if (open_locked(home, &folder_fd, err))
		return -1;
	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) || !st.st_size)
		return 0;
	if (utimensat(folder_fd, name, NULL, AT_SYMLINK_NOFOLLOW))
		return err_errno(err, "cannot touch %s/facts/%s", home->path, name);
	out->shared = true;
	out->bytes = (uint64_t)st.st_size;
	return 0;
}

static int write_packed(int folder_fd, const char *temporary, int fd, struct parity_snapshot_file *out,
			struct err *err)
{
	AUTO(close_fd)
	int out_fd = openat(folder_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];

	if (out_fd < 0)
		return err_errno(err, "cannot create %s", temporary);
	if (pack(fd, out_fd, &digest, &out->size, &out->bytes, err))
		return -1;
	digest_to_hex(&digest, hex);
	if (strcmp(hex, out->digest) != 0)
		return err_set(err, ERR_INTERNAL, "the snapshot changed while it was kept");
	if (fault_point("model.snapshot.before_sync", err))
		return -1;
	return fsync(out_fd) ? err_errno(err, "cannot sync %s", temporary) : 0;
}

/* Data synced, then the name, then the folder: after a kill there is the whole file or none. */
static int store_new(const struct home *home, int fd, const char *name, struct parity_snapshot_file *out,
		     struct err *err)
{
	AUTO(close_fd) int folder_fd = -1;
	uint8_t random[8];
	char temporary[48], digits[2 * sizeof(random) + 1];

	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), digits);
	snprintf(temporary, sizeof(temporary), TEMPORARY "%s", digits);
	char part[] = {name[0], name[1], '\0'};
	AUTO(close_fd) int facts_fd = -1;
	if (dir_open_at(home->dir_fd, "facts", &facts_fd, err) || dir_make_at(facts_fd, part, 0700, err) ||
	    dir_sync(facts_fd, err) || dir_open_at(facts_fd, part, &folder_fd, err))
		return -1;
	if (write_packed(folder_fd, temporary, fd, out, err) ||
	    fault_point("model.snapshot.before_rename", err)) {
		unlinkat(folder_fd, temporary, 0);
		return -1;
	}
	if (renameat(folder_fd, temporary, folder_fd, name + 3)) {
		err_errno(err, "cannot name %s", name);
		unlinkat(folder_fd, temporary, 0);
		return -1;
	}
	return dir_sync(folder_fd, err);
}

int parity_snapshot_store(const struct home *home, int fd, struct parity_snapshot_file *out, struct err *err)
{
	struct digest digest;
	char name[NAME_LEN + 1];

	*out = (struct parity_snapshot_file){0};
	if (pack(fd, -1, &digest, &out->size, &out->bytes, err))
		return err_wrap(err, "keeping a snapshot");
	digest_to_hex(&digest, out->digest);
	name_of(out->digest, name);
	if (share(home, name, out, err) || (!out->shared && store_new(home, fd, name, out, err)))
		return err_wrap(err, "keeping a snapshot in %s/facts", home->path);
	return fault_point("model.snapshot.stored", err);
}

/* ---- opening ---- */

/* Disk, not memory: a snapshot may be large, and several are open at once. */
static int open_unnamed(int folder_fd, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = -1;
#ifdef O_TMPFILE
	fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
#endif
	for (int i = 0; i < 100 && fd < 0; i++) {
		uint8_t random[8];
		char name[48], digits[2 * sizeof(random) + 1];
		random_bytes(random, sizeof(random));
		hex_encode(random, sizeof(random), digits);
		snprintf(name, sizeof(name), TEMPORARY "%s", digits);
		fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0)
			unlinkat(folder_fd, name, 0);
		else if (errno != EEXIST)
			break;
	}
	if (fd < 0)
		return err_errno(err, "cannot create a file for a snapshot");
	*fd_out = steal_fd(&fd);
	return 0;
}

struct unpacking {
	struct digest_stream digest;
	uint64_t size;
	int fd;
	bool system; /* what failed is this machine, not the file */
};

static int unpack_piece(void *context, struct slice bytes, struct err *err)
{
	struct unpacking *unpacking = context;

	unpacking->size += bytes.len;
	if (unpacking->size > PARITY_SNAPSHOT_SIZE_MAX)
		return err_set(err, ERR_INTERNAL, "it holds too much");
	digest_update(&unpacking->digest, bytes.ptr, bytes.len);
	if (!fd_write_all(unpacking->fd, bytes.ptr, bytes.len, err))
		return 0;
	unpacking->system = true;
	return -1;
}

static int unpack(int fd, const char *digest, struct unpacking *unpacking, struct err *err)
{
	AUTO(mem_free_ptr) char *block = mem_alloc(BLOCK);
	AUTO(decompressor_free) struct decompressor *decompressor = decompressor_new(SLICE(""));
	struct digest seen;
	char hex[DIGEST_HEX_LEN + 1];
	bool ended = false;
	size_t got;

	digest_init(&unpacking->digest);
	do {
		if (fd_read_full(fd, block, BLOCK, &got, err)) {
			unpacking->system = true;
			return -1;
		}
		if (got && decompressor_feed(decompressor, slice_make(block, got), unpack_piece, unpacking,
					     &ended, err))
			return -1;
	} while (got == BLOCK);
	digest_finish(&unpacking->digest, &seen);
	digest_to_hex(&seen, hex);
	if (!ended)
		return err_set(err, ERR_INTERNAL, "it is cut off");
	return strcmp(hex, digest) == 0 ? 0
					: err_set(err, ERR_INTERNAL, "its content is not what its name says");
}

int parity_snapshot_open(const struct home *home, const char *digest, int *fd_out, struct err *err)
{
	AUTO(close_fd) int folder_fd = -1, packed_fd = -1, fd = -1;
	struct digest checked;
	char name[NAME_LEN + 1];

	if (!digest_from_hex(slice_of(digest), &checked))
		return err_set(err, ERR_INTERNAL, "\"%.100s\" names no snapshot", digest);
	name_of(digest, name);
	if (dir_open_at(home->dir_fd, "facts", &folder_fd, err))
		return -1;
	packed_fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (packed_fd < 0) {
		err_errno(err, "the snapshot %s/facts/%s", home->path, name);
		return err_hint(err, "history before it is still there; a new run takes a new one");
	}
	if (open_unnamed(folder_fd, &fd, err))
		return -1;
	struct unpacking unpacking = {.fd = fd};
	if (unpack(packed_fd, digest, &unpacking, err)) {
		if (unpacking.system)
			return err_wrap(err, "unpacking the snapshot %s/facts/%s", home->path, name);
		err->code = ERR_INTERNAL;
		err_wrap(err, "the snapshot %s/facts/%s is damaged", home->path, name);
		return err_hint(err, "remove the file: only what was seen at that time is lost");
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "the snapshot %s/facts/%s", home->path, name);
	*fd_out = steal_fd(&fd);
	return 0;
}

/* ---- what nobody names ---- */

struct sweep {
	const struct home *home;
	struct arena arena;
	struct map named; /* digest → anything */
	int facts_fd, folder_fd;
	int64_t before_ms;
	size_t count;
	uint64_t bytes;
};

static void free_sweep(struct sweep *sweep)
{
	map_free(&sweep->named);
	arena_free(&sweep->arena);
	close_fd(&sweep->folder_fd);
	close_fd(&sweep->facts_fd);
}

static int find_named(struct sweep *sweep, struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	if (db_query(sweep->home->db, &stmt, "select distinct snapshot_digest from parity_snapshot", err))
		return -1;
	while ((got = db_step(stmt, err)) > 0) {
		const char *digest = db_column_text(stmt, "snapshot_digest", &sweep->arena);
		map_put(&sweep->named, slice_of(digest), sweep);
	}
	return got;
}

static int sweep_file(void *context, const char *name, unsigned char type, struct err *err)
{
	struct sweep *sweep = context;
	struct slice digest = slice_of(name);
	struct stat st;
	(void)type;
	(void)err;

	if (slice_ends_with(digest, ".zst"))
		digest.len -= 4;
	if (map_get(&sweep->named, digest) || fstatat(sweep->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode) || (int64_t)st.st_mtime * 1000 >= sweep->before_ms)
		return 0;
	/* What another process took away meanwhile is gone all the same. */
	if (unlinkat(sweep->folder_fd, name, 0) == 0) {
		sweep->count++;
		sweep->bytes += (uint64_t)st.st_size;
	}
	return 0;
}

static int sweep_folder(void *context, const char *name, struct err *err)
{
	struct sweep *sweep = context;
	struct stat st;

	if (strlen(name) != 2 || fstatat(sweep->facts_fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISDIR(st.st_mode))
		return 0;
	if (dir_open_at(sweep->facts_fd, name, &sweep->folder_fd, err))
		return -1;
	int status = dir_each_fd(sweep->folder_fd, name, sweep_file, sweep, err);
	close_fd(&sweep->folder_fd);
	sweep->folder_fd = -1;
	return status;
}

int parity_snapshot_gc(const struct home *home, int64_t now_ms, size_t *count_out, uint64_t *bytes_out,
		       struct err *err)
{
	AUTO(free_sweep)
	struct sweep sweep = {.home = home, .facts_fd = -1, .folder_fd = -1, .before_ms = now_ms - GRACE_MS};

	*count_out = 0;
	*bytes_out = 0;
	if (open_locked(home, &sweep.facts_fd, err) || find_named(&sweep, err) ||
	    dir_each_at(sweep.facts_fd, ".", sweep_folder, &sweep, err))
		return err_wrap(err, "removing old snapshots");
	*count_out = sweep.count;
	*bytes_out = sweep.bytes;
	return 0;
}
