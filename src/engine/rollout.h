/* Carrying a plan out: prepare(all) → decide → activate(all) → reload → verify →
 * record, and the way back. Reads top-down in rollout.c. */
#pragma once

#include "engine/plan.h"

struct rollout_options {
	int64_t wait_ms;  /* for a lease somebody else holds; 0: refuse at once */
	bool take_over;
	struct configuration *configuration; /* for commands; NULL: plain values of lockstep.yml only */
};

struct rollout {
	enum deployment_outcome outcome;
	bool went_back;
	bool prepared;    /* rollout_lease has prepared already */
	bool activated;   /* and switched */
	bool recorded;    /* and written the receipt */
	struct deployment_server *servers; /* one a server of the plan */
	size_t server_count;
};

/* The fleet must hold the leases (rollout_lease). 0 when the new activation is live everywhere. Otherwise err says what happened:
 * ERR_FAILED (servers untouched or restored), ERR_MIXED, ERR_CONFLICT,
 * ERR_INTERRUPTED; *out always says where every server stands. */
int rollout_run(struct engine *engine, const struct plan *plan, struct fleet *fleet,
		const struct rollout_options *options, struct rollout *out, struct err *err) CHECKED;

/* Takes the lease on every server. *moved_out: somebody else held one since the
 * servers greeted us, so a plan made before must be made again. Where nothing else stands
 * between, all that a single server has to do goes out together: lease, preparation, switch
 * and receipt. */
int rollout_lease(struct engine *engine, const struct plan *plan, struct fleet *fleet,
		  const struct rollout_options *options, struct rollout *out, bool *moved_out,
		  struct err *err) CHECKED;

struct recovered {
	bool did;	 /* something was done: the fleet must be connected anew */
	bool unverified; /* it stays live on some servers although it did not pass there */
};

/* Finishes or takes back what an interrupted deployment left on these servers:
 * forward when it was decided, back otherwise. Servers without anything pending are left alone. */
int rollout_recover(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		    const struct rollout_options *options, struct recovered *out, struct err *err) CHECKED;
