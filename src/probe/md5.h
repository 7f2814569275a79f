/* MD5 (RFC 1321), for one thing only: dpkg's lists of its files' sums. It protects nothing. */
#pragma once

#include "base/slice.h"

enum { MD5_LEN = 16, MD5_HEX_LEN = 32 };

struct md5 {
	uint32_t state[4];
	uint64_t length;
	uint8_t block[64];
};
void md5_init(struct md5 *md5);
void md5_update(struct md5 *md5, const void *bytes, size_t len);
void md5_finish(struct md5 *md5, char hex[MD5_HEX_LEN + 1]);
