/* Repositories of other users. Only root can make one. */
#include "repository.h"

#include "source/source.h"

static void says_how_to_trust_a_repository_of_somebody_else(void **state)
{
	struct source *source = NULL;
	struct err err = ERR_INIT;

	(void)state;
	sh("git init -q up");
	sh("chown -R nobody up");
	assert_int_equal(source_open(test_path("home"), "up", test_dir, &source, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.hint, "safe.directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_how_to_trust_a_repository_of_somebody_else, test_setup,
						test_teardown),
	};

	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
