/* SHA-256 and HMAC-SHA-256 with the processor's instructions. libcrypto's
 * low-level calls, because the static agent must stay small (measured: 0.7 MB
 * against 4.3 MB with EVP). The only user of libcrypto in the program. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum { DIGEST_LEN = 32, DIGEST_HEX_LEN = 64 };

struct digest {
	uint8_t bytes[DIGEST_LEN];
};

struct digest_stream { /* opaque state, on the caller's stack */
	_Alignas(16) uint8_t state[128];
};

void digest_init(struct digest_stream *stream);
void digest_update(struct digest_stream *stream, const void *bytes, size_t len);
void digest_finish(struct digest_stream *stream, struct digest *out);
void digest_of(struct slice bytes, struct digest *out);
/* Reads fd from its position to the end; the number of bytes in *size_out. */
int digest_of_fd(int fd, struct digest *out, uint64_t *size_out, struct err *err) CHECKED;
void digest_hmac(struct slice key, struct slice bytes, struct digest *out);

bool digest_equal(const struct digest *a, const struct digest *b); /* constant time */
void digest_to_hex(const struct digest *digest, char out[DIGEST_HEX_LEN + 1]);
bool digest_from_hex(struct slice hex, struct digest *out); /* exactly 64 lower-case digits */
