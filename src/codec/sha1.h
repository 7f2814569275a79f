/* SHA-1, for one thing only: the names git gives to contents. It protects nothing. */
#pragma once

#include "base/slice.h"

enum { SHA1_LEN = 20 };

struct sha1_stream { /* opaque state, on the caller's stack */
	_Alignas(16) uint8_t state[128];
};

void sha1_init(struct sha1_stream *stream);
void sha1_update(struct sha1_stream *stream, struct slice bytes);
void sha1_finish(struct sha1_stream *stream, uint8_t out[SHA1_LEN]);
