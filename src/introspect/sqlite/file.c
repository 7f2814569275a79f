#include "introspect/sqlite/file.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 20, LOG_HEADER_LEN = 32, FRAME_HEADER_LEN = 24 };

static uint32_t be32(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t le32(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static uint32_t be16(const char *bytes)
{
	const unsigned char *b = (const unsigned char *)bytes;

	return (uint32_t)b[0] << 8 | b[1];
}

static int malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_USER, "the file is damaged: %s", what);
}

static bool is_page_size(uint32_t size)
{
	return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

void sqlite_file_free(struct sqlite_file *file)
{
	map_free(&file->pages);
	free(file->wanted);
	arena_free(&file->arena);
}

int sqlite_file_begin(struct sqlite_file *file, struct slice head, uint64_t size, struct err *err)
{
	static const char magic[] = "SQLite format 3";

	if (head.len < SQLITE_HEADER_LEN || memcmp(head.ptr, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_USER, "it is not an SQLite 3 database");
	uint32_t page_size = be16(head.ptr + 16), reserved = (unsigned char)head.ptr[20];
	file->page_size = page_size == 1 ? 65536 : page_size;
	if (!is_page_size(file->page_size) || file->page_size - reserved < 480)
		return malformed(err, "its page size is none");
	file->usable = file->page_size - reserved;
	file->page_count = (uint32_t)MIN(size / file->page_size, (uint64_t)UINT32_MAX - 1);
	file->is_wal = head.ptr[18] == 2 || head.ptr[19] == 2;
	file->encoding = be32(head.ptr + 56);
	file->user_version = be32(head.ptr + 60);
	file->application_id = be32(head.ptr + 68);
	file->written_by = be32(head.ptr + 96);
	return 0;
}

static void put_page(struct sqlite_file *file, uint32_t number, struct slice bytes)
{
	uint32_t *key = ARENA_NEW(&file->arena, uint32_t);

	*key = number;
	map_put(&file->pages, slice_make(key, sizeof(*key)), arena_str(&file->arena, bytes));
}

static const char *get_page(const struct sqlite_file *file, uint32_t number)
{
	return map_get(&file->pages, slice_make(&number, sizeof(number)));
}

void sqlite_file_page(struct sqlite_file *file, uint32_t number, struct slice bytes)
{
	if (bytes.len == file->page_size && file->pages.count < SQLITE_PAGES_MAX && !get_page(file, number))
		put_page(file, number, bytes);
}

/* --- the log ------------------------------------------------------------------------ */

struct sums {
	uint32_t a, b;
	bool big_endian;
};

static void sum(struct sums *sums, const char *bytes, size_t len)
{
	uint32_t (*word)(const char *) = sums->big_endian ? be32 : le32;

	for (size_t i = 0; i + 8 <= len; i += 8) {
		sums->a += word(bytes + i) + sums->b;
		sums->b += word(bytes + i + 4) + sums->a;
	}
}

static bool sum_is(const struct sums *sums, const char *bytes)
{
	return sums->a == be32(bytes) && sums->b == be32(bytes + 4);
}

/* How many frames count: up to the last that ends a transaction. */
static size_t committed_frames(const struct sqlite_file *file, struct slice log, struct sums sums,
			       uint32_t *page_count_out)
{
	size_t frame_len = FRAME_HEADER_LEN + file->page_size, counted = 0;

	for (size_t i = 0; LOG_HEADER_LEN + (i + 1) * frame_len <= log.len; i++) {
		const char *frame = log.ptr + LOG_HEADER_LEN + i * frame_len;
		if (memcmp(frame + 8, log.ptr + 16, 8) != 0)
			break;
		sum(&sums, frame, 8);
		sum(&sums, frame + FRAME_HEADER_LEN, file->page_size);
		if (!sum_is(&sums, frame + 16))
			break;
		if (be32(frame + 4)) {
			counted = i + 1;
			*page_count_out = be32(frame + 4);
		}
	}
	return counted;
}

int sqlite_file_log(struct sqlite_file *file, struct slice log, struct err *err)
{
	if (log.len < LOG_HEADER_LEN)
		return 0;
	uint32_t magic = be32(log.ptr);
	if ((magic & ~1u) != 0x377f0682 || be32(log.ptr + 8) != file->page_size)
		return malformed(err, "its write-ahead log is none");
	struct sums sums = {.big_endian = magic & 1};
	sum(&sums, log.ptr, 24);
	if (!sum_is(&sums, log.ptr + 24))
		return 0; /* never begun */
	size_t frame_len = FRAME_HEADER_LEN + file->page_size;
	size_t count = committed_frames(file, log, sums, &file->page_count);
	for (size_t i = count; i-- > 0;) { /* the last one of a page counts */
		const char *frame = log.ptr + LOG_HEADER_LEN + i * frame_len;
		sqlite_file_page(file, be32(frame), slice_make(frame + FRAME_HEADER_LEN, file->page_size));
	}
	return 0;
}

/* --- trees --------------------------------------------------------------------------------- */

struct walk {
	struct sqlite_file *file;
	struct map seen; /* pages of this tree: a page stands in it once */
	bool counting;	 /* the first pass: which pages are missing? */
	size_t rows_left;
	int (*row)(void *context, int64_t rowid, const struct slice *values, size_t count, struct err *err);
	void *context;
	char *payload;
};

static void want(struct sqlite_file *file, uint32_t number)
{
	if (file->wanted_count == file->wanted_cap) {
		file->wanted_cap = MAX(file->wanted_cap * 2, (size_t)64);
		file->wanted = mem_grow(file->wanted, file->wanted_cap, sizeof(*file->wanted));
	}
	file->wanted[file->wanted_count++] = number;
}

/* A page of this tree, for the first time; NULL without err: it is wanted. */
static int take_page(struct walk *walk, uint32_t number, const char **out, struct err *err)
{
	struct sqlite_file *file = walk->file;

	if (number == 0 || number > file->page_count)
		return malformed(err, "a page lies outside of it");
	if (map_get(&walk->seen, slice_make(&number, sizeof(number))))
		return malformed(err, "a page is used twice");
	if (walk->seen.count >= SQLITE_PAGES_MAX)
		return err_set(err, ERR_INTERNAL, "more pages than are looked at");
	uint32_t *key = ARENA_NEW(&file->arena, uint32_t);
	*key = number;
	map_put(&walk->seen, slice_make(key, sizeof(*key)), walk);
	*out = get_page(file, number);
	if (!*out)
		want(file, number);
	return 0;
}

/* SQLite's big-endian varint of one to nine bytes; false: it does not end. */
static bool take_varint(struct slice *rest, uint64_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 9 && i < rest->len; i++) {
		unsigned char byte = (unsigned char)rest->ptr[i];
		if (i == 8) {
			*out = value << 8 | byte;
			*rest = slice_skip(*rest, 9);
			return true;
		}
		value = value << 7 | (byte & 0x7f);
		if (!(byte & 0x80)) {
			*out = value;
			*rest = slice_skip(*rest, i + 1);
			return true;
		}
	}
	return false;
}

static int64_t take_integer(const char *bytes, size_t len)
{
	uint64_t value = len && (bytes[0] & 0x80) ? UINT64_MAX : 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | (unsigned char)bytes[i];
	return (int64_t)value;
}

/* One value of a record; its text, if it needs one, in the arena. */
static bool take_value(struct arena *arena, uint64_t type, struct slice *body, struct slice *out)
{
	static const size_t lengths[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
	uint64_t len = type < 10 ? lengths[type] : type < 12 ? UINT64_MAX : (type - 12) / 2;

	if (len > body->len)
		return false;
	struct slice bytes = slice_make(body->ptr, (size_t)len);
	*body = slice_skip(*body, (size_t)len);
	if (type == 0) {
		*out = slice_make(NULL, 0);
	} else if (type == 7) {
		uint64_t bits = (uint64_t)take_integer(bytes.ptr, 8);
		double number;
		memcpy(&number, &bits, sizeof(number));
		*out = slice_of(arena_printf(arena, "%.17g", number));
	} else if (type < 10) {
		int64_t number = type >= 8 ? (int64_t)type - 8 : take_integer(bytes.ptr, bytes.len);
		*out = slice_of(arena_printf(arena, "%lld", (long long)number));
	} else {
		*out = slice_make(bytes.ptr ? bytes.ptr : "", bytes.len);
	}
	return true;
}

static int take_record(struct walk *walk, int64_t rowid, struct slice payload, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct slice values[SQLITE_VALUES_MAX], types = payload;
	uint64_t header_len = 0, type = 0;
	size_t count = 0;

	if (!take_varint(&types, &header_len) || header_len > payload.len ||
	    header_len < payload.len - types.len)
		return malformed(err, "a record's header is too long");
	struct slice body = slice_skip(payload, (size_t)header_len);
	types = slice_make(types.ptr, (size_t)(body.ptr - types.ptr));
	while (types.len && count < SQLITE_VALUES_MAX) {
		if (!take_varint(&types, &type) || !take_value(&arena, type, &body, &values[count]))
			return malformed(err, "a record is too short");
		count++;
	}
	return walk->row(walk->context, rowid, values, count, err);
}

/* What does not fit beside the tree stands in a chain of pages. */
static int take_chain(struct walk *walk, uint32_t number, char *to, size_t len, bool *whole, struct err *err)
{
	size_t each = walk->file->usable - 4;

	while (len) {
		const char *page = NULL;
		if (take_page(walk, number, &page, err))
			return -1;
		if (!page) {
			*whole = false;
			return 0;
		}
		size_t piece = MIN(len, each);
		memcpy(to, page + 4, piece);
		to += piece;
		len -= piece;
		number = be32(page);
	}
	return 0;
}

static int take_cell(struct walk *walk, struct slice cell, struct err *err)
{
	uint64_t len = 0, rowid = 0;
	uint32_t usable = walk->file->usable, most = usable - 35;
	bool whole = true;

	if (!take_varint(&cell, &len) || !take_varint(&cell, &rowid))
		return malformed(err, "a cell is too short");
	if (len > SQLITE_PAYLOAD_MAX)
		return err_set(err, ERR_INTERNAL, "a row is longer than %d KB", SQLITE_PAYLOAD_MAX >> 10);
	size_t local = (size_t)len;
	if (len > most) {
		uint32_t least = (usable - 12) * 32 / 255 - 23;
		uint32_t rest = least + ((uint32_t)len - least) % (usable - 4);
		local = rest <= most ? rest : least;
	}
	if (cell.len < local + (local < len ? 4 : 0))
		return malformed(err, "a cell goes beyond its page");
	if (local == len)
		return walk->counting ? 0
				      : take_record(walk, (int64_t)rowid, slice_make(cell.ptr, local), err);
	memcpy(walk->payload, cell.ptr, local);
	if (take_chain(walk, be32(cell.ptr + local), walk->payload + local, (size_t)len - local, &whole, err))
		return -1;
	if (walk->counting || !whole)
		return 0;
	return take_record(walk, (int64_t)rowid, slice_make(walk->payload, (size_t)len), err);
}

static int take_tree(struct walk *walk, uint32_t number, int depth, struct err *err)
{
	const char *page = NULL;

	if (depth > DEPTH_MAX)
		return malformed(err, "a tree is too deep");
	if (take_page(walk, number, &page, err))
		return -1;
	if (!page)
		return 0;
	const char *header = page + (number == 1 ? SQLITE_HEADER_LEN : 0);
	bool is_leaf = header[0] == 13;
	size_t begin = (size_t)(header - page) + (is_leaf ? 8 : 12), cells = be16(header + 3);
	if (!is_leaf && header[0] != 5)
		return header[0] == 10 || header[0] == 2
			       ? err_set(err, ERR_USER, "a table without rowid is not read")
			       : malformed(err, "a page is of no kind");
	if (begin + 2 * cells > walk->file->usable)
		return malformed(err, "a page has more cells than room");
	for (size_t i = 0; i < cells && walk->rows_left; i++) {
		size_t at = be16(page + begin + 2 * i);
		if (at < begin || at + 4 > walk->file->usable)
			return malformed(err, "a cell lies outside of its page");
		int status = is_leaf ? take_cell(walk, slice_make(page + at, walk->file->usable - at), err)
				     : take_tree(walk, be32(page + at), depth + 1, err);
		if (status)
			return status;
		walk->rows_left -= is_leaf;
	}
	return is_leaf || !walk->rows_left ? 0 : take_tree(walk, be32(header + 8), depth + 1, err);
}

int sqlite_file_table(struct sqlite_file *file, uint32_t root, size_t rows_max,
		      int (*row)(void *context, int64_t rowid, const struct slice *values, size_t count,
				 struct err *err),
		      void *context, struct err *err)
{
	struct walk walk = {.file = file, .row = row, .context = context, .counting = true};
	int status;

	if (file->encoding > 1)
		return err_set(err, ERR_USER, "its text is UTF-16, which is not read");
	walk.payload = mem_alloc(SQLITE_PAYLOAD_MAX);
	walk.rows_left = rows_max;
	file->wanted_count = 0;
	status = take_tree(&walk, root, 0, err);
	map_free(&walk.seen);
	if (status == 0 && file->wanted_count == 0) {
		walk.seen = MAP_INIT;
		walk.counting = false;
		walk.rows_left = rows_max;
		status = take_tree(&walk, root, 0, err);
		map_free(&walk.seen);
	}
	free(walk.payload);
	return status ? -1 : file->wanted_count > 0;
}
