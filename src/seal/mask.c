/* All forms of all values stand sorted in one array. Where the first four bytes of a
 * place in the text are those of some form, a binary search finds the last form that
 * is not greater than the text there: the longest form the text begins with is that
 * one or one of its own beginnings, since whatever sorts between a beginning of the
 * text and the text begins with it too. So a place costs the same with ten forms and
 * with a hundred thousand. */
#include "seal/mask.h"

#include "base/arena.h"
#include "base/random.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum {
	ENCODED_MIN = 8,    /* shorter encodings occur by chance */
	NUMBER_MIN = 10,    /* digits that are a secret, not a port or a limit */
	FILTER_BITS_MIN = 13,
	FILTER_BITS_MAX = 22,
};

struct needle {
	size_t offset, len; /* in mask->bytes */
	const char *ptr;    /* once sorted */
	ptrdiff_t shorter;  /* the longest other needle it begins with; -1 */
};

struct mask {
	struct buf bytes;
	struct needle *needles;
	size_t count, cap;
	bool sorted;
	uint64_t *filter; /* bits by the hash of the first four bytes */
	unsigned filter_bits;
};

struct mask *mask_open(void)
{
	struct mask *mask = mem_alloc(sizeof(*mask));

	mask->bytes = BUF_SECRET(SIZE_MAX / 4);
	return mask;
}

void mask_close(struct mask **mask)
{
	if (!*mask)
		return;
	buf_wipe_free(&(*mask)->bytes);
	free((*mask)->needles);
	free((*mask)->filter);
	free(*mask);
	*mask = NULL;
}

/* ---- forms of a value ---- */

static void add_needle_at(struct mask *mask, size_t start, size_t len)
{
	if (mask->count == mask->cap) {
		mask->cap = MAX(mask->cap * 2, (size_t)16);
		mask->needles = mem_grow(mask->needles, mask->cap, sizeof(*mask->needles));
	}
	mask->needles[mask->count++] = (struct needle){.offset = start, .len = len};
	mask->sorted = false;
}

/* The form that stands at the end of mask->bytes from `start` on. */
static void add_needle(struct mask *mask, size_t start)
{
	add_needle_at(mask, start, mask->bytes.len - start);
}

static void drop(struct mask *mask, size_t start)
{
	explicit_bzero(mask->bytes.ptr + start, mask->bytes.len - start);
	mask->bytes.len = start;
}

/* An encoding that changed nothing is no form of its own. */
static void add_encoded(struct mask *mask, size_t start, struct slice value)
{
	struct slice form = slice_make(mask->bytes.ptr + start, mask->bytes.len - start);

	if (form.len < MASK_MIN || slice_equal(form, value))
		drop(mask, start);
	else
		add_needle(mask, start);
}

static void add_plain(struct mask *mask, struct slice value)
{
	size_t start = mask->bytes.len;

	buf_put_slice(&mask->bytes, value);
	add_needle(mask, start);
}

/* Base64 of `value` as it stands behind `before` other bytes (0 to 2), without the
 * characters at either end that depend on what surrounds it. */
static void add_base64(struct mask *mask, struct slice value, size_t before, const char *last_two)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t start = mask->bytes.len, total = before + value.len;
	bool special = false;

	for (size_t bit = 0; bit + 6 <= total * 8; bit += 6) {
		/* A character that holds bits of what stands before is not ours. */
		if (bit / 8 < before)
			continue;
		size_t at = bit / 8 - before;
		unsigned two = (unsigned)(unsigned char)value.ptr[at] << 8;
		if (at + 1 < value.len)
			two |= (unsigned char)value.ptr[at + 1];
		unsigned number = two >> (10 - bit % 8) & 63;
		special |= number >= 62;
		buf_putc(&mask->bytes, number < 62 ? digits[number] : last_two[number - 62]);
	}
	/* Without those two the alphabets give the same. */
	if (mask->bytes.len - start < ENCODED_MIN || (*last_two == '-' && !special))
		drop(mask, start);
	else
		add_needle(mask, start);
}

/* As the programs base64 and openssl print what is longer than a line of theirs. */
static void add_base64_lines(struct mask *mask, struct slice value, const char *last_two, size_t width)
{
	size_t start = mask->bytes.len;

	if (value.len * 4 / 3 <= width)
		return;
	add_base64(mask, value, 0, last_two);
	if (mask->bytes.len == start)
		return;
	/* The whole was added for its length only; its lines are needles of their own. */
	size_t len = mask->bytes.len - start;
	mask->count--;
	for (size_t at = 0; at < len; at += width)
		if (MIN(width, len - at) >= ENCODED_MIN)
			add_needle_at(mask, start + at, MIN(width, len - at));
}

static void add_hex(struct mask *mask, struct slice value, const char *digits)
{
	size_t start = mask->bytes.len;

	if (2 * value.len < ENCODED_MIN)
		return;
	for (size_t i = 0; i < value.len; i++) {
		buf_putc(&mask->bytes, digits[(unsigned char)value.ptr[i] >> 4]);
		buf_putc(&mask->bytes, digits[(unsigned char)value.ptr[i] & 15]);
	}
	add_needle(mask, start);
}

/* `as_is`: what stands for itself beside letters and digits; `space`: instead of %20. */
static void add_percent(struct mask *mask, struct slice value, const char *as_is, char space, const char *digits)
{
	size_t start = mask->bytes.len;

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if ((c < 0x80 && isalnum(c)) || (c && strchr(as_is, c))) {
			buf_putc(&mask->bytes, (char)c);
		} else if (c == ' ' && space) {
			buf_putc(&mask->bytes, space);
		} else {
			char three[] = {'%', digits[c >> 4], digits[c & 15]};
			buf_put(&mask->bytes, three, sizeof(three));
		}
	}
	add_encoded(mask, start, value);
}

static uint32_t code_point(struct slice character)
{
	const unsigned char *c = (const unsigned char *)character.ptr;

	switch (character.len) {
	case 2:
		return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
	case 3:
		return (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
	case 4:
		return (c[0] & 0x07u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 | (c[3] & 0x3fu);
	default:
		return c[0];
	}
}

enum {
	JSON_SLASH = 1, /* \/ as PHP writes it */
	JSON_ASCII = 2, /* \uXXXX beyond ASCII */
	JSON_HTML = 4,	/* \u003c and its like, as Go writes it */
	JSON_FORMS = 8,
};

static void put_json_character(struct buf *out, struct slice character, unsigned form)
{
	static const char shorts[] = "b\bf\fn\nr\rt\t\"\"\\\\";
	char c = *character.ptr;
	uint32_t point = code_point(character);

	for (size_t i = 0; i + 1 < sizeof(shorts); i += 2)
		if (c == shorts[i + 1]) {
			buf_putc(out, '\\');
			buf_putc(out, shorts[i]);
			return;
		}
	if (c == '/' && (form & JSON_SLASH))
		buf_puts(out, "\\/");
	else if (point >= 0x10000 && (form & JSON_ASCII))
		buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
	else if (point < 0x20 || (point >= 0x7f && (form & JSON_ASCII)) ||
		 ((form & JSON_HTML) && c && strchr("<>&", c)))
		buf_printf(out, "\\u%04x", point);
	else
		buf_put_slice(out, character);
}

static void add_json(struct mask *mask, struct slice value, unsigned form)
{
	size_t start = mask->bytes.len;

	for (struct slice rest = value; rest.len;) {
		size_t len = MAX(slice_utf8_len(rest), (size_t)1);
		put_json_character(&mask->bytes, slice_make(rest.ptr, len), form);
		rest = slice_skip(rest, len);
	}
	add_encoded(mask, start, value);
}

static bool holds_any(struct slice value, const char *characters)
{
	for (; *characters; characters++)
		if (slice_find(value, *characters) >= 0)
			return true;
	return false;
}

static bool holds_beyond_ascii(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] >= 0x7f)
			return true;
	return false;
}

static void add_all_json(struct mask *mask, struct slice value)
{
	unsigned useful = (holds_any(value, "/") ? JSON_SLASH : 0) | (holds_beyond_ascii(value) ? JSON_ASCII : 0) |
			  (holds_any(value, "<>&") ? JSON_HTML : 0);

	for (unsigned form = 0; form < JSON_FORMS; form++)
		if ((form & ~useful) == 0)
			add_json(mask, value, form);
}

static void add_all_percent(struct mask *mask, struct slice value)
{
	/* RFC 3986, JavaScript's encodeURIComponent, HTML forms, Python's quote. */
	static const struct {
		const char *as_is;
		char space;
	} dialects[] = {{"-_.~", 0}, {"-_.!~*'()", 0}, {"-_.*", '+'}, {"-_.~/", 0}};

	for (size_t i = 0; i < ARRAY_LEN(dialects); i++) {
		/* Where all that the dialects differ in is absent, one is enough. */
		if (i && !holds_any(value, " !~*'()/"))
			continue;
		add_percent(mask, value, dialects[i].as_is, dialects[i].space, "0123456789ABCDEF");
		add_percent(mask, value, dialects[i].as_is, dialects[i].space, "0123456789abcdef");
	}
}

bool mask_worthy(struct slice value)
{
	static const char *const words[] = {"true", "false", "null", "none", "undefined", "enabled", "disabled"};
	size_t digits = 0, others = 0;

	if (value.len < MASK_MIN)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (value.len == strlen(words[i]) && strncasecmp(value.ptr, words[i], value.len) == 0)
			return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] >= '0' && value.ptr[i] <= '9')
			digits++;
		else if (!memchr("+-._, ", value.ptr[i], 6))
			others++;
	}
	return others || digits >= NUMBER_MIN;
}

/* Each of `characters` as the text at its place. */
static void add_replaced(struct mask *mask, struct slice value, const char *characters, const char *const *texts)
{
	size_t start = mask->bytes.len;

	if (!holds_any(value, characters))
		return;
	for (size_t i = 0; i < value.len; i++) {
		const char *found = value.ptr[i] ? strchr(characters, value.ptr[i]) : NULL;
		if (found)
			buf_puts(&mask->bytes, texts[found - characters]);
		else
			buf_putc(&mask->bytes, value.ptr[i]);
	}
	add_encoded(mask, start, value);
}

void mask_add(struct mask *mask, struct slice value)
{
	/* PHP, Python, Go, and what leaves quotes as they are outside of attributes. */
	static const char *const html[][5] = {
		{"&amp;", "&lt;", "&gt;", "&quot;", "&#039;"},
		{"&amp;", "&lt;", "&gt;", "&quot;", "&#x27;"},
		{"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"},
		{"&amp;", "&lt;", "&gt;", "\"", "'"},
	};

	if (!mask_worthy(value))
		return;
	add_plain(mask, value);
	for (size_t before = 0; before < 3; before++) {
		add_base64(mask, value, before, "+/");
		add_base64(mask, value, before, "-_");
	}
	for (size_t width = 64; width <= 76; width += 12) {
		add_base64_lines(mask, value, "+/", width);
		add_base64_lines(mask, value, "-_", width);
	}
	add_hex(mask, value, "0123456789abcdef");
	add_hex(mask, value, "0123456789ABCDEF");
	add_replaced(mask, value, "'", (const char *const[]){"'\\''"});
	add_replaced(mask, value, "'", (const char *const[]){"'\"'\"'"});
	for (size_t i = 0; i < ARRAY_LEN(html); i++)
		add_replaced(mask, value, "&<>\"'", html[i]);
	add_all_percent(mask, value);
	add_all_json(mask, value);
	/* A program may print a key line by line. */
	struct slice rest = value;
	while (rest.ptr && slice_find(value, '\n') >= 0) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		if (line.len >= ENCODED_MIN && mask_worthy(line))
			add_plain(mask, line);
	}
}

void mask_add_secret(struct mask *mask, struct secret value) { mask_add(mask, secret_reveal(value)); }

/* ---- finding ---- */

static struct slice needle_bytes(const struct mask *mask, size_t index)
{
	return slice_make(mask->needles[index].ptr, mask->needles[index].len);
}

static size_t filter_slot(const struct mask *mask, const char *four)
{
	uint32_t word;

	memcpy(&word, four, sizeof(word));
	return (word * UINT32_C(2654435761)) >> (32 - mask->filter_bits);
}

static bool may_start(const struct mask *mask, const char *four)
{
	size_t slot = filter_slot(mask, four);
	return mask->filter[slot / 64] >> slot % 64 & 1;
}

static int compare_needles(const void *a, const void *b)
{
	const struct needle *left = a, *right = b;
	return slice_compare(slice_make(left->ptr, left->len), slice_make(right->ptr, right->len));
}

static bool begins_with(struct slice text, struct slice start)
{
	return text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0;
}

static void sort(struct mask *mask)
{
	size_t kept = 0;

	if (mask->sorted)
		return;
	for (size_t i = 0; i < mask->count; i++)
		mask->needles[i].ptr = mask->bytes.ptr + mask->needles[i].offset;
	qsort(mask->needles, mask->count, sizeof(*mask->needles), compare_needles);
	for (size_t i = 0; i < mask->count; i++) {
		if (kept && slice_equal(needle_bytes(mask, kept - 1), needle_bytes(mask, i)))
			continue;
		struct needle needle = mask->needles[i];
		ptrdiff_t shorter = (ptrdiff_t)kept - 1;
		mask->needles[kept] = needle;
		while (shorter >= 0 && !begins_with(needle_bytes(mask, kept), needle_bytes(mask, (size_t)shorter)))
			shorter = mask->needles[shorter].shorter;
		mask->needles[kept++].shorter = shorter;
	}
	mask->count = kept;
	/* Sixteen bits a needle: one place in sixteen is looked at for nothing, at most. */
	mask->filter_bits = FILTER_BITS_MIN;
	while (mask->filter_bits < FILTER_BITS_MAX && (size_t)1 << mask->filter_bits < kept * 16)
		mask->filter_bits++;
	free(mask->filter);
	mask->filter = mem_array(((size_t)1 << mask->filter_bits) / 64, sizeof(*mask->filter));
	for (size_t i = 0; i < kept; i++) {
		size_t slot = filter_slot(mask, needle_bytes(mask, i).ptr);
		mask->filter[slot / 64] |= UINT64_C(1) << slot % 64;
	}
	mask->sorted = true;
}

size_t mask_form_count(struct mask *mask)
{
	sort(mask);
	return mask->count;
}

struct slice mask_form(struct mask *mask, size_t index)
{
	sort(mask);
	return needle_bytes(mask, index);
}

/* How many needles are not greater than the text. */
static size_t count_not_greater(const struct mask *mask, struct slice text)
{
	size_t low = 0, high = mask->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct slice needle = needle_bytes(mask, middle);
		/* Only as far as the needle: the text may be long. */
		int order = memcmp(needle.ptr, text.ptr, MIN(needle.len, text.len));
		if (order < 0 || (order == 0 && needle.len <= text.len))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct finding {
	size_t len;    /* of the longest needle that stands at the front; 0: none */
	bool goes_on;  /* all of the text is the beginning of a needle */
};

static struct finding look_at(const struct mask *mask, struct slice text)
{
	struct finding finding = {0};

	if (text.len >= MASK_MIN && !may_start(mask, text.ptr))
		return finding;
	size_t after = count_not_greater(mask, text);
	if (after < mask->count)
		finding.goes_on = begins_with(needle_bytes(mask, after), text);
	ptrdiff_t at = (ptrdiff_t)after - 1;
	while (at >= 0 && !begins_with(text, needle_bytes(mask, (size_t)at)))
		at = mask->needles[at].shorter;
	if (at >= 0)
		finding.len = mask->needles[at].len;
	return finding;
}

/* Hands on what is sure and returns how many bytes that was; at the `end` all is. */
static size_t mask_bytes(struct mask *mask, struct slice text, bool end,
			 int (*sink)(void *context, struct slice bytes, struct err *err), void *context,
			 int *failed, struct err *err)
{
	size_t at = 0, handed_on = 0;

	sort(mask);
	*failed = 0;
	while (at < text.len && !*failed) {
		struct finding finding = look_at(mask, slice_skip(text, at));
		/* A longer needle may start here and still be incomplete. */
		if (finding.goes_on && !end)
			break;
		if (finding.len == 0) {
			at++;
			continue;
		}
		if (at > handed_on)
			*failed = sink(context, slice_make(text.ptr + handed_on, at - handed_on), err);
		if (!*failed)
			*failed = sink(context, SLICE(MASK_TEXT), err);
		at += finding.len;
		handed_on = at;
	}
	if (at > handed_on && !*failed)
		*failed = sink(context, slice_make(text.ptr + handed_on, at - handed_on), err);
	return at;
}

static int append(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	buf_put_slice(context, bytes);
	return 0;
}

void mask_text(struct mask *mask, struct slice text, struct buf *out)
{
	struct err ignored = ERR_INIT;
	int failed;

	if (!mask || mask->count == 0)
		buf_put_slice(out, text);
	else
		mask_bytes(mask, text, true, append, out, &failed, &ignored);
}

void mask_err(struct mask *mask, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(sizeof(err->text) * 2), hint = BUF_SECRET(sizeof(err->hint) * 2);

	if (!mask || mask->count == 0)
		return;
	mask_text(mask, slice_of(err->text), &text);
	mask_text(mask, slice_of(err->hint), &hint);
	err_set(err, err->code, "%s", buf_str(&text));
	if (hint.len)
		err_hint(err, "%s", buf_str(&hint));
}

int mask_stream_put(struct mask_stream *stream, struct slice bytes, struct err *err)
{
	int failed;

	if (!stream->mask || stream->mask->count == 0)
		return bytes.len ? stream->sink(stream->context, bytes, err) : 0;
	if (!stream->pending.max)
		stream->pending = BUF_SECRET(SIZE_MAX / 4); /* the longest needle and one piece */
	if (stream->pending.len) {
		buf_put_slice(&stream->pending, bytes);
		bytes = buf_slice(&stream->pending);
	}
	size_t done = mask_bytes(stream->mask, bytes, false, stream->sink, stream->context, &failed, err);
	if (stream->pending.len)
		buf_consume(&stream->pending, done);
	else
		buf_put_slice(&stream->pending, slice_skip(bytes, done));
	return failed;
}

int mask_stream_flush(struct mask_stream *stream, struct err *err)
{
	int failed = 0;

	if (stream->pending.len)
		mask_bytes(stream->mask, buf_slice(&stream->pending), true, stream->sink, stream->context, &failed, err);
	if (stream->pending.ptr)
		explicit_bzero(stream->pending.ptr, stream->pending.cap);
	buf_clear(&stream->pending);
	return failed;
}

void mask_stream_free(struct mask_stream *stream) { buf_wipe_free(&stream->pending); }
