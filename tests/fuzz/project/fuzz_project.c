/* Any bytes as lockstep.yml: never a crash; refused means no project and at least
 * one message; taken means that what others ask of a project can be answered. */
#include "project/project.h"

#include <stdlib.h>

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
	AUTO(buf_free) struct buf shown = BUF_INIT(MIB(1));
	struct diags *diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	struct project *project = NULL;
	struct err err = ERR_INIT;
	int status = project_parse(&arena, "f", slice_make(data, size), &project, diags, &err);
	diags_print(diags, &shown);
	ASSERT(slice_is_utf8(buf_slice(&shown)));
	if (status) {
		ASSERT(!project && diags->errors > 0 && err.code == ERR_USER);
		return 0;
	}
	ASSERT(diags->errors == 0 && project->environments.count > 0);
	const struct environment **order = project_order(&arena, project);
	for (size_t i = 0; i < project->environments.count; i++) {
		ASSERT(environment_default_ref(order[i]));
		ASSERT(order[i]->servers.count > 0);
		for (size_t j = 0; j < order[i]->servers.count; j++)
			ASSERT(order[i]->servers.items[j].place.path);
	}
	return 0;
}
