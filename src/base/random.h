/* Random bytes from the kernel, and hexadecimal. */
#pragma once

#include "base/slice.h"

void random_bytes(void *out, size_t len); /* getrandom(2)/getentropy(3); aborts when there are none */

/* Lower-case hexadecimal. `out` holds 2 * len + 1 characters. */
void hex_encode(const void *bytes, size_t len, char *out);
bool hex_decode(struct slice text, void *out, size_t len); /* exactly 2 * len lower-case digits */
