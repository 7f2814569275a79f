/* See page.h. */
#include "cli/page.h"

#include "base/clock.h"

void styled(struct page *page, enum style style, const char *text)
{
	buf_puts(page->out, style_begin(page->colour, style));
	buf_put_visible(page->out, slice_of(text));
	buf_puts(page->out, style_end(page->colour, style));
}

void plain(struct page *page, const char *text) { buf_put_visible(page->out, slice_of(text)); }

void one_line(struct page *page, const char *text)
{
	struct slice rest = slice_of(text);

	for (bool first = true; rest.ptr; first = false) {
		buf_puts(page->out, first ? "" : "; ");
		buf_put_visible(page->out, slice_cut(&rest, '\n'));
	}
}

const char *str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

int64_t num(const json_t *object, const char *key) { return json_integer_value(json_object_get(object, key)); }
bool flag(const json_t *object, const char *key) { return json_is_true(json_object_get(object, key)); }

void pad(struct page *page, size_t written, size_t width)
{
	for (size_t i = written; i < width; i++)
		buf_putc(page->out, ' ');
}

size_t column(struct page *page, enum style style, const char *text, size_t width)
{
	size_t before = page->out->len;
	buf_put_visible(page->out, slice_of(text));
	size_t written = page->out->len - before;
	if (style != STYLE_PLAIN && page->colour) {
		page->out->len = before;
		styled(page, style, text);
	}
	pad(page, written, width);
	return written;
}

void age(struct page *page, int64_t at)
{
	if (at)
		clock_put_age(page->out, at, clock_wall_ms());
}

