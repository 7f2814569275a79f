/* Rules of nft and iptables-save. */
#include "probe/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *context, struct slice table, struct slice chain, struct slice rule)
{
	ASSERT(chain.len > 0);
	*(size_t *)context += 1;
	(void)table;
	(void)rule;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, size);

	AUTO(parse_firewall_free) struct parse_firewall parser = {.rest = text};
	size_t calls = 0;

	while (parse_nft_next(&parser)) {
		ASSERT(++calls <= size);
		ASSERT(parser.rules.len <= 2 * size);
	}
	calls = 0;
	parse_iptables(text, count, &calls);
	ASSERT(calls <= size);
	return 0;
}
