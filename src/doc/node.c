/* Looking things up in the tree, and making the small pieces that short forms
 * stand for. Reading is in yaml.c, decoding in key.c. */
#include "doc/node.h"

#include <stdlib.h>

const char *node_kind_words(enum node_kind kind)
{
	switch (kind) {
	case NODE_NULL:
		return "nothing";
	case NODE_BOOL:
		return "true or false";
	case NODE_INT:
		return "a whole number";
	case NODE_FLOAT:
		return "a number";
	case NODE_STR:
		return "text";
	case NODE_LIST:
		return "a list";
	case NODE_MAP:
		return "a map";
	}
	return "nothing";
}

const struct node_entry *node_find(const struct node *map, const char *key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	size_t low = 0, high = map->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct node_entry *entry = &map->entries[map->sorted[middle]];
		int order = slice_compare(entry->key, slice_of(key));
		if (order == 0)
			return entry;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct node *node_get(const struct node *map, const char *key)
{
	const struct node_entry *entry = node_find(map, key);
	return entry ? entry->value : NULL;
}

struct origin node_key_origin(const struct node *map, const char *key)
{
	const struct node_entry *entry = node_find(map, key);
	if (entry)
		return entry->origin;
	return map ? map->origin : (struct origin){0};
}

const struct node *node_list_of(struct arena *arena, const struct node *value)
{
	struct node *list = ARENA_NEW(arena, struct node);
	*list = (struct node){.kind = NODE_LIST, .origin = value->origin, .synthetic = true, .count = 1};
	list->items = ARENA_NEW_ARRAY(arena, 1, struct node_item);
	list->items[0].value = value;
	return list;
}

const struct node *node_map_of(struct arena *arena, const char *key, const struct node *value)
{
	struct node *map = ARENA_NEW(arena, struct node);
	*map = (struct node){.kind = NODE_MAP, .origin = value->origin, .synthetic = true, .count = 1};
	map->entries = ARENA_NEW_ARRAY(arena, 1, struct node_entry);
	map->entries[0] = (struct node_entry){
		.key = slice_of(arena_strdup(arena, key)), .origin = value->origin, .value = value};
	map->sorted = ARENA_NEW_ARRAY(arena, 1, uint32_t);
	return map;
}

static int compare_positions(const void *a, const void *b, void *context)
{
	const struct node_entry *entries = context;
	return slice_compare(entries[*(const uint32_t *)a].key, entries[*(const uint32_t *)b].key);
}

const struct node *node_map_make(struct arena *arena, struct origin origin, struct node_entry *entries,
				 size_t count)
{
	struct node *map = ARENA_NEW(arena, struct node);
	uint32_t *sorted = ARENA_NEW_ARRAY(arena, count, uint32_t);
	for (size_t i = 0; i < count; i++)
		sorted[i] = (uint32_t)i;
	if (count)
		qsort_r(sorted, count, sizeof(*sorted), compare_positions, entries);
	*map = (struct node){
		.kind = NODE_MAP, .origin = origin, .entries = entries, .count = count, .sorted = sorted};
	return map;
}

const struct node *node_list_make(struct arena *arena, struct origin origin, struct node_item *items,
				  size_t count)
{
	struct node *list = ARENA_NEW(arena, struct node);
	*list = (struct node){.kind = NODE_LIST, .origin = origin, .items = items, .count = count};
	return list;
}

const struct node *node_bool_at(struct arena *arena, bool value, struct origin origin)
{
	struct node *node = ARENA_NEW(arena, struct node);
	*node = (struct node){.kind = NODE_BOOL, .origin = origin, .synthetic = true, .boolean = value};
	node->text = value ? SLICE("true") : SLICE("false");
	return node;
}
