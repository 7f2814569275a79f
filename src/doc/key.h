/* Rows by which a module declares the keys it owns. From them are printed: the
 * decoder into C structs, the JSON Schema for editors, the reference page and
 * the messages.
 *
 *	static const struct key deploy_keys[] = {
 *		KEY(struct deploy, keep, INT, .min = 1, .max = 1000, .fallback = "5",
 *		    .text = "how many good activations stay on a server"),
 *		KEY_END,
 *	};
 *
 *	kind       member                     written as
 *	INT        int64_t                    5
 *	BOOL       bool                       true
 *	STR        const char *               text; never NULL inside, NULL when absent
 *	TEXT       const char *               any scalar, as written
 *	DURATION   int64_t (milliseconds)     30s
 *	SIZE       uint64_t (bytes)           64M
 *	ENUM       int (or an enum)           one of .words
 *	LIST       LIST_OF(element)           [a, b]; each element by .item
 *	MAP        LIST_OF(element)           {any: value}; the key goes to .name_offset
 *	OBJECT     a struct                   {these: keys} by .keys
 *
 * Positions: a struct whose rows begin with KEY_NODE(struct t, node) gets the
 * map it was decoded from (NULL: the key was absent), so that later checks find
 * the origin of each key with node_key_origin(). */
#pragma once

#include "doc/node.h"

#define LIST_OF(type)                                                                                        \
	struct {                                                                                             \
		type *items;                                                                                 \
		size_t count;                                                                                \
	}
struct str_list {
	const char **items;
	size_t count;
};

enum key_kind {
	KEY_KIND_INT = 1,
	KEY_KIND_BOOL,
	KEY_KIND_STR,
	KEY_KIND_TEXT,
	KEY_KIND_DURATION,
	KEY_KIND_SIZE,
	KEY_KIND_ENUM,
	KEY_KIND_LIST,
	KEY_KIND_MAP,
	KEY_KIND_OBJECT,
	KEY_KIND_NODE,	  /* no key: the member that receives the map */
	KEY_KIND_INCLUDE, /* no key: the rows .keys stand here too, decoded into the member */
	KEY_KIND_LATER,	  /* known, refused: .text says why */
};

struct key_word { /* of an ENUM */
	const char *name;
	int value;
	const char *text;
};

struct key_decoder;

struct key {
	const char *name; /* NULL in elements, and in the row that ends a table */
	enum key_kind kind;
	size_t offset;
	const char *text;     /* one line, lower case, no full stop */
	const char *more;     /* further sentences for the reference page */
	const char *example;  /* a value as YAML, for the reference page and tests */
	const char *fallback; /* a scalar as YAML */
	bool required;
	bool internal;	     /* only made by a short form, never written */
	int64_t min, max;    /* INT: value; STR: bytes; LIST, MAP: count. Both 0: the defaults below */
	const char *pattern; /* STR, and names of a MAP: an ECMA regex, for the schema only */
	const struct key_word *words; /* ENUM; ends with a NULL name */
	const struct key *item;	      /* LIST and MAP: the row of each element */
	size_t item_size;	      /* of each element's type */
	size_t name_offset;	      /* MAP: const char * in the element */
	const char *name_word;	      /* MAP: what a name is, for messages ("environment") */
	const struct key *keys;	      /* OBJECT, INCLUDE */
	size_t struct_size;	      /* OBJECT, INCLUDE */
	/* OBJECT: the name under which the schema and the page describe it once,
	 * however often its rows are used. NULL: after the key. */
	const char *type_name;
	bool one_is_list; /* LIST: a scalar or map alone is a list of one */
	/* OBJECT, MAP: anything that is not a map stands for {short_key: it}. */
	const char *short_key;
	const char *short_text;	  /* says so in the reference */
	const char *short_schema; /* JSON Schema of other short forms (see expand) */
	/* A short form of its own: gets a value that is not a map, returns the
	 * map it stands for, or NULL after reporting. */
	const struct node *(*expand)(struct key_decoder *decoder, const struct key *key,
				     const struct node *node);
	/* A check of its own, called once the value is decoded without error and
	 * only when it was written. `base` is the struct whose member it is. */
	void (*check)(struct key_decoder *decoder, const struct key *key, const struct node *node,
		      void *base);
	/* MAP: checks a name. */
	void (*check_name)(struct key_decoder *decoder, const struct key *key,
			   const struct node_entry *entry);
};

enum {
	KEY_STR_MAX = 16 << 10, /* bytes of a STR or TEXT, unless .max says otherwise */
	KEY_COUNT_MAX = 20000,	/* elements of a LIST or MAP, likewise */
};

#define KEY(type, member, kind_name, ...)                                                                    \
	{                                                                                                    \
		.name = #member, .kind = KEY_KIND_##kind_name, .offset = offsetof(type, member), __VA_ARGS__ \
	}
/* A key whose name is not that of the member. */
#define KEY_AS(key_name, type, member, kind_name, ...)                                                       \
	{                                                                                                    \
		.name = key_name, .kind = KEY_KIND_##kind_name, .offset = offsetof(type, member),            \
		__VA_ARGS__                                                                                  \
	}
/* The row of a LIST's or MAP's elements. The element is the member itself... */
#define KEY_ITEM(kind_name, ...)                                                                             \
	{                                                                                                    \
		.kind = KEY_KIND_##kind_name, __VA_ARGS__                                                    \
	}
/* ...or a member of the element's struct. */
#define KEY_ITEM_IN(type, member, kind_name, ...)                                                            \
	{                                                                                                    \
		.kind = KEY_KIND_##kind_name, .offset = offsetof(type, member), __VA_ARGS__                  \
	}
#define KEY_NODE(type, member)                                                                               \
	{                                                                                                    \
		.name = "", .kind = KEY_KIND_NODE, .offset = offsetof(type, member)                          \
	}
#define KEY_INCLUDE(type, member, rows)                                                                      \
	{                                                                                                    \
		.name = "", .kind = KEY_KIND_INCLUDE, .offset = offsetof(type, member), .keys = (rows),      \
		.struct_size = sizeof(((type *)0)->member)                                                   \
	}
#define KEY_LATER(key_name, why)                                                                             \
	{                                                                                                    \
		.name = key_name, .kind = KEY_KIND_LATER, .text = (why)                                      \
	}
#define KEY_END                                                                                              \
	{                                                                                                    \
		.name = NULL, .kind = 0                                                                      \
	}

struct key_decoder {
	struct arena *arena;
	struct diags *diags;
	void *context; /* the caller's, for checks */
};

/* Decodes a map by rows into `out` (zeroed by the caller). Every mistake goes to
 * diags; returns -1 when there was one, and then `out` must not be used but for
 * further checks that report more. Absent keys get their fallbacks. */
int key_decode(struct key_decoder *decoder, const struct key *keys, const struct node *node,
	       void *out) CHECKED;

/* Copies to `child` the members of those keys that `child_node` lacks. Both
 * structs are of the type the rows speak of. */
void key_inherit(const struct key *keys, const void *parent, void *child, const struct node *child_node);

/* The name nearest to `word`, if it is near enough to have been meant; or NULL. */
const char *key_nearest(struct slice word, const char *const *names, size_t count);

/* Printed from rows. The schema is draft 2020-12; the page is Markdown, one
 * section for each OBJECT. */
struct key_page {
	const char *title;
	const char *id;	   /* of the schema */
	const char *intro; /* Markdown */
};
void key_print_schema(const struct key_page *page, const struct key *keys, struct buf *out);
void key_print_reference(const struct key_page *page, const struct key *keys, struct buf *out);
