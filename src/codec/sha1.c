/* SHA-1. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "codec/sha1.h"

#include <openssl/sha.h>

_Static_assert(sizeof(SHA_CTX) <= sizeof(((struct sha1_stream *)NULL)->state), "state is too small");

static SHA_CTX *context_of(struct sha1_stream *stream)
{
	return (SHA_CTX *)(void *)stream->state;
}

void sha1_init(struct sha1_stream *stream)
{
	SHA1_Init(context_of(stream));
}

void sha1_update(struct sha1_stream *stream, struct slice bytes)
{
	if (bytes.len)
		SHA1_Update(context_of(stream), bytes.ptr, bytes.len);
}

void sha1_finish(struct sha1_stream *stream, uint8_t out[SHA1_LEN])
{
	SHA1_Final(out, context_of(stream));
}
