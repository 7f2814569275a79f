/* What happens while a step runs, for progress bars and logs. Called from within
 * the step, on the caller's thread; the pointers live only during the call. */
#pragma once

#include "base/slice.h"

enum target_event_kind {
	TARGET_EVENT_STEP = 1, /* `step` begins on this server */
	TARGET_EVENT_PROGRESS, /* counts changed; at most some ten times a second and server */
	TARGET_EVENT_DONE,     /* `step` went well */
	TARGET_EVENT_FAILED,   /* `step` failed; text says why */
	TARGET_EVENT_WAITING,  /* the lease is held by somebody else; text says who */
	TARGET_EVENT_OUTPUT,   /* a line or part of one that a hook or reload printed */
	TARGET_EVENT_WARNING,  /* something worth telling that did not stop the step */
};

struct target_event {
	enum target_event_kind kind;
	size_t server;	      /* index into the addresses of fleet_open */
	const char *step;     /* "connect", "lease", "prepare", … the names of fleet.h's steps */
	const char *phase;    /* PROGRESS: "send", or the agent's: "link", "receive", "hash", "sync" */
	uint64_t files;	      /* PROGRESS */
	uint64_t files_total; /* 0: not known */
	uint64_t bytes;
	uint64_t bytes_total;
	bool is_stderr;	   /* OUTPUT */
	struct slice text; /* OUTPUT, WAITING, WARNING, FAILED: may hold any byte */
};

struct target_events {
	void (*handle)(void *context, const struct target_event *event);
	void *context;
};
