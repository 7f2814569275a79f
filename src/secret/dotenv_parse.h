/* The grammar of .env files, for the provider `dotenv:` and for importing the files
 * of existing servers. Strict: where readers of such files disagree about what a line
 * means, it is refused with its place, so that a value is the same for all of them.
 *
 *	file    = [BOM] { blank | comment | entry }      lines end in LF, CRLF or CR
 *	entry   = ["export" blanks] NAME blanks "=" blanks [value] blanks [comment]
 *	comment = "#" to the end of the line; behind a value only after a blank
 *	value   = 'as it is, also over lines'
 *	        | `as it is, also over lines`
 *	        | "over lines, with \n \r \t \\ \" \$ and \`; any other \x stays as written"
 *	        | to the end of the line, as it is, without blanks at either end
 *	NAME    = [A-Za-z_][A-Za-z0-9_.-]*
 *
 * `$` stands for itself unless `interpolate`: then ${NAME} and ${NAME:-text}, outside
 * of single quotes and backticks, mean an entry further up in the same file.
 *
 * Refused, since readers disagree (docs/secrets.md lists who reads what): a name twice;
 * `#` inside a value without quotes; something behind the closing quote, which includes
 * \' inside single quotes; a quote that is never closed; a line without "=". */
#pragma once

#include "doc/diag.h"
#include "seal/secret.h"

enum { DOTENV_ENTRIES_MAX = 20000, DOTENV_NAME_MAX = 255 };

struct dotenv_entry {
	const char *name;
	struct secret value;
	uint32_t line, column; /* of the name; both from 1 */
};

struct dotenv_file {
	struct dotenv_entry *items; /* in file order, no name twice */
	size_t count;
};

struct dotenv_options {
	bool interpolate;
	bool names_only; /* no values are kept */
};

/* Everything lives in the arena, the values in the safe. Each mistake is an error in
 * `diags` (whose arena must outlive it) that says file, line and column but quotes
 * nothing of the text, as that may be part of a value. -1 when there are any; `out`
 * holds what was understood all the same. */
int dotenv_parse(struct arena *arena, struct safe *safe, const char *file_name, struct slice text,
		 const struct dotenv_options *options, struct dotenv_file *out, struct diags *diags) CHECKED;
