/* Reads .env files in one pass; what the grammar is stands in the header. */
#include "secret/dotenv_parse.h"

#include "base/map.h"

#include <stdlib.h>

struct parser {
	struct arena *arena;
	struct safe *safe;
	const struct dotenv_options *options;
	struct diags *diags;
	/* Its text is left out on purpose: diagnostics would show the line. */
	const struct doc_file *file;
	struct slice text;
	size_t at, line_start;
	uint32_t line;
	struct dotenv_file *out;
	size_t cap;
	struct map names; /* → its entry's index + 1 */
	struct buf value;
};

static bool at_end(const struct parser *parser) { return parser->at == parser->text.len; }

static char look(const struct parser *parser, size_t ahead)
{
	return parser->at + ahead < parser->text.len ? parser->text.ptr[parser->at + ahead] : '\0';
}

static bool is_line_end(char c) { return c == '\n' || c == '\r'; }
static bool at_line_end(const struct parser *parser) { return at_end(parser) || is_line_end(look(parser, 0)); }
static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }

static bool is_name_start(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
static bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; }

static void skip_blanks(struct parser *parser)
{
	while (is_blank(look(parser, 0)))
		parser->at++;
}

/* LF, CRLF or CR: one line. */
static void take_line_end(struct parser *parser)
{
	parser->at += look(parser, 0) == '\r' && look(parser, 1) == '\n' ? 2 : 1;
	parser->line++;
	parser->line_start = parser->at;
}

static void skip_line(struct parser *parser)
{
	while (!at_line_end(parser))
		parser->at++;
}

static struct origin origin_at(const struct parser *parser, uint32_t line, size_t line_start, size_t at)
{
	uint32_t column = 1;

	for (size_t i = line_start; i < at; i++)
		column += (parser->text.ptr[i] & 0xc0) != 0x80; /* characters, not bytes */
	return (struct origin){parser->file, line, column};
}

static struct origin here(const struct parser *parser)
{
	return origin_at(parser, parser->line, parser->line_start, parser->at);
}

/* ---- values ---- */

static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case '\\':
	case '"':
	case '$':
	case '`':
		return c;
	default:
		return '\0';
	}
}

static const struct dotenv_entry *find_entry(const struct parser *parser, struct slice name)
{
	uintptr_t index = (uintptr_t)map_get(&parser->names, name);
	return index ? &parser->out->items[index - 1] : NULL;
}

/* "${NAME}" or "${NAME:-text}" at the front. */
static int put_reference(struct parser *parser)
{
	struct origin origin = here(parser);
	size_t start = parser->at + 2, end = start;

	while (end < parser->text.len && is_name(parser->text.ptr[end]))
		end++;
	struct slice name = slice_make(parser->text.ptr + start, end - start);
	struct slice fallback = {NULL, 0};
	size_t close = end;
	while (close < parser->text.len && parser->text.ptr[close] != '}' && !is_line_end(parser->text.ptr[close]))
		close++;
	if (close > end + 1 && parser->text.ptr[end] == ':' && parser->text.ptr[end + 1] == '-')
		fallback = slice_make(parser->text.ptr + end + 2, close - end - 2);
	if (close == parser->text.len || parser->text.ptr[close] != '}' || name.len == 0 ||
	    (close != end && !fallback.ptr))
		return diags_error(parser->diags, origin, "not of the form ${NAME} or ${NAME:-text}");
	const struct dotenv_entry *entry = find_entry(parser, name);
	if (!entry && !fallback.ptr) {
		diags_error(parser->diags, origin, "${%.*s} does not stand further up in this file",
			    SLICE_ARG(slice_make(name.ptr, MIN(name.len, (size_t)DOTENV_NAME_MAX))));
		return -1;
	}
	struct slice value = entry ? secret_reveal(entry->value) : fallback;
	buf_put_slice(&parser->value, entry && value.len == 0 && fallback.ptr ? fallback : value);
	parser->at = close + 1;
	return 0;
}

static bool at_reference(const struct parser *parser)
{
	return parser->options->interpolate && look(parser, 0) == '$' && look(parser, 1) == '{';
}

static int take_quoted(struct parser *parser, char quote)
{
	struct origin opening = here(parser);

	parser->at++;
	while (!at_end(parser) && look(parser, 0) != quote) {
		char c = look(parser, 0);
		if (is_line_end(c)) {
			buf_putc(&parser->value, '\n');
			take_line_end(parser);
			continue;
		}
		if (quote == '"' && at_reference(parser)) {
			if (put_reference(parser))
				return -1;
			continue;
		}
		char escaped = quote == '"' && c == '\\' ? unescape(look(parser, 1)) : '\0';
		buf_putc(&parser->value, escaped ? escaped : c);
		parser->at += escaped ? 2 : 1;
	}
	if (at_end(parser)) {
		diags_error(parser->diags, opening, "this quote is never closed");
		diags_hint(parser->diags, "a value that begins with a quote goes into quotes of another kind");
		return -1;
	}
	parser->at++;
	return 0;
}

static int take_bare(struct parser *parser)
{
	bool after_blank = is_blank(parser->at ? parser->text.ptr[parser->at - 1] : ' ');

	while (!at_line_end(parser)) {
		char c = look(parser, 0);
		if (c == '#' && after_blank)
			break;
		if (c == '#') {
			diags_error(parser->diags, here(parser), "`#` without a blank before it: some readers take it for "
								 "a comment, others for a part of the value");
			diags_hint(parser->diags, "put the value into single quotes");
			return -1;
		}
		if (at_reference(parser)) {
			if (put_reference(parser))
				return -1;
			after_blank = false;
			continue;
		}
		buf_putc(&parser->value, c);
		parser->at++;
		after_blank = is_blank(c);
	}
	while (parser->value.len && is_blank(parser->value.ptr[parser->value.len - 1]))
		parser->value.len--;
	return 0;
}

static int check_rest_of_line(struct parser *parser, char quote)
{
	skip_blanks(parser);
	if (at_line_end(parser) || look(parser, 0) == '#')
		return 0;
	diags_error(parser->diags, here(parser), "something stands behind the closing quote");
	if (quote == '\'')
		diags_hint(parser->diags, "there is no escape inside single quotes: put a value that holds one into "
					  "double quotes");
	else
		diags_hint(parser->diags, quote == '"' ? "a quote inside double quotes is written \\\""
						       : "there is no escape inside backticks");
	return -1;
}

static int take_value(struct parser *parser)
{
	char quote = look(parser, 0);

	if (parser->value.ptr)
		explicit_bzero(parser->value.ptr, parser->value.len);
	buf_clear(&parser->value);
	if (quote != '"' && quote != '\'' && quote != '`')
		return take_bare(parser);
	return take_quoted(parser, quote) || check_rest_of_line(parser, quote) ? -1 : 0;
}

/* ---- entries ---- */

static void add_entry(struct parser *parser, struct slice name, struct origin origin)
{
	struct err err = ERR_INIT;
	struct dotenv_entry entry = {.line = origin.line, .column = origin.column};
	const struct dotenv_entry *earlier = find_entry(parser, name);

	if (earlier) {
		diags_error(parser->diags, origin, "%s stands in line %u already", earlier->name, earlier->line);
		return;
	}
	if (parser->out->count == DOTENV_ENTRIES_MAX) {
		diags_error(parser->diags, (struct origin){parser->file, 0, 0}, "more than %d entries", DOTENV_ENTRIES_MAX);
		parser->at = parser->text.len;
		return;
	}
	if (parser->value.overflow)
		err_set(&err, ERR_USER, "a value of more than %d bytes", SECRET_MAX);
	else if (parser->options->names_only && !parser->options->interpolate)
		;
	else if (safe_put(parser->safe, buf_slice(&parser->value), &entry.value, &err))
		ASSERT(err.code);
	if (err.code) {
		parser->value.overflow = false;
		diags_error(parser->diags, origin, "%s", err.text);
		return;
	}
	entry.name = arena_str(parser->arena, name);
	if (parser->out->count == parser->cap) {
		parser->cap = MAX(parser->cap * 2, (size_t)32);
		parser->out->items = mem_grow(parser->out->items, parser->cap, sizeof(*parser->out->items));
	}
	parser->out->items[parser->out->count++] = entry;
	map_put(&parser->names, slice_of(entry.name), (void *)(uintptr_t)parser->out->count);
}

/* Nothing of the line is quoted: it may be the middle of a key that lost its quotes. */
static void refuse_line(struct parser *parser, struct slice name)
{
	struct origin origin = here(parser);

	if (name.len && look(parser, 0) == ':' && (is_blank(look(parser, 1)) || is_line_end(look(parser, 1)))) {
		diags_error(parser->diags, origin, "a name is followed by `=`, not by `:`");
	} else {
		diags_error(parser->diags, origin, "not of the form NAME=VALUE");
		diags_hint(parser->diags, "a value of several lines goes into quotes; a comment begins with #");
	}
	skip_line(parser);
}

static void take_entry(struct parser *parser)
{
	static const char export[] = "export";
	size_t start = parser->at;
	uint32_t line = parser->line;
	size_t line_start = parser->line_start;

	if (slice_starts_with(slice_skip(parser->text, parser->at), export) && is_blank(look(parser, sizeof(export) - 1))) {
		parser->at += sizeof(export) - 1;
		skip_blanks(parser);
		if (is_name_start(look(parser, 0)))
			start = parser->at;
		else
			parser->at = start; /* a variable that is called export */
	}
	if (is_name_start(look(parser, 0)))
		while (is_name(look(parser, 0)))
			parser->at++;
	struct slice name = slice_make(parser->text.ptr + start, parser->at - start);
	struct origin origin = origin_at(parser, line, line_start, start);
	skip_blanks(parser);
	if (name.len == 0 || look(parser, 0) != '=') {
		refuse_line(parser, name);
		return;
	}
	if (name.len > DOTENV_NAME_MAX) {
		diags_error(parser->diags, origin, "a name of more than %d bytes", DOTENV_NAME_MAX);
		skip_line(parser);
		return;
	}
	parser->at++;
	/* `A=#x` is ambiguous, `A= #x` is not: skip_blanks leaves the blank before it. */
	skip_blanks(parser);
	if (take_value(parser) == 0)
		add_entry(parser, name, origin);
	skip_line(parser); /* the comment, or the rest of what was refused */
}

static bool check_text(struct parser *parser)
{
	ptrdiff_t nul = slice_find(parser->text, '\0');

	if (nul < 0 && slice_is_utf8(parser->text))
		return true;
	/* The line is found the slow way: this happens once. */
	size_t bad = 0;
	for (size_t len; bad < parser->text.len && parser->text.ptr[bad]; bad += len) {
		len = slice_utf8_len(slice_skip(parser->text, bad));
		if (len == 0)
			break;
		if (parser->text.ptr[bad] == '\n') {
			parser->line++;
			parser->line_start = bad + 1;
		}
	}
	parser->at = bad;
	diags_error(parser->diags, here(parser), parser->text.ptr[bad] ? "not UTF-8" : "a NUL byte");
	return false;
}

int dotenv_parse(struct arena *arena, struct safe *safe, const char *file_name, struct slice text,
		 const struct dotenv_options *options, struct dotenv_file *out, struct diags *diags)
{
	struct doc_file *file = ARENA_NEW(arena, struct doc_file);
	struct parser parser = {.arena = arena, .safe = safe, .options = options, .diags = diags, .file = file,
				.text = text.ptr ? text : SLICE(""), .line = 1, .out = out,
				.value = BUF_SECRET(SECRET_MAX)};
	size_t errors = diags->errors;

	file->name = arena_strdup(arena, file_name);
	*out = (struct dotenv_file){0};
	if (slice_starts_with(parser.text, "\xef\xbb\xbf"))
		parser.at = parser.line_start = 3;
	if (check_text(&parser))
		while (!at_end(&parser)) {
			skip_blanks(&parser);
			if (look(&parser, 0) == '#')
				skip_line(&parser);
			else if (!at_line_end(&parser))
				take_entry(&parser);
			if (!at_end(&parser))
				take_line_end(&parser);
		}
	map_free(&parser.names);
	buf_wipe_free(&parser.value);
	struct dotenv_entry *items = ARENA_NEW_ARRAY(arena, out->count, struct dotenv_entry);
	if (out->count)
		memcpy(items, out->items, out->count * sizeof(*items));
	free(out->items);
	out->items = items;
	return diags->errors > errors ? -1 : 0;
}
