/* What init prints for each kind of application is a file that is right, and each
 * kind is recognised. */
#include "support.h"

#include "project/init.h"

#include <sys/stat.h>

static void each_kind_prints_a_file_that_is_right(void **state)
{
	(void)state;
	for (const struct init_row *const *row = init_rows; *row; row++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(buf_free) struct buf text = BUF_INIT(KIB(64));
		struct diags *diags = ARENA_NEW(&arena, struct diags);
		*diags = DIAGS_INIT(&arena);
		struct project *project = NULL;
		struct err err = ERR_INIT;
		init_print(*row, "My Shop (new)", &text);
		if (project_parse(&arena, (*row)->name, buf_slice(&text), &project, diags, &err))
			fail_msg("%s", err.text);
		assert_string_equal(project->name, "my-shop-new");
		assert_int_equal(project->environments.count, 3);
		assert_ptr_equal(init_find((*row)->name), *row);
	}
	assert_null(init_find("cobol"));
}

static void a_name_without_letters_becomes_a_project(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(64));
	init_print(init_rows[0], "---", &text);
	assert_non_null(strstr(buf_str(&text), "\nproject: project\n"));
}

static void each_kind_is_recognised(void **state)
{
	static const struct {
		const char *file, *content, *expected;
	} steps[] = {
		{"README", "", "plain"},
		{"public/index.html", "", "static"},
		{"package.json", "{}", "node"},
		{"Gemfile", "gem 'sinatra'\n", "node"},
		{"Gemfile", "gem \"rails\", \"~> 7\"\n", "rails"},
		{"composer.json", "{}", "rails"},
		{"artisan", "", "laravel"},
	};
	(void)state;
	char dir[] = "/tmp/lockstep-init-XXXXXX";
	struct err err = ERR_INIT;
	AUTO(close_fd) int fd = -1;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(dir_open_at(AT_FDCWD, dir, &fd, &err), 0);
	assert_int_equal(mkdirat(fd, "public", 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		assert_int_equal(file_replace_at(fd, steps[i].file, slice_of(steps[i].content), 0644, &err),
				 0);
		assert_string_equal(init_recognise(fd)->name, steps[i].expected);
	}
	assert_int_equal(tree_remove_at(AT_FDCWD, dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_prints_a_file_that_is_right),
		cmocka_unit_test(a_name_without_letters_becomes_a_project),
		cmocka_unit_test(each_kind_is_recognised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
