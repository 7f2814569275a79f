#include "agent/signature.h"

#include "base/fd.h"

#include <fcntl.h>

#include <inttypes.h>
#include <stdio.h>

#ifdef __APPLE__
#define st_mtim st_mtimespec
#define st_ctim st_ctimespec
#endif

static int64_t nanoseconds(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

void signature_take(struct own_entry *entry, const struct stat *st)
{
	entry->dev = (uint64_t)st->st_dev;
	entry->ino = (uint64_t)st->st_ino;
	entry->st_mode = (uint16_t)(st->st_mode & 07777);
	entry->mtime_ns = nanoseconds(st->st_mtim);
	entry->ctime_ns = nanoseconds(st->st_ctim);
}

enum signature_verdict signature_check(const struct own_entry *entry, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || entry->dev != (uint64_t)st->st_dev || entry->ino != (uint64_t)st->st_ino ||
	    entry->entry.size != (uint64_t)st->st_size || entry->st_mode != (st->st_mode & 07777) ||
	    entry->mtime_ns != nanoseconds(st->st_mtim))
		return SIGNATURE_BROKEN;
	return entry->ctime_ns == nanoseconds(st->st_ctim) ? SIGNATURE_HOLDS : SIGNATURE_HASH_AGAIN;
}

static bool parse_own(struct slice record, struct own_entry *out)
{
	struct slice show = slice_cut(&record, ' '), type = slice_cut(&record, ' '), mode = slice_cut(&record, ' '),
		     size = slice_cut(&record, ' '), digest = slice_cut(&record, ' '), dev = slice_cut(&record, ' '),
		     ino = slice_cut(&record, ' '), st_mode = slice_cut(&record, ' '),
		     mtime = slice_cut(&record, ' '), ctime = slice_cut(&record, ' ');
	uint64_t mode_bits, found_bits;

	*out = (struct own_entry){ .entry = { .path = record } };
	if (!record.ptr || show.len != 1 || type.len != 1 || !slice_to_u64(mode, &mode_bits) ||
	    !slice_to_u64(size, &out->entry.size) || !slice_to_u64(dev, &out->dev) || !slice_to_u64(ino, &out->ino) ||
	    !slice_to_u64(st_mode, &found_bits) || !slice_to_i64(mtime, &out->mtime_ns) ||
	    !slice_to_i64(ctime, &out->ctime_ns) || record.len == 0)
		return false;
	out->show = (enum show)show.ptr[0];
	out->entry.type = (enum entry_type)type.ptr[0];
	out->entry.mode = (uint16_t)mode_bits;
	out->st_mode = (uint16_t)found_bits;
	return out->entry.type == ENTRY_DIR || digest_from_hex(digest, &out->entry.digest);
}

static void file_name(const char *name, char out[64]) { snprintf(out, 64, "manifests/%s", name); }

int own_load(const struct place *place, const char *name, struct arena *arena, struct own_manifest *out,
	     struct err *err)
{
	static const char magic[] = "lockstep-activation 1 ";
	AUTO(buf_free) struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	char path[64];
	size_t count = 0;

	*out = (struct own_manifest){ 0 };
	file_name(name, path);
	if (place->private_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "%s has no manifest", name);
	if (file_read_at(place->private_fd, path, &bytes, err))
		return err_wrap(err, "%s/.lockstep", place->path);
	struct slice rest = arena_slice(arena, buf_slice(&bytes));
	struct slice head = slice_cut(&rest, '\n');
	if (!slice_starts_with(head, magic) || !digest_from_hex(slice_skip(head, sizeof(magic) - 1), &out->release))
		return err_set(err, ERR_INTERNAL, "%s/.lockstep/%s is damaged", place->path, path);
	for (size_t i = 0; i < rest.len; i++)
		count += rest.ptr[i] == '\0';
	out->entries = ARENA_NEW_ARRAY(arena, count, struct own_entry);
	while (out->count < count)
		if (!parse_own(slice_cut(&rest, '\0'), &out->entries[out->count++]))
			return err_set(err, ERR_INTERNAL, "%s/.lockstep/%s is damaged", place->path, path);
	return 0;
}

int own_save(const struct place *place, const char *name, const struct own_manifest *own, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	char hex[DIGEST_HEX_LEN + 1], path[64];

	digest_to_hex(&own->release, hex);
	buf_printf(&bytes, "lockstep-activation 1 %s\n", hex);
	for (size_t i = 0; i < own->count; i++) {
		const struct own_entry *e = &own->entries[i];
		snprintf(hex, sizeof(hex), "-");
		if (e->entry.type != ENTRY_DIR)
			digest_to_hex(&e->entry.digest, hex);
		buf_printf(&bytes, "%c %c %u %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %u %" PRId64 " %" PRId64 " ",
			   e->show, e->entry.type, e->entry.mode, e->entry.size, hex, e->dev, e->ino, e->st_mode,
			   e->mtime_ns, e->ctime_ns);
		buf_put_slice(&bytes, e->entry.path);
		buf_putc(&bytes, '\0');
	}
	file_name(name, path);
	if (buf_check(&bytes, "the manifest of an activation", err))
		return -1;
	return file_replace_at(place->private_fd, path, buf_slice(&bytes), 0600, err);
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

int release_manifest_load(const struct place *place, const char *release_hex, struct arena *arena,
			  struct manifest *out, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	char path[DIGEST_HEX_LEN + 32], hex[DIGEST_HEX_LEN + 1];

	snprintf(path, sizeof(path), "manifests/release-%.64s", release_hex);
	if (place->private_fd < 0)
		return err_set(err, ERR_NOT_FOUND, "release %.12s is not here", release_hex);
	if (file_read_at(place->private_fd, path, &bytes, err))
		return err_wrap(err, "%s/.lockstep", place->path);
	if (manifest_parse(arena, arena_slice(arena, buf_slice(&bytes)), out, err))
		return err_wrap(err, "%s/.lockstep/%s", place->path, path);
	digest_to_hex(&out->digest, hex);
	if (strcmp(hex, release_hex) != 0)
		return err_set(err, ERR_INTERNAL, "%s/.lockstep/%s is damaged", place->path, path);
	return 0;
}

int release_manifest_save(const struct place *place, const struct manifest *manifest, struct err *err)
{
	char path[DIGEST_HEX_LEN + 32], hex[DIGEST_HEX_LEN + 1];
	struct stat st;

	digest_to_hex(&manifest->digest, hex);
	snprintf(path, sizeof(path), "manifests/release-%s", hex);
	if (fstatat(place->private_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_size == manifest->bytes.len)
		return 0;
	return file_replace_at(place->private_fd, path, manifest->bytes, 0600, err);
}
