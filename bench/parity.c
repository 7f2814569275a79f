/* Asks servers what they are like, again and again over connections that are kept. Prints one
 * JSON object: milliseconds until all are connected, and of each look at all of them.
 *
 *	bench_parity TIMES PATH [DIMENSION]... -- HOST...
 */
#include "base/clock.h"
#include "target/fleet.h"

#include <stdio.h>
#include <stdlib.h>

enum { ONLY_MAX = 16 };

static int fail(const struct err *err)
{
	fprintf(stderr, "%s\n%s\n", err->text, err->hint);
	return 2;
}

int main(int argc, char **argv)
{
	const char *only[ONLY_MAX];
	struct probe_order order = {.only = {.items = only}};
	struct err err = ERR_INIT;
	struct fleet *fleet;
	int at = 3;

	if (argc < 5)
		return 2;
	for (; at < argc && strcmp(argv[at], "--") != 0; at++)
		if (order.only.count < ONLY_MAX)
			only[order.only.count++] = argv[at];
	size_t count = (size_t)(argc - ++at);
	struct place_address *addresses = calloc(count, sizeof(*addresses));
	struct probe_order *each = calloc(count, sizeof(*each));
	for (size_t i = 0; i < count; i++) {
		addresses[i] = (struct place_address){.kind = PLACE_SSH,
						      .host = argv[at + (int)i],
						      .path = argv[2],
						      .text = argv[at + (int)i]};
		each[i] = order;
	}
	struct fleet_options options = {.observe = true};
	int64_t began_us = clock_mono_us();
	if (fleet_open(addresses, count, &options, &fleet, &err))
		return fail(&err);
	printf("{\"connect_ms\": %.1f, \"look_ms\": [", (double)(clock_mono_us() - began_us) / 1e3);
	for (int i = 0; i < atoi(argv[1]); i++) {
		began_us = clock_mono_us();
		if (fleet_probe(fleet, NULL, each, &err))
			return fail(&err);
		printf("%s%.1f", i ? ", " : "", (double)(clock_mono_us() - began_us) / 1e3);
	}
	printf("], \"facts\": %llu}\n", (unsigned long long)fleet_results(fleet, 0)->probe.facts);
	fleet_close(&fleet);
	free(addresses);
	free(each);
	return 0;
}
