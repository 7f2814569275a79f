/* Any line: parsing never reads outside it, and what it accepts survives being
 * written and read again. */
#include "codec/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf written = BUF_INIT(MIB(4));
	struct err err = ERR_INIT;
	struct record record, again;

	(void)!record_parse_sealed(&arena, slice_make(data, size), &record, &err);
	if (record_parse(&arena, slice_make(data, size), &record, &err)) {
		ASSERT(err.code == ERR_USER && err.text[0]);
		return 0;
	}
	record_begin(&written, arena_str(&arena, record.kind));
	for (size_t i = 0; i < record.field_count; i++)
		record_put(&written, arena_str(&arena, record.fields[i].key), record.fields[i].value);
	record_seal(&written, 0);
	struct slice line = slice_make(written.ptr, written.len - 1);
	/* Escaping may make a line longer than the limit; then refusing it is right. */
	if (line.len > RECORD_LEN_MAX)
		return 0;
	if (record_parse_sealed(&arena, line, &again, &err))
		ASSERT(!"what was written is read");
	ASSERT(slice_equal(again.kind, record.kind) && again.field_count == record.field_count);
	for (size_t i = 0; i < record.field_count; i++) {
		ASSERT(slice_equal(again.fields[i].key, record.fields[i].key));
		ASSERT(slice_equal(again.fields[i].value, record.fields[i].value));
	}
	return 0;
}
