/* Resolving the configuration of many environments: 10,000 declared keys, each with a
 * value of its own in each of 50 environments, beside defaults and values of the project,
 * a group and a server; every set is then held against the contract and against the
 * environment that is deployed to. Prints one JSON object; ends with 1 beyond the goals
 * (100 ms of processor, 32 MB). `resolve all` keeps all sets at once instead of one at a time. */
#include "values/resolve.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

enum { KEYS = 10000, ENVIRONMENTS = 50, TIME_MAX_MS = 100, MEMORY_MAX_MB = 32 };

static double now_ms(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double peak_mb(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_maxrss / 1024;
}

struct environment_state {
	struct arena arena;
	struct safe *safe;
	struct candidate *candidates;
	size_t count;
	struct config_set set;
	struct environment_values values;
};

static void add(struct environment_state *state, const char *name, enum value_level level, const char *scope,
		const char *place, size_t environment)
{
	struct err err = ERR_INIT;
	char text[64];
	int len = snprintf(text, sizeof(text), "value-%zu-of-%s", environment, name);
	struct candidate *candidate = &state->candidates[state->count++];
	*candidate = (struct candidate){.name = name, .level = level, .scope = scope, .place = place};
	if (safe_put(state->safe, slice_make(text, (size_t)len), &candidate->value, &err)) {
		fprintf(stderr, "%s\n", err.text);
		_Exit(2);
	}
}

/* What reading providers gives: not part of what is measured. */
static void fill(struct environment_state *state, const struct contract *contract, size_t environment)
{
	state->safe = safe_open();
	state->candidates = ARENA_NEW_ARRAY(&state->arena, KEYS * 2, struct candidate);
	for (size_t i = 0; i < KEYS; i++)
		add(state, contract->keys.items[i].name, LEVEL_ENVIRONMENT, NULL, "vault://kv/shop/x",
		    environment);
	for (size_t i = 0; i < KEYS; i += 4)
		add(state, contract->keys.items[i].name, LEVEL_DEFAULT, NULL, "lockstep.yml:1:1",
		    environment);
	for (size_t i = 0; i < KEYS; i += 4)
		add(state, contract->keys.items[i].name, LEVEL_PROJECT, NULL, "dotenv:common.env",
		    environment);
	for (size_t i = 0; i < KEYS; i += 10)
		add(state, contract->keys.items[i].name, LEVEL_GROUP, "web", "lockstep.yml:2:1", environment);
	for (size_t i = 0; i < KEYS; i += 20)
		add(state, contract->keys.items[i].name, LEVEL_SERVER, "web1", "lockstep.yml:3:1",
		    environment);
}

static void resolve(struct environment_state *state)
{
	static const struct resolve_scope scope = {"web1", "web"};
	struct err err = ERR_INIT;

	candidates_sort(state->candidates, state->count);
	if (config_resolve(&state->arena, state->candidates, state->count, &scope, &state->set, &err)) {
		fprintf(stderr, "%s\n", err.text);
		_Exit(2);
	}
	state->values = (struct environment_values){"environment", &state->set, 1};
}

static void release(struct environment_state *state)
{
	safe_close(&state->safe);
	arena_free(&state->arena);
}

int main(int argc, char **argv)
{
	static struct environment_state states[ENVIRONMENTS];
	bool all = argc > 1 && strcmp(argv[1], "all") == 0;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct contract contract = {.keys = {ARENA_NEW_ARRAY(&arena, KEYS, struct contract_key), KEYS}};
	struct contract_problems problems = {0};
	double wall = 0, cpu = 0, baseline = peak_mb();
	size_t candidates = 0;

	for (size_t i = 0; i < KEYS; i++)
		contract.keys.items[i] = (struct contract_key){
			.name = arena_printf(&arena, "APPLICATION_SETTING_%05zu", i),
			.type = VALUE_STRING,
			.required = {.everywhere = true},
			.unique = i % 2 == 0,
		};
	contract_index(&contract);
	for (size_t e = 0; e < ENVIRONMENTS; e++) {
		struct environment_state *state = &states[e];
		fill(state, &contract, e);
		candidates += state->count;
		double wall_start = now_ms(CLOCK_MONOTONIC), cpu_start = now_ms(CLOCK_PROCESS_CPUTIME_ID);
		resolve(state);
		if (e == 0)
			contract_check(&arena, &contract, &state->values, NULL, 0, &problems);
		else
			contract_check_against(&arena, &contract, &states[0].values, &state->values,
					       &problems);
		wall += now_ms(CLOCK_MONOTONIC) - wall_start;
		cpu += now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
		if (e && !all)
			release(state);
	}
	double peak = peak_mb();
	printf("{\"keys\": %d, \"environments\": %d, \"candidates\": %zu, \"problems\": %zu, \"ms\": %.1f, "
	       "\"cpu_ms\": %.1f, "
	       "\"peak_mb\": %.1f, \"baseline_mb\": %.1f}\n",
	       KEYS, ENVIRONMENTS, candidates, problems.count, wall, cpu, peak, baseline);
	for (size_t e = 0; e < ENVIRONMENTS; e++)
		release(&states[e]);
	return cpu > TIME_MAX_MS || peak > MEMORY_MAX_MB;
}
