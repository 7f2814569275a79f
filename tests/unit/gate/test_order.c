/* The order gate, case by case. */
#include "gate/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define RELEASE "3fa9c1d20b7e0000000000000000000000000000000000000000000000000000"
#define OTHER "8bc1000000000000000000000000000000000000000000000000000000000000"

static const int64_t now_ms = INT64_C(1795305600000);

#define SERVER(...)                                                                                          \
	{                                                                                                    \
		.label = "web1", .reachable = true, .live_release = RELEASE,                                 \
		.receipt = GATE_RECEIPT_VERIFIED, .receipt_ms = INT64_C(1795294800000), __VA_ARGS__          \
	}
#define SERVERS_MAX 3

struct one_case {
	const char *about;
	struct gate_server servers[SERVERS_MAX]; /* of staging, up to the first without label */
	bool health_none;
	enum gate_state state;
	const char *reason;	/* a part of it */
	const char *what_to_do; /* a part of it */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
static const struct one_case cases[] = {
	{"live and verified",
	 {SERVER()},
	 false,
	 GATE_OPEN,
	 "staging: live and verified on 1 server, 3 h ago",
	 ""},
	{"on both", {SERVER(), SERVER(.label = "web2")}, false, GATE_OPEN, "all 2 servers", ""},
	{"an older one is live",
	 {SERVER(.live_release = OTHER)},
	 false,
	 GATE_CLOSED,
	 "staging: web1 has release 8bc100000000 live",
	 "lockstep deploy staging --release 3fa9c1d20b7e"},
	{"nothing is live",
	 {SERVER(.live_release = NULL, .receipt = GATE_RECEIPT_NONE)},
	 false,
	 GATE_CLOSED,
	 "web1 has no release live",
	 "lockstep deploy staging"},
	{"on one of two",
	 {SERVER(), SERVER(.label = "web2", .live_release = OTHER)},
	 false,
	 GATE_CLOSED,
	 "staging: web2 has release",
	 "lockstep deploy staging"},
	{"verification failed",
	 {SERVER(.receipt = GATE_RECEIPT_FAILED)},
	 false,
	 GATE_CLOSED,
	 "web1 has it live, but its verification failed",
	 "verify it on staging"},
	{"no receipt",
	 {SERVER(.receipt = GATE_RECEIPT_NONE)},
	 false,
	 GATE_CLOSED,
	 "web1 has it live without a receipt",
	 "verify it on staging"},
	{"no health",
	 {SERVER(.receipt = GATE_RECEIPT_NOT_CHECKED)},
	 false,
	 GATE_NOT_CHECKED,
	 "no health check verifies it (not_checked)",
	 "`health: none`"},
	{"no health is meant",
	 {SERVER(.receipt = GATE_RECEIPT_NOT_CHECKED)},
	 true,
	 GATE_OPEN,
	 "staging: live on 1 server, 3 h ago (health: none is declared)",
	 ""},
	{"no health is meant, but it failed",
	 {SERVER(.receipt = GATE_RECEIPT_FAILED)},
	 true,
	 GATE_CLOSED,
	 "verification failed",
	 "verify it"},
	{"no health is meant, but no receipt",
	 {SERVER(.receipt = GATE_RECEIPT_NONE)},
	 true,
	 GATE_CLOSED,
	 "without a receipt",
	 "verify it"},
	{"unreachable",
	 {SERVER(.reachable = false, .unreachable_why = "timed out")},
	 false,
	 GATE_CLOSED,
	 "staging: web1 cannot be reached (timed out)",
	 "lockstep server check staging"},
	{"unreachable for no known reason",
	 {SERVER(.reachable = false)},
	 false,
	 GATE_CLOSED,
	 "staging: web1 cannot be reached",
	 "lockstep server check staging"},
	{"one of two unreachable, the other fine",
	 {SERVER(), SERVER(.label = "web2", .reachable = false)},
	 false,
	 GATE_CLOSED,
	 "staging: web2 cannot be reached",
	 "server check"},
	{"unreachable, with health: none",
	 {SERVER(.reachable = false)},
	 true,
	 GATE_CLOSED,
	 "cannot be reached",
	 "server check"},
	{"edited by hand",
	 {SERVER(.edits = 2)},
	 false,
	 GATE_CLOSED,
	 "with 2 files edited by hand",
	 "yours are kept aside"},
	{"one file edited", {SERVER(.edits = 1)}, true, GATE_CLOSED, "with 1 file edited by hand", "put the"},
	{"not searched for edits",
	 {SERVER(.edits = -1)},
	 false,
	 GATE_NOT_CHECKED,
	 "was not searched",
	 "run it again"},
	{"closed weighs more than not checked",
	 {SERVER(.receipt = GATE_RECEIPT_NOT_CHECKED), SERVER(.label = "web2", .live_release = OTHER)},
	 false,
	 GATE_CLOSED,
	 "web2 has release",
	 "`health: none`"},
	{"not checked does not weaken closed",
	 {SERVER(.live_release = OTHER), SERVER(.label = "web2", .receipt = GATE_RECEIPT_NOT_CHECKED)},
	 false,
	 GATE_CLOSED,
	 "web1 has release",
	 "`health: none`"},
	{"a label that would forge a line",
	 {SERVER(.label = "web1\nopen", .live_release = OTHER)},
	 false,
	 GATE_CLOSED,
	 "web1\\x0aopen has release",
	 "lockstep"},
};
#pragma GCC diagnostic pop

static const struct gate_kind *order(void)
{
	for (size_t i = 0; gate_kinds[i]; i++)
		if (strcmp(gate_kinds[i]->name, "order") == 0)
			return gate_kinds[i];
	fail_msg("there is no gate order");
	return NULL;
}

static struct gate_upstream upstream_of(const struct one_case *one)
{
	struct gate_upstream upstream = {
		.environment = "staging", .health_none = one->health_none, .servers = one->servers};
	while (upstream.server_count < SERVERS_MAX && one->servers[upstream.server_count].label)
		upstream.server_count++;
	return upstream;
}

static struct gate_input input_of(const struct gate_upstream *upstreams, size_t count)
{
	return (struct gate_input){
		.environment = "production",
		.release = RELEASE,
		.upstreams = upstreams,
		.upstream_count = count,
		.now_ms = now_ms,
		.who = "ana",
	};
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
		struct gate_upstream upstream = upstream_of(one);
		struct gate_input in = input_of(&upstream, 1);
		struct gate_verdict verdict;
		if (gate_check(order(), &arena, &in, &verdict, &err))
			fail_msg("%s: %s", one->about, err.text);
		if (verdict.state != one->state)
			fail_msg("%s: %s, not %s: %s", one->about, gate_state_name(verdict.state),
				 gate_state_name(one->state), verdict.reason);
		expect_part(one, verdict.reason, one->reason);
		expect_part(one, verdict.what_to_do, one->what_to_do);
		assert_int_equal(verdict.what_to_do[0] == '\0', one->state == GATE_OPEN);
		assert_false(verdict.overridden);
	}
}

static void a_hotfix_opens_what_is_shut_and_says_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct one_case *one = &cases[i];
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct err err = ERR_INIT;
		struct gate_upstream upstream = upstream_of(one);
		struct gate_input in = input_of(&upstream, 1);
		struct gate_verdict verdict;
		in.hotfix = true;
		in.reason = " checkout is down ";
		assert_int_equal(gate_check(order(), &arena, &in, &verdict, &err), 0);
		assert_int_equal(verdict.state, GATE_OPEN);
		assert_int_equal(verdict.overridden, one->state != GATE_OPEN);
		if (one->state != GATE_OPEN)
			expect_part(one, verdict.reason,
				    "overridden by ana as a hotfix: checkout is down\nit was ");
		expect_part(one, verdict.reason, one->reason);
	}
}

static void a_hotfix_without_reason_or_name_is_refused(void **state)
{
	(void)state;
	char *large = mem_alloc(2000);
	memset(large, 'x', 1500);
	const struct {
		const char *reason;
		const char *who;
		enum err_code code;
	} wrong[] = {
		{NULL, "ana", ERR_USER},
		{"", "ana", ERR_USER},
		{" \t", "ana", ERR_USER},
		{large, "ana", ERR_USER},
		{"checkout is down", NULL, ERR_INTERNAL},
		{"x", "", ERR_INTERNAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct err err = ERR_INIT;
		struct gate_upstream upstream = upstream_of(&cases[2]);
		struct gate_input in = input_of(&upstream, 1);
		struct gate_verdicts verdicts;
		in.hotfix = true;
		in.reason = wrong[i].reason;
		in.who = wrong[i].who;
		assert_int_equal(gate_check_all(&arena, &in, &verdicts, &err), -1);
		assert_int_equal(err.code, wrong[i].code);
		assert_false(verdicts.open);
	}
	free(large);
}

static void a_reason_without_hotfix_opens_nothing(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct gate_upstream upstream = upstream_of(&cases[2]);
	struct gate_input in = input_of(&upstream, 1);
	struct gate_verdict verdict;
	in.reason = "checkout is down";
	assert_int_equal(gate_check(order(), &arena, &in, &verdict, &err), 0);
	assert_int_equal(verdict.state, GATE_CLOSED);
}

static void every_environment_before_counts(void **state)
{
	(void)state;
	for (int shut = 0; shut < 3; shut++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct err err = ERR_INIT;
		struct gate_upstream upstreams[3];
		static const char *const names[] = {"staging", "load", "eu"};
		for (int i = 0; i < 3; i++) {
			upstreams[i] = upstream_of(&cases[i == shut ? 2 : 0]);
			upstreams[i].environment = names[i];
		}
		struct gate_input in = input_of(upstreams, 3);
		struct gate_verdict verdict;
		assert_int_equal(gate_check(order(), &arena, &in, &verdict, &err), 0);
		assert_int_equal(verdict.state, GATE_CLOSED);
		assert_non_null(
			strstr(verdict.reason, arena_printf(&arena, "%s: web1 has release", names[shut])));
		assert_non_null(strstr(verdict.what_to_do, names[shut]));
	}
}

static void the_first_environment_has_nothing_before_it(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct gate_input in = input_of(NULL, 0);
	struct gate_verdicts verdicts;
	assert_int_equal(gate_check_all(&arena, &in, &verdicts, &err), 0);
	assert_true(verdicts.open);
	assert_int_equal(gate_require_open(&verdicts, &err), 0);
}

static void a_shut_gate_is_an_error_that_says_everything(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct gate_upstream upstream = upstream_of(&cases[2]);
	struct gate_input in = input_of(&upstream, 1);
	struct gate_verdicts verdicts;
	assert_int_equal(gate_check_all(&arena, &in, &verdicts, &err), 0);
	assert_false(verdicts.open);
	assert_int_equal(gate_require_open(&verdicts, &err), -1);
	assert_int_equal(err.code, ERR_GATE);
	assert_non_null(
		strstr(err.text, "gate order is closed: staging: web1 has release 8bc100000000 live"));
	assert_non_null(strstr(err.hint, "lockstep deploy staging --release 3fa9c1d20b7e"));
	assert_non_null(strstr(err.hint, "--hotfix --reason"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_holds),
		cmocka_unit_test(a_hotfix_opens_what_is_shut_and_says_so),
		cmocka_unit_test(a_hotfix_without_reason_or_name_is_refused),
		cmocka_unit_test(a_reason_without_hotfix_opens_nothing),
		cmocka_unit_test(every_environment_before_counts),
		cmocka_unit_test(the_first_environment_has_nothing_before_it),
		cmocka_unit_test(a_shut_gate_is_an_error_that_says_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
