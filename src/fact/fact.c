/* Keys, and values of each kind: checking, showing, numbers, versions, sets. */
#include "fact/fact.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	enum fact_kind kind;
	const char *name;
} kinds[] = {
	{FACT_TEXT, "text"},
	{FACT_NUMBER, "number"},
	{FACT_VERSION, "version"},
	{FACT_SET, "set"},
	{FACT_DIGEST, "digest"},
	{FACT_HMAC, "hmac"},
	{FACT_NOT_CHECKED, "not_checked"},
};

const char *fact_kind_name(enum fact_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return NULL;
}

enum fact_kind fact_kind_parse(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_is(name, kinds[i].name))
			return kinds[i].kind;
	return (enum fact_kind)0;
}

/* --- keys ------------------------------------------------------------------------- */

struct slice fact_dimension(struct slice key)
{
	ptrdiff_t slash = slice_find(key, '/');

	return slash < 0 ? key : slice_make(key.ptr, (size_t)slash);
}

static ptrdiff_t last_slash(struct slice key)
{
	const char *slash = key.len ? memrchr(key.ptr, '/', key.len) : NULL;

	return slash ? slash - key.ptr : -1;
}

struct slice fact_attribute(struct slice key)
{
	ptrdiff_t first = slice_find(key, '/'), last = last_slash(key);

	return last <= first ? slice_make(key.ptr + key.len, 0) : slice_skip(key, (size_t)last + 1);
}

struct slice fact_subject(struct slice key)
{
	ptrdiff_t first = slice_find(key, '/'), last = last_slash(key);

	if (first < 0)
		return slice_make(key.ptr + key.len, 0);
	size_t end = last > first ? (size_t)last : key.len;
	return slice_make(key.ptr + first + 1, end - (size_t)first - 1);
}

struct slice fact_key(struct arena *arena, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct slice key = slice_of(arena_vprintf(arena, format, args));
	va_end(args);
	return key;
}

/* --- values ------------------------------------------------------------------------- */

static bool is_set(struct slice value)
{
	struct slice rest = value, element, before = {0};

	if (value.len && value.ptr[value.len - 1] != 0)
		return false;
	while (fact_set_next(&rest, &element)) {
		if (before.ptr && slice_compare(before, element) >= 0)
			return false;
		before = element;
	}
	return true;
}

int fact_check(const struct fact *fact, struct err *err)
{
	struct slice dimension = fact_dimension(fact->key), unit;
	double number;

	if (fact->key.len == 0 || fact->key.len > FACT_KEY_MAX)
		return err_set(err, ERR_USER, "a key has %zu bytes, 1 to %d are allowed", fact->key.len,
			       FACT_KEY_MAX);
	if (dimension.len == fact->key.len || dimension.len == 0)
		return err_set(err, ERR_USER, "a key has no dimension before a '/'");
	for (size_t i = 0; i < dimension.len; i++)
		if (!islower((unsigned char)dimension.ptr[i]) && !isdigit((unsigned char)dimension.ptr[i]))
			return err_set(err, ERR_USER, "a dimension is written in small letters and digits");
	if (memchr(fact->key.ptr, 0, fact->key.len))
		return err_set(err, ERR_USER, "a key holds a NUL");
	if (fact->key.ptr[fact->key.len - 1] == '/' && fact->kind != FACT_NOT_CHECKED)
		return err_set(err, ERR_USER, "a key ends in '/', which only what was not checked may");
	if (fact->value.len > FACT_VALUE_MAX)
		return err_set(err, ERR_USER, "a value has %zu bytes, %d are allowed", fact->value.len,
			       FACT_VALUE_MAX);
	switch (fact->kind) {
	case FACT_TEXT:
	case FACT_VERSION:
	case FACT_NOT_CHECKED:
		return 0;
	case FACT_NUMBER:
		return fact_number(fact->value, &number, &unit) ? 0
								: err_set(err, ERR_USER, "a number is none");
	case FACT_SET:
		return is_set(fact->value) ? 0 : err_set(err, ERR_USER, "a set is not in order");
	case FACT_DIGEST:
	case FACT_HMAC:
		return fact->value.len == DIGEST_LEN
			       ? 0
			       : err_set(err, ERR_USER, "a digest has %zu bytes instead of %d",
					 fact->value.len, DIGEST_LEN);
	}
	return err_set(err, ERR_USER, "there is no kind of fact %d", (int)fact->kind);
}

void fact_put_value(struct buf *out, const struct fact *fact)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct digest digest;
	struct slice rest = fact->value, element;
	bool first = true;

	switch (fact->kind) {
	case FACT_DIGEST:
		if (fact->value.len == DIGEST_LEN) {
			memcpy(digest.bytes, fact->value.ptr, DIGEST_LEN);
			digest_to_hex(&digest, hex);
			buf_printf(out, "%.12s", hex);
		}
		return;
	case FACT_HMAC:
		buf_puts(out, "present");
		return;
	case FACT_SET:
		while (fact_set_next(&rest, &element)) {
			buf_puts(out, first ? "" : ", ");
			buf_put_visible(out, element);
			first = false;
		}
		if (first)
			buf_puts(out, "none");
		return;
	case FACT_TEXT:
	case FACT_NUMBER:
	case FACT_VERSION:
	case FACT_NOT_CHECKED:
		break;
	}
	buf_put_visible(out, fact->value);
}

static const struct {
	const char *unit, *base;
	double factor;
} units[] = {
	{"B", "B", 1},		 {"kB", "B", 1024},	     {"MB", "B", 1048576},
	{"GB", "B", 1073741824}, {"TB", "B", 1099511627776}, {"ms", "ms", 1},
	{"s", "ms", 1000},	 {"min", "ms", 60000},	     {"h", "ms", 3600000},
	{"d", "ms", 86400000},
};

/* Digits with one point at most; strtod would take "inf" and the locale's comma. */
static bool parse_decimal(struct slice text, double *out)
{
	double number = 0, scale = 1;
	bool negative = text.len && text.ptr[0] == '-', point = false, digits = false;

	if (text.len > 40)
		return false;
	for (size_t i = negative; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '.' && !point && digits) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return false;
		digits = true;
		number = number * 10 + (c - '0');
		scale *= point ? 10 : 1;
	}
	*out = (negative ? -number : number) / scale;
	return digits && text.ptr[text.len - 1] != '.';
}

bool fact_number(struct slice value, double *number_out, struct slice *unit_out)
{
	ptrdiff_t space = slice_find(value, ' ');
	struct slice number = space < 0 ? value : slice_make(value.ptr, (size_t)space);
	struct slice unit =
		space < 0 ? slice_make(value.ptr + value.len, 0) : slice_skip(value, (size_t)space + 1);

	if (!parse_decimal(number, number_out) || (space >= 0 && unit.len == 0))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (slice_is(unit, units[i].unit)) {
			*number_out *= units[i].factor;
			unit = slice_of(units[i].base);
			break;
		}
	*unit_out = unit;
	return true;
}

/* --- versions ------------------------------------------------------------------------- */

static uint64_t take_epoch(struct slice *version)
{
	size_t digits = 0;
	uint64_t epoch = 0;

	while (digits < version->len && isdigit((unsigned char)version->ptr[digits]))
		digits++;
	if (digits == 0 || digits == version->len || version->ptr[digits] != ':' ||
	    !slice_to_u64(slice_make(version->ptr, digits), &epoch))
		return 0;
	*version = slice_skip(*version, digits + 1);
	return epoch;
}

/* A run of digits without its leading zeros. */
static struct slice take_digits(struct slice *rest)
{
	size_t zeros = 0, len;

	while (zeros < rest->len && rest->ptr[zeros] == '0')
		zeros++;
	for (len = zeros; len < rest->len && isdigit((unsigned char)rest->ptr[len]);)
		len++;
	struct slice digits = slice_make(rest->ptr + zeros, len - zeros);
	*rest = slice_skip(*rest, len);
	return digits;
}

/* '~' sorts before the end, which sorts before letters, which sort before the rest. */
static int rank(struct slice s)
{
	if (s.len == 0 || isdigit((unsigned char)s.ptr[0]))
		return 0;
	return s.ptr[0] == '~'			  ? -1
	       : isalpha((unsigned char)s.ptr[0]) ? (unsigned char)s.ptr[0]
						  : 256 + (unsigned char)s.ptr[0];
}

int fact_version_compare(struct slice a, struct slice b)
{
	uint64_t epoch_a = take_epoch(&a), epoch_b = take_epoch(&b);

	if (epoch_a != epoch_b)
		return epoch_a < epoch_b ? -1 : 1;
	while (a.len || b.len) {
		while ((a.len && !isdigit((unsigned char)a.ptr[0])) ||
		       (b.len && !isdigit((unsigned char)b.ptr[0]))) {
			int difference = rank(a) - rank(b);
			if (difference)
				return difference;
			if (a.len)
				a = slice_skip(a, 1);
			if (b.len)
				b = slice_skip(b, 1);
		}
		struct slice x = take_digits(&a), y = take_digits(&b);
		int difference = x.len != y.len ? (x.len < y.len ? -1 : 1) : slice_compare(x, y);
		if (difference)
			return difference;
	}
	return 0;
}

/* The next number, wherever it stands; false when there is none left. */
static bool next_number(struct slice *rest, struct slice *out)
{
	while (rest->len && !isdigit((unsigned char)rest->ptr[0]))
		*rest = slice_skip(*rest, 1);
	if (rest->len == 0)
		return false;
	*out = take_digits(rest);
	return true;
}

bool fact_version_same(struct slice a, struct slice b, int parts)
{
	struct slice x = {0}, y = {0};

	if (take_epoch(&a) != take_epoch(&b))
		return false;
	for (int i = 0; i < parts; i++) {
		bool has_a = next_number(&a, &x), has_b = next_number(&b, &y);
		if (has_a != has_b)
			return false;
		if (!has_a)
			return i > 0;
		if (!slice_equal(x, y))
			return false;
	}
	return true;
}

/* --- sets ------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

struct slice fact_set_value(struct arena *arena, const struct slice *elements, size_t count)
{
	struct slice *sorted = ARENA_NEW_ARRAY(arena, count, struct slice);
	size_t total = 0, kept = 0;

	if (count)
		memcpy(sorted, elements, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), by_bytes);
	for (size_t i = 0; i < count; i++) {
		if (kept && slice_equal(sorted[kept - 1], sorted[i]))
			continue;
		sorted[kept++] = sorted[i];
		total += sorted[i].len + 1;
	}
	char *value = arena_alloc(arena, total), *at = value;
	for (size_t i = 0; i < kept; i++) {
		/* A NUL inside of an element would make two of it: what follows is left out. */
		size_t len = sorted[i].len ? strnlen(sorted[i].ptr, sorted[i].len) : 0;
		if (len)
			memcpy(at, sorted[i].ptr, len);
		at += len;
		*at++ = 0;
	}
	return slice_make(value, (size_t)(at - value));
}

bool fact_set_next(struct slice *rest, struct slice *element_out)
{
	if (rest->len == 0)
		return false;
	ptrdiff_t end = slice_find(*rest, 0);
	size_t len = end < 0 ? rest->len : (size_t)end;
	*element_out = slice_make(rest->ptr, len);
	*rest = slice_skip(*rest, end < 0 ? len : len + 1);
	return true;
}
