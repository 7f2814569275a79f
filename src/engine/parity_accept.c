#include "engine/parity_accept.h"

#include "base/child.h"
#include "base/fd.h"
#include "base/map.h"
#include "engine/deploy.h"
#include "engine/fleet_of.h"
#include "engine/parity.h"
#include "model/parity_finding.h"
#include "model/seen_place.h"
#include "target/read_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIFF_TIMEOUT_MS = 30000, DIFF_MAX = 4 << 20, PATH_MAX_BYTES = 4096, PATCH_FILES_MAX = 50 };

/* A finding and where it was. */
struct subject {
	struct parity_finding row;
	const struct environment *environment; /* of drift; NULL: between environments */
	const struct server *server;	       /* NULL: not one alone */
};

static int find_row(struct engine *engine, const char *id, struct subject *out, struct err *err)
{
	AUTO(json_free) json_t *cells = NULL;

	*out = (struct subject){0};
	if (parity_finding_find(engine->home.db, &engine->arena, engine->project->name, id, &out->row, err)) {
		if (err->code == ERR_NOT_FOUND)
			err_hint(err,
				 "`lockstep parity` and `lockstep drift ENV` list findings and their ids");
		return -1;
	}
	if (strncmp(out->row.scope, "drift ", 6) != 0)
		return 0;
	if (project_find_environment(engine->project, out->row.scope + 6, &out->environment, err) ||
	    json_parse(slice_of(out->row.cells), "a finding", 1 << 20, &cells, err))
		return -1;
	const char *label;
	if (!json_get_str(json_array_get(cells, 0), "server", &label))
		return 0;
	for (size_t i = 0; i < out->environment->servers.count; i++)
		if (strcmp(server_label(&engine->arena, &out->environment->servers.items[i]), label) == 0)
			out->server = &out->environment->servers.items[i];
	return 0;
}

static bool is_deployed(struct slice key)
{
	if (slice_is(fact_dimension(key), "file"))
		return !slice_starts_with(key, "file//") && !slice_starts_with(key, "file/shared/");
	return slice_is(fact_dimension(key), "env");
}

/* The id of what was changed by hand at this key in one environment; NULL: nothing. `key` may
 * be a tree, "file/a.php/", of which all is told at once. */
static int changed_in(struct engine *engine, const char *environment, struct slice key, const char **out,
		      struct err *err)
{
	AUTO(json_free) json_t *result = NULL;
	const char *only = arena_str(&engine->arena, fact_dimension(key));
	const struct parity_request request = {.only = &only, .only_count = 1};
	const char *kind, *id, *its;
	json_t *finding;
	size_t i;

	if (parity_drift(engine, environment, &request, &result, err))
		return -1;
	json_array_foreach(json_object_get(result, "findings"), i, finding)
	{
		if (!json_get_str(finding, "kind", &kind) || !json_get_str(finding, "key", &its) ||
		    !json_get_str(finding, "id", &id) || strcmp(kind, "hand_change") != 0)
			continue;
		bool tree = key.len && key.ptr[key.len - 1] == '/';
		if (slice_is(key, its) ||
		    (tree && slice_starts_with(slice_of(its), arena_str(&engine->arena, key))))
			*out = arena_strdup(&engine->arena, id);
	}
	return 0;
}

/* Of a difference between environments: the one in which somebody changed it by hand, if it is
 * one alone. Each is looked at again for that. */
static int find_by_hand(struct engine *engine, struct subject *subject, struct err *err)
{
	AUTO(json_free) json_t *cells = NULL;
	const char *name, *id, *found = NULL, *first = NULL, *seen = "";
	json_t *cell;
	size_t i;

	if (json_parse(slice_of(subject->row.cells), "a finding", 1 << 20, &cells, err))
		return -1;
	json_array_foreach(cells, i, cell)
	{
		const struct environment *environment;
		struct err none = ERR_INIT;
		if (!json_get_str(cell, "environment", &name) || strcmp(name, seen) == 0 ||
		    project_find_environment(engine->project, name, &environment, &none))
			continue;
		seen = name;
		id = NULL;
		if (changed_in(engine, name, slice_of(subject->row.key), &id, err))
			return -1;
		if (id && found) {
			err_set(err, ERR_USER, "%s was changed by hand in %s and in %s", subject->row.key,
				first, name);
			return err_hint(err, "name the one that is meant: %s (%s) or %s (%s)", found, first,
					id, name);
		}
		found = id ? id : found;
		first = id ? name : first;
	}
	return found ? find_row(engine, found, subject, err) : 0;
}

static int find(struct engine *engine, const char *id, struct subject *out, struct err *err)
{
	if (find_row(engine, id, out, err))
		return -1;
	return !out->environment && is_deployed(slice_of(out->row.key)) ? find_by_hand(engine, out, err) : 0;
}

/* --- as a patch --------------------------------------------------------------------------- */

static int write_below(int dir_fd, const char *side, const char *path, struct slice content, struct err *err)
{
	AUTO(buf_free) struct buf full = BUF_INIT(PATH_MAX_BYTES);
	const char *slash = strrchr(path, '/');

	buf_printf(&full, "%s/%.*s", side, slash ? (int)(slash - path) : 0, path);
	if (dir_make_at(dir_fd, buf_str(&full), 0700, err))
		return -1;
	buf_clear(&full);
	buf_printf(&full, "%s/%s", side, path);
	return file_replace_at(dir_fd, buf_str(&full), content, 0600, err);
}

/* The difference as git writes it, so that `git apply` takes it. */
static int run_diff(const char *dir, struct buf *out, struct err *err)
{
	const char *const argv[] = {
		"git",	       "-c",	     "core.autocrlf=false", "diff",	     "--no-index",
		"--no-prefix", "--no-color", "--no-ext-diff",	    "--no-textconv", "a",
		"b",	       NULL};
	const struct child_spec spec = {
		.argv = argv, .dir = dir, .stdin_fd = -1, .stdout_fd = CHILD_PIPE, .stderr_fd = -1};
	int status = 0;

	if (child_run(&spec, (struct slice){0}, out, NULL, DIFF_TIMEOUT_MS, &status, err))
		return -1;
	return status > 1 ? err_set(err, ERR_INTERNAL, "git diff ended with status %d", status) : 0;
}

/* What was deployed to a server: the manifest of its live release. */
static int released(struct engine *engine, const struct subject *subject, struct manifest *out,
		    struct err *err)
{
	struct seen_place seen;
	struct digest release;
	bool found = false;

	if (seen_place_find(engine->home.db, &engine->arena, engine->project->name,
			    subject->environment->name, server_key(&engine->arena, subject->server), &found,
			    &seen, err))
		return -1;
	if (!found || !seen.release || !digest_from_hex(slice_of(seen.release), &release)) {
		err_set(err, ERR_NOT_FOUND, "this machine does not know what is live there");
		return err_hint(err, "`lockstep status` looks");
	}
	return store_load_manifest(engine->store, &release, &engine->arena, out, err);
}

/* The path was said by a server, and files are written under that name here. */
static bool is_clean(const char *path)
{
	for (struct slice rest = slice_of(path); rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (part.len == 0 || slice_is(part, ".") || slice_is(part, "..") || slice_is(part, ".git"))
			return false;
	}
	return strlen(path) < PATH_MAX_BYTES - 8;
}

/* Files a patch is about. */
struct paths {
	const char *items[PATCH_FILES_MAX];
	bool seen[PATCH_FILES_MAX]; /* the server has it, and it is nothing that may hold secrets */
	size_t count;
	struct map withheld; /* what a patch must not show */
	size_t withheld_count;
};

static void paths_free(struct paths *paths)
{
	map_free(&paths->withheld);
}

static int add_path(struct engine *engine, struct paths *paths, struct slice path, bool seen, struct err *err)
{
	for (size_t i = 0; i < paths->count; i++)
		if (slice_is(path, paths->items[i]))
			return 0;
	if (paths->count == PATCH_FILES_MAX)
		return err_set(err, ERR_USER, "more than %d files were changed: commit them by hand",
			       PATCH_FILES_MAX);
	paths->seen[paths->count] = seen;
	paths->items[paths->count++] = arena_str(&engine->arena, path);
	return 0;
}

/* What is written from values, or looks like a secret, was fingerprinted under a key: a patch
 * would show it. */
static int add_seen(struct engine *engine, const struct subject *subject, struct paths *paths,
		    const json_t *fact, struct slice path, struct err *err)
{
	const char *kind;

	if (json_get_str(fact, "kind", &kind) && strcmp(kind, fact_kind_name(FACT_DIGEST)) == 0 &&
	    !environment_renders(subject->environment, path))
		return add_path(engine, paths, path, true, err);
	map_put(&paths->withheld, arena_slice(&engine->arena, path), paths);
	paths->withheld_count++;
	event_note(&engine->events, "warn", "%.*s is left out: it may hold secrets, or could not be read",
		   SLICE_ARG(path));
	return 0;
}

/* Below "file/public/": what the server has there, and what was deployed there. */
static int list_tree(struct engine *engine, const struct subject *subject, const char *tree,
		     const struct manifest *manifest, struct paths *out, struct err *err)
{
	AUTO(json_free) json_t *result = NULL;
	static const char *const only[] = {"file"};
	const char *label = server_label(&engine->arena, subject->server), *its, *key;
	const struct parity_request request = {
		.subjects = &subject->environment->name, .count = 1, .only = only, .only_count = 1};
	json_t *server, *fact;
	size_t i, k;

	if (parity_facts(engine, &request, &result, err))
		return -1;
	json_array_foreach(json_object_get(result, "servers"), i, server)
	{
		if (!json_get_str(server, "server", &its) || strcmp(its, label) != 0)
			continue;
		json_array_foreach(json_object_get(server, "facts"), k,
				   fact) if (json_get_str(fact, "key", &key) &&
					     slice_starts_with(slice_of(key), tree) &&
					     slice_is(fact_attribute(slice_of(key)), "content") &&
					     add_seen(engine, subject, out, fact, fact_subject(slice_of(key)),
						      err)) return -1;
	}
	struct slice below = slice_of(tree + strlen("file/"));
	for (i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		bool inside = entry->path.len >= below.len
				      ? memcmp(entry->path.ptr, below.ptr, below.len) == 0
				      : entry->path.len + 1 == below.len &&
						memcmp(entry->path.ptr, below.ptr, entry->path.len) == 0;
		if (entry->type == ENTRY_FILE && inside && !map_get(&out->withheld, entry->path) &&
		    !environment_renders(subject->environment, entry->path) &&
		    add_path(engine, out, entry->path, false, err))
			return -1;
	}
	return 0;
}

/* Both sides of one file, below a/ and b/. */
static int write_sides(struct engine *engine, const struct subject *subject, const struct manifest *manifest,
		       const char *path, bool seen, bool may_be_gone, int dir_fd, struct err *err)
{
	const struct place_address address = server_address(subject->server);
	const struct entry *entry = manifest_find(manifest, slice_of(path));
	AUTO(buf_free) struct buf now = BUF_INIT(READ_FILE_MAX);
	const char *found = NULL;
	struct slice before;

	if (!is_clean(path))
		return err_set(err, ERR_USER, "%s: this is no path a release can have", path);
	if (target_read_file(&engine->arena, &address, path, &found, &now, err))
		return -1;
	/* A file that was seen and cannot be found is no reason to delete it everywhere. */
	if (!found && !may_be_gone)
		return err_set(err, ERR_CONFLICT,
			       "%s was seen on the server, and is not there now: look again", path);
	if (found && !seen)
		return err_set(err, ERR_CONFLICT,
			       "%s was not seen on the server, and is there now: look again", path);
	if (entry &&
	    (store_load_object(engine->store, &entry->digest, READ_FILE_MAX, &engine->arena, &before, err) ||
	     write_below(dir_fd, "a", path, before, err)))
		return -1;
	return found ? write_below(dir_fd, "b", path, buf_slice(&now), err) : 0;
}

/* Whether the server lacks it. */
static bool is_gone(const struct subject *subject)
{
	AUTO(json_free) json_t *cells = NULL;
	const char *environment, *state;
	struct err none = ERR_INIT;
	json_t *cell;
	size_t i;

	if (json_parse(slice_of(subject->row.cells), "a finding", 1 << 20, &cells, &none))
		return false;
	json_array_foreach(cells, i, cell) if (json_get_str(cell, "environment", &environment) &&
					       json_get_str(cell, "state", &state) &&
					       strcmp(environment, subject->environment->name) == 0 &&
					       strcmp(state, "missing") == 0) return true;
	return false;
}

static int make_patch(struct engine *engine, const struct subject *subject, struct buf *patch,
		      struct err *err)
{
	struct slice key = slice_of(subject->row.key);
	char dir[] = "/tmp/lockstep-accept-XXXXXX";
	AUTO(close_fd) int dir_fd = -1;
	AUTO(paths_free) struct paths paths = {.withheld = MAP_INIT};
	struct manifest manifest;
	bool gone = is_gone(subject);
	const char *tree = arena_str(&engine->arena, slice_make(key.ptr, key.len - fact_attribute(key).len));

	if (released(engine, subject, &manifest, err) ||
	    list_tree(engine, subject, tree, &manifest, &paths, err))
		return -1;
	if (!paths.count && paths.withheld_count) {
		err_set(err, ERR_USER, "%s may hold secrets, which a patch would show",
			tree + strlen("file/"));
		return err_hint(err, "look at it on the server, and commit what belongs into the code");
	}
	if (!paths.count && !slice_ends_with(key, "/") &&
	    add_path(engine, &paths, fact_subject(key), false, err))
		return -1;
	if (!mkdtemp(dir))
		return err_errno(err, "%s", dir);
	int result = dir_open_at(AT_FDCWD, dir, &dir_fd, err) || dir_make_at(dir_fd, "a", 0700, err) ||
				     dir_make_at(dir_fd, "b", 0700, err)
			     ? -1
			     : 0;
	for (size_t i = 0; i < paths.count && result == 0; i++)
		result = write_sides(engine, subject, &manifest, paths.items[i], paths.seen[i], gone, dir_fd,
				     err);
	if (result == 0)
		result = run_diff(dir, patch, err);
	struct err left = ERR_INIT;
	if (tree_remove_at(AT_FDCWD, dir, &left))
		event_note(&engine->events, "warn", "%s", left.text);
	return result;
}

static void put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '"');
	buf_put_printable(out, slice_of(text));
	buf_putc(out, '"');
}

/* What differs on purpose is said by a rule. */
static void put_rule(struct engine *engine, const struct parity_finding *row, struct buf *out)
{
	buf_puts(out, "parity:\n  allow:\n    - fact: ");
	put_quoted(out, slice_ends_with(slice_of(row->key), "/")
				? arena_printf(&engine->arena, "%s*", row->key)
				: row->key);
	buf_puts(out, "\n      ignore: true\n      owner: ");
	put_quoted(out, engine->who);
	buf_puts(out, "\n      reason: \"\"   # why it may differ\n      # until: 2027-01-31\n");
}

/* What it says comes from values, which a patch of the file would not change. */
static int refuse_config_file(const struct environment *environment, struct slice path, struct err *err)
{
	const char *from = NULL;

	for (size_t i = 0; i < environment->files.count; i++)
		if (environment->files.items[i].path && slice_is(path, environment->files.items[i].path))
			from = environment->files.items[i].from;
	err_set(err, ERR_USER, "%.*s is written by the deployment from %s", SLICE_ARG(path),
		from ? from : "the values of the environment");
	return err_hint(err, "say it there, or in the values (`lockstep config explain %s NAME`), and deploy",
			environment->name);
}

int parity_accept(struct engine *engine, const char *finding, json_t **out, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(DIFF_MAX);
	struct subject subject;

	if (find(engine, finding, &subject, err))
		return -1;
	struct slice key = slice_of(subject.row.key), attribute = fact_attribute(key);
	bool content = slice_is(fact_dimension(key), "file") &&
		       (slice_is(attribute, "content") || slice_ends_with(key, "/"));
	const char *kind = "rule", *how;

	if (subject.row.kind == FINDING_NOT_DEPLOYED) {
		return err_set(err, ERR_USER, "%s says it already: it waits to be deployed to %s",
			       PROJECT_FILE, subject.environment ? subject.environment->name : "it");
	} else if (content && subject.server && subject.row.kind == FINDING_HAND_CHANGE &&
		   !environment_renders(subject.environment, fact_subject(key))) {
		if (make_patch(engine, &subject, &text, err))
			return -1;
		kind = "patch";
		how = text.len ? "apply it with `git apply`, commit, and deploy: then every environment says "
				 "it"
			       : "the server shows what was released again: there is nothing to accept";
	} else if (content && subject.environment &&
		   environment_renders(subject.environment, fact_subject(key))) {
		return refuse_config_file(subject.environment, fact_subject(key), err);
	} else if (slice_is(fact_dimension(key), "env")) {
		struct slice name = fact_subject(key);
		buf_printf(&text,
			   "environments:\n  %s:\n    values:\n      %.*s: \"\"   # the value it has there\n",
			   subject.environment ? subject.environment->name : "ENV", SLICE_ARG(name));
		how = "put the value into lockstep.yml, or with `lockstep secret set` when it is a secret, "
		      "and deploy";
	} else {
		put_rule(engine, &subject.row, &text);
		how = "put the rule into lockstep.yml with a reason, or keep it on this machine with "
		      "`lockstep allow add`";
	}
	*out = json_pack("{s:s, s:o, s:o, s:s}", "finding", subject.row.id, kind, json_text(buf_slice(&text)),
			 "key", json_text(key), "how", how);
	return 0;
}

/* --- putting it back -------------------------------------------------------------------------- */

int parity_revert(struct engine *engine, const struct revert_request *request, json_t **out, struct err *err)
{
	struct subject subject;
	struct seen_place seen;
	bool found = false;

	if (find(engine, request->finding, &subject, err))
		return -1;
	if (!subject.environment && is_deployed(slice_of(subject.row.key))) {
		err_set(err, ERR_USER,
			"%s differs between environments, and in none of them was it changed by hand",
			subject.row.key);
		return err_hint(err, "deploy the same release and configuration to them: `lockstep promote`");
	}
	if (!subject.environment || !is_deployed(slice_of(subject.row.key))) {
		err_set(err, ERR_USER, "%s is nothing that lockstep put there, so it cannot put it back",
			subject.row.key);
		return err_hint(err, "%s",
				slice_is(fact_dimension(slice_of(subject.row.key)), "db")
					? "a schema is put back by a migration"
					: "put it back where it is managed, or say that it may differ with "
					  "`lockstep allow add`");
	}
	if (seen_place_find(engine->home.db, &engine->arena, engine->project->name, subject.environment->name,
			    server_key(&engine->arena, &subject.environment->servers.items[0]), &found, &seen,
			    err))
		return -1;
	if (!found || !seen.deployment) {
		err_set(err, ERR_NOT_FOUND, "this machine does not know which deployment is live in %s",
			subject.environment->name);
		return err_hint(err, "`lockstep status` looks");
	}
	const struct deploy_request rollback = {
		.kind = DEPLOYMENT_ROLLBACK,
		.environment = subject.environment->name,
		.to = seen.deployment,
		.dry_run = request->dry_run,
		.reason = request->reason ? request->reason
					  : arena_printf(&engine->arena, "put back: %s", subject.row.text),
		.wait_ms = request->wait_ms,
	};
	return deploy_run(engine, &rollback, out, err);
}
