/* Decoding a tree into C structs by rows. Printing from the same rows is in
 * key_schema.c and key_reference.c. */
#include "doc/key.h"

#include "doc/yaml.h"

enum { KEYS_MAX = 128 }; /* in one table, with what it includes */

/* What a message calls a value: its path from the top, `environments.dev.keep`. */
struct where {
	const struct where *parent;
	const char *name; /* NULL: an element of a list */
	size_t number;	  /* from 1 */
};

static int decode_value(struct key_decoder *decoder, const struct key *key, const struct node *node,
			const struct where *where, void *base);
static int decode_map(struct key_decoder *decoder, const struct key *keys, const struct node *node,
		      const struct where *where, void *out);

static void put_where(struct buf *out, const struct where *where)
{
	if (where->parent)
		put_where(out, where->parent);
	if (!where->name)
		buf_printf(out, "[%zu]", where->number);
	else if (*where->name)
		buf_printf(out, "%s%s", out->len ? "." : "", where->name);
}

static int refuse(struct key_decoder *decoder, const struct node *node, const struct where *where,
		  const char *format, ...) PRINTF(4, 5);
static int refuse(struct key_decoder *decoder, const struct node *node, const struct where *where,
		  const char *format, ...)
{
	AUTO(buf_free) struct buf path = BUF_INIT(1024);
	put_where(&path, where);
	va_list args;
	va_start(args, format);
	const char *text = arena_vprintf(decoder->arena, format, args);
	va_end(args);
	return diags_error(decoder->diags, node->origin, "`%s` %s", buf_str(&path), text);
}

/* ---- what is near ---- */

const char *key_nearest(struct slice word, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t best_distance = SIZE_MAX;
	for (size_t i = 0; i < count; i++) {
		size_t distance = slice_edit_distance(word, slice_of(names[i]));
		if (distance < best_distance) {
			best_distance = distance;
			best = names[i];
		}
	}
	if (!best || best_distance > MAX((size_t)1, MIN(word.len, strlen(best)) / 3))
		return NULL;
	return best;
}

/* ---- scalars ---- */

static int wrong_kind(struct key_decoder *decoder, const char *wanted, const struct node *node,
		      const struct where *where)
{
	refuse(decoder, node, where, "must be %s, but this is %s", wanted, node_kind_words(node->kind));
	if (node->kind == NODE_NULL)
		diags_hint(decoder->diags, "give it a value, or take the key away");
	return -1;
}

static int decode_int(struct key_decoder *decoder, const struct key *key, const struct node *node,
		      const struct where *where, int64_t *out)
{
	bool bounded = key->min || key->max;
	int64_t min = bounded ? key->min : INT64_MIN, max = bounded ? key->max : INT64_MAX;
	if (node->kind != NODE_INT) {
		wrong_kind(decoder, "a whole number", node, where);
		if (node->kind == NODE_STR && node->quoted)
			diags_hint(decoder->diags, "write it without quotes");
		return -1;
	}
	if (node->integer < min || node->integer > max)
		return refuse(decoder, node, where, "must be between %lld and %lld, but is %s",
			      (long long)min, (long long)max, node->text.ptr);
	*out = node->integer;
	return 0;
}

static int decode_bool(struct key_decoder *decoder, const struct node *node, const struct where *where,
		       bool *out)
{
	if (node->kind != NODE_BOOL)
		return wrong_kind(decoder, "true or false", node, where);
	*out = node->boolean;
	return 0;
}

static int decode_str(struct key_decoder *decoder, const struct key *key, const struct node *node,
		      const struct where *where, const char **out)
{
	size_t max = key->max ? (size_t)key->max : KEY_STR_MAX;
	bool scalar = node->kind <= NODE_STR;
	if (key->kind == KEY_KIND_TEXT ? !scalar || node->kind == NODE_NULL : node->kind != NODE_STR) {
		wrong_kind(decoder, "text", node, where);
		if (node->kind == NODE_NULL)
			diags_hint(decoder->diags, "write \"\" for the empty text");
		else if (scalar)
			diags_hint(decoder->diags, "put it in quotes: \"%s\"", node->text.ptr);
		return -1;
	}
	if (key->kind == KEY_KIND_STR && !node->text.len && !key->min)
		return refuse(decoder, node, where, "must not be empty");
	if (node->text.len > max)
		return refuse(decoder, node, where, "must be at most %zu bytes, but is %zu", max,
			      node->text.len);
	*out = node->text.ptr;
	return 0;
}

static int decode_duration(struct key_decoder *decoder, const struct node *node, const struct where *where,
			   int64_t *out)
{
	if (node->kind > NODE_STR || !slice_to_duration_ms(node->text, out)) {
		refuse(decoder, node, where, "must be a duration");
		diags_hint(decoder->diags, "such as 250ms, 30s, 5m, 2h or 7d");
		return -1;
	}
	return 0;
}

static int decode_size(struct key_decoder *decoder, const struct node *node, const struct where *where,
		       uint64_t *out)
{
	if (node->kind > NODE_STR || !slice_to_size(node->text, out)) {
		refuse(decoder, node, where, "must be a size");
		diags_hint(decoder->diags, "such as 512k, 64M or 2G");
		return -1;
	}
	return 0;
}

static int decode_enum(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       const struct where *where, int *out)
{
	const char *names[KEYS_MAX];
	size_t count = 0;
	AUTO(buf_free) struct buf list = BUF_INIT(1024);
	for (const struct key_word *word = key->words; word->name; word++) {
		/* `null`, `true` and numbers are words like any other here. */
		if (node->kind <= NODE_STR && slice_is(node->text, word->name)) {
			*out = word->value;
			return 0;
		}
		ASSERT(count < KEYS_MAX);
		buf_printf(&list, "%s`%s`", count == 0 ? "" : word[1].name ? ", " : " or ", word->name);
		names[count++] = word->name;
	}
	refuse(decoder, node, where, "must be %s", buf_str(&list));
	const char *near = node->kind <= NODE_STR ? key_nearest(node->text, names, count) : NULL;
	if (near)
		diags_hint(decoder->diags, "did you mean `%s`?", near);
	return -1;
}

/* ---- lists and maps of any key ---- */

struct list {
	char *items;
	size_t count;
};

static int check_count(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       const struct where *where)
{
	size_t max = key->max ? (size_t)key->max : KEY_COUNT_MAX;
	if (node->count > max)
		return refuse(decoder, node, where, "may hold at most %zu, but holds %zu", max, node->count);
	if (node->count < (size_t)key->min)
		return refuse(decoder, node, where, "must not be empty");
	return 0;
}

static int decode_list(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       const struct where *where, struct list *out)
{
	if (node->kind != NODE_LIST && node->kind != NODE_NULL && key->one_is_list)
		node = node_list_of(decoder->arena, node);
	if (node->kind != NODE_LIST)
		return wrong_kind(decoder, "a list", node, where);
	if (check_count(decoder, key, node, where))
		return -1;
	int status = 0;
	struct list list = {arena_array(decoder->arena, node->count, key->item_size), node->count};
	for (size_t i = 0; i < node->count; i++) {
		struct where element = {where, node->synthetic ? "" : NULL, i + 1};
		if (decode_value(decoder, key->item, node->items[i].value, &element,
				 list.items + i * key->item_size))
			status = -1;
	}
	*out = list;
	return status;
}

static int decode_any_map(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  const struct where *where, struct list *out)
{
	if (check_count(decoder, key, node, where))
		return -1;
	int status = 0;
	struct list list = {arena_array(decoder->arena, node->count, key->item_size), node->count};
	for (size_t i = 0; i < node->count; i++) {
		const struct node_entry *entry = &node->entries[i];
		struct where element = {where, node->synthetic ? "" : entry->key.ptr, 0};
		char *base = list.items + i * key->item_size;
		*(const char **)(void *)(base + key->name_offset) = entry->key.ptr;
		size_t errors = decoder->diags->errors;
		if (key->check_name)
			key->check_name(decoder, key, entry);
		if (decode_value(decoder, key->item, entry->value, &element, base) ||
		    decoder->diags->errors != errors)
			status = -1;
	}
	*out = list;
	return status;
}

/* ---- maps of known keys ---- */

struct row {
	const struct key *key;
	char *base;
};

/* The rows of a table with those it includes, each with the struct it fills. */
static size_t collect_rows(const struct key *keys, void *out, const struct node *node, struct row *rows,
			   size_t count)
{
	for (const struct key *key = keys; key->name; key++) {
		char *member = (char *)out + key->offset;
		if (key->kind == KEY_KIND_NODE) {
			*(const struct node **)(void *)member = node;
		} else if (key->kind == KEY_KIND_INCLUDE) {
			count = collect_rows(key->keys, member, node, rows, count);
		} else {
			ASSERT(count < KEYS_MAX);
			rows[count++] = (struct row){key, out};
		}
	}
	return count;
}

static void refuse_unknown(struct key_decoder *decoder, const struct node_entry *entry,
			   const struct row *rows, size_t count, const struct where *where)
{
	const char *names[KEYS_MAX];
	size_t known = 0;
	/* Nobody will see more; a file of nothing but unknown keys stays cheap. */
	if (decoder->diags->count == DIAGS_MAX) {
		diags_error(decoder->diags, entry->origin, "unknown key");
		return;
	}
	AUTO(buf_free) struct buf list = BUF_INIT(2048);
	for (size_t i = 0; i < count; i++) {
		if (rows[i].key->internal || rows[i].key->kind == KEY_KIND_LATER)
			continue;
		buf_printf(&list, "%s%s", known ? ", " : "", rows[i].key->name);
		names[known++] = rows[i].key->name;
	}
	AUTO(buf_free) struct buf path = BUF_INIT(1024);
	put_where(&path, where);
	diags_error(decoder->diags, entry->origin, "unknown key `%.*s`%s%s%s", SLICE_ARG(entry->key),
		    path.len ? " in `" : "", buf_str(&path), path.len ? "`" : "");
	const char *near = key_nearest(entry->key, names, known);
	if (near)
		diags_hint(decoder->diags, "did you mean `%s`?", near);
	else
		diags_hint(decoder->diags, "known here: %s", buf_str(&list));
}

static int decode_fallback(struct key_decoder *decoder, const struct key *key, const struct where *where,
			   void *base)
{
	struct node node = {.kind = NODE_STR, .text = slice_of(key->fallback)};
	if (key->kind != KEY_KIND_STR && key->kind != KEY_KIND_TEXT)
		node.kind = yaml_core_kind(node.text, &node.boolean, &node.integer);
	struct key plain = *key;
	plain.check = NULL; /* nobody wrote it */
	int status = decode_value(decoder, &plain, &node, where, base);
	ASSERT(status == 0);
	return status;
}

/* Absent keys of absent maps too: a struct is whole whatever was written. */
static void set_fallbacks(struct key_decoder *decoder, const struct key *keys, const struct where *where,
			  void *out)
{
	struct row rows[KEYS_MAX];
	size_t count = collect_rows(keys, out, NULL, rows, 0);
	for (size_t i = 0; i < count; i++) {
		const struct key *key = rows[i].key;
		if (key->kind == KEY_KIND_OBJECT)
			set_fallbacks(decoder, key->keys, where, rows[i].base + key->offset);
		else if (key->fallback)
			(void)!decode_fallback(decoder, key, where, rows[i].base);
	}
}

static int decode_row(struct key_decoder *decoder, const struct row *row, const struct node *map,
		      const struct where *where)
{
	const struct key *key = row->key;
	const struct node_entry *entry = node_find(map, key->name);
	/* A key that only our short forms make, seen in what a person wrote, is
	 * reported as unknown. */
	bool written = entry && (!key->internal || map->synthetic);
	struct where here = {where, map->synthetic ? "" : key->name, 0};
	if (written && key->kind == KEY_KIND_LATER)
		return diags_error(decoder->diags, entry->origin, "`%s` is not supported yet: %s", key->name,
				   key->text);
	if (written)
		return decode_value(decoder, key, entry->value, &here, row->base);
	if (key->kind == KEY_KIND_LATER)
		return 0;
	if (key->kind == KEY_KIND_OBJECT)
		set_fallbacks(decoder, key->keys, &here, row->base + key->offset);
	else if (key->fallback)
		(void)!decode_fallback(decoder, key, &here, row->base);
	if (!key->required)
		return 0;
	AUTO(buf_free) struct buf path = BUF_INIT(1024);
	put_where(&path, where);
	diags_error(decoder->diags, map->origin, "the key `%s` is missing%s%s%s", key->name,
		    path.len ? " in `" : "", buf_str(&path), path.len ? "`" : "");
	diags_hint(decoder->diags, "%s: %s", key->name, key->example ? key->example : key->text);
	return -1;
}

static int decode_map(struct key_decoder *decoder, const struct key *keys, const struct node *node,
		      const struct where *where, void *out)
{
	struct row rows[KEYS_MAX];
	size_t count = collect_rows(keys, out, node, rows, 0);
	int status = 0;
	for (size_t i = 0; i < count; i++)
		if (decode_row(decoder, &rows[i], node, where))
			status = -1;
	for (size_t i = 0; i < node->count; i++) {
		const struct key *known = NULL;
		for (size_t j = 0; j < count && !known; j++)
			if (slice_is(node->entries[i].key, rows[j].key->name))
				known = rows[j].key;
		if (known && (!known->internal || node->synthetic))
			continue;
		refuse_unknown(decoder, &node->entries[i], rows, count, where);
		status = -1;
	}
	return status;
}

int key_decode(struct key_decoder *decoder, const struct key *keys, const struct node *node, void *out)
{
	struct where top = {NULL, "", 0};
	if (node->kind != NODE_MAP)
		return diags_error(decoder->diags, node->origin,
				   "a map of keys is expected here, but this is %s",
				   node_kind_words(node->kind));
	return decode_map(decoder, keys, node, &top, out);
}

/* ---- any value ---- */

static const struct key *short_row(const struct key *key)
{
	if (key->kind == KEY_KIND_MAP)
		return key->item;
	const struct key *row = key->keys;
	while (strcmp(row->name, key->short_key) != 0)
		row++;
	return row;
}

static int not_a_map(struct key_decoder *decoder, const struct key *key, const struct node *node,
		     const struct where *where)
{
	const char *wanted = "a map";
	if (key->short_key)
		wanted = short_row(key)->kind == KEY_KIND_LIST ? "a map or a list" : "a map or text";
	return wrong_kind(decoder, wanted, node, where);
}

/* The map that a short form stands for; the node itself when it is none. */
static const struct node *spell_out(struct key_decoder *decoder, const struct key *key,
				    const struct node *node)
{
	if (node->kind == NODE_MAP || (!key->expand && !key->short_key))
		return node;
	if (key->expand)
		return key->expand(decoder, key, node);
	return node->kind == NODE_STR || node->kind == NODE_LIST
		       ? node_map_of(decoder->arena, key->short_key, node)
		       : node;
}

static int decode_by_kind(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  const struct where *where, void *member)
{
	switch (key->kind) {
	case KEY_KIND_INT:
		return decode_int(decoder, key, node, where, member);
	case KEY_KIND_BOOL:
		return decode_bool(decoder, node, where, member);
	case KEY_KIND_STR:
	case KEY_KIND_TEXT:
		return decode_str(decoder, key, node, where, member);
	case KEY_KIND_DURATION:
		return decode_duration(decoder, node, where, member);
	case KEY_KIND_SIZE:
		return decode_size(decoder, node, where, member);
	case KEY_KIND_ENUM:
		return decode_enum(decoder, key, node, where, member);
	case KEY_KIND_LIST:
		return decode_list(decoder, key, node, where, member);
	case KEY_KIND_MAP:
		if (node->kind != NODE_MAP)
			return not_a_map(decoder, key, node, where);
		return decode_any_map(decoder, key, node, where, member);
	case KEY_KIND_OBJECT:
		if (node->kind != NODE_MAP)
			return not_a_map(decoder, key, node, where);
		return decode_map(decoder, key->keys, node, where, member);
	case KEY_KIND_NODE:
	case KEY_KIND_INCLUDE:
	case KEY_KIND_LATER:
		break;
	}
	ASSERT(!"a kind that can be decoded");
	return -1;
}

static int decode_value(struct key_decoder *decoder, const struct key *key, const struct node *node,
			const struct where *where, void *base)
{
	const struct node *full = spell_out(decoder, key, node);
	if (!full || decode_by_kind(decoder, key, full, where, (char *)base + key->offset))
		return -1;
	size_t errors = decoder->diags->errors;
	if (key->check)
		key->check(decoder, key, full, base);
	return decoder->diags->errors == errors ? 0 : -1;
}

/* ---- inheriting ---- */

static size_t member_size(const struct key *key)
{
	switch (key->kind) {
	case KEY_KIND_INT:
	case KEY_KIND_DURATION:
		return sizeof(int64_t);
	case KEY_KIND_SIZE:
		return sizeof(uint64_t);
	case KEY_KIND_BOOL:
		return sizeof(bool);
	case KEY_KIND_STR:
	case KEY_KIND_TEXT:
		return sizeof(const char *);
	case KEY_KIND_ENUM:
		return sizeof(int);
	case KEY_KIND_LIST:
	case KEY_KIND_MAP:
		return sizeof(struct list);
	case KEY_KIND_OBJECT:
		return key->struct_size;
	case KEY_KIND_NODE:
	case KEY_KIND_INCLUDE:
	case KEY_KIND_LATER:
		break;
	}
	return 0;
}

void key_inherit(const struct key *keys, const void *parent, void *child, const struct node *child_node)
{
	for (const struct key *key = keys; key->name; key++) {
		const char *from = (const char *)parent + key->offset;
		char *to = (char *)child + key->offset;
		if (key->kind == KEY_KIND_INCLUDE)
			key_inherit(key->keys, from, to, child_node);
		else if (!node_find(child_node, key->name))
			memcpy(to, from, member_size(key));
	}
}
