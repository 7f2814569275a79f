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

const char *const *run_environment(struct run *run, size_t *count)
{
	const struct value_list *values = &run->environment->values;
	const char **env = ARENA_NEW_ARRAY(&run->engine->arena, values->count, const char *);

	for (size_t i = 0; i < values->count; i++)
		env[i] = arena_printf(&run->engine->arena, "%s=%s", values->items[i].name, values->items[i].text);
	*count = values->count;
	return env;
}

int run_hooks(struct run *run, enum hook_point point, const char *dir, struct err *err)
{
	const struct hook_list *list = &run->environment->delivery.hooks.points[point];
	const char *name = hook_point_name(point);
	size_t env_count;

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
		const char *const *env = run_environment(run, &env_count);
		const struct run_request request = {
			.deployment = run->deployment,
			.point = name,
			.command = hook->run,
			.as = hook->as,
			.index = i,
			.dir = dir,
			.env = { env, env_count },
			.on_retry = hook->on_retry == HOOK_RETRY_RUN    ? "run"
				    : hook->on_retry == HOOK_RETRY_SKIP ? "skip"
									: "ask",
			.timeout_ms = hook->timeout_ms,
		};
		if (fleet_run(run->fleet, which, &request, err))
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
	size_t env_count;

	for (size_t i = list->count; i > 0; i--) {
		const struct hook *hook = &list->items[i - 1];
		if (!hook->on_go_back)
			continue;
		bool *which = servers_of_group(&run->engine->arena, run->environment, hook->group, hook->where == HOOK_ONCE);
		for (size_t s = 0; s < run->count; s++)
			which[s] = which[s] && run_takes_part(run, s);
		const char *const *env = run_environment(run, &env_count);
		const struct run_request request = {
			.deployment = run->deployment,
			.point = "on_go_back",
			.command = hook->on_go_back,
			.as = hook->as,
			.index = 1000 + (size_t)point * 100 + i,
			.dir = dir,
			.env = { env, env_count },
			.on_retry = "run",
			.timeout_ms = hook->timeout_ms,
		};
		if (fleet_run(run->fleet, which, &request, &err) || hook_failed(run, "on_go_back", hook, which, &err))
			event_note(&run->engine->events, "warn", "on the way back: %s", err.text);
	}
}
