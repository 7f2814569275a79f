/* Hooks: which run where, and what undoes them on the way back. */
#include "engine/run.h"

static int hook_failed(struct run *run, const char *point, const struct hook *hook, const bool *which, struct err *err)
{
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!which[i] || !results || (results->run.status == 0 && !results->run.timed_out))
			continue;
		const char *server = run->environment->servers.items[i].place.text;
		if (results->run.timed_out)
			err_set(err, ERR_FAILED, "%s: the hook %s took longer than %lld s: %s", server, point,
				(long long)(hook->timeout_ms / 1000), hook->run);
		else
			err_set(err, ERR_FAILED, "%s: the hook %s ended with status %d: %s", server, point,
				results->run.status, hook->run);
		return err_hint(err, "what it printed stands above; `lockstep log %s` shows it again", run->deployment);
	}
	return 0;
}

void run_variables(struct run *run, size_t server, struct variables *out)
{
	const struct value_list *values = &run->environment->values;

	if (run->configuration && run->configuration->sets) {
		configuration_variables(run->configuration, server, out);
		return;
	}
	const char **plain = ARENA_NEW_ARRAY(&run->engine->arena, values->count, const char *);
	for (size_t i = 0; i < values->count; i++)
		plain[i] = arena_printf(&run->engine->arena, "%s=%s", values->items[i].name, values->items[i].text);
	*out = (struct variables){ .plain = { plain, values->count } };
}

static int run_with_variables(struct run *run, size_t server, const bool *which, struct run_request *request,
			      struct err *err)
{
	struct variables variables;

	run_variables(run, server, &variables);
	request->env = variables.plain;
	request->secret_env = variables.secret;
	request->secret_env_count = variables.secret_count;
	return fleet_run(run->fleet, which, request, err);
}

int run_with_own_variables(struct run *run, const bool *which, struct run_request *request, struct err *err)
{
	bool *only = ARENA_NEW_ARRAY(&run->engine->arena, run->count, bool);

	if (!run->configuration || !run->configuration->sets || configuration_uniform(run->configuration))
		return run_with_variables(run, 0, which, request, err);
	/* One request is the same for all servers; those with variables of their own get their own. */
	for (size_t i = 0; i < run->count; i++) {
		if (!which[i])
			continue;
		only[i] = true;
		if (run_with_variables(run, i, only, request, err))
			return -1;
		only[i] = false;
	}
	return 0;
}

int run_hooks(struct run *run, enum hook_point point, const char *dir, struct err *err)
{
	const struct hook_list *list = &run->environment->delivery.hooks.points[point];
	const char *name = hook_point_name(point);

	if (list->count == 0)
		return 0;
	event_step(&run->engine->events, name, NULL);
	for (size_t i = 0; i < list->count; i++) {
		const struct hook *hook = &list->items[i];
		bool *which = servers_of_group(&run->engine->arena, run->environment, hook->group, hook->where == HOOK_ONCE);
		bool any = false;
		for (size_t s = 0; s < run->count; s++) {
			which[s] = which[s] && run_takes_part(run, s);
			any = any || which[s];
		}
		if (!any)
			continue;
		struct run_request request = {
			.deployment = run->deployment,
			.point = name,
			.command = hook->run,
			.as = hook->as,
			.index = i,
			.dir = dir,
			.on_retry = hook->on_retry == HOOK_RETRY_RUN    ? "run"
				    : hook->on_retry == HOOK_RETRY_SKIP ? "skip"
									: "ask",
			.timeout_ms = hook->timeout_ms,
		};
		if (run_with_own_variables(run, which, &request, err))
			return err_wrap(err, "hook %s", name);
		if (hook_failed(run, name, hook, which, err))
			return -1;
	}
	return 0;
}

/* What undoes hooks that ran before: their own `on_go_back` commands, in reverse. */
void run_undo_hooks(struct run *run, enum hook_point point, const char *dir)
{
	const struct hook_list *list = &run->environment->delivery.hooks.points[point];
	struct err err = ERR_INIT;

	for (size_t i = list->count; i > 0; i--) {
		const struct hook *hook = &list->items[i - 1];
		if (!hook->on_go_back)
			continue;
		bool *which = servers_of_group(&run->engine->arena, run->environment, hook->group, hook->where == HOOK_ONCE);
		for (size_t s = 0; s < run->count; s++)
			which[s] = which[s] && run_takes_part(run, s);
		struct run_request request = {
			.deployment = run->deployment,
			.point = "on_go_back",
			.command = hook->on_go_back,
			.as = hook->as,
			.index = 1000 + (size_t)point * 100 + i,
			.dir = dir,
			.on_retry = "run",
			.timeout_ms = hook->timeout_ms,
		};
		if (run_with_own_variables(run, which, &request, &err) || hook_failed(run, "on_go_back", hook, which, &err))
			event_note(&run->engine->events, "warn", "on the way back: %s", err.text);
	}
}
