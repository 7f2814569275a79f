/* One deployment being carried out, and the steps it is made of. Internal to the
 * engine: rollout.c and recover.c put the steps together. Each step speaks to all
 * servers that take part and returns when all are done; -1 with err naming those
 * that failed. */
#pragma once

#include "engine/rollout.h"

struct run {
	struct engine *engine;
	const struct environment *environment;
	struct fleet *fleet;
	size_t count;
	const bool *which;        /* the servers taking part; NULL: all */
	const char *deployment;
	const char *by;
	const char **names;       /* per server: the new activation */
	const char **previous;    /* per server: what was live before */
	size_t decision_server;
	struct lease_request lease;
	const char *receipt;      /* http | command | none */
	struct configuration *configuration; /* NULL: plain values only */
	bool decide_on_activate;  /* one server: both in one request */
	bool activated, recorded; /* done already, with the preparation */
	bool go_back_decided;     /* written down: whoever comes next goes back, too */
};

struct run run_begin(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		     const char *deployment, const struct rollout_options *options);
bool run_takes_part(const struct run *run, size_t server);

/* The lease of every server. While somebody else has one of them, none of the others is held. */
int run_lease(struct run *run, struct err *err) CHECKED;
/* Lines that were lost are made again, and the lease taken again: the old agent ends
 * by itself when its line is cut, at the latest after 30 s of silence. */
int run_reconnect(struct run *run, struct err *err) CHECKED;
int run_decide(struct run *run, const char *decision, const char *why, struct err *err) CHECKED;
int run_activate(struct run *run, struct err *err) CHECKED;
/* Reloads every server by the kinds of its groups. `away` names, per server, the
 * activation no process may run from any more. */
int run_reload(struct run *run, const char *const *away, struct err *err) CHECKED;
/* Each server itself, until it passes or its time is over. Sets run->receipt. */
int run_verify(struct run *run, struct err *err) CHECKED;
/* One journal line everywhere: verified, live, failed. */
int run_record(struct run *run, const char *event, const char *text, struct err *err) CHECKED;
/* What became of old activations: `verified` and `live` prune in the same request,
 * and tidying up never makes a deployment fail. */
void run_tell_pruned(struct run *run);

/* All hooks of a point; `dir` is live, prepared or place. */
int run_hooks(struct run *run, enum hook_point point, const char *dir, struct err *err) CHECKED;
/* The `on_go_back` commands of a point's hooks, in reverse. */
void run_undo_hooks(struct run *run, enum hook_point point, const char *dir);
/* One command on the servers `which` says, each with its own variables. */
int run_with_own_variables(struct run *run, const bool *which, struct run_request *request, struct err *err) CHECKED;
/* What a server's commands get. */
void run_variables(struct run *run, size_t server, struct variables *out);

/* What a server's journal says was decided about a deployment, also one that is closed there:
 * commit, go-back, or "" for nothing. NULL with err when it cannot be asked. */
const char *run_decision_of(struct fleet *fleet, size_t server, const char *deployment, struct err *err) CHECKED;

/* What may be asked of a fleet of one behind its preparation, without waiting: the switch,
 * and the receipt where nothing is to be done, looked at or asked between or after. False: nothing. */
bool run_carry(struct run *run, struct carry_request *out);

/* Before the decision: what was prepared goes away, `current` was never touched. */
void run_abandon(struct run *run);
/* From the decision on: activate, reload, verify, record. */
int run_finish(struct run *run, struct err *err) CHECKED;
/* After the decision: the go-back is decided first, so that whoever comes next goes
 * back too, then every server reverts, reloads, and writes it down. */
int run_go_back(struct run *run, const char *why, struct err *err) CHECKED;
