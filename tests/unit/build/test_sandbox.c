/* Builds with commands, in a real sandbox, by several processes. */
#include "fixture.h"

#include <sched.h>

static void commands_make_the_result(void **state)
{
	static const struct build_variable env = {"GREETING", "hello there"};
	struct err err = ERR_INIT;

	(void)state;
	COMMANDS("mkdir -p out; echo \"$GREETING\" > out/greeting; pwd > out/pwd; id -u > out/uid",
		 "cat a.txt >> out/greeting; echo kept > \"$HOME/h\"; echo said; git init -q . 2>/dev/null "
		 "|| mkdir .git; "
		 "echo x > .git/x; chmod 700 out; chmod 600 out/pwd");
	recipe.env = &env;
	recipe.env_count = 1;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_true(result.built);
	assert_string_equal(content("out/greeting"), "hello there\none\n");
	assert_string_equal(content("out/pwd"), "/build\n");
	assert_string_equal(content("out/uid"), "1000\n");
	struct manifest manifest = load();
	assert_false(has(&manifest, ".git"));
	assert_false(has(&manifest, "h"));
	assert_string_equal(buf_str(&output), "said\n");
	assert_non_null(strstr(buf_str(&steps), "$ mkdir -p out"));
	assert_int_equal(count_logs(), 1);
	assert_true(result.record.log[0]);
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_false(result.built);
	assert_int_equal(count_logs(), 1);
	assert_int_equal(atoi(sh_line("ls -d home/builds/*/work-* 2>/dev/null | wc -l")), 0);
}

static void sandbox_shows_nothing_of_ours(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sh("mkdir -p user/.ssh; echo key > user/.ssh/id; echo state > home/state.db");
	char *old_home = strdup(getenv("HOME"));
	setenv("HOME", test_path("user"), 1);
	setenv("SSH_AUTH_SOCK", test_path("agent"), 1);
	setenv("UNRELATED_TOKEN", "t0ken-of-the-controller", 1);
	char command[1024];
	snprintf(command, sizeof(command),
		 "{ ls -A '%s' '%s/user/.ssh' '%s/home' /root /home /run/secrets; env; ls /proc | grep -c "
		 "'^[0-9]'; "
		 "touch /usr/x /etc/x; ls /tmp; tr '\\0' ' ' < /proc/1/cmdline; } > seen 2>&1 || true",
		 test_dir, test_dir, test_dir);
	COMMANDS(command);
	int done = build_run(&request, &arena, &result, &err);
	setenv("HOME", old_home, 1);
	free(old_home);
	unsetenv("SSH_AUTH_SOCK");
	unsetenv("UNRELATED_TOKEN");
	assert_done(done, &err);
	const char *seen = content("seen");
	static const char *const secrets[] = {"id\n", "state.db", "SSH_AUTH_SOCK", "t0ken",
					      "GIT_AUTHOR_NAME"};
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		if (strstr(seen, secrets[i]))
			fail_msg("the sandbox sees `%s`:\n%s", secrets[i], seen);
	assert_non_null(strstr(seen, "HOME=/home/build"));
	assert_non_null(strstr(seen, "Read-only file system"));
	assert_false(access("/usr/x", F_OK) == 0 || access("/etc/x", F_OK) == 0);
}

static void offline_means_no_network(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	COMMANDS("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort | tr '\\n' ' ' > devices");
	recipe.offline = true;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_string_equal(content("devices"), "lo ");
}

static void failed_build_leaves_its_log_and_nothing_else(void **state)
{
	struct err err = ERR_INIT;
	struct store_verify_result stored;

	(void)state;
	COMMANDS("echo fine",
		 "echo first line; i=0; while [ $i -lt 20 ]; do echo \"line $i\"; i=$((i+1)); done; "
		 "echo what went wrong >&2; false; echo never");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_says(&err, "command 2 of 2 failed with exit status 1");
	assert_says(&err, "what went wrong");
	assert_says(&err, "line 11");
	assert_null(strstr(err.text, "line 3\n"));
	assert_non_null(strstr(err.hint, "/log-"));
	assert_int_equal(sh_status("grep -q '^first line' home/builds/*/log-*; grep -q 'exit status 1' "
				   "home/builds/*/log-*;"
				   "! grep -q '^never' home/builds/*/log-*"),
			 0);
	assert_int_equal(
		atoi(sh_line("ls -d home/builds/*/work-* home/builds/*/release 2>/dev/null | wc -l")), 0);
	err_clear(&err);
	assert_done(store_verify(store, NULL, NULL, NULL, &stored, &err), &err);
	assert_int_equal(stored.manifests + stored.objects, 0);
	/* Not remembered as done: the next attempt builds. */
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(count_logs(), 2);
	COMMANDS("no-such-program --x");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "program not found");
}

static void time_memory_and_output_are_limited(void **state)
{
	struct err err = ERR_INIT;
	int64_t start = clock_mono_ms();

	(void)state;
	recipe.timeout_ms = 500;
	COMMANDS("echo started; (sleep 1000 & sleep 1000)");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(err.code, ERR_FAILED);
	assert_says(&err, "was stopped");
	assert_says(&err, "started");
	assert_true(clock_mono_ms() - start < 20000);
	recipe.timeout_ms = 0;
	recipe.memory_max = 32 << 20;
	COMMANDS("head -c 200000000 /dev/zero | tail -c 150000000 > /dev/null");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "command 1 of 1");
	recipe.memory_max = 0;
	recipe.log_max = 1000;
	COMMANDS("i=0; while [ $i -lt 20000 ]; do echo \"some line $i\"; i=$((i+1)); done");
	err_clear(&err);
	assert_done(build_run(&request, &arena, &result, &err), &err);
	struct stat info;
	assert_int_equal(stat(result.record.log, &info), 0);
	assert_true(info.st_size < 40000);
}

static void secrets_are_there_and_nowhere_else(void **state)
{
	struct err err = ERR_INIT;
	const char *const names[] = {"TOKEN"}, *const missing[] = {"OTHER"};

	(void)state;
	request.secret = secret_value;
	recipe.secrets = names;
	recipe.secret_count = 1;
	COMMANDS("env | grep -c t0p && exit 3; test \"$TOKEN_FILE\" = /run/secrets/TOKEN; cat $TOKEN_FILE; "
		 "echo; "
		 "base64 < $TOKEN_FILE; wc -c < $TOKEN_FILE > length",
		 "sha256sum < $TOKEN_FILE | cut -c1-8 > proof; cat /run/secrets/TOKEN >&2");
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_string_equal(content("length"), "16\n");
	assert_string_equal(content("proof"), arena_printf(&arena, "%s\n",
							   sh_line("printf %%s t0p-s3cret-value | "
								   "sha256sum | cut -c1-8")));
	assert_null(strstr(buf_str(&output), "t0p-s3cret"));
	assert_non_null(strstr(buf_str(&output), "***"));
	sh("! grep -rE 't0p-s3cret|dDBwLXMzY3JldC12' home");
	/* One that ends up in a file of the result is refused by name. */
	COMMANDS("mkdir conf; head -c 300000 /dev/zero > conf/auth.json; cat $TOKEN_FILE >> conf/auth.json");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "conf/auth.json");
	assert_says(&err, "TOKEN");
	assert_null(strstr(err.text, "t0p"));
	recipe.secrets = missing;
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	assert_says(&err, "OTHER");
}

static void caches_last_and_are_kept_apart(void **state)
{
	struct err err = ERR_INIT;
	const char *const caches[] = {"~/.tool/cache", "vendor"};

	(void)state;
	recipe.caches = caches;
	recipe.cache_count = 2;
	for (int round = 0; round < 3; round++) {
		char command[200];
		snprintf(command, sizeof(command),
			 "mkdir -p vendor; echo %d >> ~/.tool/cache/c; echo %d >> vendor/v; cp "
			 "~/.tool/cache/c seen",
			 round, round);
		COMMANDS(command);
		request.protected_ref = round == 2;
		assert_done(build_run(&request, &arena, &result, &err), &err);
		static const char *const expected[] = {"0\n", "0\n1\n", "2\n"};
		assert_string_equal(content("seen"), expected[round]);
		assert_string_equal(content("vendor/v"), expected[round]);
	}
	/* A link in the place of a cached folder is not followed. */
	sh("mkdir outside; echo private > outside/p");
	char command[200];
	snprintf(command, sizeof(command),
		 "rm -rf vendor; ln -s '%s/outside' vendor; rm vendor; ln -s a.txt vendor", test_dir);
	COMMANDS(command);
	assert_done(build_run(&request, &arena, &result, &err), &err);
	sh("! grep -r private home");
}

static bool stop_when_started(void *context)
{
	(void)context;
	return strstr(buf_str(&output), "ready") != NULL;
}

static void can_be_stopped(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	request.stop = stop_when_started;
	COMMANDS("echo ready; sleep 1000");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(
		atoi(sh_line("ls -d home/builds/*/work-* home/builds/*/release 2>/dev/null | wc -l")), 0);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

/* In a namespace that allows no more of them, as many containers are. */
static void says_when_no_namespaces_can_be_made(void **state)
{
	char map[64];
	int status;

	(void)state;
	COMMANDS("true");
	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		if (unshare(CLONE_NEWUSER) != 0 || !write_file("/proc/self/setgroups", "deny") ||
		    !write_file("/proc/self/uid_map", map) ||
		    !write_file("/proc/sys/user/max_user_namespaces", "0"))
			_exit(77);
		bool refused = build_run(&request, &arena, &result, &err) != 0;
		fprintf(stderr, "# %s\n", err.text);
		_exit(refused && err.code == ERR_USER && strstr(err.text, "sandbox cannot be made here") &&
				      strstr(err.hint, "sandbox: none")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Its own handles, as another process has them: 10 built, 11 not, else failed. */
static int build_as_other_process(void)
{
	struct err err = ERR_INIT;

	source = NULL;
	store = NULL;
	if (store_open(test_path("home/store"), &store, &err) ||
	    source_open(request.home, "up", test_dir, &source, &err) ||
	    source_resolve(source, "main", &arena, &commit, &err))
		return 1;
	request.store = store;
	request.source = source;
	if (build_run(&request, &arena, &result, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	return result.built ? 10 : 11;
}

static pid_t fork_build(void)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		_exit(build_as_other_process());
	assert_true(pid > 0);
	return pid;
}

static void two_at_the_same_moment_build_once(void **state)
{
	int built = 0, taken = 0;
	pid_t pids[3];

	(void)state;
	COMMANDS("sleep 0.3; od -An -N8 -tx8 /dev/urandom > random");
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		pids[i] = fork_build();
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		built += WIFEXITED(status) && WEXITSTATUS(status) == 10;
		taken += WIFEXITED(status) && WEXITSTATUS(status) == 11;
	}
	assert_int_equal(built, 1);
	assert_int_equal(taken, 2);
	assert_int_equal(count_logs(), 1);
}

static void killed_build_leaves_no_lock(void **state)
{
	struct err err = ERR_INIT;
	int status;

	(void)state;
	COMMANDS("echo began; echo x > half; while [ -e half ]; do sleep 0.05; test -e go && exit 0; done; "
		 "true");
	pid_t pid = fork_build();
	for (int64_t until = clock_mono_ms() + 20000;
	     sh_status("cat home/builds/*/log-* 2>/dev/null | grep -q ^began");) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 20);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(atoi(sh_line("ls -d home/builds/*/work-* | wc -l")), 1);
	/* What ran in the sandbox went with it. */
	for (int64_t until = clock_mono_ms() + 20000;
	     sh_status("grep -lzs '%s' /proc/[0-9]*/cmdline | grep -v \"/$$/\" | grep -q .",
		       "while \\[ -e half") == 0;) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 20);
	}
	sh("cd up; echo go > go; git add go; git commit -qm go");
	/* The same key again: leftovers go, and the lock is free. */
	request.stop = stop_when_started;
	COMMANDS("echo began; echo x > half; while [ -e half ]; do sleep 0.05; test -e go && exit 0; done; "
		 "true");
	recipe.timeout_ms = 300;
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "was stopped");
	assert_int_equal(atoi(sh_line("ls -d home/builds/*/work-* 2>/dev/null | wc -l")), 0);
}

static void says_for_whom_it_waits(void **state)
{
	struct err err = ERR_INIT;
	int status;

	(void)state;
	COMMANDS("echo began; sleep 1000");
	pid_t pid = fork_build();
	for (int64_t until = clock_mono_ms() + 20000;
	     sh_status("cat home/builds/*/log-* 2>/dev/null | grep -q ^began");) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 20);
	}
	buf_puts(&output, "ready"); /* stop at once */
	request.stop = stop_when_started;
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_says(&err, arena_printf(&arena, "process %d", pid));
	assert_non_null(strstr(buf_str(&steps), "waiting for"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_make_the_result),
		TEST(sandbox_shows_nothing_of_ours),
		TEST(offline_means_no_network),
		TEST(failed_build_leaves_its_log_and_nothing_else),
		TEST(time_memory_and_output_are_limited),
		TEST(secrets_are_there_and_nowhere_else),
		TEST(caches_last_and_are_kept_apart),
		TEST(can_be_stopped),
		TEST(says_when_no_namespaces_can_be_made),
		TEST(two_at_the_same_moment_build_once),
		TEST(killed_build_leaves_no_lock),
		TEST(says_for_whom_it_waits),
	};

	if (system("bwrap --unshare-user --unshare-pid --ro-bind / / --proc /proc true >/dev/null 2>&1") !=
	    0) {
		puts("1..0 # SKIP no namespaces can be made here");
		return 0;
	}
	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
