#include "probe/pins.h"

#include <ctype.h>

enum { JSON_DEPTH_MAX = 64 };

/* --- JSON ------------------------------------------------------------------------- */

static void skip_blank(struct slice *rest)
{
	while (rest->len && strchr(" \t\r\n", rest->ptr[0]) && rest->ptr[0])
		*rest = slice_skip(*rest, 1);
}

static bool take_byte(struct slice *rest, char byte)
{
	skip_blank(rest);
	if (!rest->len || rest->ptr[0] != byte)
		return false;
	*rest = slice_skip(*rest, 1);
	return true;
}

static bool take_text(struct slice *rest, struct slice *out)
{
	if (!take_byte(rest, '"'))
		return false;
	for (size_t i = 0; i < rest->len; i++) {
		if (rest->ptr[i] == '\\') {
			i++;
		} else if (rest->ptr[i] == '"') {
			*out = slice_make(rest->ptr, i);
			*rest = slice_skip(*rest, i + 1);
			return true;
		}
	}
	return false;
}

/* Over one value, whatever it is: brackets are counted, texts are stepped over. */
static bool skip_value(struct slice *rest)
{
	size_t depth = 0;
	struct slice text;

	do {
		skip_blank(rest);
		if (!rest->len)
			return false;
		char c = rest->ptr[0];
		if (c == '"') {
			if (!take_text(rest, &text))
				return false;
			continue;
		}
		if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return false;
		} else if (c == '}' || c == ']') {
			if (depth-- == 0)
				return false;
		} else if (c != ',' && c != ':') {
			/* A number or a word: up to what ends it. */
			while (rest->len > 1 && !strchr(",:{}[]\" \t\r\n", rest->ptr[1]))
				*rest = slice_skip(*rest, 1);
		} else if (depth == 0) {
			return false;
		}
		*rest = slice_skip(*rest, 1);
	} while (depth);
	return true;
}

struct slice pin_json(struct slice text, const char *const *path, size_t depth)
{
	struct slice rest = text, key, value;

	for (size_t level = 0; level < depth; level++) {
		bool found = false;
		if (!take_byte(&rest, '{'))
			return (struct slice){0};
		while (!found) {
			if (!take_text(&rest, &key) || !take_byte(&rest, ':'))
				return (struct slice){0};
			found = slice_is(key, path[level]);
			if (!found && (!skip_value(&rest) || !take_byte(&rest, ',')))
				return (struct slice){0};
		}
	}
	return depth && take_text(&rest, &value) ? value : (struct slice){0};
}

/* --- lines ---------------------------------------------------------------------------- */

static struct slice unquoted(struct slice value)
{
	value = slice_trim(value);
	if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'')) {
		struct slice inner = slice_skip(value, 1);
		ptrdiff_t end = slice_find(inner, value.ptr[0]);
		return end < 0 ? inner : slice_make(inner.ptr, (size_t)end);
	}
	return value;
}

struct slice pin_toml(struct slice text, const char *section, const char *key)
{
	bool here = !*section;

	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		if (line.len && line.ptr[0] == '[') {
			line = slice_skip(line, 1);
			here = line.len == strlen(section) + 1 && slice_starts_with(line, section) &&
			       line.ptr[line.len - 1] == ']';
			continue;
		}
		struct slice name = slice_trim(slice_cut(&line, '='));
		if (here && line.ptr && slice_is(name, key))
			return unquoted(line);
	}
	return (struct slice){0};
}

struct slice pin_assignment(struct slice text, const char *name)
{
	size_t len = strlen(name);

	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		if (line.len > len && slice_starts_with(line, name) && line.ptr[len] == '=')
			return unquoted(slice_skip(line, len + 1));
	}
	return (struct slice){0};
}

static struct slice bare(struct slice version)
{
	static const char *const before[] = {"ruby-", "node/", "node-", "python-", "go", "v"};

	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		size_t len = strlen(before[i]);
		if (slice_starts_with(version, before[i]) && version.len > len &&
		    isdigit((unsigned char)version.ptr[len]))
			return slice_skip(version, len);
	}
	return version;
}

static struct slice first_word(struct slice *line)
{
	*line = slice_trim(*line);
	size_t len = 0;
	while (len < line->len && !isspace((unsigned char)line->ptr[len]))
		len++;
	struct slice word = slice_make(line->ptr, len);
	*line = slice_skip(*line, len);
	return word;
}

struct slice pin_plain(struct slice text)
{
	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		struct slice word = first_word(&line);
		if (word.len && word.ptr[0] != '#')
			return bare(word);
	}
	return (struct slice){0};
}

bool pin_tool_next(struct slice *rest, struct slice *name, struct slice *version)
{
	while (rest->ptr) {
		struct slice line = slice_cut(rest, '\n');
		*name = first_word(&line);
		*version = bare(first_word(&line));
		if (!name->len || !version->len || name->ptr[0] == '#' || version->ptr[0] == '#')
			continue;
		if (slice_is(*name, "nodejs"))
			*name = SLICE("node");
		else if (slice_is(*name, "golang"))
			*name = SLICE("go");
		return true;
	}
	return false;
}

struct slice pin_gemfile(struct slice text)
{
	bool here = false;

	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		struct slice word = first_word(&line);
		if (here && slice_is(word, "ruby")) {
			struct slice version = first_word(&line);
			/* "3.2.2p53": the patch level says nothing that the version does not. */
			ptrdiff_t p = slice_find(version, 'p');
			return p > 0 ? slice_make(version.ptr, (size_t)p) : version;
		}
		here = slice_is(word, "RUBY") && slice_is(slice_trim(line), "VERSION");
	}
	return (struct slice){0};
}

struct slice pin_go(struct slice text)
{
	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		if (slice_is(first_word(&line), "go"))
			return first_word(&line);
	}
	return (struct slice){0};
}

bool pin_is_met(struct slice pin, struct slice version, bool *known)
{
	pin = bare(slice_trim(pin));
	*known = false;
	for (size_t i = 0; i < pin.len; i++)
		if (!isdigit((unsigned char)pin.ptr[i]) && !strchr(".xX*", pin.ptr[i]))
			return false;
	if (!pin.len || !isdigit((unsigned char)pin.ptr[0]))
		return false;
	*known = true;
	while (pin.ptr && pin.len) {
		struct slice wanted = slice_cut(&pin, '.'), seen = slice_cut(&version, '.');
		if (slice_is(wanted, "x") || slice_is(wanted, "X") || slice_is(wanted, "*"))
			return true;
		/* "2p53" is 2 with a patch level. */
		size_t digits = 0;
		while (digits < seen.len && isdigit((unsigned char)seen.ptr[digits]))
			digits++;
		seen.len = digits;
		if (!slice_equal(wanted, seen))
			return false;
	}
	return true;
}

struct slice pin_said_version(struct slice said)
{
	while (said.len) {
		struct slice word = bare(first_word(&said));
		if (word.len && word.ptr[0] == '"')
			word = unquoted(word);
		if (word.len && isdigit((unsigned char)word.ptr[0]))
			return word;
		said = slice_trim(said);
	}
	return (struct slice){0};
}

bool pin_ini(struct slice line, struct slice *name, struct slice *value)
{
	line = slice_trim(line);
	if (!line.len || strchr(";#[", line.ptr[0]))
		return false;
	*name = slice_trim(slice_cut(&line, '='));
	if (!line.ptr || !name->len)
		return false;
	line = slice_trim(line);
	bool quoted = line.len && (line.ptr[0] == '"' || line.ptr[0] == '\'');
	ptrdiff_t comment = quoted ? -1 : slice_find(line, ';');
	*value = comment >= 0 ? slice_trim(slice_make(line.ptr, (size_t)comment)) : unquoted(line);
	return true;
}
