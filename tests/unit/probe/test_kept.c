/* What probes keep for the life of the agent: told again while what it came from is the
 * same, and never after it changed. */
#include "probe/internal.h"
#include "probe/look.h"
#include "probe/netfilter.h"

#include "base/fd.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct folder {
	char dir[64], file[80];
	struct buf inputs;
	struct probe_request request;
	struct probe_sink sink;
	struct look *look;
};

static void begin(struct folder *folder)
{
	*folder = (struct folder){.inputs = BUF_INIT(4096)};
	strcpy(folder->dir, "/tmp/lockstep-kept-XXXXXX");
	assert_non_null(mkdtemp(folder->dir));
	snprintf(folder->file, sizeof(folder->file), "%s/status", folder->dir);
	folder->sink = (struct probe_sink){.request = &folder->request, .inputs = &folder->inputs};
	folder->look = look_new();
	assert_non_null(folder->look);
}

static void end(struct folder *folder)
{
	struct err err = ERR_INIT;

	assert_int_equal(tree_remove_at(AT_FDCWD, folder->dir, &err), 0);
	buf_free(&folder->inputs);
}

/* A file old enough to be trusted: nobody can set its ctime, so an old one of the system is. */
static const char *const old_file = "/etc/passwd";

static void a_look_is_told_again_while_its_files_are_the_same(void **state)
{
	struct folder folder;
	struct slice answer;

	(void)state;
	begin(&folder);
	assert_false(look_same(folder.look, &folder.request, &answer));
	look_input(&folder.sink, old_file);
	look_input(&folder.sink, folder.file); /* is not there */
	look_keep(folder.look, &folder.sink, SLICE("seen"));
	assert_true(look_same(folder.look, &folder.request, &answer));
	assert_true(slice_is(answer, "seen"));
	/* A file that was not there is there now. */
	close(open(folder.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_false(look_same(folder.look, &folder.request, &answer));
	assert_int_equal(unlink(folder.file), 0);
	assert_true(look_same(folder.look, &folder.request, &answer));
	end(&folder);
}

static void another_question_has_another_answer(void **state)
{
	static const char *const paths[] = {"/etc"};
	struct folder folder;
	struct slice answer;

	(void)state;
	begin(&folder);
	look_input(&folder.sink, old_file);
	look_keep(folder.look, &folder.sink, SLICE("seen"));
	folder.request.now_ms = 5;
	assert_true(look_same(folder.look, &folder.request, &answer));
	folder.request.paths = paths;
	folder.request.path_count = 1;
	assert_false(look_same(folder.look, &folder.request, &answer));
	end(&folder);
}

static void a_file_that_just_changed_is_not_trusted(void **state)
{
	struct folder folder;
	struct slice answer;

	(void)state;
	begin(&folder);
	close(open(folder.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	look_input(&folder.sink, old_file);
	look_input(&folder.sink, folder.file);
	look_keep(folder.look, &folder.sink, SLICE("seen"));
	assert_false(look_same(folder.look, &folder.request, &answer));
	end(&folder);
}

static void a_look_without_files_is_not_kept(void **state)
{
	struct folder folder;
	struct slice answer;

	(void)state;
	begin(&folder);
	look_keep(folder.look, &folder.sink, SLICE("seen"));
	assert_false(look_same(folder.look, &folder.request, &answer));
	look_input(&folder.sink, old_file);
	look_forget(&folder.sink);
	look_keep(folder.look, &folder.sink, SLICE("seen"));
	assert_false(look_same(folder.look, &folder.request, &answer));
	end(&folder);
}

static void what_was_kept_last_is_remembered(void **state)
{
	struct probe_memory *memory = calloc(1, sizeof(*memory));
	struct slice answer;

	(void)state;
	assert_false(memory_recall(NULL, SLICE("a"), &answer));
	memory_keep(memory, SLICE("a"), SLICE("one"));
	memory_keep(memory, SLICE("b"), SLICE(""));
	memory_keep(memory, SLICE("a"), SLICE("two"));
	assert_true(memory_recall(memory, SLICE("a"), &answer));
	assert_true(slice_is(answer, "two"));
	assert_true(memory_recall(memory, SLICE("b"), &answer));
	assert_int_equal(answer.len, 0);
	assert_false(memory_recall(memory, SLICE("c"), &answer));
	free(memory);
}

/* Only root is told; and only root can change the rules to see the number change. */
static void the_generation_of_rules_is_told_to_root(void **state)
{
	uint32_t before, after;

	(void)state;
	bool told = netfilter_generation(&before);
	if (geteuid() != 0)
		assert_false(told);
	/* In a network of our own, whose rules are nobody's. */
	if (!told || unshare(CLONE_NEWNET) != 0)
		return;
	assert_true(netfilter_generation(&before));
	assert_true(netfilter_generation(&after));
	assert_int_equal(before, after);
	assert_int_equal(system("nft add table ip lockstep_kept"), 0);
	assert_true(netfilter_generation(&after));
	assert_int_not_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_look_is_told_again_while_its_files_are_the_same),
		cmocka_unit_test(another_question_has_another_answer),
		cmocka_unit_test(a_file_that_just_changed_is_not_trusted),
		cmocka_unit_test(a_look_without_files_is_not_kept),
		cmocka_unit_test(what_was_kept_last_is_remembered),
		cmocka_unit_test(the_generation_of_rules_is_told_to_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
