/* An address and any bytes as the file there, whose data key is all zeros: the corpus has
 * files that open under it. */
#include "answer.h"

static int decode(const struct provider_call *call, struct slice body, struct provider_entries *out,
		  struct err *err)
{
	static const uint8_t key[AES_GCM_KEY_LEN];

	return sops_decode(call, key, body, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return try_input(decode, "sops", data, size);
}
