/* Comparing the facts of many environments: 50 snapshots of 1,000,000 facts, read from
 * files, in which a thousandth of the facts differs, every variable has another value in
 * each environment, and here and there one is missing or was not looked at. Prints one
 * JSON object; ends with 1 beyond the goals (100 ns of processor a fact, 64 MB). `--quick`
 * has 50 snapshots of 50,000 facts, `--keep` gathers findings as `lockstep parity` does. */
#include "fact/finding.h"

#include "base/fd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { ENVIRONMENTS = 50, FACTS = 1000000, FACTS_QUICK = 50000, NS_MAX = 100, MEMORY_MAX_MB = 64 };

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

static void die(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	_Exit(2);
}

static int put(void *context, struct slice bytes, struct err *err)
{
	return fd_write_all(*(int *)context, bytes.ptr, bytes.len, err);
}

static uint64_t scramble(uint64_t number)
{
	number = (number ^ (number >> 31)) * 0x9e3779b97f4a7c15u;
	return number ^ (number >> 29);
}

static void fill_digest(char out[DIGEST_LEN], uint64_t number)
{
	for (int i = 0; i < DIGEST_LEN / 8; i++) {
		number = scramble(number + 1);
		memcpy(out + (size_t)i * 8, &number, 8);
	}
}

static void write_fact(struct fact_writer *writer, const char *key, enum fact_kind kind, struct slice value)
{
	struct err err = ERR_INIT;
	struct fact fact = {.key = slice_of(key), .kind = kind, .value = value};
	if (fact_write(writer, &fact, &err))
		die(&err);
}

/* A file has a digest, a mode and an owner; nine in ten facts are of files. */
static void write_files(struct fact_writer *writer, size_t environment, size_t count)
{
	char key[160], digest[DIGEST_LEN];

	for (size_t i = 0; i < count; i++) {
		bool differs = scramble(i * ENVIRONMENTS + environment) % 1000 == 0;
		if (scramble(i * 64 + environment) % 20000 == 7)
			continue;
		snprintf(key, sizeof(key), "file/vendor/package-%05zu/src/Module/Class%04zu.php/content",
			 i / 100, i % 100);
		char *attribute = strrchr(key, '/') + 1;
		fill_digest(digest, differs ? i * 64 + environment + 1 : i << 20);
		write_fact(writer, key, FACT_DIGEST, slice_make(digest, DIGEST_LEN));
		memcpy(attribute, "mode", sizeof("mode"));
		write_fact(writer, key, FACT_TEXT, SLICE("0644"));
		memcpy(attribute, "owner", sizeof("owner"));
		write_fact(writer, key, FACT_TEXT, SLICE("deploy:www-data"));
	}
}

static void write_snapshot(int fd, size_t environment, size_t facts)
{
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct err err = ERR_INIT;
	char key[160], value[DIGEST_LEN + 1];

	fact_writer_init(&writer, put, &fd);
	for (size_t i = 0; i < facts * 4 / 100; i++) {
		snprintf(key, sizeof(key), "db/main/table/table_%04zu/column/column_%02zu/type", i / 20,
			 i % 20);
		write_fact(&writer, key, FACT_TEXT, SLICE("character varying(255)"));
	}
	for (size_t i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "env/APPLICATION_SETTING_%04zu/value", i);
		fill_digest(value, i * 64 + environment);
		write_fact(&writer, key, FACT_HMAC, slice_make(value, DIGEST_LEN));
	}
	write_files(&writer, environment, facts * 90 / 100 / 3);
	if (environment % 3 == 0)
		write_fact(&writer, "net/firewall/", FACT_NOT_CHECKED, SLICE("needs root"));
	for (size_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "net/firewall/chain-%03zu/rules", i);
		if (environment % 3)
			write_fact(&writer, key, FACT_TEXT, SLICE("drop"));
	}
	for (size_t i = 0; writer.count < facts; i++) {
		snprintf(key, sizeof(key), "pkg/package-%06zu/version", i);
		snprintf(value, sizeof(value), "1:2.%zu-9+deb12u10", i % 50);
		write_fact(&writer, key, FACT_VERSION, slice_of(value));
	}
	if (fact_writer_end(&writer, &err))
		die(&err);
}

static int visit(void *context, const struct compare_row *row, struct err *err)
{
	(void)row;
	(void)err;
	++*(uint64_t *)context;
	return 0;
}

int main(int argc, char **argv)
{
	bool quick = false, gather = false;
	for (int i = 1; i < argc; i++) {
		quick |= strcmp(argv[i], "--quick") == 0;
		gather |= strcmp(argv[i], "--keep") == 0;
	}
	static const char *names[ENVIRONMENTS];
	static struct compare_column columns[ENVIRONMENTS];
	size_t facts = quick ? FACTS_QUICK : FACTS;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(rule_book_free) struct rule_book *book = rule_book_new(NULL, 0, 0);
	uint64_t bytes = 0, shown = 0;
	struct err err = ERR_INIT;

	for (size_t e = 0; e < ENVIRONMENTS; e++) {
		char path[4096];
		const char *folder = getenv("TMPDIR");
		snprintf(path, sizeof(path), "%s/lockstep-bench-XXXXXX", folder ? folder : "/tmp");
		int fd = mkstemp(path);
		if (fd < 0) {
			perror(path);
			return 2;
		}
		unlink(path);
		write_snapshot(fd, e, facts);
		bytes += (uint64_t)lseek(fd, 0, SEEK_CUR);
		names[e] = arena_printf(&arena, "environment-%02zu", e);
		columns[e] = (struct compare_column){
			.environment = e, .server = names[e], .reader = fact_reader_of_fd(fd)};
	}
	struct compare_input input = {
		.environments = names,
		.environment_count = ENVIRONMENTS,
		.columns = columns,
		.column_count = ENVIRONMENTS,
		.rules = book,
	};
	struct compare_totals totals;
	struct findings findings = {0};
	double wall = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
	if (gather ? findings_gather(&arena, &input, &findings, &err)
		   : compare_run(&input, false, visit, &shown, &totals, &err))
		die(&err);
	wall = now_ms(CLOCK_MONOTONIC) - wall;
	cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (gather)
		totals = findings.totals;
	double ns = cpu * 1e6 / (double)totals.facts, peak = peak_mb();
	printf("{\"environments\": %d, \"facts\": %" PRIu64 ", \"rows\": %" PRIu64 ", \"same\": %" PRIu64
	       ", \"shown\": %" PRIu64
	       ", \"findings\": %zu, \"snapshot_mb\": %.1f, \"ms\": %.0f, \"cpu_ms\": %.0f, "
	       "\"ns_per_fact\": %.1f, \"seconds_per_10_million\": %.2f, \"peak_mb\": %.1f}\n",
	       ENVIRONMENTS, totals.facts, totals.rows, totals.same, shown, findings.count,
	       (double)bytes / 1e6 / ENVIRONMENTS, wall, cpu, ns, ns / 100, peak);
	for (size_t e = 0; e < ENVIRONMENTS; e++)
		fact_reader_free(&columns[e].reader);
	return ns > NS_MAX || peak > MEMORY_MAX_MB;
}
