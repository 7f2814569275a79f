/* Sorting, checking and naming a config set. Where values come from is not known
 * here. */
#include "values/config_set.h"

#include <stdio.h>
#include <stdlib.h>

bool value_name_valid(struct slice name)
{
	if (!name.len || name.len > VALUE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct value *)a)->name, ((const struct value *)b)->name);
}

static void digest_set(struct config_set *set)
{
	static const char header[] = "lockstep-config 1\n";
	struct digest_stream stream;
	digest_init(&stream);
	digest_update(&stream, header, sizeof(header) - 1);
	for (size_t i = 0; i < set->count; i++) {
		const struct value *value = &set->values[i];
		char length[24];
		int digits = snprintf(length, sizeof(length), "%zu", strlen(value->text));
		digest_update(&stream, value->name, strlen(value->name) + 1);
		digest_update(&stream, length, (size_t)digits + 1);
		digest_update(&stream, value->text, strlen(value->text));
	}
	digest_finish(&stream, &set->digest);
}

int config_set_build(struct arena *arena, const struct value *values, size_t count, struct config_set *out,
		     struct err *err)
{
	if (count > CONFIG_SET_MAX)
		return err_set(err, ERR_USER, "%zu values; at most %d are possible", count, CONFIG_SET_MAX);
	struct config_set set = {.values = ARENA_NEW_ARRAY(arena, count, struct value), .count = count};
	for (size_t i = 0; i < count; i++) {
		if (!value_name_valid(slice_of(values[i].name)))
			return err_set(err, ERR_USER, "`%.100s` cannot be the name of a value",
				       values[i].name);
		if (strlen(values[i].text) > VALUE_MAX)
			return err_set(err, ERR_USER, "the value of `%s` is longer than %d bytes",
				       values[i].name, VALUE_MAX);
		set.values[i].name = arena_strdup(arena, values[i].name);
		set.values[i].text = arena_strdup(arena, values[i].text);
	}
	if (count)
		qsort(set.values, count, sizeof(*set.values), compare);
	for (size_t i = 1; i < count; i++)
		if (strcmp(set.values[i - 1].name, set.values[i].name) == 0)
			return err_set(err, ERR_USER, "the value `%s` stands there twice",
				       set.values[i].name);
	digest_set(&set);
	*out = set;
	return 0;
}

const char *config_set_get(const struct config_set *set, struct slice name)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(slice_of(set->values[middle].name), name);
		if (order == 0)
			return set->values[middle].text;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
