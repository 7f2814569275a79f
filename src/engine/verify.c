/* Verification: every server is asked itself, past balancers. */
#include "engine/run.h"

#include "base/clock.h"

#include <stdio.h>

enum { HEALTH_PAUSE_MS = 250 };

/* One look at every server in `waiting`; clears those that passed. */
static int look(struct run *run, const struct health *health, bool *waiting, int64_t left_ms, struct err *err)
{
	struct arena *arena = &run->engine->arena;

	if (health->kind == HEALTH_URL) {
		struct http_request request = {
			.url = health->url,
			.body_contains = health->body,
			.status = (int)health->status,
			.timeout_ms = MAX(MIN(left_ms, (int64_t)10000), (int64_t)500),
		};
		if (health->address) {
			const char *colon = strrchr(health->address, ':');
			uint64_t port = 0;
			size_t len = colon ? (size_t)(colon - health->address) : strlen(health->address);
			if (colon && slice_to_u64(slice_of(colon + 1), &port) && port <= UINT16_MAX)
				request.connect_port = (uint16_t)port;
			struct slice host = slice_make(health->address, len);
			if (host.len > 2 && host.ptr[0] == '[')
				host = slice_make(host.ptr + 1, host.len - 2);
			request.connect_host = arena_str(arena, host);
		}
		if (fleet_check_http(run->fleet, waiting, &request, err))
			return -1;
	} else {
		struct run_request request = {
			.deployment = run->deployment,
			.point = "health",
			.command = health->command,
			.dir = "live",
			.on_retry = "run",
			.timeout_ms = MAX(left_ms, (int64_t)500),
		};
		if (run_with_own_variables(run, waiting, &request, err))
			return -1;
	}
	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!waiting[i] || !results)
			continue;
		bool passed = health->kind == HEALTH_URL ? results->http.passed
							 : results->run.status == 0 && !results->run.timed_out;
		if (passed) {
			waiting[i] = false;
			event_server(&run->engine->events, run->environment->servers.items[i].place.text, "verify", "done",
				     NULL);
		}
	}
	return 0;
}

static int say_unhealthy(struct run *run, const struct health *health, const bool *waiting, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	for (size_t i = 0; i < run->count; i++) {
		const struct link_results *results = fleet_results(run->fleet, i);
		if (!waiting[i])
			continue;
		const char *server = run->environment->servers.items[i].place.text;
		buf_printf(&text, "%s%s failed its health check: ", text.len ? "\n" : "", server);
		if (health->kind == HEALTH_URL)
			buf_printf(&text, "%s: %s", health->url,
				   results && results->http.why ? results->http.why : "no answer");
		else if (results && results->run.timed_out)
			buf_printf(&text, "`%s` took too long", health->command);
		else
			buf_printf(&text, "`%s` ended with status %d", health->command, results ? results->run.status : -1);
		event_server(&run->engine->events, server, "verify", "failed", NULL);
	}
	return err_set(err, ERR_FAILED, "%s (tried for %lld s)", buf_str(&text), (long long)(health->within_ms / 1000));
}

/* Each server itself, until it passes or its time is over. */
int run_verify(struct run *run, struct err *err)
{
	const struct health *health = &run->environment->delivery.health;
	bool *waiting = ARENA_NEW_ARRAY(&run->engine->arena, run->count, bool);
	int64_t until = clock_mono_ms() + health->within_ms;

	run->receipt = health->kind == HEALTH_URL ? "http" : health->kind == HEALTH_COMMAND ? "command" : "none";
	if (health->kind != HEALTH_URL && health->kind != HEALTH_COMMAND)
		return 0;
	event_step(&run->engine->events, "verify", health->kind == HEALTH_URL ? health->url : health->command);
	for (size_t i = 0; i < run->count; i++)
		waiting[i] = run_takes_part(run, i);
	for (;;) {
		if (look(run, health, waiting, until - clock_mono_ms(), err))
			return err_wrap(err, "health check");
		bool any = false;
		for (size_t i = 0; i < run->count; i++)
			any = any || waiting[i];
		if (!any)
			return 0;
		if (clock_mono_ms() >= until)
			return say_unhealthy(run, health, waiting, err);
		if (fleet_wait(run->fleet, HEALTH_PAUSE_MS, err))
			return -1;
	}
}
