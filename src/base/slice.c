/* Reading of bytes: comparing, cutting, strict conversions, patterns. No
 * building (that is buf.c), no memory of its own. */
#include "base/slice.h"

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_is(struct slice s, const char *text)
{
	return slice_equal(s, slice_of(text));
}

int slice_compare(struct slice a, struct slice b)
{
	size_t shared = MIN(a.len, b.len);
	int order = shared ? memcmp(a.ptr, b.ptr, shared) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool slice_starts_with(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);
	return s.len >= len && (len == 0 || memcmp(s.ptr, prefix, len) == 0);
}

bool slice_ends_with(struct slice s, const char *suffix)
{
	size_t len = strlen(suffix);
	return s.len >= len && (len == 0 || memcmp(s.ptr + s.len - len, suffix, len) == 0);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice slice_trim(struct slice s)
{
	while (s.len && is_space(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct slice slice_skip(struct slice s, size_t count)
{
	ASSERT(count <= s.len);
	/* Adding even 0 to NULL is undefined. */
	return count ? slice_make(s.ptr + count, s.len - count) : s;
}

ptrdiff_t slice_find(struct slice s, char byte)
{
	const char *at = s.len ? memchr(s.ptr, byte, s.len) : NULL;
	return at ? at - s.ptr : -1;
}

struct slice slice_cut(struct slice *rest, char separator)
{
	ptrdiff_t at = slice_find(*rest, separator);
	struct slice part = *rest;

	if (at < 0) {
		*rest = slice_make(NULL, 0);
		return part;
	}
	part.len = (size_t)at;
	*rest = slice_skip(*rest, part.len + 1);
	return part;
}

bool slice_to_u64(struct slice s, uint64_t *out)
{
	uint64_t value = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

bool slice_to_i64(struct slice s, int64_t *out)
{
	bool negative = s.len && s.ptr[0] == '-';
	uint64_t value;

	if (!slice_to_u64(negative ? slice_skip(s, 1) : s, &value) || value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = (int64_t)(negative ? 0 - value : value);
	return true;
}

struct unit {
	const char *suffix;
	uint64_t factor;
};

static bool to_scaled(struct slice s, const struct unit *units, size_t unit_count, uint64_t *out)
{
	size_t digits = 0;
	uint64_t value;

	while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
		digits++;
	if (!slice_to_u64(slice_make(s.ptr, digits), &value))
		return false;
	for (size_t i = 0; i < unit_count; i++)
		if (slice_is(slice_skip(s, digits), units[i].suffix))
			return !__builtin_mul_overflow(value, units[i].factor, out) &&
			       *out <= (uint64_t)INT64_MAX;
	return false;
}

bool slice_to_duration_ms(struct slice s, int64_t *out)
{
	static const struct unit units[] = {
		{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
	};
	uint64_t value;

	if (slice_is(s, "0")) {
		*out = 0;
		return true;
	}
	if (!to_scaled(s, units, ARRAY_LEN(units), &value))
		return false;
	*out = (int64_t)value;
	return true;
}

bool slice_to_size(struct slice s, uint64_t *out)
{
	static const struct unit units[] = {
		{"", 1},	{"k", 1 << 10}, {"K", 1 << 10}, {"m", 1 << 20},
		{"M", 1 << 20}, {"g", 1 << 30}, {"G", 1 << 30},
	};
	return to_scaled(s, units, ARRAY_LEN(units), out);
}

/* RFC 3629 section 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t slice_utf8_len(struct slice text)
{
	static const struct {
		unsigned char first_low, first_high, second_low, second_high;
		size_t len;
	} forms[] = {
		{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
		{0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
		{0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
	};

	const unsigned char *s = (const unsigned char *)text.ptr;
	if (text.len == 0 || s[0] < 0x80)
		return text.len != 0;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		if (s[0] < forms[i].first_low || s[0] > forms[i].first_high)
			continue;
		if (text.len < forms[i].len || s[1] < forms[i].second_low || s[1] > forms[i].second_high)
			return 0;
		for (size_t at = 2; at < forms[i].len; at++)
			if ((s[at] & 0xC0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

bool slice_is_utf8(struct slice s)
{
	while (s.len) {
		size_t len = slice_utf8_len(s);
		if (len == 0)
			return false;
		s = slice_skip(s, len);
	}
	return true;
}

static bool is_upper(unsigned char c)
{
	return c >= 'A' && c <= 'Z';
}
static bool is_lower(unsigned char c)
{
	return c >= 'a' && c <= 'z';
}
static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}
static bool is_alpha(unsigned char c)
{
	return is_upper(c) || is_lower(c);
}
static bool is_alnum(unsigned char c)
{
	return is_alpha(c) || is_digit(c);
}
static bool is_xdigit(unsigned char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}
static bool is_white(unsigned char c)
{
	return is_space((char)c);
}
static bool is_graph(unsigned char c)
{
	return c > 0x20 && c < 0x7F;
}
static bool is_print(unsigned char c)
{
	return c >= 0x20 && c < 0x7F;
}
static bool is_punct(unsigned char c)
{
	return is_graph(c) && !is_alnum(c);
}
static bool is_cntrl(unsigned char c)
{
	return c < 0x20 || c == 0x7F;
}

/* The C locale's, whatever the locale of whoever started us is. */
static const struct {
	const char *name; /* with the colons, as in a pattern */
	bool (*holds)(unsigned char c);
} classes[] = {
	{":alnum:", is_alnum}, {":alpha:", is_alpha}, {":blank:", is_blank}, {":cntrl:", is_cntrl},
	{":digit:", is_digit}, {":graph:", is_graph}, {":lower:", is_lower}, {":print:", is_print},
	{":punct:", is_punct}, {":space:", is_white}, {":upper:", is_upper}, {":xdigit:", is_xdigit},
};

/* "[:digit:]" behind its first bracket: true (and *pattern behind it) when it is one. */
static bool match_named_class(struct slice *pattern, unsigned char c, bool *found)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		size_t len = strlen(classes[i].name);
		if (pattern->len > len && slice_starts_with(*pattern, classes[i].name) &&
		    pattern->ptr[len] == ']') {
			*pattern = slice_skip(*pattern, len + 1);
			*found = *found || classes[i].holds(c);
			return true;
		}
	}
	return false;
}

/* One character of a bracket expression, with its backslash when it has one. */
static unsigned char take_class_char(struct slice *p)
{
	if (p->ptr[0] == '\\' && p->len > 1)
		*p = slice_skip(*p, 1);
	unsigned char c = (unsigned char)p->ptr[0];
	*p = slice_skip(*p, 1);
	return c;
}

/* "[...]" at *pattern (behind the bracket): 1 match, 0 none, -1 not closed. */
static int match_class(struct slice *pattern, unsigned char c)
{
	struct slice p = *pattern;
	bool negate = p.len && (p.ptr[0] == '!' || p.ptr[0] == '^');
	bool found = false;

	if (negate)
		p = slice_skip(p, 1);
	for (bool first = true; p.len; first = false) {
		if (p.ptr[0] == ']' && !first) {
			*pattern = slice_skip(p, 1);
			return found != negate;
		}
		struct slice inner = slice_skip(p, 1);
		if (p.ptr[0] == '[' && match_named_class(&inner, c, &found)) {
			p = inner;
			continue;
		}
		unsigned char low = take_class_char(&p);
		unsigned char high = low;
		if (p.len >= 2 && p.ptr[0] == '-' && p.ptr[1] != ']') {
			p = slice_skip(p, 1);
			high = take_class_char(&p);
		}
		found = found || (c >= low && c <= high);
	}
	return -1;
}

bool slice_glob_match(struct slice pattern, struct slice text)
{
	struct slice retry_pattern = {0};
	struct slice retry_text = {0};

	/* One point to come back to is enough: only the last '*' matters. */
	for (;;) {
		bool matched = false;
		if (pattern.len && pattern.ptr[0] == '*') {
			pattern = slice_skip(pattern, 1);
			retry_pattern = pattern;
			retry_text = text;
			if (pattern.len == 0)
				return true;
			continue;
		}
		if (text.len == 0 && pattern.len == 0)
			return true;
		if (text.len && pattern.len) {
			struct slice next = slice_skip(pattern, 1);
			char c = pattern.ptr[0];
			int in_class = c == '[' ? match_class(&next, (unsigned char)text.ptr[0]) : -1;
			if (in_class >= 0) {
				matched = in_class;
			} else if (c == '\\' && next.len) {
				matched = next.ptr[0] == text.ptr[0];
				next = slice_skip(next, 1);
			} else {
				matched = c == '?' || c == text.ptr[0];
			}
			if (matched) {
				pattern = next;
				text = slice_skip(text, 1);
			}
		}
		if (matched)
			continue;
		if (!retry_pattern.ptr || retry_text.len == 0)
			return false;
		retry_text = slice_skip(retry_text, 1);
		text = retry_text;
		pattern = retry_pattern;
	}
}

size_t slice_edit_distance(struct slice a, struct slice b)
{
	enum { LONGEST = 64 };
	size_t rows[3][LONGEST + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	a.len = MIN(a.len, (size_t)LONGEST);
	b.len = MIN(b.len, (size_t)LONGEST);
	for (size_t j = 0; j <= b.len; j++) {
		last[j] = j;
		before[j] = 0;
	}
	for (size_t i = 1; i <= a.len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = a.ptr[i - 1] != b.ptr[j - 1];
			now[j] = MIN(MIN(last[j] + 1, now[j - 1] + 1), last[j - 1] + change);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
		size_t *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[b.len];
}
