/* Files of variables: what comes out lies in the text or the buffer, and it ends. */
#include "probe/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, size);

	struct parse_env parser;
	struct parsed_variable variable;
	size_t last = 0, calls = 0;
	int result;

	parse_env_begin(&parser, text);
	while ((result = parse_env_next(&parser, &variable)) != 0) {
		ASSERT(++calls <= size);
		ASSERT(parser.line > last);
		last = parser.line;
		if (result > 0)
			ASSERT(variable.name.len > 0 && variable.name.len + variable.value.len < size);
	}
	buf_free(&parser.value);
	return 0;
}
