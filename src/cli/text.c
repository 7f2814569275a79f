/* See text.h. */
#include "cli/text.h"

#include <stdio.h>

enum { VISIBLE_MAX = 1 << 20 };

static uint32_t code_point(struct slice character)
{
	const unsigned char *c = (const unsigned char *)character.ptr;

	switch (character.len) {
	case 2:
		return (uint32_t)(c[0] & 0x1F) << 6 | (c[1] & 0x3F);
	case 3:
		return (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (c[2] & 0x3F);
	case 4:
		return (uint32_t)(c[0] & 0x07) << 18 | (uint32_t)(c[1] & 0x3F) << 12 |
		       (uint32_t)(c[2] & 0x3F) << 6 | (c[3] & 0x3F);
	default:
		return c[0];
	}
}

/* Unicode Standard Annex 11, the ranges that matter; wcwidth(3) would need a locale. */
static size_t character_width(struct slice character)
{
	static const struct {
		uint32_t first, last;
		size_t width;
	} ranges[] = {
		{0x0300, 0x036F, 0},   {0x200B, 0x200F, 0},   {0x20D0, 0x20FF, 0},   {0xFE00, 0xFE0F, 0},
		{0xFE20, 0xFE2F, 0},   {0xFEFF, 0xFEFF, 0},   {0x1100, 0x115F, 2},   {0x2E80, 0x303E, 2},
		{0x3041, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2},   {0xFE30, 0xFE6F, 2},
		{0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},   {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2},
		{0x1F900, 0x1F9FF, 2}, {0x20000, 0x3FFFD, 2},
	};
	uint32_t point = code_point(character);

	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (point >= ranges[i].first && point <= ranges[i].last)
			return ranges[i].width;
	return 1;
}

static struct slice next_character(struct slice *rest)
{
	struct slice character = slice_make(rest->ptr, MAX(slice_utf8_len(*rest), (size_t)1));

	*rest = slice_skip(*rest, character.len);
	return character;
}

size_t text_width(struct slice s)
{
	size_t width = 0;

	while (s.len)
		width += character_width(next_character(&s));
	return width;
}

/* Most texts: a byte is a column. */
static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] >= 0x7F)
			return false;
	return true;
}

size_t text_visible_width(const char *text)
{
	if (is_plain(slice_of(text)))
		return strlen(text);
	AUTO(buf_free) struct buf visible = BUF_INIT(VISIBLE_MAX);

	buf_put_visible(&visible, slice_of(text));
	return text_width(buf_slice(&visible));
}

/* The longest beginning of at most `width` columns. */
static struct slice head_of(struct slice s, size_t width, size_t *taken)
{
	struct slice rest = s;

	*taken = 0;
	while (rest.len) {
		struct slice before = rest;
		size_t wide = character_width(next_character(&rest));
		if (*taken + wide > width)
			return slice_make(s.ptr, (size_t)(before.ptr - s.ptr));
		*taken += wide;
	}
	return s;
}

static size_t put_cut(struct buf *out, const char *text, size_t width, size_t tail_width)
{
	AUTO(buf_free) struct buf visible = BUF_INIT(VISIBLE_MAX);
	size_t head_taken, tail_taken = 0;

	buf_put_visible(&visible, slice_of(text));
	struct slice whole = buf_slice(&visible);
	size_t wide = text_width(whole);
	if (wide <= width) {
		buf_put_slice(out, whole);
		return wide;
	}
	if (width == 0)
		return 0;
	buf_put_slice(out, head_of(whole, width - 1 - tail_width, &head_taken));
	buf_puts(out, "…");
	if (tail_width) {
		/* Skips just so much that the rest fits. */
		struct slice tail = whole;
		for (tail_taken = wide; tail_taken > tail_width;)
			tail_taken -= character_width(next_character(&tail));
		buf_put_slice(out, tail);
	}
	return head_taken + 1 + tail_taken;
}

size_t text_put_cut(struct buf *out, const char *text, size_t width)
{
	return put_cut(out, text, width, 0);
}

size_t text_put_middle(struct buf *out, const char *text, size_t width)
{
	return put_cut(out, text, width, width > 3 ? (width - 1) * 2 / 3 : 0);
}

static void put_line_end(struct buf *out, size_t indent)
{
	buf_putc(out, '\n');
	for (size_t i = 0; i < indent; i++)
		buf_putc(out, ' ');
}

static void put_words(struct buf *out, struct slice line, size_t width, size_t indent)
{
	size_t at = 0;

	while (line.ptr) {
		struct slice word = slice_cut(&line, ' ');
		if (!word.len)
			continue;
		size_t wide = text_width(word);
		if (at && width && at + 1 + wide > width) {
			put_line_end(out, indent);
			at = 0;
		} else if (at) {
			buf_putc(out, ' ');
			at++;
		}
		while (width && wide > width) {
			/* One word wider than the column: a path, a digest. */
			size_t taken;
			struct slice head = head_of(word, width, &taken);
			if (!head.len)
				break;
			buf_put_slice(out, head);
			put_line_end(out, indent);
			word = slice_skip(word, head.len);
			wide -= taken;
		}
		buf_put_slice(out, word);
		at += wide;
	}
}

void text_put_wrapped(struct buf *out, const char *text, size_t width, size_t indent)
{
	struct slice rest = slice_of(text);

	for (bool first = true; rest.ptr; first = false) {
		AUTO(buf_free) struct buf visible = BUF_INIT(VISIBLE_MAX);
		buf_put_visible(&visible, slice_cut(&rest, '\n'));
		if (!first)
			put_line_end(out, indent);
		if (visible.len)
			put_words(out, buf_slice(&visible), width, indent);
	}
}

void text_put_count(struct buf *out, int64_t count)
{
	char digits[32];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)count);

	for (int i = 0; i < len; i++) {
		buf_putc(out, digits[i]);
		int left = len - 1 - i;
		if (left && left % 3 == 0 && digits[i] != '-')
			buf_putc(out, ',');
	}
}
