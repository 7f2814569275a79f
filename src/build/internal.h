/* What the files of this module share; nobody else includes it. */
#pragma once

#include "base/child.h"
#include "base/slice.h"
#include "build/build.h"
#include "seal/mask.h"

enum {
	BUILD_TIMEOUT_MS = 60 * 60 * 1000,
	BUILD_LOG_MAX = 16 << 20,
	BUILD_TAIL_MAX = 16 << 10, /* of the output, always kept for the end of the log */
	BUILD_FDS_MAX = BUILD_SECRETS_MAX + 4,
};

/* recipe.c */
int recipe_check(const struct build_recipe *recipe, struct err *err) CHECKED;

/* ---- log.c: the first bytes of the output, and the last ---- */
struct build_log {
	int fd;
	char path[4096];
	uint64_t head_left;
	uint64_t left_out;
	struct buf tail;
};
int log_open(struct build_log *log, const char *folder, uint64_t max, struct err *err) CHECKED;
int log_put(struct build_log *log, struct slice bytes, struct err *err) CHECKED;
int log_close(struct build_log *log, struct err *err) CHECKED; /* writes the kept end; safe twice */
void log_free(struct build_log *log);
void log_last_lines(const struct build_log *log, size_t count, struct buf *out);

/* ---- record.c ---- */
const char *record_folder(const char *home, const struct digest *key, struct arena *arena);
/* *found false when there is none; a damaged one is an error. */
int record_load(const char *folder, struct arena *arena, struct build_record *out, bool *found,
		struct err *err) CHECKED;
/* Write-once: an existing record is an error (ERR_CONFLICT), unless `replaces` (the
 * store has lost it), then it is kept beside as release.lost-<time>. */
int record_save(const char *folder, const struct build_record *record, bool replaces,
		struct err *err) CHECKED;

/* ---- sandbox.c ---- */
struct secret_value {
	const char *name;
	const char *value;
	int fd; /* a file in memory; -1 */
};
struct cache_mount {
	const char *host;   /* folder of ours */
	const char *inside; /* below the home folder */
};

/* Everything a command runs in. */
struct sandbox {
	const struct build_request *request;
	enum { IN_BWRAP = 1, IN_CONTAINER, IN_NOTHING } kind;
	struct arena *arena;
	const char *key_hex;
	const char *tree, *home, *tmp; /* folders on this machine */
	struct secret_value *secrets;
	size_t secret_count;
	const char *secrets_dir; /* IN_CONTAINER and IN_NOTHING: a private folder in memory */
	struct cache_mount *mounts;
	size_t mount_count;
	int passwd_fd, group_fd; /* IN_BWRAP */
	const char *tool;	 /* path of bwrap, podman or docker */
	const char *image;	 /* IN_CONTAINER: sha256:… */
	const char *name;	 /* IN_CONTAINER: of the container */
};
/* Fills kind, secrets and files; checks that commands can run here at all. */
int sandbox_open(struct sandbox *sandbox, struct err *err) CHECKED;
void sandbox_close(struct sandbox *sandbox);
struct sandbox_command {
	const char *const *argv;
	const char *const *env;
	const char *dir;
	int fds[BUILD_FDS_MAX];
	size_t fd_count;
};
int sandbox_command(struct sandbox *sandbox, const char *command, struct sandbox_command *out,
		    struct err *err) CHECKED;
void sandbox_after_stop(struct sandbox *sandbox); /* a command was stopped: end what it left */
const char *sandbox_find_program(const char *name, struct arena *arena);
/* "NAME=value" rows every command gets; `paths` as they are seen from inside. */
const char *const *sandbox_environment(struct sandbox *sandbox, const char *home, const char *tmp,
				       const char *secrets, bool with_path);

/* ---- container.c ---- */
/* Which tool (its path) and which image (sha256:…); pulls it when it is not here. */
int container_resolve(const char *image, struct arena *arena, const char **tool_out, const char **digest_out,
		      struct err *err) CHECKED;
int container_command(struct sandbox *sandbox, const char *command, struct sandbox_command *out,
		      struct err *err) CHECKED;
void container_remove(struct sandbox *sandbox);

/* ---- cache.c ---- */
int cache_prepare(const struct build_request *request, struct sandbox *sandbox, struct err *err) CHECKED;
int cache_keep(const struct build_request *request, struct sandbox *sandbox, struct err *err) CHECKED;

/* ---- scan.c ---- */
enum { SCAN_MIN = 8 }; /* shorter values occur by chance */
/* ERR_FAILED, with file and secret, when a file of the result holds a secret's value. */
int scan_for_secrets(const struct sandbox *sandbox, int dir_fd,
		     bool (*skip)(void *context, struct slice path, bool is_dir), void *skip_context,
		     struct err *err) CHECKED;

/* ---- run.c ---- */
/* Runs one command, its output through `mask`. status_out as child_wait. timed_out:
 * the deadline (monotonic) passed. ERR_INTERRUPTED when told to stop. */
int run_command(struct sandbox *sandbox, const char *command, int64_t deadline_ms, struct mask_stream *mask,
		int *status_out, bool *timed_out, struct err *err) CHECKED;
