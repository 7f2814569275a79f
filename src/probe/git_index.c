#include "probe/git_index.h"

enum {
	HEADER = 12,
	FIXED = 62, /* of an entry: up to and with its flags */
	FLAG_VALID = 0x8000,
	FLAG_EXTENDED = 0x4000,
	FLAG_STAGE = 0x3000,
	EXTENDED_SKIP_WORKTREE = 0x4000,
	MODE_KIND = 0170000,
	MODE_FILE = 0100000,
	MODE_LINK = 0120000,
};

static uint32_t be32(const char *at)
{
	const uint8_t *bytes = (const uint8_t *)at;

	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t be16(const char *at)
{
	return (uint32_t)(uint8_t)at[0] << 8 | (uint8_t)at[1];
}

bool git_index_open(struct slice file, struct git_index *out)
{
	*out = (struct git_index){.file = file};
	if (file.len < HEADER || memcmp(file.ptr, "DIRC", 4) != 0)
		return false;
	out->version = be32(file.ptr + 4);
	out->left = be32(file.ptr + 8);
	out->rest = slice_skip(file, HEADER);
	return out->version >= 2 && out->version <= 4;
}

/* How many bytes of the path before are left out; as in git's pack files. */
static bool take_offset(struct slice *rest, size_t *out)
{
	size_t value = 0;

	for (size_t i = 0; i < 4 && i < rest->len; i++) {
		uint8_t byte = (uint8_t)rest->ptr[i];
		value = (i ? (value + 1) << 7 : 0) | (byte & 0x7F);
		if (byte & 0x80)
			continue;
		*rest = slice_skip(*rest, i + 1);
		*out = value;
		return true;
	}
	return false;
}

static bool take_path(struct git_index *index, size_t fixed_len)
{
	size_t kept = 0, left_out = 0;

	if (index->version == 4) {
		if (!take_offset(&index->rest, &left_out) || left_out > index->path_len)
			return false;
		kept = index->path_len - left_out;
	}
	ptrdiff_t end = slice_find(index->rest, '\0');
	if (end < 0 || kept + (size_t)end > sizeof(index->path) || kept + (size_t)end == 0)
		return false;
	memcpy(index->path + kept, index->rest.ptr, (size_t)end);
	index->path_len = kept + (size_t)end;
	/* One to eight NULs, so that the next entry begins at a multiple of eight. */
	size_t taken = index->version == 4 ? (size_t)end + 1
					   : ((fixed_len + (size_t)end + 8) & ~(size_t)7) - fixed_len;
	if (taken > index->rest.len)
		return false;
	index->rest = slice_skip(index->rest, taken);
	return true;
}

bool git_index_next(struct git_index *index, struct git_entry *out)
{
	const char *at = index->rest.ptr;
	size_t fixed_len = FIXED;

	if (!index->left || index->rest.len < FIXED + 2)
		return false;
	uint32_t flags = be16(at + 60);
	uint32_t more = flags & FLAG_EXTENDED ? be16(at + FIXED) : 0;
	*out = (struct git_entry){
		.blob = (const uint8_t *)at + 40,
		.ctime = be32(at),
		.ctime_ns = be32(at + 4),
		.mtime = be32(at + 8),
		.mtime_ns = be32(at + 12),
		.size = be32(at + 36),
		.is_file = (be32(at + 24) & MODE_KIND) == MODE_FILE,
		.is_link = (be32(at + 24) & MODE_KIND) == MODE_LINK,
		.overlooked = (flags & FLAG_VALID) || (more & EXTENDED_SKIP_WORKTREE),
		.unsure = (flags & FLAG_STAGE) || (more & ~(uint32_t)EXTENDED_SKIP_WORKTREE),
	};
	if (flags & FLAG_EXTENDED)
		fixed_len += 2;
	index->rest = slice_skip(index->rest, fixed_len);
	if (!take_path(index, fixed_len)) {
		index->left = 0;
		return false;
	}
	index->left--;
	out->path = slice_make(index->path, index->path_len);
	return true;
}
