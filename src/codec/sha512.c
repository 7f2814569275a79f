/* SHA-512. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "codec/sha512.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

_Static_assert(sizeof(SHA512_CTX) <= sizeof(((struct sha512_stream *)NULL)->state), "state is too small");

static SHA512_CTX *context_of(struct sha512_stream *stream)
{
	return (SHA512_CTX *)(void *)stream->state;
}

void sha512_init(struct sha512_stream *stream)
{
	SHA512_Init(context_of(stream));
}

void sha512_update(struct sha512_stream *stream, struct slice bytes)
{
	if (bytes.len)
		SHA512_Update(context_of(stream), bytes.ptr, bytes.len);
}

void sha512_finish(struct sha512_stream *stream, uint8_t out[SHA512_LEN])
{
	SHA512_Final(out, context_of(stream));
	OPENSSL_cleanse(stream, sizeof(*stream));
}
