/* What probably was renamed: missing here and there, and alike in everything but the name.
 * Only what is alike to exactly one other is told: two guesses are none. */
#include "introspect/introspect.h"

#include "base/map.h"

#include <stdlib.h>

enum { THINGS_MAX = 200000 };

/* A table, or a column, index or constraint of one. */
struct thing {
	const char *key;    /* "table/users/column/mail" */
	const char *parent; /* "table/users/column/", "table/" */
	struct digest_stream stream;
	struct digest shape;
	const char *position; /* of a column */
};

struct side {
	struct arena *arena;
	struct map things; /* by key */
	struct thing **list;
	size_t count, cap;
};

static struct thing *thing_of(struct side *side, struct slice key, struct slice parent)
{
	struct thing *thing = map_get(&side->things, key);

	if (thing || side->count == THINGS_MAX)
		return thing;
	thing = ARENA_NEW(side->arena, struct thing);
	thing->key = arena_str(side->arena, key);
	thing->parent = arena_str(side->arena, parent);
	thing->position = "";
	digest_init(&thing->stream);
	map_put(&side->things, slice_of(thing->key), thing);
	if (side->count == side->cap) {
		side->cap = MAX(side->cap * 2, (size_t)256);
		side->list = mem_grow(side->list, side->cap, sizeof(*side->list));
	}
	side->list[side->count++] = thing;
	return thing;
}

static void mix(struct thing *thing, struct slice text)
{
	uint64_t len = text.len;

	digest_update(&thing->stream, &len, sizeof(len));
	digest_update(&thing->stream, text.ptr, text.len);
}

/* "users/column/email/type": the last part of each kind there is, since names may hold slashes. */
static bool split(struct slice rest, size_t *table_len, size_t *thing_len)
{
	static const char *const kinds[] = {"/column/", "/index/", "/constraint/"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *at = memmem(rest.ptr, rest.len, kinds[i], strlen(kinds[i]));
		struct slice attribute = slice_make(rest.ptr, rest.len);
		if (!at)
			continue;
		while (attribute.len && attribute.ptr[attribute.len - 1] != '/')
			attribute.len--;
		*table_len = (size_t)(at - rest.ptr);
		*thing_len = attribute.len ? attribute.len - 1 : 0;
		return *thing_len > *table_len + strlen(kinds[i]);
	}
	return false;
}

static void take(struct side *side, const struct fact *fact, struct slice key)
{
	struct slice rest = slice_skip(key, strlen("table/"));
	struct slice parent = SLICE("table/");
	size_t table_len = 0, thing_len = 0, kind_end = 0;

	if (!split(rest, &table_len, &thing_len))
		return;
	struct slice table_key = slice_make(key.ptr, strlen("table/") + table_len);
	struct slice thing_key = slice_make(key.ptr, strlen("table/") + thing_len);
	struct slice attribute = slice_skip(key, thing_key.len);
	struct thing *table = thing_of(side, table_key, parent);
	for (kind_end = table_key.len + 1; key.ptr[kind_end] != '/'; kind_end++)
		continue;
	struct thing *thing = thing_of(side, thing_key, slice_make(key.ptr, kind_end + 1));
	if (thing && slice_is(attribute, "/position"))
		thing->position = arena_str(side->arena, fact->value);
	if (!thing || !table || fact->evidence || fact->kind == FACT_NOT_CHECKED)
		return;
	mix(thing, attribute);
	mix(thing, fact->value);
	/* A table is its columns: names of its indexes and keys often follow its own. */
	if (slice_starts_with(slice_skip(key, table_key.len), "/column/") &&
	    !slice_is(attribute, "/default")) {
		mix(table, slice_skip(key, table_key.len));
		mix(table, fact->value);
	}
}

static int read_side(struct side *side, struct fact_reader *reader, const char *prefix, struct err *err)
{
	struct fact fact;
	int got;

	while ((got = fact_next(reader, &fact, err)) > 0) {
		if (!slice_starts_with(fact.key, prefix))
			continue;
		struct slice key = slice_skip(fact.key, strlen(prefix));
		if (slice_starts_with(key, "table/"))
			take(side, &fact, key);
	}
	for (size_t i = 0; i < side->count; i++)
		digest_finish(&side->list[i]->stream, &side->list[i]->shape);
	return got;
}

/* What one shape in one place (and for columns, where that is needed, one position) has that
 * the other side lacks. */
struct bucket {
	const struct thing *from, *to;
	size_t from_count, to_count;
};

static struct bucket *bucket_of(struct arena *arena, struct map *buckets, const struct thing *thing,
				bool with_position)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(&thing->shape, hex);
	struct slice key = slice_of(
		arena_printf(arena, "%s%s %s", thing->parent, hex, with_position ? thing->position : ""));
	struct bucket *bucket = map_get(buckets, key);
	if (!bucket) {
		bucket = ARENA_NEW(arena, struct bucket);
		map_put(buckets, key, bucket);
	}
	return bucket;
}

struct pairs {
	struct arena *arena;
	struct rename_pair *items;
	size_t count;
	struct map told;
};

/* A table's own parts go with it; a part whose table is missing is not told by itself. */
static bool is_candidate(const struct thing *thing, const struct side *other)
{
	struct slice parent = slice_of(thing->parent);

	if (map_get(&other->things, slice_of(thing->key)))
		return false;
	if (strcmp(thing->parent, "table/") == 0)
		return true;
	parent.len--; /* "table/users/column" */
	while (parent.len && parent.ptr[parent.len - 1] != '/')
		parent.len--;
	return map_get(&other->things, slice_make(parent.ptr, parent.len - 1)) != NULL;
}

static void pair_up(struct pairs *pairs, const struct side *a, const struct side *b, bool with_position)
{
	struct map buckets = MAP_INIT;

	for (size_t i = 0; i < a->count; i++)
		if (is_candidate(a->list[i], b) && !map_get(&pairs->told, slice_of(a->list[i]->key))) {
			struct bucket *bucket = bucket_of(pairs->arena, &buckets, a->list[i], with_position);
			bucket->from = a->list[i];
			bucket->from_count++;
		}
	for (size_t i = 0; i < b->count; i++)
		if (is_candidate(b->list[i], a) && !map_get(&pairs->told, slice_of(b->list[i]->key))) {
			struct bucket *bucket = bucket_of(pairs->arena, &buckets, b->list[i], with_position);
			bucket->to = b->list[i];
			bucket->to_count++;
		}
	for (size_t i = 0; i < buckets.entries_used; i++) {
		struct bucket *bucket = buckets.entries[i].value;
		if (bucket->from_count != 1 || bucket->to_count != 1)
			continue;
		pairs->items[pairs->count++] = (struct rename_pair){bucket->from->key, bucket->to->key};
		map_put(&pairs->told, slice_of(bucket->from->key), bucket);
		map_put(&pairs->told, slice_of(bucket->to->key), bucket);
	}
	map_free(&buckets);
}

static void side_free(struct side *side)
{
	map_free(&side->things);
	free(side->list);
}

int introspect_renames(struct arena *arena, struct fact_reader *a, struct fact_reader *b, const char *name,
		       struct rename_pair **out, size_t *count_out, struct err *err)
{
	AUTO(side_free) struct side from = {.arena = arena};
	AUTO(side_free) struct side to = {.arena = arena};
	const char *prefix = arena_printf(arena, "db/%s/", name);
	struct pairs pairs = {.arena = arena};

	*out = NULL;
	*count_out = 0;
	if (read_side(&from, a, prefix, err) || read_side(&to, b, prefix, err))
		return -1;
	pairs.items = ARENA_NEW_ARRAY(arena, MIN(from.count, to.count) + 1, struct rename_pair);
	pair_up(&pairs, &from, &to, true);
	pair_up(&pairs, &from, &to, false);
	map_free(&pairs.told);
	*out = pairs.items;
	*count_out = pairs.count;
	return 0;
}
