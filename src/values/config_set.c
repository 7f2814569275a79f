/* Config sets: looking up, fingerprints, and the name of all of an environment's. */
#include "values/config_set.h"

#include <stdio.h>

static const char *const level_names[] = {
	[LEVEL_DEFAULT] = "default", [LEVEL_PROJECT] = "project", [LEVEL_ENVIRONMENT] = "environment",
	[LEVEL_GROUP] = "group",     [LEVEL_SERVER] = "server",
};

const char *value_level_name(enum value_level level)
{
	return level >= LEVEL_DEFAULT && level <= LEVEL_SERVER ? level_names[level] : "?";
}

const struct config_value *config_set_get(const struct config_set *set, struct slice name)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(slice_of(set->values[middle].name), name);
		if (order == 0)
			return &set->values[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct slice config_set_text(const struct config_set *set, struct slice name)
{
	const struct config_value *value = config_set_get(set, name);

	return value ? secret_reveal(value->value) : SLICE("");
}

int config_set_of_values(struct arena *arena, struct safe *safe, const struct value_list *values,
			 struct config_set *out, struct err *err)
{
	struct config_set set = {.values = ARENA_NEW_ARRAY(arena, values->count, struct config_value),
				 .count = values->count};

	for (size_t i = 0; i < values->count; i++) {
		set.values[i] = (struct config_value){
			.name = arena_strdup(arena, values->items[i].name),
			.level = LEVEL_ENVIRONMENT,
			.place = "",
		};
		if (safe_put(safe, slice_of(values->items[i].text), &set.values[i].value, err))
			return -1;
	}
	*out = set;
	return 0;
}

/* HMAC-SHA-256 (RFC 2104) over a stream. */
struct hmac {
	struct digest_stream inner;
	uint8_t outer_pad[64];
};

static void hmac_begin(struct hmac *hmac, struct slice key)
{
	uint8_t block[64] = {0}, inner_pad[64];

	if (key.len > sizeof(block)) {
		struct digest shorter;
		digest_of(key, &shorter);
		memcpy(block, shorter.bytes, DIGEST_LEN);
	} else if (key.len) {
		memcpy(block, key.ptr, key.len);
	}
	for (size_t i = 0; i < sizeof(block); i++) {
		inner_pad[i] = block[i] ^ 0x36;
		hmac->outer_pad[i] = block[i] ^ 0x5c;
	}
	digest_init(&hmac->inner);
	digest_update(&hmac->inner, inner_pad, sizeof(inner_pad));
	explicit_bzero(block, sizeof(block));
	explicit_bzero(inner_pad, sizeof(inner_pad));
}

static void hmac_end(struct hmac *hmac, struct digest *out)
{
	struct digest_stream outer;
	struct digest inner;

	digest_finish(&hmac->inner, &inner);
	digest_init(&outer);
	digest_update(&outer, hmac->outer_pad, sizeof(hmac->outer_pad));
	digest_update(&outer, inner.bytes, DIGEST_LEN);
	digest_finish(&outer, out);
	explicit_bzero(hmac, sizeof(*hmac));
}

static void hmac_value(struct hmac *hmac, const struct config_value *value)
{
	struct slice text = secret_reveal(value->value);
	char length[24];
	int digits = snprintf(length, sizeof(length), "%zu", text.len);

	digest_update(&hmac->inner, value->name, strlen(value->name) + 1);
	digest_update(&hmac->inner, length, (size_t)digits + 1);
	digest_update(&hmac->inner, text.ptr, text.len);
}

void config_fingerprint(const struct config_value *value, struct slice key, struct digest *out)
{
	struct hmac hmac;

	hmac_begin(&hmac, key);
	hmac_value(&hmac, value);
	hmac_end(&hmac, out);
}

void config_digest(const struct config_set *sets, size_t count, struct slice key, struct digest *out)
{
	static const char header[] = "lockstep-config 2\n";
	struct hmac hmac;

	hmac_begin(&hmac, key);
	digest_update(&hmac.inner, header, sizeof(header) - 1);
	for (size_t s = 0; s < count; s++) {
		char number[48];
		int digits = snprintf(number, sizeof(number), "set %zu %zu\n", s, sets[s].count);
		digest_update(&hmac.inner, number, (size_t)digits);
		for (size_t i = 0; i < sets[s].count; i++)
			hmac_value(&hmac, &sets[s].values[i]);
	}
	hmac_end(&hmac, out);
}
