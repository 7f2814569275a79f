/* Builds in containers. LOCKSTEP_TEST_IMAGE names an image with /bin/sh that podman
 * or docker has here. */
#include "fixture.h"

static void image_is_part_of_the_key_and_runs_the_commands(void **state)
{
	const char *image = getenv("LOCKSTEP_TEST_IMAGE");
	struct err err = ERR_INIT;
	const char *const names[] = {"TOKEN"};
	const char *platform;
	static const struct build_variable env = {"GREETING", "from $HOME, \"quoted\""};

	(void)state;
	recipe.image = image;
	recipe.offline = true;
	recipe.env = &env;
	recipe.env_count = 1;
	recipe.secrets = names;
	recipe.secret_count = 1;
	request.secret = secret_value;
	recipe.caches = NAMES("~/c");
	recipe.cache_count = 1;
	COMMANDS("cat a.txt > seen; echo \"$GREETING $HOME $TOKEN_FILE\" >> seen; ls / > root; echo x > "
		 "~/c/x; "
		 "cat $TOKEN_FILE; env | grep -c t0p && exit 3; true");
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_string_equal(content("seen"), "one\nfrom $HOME, \"quoted\" /home/build /run/secrets/TOKEN\n");
	assert_null(strstr(content("root"), "usr/local"));
	assert_non_null(strstr(buf_str(&output), "***"));
	assert_done(build_platform(&recipe, &arena, &platform, &err), &err);
	assert_true(strncmp(platform, "image sha256:", 13) == 0);
	assert_string_equal(platform, result.record.platform);
	sh("test -e home/caches/shop/other/*/x");
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_false(result.built);
	COMMANDS("echo out; exit 7");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "exit status 7");
	recipe.timeout_ms = 3000;
	COMMANDS("echo began; sleep 1000");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "was stopped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(image_is_part_of_the_key_and_runs_the_commands),
	};

	if (!getenv("LOCKSTEP_TEST_IMAGE")) {
		puts("1..0 # SKIP LOCKSTEP_TEST_IMAGE names no container image");
		return 0;
	}
	return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}
