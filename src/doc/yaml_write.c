/* From our tree to text. Cautious rather than pretty: what could be read as
 * anything else stands in quotes. */
#include "doc/yaml_write.h"

#include "doc/yaml.h"

enum { COMMENT_MAX = 1024, COMMENT_COLUMN = 40, IMPLICIT_KEY_MAX = 512 };

struct writer {
	const struct yaml_write_options *options;
	struct buf *out;
	size_t line_start;
};

/* ---- scalars ---- */

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Whether a text may stand without quotes, wherever a value or a key may stand. */
static bool is_plain(struct slice text)
{
	if (!text.len || text.len > IMPLICIT_KEY_MAX || slice_starts_with(text, "..."))
		return false;
	if (!is_letter_or_digit(text.ptr[0]) && !strchr("./_$(~", text.ptr[0]) &&
	    (unsigned char)text.ptr[0] < 0x80)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : ' ';
		if (c == ' ' ? next == ' ' : c == ':' ? next == ' ' : false)
			return false; /* also at the end */
		if ((unsigned char)c >= 0x80 ||
		    !(is_letter_or_digit(c) || strchr(" _-./@+=~$%*()<>&^!;|:,", c)))
			return false;
	}
	return true;
}

/* Characters that are lines or nothing to some reader: U+0080..9F, U+2028/9, the mark
 * of byte order, those that turn the writing direction. */
static bool is_troublesome(const unsigned char *at, size_t len, unsigned *code)
{
	*code = len == 2   ? (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu)
		: len == 3 ? (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu)
			   : 0;
	return (*code >= 0x80 && *code <= 0x9f) || *code == 0xa0 || (*code >= 0x200b && *code <= 0x200f) ||
	       (*code >= 0x2028 && *code <= 0x202e) || (*code >= 0x2066 && *code <= 0x2069) ||
	       *code == 0xfeff || *code == 0xfffe || *code == 0xffff;
}

static void write_quoted(struct slice text, struct buf *out)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < text.len;) {
		size_t len = MAX(slice_utf8_len(slice_skip(text, i)), (size_t)1);
		unsigned char c = (unsigned char)text.ptr[i];
		unsigned code;
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			buf_puts(out, "\\n");
		else if (c == '\t')
			buf_puts(out, "\\t");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else if (is_troublesome((const unsigned char *)text.ptr + i, len, &code))
			buf_printf(out, "\\u%04x", code);
		else
			buf_put(out, text.ptr + i, len);
		i += len;
	}
	buf_putc(out, '"');
}

static void write_text(struct slice text, bool is_key, struct buf *out)
{
	bool boolean;
	int64_t integer;
	/* A key is text whatever it looks like, but other readers may think otherwise. */
	if (is_plain(text) && yaml_core_kind(text, &boolean, &integer) == NODE_STR &&
	    !(is_key && slice_is(text, "<<")))
		buf_put_slice(out, text);
	else
		write_quoted(text, out);
}

void yaml_write_scalar(const struct node *node, struct buf *out)
{
	bool boolean;
	int64_t integer;
	switch (node->kind) {
	case NODE_NULL:
		buf_puts(out, "null");
		break;
	case NODE_FLOAT:
		/* `!!float 5` is the only way to write a whole number that is none. */
		if (yaml_core_kind(node->text, &boolean, &integer) != NODE_FLOAT)
			buf_puts(out, "!!float ");
		buf_put_slice(out, node->text);
		break;
	case NODE_BOOL:
	case NODE_INT:
		buf_put_slice(out, node->text);
		break;
	case NODE_STR:
		write_text(node->text, false, out);
		break;
	case NODE_LIST:
	case NODE_MAP:
		buf_puts(out, node->kind == NODE_LIST ? "[]" : "{}");
		break;
	}
}

/* ---- blocks ---- */

static void write_node(struct writer *writer, const struct node *node, size_t indent);

static void end_line(struct writer *writer, const struct node *node)
{
	AUTO(buf_free) struct buf comment = BUF_INIT(COMMENT_MAX);
	if (node && writer->options && writer->options->comment)
		writer->options->comment(writer->options->context, node, &comment);
	if (comment.len) {
		size_t used = writer->out->len - writer->line_start;
		do
			buf_putc(writer->out, ' ');
		while (++used < COMMENT_COLUMN);
		buf_printf(writer->out, " # %s", buf_str(&comment));
	}
	buf_putc(writer->out, '\n');
	writer->line_start = writer->out->len;
}

static void put_indent(struct buf *out, size_t indent)
{
	for (size_t i = 0; i < indent; i++)
		buf_putc(out, ' ');
}

static bool is_block(const struct node *node)
{
	return (node->kind == NODE_LIST || node->kind == NODE_MAP) && node->count > 0;
}

/* Behind `key:` or `-`. */
static void write_value(struct writer *writer, const struct node *node, size_t indent)
{
	if (is_block(node)) {
		end_line(writer, NULL);
		write_node(writer, node, indent);
	} else {
		buf_putc(writer->out, ' ');
		yaml_write_scalar(node, writer->out);
		end_line(writer, node);
	}
}

static void write_key(struct writer *writer, struct slice key, size_t indent)
{
	/* YAML wants to see the `:` of a key on its line, within 1024 characters. */
	bool is_long = key.len > IMPLICIT_KEY_MAX;
	if (is_long)
		buf_puts(writer->out, "? ");
	write_text(key, true, writer->out);
	if (is_long) {
		end_line(writer, NULL);
		put_indent(writer->out, indent);
	}
	buf_putc(writer->out, ':');
}

static void write_node(struct writer *writer, const struct node *node, size_t indent)
{
	if (!is_block(node)) {
		put_indent(writer->out, indent);
		yaml_write_scalar(node, writer->out);
		end_line(writer, node);
		return;
	}
	for (size_t i = 0; i < node->count && !writer->out->overflow; i++) {
		put_indent(writer->out, indent);
		if (node->kind == NODE_LIST) {
			buf_putc(writer->out, '-');
			write_value(writer, node->items[i].value, indent + 2);
		} else {
			write_key(writer, node->entries[i].key, indent);
			write_value(writer, node->entries[i].value, indent + 2);
		}
	}
}

void yaml_write(const struct node *node, const struct yaml_write_options *options, struct buf *out)
{
	struct writer writer = {.options = options, .out = out, .line_start = out->len};
	write_node(&writer, node, 0);
}

/* ---- comparing ---- */

bool node_equal(const struct node *a, const struct node *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->count != b->count)
		return false;
	switch (a->kind) {
	case NODE_NULL:
		return true;
	case NODE_BOOL:
		return a->boolean == b->boolean;
	case NODE_INT:
		return a->integer == b->integer && slice_equal(a->text, b->text);
	case NODE_FLOAT:
	case NODE_STR:
		return slice_equal(a->text, b->text);
	case NODE_LIST:
		for (size_t i = 0; i < a->count; i++)
			if (!node_equal(a->items[i].value, b->items[i].value))
				return false;
		return true;
	case NODE_MAP:
		for (size_t i = 0; i < a->count; i++)
			if (!slice_equal(a->entries[i].key, b->entries[i].key) ||
			    !node_equal(a->entries[i].value, b->entries[i].value))
				return false;
		return true;
	}
	return false;
}
