/* What the files of this module share; nobody else includes it. */
#pragma once

#include "base/child.h"
#include "base/slice.h"
#include "source/source.h"
#include "source/url.h"

enum {
	BATCH_PIECE = 16 << 10,
	COMMIT_BYTES_MAX = 1 << 20,
	TREE_BYTES_MAX = 64 << 20,
	LISTING_BYTES_MAX = 256 << 20, /* output of ls-tree, check-attr, diff-tree */
	REFS_BYTES_MAX = 64 << 20,
	SUBMODULE_DEPTH_MAX = 16,
};

struct source {
	struct arena arena; /* all strings below */
	const char *home;
	struct url url;
	const char *id;	    /* 16 hex digits */
	const char *mirror; /* mirrors/<id>.git */
	/* git cat-file --batch, started when first needed */
	struct child batch;
	char batch_bytes[BATCH_PIECE];
	size_t batch_pos, batch_len;
};

/* git.c */
struct git_call {
	const char *const *args;   /* NULL-terminated, after "git" */
	const char *git_dir;	   /* NULL: none */
	const char *work_tree;	   /* NULL: none */
	const char *index;	   /* NULL: none */
	const char *const *config; /* further "key", "value" pairs, NULL-terminated; NULL: none */
	int stdin_fd;		   /* git_watched only; 0: /dev/null */
	bool may_ask;		   /* may ask for a password on the terminal */
	int64_t limit_ms;	   /* git_run only: it is stopped then, which is an error; 0: none */
};
/* Runs to the end; output into `out` (NULL: dropped). A non-zero exit is an error
 * made of git's last lines, unless status_out takes it. */
int git_run(struct source *source, const struct git_call *call, struct slice input, struct buf *out,
	    int *status_out, struct err *err) CHECKED;
/* Same for what may take long: output dropped, progress told, stoppable. */
int git_watched(struct source *source, const struct git_call *call, const struct source_watch *watch,
		struct err *err) CHECKED;
const char *const *git_environment(struct source *source, const struct git_call *call, struct arena *arena);
const char *const *git_argv(const struct git_call *call, struct arena *arena);
/* Turns what git printed into an error. Lines of progress are left out. */
int git_error(struct source *source, const char *what, int status, struct slice printed, struct err *err);
int git_not_started(struct err *err); /* adds what to do when there is no git */
bool git_on_terminal(void);
bool git_stop_asked(const struct source_watch *watch);
#define GIT_ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* mirror.c */
int mirror_need(struct source *source, struct err *err) CHECKED;

/* object.c */
bool hash_is_full(struct slice text); /* 40 or 64 lower-case hex digits */
int hash_check(const char *hash, struct err *err) CHECKED;
/* Reads an object named in any way without newline ("<hash>", "<hash>^{commit}"): its real
 * hash, and its content when it is of `type`. ERR_NOT_FOUND when missing. */
int object_read(struct source *source, const char *name, const char *type, struct buf *out,
		char hash_out[COMMIT_HASH_MAX + 1], struct err *err) CHECKED;
/* The content of a commit object; out->hash is for messages. Pure. */
int commit_parse(struct slice bytes, struct arena *arena, struct commit *out, struct err *err) CHECKED;
void object_batch_end(struct source *source);
