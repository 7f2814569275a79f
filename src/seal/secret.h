/* A value that must not leak. Its bytes live in a safe: memory between guard pages,
 * locked where the system allows it, left out of core dumps, wiped when the safe is
 * closed. The type cannot be printed by accident: secret_reveal is the one way to
 * the bytes, so that `grep secret_reveal` lists every place that sees a value.
 *
 * One safe a command: all its secrets live until it is closed. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum { SECRET_MAX = 256 << 10, SAFE_MAX = 64 << 20 };

struct safe;

struct secret {
	const struct secret_bytes *bytes; /* NULL: no value (which is not the empty value) */
};

/* Aborts when memory is out, like an arena. */
struct safe *safe_open(void);
void safe_close(struct safe **safe); /* cleanup function; wipes. NULL is fine */

/* A copy in the safe. Longer than SECRET_MAX, or a safe that is full: ERR_USER. */
int safe_put(struct safe *safe, struct slice value, struct secret *out, struct err *err) CHECKED;
/* Bytes of the safe to be filled by the caller, who says with safe_trim how many it
 * used: for reading into place without a copy elsewhere. */
char *safe_reserve(struct safe *safe, size_t len, struct secret *out, struct err *err) CHECKED;
void safe_trim(struct secret *secret, size_t len);

/* The bytes; a NUL follows them that is not counted. Empty when there is no value. */
struct slice secret_reveal(struct secret secret);
bool secret_present(struct secret secret);
bool secret_equal(struct secret a, struct secret b); /* constant time for equal lengths */

/* For this process: no core dumps, not to be traced by others of the same user
 * (PR_SET_DUMPABLE, RLIMIT_CORE). Called once, by main. */
void secret_harden_process(void);

/* A buffer that held a value. */
struct buf;
void buf_wipe_free(struct buf *buf); /* cleanup function */
