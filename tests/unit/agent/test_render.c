/* Claims about config files: that they switch with the code, come back with a rollback,
 * never leave the server, and that secrets reach commands by descriptor only. */
#include "client.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct world {
	struct temp temp;
	struct arena arena;
	char place[128];
	struct client c;
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

	temp_remove(&w->temp);
	arena_free(&w->arena);
	free(w);
	return 0;
}

static const struct item one[] = {
	{.path = "app/run", .content = "one"},
	{.path = "config/php.ini", .content = "as developed"},
	{.path = "lib/a.txt", .content = "the same in both"},
	{.path = "link", .link = "lib"},
	{0},
};
static const struct item two[] = {
	{.path = "app/run", .content = "two"},
	{.path = "config/php.ini", .content = "as developed"},
	{.path = "lib/a.txt", .content = "the same in both"},
	{.path = "link", .link = "lib"},
	{0},
};
/* At the top, in place of a file of the release, and in folders it has not. */
static const struct config_file first[] = {
	{".env", "SECRET=canary-first", NULL},
	{"config/php.ini", "memory=1", "mode=292"},
	{"very/deep/key.pem", "canary-key", "mode=384"},
	{0},
};
static const struct config_file second[] = {{".env", "SECRET=canary-second", NULL}, {0}};

#define assert_text(w, path, wanted)                                                                         \
	do {                                                                                                 \
		const char *text_ = text_at(&(w)->arena, (w)->place, path);                                  \
		if (!text_)                                                                                  \
			fail_msg("%s is not there", path);                                                   \
		assert_string_equal(text_, wanted);                                                          \
	} while (0)
#define assert_absent(w, path) assert_int_equal(access(path_at(&(w)->arena, (w)->place, path), F_OK), -1)
#define assert_answer(c, wanted, got)                                                                        \
	do {                                                                                                 \
		uint8_t got_ = got;                                                                          \
		if (got_ != (wanted))                                                                        \
			fail_msg("%s: %u: %s", #got, got_,                                                   \
				 got_ ? client_get(c, "text") : "the line was cut");                         \
	} while (0)

static struct stat stat_at(struct world *w, const char *path)
{
	struct stat st;

	if (lstat(path_at(&w->arena, w->place, path), &st) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static void abandon(struct client *c, const char *deployment)
{
	assert_answer(c, MSG_DONE, client_ask(c, MSG_ABANDON, "deployment=%s", deployment));
}

static void they_stand_in_the_activation(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", one, NULL);
	assert_text(w, "current/.env", "SECRET=canary-first");
	assert_text(w, "current/config/php.ini", "memory=1");
	assert_text(w, "current/very/deep/key.pem", "canary-key");
	assert_int_equal(stat_at(w, "current/.env").st_mode & 07777, 0640);
	assert_int_equal(stat_at(w, "current/config/php.ini").st_mode & 07777, 0444);
	assert_int_equal(stat_at(w, "current/very/deep/key.pem").st_mode & 07777, 0600);
	assert_int_equal(stat_at(w, "current/very").st_mode & 07777, 0755);
	const char *kept = arena_printf(&w->arena, ".lockstep/rendered/%s", c->live);
	assert_int_equal(stat_at(w, kept).st_mode & 07777, 0700);
	DIR *dir = opendir(path_at(&w->arena, w->place, kept));
	size_t files = 0;
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.') {
			const char *path = arena_printf(&w->arena, "%s/%s", kept, entry->d_name);
			assert_int_equal(stat_at(w, path).st_mode & 07777, 0600);
			files++;
		}
	closedir(dir);
	assert_int_equal(files, 3);
	for (int deep = 0; deep < 2; deep++) {
		assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=%d", deep));
		assert_int_equal(client_get_u64(c, "edits"), 0);
	}
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), "canary"));
	/* The next one has others, the one after it none: the release's own file is back. */
	c->config = second;
	client_deploy(c, "d2", two, NULL);
	assert_text(w, "current/.env", "SECRET=canary-second");
	assert_text(w, "current/config/php.ini", "as developed");
	assert_absent(w, "current/very");
	c->config = NULL;
	client_deploy(c, "d3", two, NULL);
	assert_absent(w, "current/.env");
	assert_text(w, "current/config/php.ini", "as developed");
	assert_absent(w, arena_printf(&w->arena, ".lockstep/rendered/%s", c->live));
	assert_answer(c, MSG_PRUNED, client_ask(c, MSG_PRUNE, "keep=1"));
	assert_absent(w, kept);
	client_end(c);
}

static uint64_t objects_found(struct world *w, const char *content)
{
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];

	digest_of(slice_of(content), &digest);
	digest_to_hex(&digest, hex);
	assert_answer(&w->c, MSG_DONE, client_ask(&w->c, MSG_OBJECT_GET, "digest=%s", hex));
	return client_get_u64(&w->c, "found");
}

static void what_is_fetched_is_the_release(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", one, NULL);
	assert_int_equal(objects_found(w, "as developed"), 1);
	assert_int_equal(objects_found(w, "the same in both"), 1);
	assert_int_equal(objects_found(w, "memory=1"), 0);
	assert_int_equal(objects_found(w, "SECRET=canary-first"), 0);
	/* Still so when others are pruned. */
	client_deploy(c, "d2", two, NULL);
	client_deploy(c, "d3", one, NULL);
	assert_answer(c, MSG_PRUNED, client_ask(c, MSG_PRUNE, "keep=1"));
	assert_int_equal(objects_found(w, "as developed"), 1);
	client_end(c);
}

static void a_rollback_brings_the_configuration_of_its_time(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	char then[64];

	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", one, NULL);
	snprintf(then, sizeof(then), "%s", c->live);
	c->config = second;
	client_deploy(c, "d2", two, NULL);
	/* What somebody did to the kept one by hand does not come along. */
	write_at(w->place, arena_printf(&w->arena, "releases/%s/.env", then), "SECRET=edited");
	c->config = NULL;
	client_deploy(c, "d3", one, arena_printf(&w->arena, "from=%s", then));
	assert_text(w, "current/.env", "SECRET=canary-first");
	assert_text(w, "current/config/php.ini", "memory=1");
	assert_int_equal(stat_at(w, "current/very/deep/key.pem").st_mode & 07777, 0600);
	assert_text(w, "current/app/run", "one");
	/* The code of one with the configuration of another, and with none. */
	client_deploy(c, "d4", two, arena_printf(&w->arena, "from=%s config_from=%s", c->live, then));
	assert_text(w, "current/.env", "SECRET=canary-first");
	assert_text(w, "current/app/run", "two");
	client_deploy(c, "d5", one, arena_printf(&w->arena, "from=%s rendered=0", then));
	assert_absent(w, "current/.env");
	client_deploy(c, "d6", two, arena_printf(&w->arena, "config_from=%s", then));
	assert_text(w, "current/.env", "SECRET=canary-first");
	assert_answer(
		c, MSG_REFUSED,
		client_prepare(c, "d7", one, "from=000001-abcdefabcdef config_from=000099-abcdefabcdef"));
	assert_int_equal(client_get_u64(c, "code"), ERR_NOT_FOUND);
	abandon(c, "d7");
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d8", one, "config_from=../../x"));
	assert_answer(c, MSG_DONE, client_ask(c, MSG_ABANDON, "deployment=d8"));
	/* What was kept is damaged: said, not guessed. */
	assert_int_equal(
		system(arena_printf(&w->arena, "for f in %s/.lockstep/rendered/%s/*; do echo x >$f; done",
				    w->place, then)),
		0);
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d9", one, arena_printf(&w->arena, "from=%s", then)));
	assert_non_null(strstr(client_get(c, "text"), then));
	abandon(c, "d9");
	/* So is what is gone altogether: it would come back without its configuration. */
	assert_int_equal(system(arena_printf(&w->arena, "rm -r %s/.lockstep/rendered/%s", w->place, then)), 0);
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d10", one, arena_printf(&w->arena, "from=%s", then)));
	assert_int_equal(client_get_u64(c, "code"), ERR_NOT_FOUND);
	assert_non_null(strstr(client_get(c, "text"), "is gone"));
	abandon(c, "d10");
	assert_text(w, "current/.env", "SECRET=canary-first");
	client_end(c);
}

static void only_the_configuration(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", one, NULL);
	ino_t inode = stat_at(w, "current/lib/a.txt").st_ino;
	write_at(w->place, "current/app/run", "edited by hand");
	write_at(w->place, "current/.env", "edited by hand");
	c->config = second;
	size_t before = c->bytes_sent, needed = c->needs;
	client_deploy(c, "d2", one, arena_printf(&w->arena, "hash=signature kind=config from=%s", c->live));
	assert_text(w, "current/.env", "SECRET=canary-second");
	assert_int_equal(stat_at(w, "current/lib/a.txt").st_ino, inode);
	/* The edit of the code is healed, and both are told and kept aside. */
	assert_text(w, "current/app/run", "one");
	assert_int_equal(c->needs - needed, 1);
	assert_true(c->bytes_sent - before < 2048);
	assert_int_equal(c->edits, 2);
	assert_text(w, ".lockstep/aside/d2/.env", "edited by hand");
	assert_int_equal(stat_at(w, ".lockstep/aside/d2/.env").st_mode & 07777, 0600);
	assert_int_equal(stat_at(w, ".lockstep/aside/d2").st_mode & 07777, 0700);
	client_end(c);
}

static void a_scan_names_edits_without_their_content(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", one, NULL);
	write_at(w->place, "current/.env", "SECRET=canary-fourth");
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=0"));
	assert_int_equal(client_get_u64(c, "edits"), 1);
	assert_string_equal(c->edit_path, ".env");
	assert_string_equal(c->edit_kind, "changed");
	assert_true(c->edit_rendered);
	assert_string_equal(c->edit_digests, "");
	write_at(w->place, "current/.env", "SECRET=canary-first");
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=0"));
	assert_int_equal(client_get_u64(c, "edits"), 0);
	assert_int_equal(chmod(path_at(&w->arena, w->place, "current/.env"), 0644), 0);
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=0"));
	assert_string_equal(c->edit_kind, "mode");
	assert_string_equal(c->edit_digests, "");
	assert_int_equal(unlink(path_at(&w->arena, w->place, "current/.env")), 0);
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=0"));
	assert_int_equal(client_get_u64(c, "edits"), 1);
	assert_string_equal(c->edit_kind, "removed");
	assert_string_equal(c->edit_digests, "");
	client_end(c);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *name;
		struct config_file files[3];
		const char *more;
	} cases[] = {
		{"above the place", {{"../x", "1", NULL}}, NULL},
		{"absolute", {{"/etc/x", "1", NULL}}, NULL},
		{"not clean", {{"a//b", "1", NULL}}, NULL},
		{"ours", {{".lockstep/journal", "1", NULL}}, NULL},
		{"a NUL", {{"a%00b", "1", NULL}}, NULL},
		{"twice", {{"a", "1", NULL}, {"a", "2", NULL}}, NULL},
		{"one below the other", {{"a", "1", NULL}, {"a/b", "2", NULL}}, NULL},
		{"a folder of the release", {{"lib", "1", NULL}}, NULL},
		{"below a file of the release", {{"app/run/x", "1", NULL}}, NULL},
		{"through a link of the release", {{"link/x", "1", NULL}}, NULL},
		{"shared folder", {{"config/a", "1", NULL}}, "shared_dir=config"},
		{"above a shared folder", {{"data", "1", NULL}}, "shared_dir=data/up"},
		{"shared file", {{"config/php.ini", "1", NULL}}, "shared_file=config/php.ini"},
		{"generated", {{"cache/x", "1", NULL}}, "generated=cache"},
		{"setuid", {{"a", "1", "mode=2541"}}, NULL},
		{"no such owner", {{"a", "1", "owner=nobody-of-that-name"}}, NULL},
		{"no such group", {{"a", "1", "group=-x"}}, NULL},
		{"too large", {{"a", "1", "size=16777217"}}, NULL},
		{"less than announced", {{"a", "1", "size=2"}}, NULL},
		{"more than announced", {{"a", "12", "size=1"}}, NULL},
	};
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d0", one, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *deployment = arena_printf(&w->arena, "r%zu", i);
		for (int restoring = 0; restoring < 2; restoring++) {
			const char *more = restoring
						   ? arena_printf(&w->arena, "from=%s %s", c->live,
								  cases[i].more ? cases[i].more : "hash=deep")
						   : cases[i].more;
			c->config = cases[i].files;
			if (client_prepare(c, deployment, one, more) != MSG_REFUSED)
				fail_msg("%s: not refused", cases[i].name);
			if (!*client_get(c, "text") || client_get_u64(c, "code") == ERR_DENIED)
				fail_msg("%s: %s", cases[i].name, client_get(c, "text"));
			abandon(c, deployment);
		}
	}
	/* A thousand are fine, one more is not. */
	struct config_file *many = ARENA_NEW_ARRAY(&w->arena, RENDERED_FILES_MAX + 2, struct config_file);
	for (size_t i = 0; i <= RENDERED_FILES_MAX; i++)
		many[i] = (struct config_file){arena_printf(&w->arena, "many/%zu/file", i), "x", NULL};
	c->config = many;
	assert_answer(c, MSG_REFUSED, client_prepare(c, "m1", one, NULL));
	abandon(c, "m1");
	many[RENDERED_FILES_MAX] = (struct config_file){0};
	client_deploy(c, "m2", one, NULL);
	assert_text(w, "current/many/999/file", "x");
	/* Sixteen megabytes, too. */
	char *large = arena_alloc(&w->arena, RENDERED_BYTES_MAX + 1);
	memset(large, 'x', RENDERED_BYTES_MAX);
	const struct config_file largest[] = {{"large", large, NULL}, {0}};
	c->config = largest;
	client_deploy(c, "m3", one, NULL);
	assert_int_equal(stat_at(w, "current/large").st_size, RENDERED_BYTES_MAX);
	const struct config_file beyond[] = {{"large", large, NULL}, {"one", "1", NULL}, {0}};
	c->config = beyond;
	assert_answer(c, MSG_REFUSED, client_prepare(c, "m4", one, NULL));
	abandon(c, "m4");
	client_end(c);
}

static void a_folder_swapped_for_a_link_leads_nowhere(void **state)
{
	static const struct config_file below[] = {{"config/app.ini", "canary", NULL}, {0}};
	struct world *w = *state;
	struct client *c = &w->c;
	int raw;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_end(c);
	const char *outside = path_at(&w->arena, w->temp.path, "outside");
	assert_int_equal(mkdir(outside, 0755), 0);
	client_start(c, w->place, "agent.render.kept=hang");
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	/* It stops before it writes; the tree is filled then. */
	pid_t swapper = fork();
	if (swapper == 0) {
		char command[1024];
		snprintf(command, sizeof(command),
			 "until grep -q '^State:.T' /proc/%d/status; do :; done; "
			 "cd %s/.lockstep/prepare/0* && mv config ../../config-before && ln -s %s config; "
			 "kill -CONT %d",
			 c->pid, w->place, outside, c->pid);
		_exit(system(command) == 0 ? 0 : 1);
	}
	c->config = below;
	uint8_t answer = client_prepare(c, "d2", two, NULL);
	assert_int_equal(waitpid(swapper, &raw, 0), swapper);
	assert_int_equal(raw, 0);
	assert_answer(c, MSG_REFUSED, answer);
	assert_int_equal(rmdir(outside), 0); /* it is empty */
	client_end(c);
}

static void a_file_belongs_to_whom_it_should(void **state)
{
	static const struct config_file owned[] = {{".env", "canary", "owner=nobody group=nogroup mode=416"},
						   {0}};
	struct world *w = *state;
	struct client *c = &w->c;
	const struct passwd *nobody = getpwnam("nobody");
	const struct group *nogroup = getgrnam("nogroup");
	char then[64];

	if (geteuid() != 0 || !nobody || !nogroup) {
		print_message("# SKIP: needs root, a user nobody and a group nogroup\n");
		skip();
	}
	client_start(c, w->place, NULL);
	c->config = owned;
	client_deploy(c, "d1", one, NULL);
	snprintf(then, sizeof(then), "%s", c->live);
	assert_int_equal(stat_at(w, "current/.env").st_uid, nobody->pw_uid);
	assert_int_equal(stat_at(w, "current/.env").st_gid, nogroup->gr_gid);
	assert_int_equal(stat_at(w, "current/.env").st_mode & 07777, 0640);
	assert_int_equal(chown(path_at(&w->arena, w->place, "current/.env"), 0, nogroup->gr_gid), 0);
	assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=0"));
	assert_int_equal(client_get_u64(c, "edits"), 1);
	assert_string_equal(c->edit_kind, "mode");
	c->config = NULL;
	client_deploy(c, "d2", one, arena_printf(&w->arena, "from=%s", then));
	assert_int_equal(stat_at(w, "current/.env").st_uid, nobody->pw_uid);
	client_end(c);
}

/* As an ordinary user, whom the place belongs to. */
static void giving_away_needs_leave(void **state)
{
	static const struct config_file to_root[] = {{".env", "canary", "owner=root"}, {0}};
	static const struct config_file to_group[] = {{".env", "canary", "group=daemon"}, {0}};
	static const struct config_file ours[] = {{".env", "canary", "owner=nobody group=nogroup"}, {0}};
	static const struct config_file unreadable[] = {{".env", "canary", "mode=32"}, {0}};
	struct world *w = *state;
	struct client *c = &w->c;
	const struct passwd *nobody = getpwnam("nobody");
	const char *agent = getenv("LOCKSTEP_TEST_AGENT");

	if (geteuid() != 0 || !nobody || !getgrnam("nogroup") ||
	    system("setpriv --version >/dev/null 2>&1") != 0) {
		print_message("# SKIP: needs root, a user nobody, a group nogroup, and setpriv\n");
		skip();
	}
	/* Where that user can get at it. */
	const char *copy = path_at(&w->arena, w->temp.path, "agent");
	const char *home = path_at(&w->arena, w->temp.path, "home");
	assert_int_equal(
		system(arena_printf(&w->arena, "cp %s %s && chmod 755 %s %s && mkdir %s && chown nobody %s",
				    agent, copy, copy, w->temp.path, home, home)),
		0);
	const char *before = arena_strdup(&w->arena, agent);
	const char *user = getenv("USER") ? arena_strdup(&w->arena, getenv("USER")) : NULL;
	setenv("USER", "nobody", 1);
	const char *wrapper = path_at(&w->arena, w->temp.path, "runas-nobody");
	write_at(w->temp.path, "runas-nobody",
		 "#!/bin/sh\nexec setpriv --reuid=nobody --regid=nogroup --clear-groups \"$@\"\n");
	chmod(wrapper, 0755);
	setenv("LOCKSTEP_TEST_AGENT", arena_printf(&w->arena, "%s %s", wrapper, copy), 1);
	client_start(c, path_at(&w->arena, home, "shop"), NULL);
	setenv("LOCKSTEP_TEST_AGENT", before, 1);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	c->config = to_root;
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d1", one, NULL));
	assert_int_equal(client_get_u64(c, "code"), ERR_DENIED);
	assert_non_null(strstr(client_get(c, "text"), ".env"));
	assert_non_null(strstr(client_get(c, "hint"), "usermod -aG root nobody"));
	abandon(c, "d1");
	c->config = to_group;
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d2", one, NULL));
	assert_non_null(strstr(client_get(c, "hint"), "usermod -aG daemon nobody"));
	abandon(c, "d2");
	c->config = unreadable;
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d3", one, NULL));
	abandon(c, "d3");
	/* `server check` says the same beforehand. */
	assert_answer(c, MSG_DONE,
		      client_ask(c, MSG_CHECK, "owner=root owner=nobody group=daemon group=nogroup"));
	assert_int_equal(client_get_u64(c, "bad"), 2);
	c->config = ours;
	client_deploy(c, "d4", one, NULL);
	client_end(c);
	if (user)
		setenv("USER", user, 1);
	else
		unsetenv("USER");
}

static void the_config_key_is_kept_and_told(void **state)
{
	static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_answer(c, MSG_REFUSED, client_prepare(c, "d0", one, "config_key=0011"));
	abandon(c, "d0");
	assert_absent(w, ".lockstep/config-key");
	client_deploy(c, "d1", one, arena_printf(&w->arena, "config_key=%s", key));
	assert_text(w, ".lockstep/config-key", arena_printf(&w->arena, "%s\n", key));
	assert_int_equal(stat_at(w, ".lockstep/config-key").st_mode & 07777, 0600);
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), key));
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/state"), key));
	/* Without one, what is there stays. */
	client_deploy(c, "d2", two, NULL);
	client_end(c);
	client_start(c, w->place, NULL);
	assert_string_equal(c->config_key, key);
	assert_answer(c, MSG_READY, client_lease(c, NULL));
	assert_string_equal(c->config_key, key);
	client_end(c);
}

static void secrets_reach_commands_by_descriptor(void **state)
{
	static const char script[] =
		"point=%s index=%d dir=place env=PLAIN=seen secret_env=A=it%%27s%%0A%%22$x%%22 "
		"secret_env=B=canary-b %s timeout_ms=20000 "
		"command=env|grep%%20-c%%20canary[-]b;env|grep%%20-c%%20PLAIN=seen;tr%%20'\\0'%%20'\\n'%%20</"
		"proc/$$/cmdline|grep"
		"%%20-c%%20canary[-]b;.%%20/dev/fd/"
		"$LOCKSTEP_SECRETS_FD;printf%%20'[%%25s][%%25s]'%%20\"$A\"%%20\"$B\"";
	static const char said[] = "0\n1\n0\n[it's\n\"$x\"][canary-b]";
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	assert_answer(c, MSG_RAN, client_ask(c, MSG_RUN, script, "after_live", 0, "deployment=d1"));
	assert_string_equal(buf_str(&c->output), said);
	buf_clear(&c->output);
	assert_answer(c, MSG_RAN, client_ask(c, MSG_RUN, script, "health", 0, "deployment=d1"));
	assert_string_equal(buf_str(&c->output), said);
	if (geteuid() == 0 && getpwnam("nobody")) {
		chmod(w->temp.path, 0755);
		buf_clear(&c->output);
		assert_answer(c, MSG_RAN,
			      client_ask(c, MSG_RUN, script, "after_live", 1, "deployment=d1 as=nobody"));
		assert_string_equal(buf_str(&c->output), said);
		/* More than a pipe usually holds, and the end of the command is its own. */
		char *large = arena_alloc(&w->arena, 180001);
		memset(large, 'y', 180000);
		for (int read_it = 0; read_it < 2; read_it++) {
			buf_clear(&c->output);
			assert_answer(
				c, MSG_RAN,
				client_ask(c, MSG_RUN,
					   "deployment=d1 point=after_live index=%d dir=place as=nobody "
					   "secret_env=L=%s timeout_ms=20000 command=%sexit%%207",
					   2 + read_it, large, read_it ? ".%20/dev/fd/3;echo%20${#L};" : ""));
			assert_int_equal(client_get_u64(c, "status"), 7);
			assert_string_equal(buf_str(&c->output), read_it ? "180000\n" : "");
		}
	}
	/* What the command leaves behind holds the descriptor and never reads it. */
	if (geteuid() == 0 && getpwnam("nobody")) {
		char *large = arena_alloc(&w->arena, 180001);
		memset(large, 'y', 180000);
		int64_t begun = clock_mono_ms();
		assert_answer(c, MSG_RAN,
			      client_ask(c, MSG_RUN,
					 "deployment=d1 point=after_live index=4 dir=place as=nobody "
					 "secret_env=L=%s timeout_ms=20000 "
					 "command=sleep%%2015%%20>/dev/null%%202>&1&%%20exit%%207",
					 large));
		assert_int_equal(client_get_u64(c, "status"), 7);
		assert_true(clock_mono_ms() - begun < 10000);
	}
	/* Sealed: a command cannot change what the next reads. */
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=5 dir=place secret_env=B=canary "
				 "command=echo%%20C=1>>/dev/fd/3"));
	assert_int_not_equal(client_get_u64(c, "status"), 0);
	buf_clear(&c->output);
	assert_answer(c, MSG_RELOADED,
		      client_ask(c, MSG_RELOAD,
				 "deployment=d1 timeout_ms=9000 away_from= secret_env=B=canary-b "
				 "spec=command:.%%20/dev/fd/3;echo%%20$B"));
	assert_string_equal(buf_str(&c->output), "canary-b\n");
	assert_answer(c, MSG_REFUSED,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=health index=0 dir=place secret_env=not-a-name=canary "
				 "command=true"));
	assert_null(strstr(client_get(c, "text"), "canary"));
	assert_null(strstr(text_at(&w->arena, w->place, ".lockstep/journal"), "canary"));
	client_end(c);
}

/* Nothing of what passed is left in the agent's memory, and nobody may look. */
static void the_agent_forgets(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	char path[64], range[256];
	size_t regions = 0, found = 0;

	if (geteuid() != 0 || getenv("LOCKSTEP_TEST_SANITIZED")) {
		print_message("# SKIP: needs root and an agent that is not sanitized\n");
		skip();
	}
	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", one,
		      "config_key=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	assert_answer(c, MSG_RAN,
		      client_ask(c, MSG_RUN,
				 "deployment=d1 point=after_live index=0 dir=place secret_env=B=canary-b "
				 "command=true"));
	/* It answers first and wipes then. */
	assert_answer(c, MSG_PONG, client_ask(c, MSG_PING, "ping=1"));
	snprintf(path, sizeof(path), "/proc/%d/maps", c->pid);
	FILE *maps = fopen(path, "r");
	snprintf(path, sizeof(path), "/proc/%d/mem", c->pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	assert_non_null(maps);
	assert_true(memory >= 0);
	while (fgets(range, sizeof(range), maps)) {
		unsigned long from, to;
		char rights[8];
		if (sscanf(range, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w' ||
		    to - from > MIB(64))
			continue;
		char *bytes = mem_alloc(to - from);
		ssize_t got = pread(memory, bytes, to - from, (off_t)from);
		regions += got > 0;
		static const char *const planted[] = {"canary-first", "canary-key", "canary-b",
						      "00112233445566778899"};
		for (size_t i = 0; i < ARRAY_LEN(planted) && got > 0; i++)
			if (memmem(bytes, (size_t)got, planted[i], strlen(planted[i]))) {
				print_message("# %s in %s", planted[i], range);
				found++;
			}
		free(bytes);
	}
	fclose(maps);
	close(memory);
	assert_true(regions > 1);
	assert_int_equal(found, 0);
	client_end(c);
}

/* A release of the size of a large application: what a change of configuration costs. */
static void configuration_alone_is_fast(void **state)
{
	enum { FILES = 6300 };
	struct world *w = *state;
	struct client *c = &w->c;
	struct item *items = ARENA_NEW_ARRAY(&w->arena, FILES + 1, struct item);
	int64_t best = INT64_MAX;

	for (size_t i = 0; i < FILES; i++)
		items[i] = (struct item){
			.path = arena_printf(&w->arena, "vendor/%03zu/file-%05zu.php", i / 20, i),
			.content = arena_printf(&w->arena, "<?php // %zu\n", i)};
	client_start(c, w->place, NULL);
	c->config = first;
	client_deploy(c, "d1", items, NULL);
	c->config = second;
	for (int i = 0; i < 3; i++) {
		const char *deployment = arena_printf(&w->arena, "c%d", i);
		int64_t begun = clock_mono_ms();
		assert_answer(c, MSG_PREPARED,
			      client_prepare(c, deployment, items,
					     arena_printf(&w->arena, "hash=signature from=%s", c->live)));
		best = MIN(best, clock_mono_ms() - begun);
		assert_int_equal(client_get_u64(c, "linked"), FILES);
		abandon(c, deployment);
	}
	assert_int_equal(c->needs, FILES); /* all of them by the first deployment */
	print_message("# configuration of %d files: %lld ms\n", FILES, (long long)best);
	/* Half a second on a machine of its own; this one may be shared and sanitized. */
	assert_true(best < 5000);
	client_end(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(they_stand_in_the_activation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_fetched_is_the_release, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rollback_brings_the_configuration_of_its_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(only_the_configuration, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_scan_names_edits_without_their_content, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_folder_swapped_for_a_link_leads_nowhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_belongs_to_whom_it_should, set_up, tear_down),
		cmocka_unit_test_setup_teardown(giving_away_needs_leave, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_config_key_is_kept_and_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(secrets_reach_commands_by_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_agent_forgets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(configuration_alone_is_fast, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
