/* The canonical form of a release: reading it strictly, writing it, comparing two.
 * Pure: the static agent links this file and nothing else of the module. */
#include "store/manifest.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char header_line[] = "lockstep-manifest 1\n";
enum { HEADER_LEN = sizeof(header_line) - 1 };

static int compare_entries(const void *a, const void *b)
{
	return slice_compare(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

/* Names a path in an error without letting it forge a line. */
static int bad_path(struct err *err, struct slice path, const char *why)
{
	struct buf shown = BUF_INIT(MANIFEST_PATH_MAX * 4);

	buf_put_printable(&shown, slice_make(path.ptr, MIN(path.len, (size_t)MANIFEST_PATH_MAX)));
	err_set(err, ERR_USER, "\"%s\": %s", buf_str(&shown), why);
	buf_free(&shown);
	return -1;
}

static int check_path(struct slice path, struct err *err)
{
	struct slice rest = path;
	bool first = true;

	if (path.len == 0 || path.len > MANIFEST_PATH_MAX)
		return bad_path(err, path, "the path is empty or too long");
	if (slice_find(path, '\0') >= 0)
		return bad_path(err, path, "the path holds a NUL byte");
	while (rest.ptr) {
		struct slice part = slice_cut(&rest, '/');
		if (part.len == 0)
			return bad_path(err, path, "the path is absolute or has an empty component");
		if (slice_is(part, ".") || slice_is(part, ".."))
			return bad_path(err, path, "the path has a \".\" or \"..\" component");
		if (part.len > 255)
			return bad_path(err, path, "a name is longer than 255 bytes");
		if (first && slice_is(part, ".lockstep"))
			return bad_path(err, path, "the name .lockstep is reserved");
		first = false;
	}
	return 0;
}

bool manifest_link_stays_inside(struct slice path, struct slice target)
{
	size_t depth = 0;

	if (target.len == 0 || target.ptr[0] == '/')
		return false;
	for (size_t i = 0; i < path.len; i++)
		depth += path.ptr[i] == '/';
	for (struct slice rest = target; rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (part.len == 0 || slice_is(part, "."))
			continue;
		if (!slice_is(part, ".."))
			depth++;
		else if (depth-- == 0)
			return false;
	}
	return true;
}

static int check_entry(const struct entry *entry, struct err *err)
{
	static const struct digest none;

	if (check_path(entry->path, err))
		return -1;
	switch (entry->type) {
	case ENTRY_DIR:
		if (entry->mode != 0755 || entry->size != 0 ||
		    memcmp(&entry->digest, &none, sizeof(none)) != 0)
			return bad_path(err, entry->path, "a folder has mode 0755, no size and no digest");
		return 0;
	case ENTRY_FILE:
		if (entry->mode != 0644 && entry->mode != 0755)
			return bad_path(err, entry->path, "the mode of a file is 0644 or 0755");
		return entry->size <= INT64_MAX ? 0 : bad_path(err, entry->path, "the size is impossible");
	case ENTRY_LINK:
		if (entry->mode != 0777)
			return bad_path(err, entry->path, "the mode of a link is 0777");
		if (entry->size == 0 || entry->size > MANIFEST_LINK_MAX)
			return bad_path(err, entry->path, "the target of a link is empty or too long");
		return 0;
	}
	return bad_path(err, entry->path, "neither folder, file nor link");
}

/* The folder an entry lies in must come before it, as a folder. Neighbours mostly lie in the
 * same one, so the last is kept. */
static int check_parent(const struct manifest *manifest, const struct entry *entry, const struct entry **last,
			struct err *err)
{
	size_t len = entry->path.len;

	while (len && entry->path.ptr[len - 1] != '/')
		len--;
	if (len == 0)
		return 0;
	struct slice folder = slice_make(entry->path.ptr, len - 1);
	if (*last && slice_equal((*last)->path, folder))
		return 0;
	*last = manifest_find(manifest, folder);
	if (!*last || (*last)->type != ENTRY_DIR)
		return bad_path(err, entry->path, "the folder it lies in is not listed");
	return 0;
}

/* Everything that concerns more than one entry; entries are sorted. */
static int check_whole(struct manifest *manifest, struct err *err)
{
	const struct entry *folder = NULL;

	manifest->total_size = 0;
	manifest->file_count = 0;
	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		if (i && slice_compare(manifest->entries[i - 1].path, entry->path) >= 0)
			return bad_path(err, entry->path,
					slice_equal(manifest->entries[i - 1].path, entry->path)
						? "the path is listed twice"
						: "the entries are not sorted");
		if (check_parent(manifest, entry, &folder, err))
			return -1;
		if (entry->type != ENTRY_FILE)
			continue;
		manifest->file_count++;
		if (__builtin_add_overflow(manifest->total_size, entry->size, &manifest->total_size))
			return err_set(err, ERR_USER,
				       "the sizes of the files add up to more than is possible");
	}
	return 0;
}

const struct entry *manifest_find(const struct manifest *manifest, struct slice path)
{
	size_t low = 0, high = manifest->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(manifest->entries[middle].path, path);
		if (order == 0)
			return &manifest->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Octal without sign, exactly four digits. */
static bool parse_mode(struct slice text, uint16_t *mode)
{
	unsigned value = 0;

	if (text.len != 4)
		return false;
	for (size_t i = 0; i < 4; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '7')
			return false;
		value = value * 8 + (unsigned)(text.ptr[i] - '0');
	}
	*mode = (uint16_t)value;
	return true;
}

static bool parse_record(struct slice record, struct entry *entry)
{
	struct slice type = slice_cut(&record, ' ');
	struct slice mode = slice_cut(&record, ' ');
	struct slice size = slice_cut(&record, ' ');
	struct slice digest = slice_cut(&record, ' ');

	*entry = (struct entry){.path = record};
	if (!record.ptr || type.len != 1 || !parse_mode(mode, &entry->mode) ||
	    !slice_to_u64(size, &entry->size))
		return false;
	/* One number has one spelling: no leading zeros. */
	if (size.len > 1 && size.ptr[0] == '0')
		return false;
	entry->type = (enum entry_type)type.ptr[0];
	if (entry->type == ENTRY_DIR)
		return slice_is(digest, "-");
	return digest_from_hex(digest, &entry->digest);
}

int manifest_parse(struct arena *arena, struct slice bytes, struct manifest *out, struct err *err)
{
	size_t records = 0;

	*out = (struct manifest){.bytes = bytes};
	if (bytes.len > MANIFEST_BYTES_MAX)
		return err_set(err, ERR_USER, "a manifest of %zu bytes is larger than the limit", bytes.len);
	if (!slice_starts_with(bytes, header_line))
		return err_set(err, ERR_USER,
			       "not a manifest: the first line is not \"lockstep-manifest 1\"");
	struct slice rest = slice_skip(bytes, HEADER_LEN);
	if (rest.len && rest.ptr[rest.len - 1] != '\0')
		return err_set(err, ERR_USER, "the manifest is cut off: its last record has no end");
	for (size_t i = 0; i < rest.len; i++)
		records += rest.ptr[i] == '\0';
	if (records > MANIFEST_ENTRIES_MAX)
		return err_set(err, ERR_USER, "a manifest of %zu entries: the limit is %d", records,
			       MANIFEST_ENTRIES_MAX);
	out->entries = ARENA_NEW_ARRAY(arena, records, struct entry);
	while (out->count < records) {
		struct entry *entry = &out->entries[out->count];
		if (!parse_record(slice_cut(&rest, '\0'), entry))
			return err_set(err, ERR_USER, "manifest: record %zu is malformed", out->count + 1);
		if (check_entry(entry, err))
			return err_wrap(err, "manifest: record %zu", out->count + 1);
		out->count++;
	}
	if (check_whole(out, err))
		return err_wrap(err, "manifest");
	digest_of(bytes, &out->digest);
	return 0;
}

/* What stands before the path; returns its length. */
static size_t encode_head(const struct entry *entry, char out[128])
{
	char hex[DIGEST_HEX_LEN + 1] = "-";

	if (entry->type != ENTRY_DIR)
		digest_to_hex(&entry->digest, hex);
	return (size_t)snprintf(out, 128, "%c %04o %" PRIu64 " %s ", entry->type, entry->mode, entry->size,
				hex);
}

static char *put_bytes(char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

int manifest_build(struct arena *arena, const struct entry *entries, size_t count, struct manifest *out,
		   struct err *err)
{
	*out = (struct manifest){0};
	if (count > MANIFEST_ENTRIES_MAX)
		return err_set(err, ERR_USER, "%zu files and folders: the limit is %d", count,
			       MANIFEST_ENTRIES_MAX);
	AUTO(mem_free_ptr) struct entry *sorted = mem_array(count, sizeof(*sorted));
	char head[128];
	size_t len = HEADER_LEN;
	if (count)
		memcpy(sorted, entries, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_entries);
	for (size_t i = 0; i < count; i++) {
		if (check_entry(&sorted[i], err))
			return -1;
		len += encode_head(&sorted[i], head) + sorted[i].path.len + 1;
	}
	if (len > MANIFEST_BYTES_MAX)
		return err_set(err, ERR_USER, "a manifest of %zu bytes is larger than the limit", len);
	/* Straight to where it stays: a release of many files should not be held twice. */
	char *bytes = arena_alloc(arena, len);
	char *at = put_bytes(bytes, header_line, HEADER_LEN);
	for (size_t i = 0; i < count; i++) {
		at = put_bytes(at, head, encode_head(&sorted[i], head));
		at = put_bytes(at, sorted[i].path.ptr, sorted[i].path.len);
		*at++ = '\0';
	}
	mem_free_ptr(&sorted);
	/* What we name must be what everybody else will read: parse our own bytes. */
	return manifest_parse(arena, slice_make(bytes, len), out, err);
}

static bool same_content(const struct entry *a, const struct entry *b)
{
	return a->type == b->type && a->mode == b->mode && a->size == b->size &&
	       memcmp(&a->digest, &b->digest, sizeof(a->digest)) == 0;
}

size_t manifest_diff(struct arena *arena, const struct manifest *from, const struct manifest *to,
		     struct manifest_change **changes_out)
{
	struct manifest_change *changes =
		ARENA_NEW_ARRAY(arena, from->count + to->count, struct manifest_change);
	size_t count = 0, i = 0, j = 0;

	while (i < from->count || j < to->count) {
		const struct entry *old = i < from->count ? &from->entries[i] : NULL;
		const struct entry *new = j < to->count ? &to->entries[j] : NULL;
		int order = !old ? 1 : !new ? -1 : slice_compare(old->path, new->path);
		if (order < 0)
			changes[count++] = (struct manifest_change){old, NULL};
		else if (order > 0)
			changes[count++] = (struct manifest_change){NULL, new};
		else if (!same_content(old, new))
			changes[count++] = (struct manifest_change){old, new};
		i += order <= 0;
		j += order >= 0;
	}
	*changes_out = changes;
	return count;
}
