/* Any bytes as JSON; what is taken prints and reads again as the same. */
#include "doc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(json_free) json_t *json = NULL, *again = NULL;
	AUTO(json_free) json_t *text = json_text(slice_make(data, size));
	AUTO(buf_free) struct buf out = BUF_INIT(MIB(16));
	struct err err = ERR_INIT;
	ASSERT(json_is_string(text));
	if (json_parse(slice_make(data, size), "f", MIB(1), &json, &err))
		return 0;
	json_put(&out, json);
	if (json_parse(buf_slice(&out), "f", MIB(16), &again, &err))
		ASSERT(!"what was printed reads again");
	ASSERT(json_equal(json, again));
	return 0;
}
