/* Parsing and building of record lines. What the fields mean is their reader's. */
#include "codec/record.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

enum { WORD_MAX = 40, CRC_TEXT_LEN = 13 /* " crc=xxxxxxxx" */ };

static bool is_word(struct slice s)
{
	if (s.len == 0 || s.len > WORD_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes that stand for themselves in a value. */
static bool is_plain(unsigned char c)
{
	return c > 0x20 && c != 0x7F && c != '%';
}

static bool decode_value(struct arena *arena, struct slice text, struct slice *out)
{
	char *value = arena_alloc(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c == '%') {
			if (text.len - i < 3 || hex_value(text.ptr[i + 1]) < 0 ||
			    hex_value(text.ptr[i + 2]) < 0)
				return false;
			value[len++] = (char)(hex_value(text.ptr[i + 1]) << 4 | hex_value(text.ptr[i + 2]));
			i += 2;
		} else if (is_plain(c)) {
			value[len++] = (char)c;
		} else {
			return false;
		}
	}
	*out = slice_make(value, len);
	return true;
}

int record_parse(struct arena *arena, struct slice line, struct record *out, struct err *err)
{
	struct slice rest = line;
	size_t spaces = 0;

	*out = (struct record){0};
	if (line.len > RECORD_LEN_MAX)
		return err_set(err, ERR_USER, "a record of %zu bytes: the limit is %d", line.len,
			       RECORD_LEN_MAX);
	struct slice kind = slice_cut(&rest, ' ');
	if (!is_word(kind))
		return err_set(err, ERR_USER, "a record does not begin with its kind");
	for (size_t i = 0; i < rest.len; i++)
		spaces += rest.ptr[i] == ' ';
	if (rest.ptr && spaces + 1 > RECORD_FIELDS_MAX)
		return err_set(err, ERR_USER, "record %.*s: more than %d fields", SLICE_ARG(kind),
			       RECORD_FIELDS_MAX);
	out->kind = arena_slice(arena, kind);
	if (rest.ptr)
		out->fields = ARENA_NEW_ARRAY(arena, spaces + 1, struct record_field);
	while (rest.ptr) {
		struct slice value = slice_cut(&rest, ' ');
		struct slice key = slice_cut(&value, '=');
		struct record_field *field = &out->fields[out->field_count];
		if (!value.ptr || !is_word(key) || !decode_value(arena, value, &field->value))
			return err_set(err, ERR_USER, "record %.*s: field %zu is malformed", SLICE_ARG(kind),
				       out->field_count + 1);
		field->key = arena_slice(arena, key);
		out->field_count++;
	}
	return 0;
}

/* CRC-32C (Castagnoli), RFC 3720 appendix B.4: reflected, polynomial 0x1EDC6F41. */
static uint32_t crc_table[256];

static void fill_crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;
		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ 0x82F63B78u : value >> 1;
		crc_table[i] = value;
	}
}

static uint32_t crc32c(struct slice bytes)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill_crc_table);
	uint32_t crc = ~0u;
	for (size_t i = 0; i < bytes.len; i++)
		crc = crc >> 8 ^ crc_table[(crc ^ (unsigned char)bytes.ptr[i]) & 0xFF];
	return ~crc;
}

static void put_crc(struct slice bytes, char out[CRC_TEXT_LEN + 1])
{
	snprintf(out, CRC_TEXT_LEN + 1, " crc=%08" PRIx32, crc32c(bytes));
}

int record_parse_sealed(struct arena *arena, struct slice line, struct record *out, struct err *err)
{
	char wanted[CRC_TEXT_LEN + 1];

	if (line.len < CRC_TEXT_LEN)
		return err_set(err, ERR_USER, "a sealed record is torn");
	struct slice body = slice_make(line.ptr, line.len - CRC_TEXT_LEN);
	put_crc(body, wanted);
	if (!slice_is(slice_skip(line, body.len), wanted))
		return err_set(err, ERR_USER,
			       "a sealed record is torn or was edited: its checksum does not match");
	return record_parse(arena, body, out, err);
}

struct slice record_get(const struct record *record, const char *key)
{
	for (size_t i = 0; i < record->field_count; i++)
		if (slice_is(record->fields[i].key, key))
			return record->fields[i].value;
	return slice_make(NULL, 0);
}

const char *record_get_str(struct arena *arena, const struct record *record, const char *key)
{
	struct slice value = record_get(record, key);
	return value.ptr ? arena_str(arena, value) : "";
}

int record_need(const struct record *record, const char *key, struct slice *out, struct err *err)
{
	*out = record_get(record, key);
	if (!out->ptr)
		return err_set(err, ERR_USER, "record %.*s lacks %s", SLICE_ARG(record->kind), key);
	return 0;
}

int record_need_u64(const struct record *record, const char *key, uint64_t *out, struct err *err)
{
	struct slice text;

	if (record_need(record, key, &text, err))
		return -1;
	if (!slice_to_u64(text, out))
		return err_set(err, ERR_USER, "record %.*s: %s is not a number", SLICE_ARG(record->kind),
			       key);
	return 0;
}

uint64_t record_get_u64(const struct record *record, const char *key, uint64_t fallback)
{
	uint64_t value;
	return slice_to_u64(record_get(record, key), &value) ? value : fallback;
}

int64_t record_get_i64(const struct record *record, const char *key, int64_t fallback)
{
	int64_t value;
	return slice_to_i64(record_get(record, key), &value) ? value : fallback;
}

bool record_next(const struct record *record, const char *key, size_t *cursor, struct slice *value)
{
	while (*cursor < record->field_count) {
		const struct record_field *field = &record->fields[(*cursor)++];
		if (slice_is(field->key, key)) {
			*value = field->value;
			return true;
		}
	}
	return false;
}

void record_begin(struct buf *out, const char *kind)
{
	ASSERT(is_word(slice_of(kind)));
	buf_puts(out, kind);
}

void record_put(struct buf *out, const char *key, struct slice value)
{
	ASSERT(is_word(slice_of(key)));
	buf_printf(out, " %s=", key);
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if (is_plain(c))
			buf_putc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

void record_put_str(struct buf *out, const char *key, const char *value)
{
	record_put(out, key, slice_of(value));
}

void record_put_opt(struct buf *out, const char *key, const char *value)
{
	if (value && *value)
		record_put_str(out, key, value);
}

void record_put_u64(struct buf *out, const char *key, uint64_t value)
{
	ASSERT(is_word(slice_of(key)));
	buf_printf(out, " %s=%" PRIu64, key, value);
}

void record_put_i64(struct buf *out, const char *key, int64_t value)
{
	ASSERT(is_word(slice_of(key)));
	buf_printf(out, " %s=%" PRId64, key, value);
}

void record_seal(struct buf *out, size_t start)
{
	char crc[CRC_TEXT_LEN + 1];

	ASSERT(start <= out->len);
	put_crc(slice_make(buf_str(out) + start, out->len - start), crc);
	buf_puts(out, crc);
	buf_putc(out, '\n');
}
