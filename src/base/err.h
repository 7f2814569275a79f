/* The one way a function says that it failed: it returns non-zero (always -1)
 * and fills the caller's `struct err`, its last argument. Each layer on the way
 * up adds once, with err_wrap, what *it* was doing. */
#pragma once

#include "base/compiler.h"

#include <stdarg.h>

/* The values are the program's exit codes (docs/reference/exit-codes.md). */
enum err_code {
	ERR_NONE = 0,
	ERR_USER = 1,        /* the request or a file of the user's is wrong */
	ERR_INTERNAL = 2,    /* the system or this program failed: I/O, limits, bugs */
	ERR_DENIED = 3,      /* not allowed: credentials, host keys, permissions */
	ERR_NETWORK = 4,     /* a connection could not be made or was lost */
	ERR_NOT_FOUND = 5,
	ERR_CONFLICT = 6,    /* a lease is held, an expectation no longer true */
	ERR_GATE = 7,        /* a gate is closed */
	ERR_FAILED = 8,      /* failed; servers untouched or restored */
	ERR_DRIFT = 9,       /* differences found */
	ERR_MIXED = 10,      /* fleet mixed or unknown */
	ERR_INTERRUPTED = 130,
};

enum { ERR_TEXT_MAX = 2048, ERR_HINT_MAX = 1024 };

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX]; /* what, where, why: one or more lines, no final newline */
	char hint[ERR_HINT_MAX]; /* what to do now; empty when there is nothing useful to say */
};

#define ERR_INIT ((struct err){ .code = ERR_NONE })

/* Each returns -1, so that `return err_set(...)` reads well. `err` must not be
 * NULL. Text that does not fit is cut at a character boundary and ends in "...". */
int err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF(3, 4);
int err_vset(struct err *err, enum err_code code, const char *format, va_list args);

/* Like err_set, with ": " and the text of errno behind it. The code follows
 * errno: ENOENT → NOT_FOUND, EACCES/EPERM → DENIED, otherwise INTERNAL.
 * Must be called before anything that changes errno. */
int err_errno(struct err *err, const char *format, ...) PRINTF(2, 3);

/* Puts "<context>: " before the text. The code and the hint stay. */
int err_wrap(struct err *err, const char *format, ...) PRINTF(2, 3);

/* Says what to do now; replaces an earlier hint. */
int err_hint(struct err *err, const char *format, ...) PRINTF(2, 3);

void err_clear(struct err *err);
/* The name of a code as used in --json output: "user", "gate", ... */
const char *err_code_name(enum err_code code);
