/* Killed anywhere while it keeps a snapshot and then names it: every row names a whole
 * file, and what the kills left lying is swept up. All work is done in children: fault
 * points are read once a process. */
#include "../temp.h"

#include "fact/snapshot.h"
#include "model/parity_run.h"
#include "model/parity_snapshot.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#define RUN "261122-aaaaa"

struct job {
	struct temp temp;
	struct arena arena;
	struct home home;
	struct err err;
};

static int write_to_fd(void *context, struct slice bytes, struct err *err)
{
	return fd_write_all(*(const int *)context, bytes.ptr, bytes.len, err);
}

static int make_snapshot(int fd, struct err *err)
{
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	const struct fact fact = {
		.key = SLICE("os/release/version"), .value = SLICE("12"), .kind = FACT_TEXT};

	fact_writer_init(&writer, write_to_fd, &fd);
	return fact_write(&writer, &fact, err) || fact_writer_end(&writer, err) ? -1 : 0;
}

static int begin(struct job *job)
{
	const struct parity_run run = {
		.id = RUN, .project = "shop", .kind = PARITY_RUN_DIFF, .subjects = "a b", .started_ms = 1};
	return parity_run_insert(job->home.db, &run, &job->err);
}

static int keep(struct job *job)
{
	struct parity_snapshot_file file;
	AUTO(close_fd) int fd = memfd_create("snapshot", MFD_CLOEXEC);

	if (fd < 0 || make_snapshot(fd, &job->err) || parity_snapshot_store(&job->home, fd, &file, &job->err))
		return -1;
	const struct parity_snapshot snapshot = {
		.run = RUN, .environment = "a", .server = "web1", .digest = file.digest, .taken_ms = 1};
	return parity_snapshot_put(job->home.db, &snapshot, &job->err);
}

/* How many rows there are, each with its file; -1 when one is without. */
static int rows(struct job *job)
{
	struct parity_snapshot_list list;

	if (parity_snapshot_list(job->home.db, &job->arena, RUN, &list, &job->err))
		return -1;
	for (size_t i = 0; i < list.count; i++) {
		AUTO(close_fd) int fd = -1;
		if (parity_snapshot_open(&job->home, list.items[i].digest, &fd, &job->err))
			return -1;
	}
	return (int)list.count;
}

static int sweep(struct job *job)
{
	size_t count;
	uint64_t bytes;
	int64_t later_ms = ((int64_t)time(NULL) + 2 * 86400) * 1000;

	if (parity_snapshot_gc(&job->home, later_ms, &count, &bytes, &job->err))
		return -1;
	return (int)count;
}

/* What `work` returned, 255 for -1, 128 and more for a signal. */
static int in_child(struct job *job, const char *fault, int (*work)(struct job *job))
{
	pid_t pid = fork();
	if (pid == 0) {
		if (fault)
			setenv("LOCKSTEP_FAULT", fault, 1);
		const char *path = arena_printf(&job->arena, "%s/home", job->temp.path);
		int status = home_open(&job->arena, path, &job->home, &job->err) ? -1 : work(job);
		if (status < 0)
			fprintf(stderr, "%s\n", job->err.text);
		_exit(status & 255);
	}
	ASSERT(pid > 0);
	return wait_for(pid);
}

static void a_kill_leaves_no_row_without_its_file(void **state)
{
	(void)state;
	struct job job = {.temp = temp_make(), .home = HOME_INIT};

	assert_int_equal(in_child(&job, NULL, begin), 0);
	static const char *const faults[] = {"model.snapshot.before_sync=kill",
					     "model.snapshot.before_rename=kill",
					     "model.snapshot.stored=kill"};
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		assert_int_equal(in_child(&job, faults[i], keep), 128 + SIGKILL);
		assert_int_equal(in_child(&job, NULL, rows), 0);
	}
	/* Two unfinished files, and one that is whole and that nobody names. */
	assert_int_equal(in_child(&job, NULL, sweep), 3);
	assert_int_equal(in_child(&job, "model.snapshot.before_rename=fail", keep), 255);
	assert_int_equal(in_child(&job, NULL, sweep), 0);
	assert_int_equal(in_child(&job, NULL, keep), 0);
	assert_int_equal(in_child(&job, NULL, rows), 1);
	assert_int_equal(in_child(&job, NULL, sweep), 0);
	assert_int_equal(in_child(&job, NULL, rows), 1);
	temp_remove(&job.temp);
	arena_free(&job.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kill_leaves_no_row_without_its_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
