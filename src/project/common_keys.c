/* Checks that several tables of keys share. */
#include "project/keys.h"
#include "project/path.h"

#include <stdio.h>
#include <time.h>

void check_release_path(struct key_decoder *decoder, const struct key *key, const struct node *node,
			void *base)
{
	const char **member = (void *)((char *)base + key->offset);
	struct slice path = slice_of(*member);
	if (path.len > 1 && slice_ends_with(path, "/"))
		path.len--;
	const char *fault = path_fault(path);
	if (fault)
		diags_error(decoder->diags, node->origin, "the path `%s` %s", *member, fault);
	else
		*member = arena_str(decoder->arena, path);
}

/* Names that end up as arguments of programs. */
void check_word(struct key_decoder *decoder, const struct key *key, const struct node *node, void *base)
{
	const char *text = *(const char **)(void *)((char *)base + key->offset);
	struct slice word = slice_of(text);
	if (text[0] == '-')
		diags_error(decoder->diags, node->origin, "`%s` must not begin with `-`", text);
	else if (has_control(word) || slice_find(word, ' ') >= 0)
		diags_error(decoder->diags, node->origin, "`%s` must not hold spaces or control characters",
			    text);
}

void check_value_name(struct key_decoder *decoder, const struct key *key, const struct node_entry *entry)
{
	(void)key;
	if (value_name_valid(entry->key))
		return;
	diags_error(decoder->diags, entry->origin, "`%.*s` cannot be the name of a variable",
		    (int)MIN(entry->key.len, (size_t)100), entry->key.ptr);
	diags_hint(decoder->diags, "letters, digits and `_`, not beginning with a digit");
}

void check_group_name(struct key_decoder *decoder, const struct key *key, const struct node_entry *entry)
{
	(void)key;
	struct slice name = entry->key;
	bool valid = name.len > 0 && name.len <= 63 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z';
	for (size_t i = 0; i < name.len && valid; i++) {
		char c = name.ptr[i];
		valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
	}
	if (valid)
		return;
	diags_error(decoder->diags, entry->origin, "`%.*s` cannot be the name of a group",
		    (int)MIN(name.len, (size_t)100), name.ptr);
	diags_hint(decoder->diags, "small letters, digits, `-` and `_`, beginning with a letter");
}

bool day_parse(const char *text, int64_t *end_ms_out)
{
	int year, month, day, used = 0;

	if (strlen(text) != 10 || sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 ||
	    used != 10 || year < 2000 || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
	time_t begin = timegm(&tm);
	if (tm.tm_mday != day)
		return false; /* 31 April */
	*end_ms_out = ((int64_t)begin + 24 * 60 * 60) * 1000;
	return true;
}
