/* The kernel's random bytes; nothing here stretches or keeps them. */
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __APPLE__
#include <sys/random.h>
#endif

void random_bytes(void *out, size_t len)
{
	/* getentropy(3) gives at most 256 bytes a call. */
	for (size_t done = 0; done < len; done += 256) {
		if (getentropy((char *)out + done, MIN(len - done, (size_t)256)) != 0) {
			perror("lockstep: no random bytes from the system");
			abort();
		}
	}
}

void hex_encode(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = bytes;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}

/* What a character is worth, plus one; 0: no digit. Digests are read by the ten thousand, and
 * to compare each character with the digits is to guess wrong at every other one. */
static const unsigned char digit_values[256] = {
	['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool hex_decode(struct slice text, void *out, size_t len)
{
	unsigned char *bytes = out;

	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned high = digit_values[(unsigned char)text.ptr[2 * i]];
		unsigned low = digit_values[(unsigned char)text.ptr[2 * i + 1]];
		if (!high || !low)
			return false;
		bytes[i] = (unsigned char)((high - 1) << 4 | (low - 1));
	}
	return true;
}
