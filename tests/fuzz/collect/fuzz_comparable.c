/* Foreign headers, cookies and addresses: whatever they hold, what comes out is printable,
 * within the limit of a fact, and, for sets, a set. A cookie's value never comes out. */
#include "collect/internal.h"

static const char *const own[] = {"shop.acme.io", "127.0.0.1:8080"};

static void check(enum fact_kind kind, struct slice value)
{
	struct fact fact = {.key = SLICE("http/x/header/y"), .value = value, .kind = kind};
	struct err err = ERR_INIT;

	ASSERT(fact_check(&fact, &err) == 0);
	for (size_t i = 0; i < value.len; i++)
		ASSERT((value.ptr[i] >= ' ' && value.ptr[i] < 0x7f) ||
		       (kind == FACT_SET && value.ptr[i] == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf url = BUF_INIT(COLLECT_URL_MAX);
	struct collect_request request = {.own_hosts = own, .own_host_count = 2};
	struct slice text = slice_make(data, size), name, attributes;
	const char *service;

	check(FACT_TEXT, header_value(&arena, &request, HEADER_TEXT, text));
	check(FACT_SET, header_value(&arena, &request, HEADER_LIST, text));
	check(FACT_SET, header_value(&arena, &request, HEADER_POLICY, text));
	put_url(&url, &request, text);
	check(FACT_TEXT, buf_slice(&url));
	(void)endpoint_mode(text, &service);

	/* The same attributes behind two values must not be told apart. */
	AUTO(buf_free) struct buf one = BUF_INIT(MIB(1)), two = BUF_INIT(MIB(1));
	buf_puts(&one, "sid=SECRET1;");
	buf_puts(&two, "sid=OTHER;");
	buf_put_slice(&one, text);
	buf_put_slice(&two, text);
	if (cookie_read(&arena, &request, buf_slice(&one), &name, &attributes)) {
		struct slice first = attributes;
		check(FACT_TEXT, name);
		check(FACT_TEXT, attributes);
		ASSERT(cookie_read(&arena, &request, buf_slice(&two), &name, &attributes));
		ASSERT(slice_equal(first, attributes));
	}
	if (cookie_read(&arena, &request, text, &name, &attributes)) {
		check(FACT_TEXT, name);
		check(FACT_TEXT, attributes);
	}
	return 0;
}
