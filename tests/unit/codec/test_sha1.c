/* Claims about SHA-1, against published vectors. */
#include "codec/sha1.h"

#include "base/buf.h"
#include "base/random.h"

#include "../cmocka_base.h"

/* FIPS 180-4 examples. */
static void sha1_gives_the_published_values(void **state)
{
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sha1_stream stream;
		uint8_t bytes[SHA1_LEN];
		char hex[2 * SHA1_LEN + 1];
		struct slice text = slice_of(cases[i].text);
		sha1_init(&stream);
		/* In two pieces, one of which may be empty. */
		sha1_update(&stream, slice_make(text.ptr, text.len / 2));
		sha1_update(&stream, slice_skip(text, text.len / 2));
		sha1_finish(&stream, bytes);
		hex_encode(bytes, sizeof(bytes), hex);
		assert_string_equal(hex, cases[i].hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_gives_the_published_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
