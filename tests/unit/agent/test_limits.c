/* Claims about how much the agent takes: memory whatever the tree, bytes on disk. */
#include "client.h"

#include <string.h>
#include <sys/stat.h>

enum { FILES = 100000, FOLDERS = 1000, MEMORY_KB_MAX = 32 << 10, AGENT_BYTES_MAX = 1500000 };

static unsigned long peak_kb(const struct client *c)
{
	char path[64], line[256];
	unsigned long kb = 0;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)c->pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lu", &kb) == 1)
			break;
	fclose(file);
	assert_true(kb > 0);
	return kb;
}

static void check_peak(const struct client *c, const char *when)
{
	unsigned long kb = peak_kb(c);

	print_message("# %s: %lu KB\n", when, kb);
	if (kb > MEMORY_KB_MAX && !getenv("LOCKSTEP_TEST_SANITIZED"))
		fail_msg("%s: the agent took %lu KB, the limit is %d", when, kb, MEMORY_KB_MAX);
}

static void memory_stays_bounded_with_a_hundred_thousand_files(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct temp temp = {"/dev/shm/lockstep-test-XXXXXX"};
	struct item *items = ARENA_NEW_ARRAY(&arena, FILES + 1, struct item);
	struct client c;
	char place[80], first[64];

	(void)state;
	if (access("/dev/shm", W_OK) != 0 || !mkdtemp(temp.path))
		temp = temp_make();
	snprintf(place, sizeof(place), "%s/p", temp.path);
	for (unsigned i = 0; i < FILES; i++)
		items[i] = (struct item){
			.path = arena_printf(&arena, "vendor/package-%05u/src/Component%05u.php",
					     i / (FILES / FOLDERS), i),
			.content = arena_printf(&arena, "<?php // %u\n", i),
		};
	client_start(&c, place, NULL);
	client_deploy(&c, "d1", items, NULL);
	check_peak(&c, "everything new");
	client_end(&c);
	client_start(&c, place, NULL);
	snprintf(first, sizeof(first), "%s", c.live);
	items[500].content = "changed";
	client_deploy(&c, "d2", items, NULL);
	assert_int_equal(c.needs, 1);
	check_peak(&c, "one file changed");
	client_end(&c);
	client_start(&c, place, NULL);
	items[500].content = "<?php // 500\n";
	client_deploy(&c, "d3", items, arena_printf(&arena, "from=%s", first));
	assert_int_equal(c.needs, 0);
	check_peak(&c, "back to the first");
	client_end(&c);
	client_start(&c, place, NULL);
	assert_int_equal(client_lease(&c, NULL), MSG_READY);
	assert_int_equal(client_ask(&c, MSG_PRUNE, "keep=1"), MSG_PRUNED);
	check_peak(&c, "pruning");
	client_end(&c);
	client_observe(&c, place);
	assert_int_equal(client_ask(&c, MSG_SCAN, "deep=0"), MSG_SCANNED);
	assert_int_equal(client_get_u64(&c, "files"), FILES);
	assert_int_equal(client_get_u64(&c, "edits"), 0);
	check_peak(&c, "looking for edits");
	char hex[DIGEST_HEX_LEN + 1];
	struct digest digest;
	digest_of(SLICE("<?php // 77\n"), &digest);
	digest_to_hex(&digest, hex);
	assert_int_equal(client_ask(&c, MSG_OBJECT_GET, "digest=%s", hex), MSG_DONE);
	assert_int_equal(client_get_u64(&c, "found"), 1);
	check_peak(&c, "fetching an object");
	client_end(&c);
	temp_remove(&temp);
}

static void check_size(const char *program)
{
	struct stat st;

	if (!program || !*program) {
		print_message("# SKIP: no agent of this architecture was built\n");
		skip();
	}
	assert_int_equal(stat(program, &st), 0);
	print_message("# %s: %lld bytes\n", strrchr(program, '/') + 1, (long long)st.st_size);
	if (st.st_size > AGENT_BYTES_MAX)
		fail_msg("%s has %lld bytes, the limit is %d", program, (long long)st.st_size,
			 AGENT_BYTES_MAX);
}

static void the_agent_is_small(void **state)
{
	(void)state;
	if (getenv("LOCKSTEP_TEST_SANITIZED")) {
		print_message("# SKIP: a sanitized agent is another program\n");
		skip();
	}
	check_size(getenv("LOCKSTEP_TEST_AGENT"));
}

static void the_agent_for_aarch64_is_small(void **state)
{
	(void)state;
	check_size(getenv("LOCKSTEP_TEST_AGENT_AARCH64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_agent_is_small),
		cmocka_unit_test(the_agent_for_aarch64_is_small),
		cmocka_unit_test(memory_stays_bounded_with_a_hundred_thousand_files),
	};
	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
