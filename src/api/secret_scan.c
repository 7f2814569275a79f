/* secret scan: secrets committed to the repository. */
#include "api/list.h"

#include "base/fd.h"
#include "scan/scan.h"

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

static json_t *findings_json(const struct scan_findings *findings)
{
	static const char *const environments[] = {[SCAN_ANY] = NULL, [SCAN_LIVE] = "live", [SCAN_TEST] = "test"};
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct scan_finding *finding = &findings->items[i];
		json_array_append_new(list, json_pack("{s:o, s:I, s:s, s:s, s:o, s:o}", "path",
						      json_text(slice_of(finding->path)), "line", (json_int_t)finding->line,
						      "rule", finding->rule, "service", finding->service, "shown",
						      json_text(slice_of(finding->shown)), "environment",
						      json_cstr(environments[finding->environment])));
	}
	return list;
}

static int run_scan(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct scan_findings *findings = ARENA_NEW(&engine->arena, struct scan_findings);
	const char *ref = input_str(in, "ref"), *said = input_str(in, "folder"), *commit = NULL;
	int status;

	findings->arena = &engine->arena;
	if (said) {
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
	*out = json_pack("{s:o, s:o, s:I, s:I, s:I, s:i}", "commit", json_cstr(commit), "findings",
			 findings_json(findings), "count", (json_int_t)(findings->count + findings->dropped), "files",
			 (json_int_t)findings->files, "bytes", (json_int_t)findings->bytes, "exit",
			 findings->count ? ERR_DRIFT : 0);
	return 0;
}

static const struct operation_key scan_keys[] = {
	{ "ref", OPERATION_STRING, .positional = true, .optional = true, .value = "REF", .text = "branch, tag or commit (HEAD)" },
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
