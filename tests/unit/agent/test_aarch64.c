/* The agent for aarch64, under qemu: whole deployments. */
#include "client.h"

#include <string.h>

static void deploys_twice_and_goes_back(void **state)
{
	static const struct item one[] = {{.path = "bin/run", .content = "#!/bin/sh\n", .executable = true},
					  {.path = "index.html", .content = "one"},
					  {.path = "now", .link = "index.html"},
					  {0}};
	static const struct item two[] = {{.path = "index.html", .content = "two"}, {0}};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *agent = getenv("LOCKSTEP_TEST_AGENT_AARCH64");
	struct temp temp = temp_make();
	struct client c;
	char place[80], first[64];

	(void)state;
	if (!agent || !*agent || system("command -v qemu-aarch64 >/dev/null") != 0) {
		print_message("# SKIP: no aarch64 agent was built, or there is no qemu-aarch64\n");
		temp_remove(&temp);
		skip();
	}
	setenv("LOCKSTEP_TEST_AGENT", arena_printf(&arena, "qemu-aarch64 %s", agent), 1);
	snprintf(place, sizeof(place), "%s/p", temp.path);
	client_start(&c, place, NULL);
	assert_int_equal(c.type, MSG_READY);
	client_deploy(&c, "d1", one, NULL);
	snprintf(first, sizeof(first), "%s", c.live);
	assert_string_equal(text_at(&arena, place, "current/now"), "one");
	client_deploy(&c, "d2", two, NULL);
	assert_string_equal(text_at(&arena, place, "current/index.html"), "two");
	client_deploy(&c, "d3", one, arena_printf(&arena, "from=%s", first));
	assert_string_equal(text_at(&arena, place, "current/index.html"), "one");
	assert_int_equal(
		client_ask(&c, MSG_RUN,
			   "deployment=d3 point=after_live index=0 dir=live command=cat%%20index.html"),
		MSG_RAN);
	assert_string_equal(buf_str(&c.output), "one");
	assert_int_equal(client_ask(&c, MSG_SCAN, "deep=1"), MSG_SCANNED);
	assert_int_equal(client_get_u64(&c, "edits"), 0);
	assert_int_equal(client_ask(&c, MSG_PRUNE, "keep=1"), MSG_PRUNED);
	assert_int_equal(client_end(&c), 0);
	temp_remove(&temp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(deploys_twice_and_goes_back)};

	return cmocka_run_group_tests_name("aarch64", tests, NULL, NULL);
}
