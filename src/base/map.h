/* A hash map from byte strings to pointers (open addressing, SipHash-keyed so
 * that foreign keys cannot be chosen to collide). Keys are borrowed: whoever
 * inserts keeps them alive. Iteration is in insertion order. */
#pragma once

#include "base/slice.h"

struct map_entry {
	struct slice key;
	void *value;
};

struct map {
	struct map_entry *entries; /* in insertion order; removed ones have key.ptr == NULL */
	size_t entries_used;       /* iterate 0..entries_used, skipping removed ones */
	size_t count;
	size_t entries_cap;
	uint32_t *slots;
	size_t slots_cap;
};

#define MAP_INIT ((struct map){ 0 })

/* Inserts or replaces; returns the old value or NULL. value must not be NULL. */
void *map_put(struct map *map, struct slice key, void *value);
void *map_get(const struct map *map, struct slice key); /* NULL when absent */
void *map_remove(struct map *map, struct slice key);    /* the removed value or NULL */
void map_free(struct map *map); /* cleanup function; values are not freed */
