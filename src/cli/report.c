/* See report.h. */
#include "cli/report.h"

const struct report_format *const report_formats[] = {&report_html, &report_junit, &report_sarif, NULL};

const struct report_format *report_format_find(const char *name)
{
	for (const struct report_format *const *format = report_formats; *format; format++)
		if (strcmp((*format)->name, name) == 0)
			return *format;
	return NULL;
}

enum { LINE_MAX_BYTES = 1 << 20 };

static void put_line_escaped(struct buf *out, struct slice line)
{
	AUTO(buf_free) struct buf visible = BUF_INIT(LINE_MAX_BYTES);

	buf_put_visible(&visible, line);
	for (struct slice rest = buf_slice(&visible); rest.len; rest = slice_skip(rest, 1)) {
		switch (*rest.ptr) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '\'':
			buf_puts(out, "&#39;");
			break;
		default:
			/* U+FFFE and U+FFFF are no characters of XML. */
			if (rest.len >= 3 && memcmp(rest.ptr, "\xEF\xBF", 2) == 0 &&
			    ((unsigned char)rest.ptr[2] == 0xBE || (unsigned char)rest.ptr[2] == 0xBF)) {
				buf_puts(out, "\xEF\xBF\xBD");
				rest = slice_skip(rest, 2);
			} else {
				buf_putc(out, *rest.ptr);
			}
		}
	}
}

/* Most texts: nothing in them means anything to anybody. */
static bool is_harmless(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c < 0x20 || c >= 0x7F || c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
			return false;
	}
	return true;
}

void report_put_text(struct buf *out, const char *text)
{
	struct slice rest = slice_of(text);

	if (is_harmless(rest)) {
		buf_put_slice(out, rest);
		return;
	}
	for (bool first = true; rest.ptr; first = false) {
		/* A bare line end would become a space in an attribute. */
		buf_puts(out, first ? "" : "&#10;");
		put_line_escaped(out, slice_cut(&rest, '\n'));
	}
}

json_t *report_json_text(const char *text)
{
	AUTO(buf_free) struct buf visible = BUF_INIT(LINE_MAX_BYTES);
	struct slice rest = slice_of(text);

	for (bool first = true; rest.ptr; first = false) {
		buf_puts(&visible, first ? "" : "\n");
		buf_put_visible(&visible, slice_cut(&rest, '\n'));
	}
	return json_text(buf_slice(&visible));
}
