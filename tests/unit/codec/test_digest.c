/* Claims about digests, against published vectors. */
#include "codec/digest.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"

#include "../cmocka_base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void assert_digest_is(const struct digest *digest, const char *hex)
{
	char text[DIGEST_HEX_LEN + 1];
	digest_to_hex(digest, text);
	assert_string_equal(text, hex);
}

/* FIPS 180-4 examples. */
static void sha256_gives_the_published_values(void **state)
{
	static const struct {
		const char *text, *hex;
	} cases[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct digest digest;
		digest_of(slice_of(cases[i].text), &digest);
		assert_digest_is(&digest, cases[i].hex);
	}
	struct digest_stream stream;
	struct digest million;
	digest_init(&stream);
	for (int i = 0; i < 1000000; i++)
		digest_update(&stream, "a", 1);
	digest_finish(&stream, &million);
	assert_digest_is(&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* RFC 4231, cases 1, 2, 3, 6 and 7. */
static void hmac_gives_the_published_values(void **state)
{
	char key[131], data[50];
	struct digest digest;
	(void)state;
	memset(key, 0x0b, 20);
	digest_hmac(slice_make(key, 20), SLICE("Hi There"), &digest);
	assert_digest_is(&digest, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	digest_hmac(SLICE("Jefe"), SLICE("what do ya want for nothing?"), &digest);
	assert_digest_is(&digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	digest_hmac(slice_make(key, 20), slice_make(data, sizeof(data)), &digest);
	assert_digest_is(&digest, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	digest_hmac(slice_make(key, sizeof(key)),
		    SLICE("Test Using Larger Than Block-Size Key - Hash Key First"), &digest);
	assert_digest_is(&digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	digest_hmac(
		slice_make(key, sizeof(key)),
		SLICE("This is a test using a larger than block-size key and a larger than block-size data. "
		      "The key needs to be hashed before being used by the HMAC algorithm."),
		&digest);
	assert_digest_is(&digest, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void a_file_is_read_from_where_it_stands(void **state)
{
	char path[] = "/tmp/test_digest.XXXXXX";
	AUTO(close_fd) int fd = mkstemp(path);
	struct err err = ERR_INIT;
	struct digest digest;
	uint64_t size;
	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(fd_write_all(fd, "xxabc", 5, &err), 0);
	assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
	assert_int_equal(digest_of_fd(fd, &digest, &size, &err), 0);
	assert_int_equal(size, 3);
	assert_digest_is(&digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	int closed = -1;
	assert_int_equal(digest_of_fd(closed, &digest, NULL, &err), -1);
}

static void names_of_digests_are_strict(void **state)
{
	struct digest a, b;
	char text[DIGEST_HEX_LEN + 1];
	(void)state;
	digest_of(SLICE("abc"), &a);
	digest_to_hex(&a, text);
	assert_true(digest_from_hex(slice_of(text), &b));
	assert_true(digest_equal(&a, &b));
	for (int i = 0; i < DIGEST_LEN; i++) {
		b = a;
		b.bytes[i] ^= 0x80;
		assert_false(digest_equal(&a, &b));
	}
	assert_false(digest_from_hex(slice_make(text, 63), &b));
	text[0] = 'B';
	assert_false(digest_from_hex(slice_of(text), &b));
}

/* Without the processor's instructions this is some 250 MB/s. No claim is made of
 * it, because a loaded machine may be slower; the number is for the log. */
static void speed_is_shown(void **state)
{
	static char bytes[64 << 20];
	struct digest digest;
	(void)state;
	memset(bytes, 1, sizeof(bytes));
	int64_t start = clock_mono_us();
	digest_of(slice_make(bytes, sizeof(bytes)), &digest);
	int64_t took_us = clock_mono_us() - start;
	assert_true(took_us > 0);
	print_message("# SHA-256: %lld MB/s\n", (long long)(sizeof(bytes) / (uint64_t)took_us));
	assert_digest_is(&digest, "9aeda0ca13e528c577f7436bdf406521ffbce63dde0d7ae17dc0aa0ea709fe89");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_values),
		cmocka_unit_test(hmac_gives_the_published_values),
		cmocka_unit_test(a_file_is_read_from_where_it_stands),
		cmocka_unit_test(names_of_digests_are_strict),
		cmocka_unit_test(speed_is_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
