/* Claims about the loop: what is stopped never calls back, a child's last words
 * come before its end, and its queue drains in order. */
#include "net/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	int fired;
	struct buf out, errors;
	bool out_ended, exited, drained;
	int status;
};

static void count(void *context)
{
	((struct seen *)context)->fired++;
}

static void take_out(void *context, struct slice bytes)
{
	struct seen *seen = context;
	assert_false(seen->exited);
	if (bytes.len == 0)
		seen->out_ended = true;
	buf_put_slice(&seen->out, bytes);
}
static void take_errors(void *context, struct slice bytes)
{
	buf_put_slice(&((struct seen *)context)->errors, bytes);
}
static void take_drained(void *context)
{
	((struct seen *)context)->drained = true;
}
static void take_exit(void *context, int status)
{
	struct seen *seen = context;
	seen->exited = true;
	seen->status = status;
}

static struct loop *open_loop(void)
{
	struct err err = ERR_INIT;
	struct loop *loop = NULL;
	assert_int_equal(loop_open(&loop, &err), 0);
	return loop;
}

static struct loop_process *start(struct loop *loop, struct seen *seen, const char *script)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	struct loop_process_spec spec = {
		.argv = argv,
		.on_stdout = take_out,
		.on_stderr = take_errors,
		.on_drained = take_drained,
		.on_exit = take_exit,
		.context = seen,
		.low_water = 1,
	};
	struct err err = ERR_INIT;
	struct loop_process *process = NULL;
	seen->out = BUF_INIT(MIB(8));
	seen->errors = BUF_INIT(MIB(1));
	assert_int_equal(loop_process_start(loop, &spec, &process, &err), 0);
	return process;
}

static void seen_free(struct seen *seen)
{
	buf_free(&seen->out);
	buf_free(&seen->errors);
}

static void timers_fire_and_stop(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	struct seen once = {0}, again = {0}, never = {0};
	struct loop_timer *a = loop_timer_start(loop, 1, 0, count, &once);
	struct loop_timer *b = loop_timer_start(loop, 1, 1, count, &again);
	struct loop_timer *c = loop_timer_start(loop, 1, 0, count, &never);
	loop_timer_stop(&c);
	assert_null(c);
	while (again.fired < 3)
		loop_turn(loop, true);
	assert_int_equal(once.fired, 1);
	assert_int_equal(never.fired, 0);
	loop_timer_stop(&a);
	loop_timer_stop(&b);
	loop_close(&loop);
	assert_null(loop);
}

static void last_words_come_before_the_end(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	struct seen seen = {0};
	struct loop_process *process = start(loop, &seen, "cat; echo done; echo bad >&2; exit 7");
	struct buf bytes = BUF_INIT(MIB(4));
	for (size_t i = 0; i < MIB(3); i++)
		buf_putc(&bytes, (char)('a' + i % 26));
	loop_process_write(process, &bytes);
	assert_int_equal(bytes.len, 0);
	assert_true(loop_process_queued(process) > 0);
	loop_process_end_input(process);
	while (!seen.exited)
		loop_turn(loop, true);
	assert_int_equal(seen.status, 7);
	assert_true(seen.out_ended);
	assert_true(seen.drained);
	assert_int_equal(seen.out.len, MIB(3) + 5);
	assert_int_equal(seen.out.ptr[MIB(3) - 1], 'a' + (MIB(3) - 1) % 26);
	assert_string_equal(buf_str(&seen.errors), "bad\n");
	loop_process_stop(&process);
	loop_close(&loop);
	seen_free(&seen);
}

static void a_descendant_that_keeps_a_pipe_does_not_hold_up_the_end(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	struct seen seen = {0};
	struct loop_process *process = start(loop, &seen, "sleep 5 & echo $!; exit 3");
	while (!seen.exited)
		loop_turn(loop, true);
	assert_int_equal(seen.status, 3);
	uint64_t pid = 0;
	assert_true(slice_to_u64(slice_trim(buf_slice(&seen.out)), &pid));
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	loop_process_stop(&process);
	loop_close(&loop);
	seen_free(&seen);
}

static void a_stopped_process_is_ended_and_silent(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	struct seen seen = {0};
	struct loop_process *process = start(loop, &seen, "echo up; exec cat");
	while (seen.out.len == 0)
		loop_turn(loop, true);
	loop_process_stop(&process);
	assert_null(process);
	while (loop_processes_leaving(loop))
		loop_turn(loop, true);
	assert_false(seen.exited);
	loop_close(&loop);
	seen_free(&seen);
}

static void a_left_process_gets_what_was_queued(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	struct seen seen = {0};
	int pipe_fds[2];
	assert_int_equal(pipe(pipe_fds), 0);
	char script[64];
	struct buf text = BUF_INIT(64);
	buf_printf(&text, "cat >/dev/fd/%d", pipe_fds[1]);
	memcpy(script, buf_str(&text), text.len + 1);
	buf_free(&text);
	struct loop_process *process = start(loop, &seen, script);
	struct buf bytes = BUF_INIT(64);
	buf_puts(&bytes, "goodbye");
	loop_process_write(process, &bytes);
	loop_process_leave(&process);
	while (loop_processes_leaving(loop))
		loop_turn(loop, true);
	char got[16] = {0};
	assert_int_equal(read(pipe_fds[0], got, sizeof(got) - 1), 7);
	assert_string_equal(got, "goodbye");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	loop_close(&loop);
	seen_free(&seen);
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	const char *argv[] = {"no-such-program-here", NULL};
	struct loop_process_spec spec = {.argv = argv};
	struct loop_process *process = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(loop_process_start(loop, &spec, &process, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(process);
	loop_close(&loop);
}

static void signal_seen(void *context, int number)
{
	*(int *)context = number;
}

static void signals_reach_the_loop(void **state)
{
	(void)state;
	struct loop *loop = open_loop();
	int number = 0;
	struct loop_signals *signals = loop_signals_start(loop, signal_seen, &number);
	struct seen tick = {0};
	struct loop_timer *timer = loop_timer_start(loop, 0, 1, count, &tick);
	assert_int_equal(kill(getpid(), SIGINT), 0);
	while (!number)
		loop_turn(loop, true);
	assert_int_equal(number, SIGINT);
	loop_signals_stop(&signals);
	loop_timer_stop(&timer);
	loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_and_stop),
		cmocka_unit_test(last_words_come_before_the_end),
		cmocka_unit_test(a_descendant_that_keeps_a_pipe_does_not_hold_up_the_end),
		cmocka_unit_test(a_stopped_process_is_ended_and_silent),
		cmocka_unit_test(a_left_process_gets_what_was_queued),
		cmocka_unit_test(a_program_that_is_not_there_is_an_error),
		cmocka_unit_test(signals_reach_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
