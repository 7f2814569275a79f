/* What is right in each row of configuration but wrong together, and the files of
 * each environment. */
#include "project/keys.h"
#include "project/path.h"

#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

struct checker {
	struct arena *arena;
	struct diags *diags;
	struct project *project;
};

/* ---- names of environments, groups and servers ---- */

void check_environment_names(const struct project *project, struct diags *diags, const struct str_list *names,
			     struct origin origin, const char *key)
{
	const char *known[100];
	size_t count = MIN(project->environments.count, ARRAY_LEN(known));

	for (size_t i = 0; i < count; i++)
		known[i] = project->environments.items[i].name;
	for (size_t i = 0; i < names->count; i++) {
		bool found = !names->items[i];
		for (size_t j = 0; j < count && !found; j++)
			found = strcmp(known[j], names->items[i]) == 0;
		if (found)
			continue;
		diags_error(diags, origin, "`%s` names the unknown environment `%.100s`", key, names->items[i]);
		const char *near = key_nearest(slice_of(names->items[i]), known, count);
		if (near)
			diags_hint(diags, "did you mean `%s`?", near);
	}
}

static bool scope_known(const struct environment *environment, const char *scope)
{
	for (size_t i = 0; i < environment->groups.count; i++)
		if (strcmp(environment->groups.items[i], scope) == 0)
			return true;
	for (size_t i = 0; i < environment->servers.count; i++)
		if (environment->servers.items[i].place.text &&
		    strcmp(environment->servers.items[i].place.text, scope) == 0)
			return true;
	return false;
}

static const char *nearest_scope(const struct checker *checker, const struct environment *environment,
				 const char *scope)
{
	const char *names[200];
	size_t count = 0;

	for (size_t e = 0; e < checker->project->environments.count; e++) {
		const struct environment *at = &checker->project->environments.items[e];
		if (environment && environment != at)
			continue;
		for (size_t i = 0; i < at->groups.count && count < ARRAY_LEN(names); i++)
			names[count++] = at->groups.items[i];
		for (size_t i = 0; i < at->servers.count && count < ARRAY_LEN(names); i++)
			if (at->servers.items[i].place.text)
				names[count++] = at->servers.items[i].place.text;
	}
	return key_nearest(slice_of(scope), names, count);
}

/* environment NULL: it must be known in one of them. */
static void check_scope(struct checker *checker, const struct environment *environment, const char *scope,
			struct origin origin)
{
	bool known = !scope || (environment && scope_known(environment, scope));

	for (size_t i = 0; i < checker->project->environments.count && !environment; i++)
		known = known || scope_known(&checker->project->environments.items[i], scope);
	if (known)
		return;
	diags_error(checker->diags, origin, "`%.200s` is neither a server group nor a server%s%s", scope,
		    environment ? " of environment " : "", environment ? environment->name : "");
	const char *near = nearest_scope(checker, environment, scope);
	if (near)
		diags_hint(checker->diags, "did you mean `%s`?", near);
	else
		diags_hint(checker->diags, "write the server as it stands in `servers`");
}

static void check_sources(struct checker *checker, const struct environment *environment,
			  const struct value_source *sources, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_scope(checker, environment, sources[i].scope, node_key_origin(sources[i].node, "for"));
}

/* ---- the contract ---- */

static void check_contract(struct checker *checker)
{
	const struct contract *contract = &checker->project->env;

	for (size_t i = 0; i < contract->keys.count; i++) {
		const struct contract_key *key = &contract->keys.items[i];
		check_environment_names(checker->project, checker->diags, &key->required.in,
					node_key_origin(key->node, "required"), "required");
		check_environment_names(checker->project, checker->diags, &key->live_only_in,
					node_key_origin(key->node, "live_only_in"), "live_only_in");
	}
}

/* Plain values of what is declared: no secrets, and of their type. */
static void check_values(struct checker *checker, const struct environment *environment,
			 const struct node *written, const struct value_list *values)
{
	for (size_t i = 0; i < values->count; i++) {
		const struct value *value = &values->items[i];
		const struct contract_key *key = contract_find(&checker->project->env, slice_of(value->name));
		struct origin origin = node_key_origin(written, value->name);
		if (!key)
			continue;
		if (key->secret) {
			diags_error(checker->diags, origin,
				    "`%s` is a secret and stands here for everybody to read", value->name);
			diags_hint(checker->diags,
				   "`lockstep secret set %s %s` seals it; then change it where it is used",
				   environment->name, value->name);
			diags_hide_line(checker->diags, origin);
			continue;
		}
		const char *fault = value_type_fault(key, slice_of(value->text));
		if (fault)
			diags_error(checker->diags, origin, "the value of `%s` %s", value->name, fault);
	}
}

/* Rows that were refused have been told of and are left out. */
static void build_values(struct checker *checker, const struct value *written, size_t count,
			 struct origin origin, struct value_list *out)
{
	struct value *values = ARENA_NEW_ARRAY(checker->arena, count, struct value);
	struct err err = ERR_INIT;
	size_t used = 0;

	for (size_t i = 0; i < count; i++)
		if (written[i].text && value_name_valid(slice_of(written[i].name)))
			values[used++] = written[i];
	if (value_list_build(checker->arena, values, used, out, &err))
		diags_error(checker->diags, origin, "%s", err.text);
}

/* ---- files ---- */

static bool replaced(const struct config_file *file, const struct environment *environment)
{
	for (size_t i = 0; i < environment->written_files.count; i++) {
		const char *path = environment->written_files.items[i].path;
		if (path && file->path && strcmp(path, file->path) == 0)
			return true;
	}
	return false;
}

static void join_files(struct checker *checker, struct environment *environment)
{
	const struct project *project = checker->project;
	size_t count = 0, all = project->files.count + environment->written_files.count;
	struct config_file *files = ARENA_NEW_ARRAY(checker->arena, all, struct config_file);

	for (size_t i = 0; i < project->files.count; i++) {
		/* What is for a group or server this environment does not have is not for it. */
		const struct config_file *file = &project->files.items[i];
		if (file->kind && !replaced(file, environment) &&
		    (!file->scope || scope_known(environment, file->scope)))
			files[count++] = *file;
	}
	for (size_t i = 0; i < environment->written_files.count; i++)
		if (environment->written_files.items[i].kind)
			files[count++] = environment->written_files.items[i];
	environment->files.items = files;
	environment->files.count = count;
}

static const char *taken_by(const struct delivery *delivery, const char *path)
{
	const struct {
		const char *name;
		const struct str_list *list;
	} lists[] = {{"shared_dirs", &delivery->shared_dirs},
		     {"shared_files", &delivery->shared_files},
		     {"generated", &delivery->generated}};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t j = 0; j < lists[i].list->count; j++) {
			const char *other = lists[i].list->items[j];
			if (other && (path_within(slice_of(path), slice_of(other)) ||
				      path_within(slice_of(other), slice_of(path))))
				return lists[i].name;
		}
	return NULL;
}

static bool applies(const struct config_file *file, const struct server *server)
{
	return !file->scope || (server->place.text && strcmp(file->scope, server->place.text) == 0) ||
	       (server->group && strcmp(file->scope, server->group) == 0);
}

static bool on_one_server(const struct environment *environment, const struct config_file *a,
			  const struct config_file *b)
{
	for (size_t i = 0; i < environment->servers.count; i++)
		if (applies(a, &environment->servers.items[i]) && applies(b, &environment->servers.items[i]))
			return true;
	return false;
}

static void check_pair(struct checker *checker, const struct environment *environment,
		       const struct config_file *file, const struct config_file *other)
{
	bool inside = path_within(slice_of(file->path), slice_of(other->path)),
	     around = path_within(slice_of(other->path), slice_of(file->path));
	if ((!inside && !around) || !on_one_server(environment, file, other))
		return;
	struct origin origin = node_key_origin(file->node, "path");
	const char *place = origin_text(checker->arena, node_key_origin(other->node, "path"));
	if (inside && around)
		diags_error(checker->diags, origin, "`%s` is written twice, here and at %s", file->path,
			    place);
	else
		diags_error(checker->diags, origin, "`%s` and `%s` (at %s) cannot both be files", file->path,
			    other->path, place);
	if (file->scope || other->scope)
		diags_hint(checker->diags, "a server of environment `%s` would get both", environment->name);
}

static void check_files(struct checker *checker, const struct environment *environment)
{
	for (size_t i = 0; i < environment->files.count; i++) {
		const struct config_file *file = &environment->files.items[i];
		if (!file->path || path_fault(slice_of(file->path)))
			continue; /* refused, and told of */
		const char *list = taken_by(&environment->delivery, file->path);
		if (list)
			diags_error(checker->diags, node_key_origin(file->node, "path"),
				    "`%s` collides with `%s`: a path belongs to one of them", file->path,
				    list);
		for (size_t j = 0; j < i; j++)
			if (environment->files.items[j].path)
				check_pair(checker, environment, file, &environment->files.items[j]);
	}
}

/* Templates and copies stand beside lockstep.yml; a text without a folder is not asked. */
static void check_sources_exist(struct checker *checker, const struct config_file *files, size_t count)
{
	AUTO(close_fd) int dir_fd = -1;

	if (!checker->project->dir || !count)
		return;
	dir_fd = open(checker->project->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < count && dir_fd >= 0; i++) {
		const struct config_file *file = &files[i];
		const char *key = file->kind == FILE_COPY ? "copy" : "template";
		struct stat st;
		if ((file->kind != FILE_TEMPLATE && file->kind != FILE_COPY) ||
		    path_fault(slice_of(file->from)))
			continue;
		if (fstatat(dir_fd, file->from, &st, 0))
			diags_error(checker->diags, node_key_origin(file->node, key),
				    "there is no file `%s` beside " PROJECT_FILE, file->from);
		else if (!S_ISREG(st.st_mode))
			diags_error(checker->diags, node_key_origin(file->node, key),
				    "`%s` is no regular file", file->from);
	}
}

static void check_file_scopes(struct checker *checker, const struct environment *environment,
			      const struct config_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_scope(checker, environment, files[i].scope, node_key_origin(files[i].node, "for"));
}

/* ---- all of it ---- */

void configuration_values(struct arena *arena, struct environment *environment, struct diags *diags)
{
	struct checker checker = {.arena = arena, .diags = diags};

	build_values(&checker, environment->written_values.items, environment->written_values.count,
		     node_key_origin(environment->node, "values"), &environment->values);
	for (size_t i = 0; i < environment->values_for.count; i++) {
		struct scoped_values *scoped = &environment->values_for.items[i];
		build_values(&checker, scoped->written.items, scoped->written.count,
			     node_key_origin(node_get(environment->node, "values_for"), scoped->scope),
			     &scoped->values);
	}
}

void configuration_resolve(struct arena *arena, struct project *project, struct diags *diags)
{
	struct checker checker = {.arena = arena, .diags = diags, .project = project};

	check_contract(&checker);
	check_sources(&checker, NULL, project->values_from.items, project->values_from.count);
	check_file_scopes(&checker, NULL, project->files.items, project->files.count);
	check_sources_exist(&checker, project->files.items, project->files.count);
	for (size_t i = 0; i < project->environments.count; i++) {
		struct environment *environment = &project->environments.items[i];
		const struct node *scoped_node = node_get(environment->node, "values_for");
		check_sources(&checker, environment, environment->values_from.items,
			      environment->values_from.count);
		check_file_scopes(&checker, environment, environment->written_files.items,
				  environment->written_files.count);
		check_sources_exist(&checker, environment->written_files.items,
				    environment->written_files.count);
		check_values(&checker, environment, node_get(environment->node, "values"),
			     &environment->values);
		for (size_t j = 0; j < environment->values_for.count; j++) {
			const struct scoped_values *scoped = &environment->values_for.items[j];
			check_scope(&checker, environment, scoped->scope,
				    node_key_origin(scoped_node, scoped->scope));
			check_values(&checker, environment, node_get(scoped_node, scoped->scope),
				     &scoped->values);
		}
		join_files(&checker, environment);
		check_files(&checker, environment);
	}
}
