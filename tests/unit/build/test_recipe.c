/* Which recipes are the same, which are not, and which are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/build.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__})

static const struct build_variable ab[] = {{"A", "1"}, {"B", "2 3"}}, ba[] = {{"B", "2 3"}, {"A", "1"}};
static const struct build_text ignore = {".deployignore", {"tests/**\n", 9}};

static const char *const commands[] = {"npm ci", "npm run build"};
static const char *const secrets[] = {"TOKEN", "KEY"};
static const char *const caches[] = {"~/.npm"};

static struct build_recipe sample(void)
{
	return (struct build_recipe){
		.commands = commands,
		.command_count = 2,
		.env = ab,
		.env_count = 2,
		.secrets = secrets,
		.secret_count = 2,
		.caches = caches,
		.cache_count = 1,
		.output = "dist",
		.texts = &ignore,
		.text_count = 1,
	};
}

static struct digest digest_recipe(const struct build_recipe *recipe)
{
	struct err err = ERR_INIT;
	struct digest digest;

	assert_int_equal(build_recipe_digest(recipe, &digest, &err), 0);
	return digest;
}

static void text_is_canonical(void **state)
{
	AUTO(buf_free) struct buf text = BUF_INIT(10000);
	struct build_recipe recipe = sample();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(build_recipe_text(&recipe, &text, &err), 0);
	assert_string_equal(buf_str(&text), "lockstep-recipe 1\n"
					    "command value=npm%20ci\n"
					    "command value=npm%20run%20build\n"
					    "env name=A value=1\n"
					    "env name=B value=2%203\n"
					    "secret value=KEY\n"
					    "secret value=TOKEN\n"
					    "cache value=~/.npm\n"
					    "output value=dist\n"
					    "text name=.deployignore value=tests/**%0A\n"
					    "sandbox value=yes\n"
					    "network value=yes\n");
}

static void what_cannot_change_the_result_is_no_part_of_it(void **state)
{
	struct build_recipe one = sample(), other = sample();

	(void)state;
	other.env = ba;
	other.secrets = NAMES("KEY", "TOKEN");
	other.timeout_ms = 5;
	other.memory_max = 6;
	other.log_max = 7;
	other.sandbox = SANDBOX_BWRAP;
	struct digest a = digest_recipe(&one), b = digest_recipe(&other);
	assert_true(digest_equal(&a, &b));
}

static void whatever_can_change_the_result_is(void **state)
{
	static const struct build_text changed = {".deployignore", {"tests/*\n", 8}};
	struct build_recipe rows[10];
	struct build_recipe base = sample();
	struct digest first = digest_recipe(&base);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i] = base;
	rows[0].commands = NAMES("npm run build", "npm ci");
	rows[1].command_count = 1;
	rows[2].env_count = 1;
	rows[3].secret_count = 1;
	rows[4].output = NULL;
	rows[5].texts = &changed;
	rows[6].sandbox = SANDBOX_NONE;
	rows[7].offline = true;
	rows[8].image = "php:8.3";
	/* Two commands are not one with a newline. */
	rows[9].commands = NAMES("npm ci\nnpm run build");
	rows[9].command_count = 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct digest other = digest_recipe(&rows[i]);
		assert_false(digest_equal(&first, &other));
	}
}

static void key_needs_all_three(void **state)
{
	struct build_recipe one = sample(), two = {0};
	struct digest a = digest_recipe(&one), b = digest_recipe(&two), keys[4];

	(void)state;
	build_key("1111111111111111111111111111111111111111", &a, "linux x86_64 debian 12", &keys[0]);
	build_key("2111111111111111111111111111111111111111", &a, "linux x86_64 debian 12", &keys[1]);
	build_key("1111111111111111111111111111111111111111", &b, "linux x86_64 debian 12", &keys[2]);
	build_key("1111111111111111111111111111111111111111", &a, "linux aarch64 debian 12", &keys[3]);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		for (size_t j = 0; j < i; j++)
			assert_false(digest_equal(&keys[i], &keys[j]));
	build_key("1111111111111111111111111111111111111111", &a, "linux x86_64 debian 12", &keys[1]);
	assert_true(digest_equal(&keys[0], &keys[1]));
}

static void exports_are_the_same_everywhere(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct build_recipe recipe = {.sandbox = SANDBOX_NONE}, other = {.offline = true};
	struct err err = ERR_INIT;
	const char *platform;

	(void)state;
	assert_int_equal(build_platform(&recipe, &arena, &platform, &err), 0);
	assert_string_equal(platform, "export");
	struct digest a = digest_recipe(&recipe), b = digest_recipe(&other);
	assert_true(digest_equal(&a, &b));
	recipe = sample();
	assert_int_equal(build_platform(&recipe, &arena, &platform, &err), 0);
	assert_true(strncmp(platform, "linux ", 6) == 0);
}

static void refuses_what_makes_no_sense(void **state)
{
	static const struct build_variable bad = {"A B", "x"};
	struct build_recipe rows[] = {
		{.env = &bad, .env_count = 1},
		{.secrets = NAMES("../x"), .secret_count = 1},
		{.secrets = NAMES(""), .secret_count = 1},
		{.caches = NAMES("/etc"), .cache_count = 1},
		{.caches = NAMES("~/../x"), .cache_count = 1},
		{.caches = NAMES("a/../../x"), .cache_count = 1},
		{.caches = NAMES(".git"), .cache_count = 1},
		{.output = "../x"},
		{.output = "/x"},
		{.image = "--privileged"},
		{.command_count = BUILD_COMMANDS_MAX + 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct digest digest;
		assert_int_equal(build_recipe_digest(&rows[i], &digest, &err), -1);
		assert_int_equal(err.code, ERR_USER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_canonical),
		cmocka_unit_test(what_cannot_change_the_result_is_no_part_of_it),
		cmocka_unit_test(whatever_can_change_the_result_is),
		cmocka_unit_test(key_needs_all_three),
		cmocka_unit_test(exports_are_the_same_everywhere),
		cmocka_unit_test(refuses_what_makes_no_sense),
	};
	return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
