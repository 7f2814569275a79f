/* Claims about leases, hooks, hostile neighbours and hostile controllers. */
#include "client.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

struct world {
	struct temp temp;
	struct arena arena;
	char place[128];
	struct client c, d;
};

static int set_up(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));

	w->temp = temp_make();
	snprintf(w->place, sizeof(w->place), "%s/shop", w->temp.path);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	unsetenv("LOCKSTEP_AGENT_SILENCE_MS");
	temp_remove(&w->temp);
	arena_free(&w->arena);
	free(w);
	return 0;
}

static const struct item one[] = {{.path = "index.html", .content = "one"}, {0}};

#define assert_answer(c, wanted, got)                                                                        \
	do {                                                                                                 \
		uint8_t got_ = got;                                                                          \
		if (got_ != (wanted))                                                                        \
			fail_msg("%s: %u: %s", #got, got_,                                                   \
				 got_ ? client_get(c, "text") : "the line was cut");                         \
	} while (0)

static bool wait_until(bool (*is_true)(const char *path), const char *path)
{
	for (int i = 0; i < 2000; i++) {
		if (is_true(path))
			return true;
		poll(NULL, 0, 5);
	}
	return false;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* A running hook's group is written down there, a moment after its start. */
static bool has_mark(const char *folder)
{
	char command[300];

	snprintf(command, sizeof(command), "ls -A '%s' | grep -q '^[0-9]'", folder);
	return system(command) == 0;
}

static bool process_is_gone(const char *pid_file)
{
	FILE *file = fopen(pid_file, "r");
	long pid = 0;

	if (!file)
		return false;
	int got = fscanf(file, "%ld", &pid);
	fclose(file);
	if (got != 1)
		return false;
	/* A zombie that nobody waits for is gone, too. */
	char path[64], state = 'Z';
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return true;
	got = fscanf(file, "%*d (%*[^)]) %c", &state);
	fclose(file);
	return got != 1 || state == 'Z';
}

/* --- the lease --------------------------------------------------------------------- */

static void one_holder_at_a_time(void **state)
{
	struct world *w = *state;

	client_start(&w->c, w->place, NULL);
	assert_answer(&w->c, MSG_READY, client_lease(&w->c, NULL));
	client_start(&w->d, w->place, NULL);
	assert_answer(&w->d, MSG_REFUSED, client_lease(&w->d, NULL));
	assert_int_equal(client_get_u64(&w->d, "code"), ERR_CONFLICT);
	assert_non_null(strstr(client_get(&w->d, "text"), "ada@laptop"));
	/* Waiting, it gets it when the first one goes. */
	client_send(&w->d, MSG_LEASE, "project=shop environment=test by=b deployment=e wait_ms=20000");
	uint64_t first = w->c.epoch;
	client_end(&w->c);
	assert_answer(&w->d, MSG_READY, client_take(&w->d));
	assert_true(w->d.epoch > first);
	client_end(&w->d);
}

/* PREPARE, which is read only when the lease is granted, and then comes too late. */
static void what_is_sent_behind_a_lease_waits_for_it(void **state)
{
	struct world *w = *state;

	client_start(&w->c, w->place, NULL);
	client_deploy(&w->c, "d1", one, NULL);
	client_start(&w->d, w->place, NULL);
	client_send(&w->d, MSG_LEASE, "project=shop environment=test by=b deployment=e wait_ms=20000");
	client_send(&w->d, MSG_PREPARE, "epoch=%llu behind=1 deployment=e release=%064d manifest_bytes=1",
		    (unsigned long long)w->c.epoch + 2, 0);
	client_send(&w->d, MSG_OBJECT_DATA, "nothing");
	client_send(&w->d, MSG_OFFERED, "epoch=%llu", (unsigned long long)w->c.epoch + 2);
	/* The holder sees nothing of it. */
	assert_answer(&w->c, MSG_SCANNED, client_ask(&w->c, MSG_SCAN, "deep=1"));
	uint64_t first = w->c.epoch;
	client_end(&w->c);
	assert_answer(&w->d, MSG_READY, client_take(&w->d));
	assert_int_equal(w->d.epoch, first + 1);
	assert_answer(&w->d, MSG_REFUSED, client_take(&w->d));
	assert_int_equal(client_get_u64(&w->d, "code"), ERR_CONFLICT);
	/* The line is good, and nothing is pending. */
	assert_answer(&w->d, MSG_DONE, client_ask(&w->d, MSG_ABANDON, "deployment=e"));
	client_deploy(&w->d, "d2", one, NULL);
	client_end(&w->d);
}

static void nothing_is_recorded_behind_a_refused_activation(void **state)
{
	struct world *w = *state;

	client_start(&w->c, w->place, NULL);
	assert_answer(&w->c, MSG_READY, client_lease(&w->c, NULL));
	assert_answer(&w->c, MSG_PREPARED, client_prepare(&w->c, "d1", one, NULL));
	client_send(&w->c, MSG_ACTIVATE, "deployment=d1 expect=000009-000000000000 decide=1");
	client_send(&w->c, MSG_RECORD, "deployment=d1 event=note behind=1 text=never");
	assert_answer(&w->c, MSG_REFUSED, client_take(&w->c));
	assert_answer(&w->c, MSG_REFUSED, client_take(&w->c));
	assert_int_equal(client_get_u64(&w->c, "code"), ERR_CONFLICT);
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), "never"));
	/* Good-bye behind what goes well is heard, and the agent ends by itself. */
	client_send(&w->c, MSG_ACTIVATE, "deployment=d1 expect= decide=1");
	client_send(&w->c, MSG_RECORD, "deployment=d1 event=live behind=1 keep=3");
	client_send(&w->c, MSG_BYE, "bye=1");
	assert_answer(&w->c, MSG_ACTIVATED, client_take(&w->c));
	assert_answer(&w->c, MSG_PRUNED, client_take(&w->c));
	assert_int_equal(client_cut(&w->c), 0);
	assert_non_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), "live"));
}

static void an_old_holder_is_told_when_the_lock_was_replaced(void **state)
{
	struct world *w = *state;

	client_start(&w->c, w->place, NULL);
	assert_answer(&w->c, MSG_READY, client_lease(&w->c, NULL));
	unlink(path_at(&w->arena, w->place, ".lockstep/lock"));
	client_start(&w->d, w->place, NULL);
	client_deploy(&w->d, "d2", one, NULL);
	assert_answer(&w->c, MSG_REFUSED, client_prepare(&w->c, "d1", one, NULL));
	assert_int_equal(client_get_u64(&w->c, "code"), ERR_CONFLICT);
	assert_answer(&w->c, MSG_REFUSED, client_ask(&w->c, MSG_PRUNE, "keep=1"));
	client_end(&w->c);
	client_end(&w->d);
}

static void a_place_belongs_to_one_environment(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_end(c);
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_REFUSED,
		      client_ask(c, MSG_LEASE, "project=shop environment=production by=x deployment=d"));
	assert_answer(c, MSG_READY,
		      client_ask(c, MSG_LEASE,
				 "project=shop environment=production by=x deployment=d take_over=1"));
	client_end(c);
	assert_non_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), "environment=production"));
}

static void a_silent_controller_loses_lease_and_hooks(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	setenv("LOCKSTEP_AGENT_SILENCE_MS", "1500", 1);
	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_send(c, MSG_RUN,
		    "deployment=d2 point=before_activate index=0 timeout_ms=60000 dir=place "
		    "command=echo%%20$$>pid;exec%%20sleep%%20100");
	int64_t begun = clock_mono_ms();
	assert_int_equal(client_take(c), 0);
	assert_true(clock_mono_ms() - begun < 20000);
	assert_true(wait_until(process_is_gone, path_at(&w->arena, w->place, "pid")));
	assert_int_equal(client_cut(c), ERR_NETWORK);
	/* Nor does it wait for a lease for ever. */
	unsetenv("LOCKSTEP_AGENT_SILENCE_MS");
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	setenv("LOCKSTEP_AGENT_SILENCE_MS", "1500", 1);
	client_start(&w->d, w->place, NULL);
	client_send(&w->d, MSG_LEASE, "project=shop environment=test by=b deployment=e wait_ms=600000");
	assert_int_equal(client_take(&w->d), 0);
	client_cut(&w->d);
	client_end(c);
}

/* --- hooks ------------------------------------------------------------------------------ */

static void hooks_run_where_and_as_they_should(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	assert_answer(
		c, MSG_RAN,
		client_ask(c, MSG_RUN,
			   "deployment=d1 point=after_live index=0 dir=live env=SECRET=x%%20y "
			   "command=cat%%20index.html;echo%%20$SECRET;echo%%20err%%20>%%262;exit%%203"));
	assert_int_equal(client_get_u64(c, "status"), 3);
	assert_non_null(strstr(buf_str(&c->output), "one"));
	assert_non_null(strstr(buf_str(&c->output), "x y"));
	assert_non_null(strstr(buf_str(&c->output), "err"));
	/* It ended: `skip` does not run it again, but another deployment's is its own. */
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=0 on_retry=skip dir=place "
				 "command=touch%%20no"));
	assert_int_equal(client_get_u64(c, "skipped"), 1);
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d2 point=after_live index=0 on_retry=skip dir=place "
				 "command=touch%%20yes"));
	assert_false(exists(path_at(&w->arena, w->place, "no")));
	assert_true(exists(path_at(&w->arena, w->place, "yes")));
	/* Another user, where sudo is not there or does not want to. */
	assert_true(client_ask(c, MSG_RUN,
			       "deployment=d1 point=after_live index=1 dir=place as=nobody-of-that-name "
			       "command=touch%%20no") != 0);
	assert_true(c->type == MSG_REFUSED || client_get_u64(c, "status") != 0);
	assert_false(exists(path_at(&w->arena, w->place, "no")));
	/* Its end is known, so it may be tried again. */
	assert_answer(
		c, MSG_RAN,
		client_ask(c, MSG_RUN, "deployment=d1 point=after_live index=1 dir=place command=true"));
	/* The secret is in no file of ours. */
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), "SECRET"));
	client_end(c);
}

static void a_hook_that_takes_too_long_is_ended_with_its_children(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=0 timeout_ms=300 dir=place "
				 "command=sleep%%20100%%20%%26%%20echo%%20$!>pid;wait"));
	assert_int_equal(client_get_u64(c, "timed_out"), 1);
	assert_true(wait_until(process_is_gone, path_at(&w->arena, w->place, "pid")));
	client_end(c);
}

static void what_a_hook_leaves_behind_does_not_hold_us_up(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	int64_t begun = clock_mono_ms();

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	/* It holds the hook's output open for as long as it lives. */
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=0 timeout_ms=60000 dir=place "
				 "command=sleep%%2050%%20%%26%%20echo%%20$!>pid;echo%%20last%%20words"));
	assert_int_equal(client_get_u64(c, "status"), 0);
	assert_true(clock_mono_ms() - begun < 30000);
	assert_non_null(strstr(buf_str(&c->output), "last words"));
	/* A daemon is allowed to stay. */
	assert_false(process_is_gone(path_at(&w->arena, w->place, "pid")));
	client_end(c);
	kill((pid_t)atol(text_at(&w->arena, w->place, "pid")), SIGKILL);
}

static const char long_hook[] = "deployment=d2 point=after_live index=0 timeout_ms=60000 dir=place "
				"command=sleep%20100%20%26%20echo%20$!>pid.new;mv%20pid.new%20pid;wait";

static void a_hook_ends_with_the_line(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_send(c, MSG_RUN, "%s", long_hook);
	assert_true(wait_until(exists, path_at(&w->arena, w->place, "pid")));
	client_cut(c);
	assert_true(wait_until(process_is_gone, path_at(&w->arena, w->place, "pid")));
	/* Whether it did its work is unknown: nobody runs it again without being told. */
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_answer(c, MSG_REFUSED, client_ask(c, MSG_RUN, "%s", long_hook));
	assert_int_equal(client_get_u64(c, "code"), ERR_CONFLICT);
	client_end(c);
}

static void the_next_agent_ends_survivors(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_send(c, MSG_RUN, "%s", long_hook);
	const char *pid = path_at(&w->arena, w->place, "pid");
	assert_true(wait_until(exists, pid));
	assert_true(wait_until(has_mark, path_at(&w->arena, w->place, ".lockstep/hooks")));
	kill(c->pid, SIGKILL);
	client_cut(c);
	/* Its background process lives on, until somebody takes the lease. */
	assert_false(process_is_gone(pid));
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_true(wait_until(process_is_gone, pid));
	client_end(c);
}

/* --- neighbours ------------------------------------------------------------------------------ */

static void symlinks_lead_nowhere(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	struct err err = ERR_INIT;

	write_at(w->temp.path, "elsewhere/precious", "mine");
	assert_int_equal(mkdir(w->place, 0755), 0);
	const char *elsewhere = path_at(&w->arena, w->temp.path, "elsewhere");
	/* releases/ elsewhere: refused before anything is sent. */
	assert_int_equal(symlink(elsewhere, path_at(&w->arena, w->place, "releases")), 0);
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_REFUSED, client_lease(c, NULL));
	/* After a refusal the conversation still knows where it is. */
	assert_answer(c, MSG_REFUSED, client_lease(c, NULL));
	unlink(path_at(&w->arena, w->place, "releases"));
	client_deploy(c, "d1", one, NULL);
	client_end(c);
	/* .lockstep elsewhere. */
	assert_int_equal(tree_remove_at(AT_FDCWD, path_at(&w->arena, w->place, ".lockstep"), &err), 0);
	assert_int_equal(symlink(elsewhere, path_at(&w->arena, w->place, ".lockstep")), 0);
	client_start(c, w->place, NULL);
	assert_int_equal(c->type, MSG_REFUSED);
	client_cut(c);
	unlink(path_at(&w->arena, w->place, ".lockstep"));
	/* A folder of the live activation swapped for a link. */
	client_start(c, w->place, NULL);
	static const struct item deep[] = {{.path = "dir/precious", .content = "ours"}, {0}};
	snprintf(c->live, sizeof(c->live), "%s", current_of(&w->arena, w->place) + 9);
	client_deploy(c, "d2", deep, NULL);
	const char *dir = path_at(&w->arena, w->place, "current/dir");
	assert_int_equal(tree_remove_at(AT_FDCWD,
					arena_printf(&w->arena, "%s/releases/%s/dir", w->place, c->live),
					&err),
			 0);
	assert_int_equal(symlink(elsewhere, dir), 0);
	client_deploy(c, "d3", deep, NULL);
	assert_string_equal(text_at(&w->arena, w->place, "current/dir/precious"), "ours");
	/* shared/ elsewhere. */
	assert_int_equal(tree_remove_at(AT_FDCWD, path_at(&w->arena, w->place, "shared"), &err), 0);
	assert_int_equal(symlink(elsewhere, path_at(&w->arena, w->place, "shared")), 0);
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d4", deep, "shared_dir=dir"));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_ABANDON, "deployment=d4"));
	assert_answer(c, MSG_PRUNED, client_ask(c, MSG_PRUNE, "keep=1"));
	client_end(c);
	assert_string_equal(text_at(&w->arena, elsewhere, "precious"), "mine");
	assert_false(exists(path_at(&w->arena, elsewhere, "dir")));
}

static void odd_files_in_the_live_activation_are_reported(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	/* A pipe would hold up whoever opens it; a folder without rights cannot be looked into. */
	assert_int_equal(mkfifo(path_at(&w->arena, w->place, "current/pipe"), 0600), 0);
	write_at(w->place, "current/closed/x", "x");
	chmod(path_at(&w->arena, w->place, "current/closed"), 0);
	unlink(path_at(&w->arena, w->place, "current/index.html"));
	assert_int_equal(mkfifo(path_at(&w->arena, w->place, "current/index.html"), 0644), 0);
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=1"));
	assert_int_equal(c->edits, 3);
	static const struct item next[] = {
		{.path = "index.html", .content = "one"}, {.path = "b", .content = "b"}, {0}};
	client_deploy(c, "d2", next, NULL);
	assert_string_equal(text_at(&w->arena, w->place, "current/index.html"), "one");
	client_deploy(c, "d3", one, NULL);
	client_deploy(c, "d4", next, NULL);
	assert_answer(c, MSG_PRUNED, client_ask(c, MSG_PRUNE, "keep=1"));
	client_end(c);
}

static void what_an_application_writes_does_not_fill_the_disk_twice(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	static const struct item two[] = {{.path = "index.html", .content = "two"}, {0}};

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	const char *big = path_at(&w->arena, w->place, "current/application.log");
	int fd = open(big, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(ftruncate(fd, 200 << 20), 0);
	close(fd);
	client_deploy(c, "d2", two, NULL);
	assert_int_equal(c->edits, 1);
	assert_false(exists(path_at(&w->arena, w->place, ".lockstep/aside/d2/application.log")));
	client_end(c);
}

static void looking_leaves_nothing_behind(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_observe(c, w->place);
	assert_true(c->fresh);
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=1"));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_JOURNAL, "last=0"));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_CHECK, "shared_file=.env reload=systemd:x"));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_USES, "x=1"));
	assert_int_equal(client_end(c), 0);
	assert_false(exists(w->place));
}

/* --- controllers ---------------------------------------------------------------------------------- */

static void nonsense_ends_the_conversation(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	uint32_t noise = 12345;

	for (int round = 0; round < 60; round++) {
		unsigned char bytes[600];
		client_start(c, w->place, NULL);
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)((noise = noise * 1103515245 + 12345) >> 16);
		/* Sometimes a length that can be, and a type that is. */
		if (round % 2) {
			bytes[0] = (unsigned char)(round % 200);
			bytes[1] = bytes[2] = bytes[3] = 0;
			bytes[4] = (unsigned char)(64 + round % 23);
		}
		(void)!write(c->to, bytes, sizeof(bytes));
		close(c->to);
		c->to = -1;
		int status = client_cut(c);
		if (status >= 128)
			fail_msg("round %d: it ended with %d", round, status);
	}
	assert_false(exists(w->place));
}

static void requests_are_bounded(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	AUTO(buf_free) struct buf servers = BUF_INIT(MIB(1));

	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	for (int i = 0; i < 480; i++)
		buf_printf(&servers, " servers=server-%d", i);
	client_send(c, MSG_PREPARE, "deployment=d1 release=%064d expect=%s", 1, buf_str(&servers));
	assert_answer(c, MSG_REFUSED, client_ask(c, MSG_OFFERED, "o=1"));
	buf_clear(&servers);
	for (int i = 0; i < 200; i++)
		buf_printf(&servers, " servers=%0999d", i);
	client_send(c, MSG_PREPARE, "deployment=d1 release=%064d expect=%s", 1, buf_str(&servers));
	assert_answer(c, MSG_REFUSED, client_ask(c, MSG_OFFERED, "o=1"));
	static const char *const bad[] = {
		"shared_dir=../up", "shared_dir=/etc",	    "generated=.lockstep/objects",
		"shared_file=a//b", "shared_dir=a/../../b", "generated="};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		client_send(c, MSG_PREPARE, "deployment=d1 release=%064d expect= %s", 1, bad[i]);
		assert_answer(c, MSG_REFUSED, client_ask(c, MSG_OFFERED, "o=1"));
		assert_int_equal(client_get_u64(c, "code"), ERR_USER);
	}
	/* None of them began. */
	client_deploy(c, "d1", one, NULL);
	client_end(c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(one_holder_at_a_time),
		T(what_is_sent_behind_a_lease_waits_for_it),
		T(nothing_is_recorded_behind_a_refused_activation),
		T(an_old_holder_is_told_when_the_lock_was_replaced),
		T(a_place_belongs_to_one_environment),
		T(a_silent_controller_loses_lease_and_hooks),
		T(hooks_run_where_and_as_they_should),
		T(a_hook_that_takes_too_long_is_ended_with_its_children),
		T(what_a_hook_leaves_behind_does_not_hold_us_up),
		T(a_hook_ends_with_the_line),
		T(the_next_agent_ends_survivors),
		T(symlinks_lead_nowhere),
		T(odd_files_in_the_live_activation_are_reported),
		T(what_an_application_writes_does_not_fill_the_disk_twice),
		T(looking_leaves_nothing_behind),
		T(nonsense_ends_the_conversation),
		T(requests_are_bounded),
	};
	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
