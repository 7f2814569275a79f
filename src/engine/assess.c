#include "engine/assess.h"

#include "base/child.h"
#include "base/clock.h"
#include "engine/parity_result.h"
#include "model/deployment.h"
#include "model/parity_finding.h"
#include "model/parity_run.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { GIT_TIMEOUT_MS = 10000, GIT_OUTPUT_MAX = 64 << 10, RECENT = 50, LATELY_DAYS = 7 };

/* What can be known without asking a server. */
struct practice_view {
	struct engine *engine;
	const struct project *project;	    /* NULL: none */
	const struct environment *last;	    /* the one the others lead to: production */
	const char *dir;		    /* of the repository; NULL */
	struct deployment_list deployments; /* of `last`, newest first */
	struct parity_run_list runs;
	struct parity_finding_list findings; /* those still there */
};

enum practice_state { PRACTICE_GOOD = 1, PRACTICE_BAD, PRACTICE_UNKNOWN, PRACTICE_NOT_NEEDED };
static const char *const state_names[] = {[PRACTICE_GOOD] = "good",
					  [PRACTICE_BAD] = "missing",
					  [PRACTICE_UNKNOWN] = "unknown",
					  [PRACTICE_NOT_NEEDED] = "not_needed"};

/* One piece of advice, the strongest first. */
struct practice {
	const char *name, *text; /* how it should be */
	const char *why;	 /* what happens otherwise */
	const char *command;	 /* what does it; %s: the last environment */
	enum practice_state (*judge)(const struct practice_view *view, const char **seen_out);
};

static bool is_there(const struct practice_view *view, const char *name)
{
	struct stat st;

	return view->dir && stat(arena_printf(&view->engine->arena, "%s/%s", view->dir, name), &st) == 0;
}

static const char *first_there(const struct practice_view *view, const char *const *names)
{
	for (; *names; names++)
		if (is_there(view, *names))
			return *names;
	return NULL;
}

static enum practice_state automated(const struct practice_view *view, const char **seen_out)
{
	*seen_out = view->project ? "a " PROJECT_FILE " says how" : "there is no " PROJECT_FILE;
	return view->project ? PRACTICE_GOOD : PRACTICE_BAD;
}

static enum practice_state staged(const struct practice_view *view, const char **seen_out)
{
	size_t count = view->project->environments.count;

	*seen_out = arena_printf(&view->engine->arena, "%zu environment%s", count, count == 1 ? "" : "s");
	return count > 1 ? PRACTICE_GOOD : PRACTICE_BAD;
}

static enum practice_state promoted(const struct practice_view *view, const char **seen_out)
{
	bool from = view->last->promote_from.count > 0;

	*seen_out = from ? arena_printf(&view->engine->arena, "%s takes what was verified in %s",
					view->last->name, view->last->promote_from.items[0])
			 : arena_printf(&view->engine->arena, "%s has no `promote_from`", view->last->name);
	return view->project->environments.count < 2 ? PRACTICE_NOT_NEEDED
	       : from				     ? PRACTICE_GOOD
						     : PRACTICE_BAD;
}

static enum practice_state secrets_kept_out(const struct practice_view *view, const char **seen_out)
{
	AUTO(buf_free) struct buf out = BUF_INIT(GIT_OUTPUT_MAX);
	const char *const argv[] = {
		"git",	      "ls-files",	   "-z", "--", ".env", ".env.production", ".env.staging",
		".env.local", "config/master.key", NULL};
	const struct child_spec spec = {
		.argv = argv, .dir = view->dir, .stdin_fd = -1, .stdout_fd = CHILD_PIPE, .stderr_fd = -1};
	struct err err = ERR_INIT;
	int status = 0;

	if (!view->dir || child_run(&spec, (struct slice){0}, &out, NULL, GIT_TIMEOUT_MS, &status, &err) ||
	    status) {
		*seen_out = "the repository is not beside " PROJECT_FILE;
		return PRACTICE_UNKNOWN;
	}
	*seen_out = out.len ? arena_printf(&view->engine->arena, "%s is in the repository", buf_str(&out))
			    : "no file of variables is in the repository";
	return out.len ? PRACTICE_BAD : PRACTICE_GOOD;
}

static enum practice_state declared(const struct practice_view *view, const char **seen_out)
{
	size_t count = view->project->env.keys.count;

	*seen_out = arena_printf(&view->engine->arena, "%zu variable%s declared under `env`", count,
				 count == 1 ? "" : "s");
	return count ? PRACTICE_GOOD : PRACTICE_BAD;
}

static enum practice_state injected(const struct practice_view *view, const char **seen_out)
{
	size_t without = 0;
	const char *name = NULL;

	for (size_t i = 0; i < view->project->environments.count; i++)
		if (view->project->environments.items[i].files.count == 0) {
			without++;
			name = view->project->environments.items[i].name;
		}
	*seen_out = without ? arena_printf(&view->engine->arena,
					   "in %s no configuration is written by a deployment", name)
			    : "config files are written into each activation";
	return without ? PRACTICE_BAD : PRACTICE_GOOD;
}

static enum practice_state checked(const struct practice_view *view, const char **seen_out)
{
	enum health_kind kind = view->last->delivery.health.kind;

	*seen_out = kind == HEALTH_URL || kind == HEALTH_COMMAND
			    ? "each server is asked before a deployment counts"
			    : "nobody asks a server whether it works";
	return kind == HEALTH_URL || kind == HEALTH_COMMAND ? PRACTICE_GOOD : PRACTICE_BAD;
}

static bool mentions_migration(const struct hook_list *hooks)
{
	for (size_t i = 0; i < hooks->count; i++)
		if (strcasestr(hooks->items[i].run, "migrat") ||
		    strcasestr(hooks->items[i].run, "alembic upgrade") ||
		    strcasestr(hooks->items[i].run, "flyway"))
			return true;
	return false;
}

static enum practice_state migrated(const struct practice_view *view, const char **seen_out)
{
	static const char *const folders[] = {"database/migrations",
					      "db/migrate",
					      "prisma/migrations",
					      "migrations",
					      "alembic",
					      "src/main/resources/db/migration",
					      NULL};
	const char *folder = first_there(view, folders);

	if (!folder) {
		*seen_out = "no migrations were found";
		return PRACTICE_NOT_NEEDED;
	}
	for (size_t p = 0; p < HOOK_POINTS; p++)
		if (mentions_migration(&view->last->delivery.hooks.points[p])) {
			*seen_out = arena_printf(&view->engine->arena, "%s, run by a hook of the deployment",
						 folder);
			return PRACTICE_GOOD;
		}
	*seen_out = arena_printf(&view->engine->arena, "%s, and no hook that runs them", folder);
	return PRACTICE_BAD;
}

static enum practice_state compared(const struct practice_view *view, const char **seen_out)
{
	int64_t now = clock_wall_ms();

	for (size_t i = 0; i < view->runs.count; i++)
		if (now - view->runs.items[i].started_ms < (int64_t)LATELY_DAYS * 86400000) {
			*seen_out = arena_printf(&view->engine->arena, "looked at lately, %lld finding%s",
						 (long long)view->runs.items[i].finding_count,
						 view->runs.items[i].finding_count == 1 ? "" : "s");
			return PRACTICE_GOOD;
		}
	*seen_out = "from this machine nobody looked in the last week";
	return view->project->environments.count < 2 ? PRACTICE_NOT_NEEDED : PRACTICE_BAD;
}

/* By what was found and not put right. */
static enum practice_state alike(const struct practice_view *view, const char **seen_out)
{
	const struct parity_finding *worst = NULL;
	size_t serious = 0;

	for (size_t i = 0; i < view->findings.count; i++) {
		const struct parity_finding *finding = &view->findings.items[i];
		if (finding->severity < SEVERITY_HIGH || strncmp(finding->scope, "drift ", 6) == 0)
			continue;
		serious++;
		if (!worst || finding->severity > worst->severity)
			worst = finding;
	}
	if (view->project->environments.count < 2 || view->runs.count == 0) {
		*seen_out = "from this machine nobody looked yet";
		return view->project->environments.count < 2 ? PRACTICE_NOT_NEEDED : PRACTICE_UNKNOWN;
	}
	*seen_out = worst ? arena_printf(&view->engine->arena, "%zu serious difference%s, such as: %s",
					 serious, serious == 1 ? "" : "s", worst->text)
			  : "no serious difference was found lately";
	return worst ? PRACTICE_BAD : PRACTICE_GOOD;
}

static enum practice_state gated(const struct practice_view *view, const char **seen_out)
{
	bool gate = view->last->require.parity_with.node != NULL;

	*seen_out = gate ? arena_printf(&view->engine->arena, "%s demands parity with %s", view->last->name,
					view->last->require.parity_with.environment)
			 : arena_printf(&view->engine->arena, "nothing stands before %s but its order",
					view->last->name);
	return gate ? PRACTICE_GOOD : PRACTICE_BAD;
}

/* Friday from noon, Saturday, Sunday, in this machine's own time. */
static bool is_weekend(int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm when;

	return localtime_r(&seconds, &when) &&
	       (when.tm_wday == 0 || when.tm_wday == 6 || (when.tm_wday == 5 && when.tm_hour >= 12));
}

static enum practice_state weekdays(const struct practice_view *view, const char **seen_out)
{
	size_t weekend = 0, all = 0;

	for (size_t i = 0; i < view->deployments.count; i++) {
		if (view->deployments.items[i].kind == DEPLOYMENT_ROLLBACK)
			continue;
		all++;
		weekend += is_weekend(view->deployments.items[i].started_ms);
	}
	*seen_out = all ? arena_printf(&view->engine->arena,
				       "%zu of the last %zu deployments to %s were begun on a Friday "
				       "afternoon or a weekend",
				       weekend, all, view->last->name)
			: "no deployment is known to this machine";
	return !all ? PRACTICE_UNKNOWN : weekend ? PRACTICE_BAD : PRACTICE_GOOD;
}

static enum practice_state infrastructure(const struct practice_view *view, const char **seen_out)
{
	static const char *const files[] = {"main.tf",	      "terraform",     "infra",	   "infrastructure",
					    "ansible",	      "playbook.yml",  "site.yml", "Pulumi.yaml",
					    "cloudformation", "template.yaml", NULL};
	const char *found = first_there(view, files);

	*seen_out = found ? found : "no Terraform, Ansible, Pulumi or CloudFormation beside " PROJECT_FILE;
	return !view->dir ? PRACTICE_UNKNOWN : found ? PRACTICE_GOOD : PRACTICE_BAD;
}

static const struct practice practices[] = {
	{"automated", "deployments run by a program, the same way each time",
	 "what is done by hand is done a little differently each time", "lockstep init", automated},
	{"staged", "an environment to try a release in before production",
	 "production is the first place it runs",
	 "lockstep config reference   # add one under `environments` that production is promoted from", staged},
	{"promoted", "one build carried from environment to environment", "what was tested is not what runs",
	 "lockstep config show %s   # add `promote_from` to it", promoted},
	{"alike", "environments of one shape", "what passes before production says little of production",
	 "lockstep parity", alike},
	{"secrets", "no secret in the repository",
	 "everybody with the code has the keys, in every clone for ever", "lockstep config import %s .env",
	 secrets_kept_out},
	{"checked", "every server asked whether it works before a deployment counts",
	 "a broken release is noticed by users", "lockstep config show %s   # add `health`", checked},
	{"declared", "every variable declared once, with a source for each environment",
	 "a key is added in production and never in staging", "lockstep config import %s --from-server",
	 declared},
	{"injected", "configuration written by the deployment, not by hand on servers",
	 "files on servers drift apart, and nobody knows what they should say",
	 "lockstep config show %s   # add `files`", injected},
	{"migrated", "migrations applied as part of the deployment", "schemas move apart",
	 "lockstep config show %s   # add a hook under `after_prepare`", migrated},
	{"compared", "environments compared regularly", "staging no longer predicts production",
	 "lockstep parity", compared},
	{"gated", "production closed while it differs from where a release was tested",
	 "a difference that is known is found out by users all the same",
	 "lockstep config show %s   # add `require: {parity_with: …}`", gated},
	{"weekdays", "production deployed to Monday to Thursday, in working hours",
	 "what breaks is found when nobody is there", "lockstep log --env %s", weekdays},
	{"infrastructure", "servers defined in code", "servers are alike by accident", "lockstep checklist",
	 infrastructure},
};

static int look(struct engine *engine, struct practice_view *view, struct err *err)
{
	const struct page page = {.limit = RECENT};

	*view = (struct practice_view){.engine = engine, .project = engine->project};
	if (!engine->project) {
		char here[4096];
		view->dir = getcwd(here, sizeof(here)) ? arena_strdup(&engine->arena, here) : NULL;
		return 0;
	}
	view->dir = engine->project->dir;
	view->last = project_environment(engine->project, engine->project->parity.reference);
	if (!view->last)
		view->last = &engine->project->environments.items[engine->project->environments.count - 1];
	return deployment_list(engine->home.db, &engine->arena, engine->project->name, view->last->name,
			       &page, &view->deployments, err) ||
			       parity_run_list(engine->home.db, &engine->arena, engine->project->name, &page,
					       &view->runs, err) ||
			       parity_finding_list(engine->home.db, &engine->arena, engine->project->name,
						   NULL, &view->findings, err)
		       ? -1
		       : 0;
}

int assess(struct engine *engine, json_t **out, struct err *err)
{
	struct practice_view view;
	json_t *list = json_array(), *next = NULL;
	int64_t good = 0, judged = 0;

	if (look(engine, &view, err)) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(practices); i++) {
		const struct practice *practice = &practices[i];
		const char *seen = "";
		/* Without a project there is nothing else to judge. */
		if (!view.project && i > 0)
			break;
		enum practice_state state = practice->judge(&view, &seen);
		const char *name = view.last ? view.last->name : "";
		char command[256];
		const char *hole = strstr(practice->command, "%s");
		if (hole)
			snprintf(command, sizeof(command), "%.*s%s%s", (int)(hole - practice->command),
				 practice->command, name, hole + 2);
		else
			snprintf(command, sizeof(command), "%s", practice->command);
		json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "practice", practice->name, "text",
					practice->text, "state", state_names[state], "why", practice->why,
					"seen", json_text(slice_of(seen)), "command", command);
		json_array_append_new(list, row);
		good += state == PRACTICE_GOOD;
		judged += state == PRACTICE_GOOD || state == PRACTICE_BAD;
		if (state == PRACTICE_BAD && !next)
			next = row;
	}
	*out = json_pack("{s:o, s:O?, s:I, s:I}", "practices", list, "next", next, "good", (json_int_t)good,
			 "judged", (json_int_t)judged);
	return 0;
}
