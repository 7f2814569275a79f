/* Reload kinds: how the application takes up a new activation, and how that is
 * proved. One file and one row a kind; the spec is codec/reload_spec.h's. */
#pragma once

#include "agent/command.h"
#include "codec/reload_spec.h"

struct reload {
	struct session *session;
	struct arena *arena;
	const struct record *request;
	const char *subject;  /* as reload_spec_parse found it right; "" for none */
	int signal;	      /* RELOAD_PIDFILE */
	bool with_values;     /* the request's env and secret_env are for this kind */
	struct slice secrets;
	int64_t timeout_ms;
};

struct reload_kind {
	enum reload_spec_kind kind;
	const char *summary;
	bool in_place; /* the first process stays as the master; only its workers are new */
	/* Does it; -1 with a message for people when it failed. */
	int (*reload)(struct reload *reload, struct err *err);
	/* The processes of the application, by id, a master first; false when the kind cannot
	 * tell. More than fit are counted. */
	bool (*processes)(struct reload *reload, uint64_t *pids, size_t max, size_t *count);
};

extern const struct reload_kind *const reload_kinds[];
extern const size_t reload_kind_count;
extern const struct reload_kind reload_none, reload_systemd, reload_supervisor, reload_pidfile, reload_command;

/* `pids` holds one: its children are added, and theirs. */
void reload_add_children(uint64_t *pids, size_t max, size_t *count);
/* For kinds that cannot name their processes. */
bool reload_no_processes(struct reload *reload, uint64_t *pids, size_t max, size_t *count);
/* Runs one command line; a non-zero end is an error that quotes `what`. */
int reload_run(struct reload *reload, const char *command, const char *what, const char *hint, struct err *err) CHECKED;
