/* Deployments as people ask for them: deploy, promote, rollback, and their plans. */
#pragma once

#include "engine/plan.h"

struct deploy_request {
	enum deployment_kind kind;
	const char *environment;
	const char *ref;        /* NULL: the environment's own */
	const char *release;    /* NULL; digest or a beginning of it */
	const char *from;       /* promote: the environment the release is taken from */
	const char *to;         /* rollback: the deployment to go back to; NULL: the one before */
	bool config_only;       /* the live release with the configuration of now */
	bool config_back;       /* rollback: of the configuration only */
	bool again;             /* also when nothing would change */
	bool dry_run;           /* plan only; leaves nothing on the servers */
	bool hotfix;
	const char *reason;
	int64_t wait_ms;        /* for a deployment of somebody else to end */
	bool take_over;
};

/* Sets *out to what was done or would be, also on failure when there is something
 * to tell. */
int deploy_run(struct engine *engine, const struct deploy_request *request, json_t **out, struct err *err) CHECKED;
