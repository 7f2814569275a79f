/* Shared libraries that are loaded when they are first used: what most commands never need
 * costs their start nothing. Not here: which library has what; each has one owner, which
 * includes its header, has a table of the functions it uses, and defines them by their own
 * names, so that callers read as if the library were linked:
 *
 *	#define LIBPQ_ROWS(CALL, CALL_VOID) \
 *		CALL(int, PQsocket, (const PGconn * a), (a)) \
 *		CALL_VOID(void, PQfinish, (PGconn * a), (a))
 *	LIBRARY(LIBPQ_ROWS, "libpq.so.5", "libpq5")
 *
 * and says library_load(&library, err) before it calls one. Functions that take what their
 * arguments say need more than a row: net/curl.c.
 * A row whose types are not those of the library's header does not compile. */
#pragma once

#include "base/err.h"

struct library {
	const char *soname;  /* "libpq.so.5" */
	const char *package; /* of Debian 12, which has it: "libpq5" */
	const char *names;   /* of the functions, each with a NUL behind it; the last with two */
	void **functions;    /* one a name, in the same order */
};

/* Fills `functions`, with all or none; once it has, it does nothing. May be called from any
 * thread, and must have been before one of the functions is. The library stays loaded. What
 * can be missing is told as ERR_INTERNAL, with what to install. */
int library_load(const struct library *library, struct err *err) CHECKED;

#define LIBRARY_POINTER(type, name, parameters, arguments) __typeof__(&name) name;
#define LIBRARY_NAME(type, name, parameters, arguments) #name "\0"

/* Other libraries are not to find these functions in the place of the real ones. */
#define LIBRARY_HIDDEN __attribute__((visibility("hidden")))
/* Brackets around a name: some are macros as well. */
#define LIBRARY_CALL(type, name, parameters, arguments)                                                      \
	LIBRARY_HIDDEN type(name) parameters                                                                 \
	{                                                                                                    \
		return (loaded.name)arguments;                                                               \
	}
#define LIBRARY_CALL_VOID(type, name, parameters, arguments)                                                 \
	LIBRARY_HIDDEN type(name) parameters                                                                 \
	{                                                                                                    \
		(loaded.name) arguments;                                                                     \
	}

/* `library`, and the functions of its rows. */
#define LIBRARY(rows, its_soname, its_package)                                                               \
	static struct {                                                                                      \
		rows(LIBRARY_POINTER, LIBRARY_POINTER)                                                       \
	} loaded;                                                                                            \
	static const char names[] = rows(LIBRARY_NAME, LIBRARY_NAME);                                        \
	static const struct library library = {.soname = its_soname,                                         \
					       .package = its_package,                                       \
					       .names = names,                                               \
					       .functions = (void **)&loaded};                               \
	rows(LIBRARY_CALL, LIBRARY_CALL_VOID)
