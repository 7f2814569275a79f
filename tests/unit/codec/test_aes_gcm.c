/* Claims about AES-256-GCM, against published vectors. */
#include "codec/aes_gcm.h"

#include "base/buf.h"
#include "base/random.h"

#include "../cmocka_base.h"

struct vector {
	const char *key, *iv, *associated, *plain, *cipher, *tag;
};

/* Test cases 13, 14, 16 and 18 of "The Galois/Counter Mode of Operation" (McGrew and
 * Viega), whose IVs have 12 and 60 bytes; the last two, with 32 bytes as SOPS has
 * them, were made with Python's cryptography. */
static const struct vector vectors[] = {
	{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
	 "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
	 "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
	 "d0d1c8a799996bf0265b98b5d48ab919"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
	 "b16aedf5aa0de657ba637b39",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
	 "c5f61e6393ba7a0abcc9f662",
	 "76fc6ece0f4e1768cddf8853bb2d551b"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	 "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b5254"
	 "16aedbf5a0de6a57a637b39b",
	 "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	 "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
	 "b16aedf5aa0de657ba637b39",
	 "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf40fc0c3b780f244452da3ebf1c5d82cde"
	 "a2418997200ef82e44ae7e3f",
	 "a44a8266ee1c8eb0c8b5d4cf5ae9f19a"},
	{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	 "6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283", "64623a70617373776f72643a",
	 "733363726574", "b972b0b52d6a", "c16d2584add239b4a04b28aa6bf42870"},
	{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	 "6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f80818283", "64623a70617373776f72643a", "",
	 "", "6af26f3a4a88af168c752ff1d8f02ff0"},
};

enum { PART_MAX = 128 };

struct part {
	char bytes[PART_MAX];
	size_t len;
};

static struct part part_of(const char *hex)
{
	struct part part = {.len = strlen(hex) / 2};
	assert_true(part.len <= PART_MAX);
	assert_true(hex_decode(slice_of(hex), part.bytes, part.len));
	return part;
}

static int open_vector(const struct vector *vector, const struct part *associated, const struct part *cipher,
		       const struct part *tag, char *out, struct err *err)
{
	struct part key = part_of(vector->key), iv = part_of(vector->iv);
	return aes_gcm_open((const uint8_t *)key.bytes, slice_make(iv.bytes, iv.len),
			    slice_make(associated->bytes, associated->len),
			    slice_make(cipher->bytes, cipher->len), (const uint8_t *)tag->bytes, out, err);
}

static void gcm_opens_the_published_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct part associated = part_of(vectors[i].associated), cipher = part_of(vectors[i].cipher);
		struct part tag = part_of(vectors[i].tag), plain = part_of(vectors[i].plain);
		struct err err = ERR_INIT;
		char out[PART_MAX];
		assert_int_equal(open_vector(&vectors[i], &associated, &cipher, &tag, out, &err), 0);
		assert_int_equal(cipher.len, plain.len);
		assert_memory_equal(out, plain.bytes, plain.len);
	}
}

/* One bit anywhere, and nothing comes out. */
static void what_was_changed_is_refused_and_wiped(void **state)
{
	static const char zeros[PART_MAX];
	const struct vector *vector = &vectors[4];
	(void)state;
	for (int changed = 0; changed < 3; changed++) {
		struct part parts[] = {part_of(vector->associated), part_of(vector->cipher),
				       part_of(vector->tag)};
		struct err err = ERR_INIT;
		char out[PART_MAX];
		memset(out, 'x', sizeof(out));
		parts[changed].bytes[1] ^= 0x10;
		assert_int_equal(open_vector(vector, &parts[0], &parts[1], &parts[2], out, &err), -1);
		assert_int_equal(err.code, ERR_DENIED);
		assert_memory_equal(out, zeros, parts[1].len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gcm_opens_the_published_vectors),
		cmocka_unit_test(what_was_changed_is_refused_and_wiped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
