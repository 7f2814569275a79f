/* A value lives in the safe, unchanged, apart from all others, and leaves with it. */
#include "../cmocka_base.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "seal/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct secret put(struct safe *safe, const char *text)
{
	struct err err = ERR_INIT;
	struct secret secret;

	assert_int_equal(safe_put(safe, slice_of(text), &secret, &err), 0);
	return secret;
}

static void no_value_is_not_the_empty_value(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct secret none = {NULL}, empty = put(safe, ""), some = put(safe, "hunter2"), same = put(safe, "hunter2");

	(void)state;
	assert_false(secret_present(none));
	assert_true(secret_present(empty));
	assert_int_equal(secret_reveal(none).len, 0);
	assert_non_null(secret_reveal(none).ptr);
	assert_int_equal(secret_reveal(empty).len, 0);
	assert_false(secret_equal(none, empty));
	assert_true(secret_equal(none, (struct secret){NULL}));
	assert_true(secret_equal(some, same));
	assert_false(secret_equal(some, put(safe, "hunter3")));
	assert_false(secret_equal(some, put(safe, "hunter")));
	assert_string_equal(secret_reveal(some).ptr, "hunter2");
}

static long resident_kb(void)
{
	long pages = 0, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%ld %ld", &pages, &resident), 2);
	fclose(statm);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void ten_thousand_fit_in_a_few_megabytes(void **state)
{
	enum { COUNT = 10000 };
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(mem_free_ptr) struct secret *secrets = mem_array(COUNT, sizeof(*secrets));
	char text[128];

	(void)state;
	long before = resident_kb();
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "%0*d", i % 100 + 1, i);
		secrets[i] = put(safe, text);
	}
	long grown = resident_kb() - before;
	for (int i = 0; i < COUNT; i++) {
		snprintf(text, sizeof(text), "%0*d", i % 100 + 1, i);
		assert_true(slice_is(secret_reveal(secrets[i]), text));
		assert_int_equal((uintptr_t)secrets[i].bytes % sizeof(size_t), 0);
	}
	print_message("# %d values of 1 to 100 bytes: %ld kB\n", COUNT, grown);
#ifndef __SANITIZE_ADDRESS__
	assert_true(grown < 4096);
#endif
}

static void limits_are_kept(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(mem_free_ptr) char *large = mem_alloc(SECRET_MAX + 1);
	struct err err = ERR_INIT;
	struct secret secret;
	size_t count = 0;

	(void)state;
	assert_int_equal(safe_put(safe, slice_make(large, SECRET_MAX + 1), &secret, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	while (safe_put(safe, slice_make(large, SECRET_MAX), &secret, &err) == 0)
		count++;
	assert_int_equal(err.code, ERR_USER);
	assert_in_range(count, SAFE_MAX / SECRET_MAX - 1, SAFE_MAX / SECRET_MAX);
}

static void reserved_room_is_trimmed_and_wiped(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct err err = ERR_INIT;
	struct secret secret;

	(void)state;
	char *room = safe_reserve(safe, 100, &secret, &err);
	assert_non_null(room);
	memset(room, 'x', 100);
	safe_trim(&secret, 3);
	assert_true(slice_is(secret_reveal(secret), "xxx"));
	for (int i = 3; i <= 100; i++)
		assert_int_equal(room[i], 0);
}

/* A limit on locked memory is common in containers. */
static void works_without_locked_memory(void **state)
{
	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = {0, 0};
		struct err err = ERR_INIT;
		struct secret secret;
		setrlimit(RLIMIT_MEMLOCK, &none);
		AUTO(safe_close) struct safe *safe = safe_open();
		_exit(safe_put(safe, SLICE("value"), &secret, &err) || !slice_is(secret_reveal(secret), "value"));
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void hardened_process_dumps_no_core(void **state)
{
	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit core;
		secret_harden_process();
		getrlimit(RLIMIT_CORE, &core);
		_exit(core.rlim_cur != 0 || prctl(PR_GET_DUMPABLE) != 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void secret_buffers_keep_their_content_while_they_grow(void **state)
{
	AUTO(buf_wipe_free) struct buf buf = BUF_SECRET(10000);

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%03d", i);
	assert_int_equal(buf.len, 3000);
	assert_memory_equal(buf.ptr, "000001002", 9);
	assert_memory_equal(buf.ptr + 2997, "999", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_value_is_not_the_empty_value),
		cmocka_unit_test(ten_thousand_fit_in_a_few_megabytes),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(reserved_room_is_trimmed_and_wiped),
		cmocka_unit_test(works_without_locked_memory),
		cmocka_unit_test(hardened_process_dumps_no_core),
		cmocka_unit_test(secret_buffers_keep_their_content_while_they_grow),
	};
	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
