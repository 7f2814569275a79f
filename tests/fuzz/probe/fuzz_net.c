/* Lines of /proc/net, resolv.conf and hosts. */
#include "probe/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, size);

	struct parsed_socket socket;
	struct parsed_route route;
	struct slice words;

	while (text.ptr) {
		struct slice line = slice_cut(&text, '\n');
		if (parse_socket(line, size & 1, &socket))
			ASSERT(socket.port > 0 && socket.port < 65536 && socket.scope >= SCOPE_LOOPBACK);
		if (parse_route(line, &route))
			ASSERT(strchr(route.destination, '/') && strlen(route.gateway) >= 7);
		if (parse_route6(line, &route))
			ASSERT(strchr(route.destination, '/') &&
			       strlen(route.destination) < PARSED_ADDRESS_MAX);
		struct slice keyword = parse_keyword(line, &words);
		ASSERT(keyword.len + words.len <= line.len);
	}
	return 0;
}
