/* The parity gate, verdict by verdict. */
#include "gate/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RELEASE "3fa9c1d20b7e0000000000000000000000000000000000000000000000000000"
#define HOUR INT64_C(3600000)

static const int64_t now_ms = INT64_C(1795305600000); /* 2026-11-22 */

#define FINDING(level, about, ...)                                                                           \
	{                                                                                                    \
		.id = "a1b2c3d4e5f6", .key = about, .text = "staging lacks it", .severity = level,           \
		__VA_ARGS__                                                                                  \
	}
enum { FINDINGS_MAX = 13, GAPS_MAX = 7 };

struct one_case {
	const char *about;
	struct gate_parity parity; /* what is not said is as good as it gets */
	struct gate_finding findings[FINDINGS_MAX];
	struct gate_gap gaps[GAPS_MAX];
	enum gate_state state;
	const char *reason, *not_reason; /* a part of it; what is no part of it */
	const char *what_to_do;		 /* a part of it */
};

static const struct one_case cases[] = {
	{.about = "nothing differs",
	 .state = GATE_OPEN,
	 .reason = "production is like staging: no finding above low, 98 % looked at, 3 min ago"},
	{.about = "low ones are let through",
	 .findings = {FINDING(SEVERITY_LOW, "os/timezone/name"), FINDING(SEVERITY_LOW, "os/locale/name")},
	 .state = GATE_OPEN,
	 .reason = "no finding above low (2 let through), 98 %"},
	{.about = "a medium one is not",
	 .findings = {FINDING(SEVERITY_LOW, "os/timezone/name"), FINDING(SEVERITY_MEDIUM, "hw/memory/total")},
	 .state = GATE_CLOSED,
	 .reason = "production differs from staging: 1 finding above low\n"
		   "  medium a1b2c3d4e5f6 hw/memory/total: staging lacks it",
	 .not_reason = "timezone",
	 .what_to_do = "lockstep accept a1b2c3d4e5f6, lockstep revert a1b2c3d4e5f6"},
	{.about = "unless that is said",
	 .parity = {.severity = SEVERITY_MEDIUM},
	 .findings = {FINDING(SEVERITY_MEDIUM, "hw/memory/total")},
	 .state = GATE_OPEN,
	 .reason = "no finding above medium (1 let through)"},
	{.about = "not even a low one",
	 .parity = {.severity = SEVERITY_NONE, .max_age_ms = HOUR},
	 .findings = {FINDING(SEVERITY_LOW, "os/timezone/name")},
	 .state = GATE_CLOSED,
	 .reason = "differs from staging: 1 finding\n  low a1b2c3d4e5f6 os/timezone/name",
	 .what_to_do = "lockstep diff staging production"},
	{.about = "the worst first, the rest counted",
	 .findings = {FINDING(SEVERITY_MEDIUM, "pkg/a/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/b/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/c/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/d/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/e/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/f/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/g/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/h/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/i/version"),
		      FINDING(SEVERITY_MEDIUM, "pkg/j/version"),
		      FINDING(SEVERITY_HIGH, "env/A/value"),
		      {.id = "ffffffffffff",
		       .key = "env/B/value",
		       .text = "staging lacks it",
		       .severity = SEVERITY_CRITICAL}},
	 .state = GATE_CLOSED,
	 .reason = "12 findings above low\n  critical ffffffffffff env/B/value: staging lacks it\n"
		   "  high a1b2c3d4e5f6 env/A/value: staging lacks it\n  medium a1b2c3d4e5f6 pkg/a/version",
	 .not_reason = "pkg/i/version",
	 .what_to_do = "lockstep allow add ffffffffffff --owner WHO"},
	{.about = "what a rule allows is let through and named",
	 .findings = {FINDING(SEVERITY_HIGH, "hw/memory/total", .allowed_by = "staging is small (ops)",
			      .until_ms = INT64_C(1803945600000)),
		      FINDING(SEVERITY_HIGH, "hw/cpu/count", .allowed_by = "staging is small (ops)")},
	 .state = GATE_OPEN,
	 .reason = "no finding above low, 98 % looked at, 3 min ago\n"
		   "  allowed: hw/cpu/count: staging is small (ops)\n"
		   "  allowed until 2027-03-01: hw/memory/total: staging is small (ops)"},
	{.about = "a rule that lapsed allows nothing",
	 .findings = {FINDING(SEVERITY_HIGH, "hw/memory/total", .allowed_by = "staging is small (ops)",
			      .until_ms = INT64_C(1795305600000))},
	 .state = GATE_CLOSED,
	 .reason = "hw/memory/total: staging lacks it (the rule that allowed it has lapsed)",
	 .what_to_do = "--until DAY"},
	{.about = "too little was looked at",
	 .parity = {.coverage = 79},
	 .gaps = {{"hw/", "staging", "no answer", 3}, {"net/firewall/", "production", "needs root", 40}},
	 .state = GATE_NOT_CHECKED,
	 .reason = "only 79 % of what was to be looked at was looked at (not_checked); 80 % are required\n"
		   "  net/firewall/ of production: needs root\n  hw/ of staging: no answer",
	 .what_to_do = "lockstep diff staging production --coverage"},
	{.about = "many gaps are counted",
	 .parity = {.coverage = 1},
	 .gaps = {{"a/", "staging", "x", 1},
		  {"b/", "staging", "x", 1},
		  {"c/", "staging", "x", 1},
		  {"d/", "staging", "x", 1},
		  {"e/", "staging", "x", 1},
		  {"f/", "staging", "x", 1},
		  {"g/", "staging", "x", 1}},
	 .state = GATE_NOT_CHECKED,
	 .reason = "  e/ of staging: x\n  and 2 more gaps",
	 .what_to_do = "--coverage"},
	{.about = "just enough was looked at",
	 .parity = {.coverage = 80},
	 .state = GATE_OPEN,
	 .reason = "80 %"},
	{.about = "closed weighs more than not checked, and both are said",
	 .parity = {.coverage = 50},
	 .findings = {FINDING(SEVERITY_HIGH, "env/A/value")},
	 .gaps = {{"hw/", "staging", "no answer", 3}},
	 .state = GATE_CLOSED,
	 .reason = "env/A/value: staging lacks it\nonly 50 %",
	 .what_to_do = "--coverage"},
	{.about = "never looked at",
	 .parity = {.checked_ms = -1},
	 .state = GATE_NOT_CHECKED,
	 .reason = "production was never held against staging",
	 .what_to_do = "look again: lockstep diff staging production"},
	{.about = "too long ago",
	 .parity = {.checked_ms = INT64_C(1795305600000) - 2 * HOUR},
	 .state = GATE_NOT_CHECKED,
	 .reason = "the last look at production and staging was 2 h ago; it may be no older than",
	 .what_to_do = "look again"},
	{.about = "just in time",
	 .parity = {.checked_ms = INT64_C(1795305600000) - HOUR},
	 .state = GATE_OPEN,
	 .reason = "is like staging"},
	{.about = "in the future",
	 .parity = {.checked_ms = INT64_C(1795305600000) + 1},
	 .state = GATE_NOT_CHECKED,
	 .reason = "a clock is wrong",
	 .what_to_do = "look again"},
	{.about = "nothing could be looked at",
	 .parity = {.not_checked_why = "no server of staging answers"},
	 .state = GATE_NOT_CHECKED,
	 .reason = "production could not be held against staging: no server of staging answers",
	 .what_to_do = "look again"},
	{.about = "a key that would forge a line",
	 .findings = {FINDING(SEVERITY_HIGH, "file/a\nopen")},
	 .state = GATE_CLOSED,
	 .reason = "file/a\\x0aopen",
	 .what_to_do = "lockstep"},
};

static const struct gate_kind *parity_gate(void)
{
	for (size_t i = 0; gate_kinds[i]; i++)
		if (strcmp(gate_kinds[i]->name, "parity") == 0)
			return gate_kinds[i];
	fail_msg("there is no gate parity");
	return NULL;
}

static struct gate_parity parity_of(const struct one_case *one)
{
	struct gate_parity parity = one->parity;
	bool all_said = parity.max_age_ms > 0;
	parity.with = "staging";
	parity.environment = "production";
	parity.severity = parity.severity || all_said ? parity.severity : SEVERITY_LOW;
	parity.coverage_min = 80;
	parity.coverage = parity.coverage ? parity.coverage : 98;
	parity.checked_ms = parity.checked_ms < 0 ? 0
			    : parity.checked_ms	  ? parity.checked_ms
						  : now_ms - 3 * 60000;
	parity.max_age_ms = HOUR;
	parity.findings = one->findings;
	while (parity.finding_count < FINDINGS_MAX && one->findings[parity.finding_count].id)
		parity.finding_count++;
	parity.gaps = one->gaps;
	while (parity.gap_count < GAPS_MAX && one->gaps[parity.gap_count].key)
		parity.gap_count++;
	return parity;
}

static struct gate_input input_of(const struct gate_parity *parity)
{
	return (struct gate_input){.environment = "production",
				   .release = RELEASE,
				   .parity = parity,
				   .now_ms = now_ms,
				   .who = "ana"};
}

static void expect_part(const struct one_case *one, const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s: \"%s\" is not in \"%s\"", one->about, part, text);
}

static void the_table_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct one_case *one = &cases[i];
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct err err = ERR_INIT;
		struct gate_parity parity = parity_of(one);
		struct gate_input in = input_of(&parity);
		struct gate_verdict verdict;
		if (gate_check(parity_gate(), &arena, &in, &verdict, &err))
			fail_msg("%s: %s", one->about, err.text);
		if (verdict.state != one->state)
			fail_msg("%s: %s, not %s: %s", one->about, gate_state_name(verdict.state),
				 gate_state_name(one->state), verdict.reason);
		expect_part(one, verdict.reason, one->reason);
		if (one->not_reason && strstr(verdict.reason, one->not_reason))
			fail_msg("%s: \"%s\" is in \"%s\"", one->about, one->not_reason, verdict.reason);
		if (one->what_to_do)
			expect_part(one, verdict.what_to_do, one->what_to_do);
		assert_int_equal(verdict.what_to_do[0] == '\0', one->state == GATE_OPEN);
	}
}

static void the_order_of_findings_does_not_matter(void **state)
{
	(void)state;
	const struct one_case *many = &cases[5];
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct gate_finding turned[FINDINGS_MAX];
	struct gate_parity parity = parity_of(many);
	struct gate_input in = input_of(&parity);
	struct gate_verdict first, second;
	assert_int_equal(gate_check(parity_gate(), &arena, &in, &first, &err), 0);
	for (size_t i = 0; i < parity.finding_count; i++)
		turned[i] = many->findings[parity.finding_count - 1 - i];
	parity.findings = turned;
	assert_int_equal(gate_check(parity_gate(), &arena, &in, &second, &err), 0);
	assert_string_equal(first.reason, second.reason);
	assert_string_equal(first.what_to_do, second.what_to_do);
}

static void what_is_not_required_is_open(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct gate_input in = input_of(NULL);
	struct gate_verdict verdict;
	assert_int_equal(gate_check(parity_gate(), &arena, &in, &verdict, &err), 0);
	assert_int_equal(verdict.state, GATE_OPEN);
	expect_part(&cases[0], verdict.reason, "not required");
}

static void a_hotfix_opens_it_and_says_so(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct gate_parity parity = parity_of(&cases[2]);
	struct gate_input in = input_of(&parity);
	struct gate_verdict verdict;
	in.hotfix = true;
	in.reason = "checkout is down";
	assert_int_equal(gate_check(parity_gate(), &arena, &in, &verdict, &err), 0);
	assert_int_equal(verdict.state, GATE_OPEN);
	assert_true(verdict.overridden);
	expect_part(&cases[2], verdict.reason,
		    "checkout is down\nit was closed: production differs from staging");
}

/* The longest that evidence can be still gives a whole first line. */
static void long_texts_are_cut(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	char *large = mem_alloc(9000);
	memset(large, '\x01', 8999);
	struct gate_finding findings[FINDINGS_MAX];
	for (size_t i = 0; i < FINDINGS_MAX; i++)
		findings[i] = (struct gate_finding){
			.id = "a1b2c3d4e5f6", .key = large, .text = large, .severity = SEVERITY_HIGH};
	struct gate_parity parity = parity_of(&cases[0]);
	parity.findings = findings;
	parity.finding_count = FINDINGS_MAX;
	struct gate_input in = input_of(&parity);
	struct gate_verdict verdict;
	assert_int_equal(gate_check(parity_gate(), &arena, &in, &verdict, &err), 0);
	assert_int_equal(verdict.state, GATE_CLOSED);
	expect_part(&cases[0], verdict.reason, "13 findings above low\n  high a1b2c3d4e5f6 \\x01");
	expect_part(&cases[0], verdict.reason, "\n  and 3 more");
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_holds),
		cmocka_unit_test(the_order_of_findings_does_not_matter),
		cmocka_unit_test(what_is_not_required_is_open),
		cmocka_unit_test(a_hotfix_opens_it_and_says_so),
		cmocka_unit_test(long_texts_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
