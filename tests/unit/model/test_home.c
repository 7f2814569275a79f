/* The state folder: where it is, what is made, what is refused. */
#include "../temp.h"

#include "model/home.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct temp temp;
	struct arena arena;
	struct err err;
	struct home home;
	const char *path;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	f->temp = temp_make();
	f->home = HOME_INIT;
	f->path = arena_printf(&f->arena, "%s/state/lockstep", f->temp.path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	home_close(&f->home);
	temp_remove(&f->temp);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void set(const char *name, const char *value)
{
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void the_environment_says_where(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *home, *xdg, *lockstep;
		const char *path; /* NULL: refused */
	} cases[] = {
		{"/home/ana", NULL, NULL, "/home/ana/.local/state/lockstep"},
		{"/home/ana", "", "", "/home/ana/.local/state/lockstep"},
		{"/home/ana", "/xdg", NULL, "/xdg/lockstep"},
		{"/home/ana", "relative", NULL, "/home/ana/.local/state/lockstep"},
		{"/home/ana", "/xdg", "/mine", "/mine"},
		{NULL, "/xdg", NULL, "/xdg/lockstep"},
		{"/home/ana", "/xdg", "relative", NULL},
		{"relative", NULL, NULL, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *path = NULL;
		set("HOME", cases[i].home);
		set("XDG_STATE_HOME", cases[i].xdg);
		set("LOCKSTEP_HOME", cases[i].lockstep);
		int status = home_locate(&f->arena, &path, &f->err);
		assert_int_equal(status, cases[i].path ? 0 : -1);
		if (cases[i].path)
			assert_string_equal(path, cases[i].path);
		else
			assert_int_equal(f->err.code, ERR_USER);
	}
}

static void everything_is_made_for_us_alone(void **state)
{
	struct fixture *f = *state;
	mode_t old = umask(0);
	set("LOCKSTEP_HOME", f->path);
	assert_int_equal(home_open(&f->arena, NULL, &f->home, &f->err), 0);
	umask(old);
	assert_string_equal(f->home.path, f->path);
	const char *const folders[] = {f->home.path,   f->home.store, f->home.mirrors,
				       f->home.builds, f->home.runs,  f->home.caches};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct stat st;
		assert_int_equal(stat(folders[i], &st), 0);
		assert_true(S_ISDIR(st.st_mode));
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	struct stat st;
	assert_int_equal(fstatat(f->home.dir_fd, "state.db", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	int number;
	assert_int_equal(db_schema_number(f->home.db, &number, &f->err), 0);
	assert_true(number > 0);
	home_close(&f->home);
	assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), 0);
}

static void what_others_may_write_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const parts[] = {"", "/store", "/runs"};
	static const mode_t modes[] = {0770, 0707, 0777};
	assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), 0);
	home_close(&f->home);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (size_t j = 0; j < ARRAY_LEN(modes); j++) {
			const char *part = arena_printf(&f->arena, "%s%s", f->path, parts[i]);
			assert_int_equal(chmod(part, modes[j]), 0);
			assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), -1);
			assert_int_equal(f->err.code, ERR_DENIED);
			assert_non_null(strstr(f->err.text, part));
			assert_non_null(strstr(f->err.hint, "chmod 700"));
			assert_int_equal(chmod(part, 0700), 0);
		}
	assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), 0);
}

static void what_belongs_to_another_user_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *path = "/usr"; /* root's, unless we are root */
	if (geteuid() == 0) {
		enum { NOBODY = 65534 };
		assert_int_equal(mkdir(arena_printf(&f->arena, "%s/state", f->temp.path), 0700), 0);
		assert_int_equal(mkdir(f->path, 0700), 0);
		assert_int_equal(chown(f->path, NOBODY, NOBODY), 0);
		path = f->path;
	}
	assert_int_equal(home_open(&f->arena, path, &f->home, &f->err), -1);
	assert_int_equal(f->err.code, ERR_DENIED);
	assert_non_null(strstr(f->err.text, "another user"));
	assert_non_null(strstr(f->err.hint, "LOCKSTEP_HOME"));
}

static void a_file_in_the_way_is_named(void **state)
{
	struct fixture *f = *state;
	const char *in_the_way = arena_printf(&f->arena, "%s/state", f->temp.path);
	close(open(in_the_way, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), -1);
	assert_non_null(strstr(f->err.text, in_the_way));
	assert_non_null(strstr(f->err.hint, "LOCKSTEP_HOME"));
	assert_int_equal(home_open(&f->arena, "relative", &f->home, &f->err), -1);
	assert_int_equal(f->err.code, ERR_USER);
}

static void deleting_it_loses_nothing_but_history(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), 0);
	home_close(&f->home);
	assert_int_equal(tree_remove_at(AT_FDCWD, f->path, &f->err), 0);
	assert_int_equal(home_open(&f->arena, f->path, &f->home, &f->err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
		CASE(the_environment_says_where),	CASE(everything_is_made_for_us_alone),
		CASE(what_others_may_write_is_refused), CASE(what_belongs_to_another_user_is_refused),
		CASE(a_file_in_the_way_is_named),	CASE(deleting_it_loses_nothing_but_history),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
