/* Releases: the first result of a build is the result. */
#include "fixture.h"

#include "model/release.h"

static struct release example(struct fixture *f, const char *digest, const char *build_key)
{
	return (struct release){
		.digest = hex64(f, digest),
		.project = "shop",
		.tree = "9d1f5cc8a5d5a1b9f2a4b2fcd0d80f0bfbf2cd70",
		.recipe = hex64(f, "aaaa"),
		.platform = "linux-x86_64",
		.build_key = hex64(f, build_key),
		.commit = "3fa9c1d20b7e3fa9c1d20b7e3fa9c1d20b7e3fa9",
		.ref = "main",
		.subject = "Pay: round to cents",
		.author = "Ana",
		.log = "builds/x/log",
		.builder = "ana@laptop",
		.committed_ms = 1000,
		.created_ms = 2000,
		.file_count = 3,
		.total_size = 4096,
	};
}

static void a_release_comes_back_as_it_was_recorded(void **state)
{
	struct fixture *f = *state;
	struct release in = example(f, "3fa9c1", "b1");
	struct release out;
	assert_int_equal(release_insert(f->db, &in, &f->err), 0);
	assert_int_equal(release_find(f->db, &f->arena, "shop", SLICE("3fa9c1"), &out, &f->err), 0);
	assert_string_equal(out.digest, in.digest);
	assert_string_equal(out.project, in.project);
	assert_string_equal(out.tree, in.tree);
	assert_string_equal(out.recipe, in.recipe);
	assert_string_equal(out.platform, in.platform);
	assert_string_equal(out.build_key, in.build_key);
	assert_string_equal(out.commit, in.commit);
	assert_string_equal(out.ref, in.ref);
	assert_string_equal(out.subject, in.subject);
	assert_string_equal(out.author, in.author);
	assert_string_equal(out.log, in.log);
	assert_string_equal(out.builder, in.builder);
	assert_true(out.committed_ms == 1000 && out.created_ms == 2000);
	assert_true(out.file_count == 3 && out.total_size == 4096);
}

static void the_first_result_of_a_build_stays(void **state)
{
	struct fixture *f = *state;
	struct release first = example(f, "111111", "b1");
	struct release other = example(f, "222222", "b1");
	struct release found;
	bool is_found;
	assert_int_equal(release_insert(f->db, &first, &f->err), 0);
	assert_int_equal(release_insert(f->db, &first, &f->err), 0);
	assert_int_equal(release_insert(f->db, &other, &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
	assert_non_null(strstr(f->err.text, "111111"));
	assert_non_null(strstr(f->err.text, "222222"));
	assert_int_equal(
		release_find_build(f->db, &f->arena, "shop", first.build_key, &is_found, &found, &f->err), 0);
	assert_true(is_found);
	assert_string_equal(found.digest, first.digest);
	assert_int_equal(release_find(f->db, &f->arena, "shop", SLICE("222222"), &found, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
}

static void of_two_processes_one_records_the_result(void **state)
{
	struct fixture *f = *state;
	enum { PROCESSES = 4 };
	pid_t pids[PROCESSES];
	int start[2];
	assert_int_equal(pipe(start), 0);
	db_close(&f->db);
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char digest[8];
			char byte;
			close(start[1]);
			snprintf(digest, sizeof(digest), "%06d", i + 1);
			struct release mine = example(f, digest, "b1");
			if (read(start[0], &byte, 1) != 0 || model_open(f->path, &f->db, &f->err))
				_exit(9);
			int status = release_insert(f->db, &mine, &f->err);
			_exit(status == 0 ? 0 : f->err.code == ERR_CONFLICT ? 1 : 2);
		}
	}
	close(start[0]);
	close(start[1]);
	int recorded = 0;
	for (int i = 0; i < PROCESSES; i++) {
		int status = wait_for(pids[i]);
		assert_in_range(status, 0, 1);
		recorded += status == 0;
	}
	assert_int_equal(recorded, 1);
	assert_int_equal(model_open(f->path, &f->db, &f->err), 0);
	struct release_list list;
	assert_int_equal(release_list(f->db, &f->arena, "shop", NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 1);
}

static void a_build_whose_release_is_lost_may_be_done_again(void **state)
{
	struct fixture *f = *state;
	struct release first = example(f, "111111", "b1");
	struct release again = example(f, "222222", "b1");
	struct release found;
	bool is_found;
	assert_int_equal(release_insert(f->db, &first, &f->err), 0);
	assert_int_equal(release_forget_build(f->db, "shop", first.build_key, &f->err), 0);
	assert_int_equal(
		release_find_build(f->db, &f->arena, "shop", first.build_key, &is_found, &found, &f->err), 0);
	assert_false(is_found);
	assert_int_equal(release_insert(f->db, &again, &f->err), 0);
	assert_int_equal(release_insert(f->db, &first, &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
	assert_int_equal(release_find(f->db, &f->arena, "shop", SLICE("111111"), &found, &f->err), 0);
}

static void a_release_that_several_builds_gave_is_listed_once(void **state)
{
	struct fixture *f = *state;
	struct release one = example(f, "111111", "b1");
	struct release two = example(f, "111111", "b2");
	struct release three = example(f, "333333", "b3");
	struct release elsewhere = example(f, "111111", "b1");
	two.created_ms = 3000;
	three.created_ms = 4000;
	elsewhere.project = "blog";
	assert_int_equal(release_insert(f->db, &one, &f->err), 0);
	assert_int_equal(release_insert(f->db, &two, &f->err), 0);
	assert_int_equal(release_insert(f->db, &three, &f->err), 0);
	assert_int_equal(release_insert(f->db, &elsewhere, &f->err), 0);
	struct release_list list;
	assert_int_equal(release_list(f->db, &f->arena, "shop", NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].digest, three.digest);
	assert_string_equal(list.items[1].digest, one.digest);
	assert_string_equal(list.items[1].build_key, one.build_key);
	assert_int_equal(release_list(f->db, &f->arena, NULL, NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 3);
}

static void a_name_must_fit_one_release(void **state)
{
	struct fixture *f = *state;
	struct release one = example(f, "abcdef1", "b1");
	struct release two = example(f, "abcdef2", "b2");
	assert_int_equal(release_insert(f->db, &one, &f->err), 0);
	assert_int_equal(release_insert(f->db, &two, &f->err), 0);
	const struct {
		struct slice name;
		enum err_code code; /* ERR_NONE: `one` */
	} cases[] = {
		{SLICE("abcdef1"), ERR_NONE},  {slice_of(one.digest), ERR_NONE},
		{SLICE("abcdef"), ERR_USER},   {SLICE("abcdef3"), ERR_NOT_FOUND},
		{SLICE("abcde"), ERR_USER},    {SLICE(""), ERR_USER},
		{SLICE("ABCDEF1"), ERR_USER},  {SLICE("abcdef%"), ERR_USER},
		{SLICE("abcdef\0"), ERR_USER}, {SLICE("ffffff"), ERR_NOT_FOUND},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct release found;
		err_clear(&f->err);
		int status = release_find(f->db, &f->arena, "shop", cases[i].name, &found, &f->err);
		assert_int_equal(f->err.code, cases[i].code);
		assert_int_equal(status, cases[i].code == ERR_NONE ? 0 : -1);
		if (status == 0)
			assert_string_equal(found.digest, one.digest);
	}
}

static void pages_show_every_release_once(void **state)
{
	struct fixture *f = *state;
	enum { RELEASES = 23, PAGE = 5 };
	for (int i = 0; i < RELEASES; i++) {
		char start[16];
		snprintf(start, sizeof(start), "%06d", i);
		struct release release = example(f, start, start);
		release.created_ms = 1000 + i / 3; /* several at the same moment */
		assert_int_equal(release_insert(f->db, &release, &f->err), 0);
	}
	bool seen[RELEASES] = {false};
	struct page page = {.limit = PAGE};
	struct release_list list;
	size_t total = 0;
	do {
		assert_int_equal(release_list(f->db, &f->arena, "shop", &page, &list, &f->err), 0);
		for (size_t i = 0; i < list.count; i++) {
			uint64_t at;
			assert_true(slice_to_u64(slice_make(list.items[i].digest, 6), &at));
			assert_true(at < RELEASES && !seen[at]);
			seen[at] = true;
			page.before_ms = list.items[i].created_ms;
			page.before_id = list.items[i].digest;
		}
		total += list.count;
	} while (list.count == PAGE);
	assert_int_equal(total, RELEASES);
}

static void foreign_text_is_made_fit(void **state)
{
	struct fixture *f = *state;
	struct release in = example(f, "111111", "b1");
	struct release out;
	in.subject = "caf\xe9 \xc3\xa9";
	in.author = NULL;
	assert_int_equal(release_insert(f->db, &in, &f->err), 0);
	assert_int_equal(release_find(f->db, &f->arena, "shop", SLICE("111111"), &out, &f->err), 0);
	assert_string_equal(out.subject, "caf\xef\xbf\xbd \xc3\xa9");
	assert_null(out.author);
	assert_string_equal(model_clean(&f->arena, "\xc3\xa9\xc3\xa9", 3), "\xc3\xa9");
	assert_string_equal(model_clean(&f->arena, "", 3), "");
	assert_string_equal(model_clean(&f->arena, "abcdef", 3), "abc");
	assert_string_equal(model_clean(&f->arena, "\xf0\x9f\x92", 100),
			    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_null(model_clean(&f->arena, NULL, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_release_comes_back_as_it_was_recorded),
		CASE(the_first_result_of_a_build_stays),
		CASE(of_two_processes_one_records_the_result),
		CASE(a_build_whose_release_is_lost_may_be_done_again),
		CASE(a_release_that_several_builds_gave_is_listed_once),
		CASE(a_name_must_fit_one_release),
		CASE(pages_show_every_release_once),
		CASE(foreign_text_is_made_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
