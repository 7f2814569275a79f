/* Any bytes as an SQLite file with a log behind it (the first two bytes say how long the
 * log is): never a crash, no endless walk, and no more pages asked for than there are. */
#include "introspect/sqlite/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *context, int64_t rowid, const struct slice *values, size_t count, struct err *err)
{
	size_t *bytes = context;

	(void)rowid;
	(void)err;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < values[i].len; k++)
			*bytes += (unsigned char)values[i].ptr[k];
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(sqlite_file_free) struct sqlite_file file = {0};
	struct err err = ERR_INIT;
	size_t bytes = 0;

	if (size < 2 || size > 1 << 17)
		return 0;
	size_t log_len = MIN((size_t)(data[0] | data[1] << 8), size - 2);
	struct slice whole = slice_make(data + 2, size - 2 - log_len);
	struct slice log = slice_make(data + size - log_len, log_len);
	if (sqlite_file_begin(&file, whole, whole.len, &err) || sqlite_file_log(&file, log, &err))
		return 0;
	for (int round = 0; round < 64; round++) {
		int status = sqlite_file_table(&file, 1, 1000, take, &bytes, &err);
		if (status <= 0)
			return 0;
		for (size_t i = 0; i < file.wanted_count; i++) {
			size_t at = (size_t)(file.wanted[i] - 1) * file.page_size;
			if (at + file.page_size > whole.len)
				return 0;
			sqlite_file_page(&file, file.wanted[i], slice_make(whole.ptr + at, file.page_size));
		}
	}
	return 0;
}
