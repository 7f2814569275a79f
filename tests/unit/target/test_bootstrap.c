/* Claims about starting an agent: the script is run by real shells, with a little
 * script of the test's in the agent's place. */
#include "target/bootstrap.h"

#include "helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Says how it was called, and that is all. */
static const char stand_in[] =
	"#!/bin/sh\nprintf 'called: %s [%s] fault=%s' \"$1\" \"$2\" \"$LOCKSTEP_FAULT\"\n";

static struct agent_image images[1];

static void images_make(void)
{
	images[0].arch = "x86_64";
#ifdef __aarch64__
	images[0].arch = "aarch64";
#endif
	images[0].bytes = slice_of(stand_in);
	digest_of(images[0].bytes, &images[0].digest);
}

struct run {
	struct buf out; /* after the first word */
	struct buf errors;
	int status;
};

/* The login shell runs our command, as sshd would have it; on its input are the
 * script and then the agent's bytes, which are only read when they are needed. */
static void start_with(const char *const *shell, const struct bootstrap *bootstrap, struct run *run)
{
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf input = BUF_INIT(MIB(1));
	const char *argv[8];
	size_t count = 0;
	while (shell[count]) {
		argv[count] = shell[count];
		count++;
	}
	argv[count++] = bootstrap_command;
	argv[count] = NULL;
	bootstrap_script_put(&input, bootstrap);
	assert_int_equal(input.ptr[input.len - 1], '\n');
	assert_ptr_equal(memchr(input.ptr, '\n', input.len), input.ptr + input.len - 1);
	if (bootstrap->pushed)
		buf_put_slice(&input, bootstrap->pushed->bytes);
	if (bootstrap->pushed != &images[0])
		buf_put_slice(&input, images[0].bytes);
	*run = (struct run){.out = BUF_INIT(MIB(1)), .errors = BUF_INIT(MIB(1))};
	struct child_spec spec = {
		.argv = argv, .stdin_fd = CHILD_PIPE, .stdout_fd = CHILD_PIPE, .stderr_fd = CHILD_PIPE};
	MUST(child_run(&spec, buf_slice(&input), &run->out, &run->errors, 20000, &run->status, &err));
}

static void run_free(struct run *run)
{
	buf_free(&run->out);
	buf_free(&run->errors);
}

static enum bootstrap_word next(struct run *run, const struct bootstrap *bootstrap, struct arena *arena,
				const char **what, const char **text)
{
	struct err err = ERR_INIT;
	enum bootstrap_word word;
	MUST(bootstrap_read(&run->out, bootstrap->mark, arena, &word, what, text, &err));
	return word;
}

static struct bootstrap bootstrap_of(const char *path, bool observe)
{
	struct bootstrap bootstrap = {.path = path, .observe = observe, .images = images, .image_count = 1};
	bootstrap_mark_make(bootstrap.mark);
	return bootstrap;
}

static const char *const sh[] = {"/bin/sh", "-c", NULL};

static void expect_words(const struct bootstrap *bootstrap, const char *const *shell,
			 const enum bootstrap_word *words, const char *rest)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct run run;
	const char *what, *text;
	start_with(shell, bootstrap, &run);
	for (; *words; words++) {
		enum bootstrap_word word = next(&run, bootstrap, &arena, &what, &text);
		if (word != *words)
			fail_msg("word %d instead of %d: %s %s, then %s (%s)", word, *words, what, text,
				 buf_str(&run.out), buf_str(&run.errors));
	}
	if (rest && strcmp(buf_str(&run.out), rest) != 0)
		fail_msg("\"%s\" instead of \"%s\" (%s)", buf_str(&run.out), rest, buf_str(&run.errors));
	run_free(&run);
}

static const enum bootstrap_word fresh[] = {BOOTSTRAP_NEED, BOOTSTRAP_START, 0};
static const enum bootstrap_word there[] = {BOOTSTRAP_START, 0};
static const enum bootstrap_word replaced[] = {BOOTSTRAP_WARN, BOOTSTRAP_NEED, BOOTSTRAP_START, 0};
static const enum bootstrap_word refused[] = {BOOTSTRAP_FAIL, 0};

static char *agent_path(struct arena *arena, const char *place)
{
	char hex[DIGEST_HEX_LEN + 1];
	digest_to_hex(&images[0].digest, hex);
	return arena_printf(arena, "%s/.lockstep/agent-%s", place, hex);
}

static void it_is_stored_once_and_checked_every_time(void **state)
{
	(void)state;
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	const char *place = scratch_at(&arena, &scratch, "deep/place");
	struct bootstrap bootstrap = bootstrap_of(place, false);
	const char *called = arena_printf(&arena, "called: serve [%s] fault=", place);
	struct stat st;
	expect_words(&bootstrap, sh, fresh, called);
	expect_words(&bootstrap, sh, there, arena_printf(&arena, "%s", called));
	assert_int_equal(stat(place, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	assert_int_equal(stat(arena_printf(&arena, "%s/.lockstep", place), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	const char *agent = agent_path(&arena, place);
	assert_int_equal(stat(agent, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);

	/* Tampered with: replaced, and told. */
	FILE *file = fopen(agent, "a");
	assert_non_null(file);
	fputs("echo something else\n", file);
	fclose(file);
	expect_words(&bootstrap, sh, replaced, called);
	/* A link in its place, even to the right bytes, is not trusted. */
	const char *elsewhere = scratch_at(&arena, &scratch, "elsewhere");
	assert_int_equal(rename(agent, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, agent), 0);
	expect_words(&bootstrap, sh, replaced, called);
	assert_int_equal(lstat(agent, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	scratch_remove(&scratch);
}

static void it_may_come_unasked(void **state)
{
	(void)state;
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	const char *place = scratch_at(&arena, &scratch, "place");
	const char *called = arena_printf(&arena, "called: serve [%s] fault=", place);
	struct agent_image foreign = {"mips", SLICE("#!/bin/sh\necho of another machine\n"), {{0}}};
	struct bootstrap bootstrap = bootstrap_of(place, false);
	/* One for another machine is dropped, and the right one asked for. */
	bootstrap.pushed = &foreign;
	expect_words(&bootstrap, sh, fresh, called);
	expect_words(&bootstrap, sh, there, called);
	bootstrap.pushed = &images[0];
	expect_words(&bootstrap, sh, there, called);
	bootstrap.path = scratch_at(&arena, &scratch, "other");
	expect_words(&bootstrap, sh, there, arena_printf(&arena, "called: serve [%s] fault=", bootstrap.path));
	bootstrap.observe = true;
	bootstrap.path = scratch_at(&arena, &scratch, "third");
	expect_words(&bootstrap, sh, there, arena_printf(&arena, "called: observe [%s] fault=", bootstrap.path));
	struct stat st;
	assert_int_equal(stat(bootstrap.path, &st), -1);
	scratch_remove(&scratch);
}

static void bytes_that_are_not_the_agent_are_not_started(void **state)
{
	(void)state;
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	struct agent_image other = images[0];
	other.digest.bytes[0] ^= 1;
	struct bootstrap bootstrap = bootstrap_of(scratch_at(&arena, &scratch, "place"), false);
	bootstrap.images = &other;
	static const enum bootstrap_word words[] = {BOOTSTRAP_NEED, BOOTSTRAP_FAIL, 0};
	expect_words(&bootstrap, sh, words, "");
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf left = BUF_INIT(64);
	assert_int_equal(file_read_at(AT_FDCWD, agent_path(&arena, bootstrap.path), &left, &err), -1);
	scratch_remove(&scratch);
}

static void observing_leaves_nothing_behind(void **state)
{
	(void)state;
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	const char *temp = scratch_at(&arena, &scratch, "temp");
	assert_int_equal(mkdir(temp, 0700), 0);
	setenv("TMPDIR", temp, 1);
	const char *place = scratch_at(&arena, &scratch, "place");
	struct bootstrap bootstrap = bootstrap_of(place, true);
	expect_words(&bootstrap, sh, fresh, arena_printf(&arena, "called: observe [%s] fault=", place));
	struct stat st;
	assert_int_equal(stat(place, &st), -1);
	assert_int_equal(rmdir(temp), 0); /* empty again */
	/* The installed agent is used when it is there. */
	unsetenv("TMPDIR");
	struct bootstrap serve = bootstrap_of(place, false);
	expect_words(&serve, sh, fresh, NULL);
	expect_words(&bootstrap, sh, there, arena_printf(&arena, "called: observe [%s] fault=", place));
	scratch_remove(&scratch);
}

static void any_path_and_value_arrives_as_it_is(void **state)
{
	(void)state;
	static const char *const names[] = {"it's", "a b", "$HOME", "`id`",	"a\nb",	   "\\n", "!!", "\"",
					    "%s",   "*",   "-rf",   "\xff\xfe", "a;b&c|d", "#x",  "~"};
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *place = scratch_at(&arena, &scratch, names[i]);
		struct bootstrap bootstrap = bootstrap_of(place, false);
		bootstrap.fault = names[i];
		expect_words(&bootstrap, sh, fresh,
			     arena_printf(&arena, "called: serve [%s] fault=%s", place, names[i]));
	}
	scratch_remove(&scratch);
}

static void relative_paths_begin_at_home(void **state)
{
	(void)state;
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	AUTO(mem_free_ptr) char *home = mem_strdup(getenv("HOME") ? getenv("HOME") : "/");
	setenv("HOME", scratch.path, 1);
	static const char *const paths[][2] = {{"shop", "/shop"}, {"~/shop2", "/shop2"}, {"a b/c", "/a b/c"}};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct bootstrap bootstrap = bootstrap_of(paths[i][0], false);
		expect_words(&bootstrap, sh, fresh,
			     arena_printf(&arena, "called: serve [%s%s] fault=", scratch.path, paths[i][1]));
	}
	setenv("HOME", home, 1);
	scratch_remove(&scratch);
}

static bool is_installed(const char *program)
{
	return access(program, X_OK) == 0;
}

/* Every login shell this machine has. */
static void every_login_shell_does(void **state)
{
	(void)state;
	static const char *const shells[] = {"/bin/sh",	      "/bin/dash",     "/bin/bash", "/bin/csh",
					     "/bin/tcsh",     "/usr/bin/fish", "/bin/zsh",  "/bin/ksh",
					     "/usr/bin/mksh", "/bin/rbash"};
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		const char *const shell[] = {shells[i], "-c", NULL};
		if (!is_installed(shells[i]) || strcmp(shells[i], "/bin/rbash") == 0)
			continue;
		struct bootstrap bootstrap = bootstrap_of(scratch_at(&arena, &scratch, shells[i] + 1), false);
		expect_words(&bootstrap, shell, fresh, NULL);
	}
	scratch_remove(&scratch);
}

static void busybox_can_run_the_script(void **state)
{
	(void)state;
	const char *busybox = is_installed("/bin/busybox") ? "/bin/busybox" : "/usr/bin/busybox";
	assert_true(is_installed(busybox)); /* tools/packages names it */
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	/* The script itself, by its shell and with its tools. */
	struct bootstrap bootstrap = bootstrap_of(scratch_at(&arena, &scratch, "place"), false);
	const char *const shell[] = {busybox, "sh", "-c", NULL};
	expect_words(&bootstrap, shell, fresh, NULL);
	expect_words(&bootstrap, shell, there, NULL);
	scratch_remove(&scratch);
}

/* An agent that says what is behind it on the line. */
static const char reader[] = "#!/bin/sh\nprintf 'behind me: '; cat";

static void expect_behind(const struct bootstrap *bootstrap, const char *const *shell, bool asks)
{
	AUTO(buf_free) struct buf input = BUF_INIT(MIB(2)), out = BUF_INIT(MIB(1)), errors = BUF_INIT(MIB(1));
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	enum bootstrap_word word;
	const char *what, *text, *argv[8];
	size_t count = 0;
	int status;
	for (; shell[count]; count++)
		argv[count] = shell[count];
	argv[count++] = bootstrap_command;
	argv[count] = NULL;
	bootstrap_script_put(&input, bootstrap);
	if (bootstrap->pushed)
		buf_put_slice(&input, bootstrap->pushed->bytes);
	buf_puts(&input, "early");
	if (asks) {
		buf_put_slice(&input, bootstrap->images[0].bytes);
		buf_puts(&input, "early");
	}
	struct child_spec spec = {
		.argv = argv, .stdin_fd = CHILD_PIPE, .stdout_fd = CHILD_PIPE, .stderr_fd = CHILD_PIPE};
	MUST(child_run(&spec, buf_slice(&input), &out, &errors, 20000, &status, &err));
	do
		MUST(bootstrap_read(&out, bootstrap->mark, &arena, &word, &what, &text, &err));
	while (word == BOOTSTRAP_NEED && asks);
	assert_int_equal(word, BOOTSTRAP_START);
	assert_string_equal(buf_str(&out), "behind me: early");
}

/* Whoever takes the agent's bytes off the line takes not one more. */
static void what_comes_behind_is_the_agents(void **state)
{
	(void)state;
	const char *busybox = is_installed("/bin/busybox") ? "/bin/busybox" : "/usr/bin/busybox";
	const char *const busy[] = {busybox, "sh", "-c", NULL};
	const char *const *const shells[] = {sh, busy};
	struct agent_image own = images[0], foreign = {"mips", SLICE("of another machine"), {{0}}};
	own.bytes = slice_of(reader);
	digest_of(own.bytes, &own.digest);
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		struct scratch scratch;
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		scratch_make(&scratch);
		struct bootstrap bootstrap = bootstrap_of(scratch_at(&arena, &scratch, "place"), false);
		bootstrap.images = &own;
		bootstrap.early_len = strlen("early");
		bootstrap.pushed = &own;
		expect_behind(&bootstrap, shells[i], false); /* stored */
		expect_behind(&bootstrap, shells[i], false); /* there already */
		bootstrap.path = scratch_at(&arena, &scratch, "other");
		bootstrap.pushed = &foreign;
		expect_behind(&bootstrap, shells[i], true);
		bootstrap.path = scratch_at(&arena, &scratch, "third");
		bootstrap.pushed = NULL;
		expect_behind(&bootstrap, shells[i], true);
		bootstrap.observe = true;
		bootstrap.path = scratch_at(&arena, &scratch, "fourth");
		bootstrap.pushed = &own;
		expect_behind(&bootstrap, shells[i], false);
		scratch_remove(&scratch);
	}
}

static void what_is_in_the_way_is_named(void **state)
{
	(void)state;
	struct scratch scratch;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	scratch_make(&scratch);
	/* A file where a folder should be, and a link where .lockstep should be. */
	file_put(scratch.path, "file", SLICE("x"));
	struct bootstrap bootstrap = bootstrap_of(scratch_at(&arena, &scratch, "file/place"), false);
	expect_words(&bootstrap, sh, refused, "");
	const char *place = scratch_at(&arena, &scratch, "place");
	assert_int_equal(mkdir(place, 0755), 0);
	assert_int_equal(symlink("/tmp", arena_printf(&arena, "%s/.lockstep", place)), 0);
	bootstrap = bootstrap_of(place, false);
	expect_words(&bootstrap, sh, refused, "");
	/* No agent for this processor. */
	struct agent_image foreign = images[0];
	foreign.arch = "riscv64";
	bootstrap = bootstrap_of(scratch_at(&arena, &scratch, "other"), false);
	bootstrap.images = &foreign;
	expect_words(&bootstrap, sh, refused, "");
	struct err err = ERR_INIT;
	bootstrap_explain("arch", "mips", &bootstrap, "", &err);
	assert_int_equal(err.code, ERR_USER);
	assert_non_null(strstr(err.text, "mips"));
	assert_non_null(strstr(err.hint, "riscv64"));
	scratch_remove(&scratch);
}

static void noise_before_the_mark_is_ignored_up_to_a_limit(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf seen = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	enum bootstrap_word word;
	const char *what, *text;
	const char mark[] = "lockstep-00112233445566778899aabbccddeeff";
	buf_puts(&seen, "Welcome to the machine\n\x1b[2J lockstep-other need x86_64\nno newline ");
	MUST(bootstrap_read(&seen, mark, &arena, &word, &what, &text, &err));
	assert_int_equal(word, BOOTSTRAP_MORE);
	buf_printf(&seen, "%s warn tampered /a path/with spaces", mark);
	MUST(bootstrap_read(&seen, mark, &arena, &word, &what, &text, &err));
	assert_int_equal(word, BOOTSTRAP_MORE);
	buf_printf(&seen, "\n%s start\n", mark);
	buf_put(&seen, "\x05\0\0\0", 4);
	MUST(bootstrap_read(&seen, mark, &arena, &word, &what, &text, &err));
	assert_int_equal(word, BOOTSTRAP_WARN);
	assert_string_equal(what, "tampered");
	assert_string_equal(text, "/a path/with spaces");
	MUST(bootstrap_read(&seen, mark, &arena, &word, &what, &text, &err));
	assert_int_equal(word, BOOTSTRAP_START);
	assert_int_equal(seen.len, 4); /* the agent's, untouched */

	buf_clear(&seen);
	for (size_t i = 0; i <= BOOTSTRAP_NOISE_MAX; i++)
		buf_putc(&seen, 'y');
	assert_int_equal(bootstrap_read(&seen, mark, &arena, &word, &what, &text, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.text, "yyyy"));
}

int main(void)
{
	images_make();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_stored_once_and_checked_every_time),
		cmocka_unit_test(it_may_come_unasked),
		cmocka_unit_test(bytes_that_are_not_the_agent_are_not_started),
		cmocka_unit_test(observing_leaves_nothing_behind),
		cmocka_unit_test(any_path_and_value_arrives_as_it_is),
		cmocka_unit_test(relative_paths_begin_at_home),
		cmocka_unit_test(every_login_shell_does),
		cmocka_unit_test(busybox_can_run_the_script),
		cmocka_unit_test(what_comes_behind_is_the_agents),
		cmocka_unit_test(what_is_in_the_way_is_named),
		cmocka_unit_test(noise_before_the_mark_is_ignored_up_to_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
