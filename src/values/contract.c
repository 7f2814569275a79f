/* Declared variables: finding them, and what a value of a type looks like. */
#include "values/contract.h"

#include "doc/json.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct contract_key *)a)->name, ((const struct contract_key *)b)->name);
}

void contract_index(struct contract *contract)
{
	if (contract->keys.count)
		qsort(contract->keys.items, contract->keys.count, sizeof(*contract->keys.items), compare);
}

const struct contract_key *contract_find(const struct contract *contract, struct slice name)
{
	size_t low = 0, high = contract->keys.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct contract_key *key = &contract->keys.items[middle];
		int order = slice_compare(slice_of(key->name), name);
		if (order == 0)
			return key;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool listed(const struct str_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

bool contract_requires(const struct contract_key *key, const char *environment)
{
	return key->required.everywhere || listed(&key->required.in, environment);
}

/* ---- types ---- */

static bool is_int(struct slice value)
{
	if (slice_starts_with(value, "-"))
		value = slice_skip(value, 1);
	if (!value.len || value.len > 18)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return false;
	return true;
}

static bool is_bool(struct slice value)
{
	static const char *const words[] = {"true", "false", "1", "0", "yes", "no", "on", "off"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_is(value, words[i]))
			return true;
	return false;
}

/* scheme://something, without spaces and control characters. */
static bool is_url(struct slice value)
{
	ptrdiff_t colon = slice_find(value, ':');

	if (colon < 1 || value.len < (size_t)colon + 4 || memcmp(value.ptr + colon, "://", 3) != 0)
		return false;
	for (size_t i = 0; i < (size_t)colon; i++) {
		char c = value.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || strchr("+.-", c))))
			return false;
	}
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] <= ' ' || value.ptr[i] == 0x7f)
			return false;
	return true;
}

/* A number and a unit: 30s, 1.5h, 250ms; what configuration of most runtimes reads. */
static bool is_duration(struct slice value)
{
	static const char *const units[] = {"ms", "s", "m", "h", "d", "w"};
	size_t digits = 0, dots = 0, at = 0;

	for (; at < value.len && ((value.ptr[at] >= '0' && value.ptr[at] <= '9') || value.ptr[at] == '.');
	     at++) {
		digits += value.ptr[at] != '.';
		dots += value.ptr[at] == '.';
	}
	struct slice unit = slice_skip(value, at);
	if (!digits || digits > 18 || dots > 1)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (slice_is(unit, units[i]))
			return true;
	return false;
}

static bool is_json(struct slice value)
{
	AUTO(json_free) json_t *json = NULL;
	struct err err = ERR_INIT;

	return json_parse_secret(value, "", VALUE_MAX, &json, &err) == 0;
}

const char *value_type_fault(const struct contract_key *key, struct slice value)
{
	switch ((enum value_type)key->type) {
	case VALUE_STRING:
		return NULL;
	case VALUE_INT:
		return is_int(value) ? NULL : "is not a whole number";
	case VALUE_BOOL:
		return is_bool(value) ? NULL : "is neither true nor false";
	case VALUE_URL:
		return is_url(value) ? NULL : "is not a URL (scheme://…, without spaces)";
	case VALUE_DURATION:
		return is_duration(value) ? NULL : "is not a duration such as 30s, 5m or 250ms";
	case VALUE_JSON:
		return is_json(value) ? NULL : "is not valid JSON";
	case VALUE_ENUM:
		for (size_t i = 0; i < key->one_of.count; i++)
			if (slice_is(value, key->one_of.items[i]))
				return NULL;
		return "is none of the words in `one_of`";
	}
	return NULL;
}
