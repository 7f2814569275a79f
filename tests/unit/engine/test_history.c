/* Claims about the ids of deployments: two that are made the same do not meet. */
#include "../temp.h"

#include "engine/history.h"

#include "../cmocka_base.h"

#include <sys/file.h>

/* The system's random bytes, in place of the C library's: each call gives the next of these
 * digits, in all of them; the last is given from then on. */
static const char *digits;
static size_t calls;

int getentropy(void *bytes, size_t len)
{
	size_t last = strlen(digits) - 1;

	memset(bytes, digits[MIN(calls, last)] - '0', len);
	calls++;
	return 0;
}

struct fixture {
	struct temp temp;
	struct project project;
	struct engine engine;
	struct err err;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));

	digits = "9";
	f->temp = temp_make();
	f->project.name = "shop";
	f->engine = (struct engine){.home = HOME_INIT, .project = &f->project, .events.fd = -1, .who = "ana"};
	*state = f;
	return home_open(&f->engine.arena, arena_printf(&f->engine.arena, "%s/home", f->temp.path),
			 &f->engine.home, &f->err);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	home_close(&f->engine.home);
	arena_free(&f->engine.arena);
	temp_remove(&f->temp);
	free(f);
	return 0;
}

static int begin(struct fixture *f, struct history *history, char id[DEPLOYMENT_ID_LEN + 1],
		 const char *random)
{
	const struct deploy_request request = {.kind = DEPLOYMENT_DEPLOY, .environment = "dev"};

	digits = random;
	calls = 0;
	return history_begin(history, &f->engine, &request, id, &f->err);
}

/* The process is gone: nothing holds its lock any more. */
static void leave(struct fixture *f, struct history *history)
{
	close_fd(&f->engine.events.fd);
	close_fd(&history->lock_fd);
}

static void assert_recorded(struct fixture *f, const char *id)
{
	struct deployment row;

	assert_int_equal(
		deployment_find(f->engine.home.db, &f->engine.arena, "shop", slice_of(id), &row, &f->err), 0);
	assert_string_equal(row.id, id);
	assert_int_equal(row.outcome, OUTCOME_RUNNING);
}

static bool is_locked(struct fixture *f, const char *id)
{
	AUTO(close_fd)
	int fd = openat(f->engine.home.dir_fd, arena_printf(&f->engine.arena, "runs/%s/lock", id),
			O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return flock(fd, LOCK_EX | LOCK_NB) != 0;
}

static void an_id_that_is_taken_is_made_again(void **state)
{
	struct fixture *f = *state;
	char one[DEPLOYMENT_ID_LEN + 1], two[DEPLOYMENT_ID_LEN + 1];
	struct history first, second;

	assert_int_equal(begin(f, &first, one, "0"), 0);
	assert_string_equal(one + 6, "-00000");
	leave(f, &first);
	assert_int_equal(begin(f, &second, two, "001"), 0);
	assert_int_equal(calls, 3);
	assert_string_equal(two + 6, "-11111");
	assert_int_equal(f->err.code, ERR_NONE);
	assert_recorded(f, one);
	assert_recorded(f, two);
	/* What is told from now on belongs to the second alone, and the first can be seen to be over. */
	assert_string_equal(f->engine.events.run, two);
	assert_string_equal(second.folder + strlen("runs/"), two);
	assert_true(is_locked(f, two));
	assert_false(is_locked(f, one));
	leave(f, &second);
}

static void a_run_that_is_under_way_keeps_its_folder(void **state)
{
	struct fixture *f = *state;
	char one[DEPLOYMENT_ID_LEN + 1], two[DEPLOYMENT_ID_LEN + 1];
	struct history first, second;

	assert_int_equal(begin(f, &first, one, "0"), 0);
	int events = steal_fd(&f->engine.events.fd);
	assert_int_equal(begin(f, &second, two, "01"), 0);
	assert_int_equal(calls, 2);
	assert_string_equal(two + 6, "-11111");
	assert_true(is_locked(f, one) && is_locked(f, two));
	leave(f, &second);
	f->engine.events.fd = events;
	leave(f, &first);
}

static void ids_are_not_tried_for_ever(void **state)
{
	struct fixture *f = *state;
	char one[DEPLOYMENT_ID_LEN + 1], two[DEPLOYMENT_ID_LEN + 1];
	struct history first, second;

	assert_int_equal(begin(f, &first, one, "0"), 0);
	leave(f, &first);
	assert_int_equal(begin(f, &second, two, "0"), -1);
	assert_int_equal(calls, 10);
	assert_int_equal(f->err.code, ERR_CONFLICT);
	assert_non_null(strstr(f->err.text, one));
	assert_int_equal(f->engine.events.fd, -1);
	assert_null(f->engine.events.run);
	assert_false(is_locked(f, one));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_id_that_is_taken_is_made_again),
		CASE(a_run_that_is_under_way_keeps_its_folder),
		CASE(ids_are_not_tried_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
