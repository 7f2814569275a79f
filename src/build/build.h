/* Builds a commit once: the same tree built by the same recipe on the same kind
 * of builder is the same release, whoever asks, however often, at whatever
 * moment. Commands run in a sandbox (sandbox.h) that sees neither state, keys nor
 * agent sockets. Knows nothing of lockstep.yml: the recipe comes as plain structs.
 *
 *	builds/<64 hex: build key>/
 *		lock            flocked while building; says who
 *		release         record of the result, written once (a sealed record)
 *		log-<time>      output of the commands, secrets masked
 *		work-XXXXXX/    tree, home and tmp of a build under way
 *	caches/<project>/<protected|other>/<name>/
 *
 * kill -9 leaves no lock, at most a work folder that the next build removes. */
#pragma once

#include "source/source.h"
#include "store/store.h"

enum {
	BUILD_COMMANDS_MAX = 256,
	BUILD_ENV_MAX = 256,
	BUILD_SECRETS_MAX = 64,
	BUILD_CACHES_MAX = 32,
	BUILD_TEXTS_MAX = 16,
	BUILD_SECRET_LEN_MAX = 64 << 10,
};

enum build_sandbox {
	SANDBOX_BWRAP = 1, /* bubblewrap; a container when the recipe names an image */
	SANDBOX_NONE,	   /* directly, with a clean environment: only for commands one trusts */
};

struct build_variable {
	const char *name; /* [A-Za-z_][A-Za-z0-9_]* */
	const char *value;
};

/* A file whose content shapes the result without being a command, such as
 * .deployignore or .deploybuild.yaml: part of the recipe's text. */
struct build_text {
	const char *name;
	struct slice content;
};

/* How to build. Members marked * are not part of the recipe's text, since they
 * decide whether a build ends, not what it gives. Zero-initialised means: no
 * commands, a pure export. All pointers are borrowed. */
struct build_recipe {
	const char *const *commands; /* each run by `/bin/sh -ec`, in the tree */
	size_t command_count;
	const struct build_variable *env;
	size_t env_count;
	const char *const *secrets; /* names; the commands find /run/secrets/NAME, its path in NAME_FILE */
	size_t secret_count;
	/* Kept between builds: "~/x" below the home folder (shared by builds running
	 * at once), or a path in the tree (put back before, kept after a success;
	 * part of the result like any folder). */
	const char *const *caches;
	size_t cache_count;
	const char *image;  /* container image; NULL: none */
	const char *output; /* folder of the tree that is the result; NULL or "": all of it */
	const struct build_text *texts;
	size_t text_count;
	/* What stays out of the result; path as in the result. The rules behind it
	 * must be among `texts`. May be NULL. `.git` always stays out. */
	bool (*skip)(void *context, struct slice path, bool is_dir);
	void *skip_context;
	enum build_sandbox sandbox; /* 0: SANDBOX_BWRAP */
	bool offline;		    /* no network for the commands */
	int64_t timeout_ms;	    /* * for all commands together; 0: 60 min */
	uint64_t memory_max;	    /* * bytes of private memory a process may have; 0: no limit */
	uint64_t log_max;	    /* * bytes kept of the output; 0: 16 MiB */
};

/* The one text two equal recipes share; its SHA-256 is the recipe's digest. */
int build_recipe_text(const struct build_recipe *recipe, struct buf *out, struct err *err) CHECKED;
int build_recipe_digest(const struct build_recipe *recipe, struct digest *out, struct err *err) CHECKED;
/* "export" without commands, "image sha256:…" (asks podman or docker), or
 * "linux x86_64 debian 12". Lives in the arena. */
int build_platform(const struct build_recipe *recipe, struct arena *arena, const char **platform_out,
		   struct err *err) CHECKED;
/* SHA-256 over tree, recipe digest and platform. Pure. */
void build_key(const char *tree, const struct digest *recipe, const char *platform, struct digest *key_out);

struct build_request {
	const char *home;    /* $LOCKSTEP_HOME, absolute */
	const char *project; /* names the caches: no '/', not starting with '.' */
	struct store *store;
	struct source *source;
	const struct commit *commit;
	const struct build_recipe *recipe;
	bool protected_ref; /* which caches: those of protected refs are apart from all others */

	/* Each may be NULL. */
	/* Asked when this machine has no usable record, before anything is built:
	 * does anybody else have the result of `key`? `known` (may be NULL) is the
	 * release that a record here names but the store has lost. 1: yes, and it has
	 * been brought into the store; 0: no; -1: error, nothing is built. */
	int (*lookup)(void *context, const struct digest *key, const struct digest *known,
		      struct digest *release_out, struct err *err);
	/* Whose turn: "waiting for …", "exporting", "$ npm ci", "importing". One line. */
	void (*step)(void *context, const char *line);
	void (*output)(void *context, struct slice bytes);	/* what the commands print, secrets masked */
	const char *(*secret)(void *context, const char *name); /* NULL: the environment variable */
	bool (*stop)(void *context); /* asked five times a second; true: ERR_INTERRUPTED */
	void *context;
};

/* What is known of a build; lives in an arena. */
struct build_record {
	struct digest release;
	struct digest key;
	struct digest recipe;
	char tree[COMMIT_HASH_MAX + 1];
	char commit[COMMIT_HASH_MAX + 1]; /* the first commit it was built from */
	const char *ref;
	const char *subject;
	const char *project;
	const char *platform;
	const char *by;	 /* user@host */
	const char *log; /* path; "" when there was nothing to run */
	int64_t built_ms;
	int64_t duration_ms;
};

struct build_result {
	struct build_record record;
	bool built;		    /* false: it was there, or lookup found it */
	bool found;		    /* lookup found it */
	bool lost;		    /* an earlier result of the same key is in no store any more ... */
	struct digest lost_release; /* ... and was this one */
	uint64_t files, bytes;	    /* of the release */
};

/* ERR_FAILED: a command failed (which, exit status, last lines, where the log is);
 * ERR_USER: the recipe cannot be run here (hint); nothing is in the store then. */
int build_run(const struct build_request *request, struct arena *arena, struct build_result *result,
	      struct err *err) CHECKED;

/* The record of a key here, without building. ERR_NOT_FOUND. */
int build_load(const char *home, const struct digest *key, struct arena *arena, struct build_record *out,
	       struct err *err) CHECKED;
/* All records of this machine, newest first; damaged ones are left out. */
int build_list(const char *home, struct arena *arena, struct build_record **records_out, size_t *count_out,
	       struct err *err) CHECKED;
