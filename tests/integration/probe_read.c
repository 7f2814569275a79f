/* One look at one place, for tests that look at probes alone: prints its snapshot, a line a
 * fact: key TAB kind TAB value, "evidence " before the kind of what is not compared.
 *
 *	probe_read (PATH | [USER@]HOST:PORT:PATH) [--only DIMENSION]... [--user U] [--reload R]...
 *	           [--path P]... [--env-file F]... [--name N]... [--generated G]... [--rendered R]...
 *	           [--helper H] [--times N | --on-request]
 *
 * With --times the place is asked so often over one line; the last answer is printed. With
 * --on-request it is asked for each line of standard input, and an empty line ends each answer.
 * What each took goes to standard error in milliseconds. */
#include "base/clock.h"
#include "base/random.h"
#include "fact/snapshot.h"
#include "target/fleet.h"

#include <stdio.h>
#include <stdlib.h>

enum { LISTED_MAX = 64 };

struct list {
	const char *items[LISTED_MAX];
	size_t count;
};

static void put_bytes(struct buf *out, const struct fact *fact)
{
	char hex[2 * DIGEST_LEN + 1];

	if ((fact->kind == FACT_DIGEST || fact->kind == FACT_HMAC) && fact->value.len == DIGEST_LEN) {
		hex_encode((const uint8_t *)fact->value.ptr, DIGEST_LEN, hex);
		buf_puts(out, hex);
	} else {
		fact_put_value(out, fact);
	}
}

static int print_facts(int fd, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(fd);
	struct fact fact;
	int got;

	while ((got = fact_next(reader, &fact, err)) > 0) {
		AUTO(buf_free) struct buf line = BUF_INIT(MIB(1));
		buf_put_visible(&line, fact.key);
		buf_printf(&line, "\t%s%s%s\t", fact.evidence ? "evidence " : "", fact.weak ? "weak " : "",
			   fact_kind_name(fact.kind));
		put_bytes(&line, &fact);
		puts(buf_str(&line));
	}
	return got;
}

static struct place_address address_of(char *text)
{
	struct place_address address = {.kind = PLACE_LOCAL, .path = text, .text = text};
	char *at = strchr(text, '@'), *colon = strchr(text, ':');

	if (!colon)
		return address;
	static char whole[4096];
	snprintf(whole, sizeof(whole), "%s", text);
	address.text = whole;
	address.kind = PLACE_SSH;
	if (at && at < colon) {
		*at = 0;
		address.user = text;
		text = at + 1;
	}
	*colon = 0;
	address.host = text;
	address.port = (uint16_t)strtoul(colon + 1, &colon, 10);
	ASSERT(*colon == ':');
	address.path = colon + 1;
	return address;
}

static int look(struct fleet *fleet, const struct probe_order *order, struct err *err)
{
	int64_t began_us = clock_mono_us();

	if (fleet_probe(fleet, NULL, order, err))
		return -1;
	const struct probe_result *result = &fleet_results(fleet, 0)->probe;
	fprintf(stderr, "took %.1f ms (there: %lld), %llu facts, %llu bytes, clock %lld ms, received %llu\n",
		(double)(clock_mono_us() - began_us) / 1000, (long long)result->duration_ms,
		(unsigned long long)result->facts, (unsigned long long)result->bytes,
		(long long)result->clock_offset_ms,
		(unsigned long long)link_bytes_received(fleet_link(fleet, 0)));
	return 0;
}

static int answer(struct fleet *fleet, const struct probe_order *order, struct err *err)
{
	if (look(fleet, order, err) || print_facts(fleet_results(fleet, 0)->probe.fd, err))
		return -1;
	puts("");
	return fflush(stdout) ? err_errno(err, "standard output") : 0;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "%s\n%s\n", err->text, err->hint);
	return err->code;
}

int main(int argc, char **argv)
{
	struct list only = {0}, reloads = {0}, paths = {0}, env_files = {0}, names = {0}, generated = {0},
		    rendered = {0};
	const struct {
		const char *name;
		struct list *list;
	} lists[] = {{"--only", &only},		 {"--reload", &reloads}, {"--path", &paths},
		     {"--env-file", &env_files}, {"--name", &names},	 {"--generated", &generated},
		     {"--rendered", &rendered}};
	struct probe_order order = {0};
	struct fleet *fleet;
	struct err err = ERR_INIT;
	int times = 1;
	bool on_request = strcmp(argv[argc - 1], "--on-request") == 0;

	if (argc < 2)
		return 2;
	struct place_address address = address_of(argv[1]);
	for (int i = 2; i + 1 < argc; i += 2) {
		for (size_t j = 0; j < ARRAY_LEN(lists); j++)
			if (strcmp(argv[i], lists[j].name) == 0 && lists[j].list->count < LISTED_MAX)
				lists[j].list->items[lists[j].list->count++] = argv[i + 1];
		if (strcmp(argv[i], "--user") == 0)
			order.user = argv[i + 1];
		if (strcmp(argv[i], "--helper") == 0)
			order.helper = argv[i + 1];
		if (strcmp(argv[i], "--times") == 0)
			times = atoi(argv[i + 1]);
	}
	order.only = (struct text_list){only.items, only.count};
	order.reloads = (struct text_list){reloads.items, reloads.count};
	order.paths = (struct text_list){paths.items, paths.count};
	order.env_files = (struct text_list){env_files.items, env_files.count};
	order.names = (struct text_list){names.items, names.count};
	order.generated = (struct text_list){generated.items, generated.count};
	order.rendered = (struct text_list){rendered.items, rendered.count};
	memset(order.run_key, 7, sizeof(order.run_key));
	memset(order.kept_key, 8, sizeof(order.kept_key));
	order.has_kept_key = true;
	struct fleet_options options = {.observe = true};
	if (fleet_open(&address, 1, &options, &fleet, &err))
		return fail(&err);
	char line[8];
	while (on_request && fgets(line, sizeof(line), stdin))
		if (answer(fleet, &order, &err))
			return fail(&err);
	for (int i = 0; i < times && !on_request; i++)
		if (look(fleet, &order, &err))
			return fail(&err);
	if (!on_request && print_facts(fleet_results(fleet, 0)->probe.fd, &err))
		return fail(&err);
	fleet_close(&fleet);
	return 0;
}
