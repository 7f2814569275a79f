/* Recording, finding again, what stays out: builds that need no sandbox. */
#include "fixture.h"

static bool skip_tests(void *context, struct slice path, bool is_dir)
{
	(void)context;
	return is_dir && slice_is(path, "tests");
}

static void export_is_recorded_once(void **state)
{
	struct err err = ERR_INIT;
	struct build_record *records;
	size_t count;

	(void)state;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_true(result.built);
	struct manifest manifest = load();
	assert_int_equal(manifest.count, 3);
	assert_int_equal(manifest_find(&manifest, SLICE("bin/run"))->mode, 0755);
	assert_int_equal(result.files, 2);
	struct digest first = result.record.release;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_false(result.built);
	assert_true(digest_equal(&first, &result.record.release));
	assert_string_equal(result.record.commit, commit.hash);
	assert_string_equal(result.record.subject, "first");
	/* Another commit with the same tree is the same release, known by the first commit. */
	sh("cd up; git commit -q --allow-empty -m 'nothing changed'");
	char hash[COMMIT_HASH_MAX + 1];
	memcpy(hash, commit.hash, sizeof(hash));
	open_commit("main");
	assert_string_not_equal(hash, commit.hash);
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_false(result.built);
	assert_string_equal(result.record.commit, hash);
	assert_done(build_list(request.home, &arena, &records, &count, &err), &err);
	assert_int_equal(count, 1);
	assert_true(digest_equal(&records[0].release, &first));
	assert_done(build_load(request.home, &records[0].key, &arena, &result.record, &err), &err);
	assert_string_equal(sh_line("ls home/builds/* | tr '\\n' ' '"), "lock release ");
}

static void exclusions_shape_the_result(void **state)
{
	static const struct build_text rules = {".deployignore", {"tests\n", 6}};
	struct err err = ERR_INIT;

	(void)state;
	sh("cd up; mkdir -p tests/x dist/sub; echo t > tests/x/t; echo d > dist/sub/d; git add -A; git "
	   "commit -qm more");
	open_commit("main");
	assert_done(build_run(&request, &arena, &result, &err), &err);
	struct digest all = result.record.release;
	recipe.texts = &rules;
	recipe.text_count = 1;
	recipe.skip = skip_tests;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_true(result.built);
	assert_false(digest_equal(&all, &result.record.release));
	struct manifest manifest = load();
	assert_false(has(&manifest, "tests"));
	assert_true(has(&manifest, "dist/sub/d"));
	recipe.output = "dist";
	assert_done(build_run(&request, &arena, &result, &err), &err);
	manifest = load();
	assert_int_equal(manifest.count, 2);
	assert_true(has(&manifest, "sub/d"));
	recipe.output = "nowhere";
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "no folder nowhere");
}

static int found_answer;
static struct digest found_release;
static bool saw_known;

static int lookup(void *context, const struct digest *key, const struct digest *known,
		  struct digest *release_out, struct err *err)
{
	(void)context;
	(void)key;
	saw_known = known != NULL;
	*release_out = found_release;
	return found_answer < 0 ? err_set(err, ERR_NETWORK, "no line") : found_answer;
}

static bool keep_none(void *context, const struct digest *release)
{
	(void)context;
	(void)release;
	return false;
}

static void others_are_asked_before_building(void **state)
{
	struct err err = ERR_INIT;
	struct store_gc_result gc;

	(void)state;
	recipe.output = "bin";
	assert_done(build_run(&request, &arena, &result, &err), &err);
	found_release = result.record.release;
	/* Another recipe, whose result somebody has: theirs is taken, nothing is built. */
	recipe.output = NULL;
	request.lookup = lookup;
	found_answer = -1;
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	err_clear(&err);
	found_answer = 1;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_true(result.found && !result.built && !saw_known);
	assert_true(digest_equal(&result.record.release, &found_release));
	found_answer = -1; /* not asked again */
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_false(result.found);
	/* The store loses it, and nobody else has it: built again, and said. */
	store_close(&store);
	assert_done(store_gc(test_path("home/store"), keep_none, NULL, false, 1000, &gc, &err), &err);
	assert_done(store_open(test_path("home/store"), &store, &err), &err);
	request.store = store;
	found_answer = 0;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_true(result.built && result.lost && saw_known);
	assert_true(digest_equal(&result.lost_release, &found_release));
	assert_false(digest_equal(&result.record.release, &found_release));
	assert_int_equal(atoi(sh_line("ls home/builds/*/release.lost-* | wc -l")), 1);
	/* The same bytes again are no loss worth a word. */
	recipe.output = "bin";
	assert_done(build_run(&request, &arena, &result, &err), &err);
	assert_true(result.built && !result.lost);
}

static void damaged_record_is_named(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_done(build_run(&request, &arena, &result, &err), &err);
	sh("sed -i 's/project=shop/project=shap/' home/builds/*/release");
	assert_int_equal(build_run(&request, &arena, &result, &err), -1);
	assert_says(&err, "damaged");
	assert_non_null(strstr(err.text, "/release"));
}

static void without_a_sandbox_only_when_asked(void **state)
{
	struct err err = ERR_INIT;
	const char *const names[] = {"TOKEN"};
	char *path = strdup(getenv("PATH"));

	(void)state;
	request.secret = secret_value;
	recipe.secrets = names;
	recipe.secret_count = 1;
	recipe.sandbox = SANDBOX_NONE;
	setenv("UNRELATED_TOKEN", "t0ken-of-the-controller", 1);
	COMMANDS("env > ../seen; pwd > where; wc -c < $TOKEN_FILE > length; cat $TOKEN_FILE; (sleep 1000 &)");
	int done = build_run(&request, &arena, &result, &err);
	unsetenv("UNRELATED_TOKEN");
	assert_done(done, &err);
	assert_string_equal(content("length"), "16\n");
	assert_null(strstr(content("where"), "/up\n"));
	assert_non_null(strstr(buf_str(&output), "***"));
	assert_string_equal(sh_line("ls -d /dev/shm/lockstep-$(id -u)-* 2>/dev/null | wc -l"), "0");
	/* A machine without bubblewrap says what to do. */
	sh("mkdir path; ln -s $(command -v git) path/git");
	recipe.sandbox = SANDBOX_BWRAP;
	setenv("PATH", test_path("path"), 1);
	done = build_run(&request, &arena, &result, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(done, -1);
	assert_int_equal(err.code, ERR_USER);
	assert_says(&err, "bubblewrap");
	assert_non_null(strstr(err.hint, "sandbox: none"));
	/* Nor one without containers. */
	recipe.image = "debian:12";
	path = strdup(getenv("PATH"));
	setenv("PATH", test_path("path"), 1);
	done = build_run(&request, &arena, &result, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(done, -1);
	assert_says(&err, "podman or docker");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(export_is_recorded_once),		 TEST(exclusions_shape_the_result),
		TEST(others_are_asked_before_building),	 TEST(damaged_record_is_named),
		TEST(without_a_sandbox_only_when_asked),
	};

	return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
