/* SHA-512, for formats of others that are made of it (SOPS). What is ours uses
 * codec/digest.h. Not part of the agent. */
#pragma once

#include "base/slice.h"

enum { SHA512_LEN = 64 };

struct sha512_stream { /* opaque state, on the caller's stack */
	_Alignas(16) uint8_t state[256];
};

void sha512_init(struct sha512_stream *stream);
void sha512_update(struct sha512_stream *stream, struct slice bytes);
void sha512_finish(struct sha512_stream *stream, uint8_t out[SHA512_LEN]); /* wipes the state */
