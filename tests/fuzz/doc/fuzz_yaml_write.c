/* Any text that can be read can be written, and reads back as the same tree. */
#include "doc/yaml.h"
#include "doc/yaml_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 loses a few hundred bytes of its own on some malformed texts. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(16));
	struct diags *diags = ARENA_NEW(&arena, struct diags);
	struct yaml_limits limits = {.bytes = MIB(1), .depth = 40, .nodes = 20000};
	const struct node *first = NULL, *again = NULL;

	*diags = DIAGS_INIT(&arena);
	if (yaml_parse(&arena, "f", slice_make(data, size), &limits, &first, diags))
		return 0;
	yaml_write(first, NULL, &text);
	ASSERT(!text.overflow);
	limits = (struct yaml_limits){.bytes = MIB(16), .depth = 48, .nodes = 100000};
	int status = yaml_parse(&arena, "again", buf_slice(&text), &limits, &again, diags);
	ASSERT(status == 0);
	ASSERT(node_equal(first, again));
	return 0;
}
