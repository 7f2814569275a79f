/* Fetching, resolving and reading history, against real repositories. */
#include "repository.h"

#include "source/source.h"

#include <sys/file.h>

static struct source *open_and_fetch(const char *url)
{
	struct source *source;
	struct err err = ERR_INIT;

	assert_done(source_open(test_path("home"), url, test_dir, &source, &err), &err);
	assert_done(source_fetch(source, NULL, &err), &err);
	return source;
}

static void make_repository(void)
{
	sh("git init -q -b main up; cd up;"
	   "echo one > a.txt; mkdir -p deploy/x; echo yml > deploy/x/lockstep.yml; git add -A; git commit "
	   "-qm 'first';"
	   "git tag v1.9.0; git branch feature/login;"
	   "echo two > b.txt; git rm -q a.txt; git add -A; git commit -qm 'second: größer';"
	   "git tag -a v1.10.0 -m 'ten'; git -c advice.nestedTag=false tag -a outer -m x v1.10.0; git tag "
	   "v2.0.0-rc1");
}

static void resolves_names_patterns_and_hashes(void **state)
{
	static const struct {
		const char *ref, *shows, *resolved;
		enum ref_kind kind;
	} rows[] = {
		{"HEAD", "main", "HEAD", REF_HEAD},
		{"", "main", "HEAD", REF_HEAD},
		{"main", "main", "main", REF_BRANCH},
		{"feature/login", "v1.9.0", "feature/login", REF_BRANCH},
		{"refs/heads/main", "main", "main", REF_BRANCH},
		{"v1.9.0", "v1.9.0", "v1.9.0", REF_TAG},
		{"refs/tags/v1.10.0", "v1.10.0^{commit}", "v1.10.0", REF_TAG},
		{"outer", "main", "outer", REF_TAG},
		{"v1.*", "main", "v1.10.0", REF_PATTERN},
		{"v[12].9*", "v1.9.0", "v1.9.0", REF_PATTERN},
		{"v*", "main", "v2.0.0-rc1", REF_PATTERN},
	};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit;

	(void)state;
	make_repository();
	AUTO(source_close) struct source *source = open_and_fetch("up/deploy/x");
	assert_true(source_is_local(source));
	assert_string_equal(source_url(source), sh_line("realpath up"));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_done(source_resolve(source, rows[i].ref, &arena, &commit, &err), &err);
		assert_string_equal(commit.hash, sh_line("git -C up rev-parse '%s^{commit}'", rows[i].shows));
		assert_string_equal(commit.tree, sh_line("git -C up rev-parse '%s^{tree}'", rows[i].shows));
		assert_string_equal(commit.ref, rows[i].resolved);
		assert_int_equal(commit.ref_kind, rows[i].kind);
	}
	assert_string_equal(commit.subject, "second: größer");
	assert_string_equal(commit.author_name, "Ada Test");
	assert_string_equal(commit.author_email, "ada@example.org");
	assert_int_equal(commit.committed_ms, 1700000000000);

	const char *full = arena_strdup(&arena, sh_line("git -C up rev-parse v1.9.0"));
	for (int len = 4; len <= 40; len += 12) {
		const char *part = arena_printf(&arena, "%.*s", len, full);
		assert_done(source_resolve(source, part, &arena, &commit, &err), &err);
		assert_string_equal(commit.hash, full);
		assert_int_equal(commit.ref_kind, REF_COMMIT);
	}
	/* The final release beats its candidates. */
	sh("cd up; git tag v2.0.0 v1.9.0");
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_done(source_resolve(source, "v*", &arena, &commit, &err), &err);
	assert_string_equal(commit.ref, "v2.0.0");
}

static void says_what_is_wrong_with_a_ref(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit;

	(void)state;
	make_repository();
	sh("cd up; git tag main");
	AUTO(source_close) struct source *source = open_and_fetch("up");
	assert_int_equal(source_resolve(source, "feature/logn", &arena, &commit, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.hint, "feature/login"));
	assert_int_equal(source_resolve(source, "main", &arena, &commit, &err), -1);
	assert_says(&err, "both a branch");
	assert_int_equal(source_resolve(source, "x*", &arena, &commit, &err), -1);
	assert_says(&err, "no tag of");
	assert_int_equal(source_resolve(source, "--all", &arena, &commit, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_int_equal(source_resolve(source, "a b", &arena, &commit, &err), -1);
	assert_int_equal(
		source_resolve(source, "0000000000000000000000000000000000000000", &arena, &commit, &err),
		-1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	/* Among 700 commits two share their first four digits with a chance of 97 in a
	 * hundred; these are always the same 700, and two do. */
	err_clear(&err);
	sh("cd up; i=0; while [ $i -lt 700 ]; do echo \"commit refs/heads/many\ncommitter A <a@b> $i "
	   "+0000\ndata 1\nx\n\";"
	   "i=$((i+1)); done | git fast-import --quiet");
	assert_done(source_fetch(source, NULL, &err), &err);
	const char *shared = arena_strdup(
		&arena, sh_line("git -C up log --format=%%h --abbrev=4 many | cut -c1-4 | sort | "
				"uniq -d | head -1"));
	assert_int_equal(strlen(shared), 4);
	assert_int_equal(source_resolve(source, shared, &arena, &commit, &err), -1);
	assert_says(&err, "could be any of");
}

static void refuses_moved_and_withdrawn_tags(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit;

	(void)state;
	make_repository();
	AUTO(source_close) struct source *source = open_and_fetch("up");
	const char *old = arena_strdup(&arena, sh_line("git -C up rev-parse --short=12 v1.9.0"));
	sh("cd up; git tag -f v1.9.0 main >/dev/null; git tag -d v2.0.0-rc1 >/dev/null");
	assert_done(source_fetch(source, NULL, &err), &err);
	/* Also for a process that opens the mirror later and does not fetch. */
	source_close(&source);
	assert_done(source_open(test_path("home"), "up", test_dir, &source, &err), &err);
	assert_int_equal(source_resolve(source, "v1.9.0", &arena, &commit, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_says(&err, "v1.9.0 was moved");
	assert_says(&err, old);
	assert_says(&err, sh_line("git -C up rev-parse --short=12 main"));
	assert_int_equal(source_resolve(source, "v1.9*", &arena, &commit, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_int_equal(source_resolve(source, "v2.0.0-rc1", &arena, &commit, &err), -1);
	assert_says(&err, "withdrawn");
	err_clear(&err);
	/* Others are not held up, and the way out that the hint names works. */
	assert_done(source_resolve(source, "v1.10.0", &arena, &commit, &err), &err);
	sh("git --git-dir='%s' update-ref -d refs/tags/v1.9.0", source_mirror(source));
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_done(source_resolve(source, "v1.9.0", &arena, &commit, &err), &err);
	assert_string_equal(commit.hash, sh_line("git -C up rev-parse main"));
	/* A tag made anew for the same commit has not moved. */
	sh("cd up; git tag -f -a -m again v1.10.0 v1.10.0^{commit} >/dev/null");
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_done(source_resolve(source, "v1.10.0", &arena, &commit, &err), &err);
}

static void follows_branches_and_keeps_what_upstream_forgot(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit;
	struct source_ref *refs;
	size_t count;

	(void)state;
	make_repository();
	AUTO(source_close) struct source *source = open_and_fetch("up");
	const char *old = arena_strdup(&arena, sh_line("git -C up rev-parse main"));
	sh("cd up; git branch -qD feature/login; git branch feature main; git commit -q --amend -m 'another "
	   "second'");
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_int_equal(source_resolve(source, "feature/login", &arena, &commit, &err), -1);
	err_clear(&err);
	assert_done(source_resolve(source, "main", &arena, &commit, &err), &err);
	assert_string_equal(commit.subject, "another second");
	assert_done(source_load_commit(source, old, &arena, &commit, &err), &err);
	assert_done(source_list_refs(source, &arena, &refs, &count, &err), &err);
	assert_int_equal(count, 6);
	assert_int_equal(refs[0].kind, REF_BRANCH);
	assert_string_equal(refs[2].name, "v2.0.0-rc1");
	assert_string_equal(refs[3].name, "v1.10.0");
	/* A detached checkout that no branch shows can still be deployed as HEAD. */
	sh("cd up; git checkout -q --detach; git commit -q --allow-empty -m 'detached'");
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_done(source_resolve(source, "HEAD", &arena, &commit, &err), &err);
	assert_string_equal(commit.subject, "detached");
}

static void lists_commits_and_changes(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf file = BUF_INIT(1000);
	struct err err = ERR_INIT;
	struct commit from, to, *commits;
	struct source_change *changes;
	size_t count;
	uint64_t total, ahead, behind;
	bool yes;

	(void)state;
	make_repository();
	sh("cd up; echo x > \"$(printf 'odd\\n\\377 name')\"; ln -s b.txt link; git add -A; git commit -qm "
	   "third;"
	   "git checkout -q -b side v1.9.0; git commit -q --allow-empty -m side");
	AUTO(source_close) struct source *source = open_and_fetch("up");
	assert_done(source_resolve(source, "v1.9.0", &arena, &from, &err), &err);
	assert_done(source_resolve(source, "main", &arena, &to, &err), &err);
	assert_done(
		source_list_commits(source, from.hash, to.hash, 1, &arena, &commits, &count, &total, &err),
		&err);
	assert_int_equal(total, 2);
	assert_int_equal(count, 1);
	assert_string_equal(commits[0].subject, "third");
	assert_done(source_list_commits(source, NULL, to.hash, 10, &arena, &commits, &count, &total, &err),
		    &err);
	assert_int_equal(count, 3);
	assert_string_equal(commits[2].subject, "first");
	assert_done(
		source_compare(source, sh_line("git -C up rev-parse side"), to.hash, &ahead, &behind, &err),
		&err);
	assert_int_equal(ahead, 2);
	assert_int_equal(behind, 1);
	assert_done(source_is_ancestor(source, from.hash, to.hash, &yes, &err), &err);
	assert_true(yes);
	assert_done(source_is_ancestor(source, to.hash, from.hash, &yes, &err), &err);
	assert_false(yes);
	assert_done(source_list_changes(source, from.hash, to.tree, &arena, &changes, &count, &err), &err);
	assert_int_equal(count, 4);
	assert_int_equal(changes[0].status, 'D');
	assert_true(slice_is(changes[0].path, "a.txt"));
	assert_int_equal(changes[1].status, 'A');
	assert_true(slice_is(changes[3].path, "odd\n\xff name"));

	assert_done(source_read_file(source, to.hash, "deploy/x/lockstep.yml", &file, &err), &err);
	assert_string_equal(buf_str(&file), "yml\n");
	static const char *const missing[] = {"deploy/x", "deploy/y/z", "a.txt", "b.txt/c", "link", ""};
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		assert_int_equal(source_read_file(source, to.hash, missing[i], &file, &err), -1);
		assert_int_equal(err.code, ERR_NOT_FOUND);
	}
	AUTO(buf_free) struct buf small = BUF_INIT(2);
	assert_int_equal(source_read_file(source, to.hash, "b.txt", &small, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	err_clear(&err);
	/* The reader recovers from having refused. */
	assert_done(source_read_file(source, to.hash, "b.txt", &file, &err), &err);
	assert_int_equal(source_compare(source, "0000000000000000000000000000000000000000", to.hash, &ahead,
					&behind, &err),
			 -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void says_why_a_fetch_failed(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct source *source = NULL;
	struct commit commit;

	(void)state;
	assert_int_equal(source_open(test_path("home"), "missing", test_dir, &source, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(source_open(test_path("home"), ".", test_dir, &source, &err), -1);
	assert_says(&err, "not in a git repository");
	assert_null(source);
	err_clear(&err);
	/* Port 1 of this machine: nobody listens. */
	assert_done(
		source_open(test_path("home"), "http://ada:t0ken@127.0.0.1:1/x.git", test_dir, &source, &err),
		&err);
	assert_int_equal(source_fetch(source, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_says(&err, "git says");
	assert_null(strstr(err.text, "t0ken"));
	assert_false(source_has_mirror(source));
	assert_int_equal(source_resolve(source, "main", &arena, &commit, &err), -1);
	assert_says(&err, "never fetched");
	source_close(&source);
	err_clear(&err);
	sh("git init -q -b main empty");
	source = open_and_fetch("empty");
	assert_int_equal(source_resolve(source, "main", &arena, &commit, &err), -1);
	assert_says(&err, "no commits yet");
	sh("cd empty; git commit -q --allow-empty -m now");
	err_clear(&err);
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_done(source_resolve(source, "main", &arena, &commit, &err), &err);
	/* HEAD shows a branch that is gone. */
	sh("cd empty; git symbolic-ref HEAD refs/heads/none");
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_int_equal(source_resolve(source, "HEAD", &arena, &commit, &err), -1);
	assert_says(&err, "no default branch");
	source_close(&source);
}

struct asked {
	int progress, stops;
};

static void note_progress(void *context, const char *line)
{
	struct asked *asked = context;

	asked->progress += strstr(line, "waiting for another") != NULL;
}

static bool stop_soon(void *context)
{
	struct asked *asked = context;

	return ++asked->stops > 2;
}

static void one_fetch_at_a_time_and_stoppable(void **state)
{
	struct asked asked = {0};
	struct source_watch watch = {note_progress, stop_soon, &asked};
	struct err err = ERR_INIT;

	(void)state;
	make_repository();
	AUTO(source_close) struct source *source = open_and_fetch("up");
	char lock_path[512];
	snprintf(lock_path, sizeof(lock_path), "%.*s.lock", (int)strlen(source_mirror(source)) - 4,
		 source_mirror(source));
	AUTO(close_fd) int lock = open(lock_path, O_RDWR);
	assert_true(lock >= 0);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(source_fetch(source, &watch, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(asked.progress, 1);
	close_fd(&lock);
	err_clear(&err);
	assert_done(source_fetch(source, NULL, &err), &err);
}

static void ignores_the_surroundings(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit;

	(void)state;
	make_repository();
	/* As when started from a hook of another repository, with hooks of the user's. */
	sh("git init -q other; mkdir hooks; printf '#!/bin/sh\\ntouch %s/ran\\n' > "
	   "hooks/reference-transaction;"
	   "chmod +x hooks/*; git config -f cfg core.hooksPath %s/hooks",
	   test_dir, test_dir);
	setenv("GIT_CONFIG_GLOBAL", test_path("cfg"), 1);
	setenv("GIT_DIR", test_path("other/.git"), 1);
	setenv("GIT_INDEX_FILE", test_path("other/index"), 1);
	AUTO(source_close) struct source *source = open_and_fetch("up");
	int result = source_resolve(source, "main", &arena, &commit, &err);
	unsetenv("GIT_DIR");
	unsetenv("GIT_INDEX_FILE");
	assert_done(result, &err);
	assert_string_equal(commit.hash, sh_line("git -C up rev-parse main"));
	assert_false(test_exists("ran"));
}

static void reads_sha256_repositories(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit;
	AUTO(buf_free) struct buf file = BUF_INIT(100);

	(void)state;
	sh("git init -q -b main --object-format=sha256 up; cd up; mkdir d; echo x > d/a; git add -A; git "
	   "commit -qm one");
	AUTO(source_close) struct source *source = open_and_fetch("up");
	assert_done(source_resolve(source, "main", &arena, &commit, &err), &err);
	assert_int_equal(strlen(commit.hash), 64);
	assert_done(source_read_file(source, commit.hash, "d/a", &file, &err), &err);
	assert_string_equal(buf_str(&file), "x\n");
}

static void takes_shallow_clones_as_they_are(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct commit commit, *commits;
	size_t count;
	uint64_t total;

	(void)state;
	make_repository();
	sh("git clone -q --depth 1 file://%s/up shallow", test_dir);
	AUTO(source_close) struct source *source = open_and_fetch("shallow");
	assert_done(source_resolve(source, "main", &arena, &commit, &err), &err);
	assert_done(
		source_list_commits(source, NULL, commit.hash, 10, &arena, &commits, &count, &total, &err),
		&err);
	assert_int_equal(total, 1);
}

static void says_when_there_is_no_git(void **state)
{
	struct source *source = NULL;
	struct err err = ERR_INIT;
	char *path = strdup(getenv("PATH"));

	(void)state;
	setenv("PATH", test_dir, 1);
	int result = source_open(test_path("home"), ".", test_dir, &source, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(result, -1);
	assert_non_null(strstr(err.hint, "install git"));
}

static void counts_what_is_not_committed_and_gives_up_in_time(void **state)
{
	enum { LIMIT_MS = 60000, SHORT_MS = 300 };
	struct err err = ERR_INIT;
	char *path = strdup(getenv("PATH"));
	size_t count;

	(void)state;
	make_repository();
	AUTO(source_close) struct source *source = open_and_fetch("up");
	assert_done(source_count_uncommitted(source, test_path("up"), LIMIT_MS, &count, &err), &err);
	assert_int_equal(count, 0);
	sh("cd up; echo three > b.txt; git mv deploy/x/lockstep.yml moved.yml; mkdir new; touch new/1 new/2");
	assert_done(source_count_uncommitted(source, test_path("up"), LIMIT_MS, &count, &err), &err);
	assert_int_equal(count, 3);

	/* A git that never comes to an end; its number tells whether it was left running. */
	sh("mkdir bin; printf '#!/bin/sh\\necho $$ > %%s/pid\\nexec tail -f /dev/null\\n' \"$PWD\" > "
	   "bin/git; chmod +x "
	   "bin/git");
	sh("echo \"$PWD/bin:$PATH\" > path");
	setenv("PATH", sh_line("cat path"), 1);
	int result = source_count_uncommitted(source, test_path("up"), SHORT_MS, &count, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(result, -1);
	assert_non_null(strstr(err.text, "git status: git took longer than"));
	assert_int_equal(count, 0);
	sh("[ -s pid ]; ! kill -0 $(cat pid)");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, test_setup, test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(resolves_names_patterns_and_hashes),
		TEST(says_what_is_wrong_with_a_ref),
		TEST(refuses_moved_and_withdrawn_tags),
		TEST(follows_branches_and_keeps_what_upstream_forgot),
		TEST(lists_commits_and_changes),
		TEST(says_why_a_fetch_failed),
		TEST(one_fetch_at_a_time_and_stoppable),
		TEST(ignores_the_surroundings),
		TEST(reads_sha256_repositories),
		TEST(takes_shallow_clones_as_they_are),
		TEST(says_when_there_is_no_git),
		TEST(counts_what_is_not_committed_and_gives_up_in_time),
	};
	return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
