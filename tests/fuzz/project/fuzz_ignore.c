/* Rules, an empty line, then paths: never a crash or a long wait, and the verdict
 * agrees with its explanation. */
#include "project/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct slice input = slice_make(data, size), rules_text = input, paths = {0};
	struct ignore_rules rules;
	struct err err = ERR_INIT;
	const char *split = size ? memmem(data, size, "\n\n", 2) : NULL;
	if (split) {
		rules_text.len = (size_t)(split - input.ptr);
		paths = slice_skip(input, rules_text.len + 2);
	}
	if (size > KIB(16) || ignore_parse(&arena, rules_text, &rules, &err))
		return 0;
	while (paths.ptr) {
		struct slice path = slice_cut(&paths, '\n');
		for (int is_dir = 0; is_dir < 2; is_dir++) {
			const struct ignore_rule *rule = ignore_explain(&rules, path, is_dir);
			ASSERT(ignore_match(&rules, path, is_dir) == (rule && !rule->negated));
		}
	}
	return 0;
}
