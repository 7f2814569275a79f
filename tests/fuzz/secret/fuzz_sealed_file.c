/* Any text as a sealed file. What is read is printed, and read again as the same; no
 * value opens under a key it was not sealed with. */
#include "secret/sealed_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf printed = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	struct diags diags = DIAGS_INIT(&arena);
	struct sealed_file file, second;
	struct err err = ERR_INIT;
	struct seal_key key;

	if (size > 16 << 10)
		return 0;
	seal_key_generate(safe, &key);
	int failed = sealed_file_parse(&arena, "f", slice_make(data, size), &file, &diags);
	ASSERT(failed == (diags.errors ? -1 : 0));
	if (failed)
		return 0;
	for (size_t i = 0; i < file.count && i < 4; i++) {
		struct seal_context context = {file.project, file.environment, file.items[i].name, file.items[i].version};
		struct secret opened;
		ASSERT(seal_open(&key, &context, file.items[i].sealed, safe, &opened, &err) == -1);
	}
	sealed_file_print(&file, &printed);
	ASSERT(sealed_file_parse(&arena, "f", buf_slice(&printed), &second, &diags) == 0);
	ASSERT(second.count == file.count);
	sealed_file_print(&second, &again);
	ASSERT(slice_equal(buf_slice(&printed), buf_slice(&again)));
	return 0;
}
