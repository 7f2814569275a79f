/* How the agent gets onto a server and is started: the shell script that runs
 * there, and the reading of what it says. Pure: text in, text out.
 *
 * The command given to ssh is the same for every server and means the same in
 * every login shell (sh, csh, fish): `exec /bin/sh -c 'IFS= read -r s && eval "$s"'`.
 * The script itself is the first line of standard input, so that no path, digest or
 * variable is ever quoted for a shell we do not know, nor seen in a process list.
 * `read` takes one line and not a byte more (POSIX), what follows is the agent's.
 *
 * The script speaks in lines that begin with a random mark; whatever start-up files
 * print before the first of them is ignored:
 *
 *	MARK need ARCH          send the agent's bytes, exactly as many as were announced
 *	MARK warn WHAT TEXT     something worth telling (tampered)
 *	MARK fail WHAT TEXT     it gives up
 *	MARK start              from the next byte on the agent speaks */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "codec/digest.h"

struct agent_image {
	const char *arch; /* as `uname -m` says */
	struct slice bytes;
	struct digest digest;
};

/* The agents this program holds. */
size_t images_embedded(const struct agent_image **images_out);

enum {
	BOOTSTRAP_MARK_LEN = 41 /* "lockstep-" and 32 hex digits */,
	BOOTSTRAP_NOISE_MAX = 64 << 10,
	BOOTSTRAP_LINE_MAX = 8 << 10
};

extern const char bootstrap_command[];

struct bootstrap {
	char mark[BOOTSTRAP_MARK_LEN + 1];
	const char *path; /* of the place */
	bool observe;
	const struct agent_image *images;
	size_t image_count;
	const struct agent_image *pushed; /* comes directly behind the script, unasked; NULL: none */
	size_t early_len;	/* bytes behind that, which are already the agent's */
	const char *fault;	/* LOCKSTEP_FAULT for the agent; NULL: none */
	const char *fault_list; /* LOCKSTEP_FAULT_LIST for the agent; NULL: none */
};

void bootstrap_mark_make(char mark[BOOTSTRAP_MARK_LEN + 1]); /* random */
/* One line, newline included. */
void bootstrap_script_put(struct buf *out, const struct bootstrap *bootstrap);
/* `text` as one word of a POSIX shell, whatever bytes it has; newlines as "$n". */
void bootstrap_quote(struct buf *out, const char *text);

enum bootstrap_word { BOOTSTRAP_MORE = 1, BOOTSTRAP_NEED, BOOTSTRAP_WARN, BOOTSTRAP_FAIL, BOOTSTRAP_START };

/* Reads the next thing the script says from the front of `seen` and consumes it
 * (and all noise before it). BOOTSTRAP_MORE: nothing complete yet. `what` and
 * `text` are copied into the arena. Too much noise is an error that quotes its
 * beginning. */
int bootstrap_read(struct buf *seen, const char *mark, struct arena *arena, enum bootstrap_word *word,
		   const char **what, const char **text, struct err *err) CHECKED;

/* What a `fail` means, in words for people. */
int bootstrap_explain(const char *what, const char *text, const struct bootstrap *bootstrap,
		      const char *errors, struct err *err);
