/* SHA-256 and HMAC. No signatures, no key making: that is the seal module's.
 *
 * The low-level calls are deprecated in OpenSSL 3 in favour of EVP, which pulls
 * in the provider machinery: 4.3 MB in a static agent against 0.7 MB. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "codec/digest.h"

#include "base/random.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <unistd.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct digest_stream *)NULL)->state), "state is too small");

static SHA256_CTX *context_of(struct digest_stream *stream)
{
	return (SHA256_CTX *)(void *)stream->state;
}

void digest_init(struct digest_stream *stream)
{
	SHA256_Init(context_of(stream));
}

void digest_update(struct digest_stream *stream, const void *bytes, size_t len)
{
	if (len)
		SHA256_Update(context_of(stream), bytes, len);
}

void digest_finish(struct digest_stream *stream, struct digest *out)
{
	SHA256_Final(out->bytes, context_of(stream));
}

void digest_of(struct slice bytes, struct digest *out)
{
	struct digest_stream stream;

	digest_init(&stream);
	digest_update(&stream, bytes.ptr, bytes.len);
	digest_finish(&stream, out);
}

int digest_of_fd(int fd, struct digest *out, uint64_t *size_out, struct err *err)
{
	struct digest_stream stream;
	char piece[64 << 10];
	uint64_t size = 0;

	digest_init(&stream);
	for (;;) {
		ssize_t got = read(fd, piece, sizeof(piece));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "read");
		if (got == 0)
			break;
		digest_update(&stream, piece, (size_t)got);
		size += (uint64_t)got;
	}
	digest_finish(&stream, out);
	if (size_out)
		*size_out = size;
	return 0;
}

/* RFC 2104. */
void digest_hmac(struct slice key, struct slice bytes, struct digest *out)
{
	enum { BLOCK = 64 };
	uint8_t block[BLOCK] = {0};
	uint8_t pad[BLOCK];
	struct digest_stream stream;

	if (key.len > BLOCK) {
		struct digest hashed;
		digest_of(key, &hashed);
		memcpy(block, hashed.bytes, DIGEST_LEN);
	} else if (key.len) {
		memcpy(block, key.ptr, key.len);
	}
	for (int i = 0; i < BLOCK; i++)
		pad[i] = block[i] ^ 0x36;
	digest_init(&stream);
	digest_update(&stream, pad, BLOCK);
	digest_update(&stream, bytes.ptr, bytes.len);
	digest_finish(&stream, out);
	for (int i = 0; i < BLOCK; i++)
		pad[i] = block[i] ^ 0x5c;
	digest_init(&stream);
	digest_update(&stream, pad, BLOCK);
	digest_update(&stream, out->bytes, DIGEST_LEN);
	digest_finish(&stream, out);
	/* What is left on the stack would do in place of the key. */
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(&stream, sizeof(stream));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	uint8_t difference = 0;

	for (int i = 0; i < DIGEST_LEN; i++)
		difference |= a->bytes[i] ^ b->bytes[i];
	return difference == 0;
}

void digest_to_hex(const struct digest *digest, char out[DIGEST_HEX_LEN + 1])
{
	hex_encode(digest->bytes, DIGEST_LEN, out);
}

bool digest_from_hex(struct slice hex, struct digest *out)
{
	return hex_decode(hex, out->bytes, DIGEST_LEN);
}
