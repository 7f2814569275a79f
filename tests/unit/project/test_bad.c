/* Every file in bad/ is refused with exactly the messages beside it, and one that
 * is right is not. */
#include "support.h"

#include "project/project.h"

#include <dirent.h>

static int count;

static int try_file(void *context, const char *name, struct err *err)
{
	(void)context;
	(void)err;
	size_t len = strlen(name);
	if (len < 5 || strcmp(name + len - 4, ".yml") != 0)
		return 0;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(5)), shown = BUF_INIT(MIB(1));
	char path[300];
	snprintf(path, sizeof(path), "bad/%s", name);
	read_source(path, &text);

	struct diags *diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	struct project *project = NULL;
	struct err refused = ERR_INIT;
	print_message("# %s\n", name);
	assert_int_equal(project_parse(&arena, name, buf_slice(&text), &project, diags, &refused), -1);
	assert_null(project);
	assert_int_equal(refused.code, ERR_USER);
	assert_true(diags->errors > 0);
	diags_print(diags, &shown);

	snprintf(path, sizeof(path), "bad/%.*s.txt", (int)(len - 4), name);
	assert_same_as_file(path, &shown);
	count++;
	return 0;
}

static void every_bad_file_gets_its_messages(void **state)
{
	(void)state;
	char path[4096];
	struct err err = ERR_INIT;
	assert_int_equal(dir_each_at(AT_FDCWD, source_path(path, "bad"), try_file, NULL, &err), 0);
	assert_true(count >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bad_file_gets_its_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
