/* deploy, promote, plan, rollback: one request to the engine each. */
#include "api/list.h"

#include "engine/deploy.h"

#define KEY_WAIT                                                                                            \
	{                                                                                                   \
		"wait", OPERATION_DURATION, .value = "TIME",                                                \
			.text = "how long to wait for another deployment to end (10m; 0 refuses at once)"   \
	}
#define KEY_TAKE_OVER                                                                                       \
	{                                                                                                   \
		"take_over", OPERATION_FLAG, .text = "take a place that belongs to another project or environment" \
	}
#define KEY_HOTFIX                                                                                          \
	{                                                                                                   \
		"hotfix", OPERATION_FLAG, .text = "leave out the promotion order; written to every journal"  \
	}
#define KEY_REASON                                                                                          \
	{                                                                                                   \
		"reason", OPERATION_STRING, .value = "TEXT", .text = "why, with --hotfix"                     \
	}
#define KEY_AGAIN                                                                                           \
	{                                                                                                   \
		"again", OPERATION_FLAG,                                                                    \
			.text = "a new activation also when nothing changed: hooks run, the application is reloaded" \
	}
#define KEY_DRY_RUN                                                                                         \
	{                                                                                                   \
		"dry_run", OPERATION_FLAG, .text = "only say what would happen; leaves nothing on the servers" \
	}

enum { WAIT_MS = 600000 };

static struct deploy_request request_of(const json_t *in, enum deployment_kind kind)
{
	return (struct deploy_request){
		.kind = kind,
		.environment = input_str(in, "environment"),
		.ref = input_str(in, "ref"),
		.release = input_str(in, "release"),
		.from = input_str(in, "from"),
		.to = input_str(in, "to"),
		.config_only = input_flag(in, "config_only"),
		.config_back = input_flag(in, "config"),
		.dry_run = input_flag(in, "dry_run"),
		.again = input_flag(in, "again"),
		.hotfix = input_flag(in, "hotfix"),
		.reason = input_str(in, "reason"),
		.wait_ms = input_int(in, "wait", WAIT_MS),
		.take_over = input_flag(in, "take_over"),
	};
}

static int check_ref_or_release(const json_t *in, struct err *err)
{
	if (input_str(in, "ref") && input_str(in, "release"))
		return err_set(err, ERR_USER, "--ref and --release say two different things: give one");
	return 0;
}

static int run_deploy(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const struct deploy_request request = request_of(in, DEPLOYMENT_DEPLOY);

	return check_ref_or_release(in, err) ? -1 : deploy_run(engine, &request, out, err);
}

static int run_plan(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	struct deploy_request request = request_of(in, DEPLOYMENT_DEPLOY);

	request.dry_run = true;
	return check_ref_or_release(in, err) ? -1 : deploy_run(engine, &request, out, err);
}

static int run_promote(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const struct deploy_request request = request_of(in, DEPLOYMENT_PROMOTE);

	return deploy_run(engine, &request, out, err);
}

static int run_rollback(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const struct deploy_request request = request_of(in, DEPLOYMENT_ROLLBACK);

	return deploy_run(engine, &request, out, err);
}

static const struct operation_key deploy_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" },
	{ "ref", OPERATION_STRING, .value = "REF", .text = "branch, tag, tag pattern or commit; otherwise what deploy_on says" },
	{ "release", OPERATION_STRING, .value = "RELEASE", .text = "a release that exists, by its digest or a beginning of it" },
	{ "config_only", OPERATION_FLAG, .text = "the release that is live, with the configuration of now: nothing is built or sent" },
	KEY_AGAIN,
	KEY_DRY_RUN,
	KEY_HOTFIX,
	KEY_REASON,
	KEY_WAIT,
	KEY_TAKE_OVER,
};

const struct operation operation_deploy = {
	.name = "deploy",
	.summary = "put a release live on all servers of an environment, or none",
	.details = "Builds the commit unless it was built before, prepares the release on every server, switches all of\n"
		   "them, reloads, checks each one's health, and goes back everywhere when one fails. An environment that\n"
		   "is only promoted to takes the release that is live in the environment before it.",
	.keys = deploy_keys,
	.key_count = ARRAY_LEN(deploy_keys),
	.permission = PERMISSION_DEPLOY,
	.need = NEED_PROJECT,
	.run = run_deploy,
};

static const struct operation_key promote_keys[] = {
	{ "from", OPERATION_STRING, .positional = true, .value = "FROM", .text = "where the release is live and verified" },
	{ "environment", OPERATION_STRING, .positional = true, .value = "TO", .text = "the environment it goes to" },
	KEY_AGAIN,
	KEY_DRY_RUN,
	KEY_HOTFIX,
	KEY_REASON,
	KEY_WAIT,
	KEY_TAKE_OVER,
};

const struct operation operation_promote = {
	.name = "promote",
	.summary = "carry the very release that is live in one environment to the next",
	.details = "Nothing is built: the bytes are those that were verified there, fetched back from its servers when\n"
		   "this machine does not have them.",
	.keys = promote_keys,
	.key_count = ARRAY_LEN(promote_keys),
	.permission = PERMISSION_DEPLOY,
	.need = NEED_PROJECT,
	.run = run_promote,
};

static const struct operation_key plan_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" },
	{ "ref", OPERATION_STRING, .value = "REF", .text = "branch, tag, tag pattern or commit; otherwise what deploy_on says" },
	{ "release", OPERATION_STRING, .value = "RELEASE", .text = "a release that exists, by its digest or a beginning of it" },
	KEY_HOTFIX,
	KEY_REASON,
};

const struct operation operation_plan = {
	.name = "plan",
	.summary = "what a deployment would do: commits, files, servers, gates, hand edits",
	.details = "The same as `deploy --dry-run`. The release is built if it was not; the servers are only looked at.",
	.keys = plan_keys,
	.key_count = ARRAY_LEN(plan_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_plan,
};

static const struct operation_key rollback_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" },
	{ "to", OPERATION_STRING, .value = "DEPLOYMENT", .text = "the deployment to go back to; otherwise the one before" },
	{ "config", OPERATION_FLAG, .text = "only the configuration goes back; the release stays" },
	KEY_DRY_RUN,
	KEY_WAIT,
	KEY_TAKE_OVER,
};

const struct operation operation_rollback = {
	.name = "rollback",
	.summary = "put the exact bytes of an earlier deployment back",
	.details = "The servers keep the last good activations (`keep`). Every file is hashed first, and what somebody\n"
		   "edited in place is healed. No gate holds a rollback.",
	.keys = rollback_keys,
	.key_count = ARRAY_LEN(rollback_keys),
	.permission = PERMISSION_ROLLBACK,
	.need = NEED_PROJECT,
	.run = run_rollback,
};
