/* The list of diagnostics and how it is shown. Knows nothing of YAML or JSON. */
#include "doc/diag.h"

enum { LINE_SHOWN_MAX = 100 };

static size_t utf8_length(unsigned char lead)
{
	return lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

/* The texts quote what stands in foreign files; no such file may forge a line
 * or a colour on a terminal. */
static const char *clean_text(struct arena *arena, const char *text)
{
	AUTO(buf_free) struct buf clean = BUF_INIT(KIB(64));
	bool utf8 = slice_is_utf8(slice_of(text));
	for (const char *at = text; *at; at++) {
		unsigned char c = (unsigned char)*at;
		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
			buf_printf(&clean, "\\x%02x", c);
		else
			buf_putc(&clean, *at);
	}
	return arena_str(arena, buf_slice(&clean));
}

static bool same_place(struct origin a, struct origin b)
{
	return a.file == b.file && a.line == b.line && a.column == b.column;
}

static struct diag *add(struct diags *diags, enum diag_severity severity, struct origin origin,
			const char *format, va_list args)
{
	diags->last = NULL;
	const char *text = clean_text(diags->arena, arena_vprintf(diags->arena, format, args));
	for (size_t i = 0; i < diags->count; i++) {
		const struct diag *other = &diags->items[i];
		if (other->severity == severity && same_place(other->origin, origin) &&
		    strcmp(other->text, text) == 0)
			return NULL;
	}
	if (severity == DIAG_ERROR)
		diags->errors++;
	if (diags->count == DIAGS_MAX) {
		diags->dropped++;
		return NULL;
	}
	struct diag *diag = &diags->items[diags->count++];
	*diag = (struct diag){.severity = severity, .origin = origin, .text = text};
	diags->last = diag;
	return diag;
}

int diags_verror(struct diags *diags, struct origin origin, const char *format, va_list args)
{
	add(diags, DIAG_ERROR, origin, format, args);
	return -1;
}

int diags_error(struct diags *diags, struct origin origin, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(diags, DIAG_ERROR, origin, format, args);
	va_end(args);
	return -1;
}

void diags_warning(struct diags *diags, struct origin origin, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(diags, DIAG_WARNING, origin, format, args);
	va_end(args);
}

void diags_hide_line(struct diags *diags, struct origin origin)
{
	if (diags->hidden_count < DIAGS_HIDDEN_MAX)
		diags->hidden[diags->hidden_count] = origin;
	diags->hidden_count++;
}

void diags_hint(struct diags *diags, const char *format, ...)
{
	if (!diags->last)
		return;
	va_list args;
	va_start(args, format);
	diags->last->hint = clean_text(diags->arena, arena_vprintf(diags->arena, format, args));
	va_end(args);
}

static int compare(const struct diag *a, const struct diag *b)
{
	if (!a->origin.line || !b->origin.line)
		return !a->origin.line - !b->origin.line;
	if (a->origin.file != b->origin.file) {
		int by_name = strcmp(a->origin.file->name, b->origin.file->name);
		if (by_name)
			return by_name;
	}
	if (a->origin.line != b->origin.line)
		return a->origin.line < b->origin.line ? -1 : 1;
	if (a->origin.column != b->origin.column)
		return a->origin.column < b->origin.column ? -1 : 1;
	return 0;
}

void diags_sort(struct diags *diags)
{
	/* Insertion sort: at most DIAGS_MAX, and those of one place keep their order. */
	for (size_t i = 1; i < diags->count; i++) {
		struct diag moved = diags->items[i];
		size_t at = i;
		for (; at > 0 && compare(&diags->items[at - 1], &moved) > 0; at--)
			diags->items[at] = diags->items[at - 1];
		diags->items[at] = moved;
	}
	diags->last = NULL;
}

static bool find_line(struct slice text, uint32_t line, struct slice *out)
{
	if (slice_starts_with(text, "\xef\xbb\xbf"))
		text = slice_skip(text, 3);
	while (line > 1 && text.ptr) {
		slice_cut(&text, '\n');
		line--;
	}
	if (!text.ptr)
		return false;
	*out = slice_cut(&text, '\n');
	if (slice_ends_with(*out, "\r"))
		out->len--;
	return true;
}

/* One column a character, so that the caret stands below the right one; long
 * lines are shown around it. */
static void print_source_line(const struct origin *origin, struct buf *out)
{
	struct slice line;
	if (!find_line(origin->file->text, origin->line, &line))
		return;
	uint32_t first = origin->column > LINE_SHOWN_MAX - 20 ? origin->column - (LINE_SHOWN_MAX - 20) : 1;
	buf_printf(out, "  %4u | ", origin->line);
	uint32_t column = 1;
	for (size_t at = 0; at < line.len && column < first + LINE_SHOWN_MAX; column++) {
		size_t len = MIN(utf8_length((unsigned char)line.ptr[at]), line.len - at);
		struct slice character = slice_make(line.ptr + at, len);
		if (column >= first) {
			unsigned char c = (unsigned char)line.ptr[at];
			if (c == '\t')
				buf_putc(out, ' ');
			else if (c < 0x20 || c == 0x7f || !slice_is_utf8(character))
				buf_putc(out, '?');
			else
				buf_put_slice(out, character);
		}
		at += len;
	}
	buf_puts(out, "\n       | ");
	for (uint32_t i = first; i < origin->column; i++)
		buf_putc(out, ' ');
	buf_puts(out, "^\n");
}

static const struct origin *named_at(const struct origin *origin)
{
	return origin->file && origin->file->named_at.file ? &origin->file->named_at : NULL;
}

static bool is_hidden(const struct diags *diags, struct origin origin)
{
	for (size_t i = 0; i < MIN(diags->hidden_count, (size_t)DIAGS_HIDDEN_MAX); i++)
		if (diags->hidden[i].file == origin.file && diags->hidden[i].line == origin.line)
			return true;
	return diags->hidden_count > DIAGS_HIDDEN_MAX;
}

static void diag_print(const struct diags *diags, const struct diag *diag, struct buf *out)
{
	const struct origin *origin = &diag->origin;
	if (origin->line)
		buf_printf(out, "%s:%u:%u: ", origin->file->name, origin->line, origin->column);
	else if (origin->file)
		buf_printf(out, "%s: ", origin->file->name);
	if (diag->severity == DIAG_WARNING)
		buf_puts(out, "warning: ");
	buf_printf(out, "%s\n", diag->text);
	if (origin->line && !is_hidden(diags, *origin))
		print_source_line(origin, out);
	if (diag->hint)
		buf_printf(out, "  %s\n", diag->hint);
	for (const struct origin *at = named_at(origin); at; at = named_at(at))
		buf_printf(out, "  named at %s:%u:%u\n", at->file->name, at->line, at->column);
}

void diags_print(const struct diags *diags, struct buf *out)
{
	for (size_t i = 0; i < diags->count; i++)
		diag_print(diags, &diags->items[i], out);
	if (diags->dropped)
		buf_printf(out, "and %zu more\n", diags->dropped);
}

int diags_check(struct diags *diags, const char *what, struct err *err)
{
	diags_sort(diags);
	if (!diags->errors)
		return 0;
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);
	size_t shown = 0;
	for (size_t i = 0; i < diags->count && shown < 3; i++) {
		const struct diag *diag = &diags->items[i];
		if (diag->severity != DIAG_ERROR)
			continue;
		if (diag->origin.line)
			buf_printf(&text, "\n%s:%u:%u: %s", diag->origin.file->name, diag->origin.line,
				   diag->origin.column, diag->text);
		else
			buf_printf(&text, "\n%s", diag->text);
		if (diag->hint)
			buf_printf(&text, " (%s)", diag->hint);
		for (const struct origin *at = named_at(&diag->origin); at; at = named_at(at))
			buf_printf(&text, ", named at %s:%u:%u", at->file->name, at->line, at->column);
		shown++;
	}
	if (shown < diags->errors)
		buf_printf(&text, "\nand %zu more", diags->errors - shown);
	return err_set(err, ERR_USER, "%s is refused: %zu mistake%s%s", what, diags->errors,
		       diags->errors == 1 ? "" : "s", buf_str(&text));
}

const char *origin_text(struct arena *arena, struct origin origin)
{
	if (!origin.line)
		return origin.file ? origin.file->name : "nowhere";
	return arena_printf(arena, "%s:%u:%u", origin.file->name, origin.line, origin.column);
}
