/* Slots find, entries remember: the order of insertion survives any growth. */
#include "base/map.h"

#include "base/arena.h"
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>

static uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static uint64_t secret[2];

static void make_secret(void)
{
	random_bytes(secret, sizeof(secret));
}

/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"). */
static uint64_t hash(struct slice key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_secret);
	uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
			 secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
	size_t whole = key.len & ~(size_t)7;
	uint64_t word;
	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, key.ptr + i, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)key.len << 56;
	for (size_t i = whole; i < key.len; i++)
		word |= (uint64_t)(unsigned char)key.ptr[i] << (8 * (i - whole));
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Slots hold entry index + 1; 0 is free. Removed entries keep their slot until
 * the next rehash. */
static uint32_t *find_slot(const struct map *map, struct slice key)
{
	size_t at = hash(key) & (map->slots_cap - 1);

	while (map->slots[at]) {
		const struct map_entry *entry = &map->entries[map->slots[at] - 1];
		if (entry->key.ptr && slice_equal(entry->key, key))
			break;
		at = (at + 1) & (map->slots_cap - 1);
	}
	return &map->slots[at];
}

static void rehash(struct map *map)
{
	size_t kept = 0;

	for (size_t i = 0; i < map->entries_used; i++)
		if (map->entries[i].key.ptr)
			map->entries[kept++] = map->entries[i];
	map->entries_used = kept;
	if (kept * 2 >= map->entries_cap) {
		map->entries_cap = MAX(map->entries_cap * 2, (size_t)8);
		map->entries = mem_grow(map->entries, map->entries_cap, sizeof(*map->entries));
	}
	free(map->slots);
	map->slots_cap = map->entries_cap * 2;
	map->slots = mem_array(map->slots_cap, sizeof(*map->slots));
	for (size_t i = 0; i < kept; i++)
		*find_slot(map, map->entries[i].key) = (uint32_t)i + 1;
}

void *map_put(struct map *map, struct slice key, void *value)
{
	ASSERT(value);
	if (!key.ptr)
		key.ptr = "";
	if (map->entries_used == map->entries_cap)
		rehash(map);
	uint32_t *slot = find_slot(map, key);
	if (*slot) {
		struct map_entry *entry = &map->entries[*slot - 1];
		void *old = entry->value;
		entry->value = value;
		return old;
	}
	ASSERT(map->entries_used < UINT32_MAX - 1);
	map->entries[map->entries_used++] = (struct map_entry){key, value};
	*slot = (uint32_t)map->entries_used;
	map->count++;
	return NULL;
}

void *map_get(const struct map *map, struct slice key)
{
	if (map->count == 0)
		return NULL;
	if (!key.ptr)
		key.ptr = "";
	uint32_t slot = *find_slot(map, key);
	return slot ? map->entries[slot - 1].value : NULL;
}

void *map_remove(struct map *map, struct slice key)
{
	if (map->count == 0)
		return NULL;
	if (!key.ptr)
		key.ptr = "";
	uint32_t slot = *find_slot(map, key);
	if (!slot)
		return NULL;
	struct map_entry *entry = &map->entries[slot - 1];
	void *old = entry->value;
	*entry = (struct map_entry){0};
	map->count--;
	return old;
}

void map_free(struct map *map)
{
	free(map->entries);
	free(map->slots);
	*map = MAP_INIT;
}
