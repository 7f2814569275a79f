/* All conversions of a slice over any bytes; what one accepts, its inverse gives
 * back. The part before the first newline is also a pattern for the rest. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/slice.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void check_numbers(struct slice s)
{
	char text[32];
	uint64_t u;
	int64_t i;

	if (slice_to_u64(s, &u)) {
		snprintf(text, sizeof(text), "%" PRIu64, u);
		ASSERT(slice_ends_with(s, text)); /* leading zeros may stand before */
	}
	if (slice_to_i64(s, &i)) {
		snprintf(text, sizeof(text), "%" PRIu64, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
		ASSERT(slice_ends_with(s, text) && (i >= 0 || s.ptr[0] == '-'));
	}
	if (slice_to_duration_ms(s, &i))
		ASSERT(i >= 0);
	if (slice_to_size(s, &u))
		ASSERT(u <= (uint64_t)INT64_MAX);
	if (clock_parse_iso(s, &i)) {
		char iso[CLOCK_ISO_LEN + 1];
		clock_format_iso(i, iso);
		ASSERT(slice_is(s, iso));
	}
}

static void check_text(struct slice s)
{
	AUTO(buf_free) struct buf shown = BUF_INIT(MIB(1));
	uint8_t bytes[32];
	char hex[sizeof(bytes) * 2 + 1];

	buf_put_printable(&shown, s);
	ASSERT(!shown.overflow && slice_is_utf8(buf_slice(&shown)));
	for (size_t at = 0; at < shown.len; at++)
		ASSERT((unsigned char)shown.ptr[at] >= 0x20 && shown.ptr[at] != 0x7F);
	if (s.len / 2 <= sizeof(bytes) && hex_decode(s, bytes, s.len / 2)) {
		hex_encode(bytes, s.len / 2, hex);
		ASSERT(slice_is(s, hex));
	}
	struct slice trimmed = slice_trim(s);
	ASSERT(slice_equal(slice_trim(trimmed), trimmed));
	size_t parts = 0, len = 0;
	for (struct slice rest = s; rest.ptr; parts++)
		len += slice_cut(&rest, ' ').len;
	ASSERT(len + parts == s.len + (s.ptr != NULL));
}

static void check_pattern(struct slice s)
{
	struct slice text = s;
	struct slice pattern = slice_cut(&text, '\n');
	char c_pattern[64], c_text[64];

	ASSERT(slice_edit_distance(pattern, text) == slice_edit_distance(text, pattern));
	bool matches = slice_glob_match(pattern, text);
	/* The peer reads C strings in the C locale. It differs for classes and escapes
	 * that are not closed, and knows collating ones, which we do not have. */
	if (pattern.len >= sizeof(c_pattern) || text.len >= sizeof(c_text) || slice_find(s, '\0') >= 0 ||
	    slice_find(pattern, '[') >= 0 || slice_ends_with(pattern, "\\"))
		return;
	snprintf(c_pattern, sizeof(c_pattern), "%.*s", SLICE_ARG(pattern));
	snprintf(c_text, sizeof(c_text), "%.*s", (int)text.len, text.ptr ? text.ptr : "");
	ASSERT(matches == (fnmatch(c_pattern, c_text, 0) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_make(data, MIN(size, (size_t)4096));

	check_numbers(s);
	check_text(s);
	check_pattern(s);
	return 0;
}
