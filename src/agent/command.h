/* Commands on a server: hooks, health commands, reloads. Each runs in a process
 * group of its own, with the conversation answered meanwhile; the group is ended
 * when the line drops, the time is over, or the next agent finds it alive. */
#pragma once

#include "agent/session.h"

enum { COMMAND_OUTPUT_MAX = 1 << 20, COMMAND_SECRETS_MAX = 512 << 10 };

struct command {
	const char *text;	/* for /bin/sh -c */
	const char *as;		/* user, by sudo -n; NULL, "" or our own name: us */
	const char *dir;	/* working folder, absolute */
	const char *const *env; /* "NAME=VALUE", NULL-terminated; the whole environment */
	struct slice secrets;	/* shell assignments that it can read from descriptor 3; may be empty */
	int64_t timeout_ms;
};

struct command_result {
	int status; /* exit code, -1 when a signal ended it */
	int signal;
	bool timed_out;
	int64_t duration_ms;
};

/* Output goes to the controller as OUTPUT, line by line as it comes. */
int command_run(struct session *session, const struct command *command, struct command_result *result,
		struct err *err) CHECKED;
/* The same, collecting standard output instead (for reload kinds that ask). */
int command_ask(struct session *session, const struct command *command, struct buf *out,
		struct command_result *result, struct err *err) CHECKED;

/* PATH, HOME, USER and LANG of ours, the LOCKSTEP_* of the place and of the deployment
 * under way (else, for dir=live, of what is live), then the request's (repeated
 * NAME=VALUE under its key `env`). The request may be NULL. */
const char *const *command_environment(struct session *session, struct arena *arena,
				       const struct record *request);

/* The request's values under `secret_env` as shell assignments, for struct command. `out`
 * is a BUF_SECRET. The environment above says LOCKSTEP_SECRETS_FD=3 where there are any. */
int command_secrets(const struct record *request, struct buf *out, struct err *err) CHECKED;

/* Field `number` (1 to 22, not 2) of /proc/PID/stat; 0 when there is no such process. */
enum { STAT_PARENT = 4, STAT_GROUP = 5, STAT_STARTED = 22 };
uint64_t process_stat(uint64_t pid, int number);
/* Now, as STAT_STARTED counts it; 0 when the system does not say. */
uint64_t process_clock(void);
/* Waits for the next tick of that clock: what runs already is older than the result. */
uint64_t process_clock_next(void);
