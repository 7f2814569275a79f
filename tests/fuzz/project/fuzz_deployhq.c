/* Any bytes as .deploybuild.yaml. */
#include "project/deployhq.h"

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
	struct diags *diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	struct deployhq_build theirs;
	struct project_build ours = {0};
	struct err err = ERR_INIT;
	if (deployhq_parse(&arena, "f", slice_make(data, size), &theirs, diags, &err)) {
		ASSERT(diags->errors > 0);
		return 0;
	}
	deployhq_apply(&arena, &theirs, &ours);
	for (size_t i = 0; i < ours.run.count; i++)
		ASSERT(ours.run.items[i] && *ours.run.items[i]);
	return 0;
}
