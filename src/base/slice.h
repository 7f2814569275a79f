/* A borrowed view of bytes: never owned, not NUL-terminated. All reading of
 * foreign input goes through slices. */
#pragma once

#include "base/compiler.h"

#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE(literal) ((struct slice){ "" literal, sizeof(literal) - 1 })
/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) (int)MIN((s).len, (size_t)INT32_MAX), (s).ptr

static inline struct slice slice_of(const char *text) { return (struct slice){ text, text ? strlen(text) : 0 }; }
static inline struct slice slice_make(const void *ptr, size_t len) { return (struct slice){ ptr, len }; }

bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice s, const char *text);
/* memcmp order, the shorter first when one is a prefix of the other. */
int slice_compare(struct slice a, struct slice b);
bool slice_starts_with(struct slice s, const char *prefix);
bool slice_ends_with(struct slice s, const char *suffix);
struct slice slice_trim(struct slice s); /* ASCII white space at both ends */
struct slice slice_skip(struct slice s, size_t count); /* count ≤ len */

/* Cuts the part before the first `separator` off *rest and returns it; *rest is
 * what follows. Without a separator the whole of *rest is returned and *rest
 * becomes { NULL, 0 }: the loop is `while (rest.ptr) part = slice_cut(&rest, '\n');` */
struct slice slice_cut(struct slice *rest, char separator);
/* Position of a byte, or -1. */
ptrdiff_t slice_find(struct slice s, char byte);

/* Whole-slice conversions: no sign unless said, no white space, no trailing
 * text; false when malformed or out of range. */
bool slice_to_u64(struct slice s, uint64_t *out);
bool slice_to_i64(struct slice s, int64_t *out); /* optional '-' */
/* "30s", "5m", "2h", "7d", "250ms"; a bare number is refused except "0". */
bool slice_to_duration_ms(struct slice s, int64_t *out);
/* "512", "64k", "10M", "2G" (powers of 1024). */
bool slice_to_size(struct slice s, uint64_t *out);
bool slice_is_utf8(struct slice s);
/* Length of the UTF-8 character at the front (RFC 3629: no overlong forms, no
 * surrogates); 0 when there is none or the slice is empty. */
size_t slice_utf8_len(struct slice s);
/* fnmatch(3) without flags in the C locale: '*' and '?' match '/' too; "[a-z]",
 * "[!x]", "[[:digit:]]" and "\\" as there. An unclosed '[' stands for itself. */
bool slice_glob_match(struct slice pattern, struct slice text);

/* Optimal-string-alignment distance, for "did you mean"; at most 64 bytes each
 * are looked at. */
size_t slice_edit_distance(struct slice a, struct slice b);
