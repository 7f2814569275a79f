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

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(struct slice text, void *out, size_t len)
{
	unsigned char *bytes = out;

	if (text.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = digit_value(text.ptr[2 * i]);
		int low = digit_value(text.ptr[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}
