/* An address and any bytes as what Secrets Manager answers. */
#include "answer.h"

static int decode(const struct provider_call *call, struct slice body, struct provider_entries *out,
		  struct err *err)
{
	return secretsmanager_decode(call, "it", body, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return try_input(decode, "secretsmanager", data, size);
}
