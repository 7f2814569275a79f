/* Child processes for the synchronous parts (git, build steps, tools): started
 * without a shell, own process group, only the descriptors named here. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

struct child_spec {
	const char *const *argv;   /* NULL-terminated; argv[0] is looked up in the PATH it will have */
	const char *const *env;    /* NULL-terminated "K=V"; NULL inherits ours */
	const char *dir;           /* working folder; NULL: ours */
	int stdin_fd;              /* -1: /dev/null */
	int stdout_fd;             /* -1: /dev/null; CHILD_PIPE gives a pipe */
	int stderr_fd;             /* -1: /dev/null; CHILD_PIPE; CHILD_STDOUT joins it to stdout */
	bool keep_controlling_group; /* stay in our process group (interactive programs) */
	bool die_with_us;            /* killed when we die, however that happens (Linux; else ignored) */
	const int *pass_fds;         /* further descriptors (> 2) it gets, under their own numbers */
	size_t pass_fd_count;
	int third_fd;                /* > 0: is descriptor 3 there */
};
enum { CHILD_PIPE = -2, CHILD_STDOUT = -3 };

struct child {
	pid_t pid;     /* 0 when not running */
	int stdin_fd;  /* our ends of CHILD_PIPE, else -1 */
	int stdout_fd;
	int stderr_fd;
};
#define CHILD_INIT ((struct child){ 0, -1, -1, -1 })

/* A program that cannot be executed is an error here (ERR_NOT_FOUND when it is not
 * in PATH), not a status later. All signals start with their default actions. */
int child_start(struct child *child, const struct child_spec *spec, struct err *err) CHECKED;
/* True when a folder of PATH (that of `env`; NULL: ours) that we may look into has
 * a file of that name. exec says EACCES for a program that is nowhere as soon as
 * one folder of PATH is closed to us; this tells the two apart. */
bool child_in_path(const char *program, const char *const *env);
/* status: 0..255 exit code, or 128 + signal. */
int child_wait(struct child *child, int *status, struct err *err) CHECKED;
/* SIGTERM to the group, SIGKILL after grace_ms, and waits. Safe when not running. */
void child_stop(struct child *child, int grace_ms);
void child_close(struct child *child); /* cleanup function: child_stop(…, 0) and closes the pipes */

/* Runs to the end: stdin from `input` (may be empty), stdout into `out`, stderr
 * into `errors` (either may be NULL to drop; with CHILD_STDOUT in the spec and no
 * `errors`, stderr joins stdout; the spec's other descriptors are not looked at).
 * The end is the program's own: a process it leaves behind is neither waited for
 * nor ended. A program that writes more than a
 * buffer holds, or runs longer than timeout_ms (0: no limit), is stopped and
 * that is an error. A non-zero exit is *not* an error here: look at *status. */
int child_run(const struct child_spec *spec, struct slice input, struct buf *out, struct buf *errors,
	      int64_t timeout_ms, int *status, struct err *err) CHECKED;
