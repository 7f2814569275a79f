/* Finding, reading and resolving lockstep.yml, and the questions others ask about
 * a project. The rows are in *_keys.c, the cross-checks in checks.c. */
#include "base/fd.h"
#include "doc/yaml.h"
#include "project/extend.h"
#include "project/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- reading ---- */

static int parse(struct arena *arena, const char *file_name, const char *dir, struct slice text,
		 const struct project_reading *reading, struct project **out, struct diags *diags, struct err *err)
{
	const struct node *root = NULL;
	struct yaml_limits limits = YAML_LIMITS;
	struct project *project = ARENA_NEW(arena, struct project);
	struct key_decoder decoder = {.arena = arena, .diags = diags};
	project->file = arena_strdup(arena, file_name);
	project->dir = arena_strdup(arena, dir);
	if (yaml_parse(arena, file_name, text, &limits, &root, diags) && !root)
		return diags_check(diags, file_name, err);
	if (root->kind == NODE_NULL) {
		diags_error(diags, root->origin, "the file is empty");
		diags_hint(diags, "`lockstep init` writes one to begin with");
	} else if (root->kind == NODE_MAP && !(root = extend_merge(arena, reading, root, project, diags))) {
		ASSERT(diags->errors);
	} else if (key_decode(&decoder, project_keys, root, project) == 0 || root->kind == NODE_MAP) {
		/* Also when rows were refused: all mistakes are told in one go. */
		project_resolve(arena, project, diags);
	}
	if (diags_check(diags, file_name, err))
		return -1;
	*out = project;
	return 0;
}

int project_parse(struct arena *arena, const char *file_name, struct slice text, struct project **out,
		  struct diags *diags, struct err *err)
{
	return parse(arena, file_name, NULL, text, NULL, out, diags, err);
}

int project_parse_with(struct arena *arena, const char *file_name, struct slice text,
		       const struct project_reading *reading, struct project **out, struct diags *diags,
		       struct err *err)
{
	return parse(arena, file_name, NULL, text, reading, out, diags, err);
}

/* ---- finding ---- */

static int not_found(const char *where, struct err *err)
{
	err_set(err, ERR_NOT_FOUND, "no " PROJECT_FILE " in %s", where);
	return err_hint(err, "`lockstep init` writes one to begin with");
}

/* The nearest lockstep.yml in the current folder or above, as a relative path. */
static int find_upwards(struct arena *arena, const char **path_out, struct err *err)
{
	AUTO(mem_free_ptr) char *cwd = getcwd(NULL, 0);
	if (!cwd)
		return err_errno(err, "the current folder");
	AUTO(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	size_t levels = 0;
	for (const char *c = cwd; *c; c++)
		if (*c == '/' && c[1])
			levels++;
	for (size_t i = 0; i <= levels; i++) {
		buf_clear(&path);
		for (size_t up = 0; up < i; up++)
			buf_puts(&path, "../");
		buf_puts(&path, PROJECT_FILE);
		if (path.overflow)
			break;
		if (access(buf_str(&path), F_OK) == 0) {
			*path_out = arena_str(arena, buf_slice(&path));
			return 0;
		}
	}
	return not_found("this folder or any above it", err);
}

static int find_file(struct arena *arena, const char *path, const char **file_out, struct err *err)
{
	struct stat st;
	if (!path)
		return find_upwards(arena, file_out, err);
	if (stat(path, &st))
		return err_errno(err, "%s", path);
	*file_out = arena_strdup(arena, path);
	if (!S_ISDIR(st.st_mode))
		return 0;
	size_t len = strlen(path);
	*file_out = arena_printf(arena, "%s%s" PROJECT_FILE, path, len && path[len - 1] == '/' ? "" : "/");
	return access(*file_out, F_OK) ? not_found(path, err) : 0;
}

static int folder_of(struct arena *arena, const char *file, const char **dir_out, struct err *err)
{
	AUTO(mem_free_ptr) char *full = realpath(file, NULL);
	if (!full)
		return err_errno(err, "%s", file);
	char *slash = strrchr(full, '/');
	ASSERT(slash);
	*dir_out = slash == full ? "/" : arena_str(arena, slice_make(full, (size_t)(slash - full)));
	return 0;
}

int project_load(struct arena *arena, const char *path, struct project **out, struct diags *diags,
		 struct err *err)
{
	const struct project_reading reading = {0};
	return project_load_with(arena, path, &reading, out, diags, err);
}

int project_load_with(struct arena *arena, const char *path, const struct project_reading *reading,
		      struct project **out, struct diags *diags, struct err *err)
{
	struct project_reading here = *reading;
	const char *file = NULL, *dir = NULL;
	AUTO(buf_free) struct buf text = BUF_INIT(YAML_LIMITS.bytes);
	if (find_file(arena, path, &file, err) || folder_of(arena, file, &dir, err) ||
	    file_read_at(AT_FDCWD, file, &text, err))
		return -1;
	here.dir = dir;
	return parse(arena, file, dir, buf_slice(&text), &here, out, diags, err);
}

/* ---- questions ---- */

const struct environment *project_environment(const struct project *project, const char *name)
{
	for (size_t i = 0; i < project->environments.count; i++)
		if (strcmp(project->environments.items[i].name, name) == 0)
			return &project->environments.items[i];
	return NULL;
}

bool environment_renders(const struct environment *environment, struct slice path)
{
	for (size_t i = 0; i < environment->files.count; i++) {
		const struct config_file *file = &environment->files.items[i];
		if (file->kind == FILE_SUBSTITUTE ? slice_glob_match(slice_of(file->from), path)
						  : slice_is(path, file->path))
			return true;
	}
	return false;
}

int project_find_environment(const struct project *project, const char *name, const struct environment **out,
			     struct err *err)
{
	*out = project_environment(project, name);
	if (*out)
		return 0;
	AUTO(buf_free) struct buf list = BUF_INIT(KIB(1));
	AUTO(mem_free_ptr) const char **names = mem_array(project->environments.count, sizeof(*names));
	for (size_t i = 0; i < project->environments.count; i++) {
		names[i] = project->environments.items[i].name;
		buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
	}
	const char *near = key_nearest(slice_of(name), names, project->environments.count);
	err_set(err, ERR_NOT_FOUND, "%s has no environment `%.100s`", project->file, name);
	return near ? err_hint(err, "did you mean `%s`?", near) : err_hint(err, "it has %s", buf_str(&list));
}

const struct environment **project_order(struct arena *arena, const struct project *project)
{
	size_t total = project->environments.count, count = 0;
	const struct environment **order = ARENA_NEW_ARRAY(arena, total, const struct environment *);
	bool *taken = ARENA_NEW_ARRAY(arena, total, bool);
	/* Each round takes the first one whose upstreams are all taken; a checked
	 * project has no circle, so each round takes one. */
	while (count < total) {
		size_t before = count;
		for (size_t i = 0; i < total && count == before; i++) {
			const struct environment *environment = &project->environments.items[i];
			bool ready = !taken[i];
			for (size_t j = 0; j < environment->promote_from.count && ready; j++) {
				const struct environment *upstream =
					project_environment(project, environment->promote_from.items[j]);
				ready = upstream && taken[upstream - project->environments.items];
			}
			if (ready) {
				taken[i] = true;
				order[count++] = environment;
			}
		}
		ASSERT(count == before + 1);
	}
	return order;
}

const char *environment_default_ref(const struct environment *environment)
{
	if (environment->ref)
		return environment->ref;
	const char *branch = environment->deploy_on.push;
	return branch && !strpbrk(branch, "*?[") ? branch : "HEAD";
}

bool environment_triggered_by(const struct environment *environment, const char *full_ref)
{
	const struct deploy_on *on = &environment->deploy_on;
	const char *prefix = on->kind == TRIGGER_PUSH ? "refs/heads/" : "refs/tags/";
	const char *pattern = on->kind == TRIGGER_PUSH ? on->push : on->tag;
	struct slice ref = slice_of(full_ref);
	if (on->kind == TRIGGER_MANUAL || !slice_starts_with(ref, prefix))
		return false;
	return slice_glob_match(slice_of(pattern), slice_skip(ref, strlen(prefix)));
}

bool server_in_group(const struct server *server, const char *group)
{
	return !group || !server->group || strcmp(server->group, group) == 0;
}

/* ---- printing ---- */

static const struct key_page page = {
	.title = "lockstep.yml",
	.id = "lockstep.schema.json",
	.intro = "The file that describes a project, at the top of its repository. This page is printed from "
		 "the "
		 "tables that also read the file.\n\n"
		 "A *duration* is a number with `ms`, `s`, `m`, `h` or `d`; a *size* is a number of bytes, "
		 "or one with "
		 "`k`, `M` or `G`. Where a list is expected, a single value will do. Plain words follow YAML "
		 "1.2: `on`, "
		 "`yes` and `no` are text. Anchors, aliases and `<<` work. Unknown keys, keys that stand "
		 "twice and values "
		 "of a wrong type are refused, all of them in one go, and then nothing of the file takes "
		 "effect.\n\n"
		 "For help while typing, put this in the first line:\n\n"
		 "```yaml\n# yaml-language-server: $schema=./lockstep.schema.json\n```",
};

void project_print_schema(struct buf *out)
{
	key_print_schema(&page, project_keys, out);
}

void project_print_reference(struct buf *out)
{
	key_print_reference(&page, project_keys, out);
}
