/* What this machine remembers of a deployment: the run folder with its events and
 * lock, and the rows in the database. A cache: nothing here decides anything, and
 * failing to write it never fails a deployment that went well. */
#pragma once

#include "engine/deploy.h"
#include "engine/rollout.h"

struct history {
	struct engine *engine;
	struct deployment row;
	char folder[64]; /* relative to the home folder: "runs/261122-k3m9x" */
	int lock_fd;
};

/* Makes an id that nobody has (it must live as long as the history), the folder and
 * the row; from here on events go to the folder's file. */
int history_begin(struct history *history, struct engine *engine, const struct deploy_request *request,
		  char id[DEPLOYMENT_ID_LEN + 1], struct err *err) CHECKED;
void history_planned(struct history *history, const struct plan *plan);
void history_end(struct history *history, const struct plan *plan, const struct rollout *rollout,
		 const struct err *failure);
/* The configuration that went live with a plan becomes a version of this machine's history. */
void history_configuration(struct engine *engine, const struct plan *plan);
/* What was seen on the servers; `went_live`: the plan that is live now (may be NULL). */
void history_seen(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		  const struct plan *went_live);
