/* Plain values: see value_list.h. */
#include "values/value_list.h"

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

int value_list_build(struct arena *arena, const struct value *values, size_t count, struct value_list *out,
		     struct err *err)
{
	if (count > CONFIG_SET_MAX)
		return err_set(err, ERR_USER, "%zu values; at most %d are possible", count, CONFIG_SET_MAX);
	struct value_list list = {.items = ARENA_NEW_ARRAY(arena, count, struct value), .count = count};
	for (size_t i = 0; i < count; i++) {
		if (!value_name_valid(slice_of(values[i].name)))
			return err_set(err, ERR_USER, "`%.100s` cannot be the name of a value",
				       values[i].name);
		if (strlen(values[i].text) > VALUE_MAX)
			return err_set(err, ERR_USER, "the value of `%s` is longer than %d bytes",
				       values[i].name, VALUE_MAX);
		list.items[i].name = arena_strdup(arena, values[i].name);
		list.items[i].text = arena_strdup(arena, values[i].text);
	}
	if (count)
		qsort(list.items, count, sizeof(*list.items), compare);
	for (size_t i = 1; i < count; i++)
		if (strcmp(list.items[i - 1].name, list.items[i].name) == 0)
			return err_set(err, ERR_USER, "the value `%s` stands there twice",
				       list.items[i].name);
	*out = list;
	return 0;
}

const char *value_list_get(const struct value_list *list, struct slice name)
{
	size_t low = 0, high = list->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = slice_compare(slice_of(list->items[middle].name), name);
		if (order == 0)
			return list->items[middle].text;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
