/* Images of compose files. */
#include "probe/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, size);

	struct parse_compose parser;
	struct slice service, image;
	size_t calls = 0;

	parse_compose_begin(&parser, text);
	while (parse_compose_next(&parser, &service, &image)) {
		ASSERT(++calls <= size);
		ASSERT(service.len > 0 && image.len > 0);
	}
	return 0;
}
