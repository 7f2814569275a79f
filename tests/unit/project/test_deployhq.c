/* .deploybuild.yaml of people who come from DeployHQ. */
#include "support.h"

#include "project/deployhq.h"

static struct arena arena;
static struct diags *diags;

static int setup(void **state)
{
	(void)state;
	diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static const char theirs[] = "build_languages:\n"
			     "  - name: php\n"
			     "    version: 8.3\n"
			     "build_commands:\n"
			     "  - description: Composer\n"
			     "    command: |\n"
			     "      composer install\n"
			     "      composer dump-autoload\n"
			     "    halt_on_error: true\n"
			     "  - description: Lint\n"
			     "    command: \"npm run lint # may fail\"\n"
			     "    halt_on_error: false\n"
			     "build_cache_files:\n"
			     "  - path: vendor/**\n"
			     "  - path: ./node_modules/\n"
			     "other: 1\n";

static void its_commands_and_caches_become_ours(void **state)
{
	(void)state;
	struct deployhq_build build;
	struct project_build ours = {0};
	struct err err = ERR_INIT;
	assert_int_equal(deployhq_parse(&arena, ".deploybuild.yaml", SLICE(""), &build, diags, &err), 0);
	assert_int_equal(build.commands.count, 0);
	assert_int_equal(deployhq_parse(&arena, ".deploybuild.yaml", slice_of(theirs), &build, diags, &err),
			 0);
	assert_int_equal(diags->errors, 0);
	assert_int_equal(diags->count, 2); /* languages, and the unknown key */
	assert_string_equal(build.languages.items[0].version, "8.3");
	assert_string_equal(build.commands.items[0].description, "Composer");

	deployhq_apply(&arena, &build, &ours);
	assert_int_equal(ours.run.count, 2);
	assert_string_equal(ours.run.items[0], "composer install\ncomposer dump-autoload\n");
	assert_string_equal(ours.run.items[1], "(\nnpm run lint # may fail\n) || true");
	assert_int_equal(ours.cache.count, 2);
	assert_string_equal(ours.cache.items[0], "vendor");
	assert_string_equal(ours.cache.items[1], "node_modules");
}

static void what_lockstep_yml_says_wins(void **state)
{
	(void)state;
	struct deployhq_build build;
	struct project *project = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(deployhq_parse(&arena, ".deploybuild.yaml", slice_of(theirs), &build, diags, &err),
			 0);
	assert_int_equal(project_parse(&arena, "lockstep.yml",
				       SLICE("version: 1\nproject: p\nbuild: make\n"
					     "environments: {dev: {servers: [\"h:/a\"]}}\n"),
				       &project, diags, &err),
			 0);
	deployhq_apply(&arena, &build, &project->build);
	assert_int_equal(project->build.run.count, 1);
	assert_string_equal(project->build.run.items[0], "make");
	assert_int_equal(project->build.cache.count, 2);
}

static void mistakes_are_located(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"- a\n", "f.yaml:1:1: a map of keys is expected here, but this is a list"},
		{"build_commands: make\n", "f.yaml:1:17: `build_commands` must be a list, but this is text"},
		{"build_commands: [make]\n",
		 "f.yaml:1:18: `build_commands` must hold maps, but this is text"},
		{"build_commands: [{description: x}]\n", "f.yaml:1:18: the key `command` is missing"},
		{"build_commands: [{command: }]\n", "f.yaml:1:18: the key `command` is missing"},
		{"build_commands: [{command: \" \"}]\n", "f.yaml:1:19: `command` must not be empty"},
		{"build_commands: [{command: a, halt_on_error: no}]\n",
		 "f.yaml:1:46: `halt_on_error` must be true or false"},
		{"build_cache_files: [{path: /etc}]\n",
		 "f.yaml:1:22: the path `/etc` must be relative to the release"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct deployhq_build build;
		struct err err = ERR_INIT;
		setup(state);
		assert_int_equal(
			deployhq_parse(&arena, "f.yaml", slice_of(cases[i].text), &build, diags, &err), -1);
		AUTO(buf_free) struct buf text = BUF_INIT(KIB(4));
		diags_print(diags, &text);
		struct slice rest = buf_slice(&text), first = slice_cut(&rest, '\n');
		assert_string_equal(arena_str(&arena, first), cases[i].message);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(its_commands_and_caches_become_ours),
		TEST(what_lockstep_yml_says_wins),
		TEST(mistakes_are_located),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
