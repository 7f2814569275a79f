/* Templates: finding what stands for values, and putting the values in. Quoting is in
 * quote.c. */
#include "values/template.h"

#include <stdarg.h>
#include <stdio.h>

enum { MISTAKES_SHOWN = 20 };

enum piece_kind { PIECE_NONE, PIECE_LITERAL, PIECE_VALUE };

/* What stands at a place of a template, `len` bytes of it. */
struct piece {
	enum piece_kind kind;
	size_t len;
	struct slice text; /* PIECE_LITERAL: what it stands for; PIECE_VALUE: the name */
	struct slice filter;
};

/* ---- the three forms ---- */

static size_t name_length(struct slice text)
{
	size_t len = 0;

	for (; len < text.len; len++) {
		char c = text.ptr[len];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!letter && (len == 0 || c < '0' || c > '9'))
			break;
	}
	return len <= VALUE_NAME_MAX ? len : 0;
}

static size_t word_length(struct slice text)
{
	size_t len = 0;

	while (len < text.len && ((text.ptr[len] >= 'a' && text.ptr[len] <= 'z') ||
				  (text.ptr[len] >= '0' && text.ptr[len] <= '9')))
		len++;
	return len;
}

static void skip_blanks(struct slice *rest)
{
	while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
		*rest = slice_skip(*rest, 1);
}

/* OPEN [blanks] NAME [blanks] [| [blanks] FILTER [blanks]] CLOSE at the front of text. */
static bool match(struct slice text, const char *open, const char *close, bool blanks, struct piece *out)
{
	struct slice rest = text;

	if (!slice_starts_with(rest, open))
		return false;
	*out = (struct piece){.kind = PIECE_VALUE};
	rest = slice_skip(rest, strlen(open));
	if (blanks)
		skip_blanks(&rest);
	out->text = slice_make(rest.ptr, name_length(rest));
	if (!out->text.len)
		return false;
	rest = slice_skip(rest, out->text.len);
	if (blanks)
		skip_blanks(&rest);
	if (slice_starts_with(rest, "|")) {
		rest = slice_skip(rest, 1);
		if (blanks)
			skip_blanks(&rest);
		out->filter = slice_make(rest.ptr, word_length(rest));
		if (!out->filter.len)
			return false;
		rest = slice_skip(rest, out->filter.len);
		if (blanks)
			skip_blanks(&rest);
	}
	if (!slice_starts_with(rest, close))
		return false;
	out->len = text.len - rest.len + strlen(close);
	return true;
}

static bool match_percent(struct slice text, struct piece *out)
{
	return text.len > 1 && text.ptr[1] != '_' && match(text, "%", "%", false, out);
}

/* `extra` bytes in front keep what follows from being taken for a value. */
static struct piece literal(const struct piece *inner, struct slice text, size_t extra)
{
	return (struct piece){.kind = PIECE_LITERAL,
			      .len = inner->len + extra,
			      .text = slice_make(text.ptr + extra, inner->len)};
}

static struct piece piece_at(struct slice text, unsigned syntax)
{
	struct piece piece = {0};
	struct slice next = text.len ? slice_skip(text, 1) : text;

	if (syntax & TEMPLATE_DOLLAR && text.ptr[0] == '$') {
		if (next.len && next.ptr[0] == '$' && match(next, "${", "}", true, &piece))
			return literal(&piece, text, 1);
		if (match(text, "${", "}", true, &piece))
			return piece;
	} else if (syntax & TEMPLATE_PERCENT && text.ptr[0] == '%') {
		if (next.len && next.ptr[0] == '%' && match_percent(next, &piece)) {
			/* %%NAME%%: the sign behind is one of a pair as well. */
			if (piece.len + 1 < text.len && text.ptr[piece.len + 1] == '%') {
				struct piece escaped = literal(&piece, text, 1);
				escaped.len++;
				return escaped;
			}
		} else if (match_percent(text, &piece)) {
			return piece;
		}
	} else if (syntax & TEMPLATE_BRACES && text.ptr[0] == '{') {
		if (slice_starts_with(text, "{{{{"))
			return (struct piece){.kind = PIECE_LITERAL, .len = 4, .text = SLICE("{{")};
		if (match(text, "{{", "}}", true, &piece))
			return piece;
	}
	return (struct piece){.kind = PIECE_NONE};
}

/* ---- walking through ---- */

struct walk {
	const struct template_spec *spec;
	struct slice rest;
};

static size_t plain_length(struct slice text, unsigned syntax)
{
	size_t len = 0;

	for (; len < text.len; len++) {
		char c = text.ptr[len];
		if ((c == '$' && syntax & TEMPLATE_DOLLAR) || (c == '%' && syntax & TEMPLATE_PERCENT) ||
		    (c == '{' && syntax & TEMPLATE_BRACES))
			break;
	}
	return len;
}

/* The next stretch of text or value; false at the end. */
static bool walk_next(struct walk *walk, struct piece *out)
{
	unsigned syntax = walk->spec->syntax ? walk->spec->syntax : TEMPLATE_ALL;

	if (!walk->rest.len)
		return false;
	size_t plain = plain_length(walk->rest, syntax);
	*out = plain ? (struct piece){.kind = PIECE_NONE} : piece_at(walk->rest, syntax);
	if (out->kind == PIECE_NONE) {
		/* A sign that begins nothing stands for itself. */
		plain = plain ? plain : 1;
		*out = (struct piece){
			.kind = PIECE_LITERAL, .len = plain, .text = slice_make(walk->rest.ptr, plain)};
	}
	walk->rest = slice_skip(walk->rest, out->len);
	return true;
}

static int check_size(const char *name, struct slice text, struct err *err)
{
	return text.len > TEMPLATE_MAX
		       ? err_set(err, ERR_USER, "%s is larger than %d MiB", name, TEMPLATE_MAX >> 20)
		       : 0;
}

int template_names(const struct template_spec *spec,
		   int (*visit)(void *context, struct slice name, struct err *err), void *context,
		   struct err *err)
{
	struct walk walk = {spec, spec->text};
	struct piece piece;

	if (check_size(spec->name, spec->text, err))
		return -1;
	while (walk_next(&walk, &piece))
		if (piece.kind == PIECE_VALUE && visit(context, piece.text, err))
			return -1;
	return 0;
}

/* ---- mistakes ---- */

struct mistakes {
	const char *name;
	struct slice text; /* all of the file */
	struct buf list;
	size_t count;
};

static void mistakes_free(struct mistakes *mistakes)
{
	buf_free(&mistakes->list);
}

static void mistake(struct mistakes *mistakes, size_t offset, const char *format, ...) PRINTF(3, 4);
static void mistake(struct mistakes *mistakes, size_t offset, const char *format, ...)
{
	size_t line = 1, column = 1;
	va_list args;
	char text[512];

	if (mistakes->count++ >= MISTAKES_SHOWN)
		return;
	for (size_t i = 0; i < offset; i++) {
		unsigned char c = (unsigned char)mistakes->text.ptr[i];
		if (c == '\n') {
			line++;
			column = 1;
		} else if ((c & 0xc0) != 0x80) {
			column++;
		}
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_printf(&mistakes->list, "\n  %s:%zu:%zu: %s", mistakes->name, line, column, text);
}

static int mistakes_check(struct mistakes *mistakes, struct err *err)
{
	if (!mistakes->count)
		return 0;
	if (mistakes->count > MISTAKES_SHOWN)
		buf_printf(&mistakes->list, "\n  and %zu more", mistakes->count - MISTAKES_SHOWN);
	return err_set(err, ERR_USER, "%s cannot be filled in: %zu mistake%s%s", mistakes->name,
		       mistakes->count, mistakes->count == 1 ? "" : "s", buf_str(&mistakes->list));
}

static const char *nearest(const struct config_set *set, struct slice name)
{
	const char *best = NULL;
	size_t best_distance = MAX((size_t)1, name.len / 3) + 1;

	for (size_t i = 0; i < set->count; i++) {
		size_t distance = slice_edit_distance(name, slice_of(set->values[i].name));
		if (distance < best_distance) {
			best_distance = distance;
			best = set->values[i].name;
		}
	}
	return best;
}

static void unknown_name(struct mistakes *mistakes, size_t offset, const struct config_set *set,
			 struct slice name)
{
	/* Nobody reads more of them, and looking costs. */
	const char *near = mistakes->count < MISTAKES_SHOWN ? nearest(set, name) : NULL;

	mistake(mistakes, offset, "there is no variable `%.*s`%s%s%s", (int)name.len, name.ptr,
		near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

/* ---- rendering ---- */

static void put_value(const struct template_spec *spec, const struct config_set *set,
		      const struct piece *piece, size_t offset, struct mistakes *mistakes, struct buf *out)
{
	const struct config_value *value = config_set_get(set, piece->text);
	struct err err = ERR_INIT;
	char filter[32];

	if (!value) {
		unknown_name(mistakes, offset, set, piece->text);
		return;
	}
	if (piece->filter.len && !quote_format_known(piece->filter)) {
		mistake(mistakes, offset, "there is no filter `%.*s`; known: " QUOTE_FORMATS,
			(int)MIN(piece->filter.len, (size_t)40), piece->filter.ptr);
		return;
	}
	if (!secret_present(value->value)) {
		mistake(mistakes, offset, "the value of `%s` was not read", value->name);
		return;
	}
	if (piece->filter.len)
		snprintf(filter, sizeof(filter), "%.*s", SLICE_ARG(piece->filter));
	else
		snprintf(filter, sizeof(filter), "%s", spec->quote ? spec->quote : "raw");
	if (quote_value(filter, secret_reveal(value->value), out, &err))
		mistake(mistakes, offset, "the value of `%s` %s", value->name, err.text);
}

int template_render(const struct template_spec *spec, const struct config_set *set, struct buf *out,
		    struct err *err)
{
	AUTO(mistakes_free) struct mistakes mistakes = {spec->name, spec->text, BUF_INIT(MIB(1)), 0};
	struct walk walk = {spec, spec->text};
	struct piece piece;

	ASSERT(!spec->quote || quote_format_known(slice_of(spec->quote)));
	if (check_size(spec->name, spec->text, err))
		return -1;
	for (;;) {
		size_t offset = spec->text.len - walk.rest.len;
		if (!walk_next(&walk, &piece))
			break;
		if (piece.kind == PIECE_LITERAL)
			buf_put_slice(out, piece.text);
		else
			put_value(spec, set, &piece, offset, &mistakes, out);
	}
	if (mistakes_check(&mistakes, err))
		return -1;
	return buf_check(out, spec->name, err);
}

/* ---- values a build would bake in ---- */

/* Vite's own marks, which a build replaces itself. */
static bool is_builders_own(struct slice name)
{
	return slice_is(name, "VITE_PRELOAD") || slice_is(name, "VITE_ASSET") ||
	       slice_is(name, "VITE_PUBLIC_ASSET") || slice_is(name, "VITE_IS_MODERN") ||
	       slice_is(name, "VITE_WASM_INIT");
}

/* Names may hold underscores, so `__A__B__` may end in more than one place: the longest
 * known name counts, else the shortest name that looks baked in. `text` begins with `__`. */
static bool match_mark(struct slice text, const struct config_set *set, struct slice *name_out)
{
	struct slice run = slice_skip(text, 2);
	bool found = false;

	run.len = MIN(run.len, (size_t)VALUE_NAME_MAX + 2);
	for (size_t len = 1; len + 2 <= run.len; len++) {
		struct slice name = slice_make(run.ptr, len);
		char c = run.ptr[len - 1];
		bool in_name = c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			       (c >= 'A' && c <= 'Z');
		if (!in_name)
			break;
		if (run.ptr[len] != '_' || run.ptr[len + 1] != '_' || !value_name_baked(name))
			continue;
		if (!found || config_set_get(set, name))
			*name_out = name;
		found = true;
	}
	return found;
}

static const char *unsafe_in_script(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if ((unsigned char)c < ' ' || c == 0x7f || strchr("\"'`\\<", c))
			return "quotes, backslashes, `<` or control characters";
		if (c == '$' && i + 1 < value.len && value.ptr[i + 1] == '{')
			return "`${`";
	}
	return NULL;
}

static bool put_mark(struct slice name, size_t offset, const struct config_set *set,
		     struct mistakes *mistakes, struct buf *out)
{
	const struct config_value *value = config_set_get(set, name);

	if (!value && is_builders_own(name))
		return false;
	if (!value) {
		unknown_name(mistakes, offset, set, name);
	} else if (value->secret) {
		mistake(mistakes, offset, "`%s` is a secret and would be public here", value->name);
	} else {
		struct slice text = secret_reveal(value->value);
		const char *fault = unsafe_in_script(text);
		if (fault)
			mistake(mistakes, offset,
				"the value of `%s` holds %s, which could end the text it is put into",
				value->name, fault);
		buf_put_slice(out, text);
	}
	return true;
}

int template_substitute(const char *file_name, struct slice text, const struct config_set *set,
			struct buf *out, size_t *count_out, struct err *err)
{
	AUTO(mistakes_free) struct mistakes mistakes = {file_name, text, BUF_INIT(MIB(1)), 0};
	struct slice rest = text, name;

	*count_out = 0;
	while (rest.len) {
		const char *mark = memmem(rest.ptr, rest.len, "__", 2);
		size_t plain = mark ? (size_t)(mark - rest.ptr) : rest.len;
		buf_put(out, rest.ptr, plain);
		rest = slice_skip(rest, plain);
		if (!rest.len)
			break;
		size_t offset = text.len - rest.len;
		if (match_mark(rest, set, &name) && put_mark(name, offset, set, &mistakes, out)) {
			rest = slice_skip(rest, name.len + 4);
			(*count_out)++;
			continue;
		}
		buf_putc(out, '_');
		rest = slice_skip(rest, 1);
	}
	if (mistakes_check(&mistakes, err))
		return -1;
	return buf_check(out, file_name, err);
}
