/* Config sets: looking up, fingerprints, and the name of all of an environment's. */
#include "values/config_set.h"

#include <stdio.h>
#include <stdlib.h>

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

static void hmac_text(struct hmac *hmac, const char *text)
{
	digest_update(&hmac->inner, text, strlen(text) + 1);
}

static void hmac_bytes(struct hmac *hmac, struct slice bytes)
{
	char length[24];

	snprintf(length, sizeof(length), "%zu", bytes.len);
	hmac_text(hmac, length);
	digest_update(&hmac->inner, bytes.ptr, bytes.len);
}

static void hmac_heading(struct hmac *hmac, const char *what, size_t count)
{
	char line[48];
	int len = snprintf(line, sizeof(line), "%s %zu\n", what, count);

	digest_update(&hmac->inner, line, (size_t)len);
}

static void hmac_value(struct hmac *hmac, const struct config_value *value)
{
	hmac_text(hmac, value->name);
	hmac_bytes(hmac, secret_reveal(value->value));
}

static void hmac_file(struct hmac *hmac, const struct config_set_file *file)
{
	char mode[16];

	snprintf(mode, sizeof(mode), "%04o", file->mode);
	hmac_text(hmac, file->pattern ? "files" : "file");
	hmac_text(hmac, file->path);
	hmac_text(hmac, mode);
	hmac_text(hmac, file->owner ? file->owner : "");
	hmac_text(hmac, file->group ? file->group : "");
	hmac_bytes(hmac, file->content);
}

void config_fingerprint(const struct config_value *value, struct slice key, struct digest *out)
{
	struct hmac hmac;

	hmac_begin(&hmac, key);
	hmac_value(&hmac, value);
	hmac_end(&hmac, out);
}

void config_file_fingerprint(const struct config_set_file *file, struct slice key, struct digest *out)
{
	struct hmac hmac;

	hmac_begin(&hmac, key);
	hmac_file(&hmac, file);
	hmac_end(&hmac, out);
}

void config_set_digest(const struct config_set *set, const struct config_set_file *files, size_t file_count,
		       struct slice key, struct digest *out)
{
	struct hmac hmac;

	hmac_begin(&hmac, key);
	hmac_heading(&hmac, "lockstep-config", 3);
	hmac_heading(&hmac, "values", set->count);
	for (size_t i = 0; i < set->count; i++)
		hmac_value(&hmac, &set->values[i]);
	hmac_heading(&hmac, "files", file_count);
	for (size_t i = 0; i < file_count; i++)
		hmac_file(&hmac, &files[i]);
	hmac_end(&hmac, out);
}

/* --- an environment ------------------------------------------------------------------ */

static int compare_groups(const struct config_share *a, const struct config_share *b)
{
	return strcmp(a->group ? a->group : "", b->group ? b->group : "");
}

static int compare_shares(const void *a, const void *b)
{
	const struct config_share *left = a, *right = b;
	int order = compare_groups(left, right);

	return order ? order : strcmp(left->server, right->server);
}

static bool all_equal(const struct config_share *shares, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (!digest_equal(&shares[i].digest, &shares[0].digest))
			return false;
	return true;
}

static void hmac_share(struct hmac *hmac, const char *what, const char *name, const struct digest *digest)
{
	digest_update(&hmac->inner, what, strlen(what));
	hmac_text(hmac, name);
	digest_update(&hmac->inner, digest->bytes, DIGEST_LEN);
}

void config_digest(struct config_share *shares, size_t count, struct slice key, struct digest *out)
{
	struct hmac hmac;

	if (count && all_equal(shares, count)) {
		*out = shares[0].digest;
		return;
	}
	if (count)
		qsort(shares, count, sizeof(*shares), compare_shares);
	hmac_begin(&hmac, key);
	hmac_heading(&hmac, "lockstep-config-sets", 1);
	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && compare_groups(&shares[first], &shares[next]) == 0;)
			next++;
		if (all_equal(&shares[first], next - first)) {
			const char *group = shares[first].group ? shares[first].group : "";
			hmac_share(&hmac, "group ", group, &shares[first].digest);
			continue;
		}
		for (size_t i = first; i < next; i++)
			hmac_share(&hmac, "server ", shares[i].server, &shares[i].digest);
	}
	hmac_end(&hmac, out);
}
