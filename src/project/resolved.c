/* Putting together what takes effect. Decides nothing: key_inherit() and checks.c do;
 * this shows the same in the tree, where the places are. */
#include "project/resolved.h"

#include "doc/yaml.h"
#include "doc/yaml_write.h"
#include "project/keys.h"

#include <stdlib.h>

enum { FLOW_MAX = KIB(64), PATH_SHOWN_MAX = 1024 };

/* ---- a map being made ---- */

struct making {
	struct arena *arena;
	struct node_entry *entries;
	size_t count, cap;
};

static void add(struct making *map, struct node_entry entry)
{
	if (map->count == map->cap) {
		size_t cap = map->cap ? map->cap * 2 : 16;
		struct node_entry *grown = ARENA_NEW_ARRAY(map->arena, cap, struct node_entry);
		if (map->count)
			memcpy(grown, map->entries, map->count * sizeof(*grown));
		map->entries = grown;
		map->cap = cap;
	}
	map->entries[map->count++] = entry;
}

static void add_missing(struct making *map, const struct node *own, const struct node_entry *entry)
{
	if (entry && !node_find(own, entry->key.ptr))
		add(map, *entry);
}

/* A default, which stands nowhere. */
static const struct node *fallback_node(struct arena *arena, const struct key *key)
{
	struct node *node = ARENA_NEW(arena, struct node);
	*node = (struct node){.kind = NODE_STR, .text = slice_of(key->fallback), .synthetic = true};
	if (key->kind != KEY_KIND_STR && key->kind != KEY_KIND_TEXT)
		node->kind = yaml_core_kind(node->text, &node->boolean, &node->integer);
	return node;
}

static void add_fallbacks(struct making *map, const struct key *keys, const struct node *own,
			  const struct node *above)
{
	for (const struct key *key = keys; key->name; key++)
		if (key->fallback && key->kind != KEY_KIND_NODE && !node_find(own, key->name) &&
		    !node_find(above, key->name))
			add(map, (struct node_entry){.key = slice_of(key->name),
						     .value = fallback_node(map->arena, key)});
}

/* ---- environments ---- */

/* An environment's hooks replace the project's, but those of the build belong to all. */
static const struct node *resolved_hooks(struct arena *arena, const struct node *own,
					 const struct node *above)
{
	struct making map = {.arena = arena};
	for (size_t i = 0; own->kind == NODE_MAP && i < own->count; i++)
		add(&map, own->entries[i]);
	add_missing(&map, own, node_find(above, "before_build"));
	add_missing(&map, own, node_find(above, "after_build"));
	return node_map_make(arena, own->origin, map.entries, map.count);
}

static const struct node *resolved_environment(struct arena *arena, const struct project *project,
					       const struct environment *environment)
{
	struct making map = {.arena = arena};
	const struct node *own = environment->node, *deploy = project->deploy.node;
	for (size_t i = 0; i < own->count; i++) {
		struct node_entry entry = own->entries[i];
		if (slice_is(entry.key, "hooks"))
			entry.value = resolved_hooks(arena, entry.value, node_get(deploy, "hooks"));
		add(&map, entry);
	}
	for (const struct key *key = delivery_keys; key->name; key++)
		if (*key->name)
			add_missing(&map, own, node_find(deploy, key->name));
	add_fallbacks(&map, delivery_keys, own, deploy);
	return node_map_make(arena, own->origin, map.entries, map.count);
}

static const struct node *environments_view(struct arena *arena, const struct project *project,
					    const struct environment *only, bool resolved)
{
	struct making map = {.arena = arena};
	const struct node *written = node_get(project->node, "environments");
	for (size_t i = 0; i < project->environments.count; i++) {
		const struct environment *environment = &project->environments.items[i];
		struct node_entry entry = *node_find(written, environment->name);
		if (only && environment != only)
			continue;
		if (resolved)
			entry.value = resolved_environment(arena, project, environment);
		add(&map, entry);
	}
	return node_map_make(arena, written->origin, map.entries, map.count);
}

static const struct node *with_fallbacks(struct arena *arena, const struct node *node, const struct key *keys)
{
	struct making map = {.arena = arena};
	if (node->kind != NODE_MAP)
		return node;
	for (size_t i = 0; i < node->count; i++)
		add(&map, node->entries[i]);
	add_fallbacks(&map, keys, node, NULL);
	return node_map_make(arena, node->origin, map.entries, map.count);
}

const struct node *project_view(struct arena *arena, const struct project *project,
				const struct environment *only, bool resolved)
{
	struct making map = {.arena = arena};
	/* In the order of the rows, whichever file wrote a key first. */
	for (const struct key *key = project_keys; key->name; key++) {
		const struct node_entry *found = node_find(project->node, key->name);
		if (!found) {
			if (resolved && key->fallback)
				add(&map, (struct node_entry){.key = slice_of(key->name),
							      .value = fallback_node(arena, key)});
			continue;
		}
		struct node_entry entry = *found;
		if (slice_is(entry.key, "environments"))
			entry.value = environments_view(arena, project, only, resolved);
		else if (resolved && slice_is(entry.key, "build"))
			entry.value = with_fallbacks(arena, entry.value, build_keys);
		/* What the environments have taken over is not shown a second time. */
		else if (resolved && slice_is(entry.key, "deploy"))
			continue;
		add(&map, entry);
	}
	return node_map_make(arena, project->node->origin, map.entries, map.count);
}

/* ---- where from ---- */

void project_put_origin(const struct node *node, struct buf *out)
{
	if (!node->origin.line) {
		buf_puts(out, "default");
		return;
	}
	buf_put_visible(out, slice_of(node->origin.file->name));
	buf_printf(out, ":%u", node->origin.line);
}

const struct project_template *project_template_of(const struct project *project, const struct node *node)
{
	for (size_t i = 0; i < project->templates.count; i++)
		if (node->origin.file && project->templates.items[i].file == node->origin.file)
			return &project->templates.items[i];
	return NULL;
}

/* ---- as a flat list ---- */

void project_put_flow(const struct node *node, struct buf *out)
{
	bool list = node->kind == NODE_LIST;
	if (!list && node->kind != NODE_MAP) {
		yaml_write_scalar(node, out);
		return;
	}
	buf_putc(out, list ? '[' : '{');
	for (size_t i = 0; i < node->count; i++) {
		const struct node key = {.kind = NODE_STR,
					 .text = list ? slice_of("") : node->entries[i].key};
		if (i)
			buf_puts(out, ", ");
		if (!list) {
			yaml_write_scalar(&key, out);
			buf_puts(out, ": ");
		}
		project_put_flow(list ? node->items[i].value : node->entries[i].value, out);
	}
	buf_putc(out, list ? ']' : '}');
}

struct flattening {
	struct arena *arena;
	struct setting_list *out;
	size_t cap;
};

static void flatten(struct flattening *flat, const char *path, const struct node *node)
{
	if (node->kind == NODE_MAP && node->count) {
		for (size_t i = 0; i < node->count; i++) {
			struct slice key = node->entries[i].key;
			flatten(flat,
				arena_printf(flat->arena, "%s%s%.*s", path, *path ? "." : "",
					     (int)MIN(key.len, (size_t)PATH_SHOWN_MAX), key.ptr),
				node->entries[i].value);
		}
		return;
	}
	AUTO(buf_free) struct buf text = BUF_INIT(FLOW_MAX);
	project_put_flow(node, &text);
	struct setting_list *out = flat->out;
	if (out->count == flat->cap) {
		flat->cap = flat->cap ? flat->cap * 2 : 32;
		struct setting_value *grown = ARENA_NEW_ARRAY(flat->arena, flat->cap, struct setting_value);
		if (out->count)
			memcpy(grown, out->items, out->count * sizeof(*grown));
		out->items = grown;
	}
	out->items[out->count++] =
		(struct setting_value){path, arena_str(flat->arena, buf_slice(&text)), node};
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct setting_value *)a)->path, ((const struct setting_value *)b)->path);
}

void project_settings(struct arena *arena, const struct project *project,
		      const struct environment *environment, struct setting_list *out)
{
	struct flattening flat = {.arena = arena, .out = out};
	const struct node *own = resolved_environment(arena, project, environment);
	*out = (struct setting_list){0};
	for (size_t i = 0; i < project->node->count; i++) {
		struct slice key = project->node->entries[i].key;
		if (slice_is(key, "build") || slice_is(key, "env") || slice_is(key, "files") ||
		    slice_is(key, "values_from"))
			flatten(&flat, key.ptr, project->node->entries[i].value);
	}
	for (size_t i = 0; i < own->count; i++)
		if (!slice_is(own->entries[i].key, "values") && !slice_is(own->entries[i].key, "values_for"))
			flatten(&flat, own->entries[i].key.ptr, own->entries[i].value);
	if (out->count)
		qsort(out->items, out->count, sizeof(*out->items), by_path);
}

void project_settings_digest(const struct setting_list *settings, char hex_out[DIGEST_HEX_LEN + 1])
{
	struct digest_stream stream;
	struct digest digest;
	digest_init(&stream);
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting_value *item = &settings->items[i];
		digest_update(&stream, item->path, strlen(item->path) + 1);
		digest_update(&stream, item->text, strlen(item->text) + 1);
	}
	digest_finish(&stream, &digest);
	digest_to_hex(&digest, hex_out);
}
