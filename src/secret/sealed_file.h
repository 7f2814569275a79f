/* The sealed file: values of one environment in a text file that stands in the
 * repository. Names, versions and dates in clear, so that reviews and comparisons need
 * no key; values sealed to project, environment, name and version (seal/sealing.h).
 * One line a value, sorted by name, with an empty line between, so that git merges
 * changes of different values without a conflict.
 *
 *	# comment lines may stand anywhere; they stay with the line below them
 *	lockstep-sealed 1
 *	project shop
 *	environment production
 *	key 3f0c9a1b2c3d4e5f                                     its id, nothing of the key
 *
 *	DB_PASSWORD 3 2026-11-23T03:21:26Z yq8Xk…
 *
 *	STRIPE_SECRET 1 2026-11-02T15:00:07Z 0uTm9…
 *
 * What can be noticed: a value that was changed, swapped, renamed, given another
 * version, or copied from another environment or project. What cannot: a line that is
 * missing, and a whole line (or file) of an earlier commit. */
#pragma once

#include "doc/diag.h"
#include "seal/sealing.h"

enum { SEALED_VALUES_MAX = 20000, SEALED_NAME_MAX = 255, SEALED_FILE_MAX = 32 << 20 };

struct sealed_value {
	const char *name;
	uint64_t version; /* from 1 */
	int64_t changed_ms;
	struct slice sealed;
	struct slice above; /* comment lines, each with its newline; may be empty */
	uint32_t line;	    /* 0: not in the file yet */
};

struct sealed_file {
	const char *project, *environment;
	const char *key_id;
	struct slice above; /* comment lines of the heading */
	struct slice below; /* comment lines at the end */
	struct sealed_value *items;
	size_t count, cap;
};

/* Each mistake is an error in `diags`, with file, line and column, quoting no line.
 * Everything in `out` lives in the arena. -1 when there are any. */
int sealed_file_parse(struct arena *arena, const char *file_name, struct slice text, struct sealed_file *out,
		      struct diags *diags) CHECKED;
void sealed_file_init(struct arena *arena, const char *project, const char *environment, const char *key_id,
		      struct sealed_file *out);
/* Sorted by name. What was not changed comes out byte for byte as it was read. */
void sealed_file_print(struct sealed_file *file, struct buf *out);

const struct sealed_value *sealed_file_find(const struct sealed_file *file, struct slice name); /* or NULL */
/* Seals a new version; `key` is the one the file names. ERR_USER: a bad name, too many. */
int sealed_file_put(struct arena *arena, struct sealed_file *file, const struct seal_key *key, const char *name,
		    struct slice value, int64_t now_ms, struct err *err) CHECKED;
bool sealed_file_remove(struct sealed_file *file, struct slice name);
/* values[i] of items[i]. Those that do not open are named in one error (ERR_DENIED) with
 * their lines and, where it can be told, what was done to them. */
int sealed_file_open(const struct sealed_file *file, const char *file_name, const struct seal_key *key,
		     struct safe *safe, struct secret *values, struct err *err) CHECKED;
/* The same for one. */
int sealed_file_open_one(const struct sealed_file *file, const char *file_name, const struct sealed_value *item,
			 const struct seal_key *key, struct safe *safe, struct secret *out, struct err *err) CHECKED;
/* The same values under another key, with versions and dates as they are. */
int sealed_file_reseal(struct arena *arena, struct sealed_file *file, const char *file_name,
		       const struct seal_key *from, const struct seal_key *to, struct err *err) CHECKED;

/* [A-Za-z_][A-Za-z0-9_]*, at most SEALED_NAME_MAX. */
bool sealed_name_valid(struct slice name);
