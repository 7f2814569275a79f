/* Claims about reloads and their proof, commands of other users, what is known of
 * earlier hooks, and what the journal decides over the state. */
#include "client.h"

#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>

struct world {
	struct temp temp;
	struct arena arena;
	char place[128];
	struct client c;
	pid_t app; /* a process of the application; 0: none */
};

static int set_up(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));

	w->temp = temp_make();
	snprintf(w->place, sizeof(w->place), "%s/shop", w->temp.path);
	*state = w;
	return 0;
}

static void end_app(struct world *w)
{
	if (w->app) {
		kill(-w->app, SIGKILL);
		wait_for(w->app);
	}
	w->app = 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	end_app(w);
	temp_remove(&w->temp);
	arena_free(&w->arena);
	free(w);
	return 0;
}

static const struct item one[] = {{.path = "index.html", .content = "one"}, {0}};
static const struct item two[] = {{.path = "index.html", .content = "two"}, {0}};

#define assert_answer(c, wanted, got)                                                                        \
	do {                                                                                                 \
		uint8_t got_ = got;                                                                          \
		if (got_ != (wanted))                                                                        \
			fail_msg("%s: %u: %s", #got, got_,                                                   \
				 got_ ? client_get(c, "text") : "the line was cut");                         \
	} while (0)

static void wait_for_file(struct world *w, const char *name)
{
	for (int i = 0; i < 2000 && access(path_at(&w->arena, w->place, name), F_OK) != 0; i++)
		poll(NULL, 0, 5);
	assert_int_equal(access(path_at(&w->arena, w->place, name), F_OK), 0);
}

/* A shell script as the application, in a group of its own and in folder `dir` of the place. */
static void start_app(struct world *w, const char *dir, const char *script)
{
	w->app = fork();
	if (w->app == 0) {
		setpgid(0, 0);
		if (chdir(path_at(&w->arena, w->place, dir)) != 0)
			_exit(126);
		setenv("PLACE", w->place, 1);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	wait_for_file(w, "pid");
}

static const char *reload_within(struct world *w, const char *spec, const char *away, int timeout_ms)
{
	assert_answer(&w->c, MSG_RELOADED,
		      client_ask(&w->c, MSG_RELOAD, "deployment=d2 spec=%s timeout_ms=%d away_from=%s", spec,
				 timeout_ms, away));
	return client_get(&w->c, "proved");
}

static const char *reload(struct world *w, const char *spec, const char *away)
{
	return reload_within(w, spec, away, 1500);
}

/* Two deployments; the name of the first activation. */
static const char *deploy_twice(struct world *w)
{
	client_start(&w->c, w->place, NULL);
	client_deploy(&w->c, "d1", one, NULL);
	const char *first = arena_strdup(&w->arena, w->c.live);
	client_deploy(&w->c, "d2", two, NULL);
	return first;
}

/* --- proof ------------------------------------------------------------------------------ */

static void a_master_that_replaces_its_workers_is_proved(void **state)
{
	struct world *w = *state;
	const char *first = deploy_twice(w);

	start_app(w, ".",
		  "work() { sleep 1000 & worker=$!; }; trap 'kill $worker; work' HUP; work; "
		  "echo $$ >$PLACE/pid.new; mv $PLACE/pid.new $PLACE/pid; while :; do wait; done");
	assert_string_equal(reload_within(w, "pidfile:pid", first, 10000), "proved");
	/* The old worker is gone; the new one may be about to start. */
	assert_true(client_get_u64(&w->c, "processes") >= 1);
	client_end(&w->c);
}

/* Its workers are gone again by the time somebody looks at them. */
static void workers_that_come_and_go_are_looked_at_again(void **state)
{
	struct world *w = *state;
	const char *first = deploy_twice(w);

	start_app(w, ".",
		  "trap : HUP; echo $$ >$PLACE/pid.new; mv $PLACE/pid.new $PLACE/pid; "
		  "while :; do /bin/true & /bin/true & /bin/true & wait; done");
	for (int i = 0; i < 20; i++)
		assert_string_equal(reload_within(w, "pidfile:pid", first, 10000), "proved");
	client_end(&w->c);
}

static void a_worker_older_than_the_reload_is_draining(void **state)
{
	struct world *w = *state;
	const char *first = deploy_twice(w);

	start_app(w, ".",
		  "trap : HUP; sleep 1000 & echo $$ >$PLACE/pid.new; mv $PLACE/pid.new $PLACE/pid; "
		  "while :; do wait; done");
	assert_string_equal(reload(w, "pidfile:pid", first), "draining");
	assert_non_null(strstr(client_get(&w->c, "why"), "older than the reload"));
	client_end(&w->c);
}

static void a_process_in_the_old_activation_is_named(void **state)
{
	struct world *w = *state;
	const char *first = deploy_twice(w);

	start_app(w, arena_printf(&w->arena, "releases/%s", first), "echo 1 >$PLACE/pid; exec sleep 1000");
	assert_string_equal(reload(w, "command:true", first), "draining");
	assert_non_null(strstr(client_get(&w->c, "why"), arena_printf(&w->arena, "process %d", (int)w->app)));
	assert_non_null(strstr(client_get(&w->c, "why"), first));
	/* Nor is it pruned under its feet. */
	assert_answer(&w->c, MSG_DONE, client_ask(&w->c, MSG_USES, "uses=1"));
	assert_int_equal(client_get_u64(&w->c, "count"), 1);
	bool all = client_get_u64(&w->c, "unreadable") == 0;
	end_app(w);
	/* Where other users' processes cannot be looked at it is not proved either. */
	assert_string_equal(reload(w, "command:true", first), all ? "proved" : "not_checked");
	client_end(&w->c);
}

static void a_reload_that_fails_says_so(void **state)
{
	struct world *w = *state;
	const char *first = deploy_twice(w);

	assert_answer(&w->c, MSG_REFUSED,
		      client_ask(&w->c, MSG_RELOAD,
				 "deployment=d2 spec=command:exit%%207 timeout_ms=1500 away_from=%s", first));
	assert_int_equal(client_get_u64(&w->c, "code"), ERR_FAILED);
	assert_non_null(strstr(client_get(&w->c, "text"), "status 7"));
	assert_answer(&w->c, MSG_REFUSED,
		      client_ask(&w->c, MSG_RELOAD, "deployment=d2 spec=pidfile:none timeout_ms=9"));
	assert_answer(&w->c, MSG_REFUSED,
		      client_ask(&w->c, MSG_RELOAD, "deployment=d2 spec=magic timeout_ms=9"));
	/* A name that a shell would read differently never reaches one. */
	assert_answer(&w->c, MSG_REFUSED,
		      client_ask(&w->c, MSG_RELOAD,
				 "deployment=d2 spec=systemd:x;touch%%20%s/no timeout_ms=9", w->place));
	assert_answer(&w->c, MSG_REFUSED,
		      client_ask(&w->c, MSG_RELOAD, "deployment=d2 spec=supervisor:'x timeout_ms=9"));
	assert_int_not_equal(access(path_at(&w->arena, w->place, "no"), F_OK), 0);
	client_end(&w->c);
}

/* --- hooks ------------------------------------------------------------------------------- */

static void the_outcome_of_a_hook_is_told_again_not_made_again(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	static const char *const retries[] = {"ask", "skip", "run"};

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	for (size_t i = 0; i < ARRAY_LEN(retries); i++)
		for (int again = 0; again < 2; again++) {
			assert_answer(
				c, MSG_RAN,
				client_ask(c, MSG_RUN,
					   "deployment=d1 point=after_live index=%zu on_retry=%s dir=place "
					   "timeout_ms=9000 command=echo%%20x%%20>>ran-%s;exit%%204",
					   i, retries[i], retries[i]));
			assert_int_equal(client_get_u64(c, "status"), 4);
			assert_int_equal(client_get_u64(c, "skipped"), again && i < 2);
		}
	assert_string_equal(text_at(&w->arena, w->place, "ran-ask"), "x\n");
	assert_string_equal(text_at(&w->arena, w->place, "ran-skip"), "x\n");
	assert_string_equal(text_at(&w->arena, w->place, "ran-run"), "x\nx\n");
	client_end(c);
}

static void hooks_know_what_they_are_about(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	char expected[512];

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=0 dir=live timeout_ms=9000 "
				 "command=echo%%20$LOCKSTEP_PROJECT%%20$LOCKSTEP_ENVIRONMENT%%20$LOCKSTEP_"
				 "DEPLOYMENT%%20"
				 "$LOCKSTEP_COMMIT%%20$LOCKSTEP_ACTIVATION"));
	snprintf(expected, sizeof(expected), "shop test d1 c %s/releases/%s\n", w->place, c->live);
	assert_string_equal(buf_str(&c->output), expected);
	client_end(c);
}

static void another_users_command_gets_its_values_and_none_of_ours(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	if (geteuid() != 0 || !getpwnam("nobody")) {
		print_message("# needs root, and a user nobody\n");
		skip();
	}
	assert_int_equal(chmod(w->temp.path, 0755), 0);
	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	setenv("HOME", "/root", 1);
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=0 dir=place as=nobody timeout_ms=9000 "
				 "env=SECRET=it's%%20\"$x\"%%0Atwo env=not-a-name=z "
				 "command=id%%20-un;printf%%20'[%%25s]'%%20\"$SECRET\";echo%%20$LOCKSTEP_"
				 "PROJECT;cat"));
	assert_int_equal(client_get_u64(c, "status"), 0);
	assert_string_equal(buf_str(&c->output), "nobody\n[it's \"$x\"\ntwo]shop\n");
	/* Our own name needs nobody's leave. */
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=1 dir=place as=root timeout_ms=9000 "
				 "command=true"));
	assert_int_equal(client_get_u64(c, "status"), 0);
	client_end(c);
}

/* --- the journal over the state --------------------------------------------------------------- */

static void a_lost_state_is_made_again_from_the_journal(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	deploy_twice(w);
	const char *place_id = arena_strdup(&w->arena, c->place_id);
	client_end(c);
	assert_int_equal(unlink(path_at(&w->arena, w->place, ".lockstep/state")), 0);
	client_start(c, w->place, NULL);
	/* It still belongs to somebody. */
	assert_answer(c, MSG_REFUSED,
		      client_ask(c, MSG_LEASE, "project=other environment=test by=b deployment=e"));
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_string_equal(c->place_id, place_id);
	client_deploy(c, "d3", one, NULL);
	assert_int_equal(strncmp(c->live, "000003-", 7), 0);
	client_end(c);
}

static void what_the_journal_closed_is_not_pending(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_end(c);
	/* The state is put back to where it was before the receipt, as a crash would leave it. */
	const char *after = text_at(&w->arena, w->place, ".lockstep/state");
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	char before[64];
	snprintf(before, sizeof(before), "%s", c->live);
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d2", two, NULL));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"));
	assert_answer(c, MSG_ACTIVATED, client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", before));
	const char *pending = text_at(&w->arena, w->place, ".lockstep/state");
	assert_non_null(strstr(pending, "pending"));
	assert_null(strstr(after, "pending"));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_RECORD, "event=verified deployment=d2 receipt=none"));
	client_end(c);
	write_at(w->place, ".lockstep/state", pending);
	client_start(c, w->place, NULL);
	assert_false(c->pending);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_false(c->pending);
	client_end(c);
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/state"), "pending"));
}

static void a_decision_that_cannot_be_read_is_refused_by_its_line(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d1", one, NULL));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_DECIDE, "deployment=d1 decision=commit"));
	client_end(c);
	char *journal = arena_strdup(&w->arena, text_at(&w->arena, w->place, ".lockstep/journal"));
	const char *whole = arena_strdup(&w->arena, journal);
	char *commit = strstr(journal, "\ncommit ");
	assert_non_null(commit);
	commit[5] = 'x';
	write_at(w->place, ".lockstep/journal", journal);
	/* Looking is possible, and tells that something is pending. */
	client_start(c, w->place, NULL);
	assert_true(c->pending);
	assert_answer(c, MSG_REFUSED, client_lease(c, NULL));
	assert_non_null(strstr(client_get(c, "text"), "line 3 is damaged"));
	client_end(c);
	assert_string_equal(current_of(&w->arena, w->place), "");
	write_at(w->place, ".lockstep/journal", whole);
	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_answer(c, MSG_ACTIVATED, client_ask(c, MSG_ACTIVATE, "deployment=d1 expect="));
	client_end(c);
}

static void temporary_files_of_a_killed_agent_are_removed(void **state)
{
	struct world *w = *state;

	deploy_twice(w);
	client_end(&w->c);
	write_at(w->place, ".lockstep/.state.0123456789abcdef", "half");
	write_at(w->place, ".lockstep/manifests/.000009-0123456789ab.0123456789abcdef", "half");
	write_at(w->place, ".lockstep/.mine", "not a temporary");
	client_start(&w->c, w->place, NULL);
	assert_answer(&w->c, MSG_READY, client_lease(&w->c, NULL));
	client_end(&w->c);
	assert_null(text_at(&w->arena, w->place, ".lockstep/.state.0123456789abcdef"));
	assert_null(
		text_at(&w->arena, w->place, ".lockstep/manifests/.000009-0123456789ab.0123456789abcdef"));
	assert_non_null(text_at(&w->arena, w->place, ".lockstep/.mine"));
}

/* --- fetching back -------------------------------------------------------------------------------- */

static void objects_come_from_every_kept_activation(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	char hex[8][DIGEST_HEX_LEN + 1], none[DIGEST_HEX_LEN + 1];
	struct digest digest;

	client_start(c, w->place, NULL);
	for (int i = 0; i < 8; i++) {
		char content[32], deployment[8];
		snprintf(content, sizeof(content), "content %d", i);
		snprintf(deployment, sizeof(deployment), "d%d", i);
		digest_of(slice_of(content), &digest);
		digest_to_hex(&digest, hex[i]);
		const struct item items[] = {{.path = "a", .content = content}, {0}};
		client_deploy(c, deployment, items, NULL);
	}
	digest_of(SLICE("nowhere"), &digest);
	digest_to_hex(&digest, none);
	assert_answer(c, MSG_DONE,
		      client_ask(c, MSG_OBJECT_GET, "digest=%s digest=%s digest=%s digest=%s", hex[0], hex[7],
				 none, hex[0]));
	assert_int_equal(client_get_u64(c, "found"), 3);
	assert_string_equal(client_get(c, "missing"), none);
	/* One that was edited in place is not what was asked for. */
	write_at(w->place, "current/a", "edited 7.");
	assert_answer(c, MSG_DONE, client_ask(c, MSG_OBJECT_GET, "digest=%s", hex[7]));
	assert_int_equal(client_get_u64(c, "found"), 0);
	client_end(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_master_that_replaces_its_workers_is_proved),
		TEST(workers_that_come_and_go_are_looked_at_again),
		TEST(a_worker_older_than_the_reload_is_draining),
		TEST(a_process_in_the_old_activation_is_named),
		TEST(a_reload_that_fails_says_so),
		TEST(the_outcome_of_a_hook_is_told_again_not_made_again),
		TEST(hooks_know_what_they_are_about),
		TEST(another_users_command_gets_its_values_and_none_of_ours),
		TEST(a_lost_state_is_made_again_from_the_journal),
		TEST(what_the_journal_closed_is_not_pending),
		TEST(a_decision_that_cannot_be_read_is_refused_by_its_line),
		TEST(temporary_files_of_a_killed_agent_are_removed),
		TEST(objects_come_from_every_kept_activation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
