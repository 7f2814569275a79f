/* secret scan: secrets committed to the repository. */
#include "api/list.h"

#include "base/fd.h"
#include "engine/secret_scan.h"

#include <fcntl.h>
#include <stdlib.h>

static int export_and_scan(struct engine *engine, const char *ref, const char *folder,
			   struct scan_findings *findings, const char **commit_out, struct err *err)
{
	struct commit *commit = ARENA_NEW(&engine->arena, struct commit);
	AUTO(close_fd) int dir_fd = -1;
	struct source *source;

	*commit_out = commit->hash;
	const char *tree = arena_printf(&engine->arena, "%s/tree", folder);
	return engine_source(engine, true, &source, err) ||
			       source_resolve(source, ref, &engine->arena, commit, err) ||
			       source_export(source, commit, tree, NULL, err) ||
			       dir_open_at(AT_FDCWD, tree, &dir_fd, err) || scan_folder(dir_fd, findings, err) ?
		       -1 :
		       0;
}

/* A blob has no line of history in it: its name lets `git log --find-object` tell. */
struct history {
	struct scan_findings *findings;
	struct arena *arena;
};

static int visit_blob(void *context, const char *path, const char *hash, struct slice bytes, struct err *err)
{
	struct history *history = context;
	size_t before = history->findings->count;

	(void)err;
	scan_bytes(history->findings, slice_of(path), bytes);
	const char *kept = history->findings->count > before ? arena_strdup(history->arena, hash) : NULL;
	for (size_t i = before; i < history->findings->count; i++)
		history->findings->items[i].shown =
			arena_printf(history->arena, "%s (blob %.12s)", history->findings->items[i].shown, kept);
	return 0;
}

static int scan_history(struct engine *engine, struct scan_findings *findings, uint64_t *skipped, struct err *err)
{
	struct history history = {.findings = findings, .arena = &engine->arena};
	struct source *source;

	return engine_source(engine, true, &source, err) ||
			       source_each_blob(source, SCAN_FILE_MAX, visit_blob, &history, skipped, err) ?
		       -1 :
		       0;
}

static int run_scan(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct scan_findings *findings = ARENA_NEW(&engine->arena, struct scan_findings);
	const char *ref = input_str(in, "ref"), *said = input_str(in, "folder"), *commit = NULL;
	uint64_t skipped = 0;
	int status;

	findings->arena = &engine->arena;
	if (input_flag(in, "history")) {
		if (ref || said)
			return err_set(err, ERR_USER, "--history looks through everything: it takes no REF and no --folder");
		status = scan_history(engine, findings, &skipped, err);
	} else if (said) {
		AUTO(close_fd) int dir_fd = -1;
		status = dir_open_at(AT_FDCWD, said, &dir_fd, err) || scan_folder(dir_fd, findings, err);
	} else {
		char folder[] = "/tmp/lockstep-scan-XXXXXX";
		struct err ignored = ERR_INIT;
		if (!mkdtemp(folder))
			return err_errno(err, "a folder for the files to look through");
		status = export_and_scan(engine, ref ? ref : "HEAD", folder, findings, &commit, err);
		if (tree_remove_at(AT_FDCWD, folder, &ignored) && !status)
			status = err_set(err, ignored.code, "%s", ignored.text);
	}
	if (status)
		return -1;
	scan_allow(engine, findings);
	*out = json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:i}", "commit", json_cstr(commit), "findings",
			 scan_findings_json(findings), "count", (json_int_t)(findings->count + findings->dropped), "files",
			 (json_int_t)findings->files, "bytes", (json_int_t)findings->bytes, "skipped", (json_int_t)skipped, "exit",
			 findings->count ? ERR_DRIFT : 0);
	return 0;
}

static const struct operation_key scan_keys[] = {
	{ "ref", OPERATION_STRING, .positional = true, .optional = true, .value = "REF", .text = "branch, tag or commit (HEAD)" },
	{ "history", OPERATION_FLAG, .text = "look through everything any branch or tag ever held" },
	{ "folder", OPERATION_STRING, .value = "DIR", .text = "look through this folder instead" },
};

const struct operation operation_secret_scan = {
	.name = "secret scan",
	.summary = "find secrets that are committed to the repository",
	.details = "Known key formats, private keys, and values of high entropy under a name that speaks of a secret.\n"
		   "Values are never shown. Exit code 9 when something is found.",
	.keys = scan_keys,
	.key_count = ARRAY_LEN(scan_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_scan,
};
