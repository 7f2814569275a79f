/* Claims about SHA-512, against published vectors. */
#include "codec/sha512.h"

#include "base/buf.h"
#include "base/random.h"

#include "../cmocka_base.h"

/* FIPS 180-4 examples. */
static void sha512_gives_the_published_values(void **state)
{
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{"", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
		     "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
		{"abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmn"
		 "opqrs"
		 "mnopqrstnopqrstu",
		 "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
		 "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sha512_stream stream;
		uint8_t bytes[SHA512_LEN];
		char hex[2 * SHA512_LEN + 1];
		struct slice text = slice_of(cases[i].text);
		sha512_init(&stream);
		/* In two pieces, one of which may be empty. */
		sha512_update(&stream, slice_make(text.ptr, text.len / 2));
		sha512_update(&stream, slice_skip(text, text.len / 2));
		sha512_finish(&stream, bytes);
		hex_encode(bytes, sizeof(bytes), hex);
		assert_string_equal(hex, cases[i].hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha512_gives_the_published_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
