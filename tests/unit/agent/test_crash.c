/* Claims about crashes: the agent is killed, or a call fails, at every fault point it
 * passes, as often as it passes it; then `current` shows exactly the old or the new
 * activation, and the next conversation finishes or goes back. */
#include "client.h"

#include "base/map.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

static const struct item old_release[] = {
	{.path = "box/seed", .content = "seed"},
	{.path = "cache/warm", .content = "warm"},
	{.path = "index.html", .content = "old"},
	{.path = "same", .content = "same"},
	{0},
};
static const struct item new_release[] = {
	{.path = "box/seed", .content = "other seed"},
	{.path = "cache/warm", .content = "warmer"},
	{.path = "index.html", .content = "new"},
	{.path = "same", .content = "same"},
	{0},
};
/* Beside a release's own, below a folder it has not, and in place of a file it has. */
static const struct config_file old_config[] = {
	{"conf/app.ini", "for old", NULL}, {"same", "covered by old", "mode=384"}, {0}};
static const struct config_file new_config[] = {
	{"conf/app.ini", "for new", NULL}, {"same", "covered by new", "mode=384"}, {0}};
static const char paths[] = "shared_dir=box generated=cache";

/* In memory where that is possible: syncing a busy disk 300 times takes minutes. */
static struct temp memory_make(void)
{
	struct temp temp = {"/dev/shm/lockstep-test-XXXXXX"};

	return access("/dev/shm", W_OK) == 0 && mkdtemp(temp.path) ? temp : temp_make();
}

/* False as soon as something does not work. */
static bool try_deploy(struct client *c, const char *deployment, const struct item *items)
{
	char before[64];

	snprintf(before, sizeof(before), "%s", c->live);
	c->config = items == old_release ? old_config : new_config;
	if (client_prepare(c, deployment, items, paths) != MSG_PREPARED ||
	    client_ask(c, MSG_DECIDE, "deployment=%s decision=commit", deployment) != MSG_DONE ||
	    client_ask(c, MSG_RUN,
		       "deployment=%s point=before_activate index=0 command=true dir=prepared on_retry=run",
		       deployment) != MSG_RAN ||
	    client_ask(c, MSG_ACTIVATE, "deployment=%s expect=%s", deployment, before) != MSG_ACTIVATED)
		return false;
	snprintf(c->live, sizeof(c->live), "%s", client_get(c, "name"));
	return client_ask(c, MSG_RELOAD, "deployment=%s spec=none timeout_ms=1000 away_from=%s", deployment,
			  before) == MSG_RELOADED;
}

/* Every kind of changing request once. */
static bool scenario(struct client *c)
{
	char first[64];

	if (client_lease(c, NULL) != MSG_READY)
		return false;
	snprintf(first, sizeof(first), "%s", c->live);
	if (!try_deploy(c, "d2", new_release) ||
	    client_ask(c, MSG_DECIDE, "deployment=d2 decision=go-back") != MSG_DONE ||
	    client_ask(c, MSG_REVERT, "deployment=d2") != MSG_ACTIVATED ||
	    client_ask(c, MSG_RECORD, "event=failed deployment=d2") != MSG_DONE)
		return false;
	snprintf(c->live, sizeof(c->live), "%s", first);
	c->config = new_config;
	if (client_prepare(c, "d3", new_release, paths) != MSG_PREPARED ||
	    client_ask(c, MSG_ABANDON, "deployment=d3") != MSG_DONE || !try_deploy(c, "d4", new_release) ||
	    client_ask(c, MSG_RECORD, "event=verified deployment=d4 receipt=none") != MSG_DONE ||
	    !try_deploy(c, "d5", old_release) ||
	    client_ask(c, MSG_RECORD, "event=live deployment=d5") != MSG_DONE)
		return false;
	/* Only the configuration, then back with that of its time. */
	const char *from = arena_printf(&c->arena, "hash=signature from=%s config_key=%064d", c->live, 7);
	c->config = old_config;
	if (client_prepare(c, "d6", old_release, arena_printf(&c->arena, "%s %s", from, paths)) != MSG_PREPARED ||
	    client_ask(c, MSG_ACTIVATE, "deployment=d6 decide=1 expect=%s", c->live) != MSG_ACTIVATED ||
	    client_ask(c, MSG_RECORD, "event=live deployment=d6") != MSG_DONE)
		return false;
	snprintf(c->live, sizeof(c->live), "%s", current_of(&c->arena, c->place) + 9);
	c->config = NULL;
	if (client_prepare(c, "d7", old_release,
			   arena_printf(&c->arena, "from=%s %s", first, paths)) != MSG_PREPARED ||
	    client_ask(c, MSG_ABANDON, "deployment=d7") != MSG_DONE)
		return false;
	return client_ask(c, MSG_PRUNE, "keep=1") == MSG_PRUNED;
}

static void base(const char *place)
{
	struct client c;

	client_start(&c, place, NULL);
	c.config = old_config;
	client_deploy(&c, "d1", old_release, paths);
	assert_int_equal(client_end(&c), 0);
}

static void must(struct client *c, uint8_t got, uint8_t wanted, const char *when)
{
	if (got != wanted)
		fail_msg("%s: %u: %s", when, got, got ? client_get(c, "text") : "the line was cut");
}

static void assert_whole(const char *place, const char *when)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *index = text_at(&arena, place, "current/index.html");
	const char *warm = text_at(&arena, place, "current/cache/warm");

	const char *config = text_at(&arena, place, "current/conf/app.ini");
	const char *covered = text_at(&arena, place, "current/same");

	if (!index || !warm || !config || !covered ||
	    !text_at(&arena, place, "current/box/seed"))
		fail_msg("%s: current shows %s, which is not whole", when, current_of(&arena, place));
	if (!(strcmp(index, "old") == 0 && strcmp(warm, "warm") == 0 && strcmp(config, "for old") == 0 &&
	      strcmp(covered, "covered by old") == 0) &&
	    !(strcmp(index, "new") == 0 && strcmp(warm, "warmer") == 0 && strcmp(config, "for new") == 0 &&
	      strcmp(covered, "covered by new") == 0))
		fail_msg("%s: current shows a mixture", when);
}

static void assert_empty(const char *place, const char *folder, const char *when)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	/* rmdir succeeds exactly when nothing is left. */
	const char *path = arena_printf(&arena, "%s/.lockstep/%s", place, folder);
	if (rmdir(path) != 0)
		fail_msg("%s: something is left in %s", when, folder);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Config files are kept of exactly the activations that are. */
static void assert_kept_config(const char *place, const char *when)
{
	char command[600];

	snprintf(command, sizeof(command), "[ \"$(ls '%s/releases')\" = \"$(ls '%s/.lockstep/rendered')\" ]",
		 place, place);
	if (system(command) != 0)
		fail_msg("%s: config files are kept of other activations than there are", when);
}

static void assert_journal_reads(const char *place, const char *when)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *text = text_at(&arena, place, ".lockstep/journal");
	struct err err = ERR_INIT;

	assert_non_null(text);
	for (struct slice rest = slice_of(text); rest.len;) {
		struct record record;
		if (record_parse_sealed(&arena, slice_cut(&rest, '\n'), &record, &err))
			fail_msg("%s: the journal: %s", when, err.text);
	}
}

/* What a controller does that finds something unfinished, and then another deployment. */
static void recover(const char *place, const char *when)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct client c;

	assert_whole(place, when);
	client_start(&c, place, NULL);
	must(&c, c.type, MSG_READY, when);
	must(&c, client_lease(&c, NULL), MSG_READY, when);
	if (c.pending) {
		const char *deployment = record_get_str(&arena, &c.pending_record, "deployment");
		const char *decided = record_get_str(&arena, &c.pending_record, "decided");
		const char *previous = record_get_str(&arena, &c.pending_record, "previous");
		if (strcmp(decided, "commit") == 0) {
			must(&c,
			     client_ask(&c, MSG_ACTIVATE, "deployment=%s expect=%s", deployment,
					previous + 9),
			     MSG_ACTIVATED, when);
			must(&c,
			     client_ask(&c, MSG_RECORD, "event=verified deployment=%s receipt=none",
					deployment),
			     MSG_DONE, when);
		} else if (*decided) {
			must(&c, client_ask(&c, MSG_REVERT, "deployment=%s", deployment), MSG_ACTIVATED,
			     when);
			must(&c, client_ask(&c, MSG_RECORD, "event=failed deployment=%s", deployment),
			     MSG_DONE, when);
		} else {
			must(&c, client_ask(&c, MSG_ABANDON, "deployment=%s", deployment), MSG_DONE, when);
		}
	}
	assert_whole(place, when);
	const char *shown = current_of(&arena, place);
	snprintf(c.live, sizeof(c.live), "%s", shown + 9);
	c.config = new_config;
	client_deploy(&c, "d9", new_release, paths);
	must(&c, client_ask(&c, MSG_SCAN, "deep=1"), MSG_SCANNED, when);
	if (client_get_u64(&c, "edits"))
		fail_msg("%s: %s %s", when, c.edit_kind, c.edit_path);
	must(&c, client_ask(&c, MSG_PRUNE, "keep=2"), MSG_PRUNED, when);
	assert_int_equal(client_end(&c), 0);
	assert_string_equal(text_at(&arena, place, "current/index.html"), "new");
	assert_empty(place, "prepare", when);
	assert_empty(place, "hooks", when);
	assert_empty(place, "trash", when);
	assert_kept_config(place, when);
	assert_journal_reads(place, when);
}

/* The names of all points the scenario passes, one a line. */
static const char *list_points(struct arena *arena)
{
	struct temp temp = memory_make();
	struct client c;
	char list[128];

	snprintf(list, sizeof(list), "%s/list", temp.path);
	base(arena_printf(arena, "%s/p", temp.path));
	setenv("LOCKSTEP_FAULT_LIST", list, 1);
	client_start(&c, arena_printf(arena, "%s/p", temp.path), NULL);
	unsetenv("LOCKSTEP_FAULT_LIST");
	if (!scenario(&c))
		fail_msg("the scenario itself: %s", client_get(&c, "text"));
	client_end(&c);
	const char *text = text_at(arena, temp.path, "list");
	temp_remove(&temp);
	assert_non_null(text);
	return text;
}

static void walk(const char *action)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(map_free) struct map seen = MAP_INIT;
	size_t points = 0, runs = 0;

	for (struct slice rest = slice_of(list_points(&arena)); rest.len;) {
		const char *name = arena_str(&arena, slice_cut(&rest, '\n'));
		if (map_put(&seen, slice_of(name), &seen) || strncmp(name, "agent.", 6) != 0)
			continue;
		points++;
		for (int pass = 1; pass < 60; pass++) {
			struct temp temp = memory_make();
			struct client c;
			char place[80], fault[128];
			snprintf(place, sizeof(place), "%s/p", temp.path);
			snprintf(fault, sizeof(fault), "%s=%s:%d", name, action, pass);
			base(place);
			client_start(&c, place, fault);
			bool all = c.type == MSG_READY && scenario(&c);
			int status = client_cut(&c);
			if (!all && strcmp(action, "kill") == 0 && status != 128 + SIGKILL)
				fail_msg("%s: ended with %d instead of the kill", fault, status);
			if (!all)
				recover(place, fault);
			temp_remove(&temp);
			runs += !all;
			if (all)
				break;
		}
	}
	/* The walk itself must have walked. */
	assert_true(points >= 25);
	assert_true(runs >= points || strcmp(action, "fail") == 0);
	print_message("# %s: %zu points, %zu crashes\n", action, points, runs);
}

static void killed_at_any_point(void **state)
{
	(void)state;
	walk("kill");
}

static void failing_at_any_point(void **state)
{
	(void)state;
	walk("fail");
}

/* --- a full disk --------------------------------------------------------------------- */

static void a_full_disk_leaves_the_old_one_live(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct temp temp = temp_make();
	char place[80], filler[100];
	bool refused_once = false;

	(void)state;
	snprintf(place, sizeof(place), "%s/p", temp.path);
	if (mount("tmpfs", temp.path, "tmpfs", 0, "size=512k") != 0) {
		print_message("# SKIP: a full disk: mounting a tmpfs: %s\n", strerror(errno));
		rmdir(temp.path);
		skip();
	}
	snprintf(filler, sizeof(filler), "%s/filler", temp.path);
	base(place);
	for (size_t left = 0; left <= 80; left += 4) {
		struct client c;
		struct statvfs fs;
		char page[4096] = {1};
		assert_int_equal(statvfs(temp.path, &fs), 0);
		int fd = open(filler, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		for (size_t i = left / 4; i < fs.f_bavail; i++)
			if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page))
				break;
		close(fd);
		client_start(&c, place, NULL);
		bool all = c.type == MSG_READY && scenario(&c);
		refused_once = refused_once || !all;
		client_cut(&c);
		unlink(filler);
		if (!all)
			recover(place, arena_printf(&arena, "%zu KiB left", left));
		/* From the beginning again. */
		struct err err = ERR_INIT;
		assert_int_equal(tree_remove_at(AT_FDCWD, place, &err), 0);
		base(place);
	}
	assert_true(refused_once);
	assert_int_equal(umount(temp.path), 0);
	rmdir(temp.path);
}

/* --- the journal ------------------------------------------------------------------------ */

static void a_torn_or_damaged_journal_is_survived(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct temp temp = temp_make();
	struct client c;
	char place[80];

	(void)state;
	snprintf(place, sizeof(place), "%s/p", temp.path);
	base(place);
	const char *before = text_at(&arena, place, ".lockstep/journal");
	/* Torn: the line never happened. */
	write_at(place, ".lockstep/journal", arena_printf(&arena, "%sgo-back at=1 deployment=d1 cr", before));
	client_start(&c, place, NULL);
	assert_int_equal(client_lease(&c, NULL), MSG_READY);
	client_end(&c);
	assert_journal_reads(place, "after a torn line");
	assert_non_null(strstr(text_at(&arena, place, ".lockstep/journal"), "torn"));
	/* Damaged in the middle: the rest counts. */
	char *damaged = arena_strdup(&arena, text_at(&arena, place, ".lockstep/journal"));
	memset(damaged + 10, 'Z', 5);
	write_at(place, ".lockstep/journal", damaged);
	client_start(&c, place, NULL);
	assert_int_equal(c.activations, 1);
	c.config = new_config;
	client_deploy(&c, "d2", new_release, paths);
	client_end(&c);
	/* Nothing but zeros, as some file systems leave it. */
	FILE *journal = fopen(path_at(&arena, place, ".lockstep/journal"), "w");
	for (int i = 0; i < 9000; i++)
		fputc(0, journal);
	fclose(journal);
	client_start(&c, place, NULL);
	client_deploy(&c, "d3", old_release, paths);
	client_end(&c);
	temp_remove(&temp);
}

static void a_damaged_state_is_refused_with_a_way_out(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct temp temp = temp_make();
	struct client c;
	char place[80];

	(void)state;
	snprintf(place, sizeof(place), "%s/p", temp.path);
	base(place);
	write_at(place, ".lockstep/state", "state layout=1 epoch=7\n");
	client_start(&c, place, NULL);
	assert_int_equal(c.type, MSG_REFUSED);
	assert_non_null(strstr(client_get(&c, "text"), "damaged"));
	assert_true(*client_get(&c, "hint"));
	client_cut(&c);
	/* The way out: without it, a new one is begun, and numbers go on. */
	unlink(path_at(&arena, place, ".lockstep/state"));
	client_start(&c, place, NULL);
	client_deploy(&c, "d2", new_release, paths);
	assert_int_equal(strncmp(c.live, "000002-", 7), 0);
	client_end(&c);
	temp_remove(&temp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_any_point),
		cmocka_unit_test(failing_at_any_point),
		cmocka_unit_test(a_full_disk_leaves_the_old_one_live),
		cmocka_unit_test(a_torn_or_damaged_journal_is_survived),
		cmocka_unit_test(a_damaged_state_is_refused_with_a_way_out),
	};
	return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
