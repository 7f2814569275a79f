/* Our own tree of what a YAML or JSON text says, in an arena, with the position
 * of every value and key. Decoding (doc/key.h) works on this and never on a
 * library's own types. */
#pragma once

#include "doc/diag.h"

enum node_kind {
	NODE_NULL = 1,
	NODE_BOOL,
	NODE_INT,
	NODE_FLOAT, /* only its text is kept */
	NODE_STR,
	NODE_LIST,
	NODE_MAP,
};

struct node {
	enum node_kind kind;
	struct origin origin;
	/* Scalars: the text as written (quotes and escapes resolved). Always
	 * NUL-terminated and without a NUL inside. */
	struct slice text;
	bool quoted;	/* written in quotes or as a block: text, whatever it looks like */
	bool synthetic; /* made by us when a short form was spelled out */
	bool boolean;
	int64_t integer;
	union {
		struct node_item *items;    /* NODE_LIST */
		struct node_entry *entries; /* NODE_MAP: in file order, no key twice */
	};
	size_t count;
	const uint32_t *sorted; /* NODE_MAP: positions of the entries in order of their keys */
};

struct node_item {
	const struct node *value;
};

struct node_entry {
	struct slice key;
	struct origin origin; /* of the key */
	const struct node *value;
};

/* "a map", "a list", "text", "a whole number", "true or false", "nothing" */
const char *node_kind_words(enum node_kind kind);

/* NULL when `map` is NULL, not a map, or lacks the key. */
const struct node_entry *node_find(const struct node *map, const char *key);
const struct node *node_get(const struct node *map, const char *key);
/* Where the key stands; of the map itself when it is absent (synthetic maps too). */
struct origin node_key_origin(const struct node *map, const char *key);

/* Spelled-out short forms: a list of one, a map of one key, both at the place of
 * the value they were made from. */
const struct node *node_list_of(struct arena *arena, const struct node *value);
const struct node *node_map_of(struct arena *arena, const char *key, const struct node *value);
/* A map of these entries (no key twice), which are borrowed. */
const struct node *node_map_make(struct arena *arena, struct origin origin, struct node_entry *entries,
				 size_t count);
const struct node *node_list_make(struct arena *arena, struct origin origin, struct node_item *items,
				  size_t count);
const struct node *node_bool_at(struct arena *arena, bool value, struct origin origin);
