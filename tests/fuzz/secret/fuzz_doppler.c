/* An address and any bytes as what Doppler answers. */
#include "answer.h"

static int decode(const struct provider_call *call, struct slice body, struct provider_entries *out,
		  struct err *err)
{
	return doppler_decode(call, "it", body, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return try_input(decode, "doppler", data, size);
}
