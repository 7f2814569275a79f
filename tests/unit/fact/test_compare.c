/* Claims about comparing: the state of every cell, every kind of rule, servers and groups,
 * what was not checked, and that the merge tells what a naive comparison tells. */
#include "snap.h"

#include <stdlib.h>

/* One line a row: "key state: environment states | column states". */
static int write_row(void *context, const struct compare_row *row, struct err *err)
{
	struct bench *bench = ((void **)context)[0];
	struct buf *out = ((void **)context)[1];
	(void)err;
	buf_put_slice(out, row->key);
	if (row->is_evidence) {
		buf_puts(out, " evidence\n");
		return 0;
	}
	buf_printf(out, " %s", cell_state_name(row->state));
	if (row->within)
		buf_puts(out, " within");
	buf_puts(out, ":");
	for (size_t i = 0; i < bench->input.environment_count; i++)
		buf_printf(out, " %s", cell_state_name(row->environments[i].state));
	if (bench->input.column_count > bench->input.environment_count)
		buf_puts(out, " |");
	for (size_t i = 0;
	     i < bench->input.column_count && bench->input.column_count > bench->input.environment_count; i++)
		buf_printf(out, " %s", cell_state_name(row->cells[i].state));
	buf_puts(out, "\n");
	return 0;
}

static struct compare_totals run_all(struct bench *bench, bool every, struct buf *out)
{
	void *context[] = {bench, out};
	struct compare_totals totals;
	struct err err = ERR_INIT;

	if (compare_run(&bench->input, every, write_row, context, &totals, &err))
		fail_msg("%s", err.text);
	return totals;
}

static struct compare_totals check(const struct snap *snaps, size_t count, const struct rule *own,
				   size_t own_count, bool every, const char *expected)
{
	AUTO(bench_free) struct bench bench;
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);

	bench_set(&bench, snaps, count, "production", own, own_count);
	struct compare_totals totals = run_all(&bench, every, &out);
	assert_string_equal(buf_str(&out), expected);
	return totals;
}

static void every_state_of_a_cell(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging",
		 .facts = "os/release/version=11\nos/timezone=UTC\nhw/cpus=2\nruntime/php/ext/intl=8.3\n"
			  "!net/firewall/=needs root\n!os/sysctl/vm.x=denied"},
		{.environment = "production",
		 .facts = "os/release/version=12\nos/timezone=UTC\nhw/cpus=8\nruntime/php/ext/vips=1\n"
			  "net/firewall/in/rules=drop\nos/sysctl/vm.x=1"},
		{.environment = "dev", .stale = true, .facts = "os/release/version=12\nos/timezone=UTC"},
	};
	(void)state;
	struct compare_totals totals = check(snaps, 2, NULL, 0, true,
					     "hw/cpus allowed: allowed same\n"
					     "net/firewall/in/rules not_checked: not_checked same\n"
					     "os/release/version drift: drift same\n"
					     "os/sysctl/vm.x not_checked: not_checked same\n"
					     "os/timezone same: same same\n"
					     "runtime/php/ext/intl missing: drift missing\n"
					     "runtime/php/ext/vips missing: missing same\n");
	assert_int_equal(totals.rows, 7);
	assert_int_equal(totals.same, 1);
	assert_int_equal(totals.allowed, 1);
	assert_int_equal(totals.drift, 1);
	assert_int_equal(totals.missing, 2);
	assert_int_equal(totals.not_checked, 2);
	assert_int_equal(totals.facts, 12);
	assert_int_equal(compare_coverage(&totals), 71);
	totals = check(&snaps[1], 2, NULL, 0, false,
		       "hw/cpus stale: same stale\n"
		       "net/firewall/in/rules stale: same stale\n"
		       "os/release/version stale: same stale\n"
		       "os/sysctl/vm.x stale: same stale\n"
		       "os/timezone stale: same stale\n"
		       "runtime/php/ext/vips stale: same stale\n");
	assert_int_equal(totals.stale, 6);
	assert_int_equal(compare_coverage(&totals), 0);
}

static void a_reference_that_was_not_seen_makes_nothing_green(void **state)
{
	static const struct snap unchecked[] = {
		{.environment = "staging", .facts = "os/a=1\nenv/X/present=yes"},
		{.environment = "production", .facts = "!os/=denied\n!env/=denied"},
	};
	static const struct snap stale[] = {
		{.environment = "staging", .facts = "os/a=1\n"},
		{.environment = "production", .facts = "os/a=1\n", .stale = true},
	};
	(void)state;
	check(unchecked, 2, NULL, 0, false,
	      "env/X/present not_checked: allowed not_checked\nos/a not_checked: not_checked not_checked\n");
	check(stale, 2, NULL, 0, false, "os/a stale: stale stale\n");
}

static void ranges_nest_and_end_where_they_must(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging",
		 .facts = "!net/=a\n!net/firewall/=b\nnet/firewall/seen=1\n!tls/=nobody has it\nos/z=1"},
		{.environment = "production",
		 .facts =
			 "net/firewall/seen=1\nnet/firewall/x=1\nnet/listen/x=1\nnet0/a=1\nnetx/a=1\nos/z=1"},
	};
	(void)state;
	/* "net0" begins like "net" but not like "net/". */
	struct compare_totals totals = check(snaps, 2, NULL, 0, true,
					     "net/firewall/seen same: same same\n"
					     "net/firewall/x not_checked: not_checked same\n"
					     "net/listen/x not_checked: not_checked same\n"
					     "net0/a missing: missing same\n"
					     "netx/a missing: missing same\n"
					     "os/z same: same same\n"
					     "tls/ not_checked: not_checked same\n");
	assert_int_equal(totals.not_checked, 3);
}

static int first_why(void *context, const struct compare_row *row, struct err *err)
{
	struct buf *out = context;
	(void)err;
	buf_printf(out, "%.*s <- %.*s (%s)\n", SLICE_ARG(row->key), SLICE_ARG(row->cells[0].range),
		   row->cells[0].why ? row->cells[0].why : "");
	return 0;
}

static void the_innermost_range_says_why(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging", .facts = "!net/=outer\n!net/b/=inner\n!net/d/x=itself"},
		{.environment = "production", .facts = "net/a/x=1\nnet/b/x=1\nnet/c/x=1\nnet/d/x=1"},
	};
	AUTO(bench_free) struct bench bench;
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
	struct compare_totals totals;
	struct err err = ERR_INIT;
	(void)state;
	bench_set(&bench, snaps, 2, "production", NULL, 0);
	assert_int_equal(compare_run(&bench.input, false, first_why, &out, &totals, &err), 0);
	assert_string_equal(buf_str(&out), "net/a/x <- net/ (outer)\nnet/b/x <- net/b/ (inner)\n"
					   "net/c/x <- net/ (outer)\nnet/d/x <- net/d/x (itself)\n");
}

static void a_range_of_both_is_one_row(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging", .facts = "!net/=a\n!net/x/=b\n!net/y/=b"},
		{.environment = "production", .facts = "!net/=a\n!net/x/=b\nos/a=1"},
		{.environment = "dev", .facts = ""},
	};
	(void)state;
	check(snaps, 2, NULL, 0, false,
	      "net/x/ not_checked: not_checked not_checked\nnet/y/ not_checked: not_checked not_checked\n"
	      "os/a missing: missing same\n");
}

/* What runs in an engine that is closed to us is not "the same" because its version is. */
static void a_range_of_both_is_told_though_both_have_facts_in_it(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging",
		 .facts = "!container/=closed\ncontainer/docker/version=20\nos/a=1"},
		{.environment = "production",
		 .facts = "!container/=closed\ncontainer/docker/version=20\nos/a=1"},
	};
	(void)state;
	struct compare_totals totals =
		check(snaps, 2, NULL, 0, false, "container/ not_checked: not_checked not_checked\n");
	assert_int_equal(totals.same, 2);
	assert_int_equal(totals.not_checked, 1);
}

static void servers_of_one_group_must_be_alike(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging", .server = "s1", .facts = "os/a=1\nos/b=1"},
		{.environment = "production", .server = "p1", .facts = "os/a=1\nos/b=1\nenv/X/value=1"},
		{.environment = "production", .server = "p2", .facts = "os/a=2\nenv/X/value=2"},
	};
	(void)state;
	/* What equals one of the reference's is not the one that is wrong. */
	check(snaps, 3, NULL, 0, false,
	      "env/X/value missing within: missing drift | missing same same\n"
	      "os/a drift within: same drift | same same same\n"
	      "os/b drift within: same drift | same same missing\n");
}

static void groups_are_held_against_their_own(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging",
		 .server = "s1",
		 .group = "web",
		 .facts = "pkg/nginx/version=1\nos/a=1"},
		{.environment = "staging",
		 .server = "s2",
		 .group = "job",
		 .facts = "pkg/redis/version=6\nos/a=1"},
		{.environment = "production",
		 .server = "p1",
		 .group = "web",
		 .facts = "pkg/nginx/version=1\nos/a=1"},
		{.environment = "production",
		 .server = "p2",
		 .group = "job",
		 .facts = "pkg/redis/version=7\nos/a=1"},
	};
	static const struct snap flat[] = {
		{.environment = "staging", .server = "s1", .facts = "pkg/nginx/version=1\nos/a=1"},
		{.environment = "production",
		 .server = "p1",
		 .group = "web",
		 .facts = "pkg/nginx/version=1\nos/a=1"},
		{.environment = "production",
		 .server = "p2",
		 .group = "job",
		 .facts = "pkg/redis/version=7\nos/a=1"},
	};
	static const struct snap apart[] = {
		{.environment = "staging", .server = "s1", .group = "web", .facts = "os/a=1"},
		{.environment = "staging", .server = "seen", .group = "@", .facts = "http/{host}/status=500"},
		{.environment = "production", .server = "p1", .group = "web", .facts = "os/a=1"},
		{.environment = "production",
		 .server = "seen",
		 .group = "@",
		 .facts = "http/{host}/status=200"},
	};
	(void)state;
	check(snaps, 4, NULL, 0, false, "pkg/redis/version drift: drift same | same drift same same\n");
	check(flat, 3, NULL, 0, false, "pkg/redis/version missing: missing same | missing same same\n");
	check(apart, 4, NULL, 0, false, "http/{host}/status drift: drift same | same drift same same\n");
}

#define TWO(a, b)                                                                                            \
	{                                                                                                    \
		{.environment = "staging", .facts = (a)}, {.environment = "production", .facts = (b)},       \
	}

static void every_kind_of_rule(void **state)
{
	static const char *const words[] = {"a", "b"}, *const live[] = {"production"};
	static const struct {
		struct rule rule;
		const char *staging, *production, *expected; /* the row's state; "": not shown */
	} cases[] = {
		{{.fact = "os/*", .kind = RULE_SAME}, "os/x=1", "os/x=1", ""},
		{{.fact = "hw/*", .kind = RULE_SAME}, "hw/x=1", "hw/x=2", "drift"},
		{{.fact = "os/*", .kind = RULE_UNIQUE}, "os/x=1", "os/x=1", "drift"},
		{{.fact = "os/*", .kind = RULE_UNIQUE}, "os/x=1", "os/x=2", "allowed"},
		{{.fact = "os/*", .kind = RULE_UNIQUE}, "", "os/x=2", "missing"},
		{{.fact = "os/*", .kind = RULE_RATIO, .ratio = 0.5},
		 "#os/x=4 GB",
		 "#os/x=8192 MB",
		 "allowed"},
		{{.fact = "os/*", .kind = RULE_RATIO, .ratio = 0.5}, "#os/x=3 GB", "#os/x=8192 MB", "drift"},
		{{.fact = "os/*", .kind = RULE_RATIO, .ratio = 0.5}, "#os/x=99 GB", "#os/x=8 GB", "allowed"},
		{{.fact = "os/*", .kind = RULE_RATIO, .ratio = 0.5, .both = true},
		 "#os/x=99 GB",
		 "#os/x=8 GB",
		 "drift"},
		{{.fact = "os/*", .kind = RULE_RATIO, .ratio = 0.5}, "#os/x=4 s", "#os/x=4 GB", "drift"},
		{{.fact = "os/*", .kind = RULE_RATIO, .ratio = 0.5}, "os/x=four", "#os/x=4", "drift"},
		{{.fact = "os/*", .kind = RULE_MINOR}, "os/x=8.3.6", "os/x=8.3.1", "allowed"},
		{{.fact = "os/*", .kind = RULE_MINOR}, "os/x=8.2.6", "os/x=8.3.6", "drift"},
		{{.fact = "os/*", .kind = RULE_MAJOR}, "os/x=8.2.6", "os/x=8.3.6", "allowed"},
		{{.fact = "os/*", .kind = RULE_MAJOR}, "os/x=7.4", "os/x=8.3", "drift"},
		{{.fact = "os/*", .kind = RULE_ONE_OF, .words = words, .word_count = 2},
		 "os/x=a",
		 "os/x=b",
		 "allowed"},
		{{.fact = "os/*", .kind = RULE_ONE_OF, .words = words, .word_count = 2},
		 "os/x=c",
		 "os/x=b",
		 "drift"},
		{{.fact = "os/*", .kind = RULE_ONE_OF, .words = words, .word_count = 2},
		 "os/x=c",
		 "os/x=c",
		 "drift"},
		{{.fact = "os/*", .kind = RULE_ONE_OF, .words = words, .word_count = 2},
		 "os/x=a",
		 "os/x=a",
		 ""},
		{{.fact = "env/*", .kind = RULE_ONE_OF, .words = words, .word_count = 2},
		 "%env/x=a",
		 "%env/x=a",
		 "not_checked"},
		{{.fact = "os/*", .kind = RULE_LIVE_ONLY_IN, .words = live, .word_count = 1},
		 "os/x=test",
		 "os/x=live",
		 "allowed"},
		{{.fact = "os/*", .kind = RULE_LIVE_ONLY_IN, .words = live, .word_count = 1},
		 "os/x=sandbox",
		 "os/x=live",
		 "allowed"},
		{{.fact = "os/*", .kind = RULE_LIVE_ONLY_IN, .words = live, .word_count = 1},
		 "os/x=live",
		 "os/x=live",
		 "drift"},
		{{.fact = "os/*", .kind = RULE_LIVE_ONLY_IN, .words = live, .word_count = 1},
		 "os/x=test",
		 "os/x=test",
		 "drift"},
		{{.fact = "os/*", .kind = RULE_LIVE_ONLY_IN}, "os/x=live", "os/x=live", "drift"},
		{{.fact = "os/*", .kind = RULE_LIVE_ONLY_IN}, "os/x=what", "os/x=live", "not_checked"},
		{{.fact = "os/*", .kind = RULE_AT_LEAST, .least = 14}, "#os/x=14", "#os/x=80", "allowed"},
		{{.fact = "os/*", .kind = RULE_AT_LEAST, .least = 14}, "#os/x=13", "#os/x=80", "drift"},
		{{.fact = "os/*", .kind = RULE_AT_LEAST, .least = 14}, "#os/x=13", "#os/x=13", "drift"},
		{{.fact = "os/*", .kind = RULE_PRESENT}, "os/x=1", "os/x=2", "allowed"},
		{{.fact = "os/*", .kind = RULE_PRESENT}, "os/x=1", "", "missing"},
		{{.fact = "os/*", .kind = RULE_IGNORE}, "os/x=1", "", "allowed"},
		{{.fact = "os/*", .kind = RULE_IGNORE}, "", "os/x=1", "allowed"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct snap snaps[] = TWO(cases[i].staging, cases[i].production);
		AUTO(bench_free) struct bench bench;
		AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
		bench_set(&bench, snaps, 2, "production", &cases[i].rule, 1);
		run_all(&bench, false, &out);
		struct slice rest = buf_slice(&out);
		slice_cut(&rest, ' ');
		struct slice found = rest.ptr ? slice_cut(&rest, ':') : slice_make("", 0);
		if (!slice_is(found, cases[i].expected))
			fail_msg("case %zu (%s): %s, found %s", i, rule_kind_name(cases[i].rule.kind),
				 cases[i].expected, buf_str(&out));
	}
}

static void a_rule_excuses_only_its_environments(void **state)
{
	static const char *const dev[] = {"dev"}, *const production[] = {"production"};
	static const struct snap snaps[] = {
		{.environment = "dev", .facts = "os/a=1"},
		{.environment = "staging", .facts = "os/a=1"},
		{.environment = "production", .facts = "os/a=2"},
	};
	static const struct rule for_dev[] = {
		{.fact = "os/a", .kind = RULE_IGNORE, .environments = dev, .environment_count = 1}};
	static const struct rule for_production[] = {
		{.fact = "os/a", .kind = RULE_IGNORE, .environments = production, .environment_count = 1}};
	static const struct rule lapsed[] = {{.fact = "os/a", .kind = RULE_IGNORE, .until_ms = SNAP_NOW}};
	static const struct rule not_yet[] = {
		{.fact = "os/a", .kind = RULE_IGNORE, .until_ms = SNAP_NOW + 1}};
	static const struct rule later_counts[] = {{.fact = "os/a", .kind = RULE_IGNORE},
						   {.fact = "os/*", .kind = RULE_SAME}};
	static const struct rule later_elsewhere[] = {
		{.fact = "os/a", .kind = RULE_IGNORE},
		{.fact = "os/*", .kind = RULE_SAME, .environments = dev, .environment_count = 1}};
	(void)state;
	check(snaps, 3, for_dev, 1, false, "os/a drift: allowed drift same\n");
	check(snaps, 3, for_production, 1, false, "os/a allowed: allowed allowed same\n");
	check(snaps, 3, lapsed, 1, false, "os/a drift: drift drift same\n");
	check(snaps, 3, not_yet, 1, false, "os/a allowed: allowed allowed same\n");
	check(snaps, 3, later_counts, 2, false, "os/a drift: drift drift same\n");
	check(snaps, 3, later_elsewhere, 2, false, "os/a drift: drift allowed same\n");
}

static void unique_holds_between_any_two(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "dev", .facts = "%env/DB_PASSWORD/value=one\n%env/APP_KEY/value=x"},
		{.environment = "staging", .facts = "%env/DB_PASSWORD/value=one\n%env/APP_KEY/value=y"},
		{.environment = "production", .facts = "%env/DB_PASSWORD/value=two\n%env/APP_KEY/value=z"},
	};
	(void)state;
	check(snaps, 3, NULL, 0, false,
	      "env/APP_KEY/value allowed: allowed allowed same\n"
	      "env/DB_PASSWORD/value drift: drift drift same\n");
}

static void evidence_is_shown_and_never_judged(void **state)
{
	static const struct snap snaps[] =
		TWO("~file/a/modified=1\nfile/a/content=x", "~file/a/modified=2\nfile/a/content=x");
	(void)state;
	struct compare_totals totals = check(snaps, 2, NULL, 0, false, "file/a/modified evidence\n");
	assert_int_equal(totals.rows, 1);
	assert_int_equal(totals.same, 1);
}

static bool only_os(void *context, struct slice key)
{
	(void)context;
	return slice_starts_with(key, "os/");
}

static void what_is_not_wanted_is_not_counted(void **state)
{
	static const struct snap snaps[] =
		TWO("hw/a=1\nos/a=1\npkg/a=1\n!tls/=x", "hw/a=2\nos/a=1\npkg/a=2\n!tls/=x");
	AUTO(bench_free) struct bench bench;
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
	(void)state;
	bench_set(&bench, snaps, 2, "production", NULL, 0);
	bench.input.wanted = only_os;
	struct compare_totals totals = run_all(&bench, true, &out);
	assert_string_equal(buf_str(&out), "os/a same: same same\n");
	assert_int_equal(totals.rows, 1);
}

static int known_of_first(void *context, const struct compare_row *row, struct err *err)
{
	(void)err;
	buf_printf(context, "%.*s %zu\n", SLICE_ARG(row->key), row->cells[0].known);
	return 0;
}

static void a_missing_cell_knows_what_else_is_missing(void **state)
{
	static const struct snap snaps[] =
		TWO("db/main/table/orders/kind=t\ndb/main/table/users/column/id/type=int\nos/a=1",
		    "db/main/table/orders/kind=t\ndb/main/table/outbox/column/id/type=int\n"
		    "db/main/table/outbox/kind=t\ndb/main/table/users/column/id/type=int\n"
		    "db/main/table/users/column/mail/type=int\nos/a=1\nzz/a=1");
	AUTO(bench_free) struct bench bench;
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
	struct compare_totals totals;
	struct err err = ERR_INIT;
	(void)state;
	bench_set(&bench, snaps, 2, "production", NULL, 0);
	assert_int_equal(compare_run(&bench.input, false, known_of_first, &out, &totals, &err), 0);
	/* "db/main/table/o", "db/main/table/users/column/" */
	assert_string_equal(buf_str(&out), "db/main/table/outbox/column/id/type 15\n"
					   "db/main/table/outbox/kind 15\n"
					   "db/main/table/users/column/mail/type 27\nzz/a 0\n");
}

static void a_damaged_snapshot_names_its_server(void **state)
{
	static const struct snap snaps[] = TWO("os/a=1", "os/a=1");
	AUTO(bench_free) struct bench bench;
	struct compare_totals totals;
	struct err err = ERR_INIT;
	void *context[] = {&bench, NULL};
	(void)state;
	bench_set(&bench, snaps, 2, "production", NULL, 0);
	bench.bytes[1].ptr[bench.bytes[1].len - 1] ^= 1;
	assert_int_equal(compare_run(&bench.input, false, write_row, context, &totals, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_non_null(strstr(err.text, "facts of production"));
}

/* --- against a naive comparison ------------------------------------------------------------- */

enum { KEYS = 60, COLUMNS = 5 };

struct world {
	uint64_t seed;
	int values[COLUMNS][KEYS]; /* 0: not there */
};

static uint32_t roll(struct world *world, uint32_t sides)
{
	world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(world->seed >> 33) % sides;
}

static void key_of(int number, char out[32])
{
	snprintf(out, 32, "os/%c%s/k%d", 'a' + number % 3, number % 2 ? "" : "x", number * 37 % KEYS);
}

/* What the row of one key must be, by looking at all pairs. */
static const char *naive_state(const struct world *world, int key)
{
	bool any = false, lacks = false, differs = false;

	for (int c = 0; c < COLUMNS; c++)
		any |= world->values[c][key] != 0;
	for (int c = 0; c < COLUMNS; c++) {
		lacks |= world->values[c][key] == 0;
		differs |= world->values[c][key] != world->values[COLUMNS - 1][key];
	}
	return !any ? NULL : lacks ? "missing" : differs ? "drift" : "same";
}

static void the_merge_says_what_a_naive_comparison_says(void **state)
{
	static const char *const names[COLUMNS] = {"a", "b", "c", "d", "production"};
	struct world world = {.seed = 42};
	(void)state;
	for (int round = 0; round < 200; round++) {
		struct buf lines[COLUMNS];
		struct snap snaps[COLUMNS];
		char key[32], expected[64];
		uint64_t rows = 0, facts = 0;
		for (int c = 0; c < COLUMNS; c++) {
			lines[c] = BUF_INIT(1 << 20);
			/* Shuffled: keys are visited in a stride that is prime to their number. */
			for (int i = 0; i < KEYS; i++) {
				int k = (i * 7 + round) % KEYS;
				uint32_t die = roll(&world, 20);
				world.values[c][k] = c && die > 2 ? world.values[0][k] : (int)roll(&world, 4);
				key_of(k, key);
				facts += world.values[c][k] != 0;
				if (world.values[c][k])
					buf_printf(&lines[c], "%s=%d\n", key, world.values[c][k]);
			}
			snaps[c] = (struct snap){.environment = names[c], .facts = buf_str(&lines[c])};
		}
		AUTO(bench_free) struct bench bench;
		AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
		bench_set(&bench, snaps, COLUMNS, "production", NULL, 0);
		struct compare_totals totals = run_all(&bench, true, &out);
		for (int k = 0; k < KEYS; k++) {
			const char *must = naive_state(&world, k);
			key_of(k, key);
			snprintf(expected, sizeof(expected), "%s %s:", key, must ? must : "");
			if (must && !strstr(buf_str(&out), expected))
				fail_msg("round %d: not \"%s\" in\n%s", round, expected, buf_str(&out));
			rows += must != NULL;
		}
		assert_int_equal(totals.rows, rows);
		assert_int_equal(totals.facts, facts);
		for (int c = 0; c < COLUMNS; c++)
			buf_free(&lines[c]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_of_a_cell),
		cmocka_unit_test(a_reference_that_was_not_seen_makes_nothing_green),
		cmocka_unit_test(ranges_nest_and_end_where_they_must),
		cmocka_unit_test(the_innermost_range_says_why),
		cmocka_unit_test(a_range_of_both_is_one_row),
		cmocka_unit_test(a_range_of_both_is_told_though_both_have_facts_in_it),
		cmocka_unit_test(servers_of_one_group_must_be_alike),
		cmocka_unit_test(groups_are_held_against_their_own),
		cmocka_unit_test(every_kind_of_rule),
		cmocka_unit_test(a_rule_excuses_only_its_environments),
		cmocka_unit_test(unique_holds_between_any_two),
		cmocka_unit_test(evidence_is_shown_and_never_judged),
		cmocka_unit_test(what_is_not_wanted_is_not_counted),
		cmocka_unit_test(a_missing_cell_knows_what_else_is_missing),
		cmocka_unit_test(a_damaged_snapshot_names_its_server),
		cmocka_unit_test(the_merge_says_what_a_naive_comparison_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
