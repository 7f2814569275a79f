/* .deploybuild.yaml. Its keys are not ours: what we do not know is passed over
 * with a warning, so that a file of theirs goes on working. */
#include "project/deployhq.h"

#include "doc/yaml.h"
#include "project/path.h"

enum { COMMANDS_MAX = 256, CACHE_MAX = 32, LANGUAGES_MAX = 32 };

static void warn_unknown(const struct node *map, const char *const *known, size_t count, struct diags *diags)
{
	for (size_t i = 0; i < map->count; i++) {
		bool found = false;
		for (size_t j = 0; j < count && !found; j++)
			found = slice_is(map->entries[i].key, known[j]);
		if (!found)
			diags_warning(diags, map->entries[i].origin, "the key `%.*s` has no effect here",
				      (int)MIN(map->entries[i].key.len, (size_t)100),
				      map->entries[i].key.ptr);
	}
}

/* NULL when absent; reports anything but a scalar. */
static const char *scalar(const struct node *map, const char *key, struct diags *diags)
{
	const struct node *node = node_get(map, key);
	if (!node || node->kind == NODE_NULL)
		return NULL;
	if (node->kind > NODE_STR) {
		diags_error(diags, node->origin, "`%s` must be text, but this is %s", key,
			    node_kind_words(node->kind));
		return NULL;
	}
	return node->text.ptr;
}

/* The maps listed under `key`. */
static const struct node *list_of_maps(const struct node *root, const char *key, size_t max,
				       struct diags *diags)
{
	static const struct node none = {.kind = NODE_LIST};
	const struct node *list = node_get(root, key);
	if (!list || list->kind == NODE_NULL)
		return &none;
	if (list->kind != NODE_LIST) {
		diags_error(diags, list->origin, "`%s` must be a list, but this is %s", key,
			    node_kind_words(list->kind));
		return &none;
	}
	if (list->count > max) {
		diags_error(diags, list->origin, "`%s` may hold at most %zu, but holds %zu", key, max,
			    list->count);
		return &none;
	}
	size_t errors = diags->errors;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].value->kind != NODE_MAP)
			diags_error(diags, list->items[i].value->origin,
				    "`%s` must hold maps, but this is %s", key,
				    node_kind_words(list->items[i].value->kind));
	return diags->errors == errors ? list : &none;
}

static void read_commands(struct arena *arena, const struct node *root, struct deployhq_build *out,
			  struct diags *diags)
{
	static const char *const known[] = {"description", "command", "halt_on_error"};
	const struct node *list = list_of_maps(root, "build_commands", COMMANDS_MAX, diags);
	out->commands.items = ARENA_NEW_ARRAY(arena, list->count, struct deployhq_command);
	for (size_t i = 0; i < list->count; i++) {
		const struct node *map = list->items[i].value, *halt = node_get(map, "halt_on_error");
		struct deployhq_command *command = &out->commands.items[out->commands.count++];
		warn_unknown(map, known, ARRAY_LEN(known), diags);
		command->description = scalar(map, "description", diags);
		command->command = scalar(map, "command", diags);
		command->halt_on_error = !halt || halt->kind != NODE_BOOL || halt->boolean;
		if (halt && halt->kind != NODE_BOOL)
			diags_error(diags, halt->origin, "`halt_on_error` must be true or false");
		const struct node *written = node_get(map, "command");
		if (!written || written->kind == NODE_NULL)
			diags_error(diags, map->origin, "the key `command` is missing");
		else if (command->command && !slice_trim(slice_of(command->command)).len)
			diags_error(diags, node_key_origin(map, "command"), "`command` must not be empty");
	}
}

static const char *cache_path(struct arena *arena, const char *text, struct origin origin,
			      struct diags *diags)
{
	struct slice path = slice_of(text);
	bool home = slice_starts_with(path, "~/");
	if (home)
		path = slice_skip(path, 2);
	while (slice_starts_with(path, "./"))
		path = slice_skip(path, 2);
	/* They keep whole folders, written as `folder/` or `folder/` and two stars. */
	if (slice_ends_with(path, "/**"))
		path.len -= 3;
	while (path.len > 1 && slice_ends_with(path, "/"))
		path.len--;
	const char *fault = path_fault(path);
	if (!fault)
		return arena_printf(arena, "%s%.*s", home ? "~/" : "", SLICE_ARG(path));
	diags_error(diags, origin, "the path `%s` %s", text, fault);
	return NULL;
}

static void read_cache(struct arena *arena, const struct node *root, struct deployhq_build *out,
		       struct diags *diags)
{
	static const char *const known[] = {"path"};
	const struct node *list = list_of_maps(root, "build_cache_files", CACHE_MAX, diags);
	out->cache.items = ARENA_NEW_ARRAY(arena, list->count, const char *);
	for (size_t i = 0; i < list->count; i++) {
		const struct node *map = list->items[i].value;
		warn_unknown(map, known, ARRAY_LEN(known), diags);
		const char *path = scalar(map, "path", diags);
		if (!node_get(map, "path"))
			diags_error(diags, map->origin, "the key `path` is missing");
		if (path)
			path = cache_path(arena, path, node_key_origin(map, "path"), diags);
		if (path)
			out->cache.items[out->cache.count++] = path;
	}
}

static void read_languages(struct arena *arena, const struct node *root, struct deployhq_build *out,
			   struct diags *diags)
{
	const struct node *list = list_of_maps(root, "build_languages", LANGUAGES_MAX, diags);
	out->languages.items = ARENA_NEW_ARRAY(arena, list->count, struct deployhq_language);
	for (size_t i = 0; i < list->count; i++) {
		struct deployhq_language *language = &out->languages.items[out->languages.count++];
		language->name = scalar(list->items[i].value, "name", diags);
		language->version = scalar(list->items[i].value, "version", diags);
	}
	if (!list->count)
		return;
	diags_warning(diags, node_key_origin(root, "build_languages"),
		      "`build_languages` is not acted upon: the build uses what is installed");
	diags_hint(diags, "name a container image with `build: {image: ...}` in " PROJECT_FILE);
}

int deployhq_parse(struct arena *arena, const char *file_name, struct slice text, struct deployhq_build *out,
		   struct diags *diags, struct err *err)
{
	static const char *const known[] = {"build_languages", "build_commands", "build_cache_files"};
	const struct node *root = NULL;
	struct yaml_limits limits = YAML_LIMITS;
	struct deployhq_build build = {0};
	if (yaml_parse(arena, file_name, text, &limits, &root, diags))
		return diags_check(diags, file_name, err);
	if (root->kind == NODE_MAP) {
		warn_unknown(root, known, ARRAY_LEN(known), diags);
		read_languages(arena, root, &build, diags);
		read_commands(arena, root, &build, diags);
		read_cache(arena, root, &build, diags);
	} else if (root->kind != NODE_NULL) {
		diags_error(diags, root->origin, "a map of keys is expected here, but this is %s",
			    node_kind_words(root->kind));
	}
	if (diags_check(diags, file_name, err))
		return -1;
	*out = build;
	return 0;
}

void deployhq_apply(struct arena *arena, const struct deployhq_build *from, struct project_build *build)
{
	if (!node_find(build->node, "run") && from->commands.count) {
		build->run.items = ARENA_NEW_ARRAY(arena, from->commands.count, const char *);
		build->run.count = from->commands.count;
		for (size_t i = 0; i < from->commands.count; i++) {
			const struct deployhq_command *command = &from->commands.items[i];
			/* The newline keeps a comment at the end from hiding the rest. */
			build->run.items[i] = command->halt_on_error ? command->command
								     : arena_printf(arena, "(\n%s\n) || true",
										    command->command);
		}
	}
	if (!node_find(build->node, "cache") && from->cache.count)
		build->cache = from->cache;
}
