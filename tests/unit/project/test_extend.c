/* Templates: what `extends` names is merged below the file, by rules a person can
 * keep in mind, and every message says where a value was written and who named it. */
#include "support.h"

#include "project/extend.h"

#include "doc/yaml.h"

#include <unistd.h>

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

struct file {
	const char *path, *text;
};

static int read_file(void *context, const char *path, struct buf *out, struct err *err)
{
	for (const struct file *file = context; file->path; file++)
		if (strcmp(file->path, path) == 0) {
			buf_puts(out, file->text);
			return 0;
		}
	return err_set(err, ERR_NOT_FOUND, "no file %s", path);
}

#define FILES(...) ((struct file[]){__VA_ARGS__, {NULL, NULL}})

#define TAIL "environments: { dev: { servers: [deploy@dev.example.org] } }\n"
#define HEAD "version: 1\nproject: shop\n"

static struct project *load(const char *text, struct file *files)
{
	struct project *project = NULL;
	struct err err = ERR_INIT;
	const struct project_reading reading = {.read = read_file, .context = files};
	if (project_parse_with(&arena, "lockstep.yml", slice_of(text), &reading, &project, diags, &err))
		fail_msg("%s", err.text);
	return project;
}

/* All messages, as a person sees them. */
static const char *refused(const char *text, struct file *files)
{
	struct project *project = NULL;
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf shown = BUF_INIT(MIB(1));
	const struct project_reading reading = {.read = read_file, .context = files};
	*diags = DIAGS_INIT(&arena);
	assert_int_equal(
		project_parse_with(&arena, "lockstep.yml", slice_of(text), &reading, &project, diags, &err),
		-1);
	assert_null(project);
	diags_print(diags, &shown);
	return arena_str(&arena, buf_slice(&shown));
}

static void assert_holds(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("`%s` is not in:\n%s", part, text);
}

static void later_files_win_and_the_project_last(void **state)
{
	(void)state;
	struct project *project = load(
		HEAD "extends: [./a.yml, deploy/b.yml]\ndeploy: { keep: 9 }\n" TAIL,
		FILES({"a.yml",
		       "deploy: { path: /srv/a, keep: 3, user: www, shared_dirs: [a] }\nbuild: [make a]\n"},
		      {"deploy/b.yml", "deploy: { keep: 4, shared_dirs: [b] }\n"}));
	const struct delivery *delivery = &project->environments.items[0].delivery;
	assert_int_equal(delivery->keep, 9);
	assert_string_equal(delivery->path, "/srv/a");
	assert_string_equal(delivery->user, "www");
	assert_int_equal(delivery->shared_dirs.count, 1);
	assert_string_equal(delivery->shared_dirs.items[0], "b");
	assert_string_equal(project->build.run.items[0], "make a");
	assert_int_equal(project->templates.count, 2);
	assert_string_equal(project->templates.items[0].address, "a.yml");
	assert_string_equal(project->templates.items[1].address, "deploy/b.yml");
	assert_int_equal(strlen(project->templates.items[1].digest), 64);
	struct origin origin = node_get(project->deploy.node, "path")->origin;
	assert_string_equal(origin_text(&arena, origin), "a.yml:1:17");
}

static void lists_can_be_added_to_and_keys_taken_away(void **state)
{
	(void)state;
	struct project *project = load(
		HEAD "extends: ./a.yml\n"
		     "build: { run: { prepend: [first], append: [last] }, cache: null }\n"
		     "deploy: { hooks: { after_prepare: { append: [two] }, after_live: { append: [only] } } "
		     "}\n" TAIL,
		FILES({"a.yml",
		       "build: { run: middle, cache: [node_modules] }\n"
		       "deploy: { path: /srv/a, hooks: { after_prepare: { run: one, timeout: 9s } } }\n"}));
	assert_int_equal(project->build.run.count, 3);
	assert_string_equal(project->build.run.items[0], "first");
	assert_string_equal(project->build.run.items[1], "middle");
	assert_string_equal(project->build.run.items[2], "last");
	assert_int_equal(project->build.cache.count, 0);
	const struct hook_list *hooks = project->deploy.hooks.points;
	assert_int_equal(hooks[HOOK_AFTER_PREPARE].count, 2);
	assert_int_equal(hooks[HOOK_AFTER_PREPARE].items[0].timeout_ms, 9000);
	assert_string_equal(hooks[HOOK_AFTER_PREPARE].items[1].run, "two");
	assert_string_equal(hooks[HOOK_AFTER_LIVE].items[0].run, "only");
}

static void a_check_replaces_a_check_of_another_kind(void **state)
{
	(void)state;
	struct project *project =
		load(HEAD "extends: ./a.yml\ndeploy: { health: { url: \"http://x/up\" } }\n" TAIL,
		     FILES({"a.yml", "deploy: { path: p, health: { command: true } }\n"}));
	assert_int_equal(project->deploy.health.kind, HEALTH_URL);
	assert_null(project->deploy.health.command);
}

static void a_template_two_others_name_applies_once(void **state)
{
	(void)state;
	struct project *project =
		load(HEAD "extends: [x/a.yml, x/b.yml]\ndeploy: { path: p }\n" TAIL,
		     FILES({"x/a.yml", "extends: common.yml\ndeploy: { keep: 8 }\n"},
			   {"x/b.yml", "extends: [../x/common.yml]\nbuild: { run: { append: [b] } }\n"},
			   {"x/common.yml",
			    "version: 1\nbuild: { run: { append: [common] } }\ndeploy: { keep: 2 }\n"}));
	assert_int_equal(project->templates.count, 3);
	assert_string_equal(project->templates.items[0].address, "x/common.yml");
	assert_int_equal(project->deploy.keep, 8);
	assert_int_equal(project->build.run.count, 2);
}

static void environments_and_groups_come_from_templates(void **state)
{
	(void)state;
	struct project *project = load(
		HEAD "extends: ./a.yml\nenvironments: { prod: { servers: { web: { append: [web2] } } } }\n",
		FILES({"a.yml",
		       "deploy: { path: p }\n"
		       "environments: { stage: { servers: s1 }, prod: { promote_from: stage, servers: { web: "
		       "[web1], job: [job1] } } }\n"}));
	assert_int_equal(project->environments.count, 2);
	assert_string_equal(project->environments.items[0].name, "stage");
	assert_int_equal(project->environments.items[1].servers.count, 3);
	assert_string_equal(project->environments.items[1].servers.items[1].place.text, "web2");
}

static void mistakes_tell_the_way_they_came(void **state)
{
	(void)state;
	const char *shown = refused(HEAD "extends:\n  - ./deploy/a.yml\n" TAIL,
				    FILES({"deploy/a.yml", "extends: [b.yml]\ndeploy: { path: p }\n"},
					  {"deploy/b.yml", "# a comment\ndeploy:\n  keeep: 7\n"}));
	assert_string_equal(shown, "deploy/b.yml:3:3: unknown key `keeep` in `deploy`\n"
				   "     3 |   keeep: 7\n"
				   "       |   ^\n"
				   "  did you mean `keep`?\n"
				   "  named at deploy/a.yml:1:11\n"
				   "  named at lockstep.yml:4:5\n");
}

static void what_cannot_be_a_template_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *extends, *text, *expected;
	} cases[] = {
		{"./a.yml", "project: other\n", "a.yml:1:1: a template cannot set `project`"},
		{"./a.yml", "source: .\n", "a.yml:1:1: a template cannot set `source`"},
		{"./a.yml", "version: 2\n", "a.yml:1:10: `version` is 2"},
		{"./a.yml", "- x\n", "a template is a map of keys, but this is a list"},
		{"./a.yml", "x: [\n", "named at lockstep.yml:3:11"},
		{"./a.yml", "extends: 5\n", "`extends` must be a list"},
		{"./a.yml", "extends: [5]\n", "the address of a template is text"},
		{"./a.yml", "extends: ../up.yml\n", "`../up.yml` lies outside the folder of the project"},
		{"./a.yml", "extends: x/../a.yml\n",
		 "`extends` goes in a circle: lockstep.yml → a.yml → a.yml"},
		{"./a.yml", "extends: lockstep.yml\n", "lockstep.yml → a.yml → lockstep.yml"},
		{"./b.yml", "", "the template `b.yml` cannot be read: no file b.yml"},
		{"/etc/passwd", "", "must be relative to the file that names it"},
		{"deploy/../../a.yml", "", "lies outside the folder of the project"},
		{"lockstep:larvel", "", "did you mean `lockstep:laravel`?"},
		{"lockstep:cobol", "", "known are lockstep:compose, lockstep:django"},
		{"git+https://x/y.git//a.yml@main", "", "must end with @ and a full commit"},
		{"git+https://x/y.git//a.yml@0123456789", "", "must end with @ and a full commit"},
		{"git+https://x/y.git/a.yml@0123456789012345678901234567890123456789", "",
		 "does not say which file"},
		{"git+https://x/y.git//../a.yml@0123456789012345678901234567890123456789", "",
		 "`../a.yml` is no path in a repository"},
		{"git+https://x/y.git//a.yml@0123456789012345678901234567890123456789", "",
		 "templates of other repositories are not read here"},
		{"\"a\\tb\"", "", "cannot be the address of a template"},
		{"5", "", "`extends[1]` must be text"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = arena_printf(&arena, HEAD "extends: [%s]\ndeploy: { path: p }\n" TAIL,
						cases[i].extends);
		assert_holds(refused(text, FILES({"a.yml", cases[i].text})), cases[i].expected);
	}
}

static void depth_and_number_of_templates_are_limited(void **state)
{
	(void)state;
	struct file files[64] = {0};
	AUTO(buf_free) struct buf all = BUF_INIT(KIB(8));
	for (size_t i = 0; i < 40; i++) {
		files[i].path = arena_printf(&arena, "t%zu.yml", i);
		files[i].text = arena_printf(&arena, "extends: t%zu.yml\n", i + 1);
		buf_printf(&all, "%sf%zu.yml", i ? ", " : "", i);
	}
	assert_holds(refused(HEAD "extends: t0.yml\n" TAIL, files),
		     "more than 8 templates inside each other");
	for (size_t i = 0; i < 40; i++) {
		files[i].path = arena_printf(&arena, "f%zu.yml", i);
		files[i].text =
			i < 4 ? arena_printf(&arena,
					     "extends: [f%zu.yml, f%zu.yml, f%zu.yml, f%zu.yml, f%zu.yml, "
					     "f%zu.yml, f%zu.yml, f%zu.yml, f%zu.yml]\n",
					     9 * i + 4, 9 * i + 5, 9 * i + 6, 9 * i + 7, 9 * i + 8, 9 * i + 9,
					     9 * i + 10, 9 * i + 11, 9 * i + 12)
			      : "";
	}
	assert_holds(refused(HEAD "extends: [f0.yml, f1.yml, f2.yml, f3.yml]\n" TAIL, files),
		     "more than 32 templates");
}

static void every_built_in_makes_a_whole_file_in_one_line(void **state)
{
	(void)state;
	size_t count = 0;
	for (const struct builtin_template *row = builtin_templates; row->name; row++, count++) {
		print_message("# %s\n", row->name);
		struct project *project = load(
			arena_printf(&arena, HEAD "extends: lockstep:%s\ndeploy: { path: /srv/shop }\n" TAIL,
				     row->name),
			FILES({NULL, NULL}));
		assert_string_equal(project->templates.items[project->templates.count - 1].address,
				    arena_printf(&arena, "lockstep:%s", row->name));
		assert_true(project->build.run.count + project->build.exclude.count > 0);
		assert_int_equal(project->deploy.health.kind, HEALTH_COMMAND);
	}
	assert_int_equal(count, 7);
}

/* Of a folder: no way out of it, by `..` or by a link. */
static void local_templates_stay_in_the_folder(void **state)
{
	(void)state;
	char dir[] = "/tmp/lockstep-test-XXXXXX";
	struct err err = ERR_INIT;
	assert_non_null(mkdtemp(dir));
	AUTO(close_fd) int fd = -1;
	assert_int_equal(dir_open_at(AT_FDCWD, dir, &fd, &err), 0);
	assert_int_equal(dir_make_at(fd, "shop/deploy", 0700, &err), 0);
	const struct file files[] = {
		{"outside.yml", "deploy: { keep: 7 }\n"},
		{"shop/deploy/real.yml", "deploy: { keep: 6, path: p }\n"},
		{"shop/good.yml", HEAD "extends: deploy/link.yml\n" TAIL},
		{"shop/bad.yml", HEAD "extends: deploy/out.yml\n" TAIL},
		{"shop/folder.yml", HEAD "extends: deploy\n" TAIL},
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		assert_int_equal(file_replace_at(fd, files[i].path, slice_of(files[i].text), 0600, &err), 0);
	assert_int_equal(symlinkat("real.yml", fd, "shop/deploy/link.yml"), 0);
	assert_int_equal(symlinkat("../../outside.yml", fd, "shop/deploy/out.yml"), 0);

	struct project *project = NULL;
	assert_int_equal(
		project_load(&arena, arena_printf(&arena, "%s/shop/good.yml", dir), &project, diags, &err),
		0);
	assert_int_equal(project->deploy.keep, 6);
	assert_string_equal(project->templates.items[0].shown,
			    arena_printf(&arena, "%s/shop/deploy/link.yml", dir));
	assert_int_equal(
		project_load(&arena, arena_printf(&arena, "%s/shop/bad.yml", dir), &project, diags, &err),
		-1);
	assert_holds(err.text, "cannot be read");
	*diags = DIAGS_INIT(&arena);
	err_clear(&err);
	assert_int_equal(
		project_load(&arena, arena_printf(&arena, "%s/shop/folder.yml", dir), &project, diags, &err),
		-1);
	assert_holds(err.text, "deploy is not a regular file");
	assert_int_equal(tree_remove_at(AT_FDCWD, dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(later_files_win_and_the_project_last, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_can_be_added_to_and_keys_taken_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_check_replaces_a_check_of_another_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_template_two_others_name_applies_once, setup, teardown),
		cmocka_unit_test_setup_teardown(environments_and_groups_come_from_templates, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_tell_the_way_they_came, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_a_template_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(depth_and_number_of_templates_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(every_built_in_makes_a_whole_file_in_one_line, setup,
						teardown),
		cmocka_unit_test_setup_teardown(local_templates_stay_in_the_folder, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
