/* Where a project's commits come from: a bare mirror of its repository under
 * $LOCKSTEP_HOME/mirrors, kept up to date and read with the user's own `git`
 * program, so that credentials, ssh and proxies just work. It knows nothing of
 * lockstep.yml, builds or servers.
 *
 *	mirrors/<16 hex of SHA-256 of the canonical URL>.git
 *		refs/heads/…           as upstream, forced and pruned
 *		refs/tags/…            as first seen; never moved by a fetch
 *		refs/upstream/tags/…   as upstream has them now
 *		refs/upstream/HEAD     what upstream's HEAD shows
 *	mirrors/<16 hex>.lock          held while fetching
 *
 * A tag is moved when the two disagree: it is refused by name wherever it is
 * resolved, also by a later process that does not fetch. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
	COMMIT_HASH_MAX = 64, /* hex digits; 40 in SHA-1 repositories */
	SOURCE_URL_MAX = 4096,
	SOURCE_REF_MAX = 1024,
	SOURCE_FILE_MAX = 16 << 20, /* largest file source_read_file gives */
};

struct source;

enum ref_kind {
	REF_HEAD = 1, /* "HEAD": upstream's default branch (of a local repository: what is checked out) */
	REF_BRANCH,
	REF_TAG,
	REF_PATTERN, /* a tag pattern; commit.ref is the tag it chose */
	REF_COMMIT,
};

/* Lives in the arena it was read into. */
struct commit {
	char hash[COMMIT_HASH_MAX + 1];
	char tree[COMMIT_HASH_MAX + 1];
	const char *subject; /* first line; any bytes but NUL and newline */
	const char *author_name;
	const char *author_email;
	int64_t committed_ms;
	const char *ref; /* "main", "v1.2.0", "HEAD"; the full hash for REF_COMMIT and listed commits */
	enum ref_kind ref_kind;
};

/* How a long call tells what it does and asks whether to go on. Any member may be
 * NULL. `line` is git's own progress, printable, without newline. When `stop`
 * says true, the call ends its processes and fails with ERR_INTERRUPTED; it is
 * asked at least five times a second. */
struct source_watch {
	void (*progress)(void *context, const char *line);
	bool (*stop)(void *context);
	void *context;
};

/* `url` is anything git understands, or a path relative to project_dir ("." or NULL:
 * the repository that holds project_dir). Remote helpers (`ext::`), unknown
 * schemes and what could be taken for an option are refused (ERR_USER). Touches
 * neither network nor mirror; a local path must be a repository. */
int source_open(const char *home_dir, const char *url, const char *project_dir, struct source **source_out,
		struct err *err) CHECKED;
void source_close(struct source **source);		/* cleanup function */
const char *source_url(const struct source *source);	/* for people: without a password */
const char *source_mirror(const struct source *source); /* path of the bare mirror */
bool source_is_local(const struct source *source);	/* a path on this machine */
bool source_has_mirror(const struct source *source);	/* fetched at least once */

/* Creates or updates the mirror; one fetch at a time a mirror, whoever asks.
 * `watch` may be NULL. ERR_NETWORK, ERR_DENIED or ERR_NOT_FOUND with git's last
 * lines. Moved tags do not fail the fetch, only their use. */
int source_fetch(struct source *source, const struct source_watch *watch, struct err *err) CHECKED;

/* Makes sure the mirror has a commit (full hash), and fetches only when it lacks it. */
int source_need_commit(struct source *source, const char *hash, const struct source_watch *watch,
		       struct err *err) CHECKED;

/* How much in the working folder of the repository that holds `dir` is in no commit (whole
 * folders count once); 0 where there is no working folder, or git cannot tell. -1 when git
 * did not come to an end within limit_ms: it is not known then. */
int source_count_uncommitted(struct source *source, const char *dir, int64_t limit_ms, size_t *count_out,
			     struct err *err) CHECKED;

/* Everything below reads the mirror only. ERR_NOT_FOUND when it was never fetched. */

/* `ref`: "HEAD", a branch, a tag, refs/heads/…, refs/tags/…, a tag pattern
 * (slice_glob_match; of those that match the highest version, v1.10 over v1.9, a
 * release over its -rc), a full or abbreviated (≥ 4 digits) commit; any of them with
 * ancestors behind it ("main~2", "v1.0^"). A name that
 * is both branch and tag is refused (ERR_USER), a moved or withdrawn tag too
 * (ERR_CONFLICT, with old and new commit); unknown ones name the nearest. */
int source_resolve(struct source *source, const char *ref, struct arena *arena, struct commit *out,
		   struct err *err) CHECKED;
/* By full hash; ERR_NOT_FOUND when the mirror lacks it. */
int source_load_commit(struct source *source, const char *hash, struct arena *arena, struct commit *out,
		       struct err *err) CHECKED;

struct source_ref {
	enum ref_kind kind; /* REF_BRANCH or REF_TAG */
	const char *name;
	char hash[COMMIT_HASH_MAX + 1];	    /* the commit; of a tag as first seen */
	char upstream[COMMIT_HASH_MAX + 1]; /* of tags: the commit upstream has now; empty: withdrawn */
};
/* Branches, then tags, each by version order, highest first. Tags of other things
 * than commits are left out. */
int source_list_refs(struct source *source, struct arena *arena, struct source_ref **refs_out,
		     size_t *count_out, struct err *err) CHECKED;

/* The commits reachable from `to` but not from `from` (full hashes; from NULL: all),
 * newest first: how many, and the first `max` of them. */
int source_list_commits(struct source *source, const char *from, const char *to, size_t max,
			struct arena *arena, struct commit **commits_out, size_t *count_out,
			uint64_t *total_out, struct err *err) CHECKED;
/* Commits only in `commit` (ahead) and only in `base` (behind). */
int source_compare(struct source *source, const char *base, const char *commit, uint64_t *ahead_out,
		   uint64_t *behind_out, struct err *err) CHECKED;
/* Whether `ancestor` is `commit` or reachable from it. */
int source_is_ancestor(struct source *source, const char *ancestor, const char *commit, bool *yes_out,
		       struct err *err) CHECKED;

struct source_change {
	char status; /* A added, D deleted, M changed, T another type */
	struct slice path;
};
/* Between two commits or trees (full hashes), by path. */
int source_list_changes(struct source *source, const char *from, const char *to, struct arena *arena,
			struct source_change **changes_out, size_t *count_out, struct err *err) CHECKED;

/* A regular file of a commit, appended to `out` (limit: the buffer's and
 * SOURCE_FILE_MAX). ERR_NOT_FOUND when there is none of that path. */
int source_read_file(struct source *source, const char *hash, const char *path, struct buf *out,
		     struct err *err) CHECKED;

/* Every content any branch or tag ever held, each once, with one path it stood under;
 * those longer than `max` bytes are counted in *skipped_out. */
int source_each_blob(struct source *source, size_t max,
		     int (*visit)(void *context, const char *path, const char *hash, struct slice bytes, struct err *err),
		     void *context, uint64_t *skipped_out, struct err *err) CHECKED;

/* Writes the files of a commit into dest_dir (created; must be empty or missing):
 * export-ignore, eol and encodings as the tree's own .gitattributes say, never the
 * user's; submodules with their own mirrors (fetched when a commit is lacking);
 * Git LFS content where `git lfs` is installed (ERR_USER, what to install, when it
 * is not). Refused with file and line: export-subst. All times are the commit's.
 * Without .git. `dest_dir`.index is used and removed. */
int source_export(struct source *source, const struct commit *commit, const char *dest_dir,
		  const struct source_watch *watch, struct err *err) CHECKED;
