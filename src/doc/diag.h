/* Diagnostics: what is wrong with a text a person wrote, and where. A list, so
 * that all mistakes are told in one go, with a cap, so that a foreign file
 * cannot make it endless.
 *
 *	lockstep.yml:14:5: unknown key `keeep`
 *	  14 |     keeep: 5
 *	     |     ^
 *	  did you mean `keep`?
 *	  named at shop/lockstep.yml:3:12	(for a file that another one names) */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/* Where something stands. Lines and columns count from 1, columns in
 * characters. line == 0: nowhere (a fallback, the absence of a key). */
struct origin {
	const struct doc_file *file;
	uint32_t line, column;
};

/* A text that was read, kept so that its lines can be shown. */
struct doc_file {
	const char *name; /* as shown to people */
	struct slice text;
	/* Where another file names this one as a part of itself; file == NULL: nowhere.
	 * Messages about this file tell the way they came. */
	struct origin named_at;
};

enum diag_severity { DIAG_ERROR = 1, DIAG_WARNING };

struct diag {
	enum diag_severity severity;
	struct origin origin;
	const char *text; /* no final newline */
	const char *hint; /* what to do; NULL when there is nothing useful to say */
};

enum { DIAGS_MAX = 100, DIAGS_HIDDEN_MAX = 100 };

struct diags {
	struct arena *arena; /* texts live here */
	struct diag items[DIAGS_MAX];
	size_t count;
	size_t errors;	   /* all of them, also those beyond the cap */
	size_t dropped;	   /* beyond the cap */
	struct diag *last; /* what diags_hint speaks of; NULL when it was not taken */
	struct origin hidden[DIAGS_HIDDEN_MAX]; /* lines that hold a secret */
	size_t hidden_count;			/* more than fit: no line is shown */
};

#define DIAGS_INIT(arena_pointer) ((struct diags){.arena = (arena_pointer)})

/* Adds an error. The same text at the same place is taken once. Returns -1, so
 * that `return diags_error(...)` reads well. */
int diags_error(struct diags *diags, struct origin origin, const char *format, ...) PRINTF(3, 4);
int diags_verror(struct diags *diags, struct origin origin, const char *format, va_list args);
void diags_warning(struct diags *diags, struct origin origin, const char *format, ...) PRINTF(3, 4);
/* Gives the diagnostic added last its hint. */
void diags_hint(struct diags *diags, const char *format, ...) PRINTF(2, 3);
/* The line at `origin` holds what must not be shown: no diagnostic about that line
 * prints it, also one that was added before, or is about something else there. */
void diags_hide_line(struct diags *diags, struct origin origin);

/* By file, line and column; those that stand nowhere come last. */
void diags_sort(struct diags *diags);
/* All of them, as drawn above. */
void diags_print(const struct diags *diags, struct buf *out);
/* When there are errors: sorts, fills err (ERR_USER, "<what> is refused: 3
 * mistakes", the first ones with their positions) and returns -1; else 0. */
int diags_check(struct diags *diags, const char *what, struct err *err) CHECKED;

/* "file:line:column", for use inside another message. */
const char *origin_text(struct arena *arena, struct origin origin);
