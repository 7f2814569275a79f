/* The value of a variable, whatever it is, gives well-formed facts of which none holds the
 * password of an address. */
#include "collect/internal.h"

static const char secret[] = "S3CR3T";

static void look(struct slice value, bool is_secret)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(COLLECT_FACTS_BYTES_MAX);
	struct collect_endpoint endpoint = {.variable = "MAIL_HOST", .value = value, .secret = is_secret};
	struct collect_request request = {.endpoints = &endpoint, .endpoint_count = 1, .offline = true};
	struct collect_sight sight = {.request = &request, .time_ms = 1};
	struct err err = ERR_INIT;

	ASSERT(collector_endpoint.run(&sight, &list, &err) == 0);
	for (size_t i = 0; i < list.count; i++) {
		struct slice text = list.items[i].value;
		ASSERT(fact_check(&list.items[i], &err) == 0);
		ASSERT(!text.len || !memmem(text.ptr, text.len, secret, sizeof(secret) - 1));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const starts[] = {"", "postgres://user:S3CR3T", "https://user:S3CR3T",
					     "user:S3CR3T@tcp(", "password=S3CR3T user=x "};

	if (size && memmem(data, size, secret, sizeof(secret) - 1))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		AUTO(buf_free) struct buf value = BUF_INIT(MIB(1));
		buf_puts(&value, starts[i]);
		buf_put(&value, data, size);
		look(buf_slice(&value), true);
		if (i == 0)
			look(buf_slice(&value), false);
	}
	return 0;
}
