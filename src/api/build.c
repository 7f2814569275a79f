/* build: a release of a commit, without touching any server. */
#include "api/list.h"

#include "engine/artifact.h"

static int run_build(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct artifact artifact;

	if (artifact_of_ref(engine, NULL, input_str(in, "ref"), NULL, 0, &artifact, err))
		return -1;
	engine_release_signals();
	*out = json_pack("{s:s, s:s, s:s, s:o, s:s, s:b, s:s, s:I, s:I, s:s}", "release", artifact.hex, "commit",
			 artifact.commit, "ref", artifact.ref, "subject", json_text(slice_of(artifact.subject)), "tree",
			 artifact.tree, "built", artifact.built, "from", artifact.from, "files",
			 (json_int_t)artifact.files, "bytes", (json_int_t)artifact.bytes, "log", artifact.log);
	return 0;
}

static const struct operation_key keys[] = {
	{ "ref", OPERATION_STRING, .positional = true, .optional = true, .value = "REF",
	  .text = "branch, tag, tag pattern or commit; otherwise what HEAD of the source shows" },
};

const struct operation operation_build = {
	.name = "build",
	.summary = "build a commit once; the same tree and recipe give the release there is",
	.details = "What this machine has not built is fetched from a server of the project that has it, when there is one;\n"
		   "nothing is changed there.",
	.keys = keys,
	.key_count = ARRAY_LEN(keys),
	.permission = PERMISSION_BUILD,
	.need = NEED_PROJECT,
	.run = run_build,
};
