/* The reference page in Markdown, printed from rows: a section for each table of
 * keys, in the order in which a reader meets them. */
#include "doc/key.h"

#include <stdio.h>

enum { SECTIONS_MAX = 64 };

struct section {
	const struct key *keys;
	const struct key *owner; /* the row that leads here; NULL for the top */
	char title[128];
};

struct sections {
	struct section items[SECTIONS_MAX];
	size_t count;
};

static const struct section *find_section(const struct sections *sections, const struct key *keys)
{
	for (size_t i = 0; i < sections->count; i++)
		if (sections->items[i].keys == keys)
			return &sections->items[i];
	return NULL;
}

static void put_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
}

/* GitHub's rule for the anchor of a heading, as far as our titles need it. */
static void put_link(struct buf *out, const char *title)
{
	buf_printf(out, "[`%s`](#", title);
	for (const char *c = title; *c; c++) {
		if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-')
			buf_putc(out, *c);
		else if (*c >= 'A' && *c <= 'Z')
			buf_putc(out, (char)(*c + 32));
		else if (*c == ' ')
			buf_putc(out, '-');
	}
	buf_putc(out, ')');
}

static void put_type(const struct sections *sections, const struct key *key, struct buf *out)
{
	const struct section *section;
	switch (key->kind) {
	case KEY_KIND_INT:
		buf_puts(out, "number");
		if ((key->min || key->max) && key->max < INT32_MAX)
			buf_printf(out, " %lld to %lld", (long long)key->min, (long long)key->max);
		break;
	case KEY_KIND_BOOL:
		buf_puts(out, "`true` or `false`");
		break;
	case KEY_KIND_STR:
		buf_puts(out, "text");
		break;
	case KEY_KIND_TEXT:
		buf_puts(out, "any scalar, as written");
		break;
	case KEY_KIND_DURATION:
		buf_puts(out, "duration");
		break;
	case KEY_KIND_SIZE:
		buf_puts(out, "size");
		break;
	case KEY_KIND_ENUM:
		for (const struct key_word *word = key->words; word->name; word++)
			buf_printf(out, "%s`%s`", word == key->words ? "" : ", ", word->name);
		break;
	case KEY_KIND_LIST:
		buf_puts(out, "list of ");
		put_type(sections, key->item, out);
		break;
	case KEY_KIND_MAP:
		buf_printf(out, "map of %s to ", key->name_word);
		put_type(sections, key->item, out);
		break;
	case KEY_KIND_OBJECT:
		section = find_section(sections, key->keys);
		if (section)
			put_link(out, section->title);
		break;
	case KEY_KIND_NODE:
	case KEY_KIND_INCLUDE:
	case KEY_KIND_LATER:
		break;
	}
}

static const struct key *object_below(const struct key *key)
{
	while (key->kind == KEY_KIND_LIST || key->kind == KEY_KIND_MAP)
		key = key->item;
	return key->kind == KEY_KIND_OBJECT ? key : NULL;
}

static bool is_shown(const struct key *key)
{
	return key->kind < KEY_KIND_NODE && !key->internal;
}

static void collect(struct sections *sections, const struct key *keys, const struct key *owner,
		    const char *title)
{
	if (find_section(sections, keys))
		return;
	ASSERT(sections->count < SECTIONS_MAX);
	struct section *section = &sections->items[sections->count++];
	section->keys = keys;
	section->owner = owner;
	int len = snprintf(section->title, sizeof(section->title), "%s", title);
	ASSERT(len >= 0 && (size_t)len < sizeof(section->title));

	const char *prefix = owner ? section->title : "";
	for (const struct key *key = keys; key->name; key++) {
		const struct key *object = is_shown(key) ? object_below(key) : NULL;
		if (!object)
			continue;
		AUTO(buf_free) struct buf name = BUF_INIT(sizeof(section->title) - 1);
		if (object->type_name)
			buf_puts(&name, object->type_name);
		else
			buf_printf(&name, "%s%s%s%s", prefix, *prefix ? "." : "", key->name,
				   key->kind == KEY_KIND_MAP ? ".NAME" : "");
		collect(sections, object->keys, object, buf_str(&name));
	}
}

/* Included rows that have no section of their own are printed in place. */
static void print_rows(const struct sections *sections, const struct key *keys, struct buf *out)
{
	for (const struct key *key = keys; key->name; key++) {
		const struct section *included =
			key->kind == KEY_KIND_INCLUDE ? find_section(sections, key->keys) : NULL;
		if (key->kind == KEY_KIND_INCLUDE && !included)
			print_rows(sections, key->keys, out);
		if (included) {
			buf_puts(out, "| *every key of* ");
			put_link(out, included->title);
			buf_puts(out, " | | | replaces that key as a whole |\n");
		}
		if (!is_shown(key))
			continue;
		buf_printf(out, "| `%s` | ", key->name);
		put_type(sections, key, out);
		buf_puts(out, " | ");
		if (key->required)
			buf_puts(out, "*required*");
		else if (key->fallback)
			buf_printf(out, "`%s`", key->fallback);
		buf_puts(out, " | ");
		put_cell(out, key->text ? key->text : "");
		buf_puts(out, " |\n");
	}
}

static void print_more(const struct sections *sections, const struct key *keys, struct buf *out)
{
	for (const struct key *key = keys; key->name; key++) {
		if (key->kind == KEY_KIND_INCLUDE && !find_section(sections, key->keys))
			print_more(sections, key->keys, out);
		bool words = key->kind == KEY_KIND_ENUM && key->words->text;
		/* An OBJECT's own section says the rest. */
		bool more = key->more && key->kind != KEY_KIND_OBJECT;
		bool short_form = key->short_text && key->kind != KEY_KIND_OBJECT;
		if (!is_shown(key) || !(more || short_form || key->example || words))
			continue;
		buf_printf(out, "**`%s`**", key->name);
		if (more)
			buf_printf(out, " %s", key->more);
		if (short_form)
			buf_printf(out, " Short form: %s.", key->short_text);
		if (key->example)
			buf_printf(out, " Example: `%s: %s`.", key->name, key->example);
		buf_puts(out, "\n\n");
		for (const struct key_word *word = key->words; words && word->name; word++)
			buf_printf(out, "- `%s`: %s\n%s", word->name, word->text, word[1].name ? "" : "\n");
	}
}

void key_print_reference(const struct key_page *page, const struct key *keys, struct buf *out)
{
	struct sections sections = {0};
	collect(&sections, keys, NULL, "The top of the file");
	buf_printf(out, "# %s\n\n%s\n\n", page->title, page->intro);
	for (size_t i = 0; i < sections.count; i++) {
		const struct section *section = &sections.items[i];
		const char *quote = section->owner ? "`" : "";
		buf_printf(out, "## %s%s%s\n\n", quote, section->title, quote);
		if (section->owner && section->owner->more)
			buf_printf(out, "%s\n\n", section->owner->more);
		if (section->owner && section->owner->short_text)
			buf_printf(out, "Short form: %s.\n\n", section->owner->short_text);
		buf_puts(out, "| key | value | default | |\n|---|---|---|---|\n");
		print_rows(&sections, section->keys, out);
		buf_putc(out, '\n');
		print_more(&sections, section->keys, out);
	}
	/* One final newline, not two. */
	if (out->len > 1 && out->ptr[out->len - 2] == '\n')
		out->len--;
	if (out->ptr)
		out->ptr[out->len] = 0;
}
