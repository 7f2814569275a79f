/* What every gate must keep, whatever it demands (docs/adding-a-gate.md). */
#include "gate/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RELEASE "3fa9c1d20b7e0000000000000000000000000000000000000000000000000000"

static const int64_t now_ms = INT64_C(1795305600000);

/* Evidence as good as it gets; each test spoils one thing. */
struct evidence {
	struct gate_server servers[2];
	struct gate_upstream upstream;
	struct gate_finding finding;
	struct gate_gap gap;
	struct gate_parity parity;
	struct gate_input in;
};

static void make_good(struct evidence *e)
{
	*e = (struct evidence){0};
	for (size_t i = 0; i < ARRAY_LEN(e->servers); i++)
		e->servers[i] = (struct gate_server){.label = i ? "web2" : "web1",
						     .reachable = true,
						     .live_release = RELEASE,
						     .receipt = GATE_RECEIPT_VERIFIED,
						     .receipt_ms = now_ms - 1000};
	e->upstream = (struct gate_upstream){
		.environment = "staging", .servers = e->servers, .server_count = ARRAY_LEN(e->servers)};
	e->finding = (struct gate_finding){
		.id = "0123456789ab", .key = "os/timezone/name", .text = "differs", .severity = SEVERITY_LOW};
	e->gap = (struct gate_gap){.key = "net/firewall/", .environment = "staging", .why = "needs root"};
	e->parity = (struct gate_parity){.with = "staging",
					 .environment = "production",
					 .severity = SEVERITY_LOW,
					 .coverage_min = 80,
					 .coverage = 98,
					 .checked_ms = now_ms - 1000,
					 .max_age_ms = 3600000,
					 .findings = &e->finding,
					 .finding_count = 1,
					 .gaps = &e->gap,
					 .gap_count = 1};
	e->in = (struct gate_input){.environment = "production",
				    .release = RELEASE,
				    .upstreams = &e->upstream,
				    .upstream_count = 1,
				    .parity = &e->parity,
				    .now_ms = now_ms,
				    .who = "ana"};
}

/* clang-format off */
static void no_environment(struct evidence *e) { e->in.environment = NULL; }
static void empty_environment(struct evidence *e) { e->in.environment = ""; }
static void no_release(struct evidence *e) { e->in.release = NULL; }
static void empty_release(struct evidence *e) { e->in.release = ""; }
static void short_release(struct evidence *e) { e->in.release = "3fa9c1d20b7e"; }
static void long_release(struct evidence *e) { e->in.release = RELEASE "0"; }
static void no_time(struct evidence *e) { e->in.now_ms = 0; }
static void no_upstreams(struct evidence *e) { e->in.upstreams = NULL; }
static void nameless_upstream(struct evidence *e) { e->upstream.environment = NULL; }
static void no_servers(struct evidence *e) { e->upstream.servers = NULL; }
static void empty_servers(struct evidence *e) { e->upstream.server_count = 0; }
static void nameless_server(struct evidence *e) { e->servers[1].label = NULL; }
static void odd_live(struct evidence *e) { e->servers[1].live_release = "3FA9"; }
static void no_receipt_kind(struct evidence *e) { e->servers[1].receipt = (enum gate_receipt)0; }
static void odd_receipt_kind(struct evidence *e) { e->servers[1].receipt = (enum gate_receipt)9; }
static void verified_at_no_time(struct evidence *e) { e->servers[1].receipt_ms = 0; }
static void odd_edits(struct evidence *e) { e->servers[1].edits = -2; }
static void zeroed_server(struct evidence *e) { e->servers[1] = (struct gate_server){ 0 }; }
static void zeroed_parity(struct evidence *e) { e->parity = (struct gate_parity){ 0 }; }
static void parity_with_nobody(struct evidence *e) { e->parity.with = ""; }
static void parity_of_another(struct evidence *e) { e->parity.environment = "staging"; }
static void odd_coverage(struct evidence *e) { e->parity.coverage = 101; }
static void odd_coverage_min(struct evidence *e) { e->parity.coverage_min = -1; }
static void no_max_age(struct evidence *e) { e->parity.max_age_ms = 0; }
static void odd_checked(struct evidence *e) { e->parity.checked_ms = -1; }
static void odd_allowed_severity(struct evidence *e) { e->parity.severity = (enum severity)9; }
static void no_findings(struct evidence *e) { e->parity.findings = NULL; }
static void zeroed_finding(struct evidence *e) { e->finding = (struct gate_finding){ 0 }; }
static void finding_without_severity(struct evidence *e) { e->finding.severity = SEVERITY_NONE; }
static void no_gaps(struct evidence *e) { e->parity.gaps = NULL; }
static void zeroed_gap(struct evidence *e) { e->gap = (struct gate_gap){ 0 }; }
static void zeroed_input(struct evidence *e) { e->in = (struct gate_input){ 0 }; }

static void (*const spoil[])(struct evidence *) = {
	no_environment, empty_environment, no_release,	     empty_release,    short_release,
	long_release,	no_time,	   no_upstreams,     nameless_upstream, no_servers,
	empty_servers,	nameless_server,   odd_live,	     no_receipt_kind,  odd_receipt_kind,
	verified_at_no_time, odd_edits,	   zeroed_server,    zeroed_input,
	zeroed_parity,	parity_with_nobody, parity_of_another, odd_coverage,   odd_coverage_min,
	no_max_age,	odd_checked,	   odd_allowed_severity, no_findings,  zeroed_finding,
	finding_without_severity, no_gaps, zeroed_gap,
};
/* clang-format on */

static bool is_snake(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return len > 0 && name[len] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

static void rows_are_complete(void **state)
{
	(void)state;
	assert_non_null(gate_kinds[0]);
	for (size_t i = 0; gate_kinds[i]; i++) {
		const struct gate_kind *gate = gate_kinds[i];
		assert_non_null(gate->name);
		assert_true(is_snake(gate->name));
		assert_non_null(gate->summary);
		assert_true(gate->summary[0] != '\0');
		assert_null(strchr(gate->summary, '\n'));
		assert_true(gate->check != NULL);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(gate->name, gate_kinds[j]->name);
	}
}

static void malformed_evidence_never_opens(void **state)
{
	(void)state;
	for (size_t i = 0; gate_kinds[i]; i++)
		for (size_t j = 0; j < ARRAY_LEN(spoil); j++)
			for (int hotfix = 0; hotfix < 2; hotfix++) {
				AUTO(arena_free) struct arena arena = ARENA_INIT;
				struct err err = ERR_INIT;
				struct evidence e;
				make_good(&e);
				spoil[j](&e);
				e.in.hotfix = hotfix == 1;
				e.in.reason = "checkout is down";
				struct gate_verdict verdict = {.state = GATE_OPEN};
				struct gate_verdicts all = {.open = true};
				assert_int_equal(gate_check(gate_kinds[i], &arena, &e.in, &verdict, &err),
						 -1);
				assert_int_not_equal(verdict.state, GATE_OPEN);
				assert_true(err.text[0] != '\0');
				assert_int_equal(gate_check_all(&arena, &e.in, &all, &err), -1);
				assert_false(all.open);
				assert_int_equal(gate_require_open(&all, &err), -1);
			}
}

static void verdicts_are_pure_and_always_explained(void **state)
{
	(void)state;
	for (size_t i = 0; gate_kinds[i]; i++)
		for (int live = 0; live < 2; live++) {
			AUTO(arena_free) struct arena arena = ARENA_INIT;
			struct err err = ERR_INIT;
			struct evidence e;
			struct gate_verdict first;
			struct gate_verdict second;
			make_good(&e);
			e.servers[0].reachable = live == 1;
			e.finding.severity = live == 1 ? SEVERITY_LOW : SEVERITY_HIGH;
			assert_int_equal(gate_check(gate_kinds[i], &arena, &e.in, &first, &err), 0);
			assert_int_equal(gate_check(gate_kinds[i], &arena, &e.in, &second, &err), 0);
			assert_ptr_equal(first.gate, gate_kinds[i]);
			assert_string_not_equal(gate_state_name(first.state), "?");
			assert_true(first.reason[0] != '\0');
			assert_int_equal(first.what_to_do[0] == '\0', first.state == GATE_OPEN);
			assert_int_equal(first.state, second.state);
			assert_string_equal(first.reason, second.reason);
			assert_string_equal(first.what_to_do, second.what_to_do);
		}
}

static void a_hotfix_opens_only_gates_that_allow_it(void **state)
{
	(void)state;
	for (size_t i = 0; gate_kinds[i]; i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct err err = ERR_INIT;
		struct evidence e;
		struct gate_verdict shut;
		struct gate_verdict hotfix;
		make_good(&e);
		e.servers[0].reachable = false;
		e.parity.checked_ms = 0;
		assert_int_equal(gate_check(gate_kinds[i], &arena, &e.in, &shut, &err), 0);
		e.in.hotfix = true;
		e.in.reason = "checkout is down";
		assert_int_equal(gate_check(gate_kinds[i], &arena, &e.in, &hotfix, &err), 0);
		bool opened = shut.state != GATE_OPEN && hotfix.state == GATE_OPEN;
		assert_int_equal(hotfix.overridden, opened);
		if (opened)
			assert_true(gate_kinds[i]->hotfix_opens);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(malformed_evidence_never_opens),
		cmocka_unit_test(verdicts_are_pure_and_always_explained),
		cmocka_unit_test(a_hotfix_opens_only_gates_that_allow_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
