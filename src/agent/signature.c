#include "agent/signature.h"

#include "base/fd.h"

#include <fcntl.h>

#include <stdio.h>
#include <unistd.h>

#ifdef __APPLE__
#define st_mtim st_mtimespec
#define st_ctim st_ctimespec
#endif

static int64_t nanoseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

uint64_t own_owner_of(const struct stat *st)
{
	return (uint64_t)st->st_uid << 32 | st->st_gid;
}

static uint64_t dev_of(const struct own_entry *entry, const struct stat *st)
{
	return entry->show == SHOW_RENDERED ? own_owner_of(st) : (uint64_t)st->st_dev;
}

void signature_take(struct own_entry *entry, const struct stat *st)
{
	entry->dev = dev_of(entry, st);
	entry->ino = (uint64_t)st->st_ino;
	entry->st_mode = (uint16_t)(st->st_mode & 07777);
	entry->mtime_ns = nanoseconds(st->st_mtim);
	entry->ctime_ns = nanoseconds(st->st_ctim);
}

enum signature_verdict signature_check(const struct own_entry *entry, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || entry->dev != dev_of(entry, st) || entry->ino != (uint64_t)st->st_ino ||
	    entry->entry.size != (uint64_t)st->st_size || entry->st_mode != (st->st_mode & 07777) ||
	    entry->mtime_ns != nanoseconds(st->st_mtim))
		return SIGNATURE_BROKEN;
	return entry->ctime_ns == nanoseconds(st->st_ctim) ? SIGNATURE_HOLDS : SIGNATURE_HASH_AGAIN;
}

static bool parse_own(struct slice record, struct own_entry *out)
{
	struct slice show = slice_cut(&record, ' '), type = slice_cut(&record, ' '),
		     mode = slice_cut(&record, ' '), size = slice_cut(&record, ' '),
		     digest = slice_cut(&record, ' '), dev = slice_cut(&record, ' '),
		     ino = slice_cut(&record, ' '), st_mode = slice_cut(&record, ' '),
		     mtime = slice_cut(&record, ' '), ctime = slice_cut(&record, ' ');
	uint64_t mode_bits, found_bits;

	*out = (struct own_entry){.entry = {.path = record}};
	if (!record.ptr || show.len != 1 || type.len != 1 || !slice_to_u64(mode, &mode_bits) ||
	    !slice_to_u64(size, &out->entry.size) || !slice_to_u64(dev, &out->dev) ||
	    !slice_to_u64(ino, &out->ino) || !slice_to_u64(st_mode, &found_bits) ||
	    !slice_to_i64(mtime, &out->mtime_ns) || !slice_to_i64(ctime, &out->ctime_ns) || record.len == 0)
		return false;
	out->show = (enum show)show.ptr[0];
	out->entry.type = (enum entry_type)type.ptr[0];
	out->entry.mode = (uint16_t)mode_bits;
	out->st_mode = (uint16_t)found_bits;
	return out->entry.type == ENTRY_DIR || digest_from_hex(digest, &out->entry.digest);
}

static void file_name(const char *name, char out[64])
{
	snprintf(out, 64, "manifests/%s", name);
}

static int damaged(const struct place *place, const char *path, struct err *err)
{
	return err_set(err, ERR_INTERNAL, "%s/.lockstep/%s is damaged", place->path, path);
}

/* How many records a file has, so that their room is got once. */
static int count_records(int fd, size_t *count, struct err *err)
{
	char piece[16 << 10];
	size_t got;

	*count = 0;
	do {
		if (fd_read_full(fd, piece, sizeof(piece), &got, err))
			return -1;
		struct slice rest = slice_make(piece, got);
		for (ptrdiff_t at; (at = slice_find(rest, '\0')) >= 0; (*count)++)
			rest = slice_skip(rest, (size_t)at + 1);
	} while (got == sizeof(piece));
	return lseek(fd, 0, SEEK_SET) == 0 ? 0 : err_errno(err, "seek");
}

/* Both are sorted by path: it is mostly the entry behind the one found last. */
static const struct entry *find_shared(const struct manifest *shares, size_t *next, struct slice path)
{
	const struct entry *found;

	if (!shares)
		return NULL;
	found = *next < shares->count && slice_equal(shares->entries[*next].path, path)
			? &shares->entries[*next]
			: manifest_find(shares, path);
	if (found)
		*next = (size_t)(found - shares->entries) + 1;
	return found;
}

/* Takes whole records off the front of `rest`; false when one is malformed. Only the
 * path of a record is kept: the text of all of them is twice what the entries take. */
static bool take_records(struct slice *rest, bool *has_head, size_t count, struct arena *arena,
			 const struct manifest *shares, size_t *next_shared, struct own_manifest *out)
{
	static const char magic[] = "lockstep-activation 1 ";

	for (;;) {
		ptrdiff_t end = slice_find(*rest, *has_head ? '\0' : '\n');
		if (end < 0)
			return true;
		struct slice record = slice_make(rest->ptr, (size_t)end);
		*rest = slice_skip(*rest, (size_t)end + 1);
		if (!*has_head) {
			*has_head = slice_starts_with(record, magic) &&
				    digest_from_hex(slice_skip(record, sizeof(magic) - 1), &out->release);
			if (!*has_head)
				return false;
			continue;
		}
		struct own_entry *entry = &out->entries[out->count];
		if (out->count == count || !parse_own(record, entry))
			return false;
		const struct entry *same = find_shared(shares, next_shared, entry->entry.path);
		entry->entry.path = same ? same->path : arena_slice(arena, entry->entry.path);
		out->count++;
	}
}

int own_load(const struct place *place, const char *name, struct arena *arena, const struct manifest *shares,
	     struct own_manifest *out, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	char path[64], piece[64 << 10];
	size_t count, have = 0, got, next_shared = 0;
	bool has_head = false;

	*out = (struct own_manifest){0};
	file_name(name, path);
	if (place->private_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "%s has no manifest", name);
	fd = openat(place->private_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, "%s/.lockstep/%s", place->path, path);
	if (count_records(fd, &count, err))
		return err_wrap(err, "%s/.lockstep/%s", place->path, path);
	if (count > 2 * (size_t)MANIFEST_ENTRIES_MAX)
		return damaged(place, path, err);
	out->entries = ARENA_NEW_ARRAY(arena, count, struct own_entry);
	do {
		if (fd_read_full(fd, piece + have, sizeof(piece) - have, &got, err))
			return err_wrap(err, "%s/.lockstep/%s", place->path, path);
		struct slice rest = slice_make(piece, have + got);
		if (!take_records(&rest, &has_head, count, arena, shares, &next_shared, out) ||
		    rest.len == sizeof(piece))
			return damaged(place, path, err);
		memmove(piece, rest.ptr, rest.len);
		have = rest.len;
	} while (got > 0);
	return has_head && have == 0 ? 0 : damaged(place, path, err);
}

/* A number and a space; printf takes most of the time that a manifest takes. */
static void put_number(struct buf *out, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits);

	digits[--at] = ' ';
	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	buf_put(out, digits + at, sizeof(digits) - at);
}

static void put_signed(struct buf *out, int64_t number)
{
	if (number < 0)
		buf_putc(out, '-');
	put_number(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

static void put_own(struct buf *out, const struct own_entry *e)
{
	char hex[DIGEST_HEX_LEN + 1] = "-";

	if (e->entry.type != ENTRY_DIR)
		digest_to_hex(&e->entry.digest, hex);
	buf_put(out, (char[]){(char)e->show, ' ', (char)e->entry.type, ' '}, 4);
	put_number(out, e->entry.mode);
	put_number(out, e->entry.size);
	buf_puts(out, hex);
	buf_putc(out, ' ');
	put_number(out, e->dev);
	put_number(out, e->ino);
	put_number(out, e->st_mode);
	put_signed(out, e->mtime_ns);
	put_signed(out, e->ctime_ns);
	buf_put_slice(out, e->entry.path);
	buf_putc(out, '\0');
}

static int write_own(int fd, const struct own_manifest *own, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(KIB(128));
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(&own->release, hex);
	buf_printf(&bytes, "lockstep-activation 1 %s\n", hex);
	for (size_t i = 0; i < own->count; i++) {
		put_own(&bytes, &own->entries[i]);
		if (bytes.len < KIB(64) && i + 1 < own->count)
			continue;
		if (buf_check(&bytes, "the manifest of an activation", err) ||
		    fd_write_all(fd, bytes.ptr, bytes.len, err))
			return -1;
		buf_clear(&bytes);
	}
	return fd_write_all(fd, bytes.ptr, bytes.len, err);
}

int own_save(const struct place *place, const char *name, const struct own_manifest *own, struct err *err)
{
	AUTO(close_fd) int dir = -1;
	AUTO(close_fd) int fd = -1;
	char temporary[64];

	/* In pieces, as file_replace_at does it whole. */
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	if (dir_open_at(place->private_fd, "manifests", &dir, err))
		return -1;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "%s/.lockstep/manifests/%s", place->path, name);
	if (write_own(fd, own, err) == 0) {
		if (fsync(fd) != 0 || renameat(dir, temporary, dir, name) != 0)
			err_errno(err, "sync");
		else
			return dir_sync(dir, err);
	}
	unlinkat(dir, temporary, 0);
	return err_wrap(err, "%s/.lockstep/manifests/%s", place->path, name);
}

const struct own_entry *own_find(const struct own_manifest *own, struct slice path)
{
	size_t low = 0, high = own->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(own->entries[middle].entry.path, path);
		if (order == 0)
			return &own->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int release_manifest_read(const struct place *place, const char *release_hex, struct arena *arena,
			  struct slice *out, struct err *err)
{
	char path[DIGEST_HEX_LEN + 32], hex[DIGEST_HEX_LEN + 1];
	AUTO(close_fd) int fd = -1;
	struct digest digest;
	struct stat st;
	size_t got;

	snprintf(path, sizeof(path), "manifests/release-%.64s", release_hex);
	if (place->private_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "release %.12s is not here", release_hex);
	fd = openat(place->private_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_errno(err, "%s/.lockstep/%s", place->path, path);
	if (st.st_size > MANIFEST_BYTES_MAX)
		return damaged(place, path, err);
	/* Once, and as large as it is. */
	char *bytes = arena_alloc(arena, (size_t)st.st_size + 1);
	if (fd_read_full(fd, bytes, (size_t)st.st_size, &got, err))
		return err_wrap(err, "%s/.lockstep/%s", place->path, path);
	*out = slice_make(bytes, got);
	digest_of(*out, &digest);
	digest_to_hex(&digest, hex);
	return strcmp(hex, release_hex) == 0 ? 0 : damaged(place, path, err);
}

int release_manifest_load(const struct place *place, const char *release_hex, struct arena *arena,
			  struct manifest *out, struct err *err)
{
	struct slice bytes;

	if (release_manifest_read(place, release_hex, arena, &bytes, err))
		return -1;
	return manifest_parse(arena, bytes, out, err) ? err_wrap(err, "release %.12s", release_hex) : 0;
}

int release_manifest_save(const struct place *place, const struct manifest *manifest, struct err *err)
{
	char path[DIGEST_HEX_LEN + 32], hex[DIGEST_HEX_LEN + 1];
	struct stat st;

	digest_to_hex(&manifest->digest, hex);
	snprintf(path, sizeof(path), "manifests/release-%s", hex);
	if (fstatat(place->private_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (uint64_t)st.st_size == manifest->bytes.len)
		return 0;
	return file_replace_at(place->private_fd, path, manifest->bytes, 0600, err);
}
