/* Timers, signals, descriptors and child processes over libuv. libuv frees a
 * handle only some turns after it was closed; the wrapper types here hide that:
 * each is freed by its own close callback, and stopping is immediate for the
 * caller. */
#include "net/loop.h"

#include "base/arena.h"
#include "base/child.h"
#include "base/clock.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { READ_PIECE = 64 << 10, PIPES_GRACE_MS = 300 };

struct loop {
	uv_loop_t uv;
	struct loop_process *processes; /* every one whose handles are not closed yet */
	size_t leaving;
	char read_piece[READ_PIECE]; /* filled and consumed within one callback */
};

int loop_open(struct loop **loop_out, struct err *err)
{
	struct loop *loop = mem_alloc(sizeof(*loop));
	int status = uv_loop_init(&loop->uv);
	if (status < 0) {
		mem_free_ptr(&loop);
		return err_set(err, ERR_INTERNAL, "cannot start the event loop: %s", uv_strerror(status));
	}
	signal(SIGPIPE, SIG_IGN);
	*loop_out = loop;
	return 0;
}

void loop_turn(struct loop *loop, bool wait)
{
	uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

int64_t loop_now_ms(const struct loop *loop)
{
	return (int64_t)uv_now(&loop->uv);
}

/* --- timers -------------------------------------------------------------------- */

struct loop_timer {
	uv_timer_t uv;
	void (*fire)(void *context);
	void *context;
};

static void timer_fired(uv_timer_t *uv)
{
	struct loop_timer *timer = CONTAINER_OF(uv, struct loop_timer, uv);
	timer->fire(timer->context);
}

static void timer_closed(uv_handle_t *handle)
{
	struct loop_timer *timer = CONTAINER_OF((uv_timer_t *)handle, struct loop_timer, uv);
	mem_free_ptr(&timer);
}

struct loop_timer *loop_timer_start(struct loop *loop, int64_t delay_ms, int64_t repeat_ms,
				    void (*fire)(void *context), void *context)
{
	ASSERT(delay_ms >= 0 && repeat_ms >= 0);
	struct loop_timer *timer = mem_alloc(sizeof(*timer));
	timer->fire = fire;
	timer->context = context;
	uv_timer_init(&loop->uv, &timer->uv);
	/* Time spent since the last turn would otherwise be taken off the delay. */
	uv_update_time(&loop->uv);
	uv_timer_start(&timer->uv, timer_fired, (uint64_t)delay_ms, (uint64_t)repeat_ms);
	return timer;
}

void loop_timer_stop(struct loop_timer **timer)
{
	if (!*timer)
		return;
	uv_timer_stop(&(*timer)->uv);
	uv_close((uv_handle_t *)&(*timer)->uv, timer_closed);
	*timer = NULL;
}

/* --- signals ------------------------------------------------------------------- */

struct loop_signals {
	uv_signal_t uv[2];
	int closed;
	void (*fire)(void *context, int signal_number);
	void *context;
};

static void signal_fired(uv_signal_t *uv, int number)
{
	struct loop_signals *signals = uv->data;
	signals->fire(signals->context, number);
}

static void signal_closed(uv_handle_t *handle)
{
	struct loop_signals *signals = handle->data;
	if (++signals->closed == (int)ARRAY_LEN(signals->uv))
		mem_free_ptr(&signals);
}

struct loop_signals *loop_signals_start(struct loop *loop, void (*fire)(void *context, int signal_number),
					void *context)
{
	static const int numbers[] = {SIGINT, SIGTERM};
	struct loop_signals *signals = mem_alloc(sizeof(*signals));
	signals->fire = fire;
	signals->context = context;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uv_signal_init(&loop->uv, &signals->uv[i]);
		signals->uv[i].data = signals;
		uv_signal_start(&signals->uv[i], signal_fired, numbers[i]);
		uv_unref((uv_handle_t *)&signals->uv[i]);
	}
	return signals;
}

void loop_signals_stop(struct loop_signals **signals)
{
	if (!*signals)
		return;
	for (size_t i = 0; i < ARRAY_LEN((*signals)->uv); i++)
		uv_close((uv_handle_t *)&(*signals)->uv[i], signal_closed);
	*signals = NULL;
}

/* --- waking ---------------------------------------------------------------------- */

struct loop_wake {
	uv_async_t uv;
	void (*fire)(void *context);
	void *context;
};

static void wake_fired(uv_async_t *uv)
{
	struct loop_wake *wake = CONTAINER_OF(uv, struct loop_wake, uv);
	wake->fire(wake->context);
}

static void wake_closed(uv_handle_t *handle)
{
	struct loop_wake *wake = CONTAINER_OF((uv_async_t *)handle, struct loop_wake, uv);
	mem_free_ptr(&wake);
}

struct loop_wake *loop_wake_start(struct loop *loop, void (*fire)(void *context), void *context)
{
	struct loop_wake *wake = mem_alloc(sizeof(*wake));
	wake->fire = fire;
	wake->context = context;
	int status = uv_async_init(&loop->uv, &wake->uv, wake_fired);
	ASSERT(status == 0);
	return wake;
}

void loop_wake_now(struct loop_wake *wake)
{
	uv_async_send(&wake->uv);
}

void loop_wake_stop(struct loop_wake **wake)
{
	if (!*wake)
		return;
	uv_close((uv_handle_t *)&(*wake)->uv, wake_closed);
	*wake = NULL;
}

/* --- descriptors ----------------------------------------------------------------- */

struct loop_watch {
	uv_poll_t uv;
	void (*fire)(void *context, bool readable, bool writable);
	void *context;
};

static void watch_fired(uv_poll_t *uv, int status, int events)
{
	struct loop_watch *watch = CONTAINER_OF(uv, struct loop_watch, uv);
	/* An error shows itself to whoever reads or writes. */
	if (status < 0)
		events = UV_READABLE | UV_WRITABLE;
	watch->fire(watch->context, events & UV_READABLE, events & UV_WRITABLE);
}

static void watch_closed(uv_handle_t *handle)
{
	struct loop_watch *watch = CONTAINER_OF((uv_poll_t *)handle, struct loop_watch, uv);
	mem_free_ptr(&watch);
}

void loop_watch_change(struct loop_watch *watch, bool readable, bool writable)
{
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	if (events)
		uv_poll_start(&watch->uv, events, watch_fired);
	else
		uv_poll_stop(&watch->uv);
}

struct loop_watch *loop_watch_start(struct loop *loop, int fd, bool readable, bool writable,
				    void (*fire)(void *context, bool readable, bool writable), void *context)
{
	struct loop_watch *watch = mem_alloc(sizeof(*watch));
	watch->fire = fire;
	watch->context = context;
	int status = uv_poll_init(&loop->uv, &watch->uv, fd);
	ASSERT(status == 0);
	loop_watch_change(watch, readable, writable);
	return watch;
}

void loop_watch_stop(struct loop_watch **watch)
{
	if (!*watch)
		return;
	uv_poll_stop(&(*watch)->uv);
	uv_close((uv_handle_t *)&(*watch)->uv, watch_closed);
	*watch = NULL;
}

/* --- child processes -------------------------------------------------------------- */

struct loop_process {
	struct loop *loop;
	struct loop_process *next, **at; /* in loop->processes */
	uv_process_t uv;
	uv_pipe_t input, output, errors;
	int open_handles; /* freed when the last is closed */
	void (*on_stdout)(void *context, struct slice bytes);
	void (*on_stderr)(void *context, struct slice bytes);
	void (*on_drained)(void *context);
	void (*on_exit)(void *context, int status);
	void *context;
	size_t low_water;
	size_t queued;
	bool detached; /* stopped or left: no more callbacks */
	bool exited, exit_told;
	bool output_ended, errors_ended, input_ending;
	int status;
	struct loop_timer *grace;
};

struct process_write {
	uv_write_t uv;
	struct loop_process *process;
	struct buf bytes;
};

static void handle_closed(uv_handle_t *handle)
{
	struct loop_process *process = handle->data;
	if (--process->open_handles > 0)
		return;
	*process->at = process->next;
	if (process->next)
		process->next->at = process->at;
	if (process->detached)
		process->loop->leaving--;
	mem_free_ptr(&process);
}

static void close_once(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, handle_closed);
}

static void close_all(struct loop_process *process)
{
	loop_timer_stop(&process->grace);
	close_once(&process->input);
	close_once(&process->output);
	close_once(&process->errors);
	close_once(&process->uv);
}

static void exit_tell(struct loop_process *process)
{
	loop_timer_stop(&process->grace);
	if (process->exit_told)
		return;
	process->exit_told = true;
	process->on_exit(process->context, process->status);
}

static void grace_over(void *context)
{
	exit_tell(context);
}

/* The end is told after the last words: what the child wrote to its pipes explains
 * why it ended. A descendant that keeps a pipe open (a shared ssh connection in
 * the background does) must not hold this up for ever. */
static void exit_consider(struct loop_process *process)
{
	if (!process->exited)
		return;
	if (process->detached)
		close_all(process);
	else if (process->output_ended && process->errors_ended)
		exit_tell(process);
	else if (!process->grace && !process->exit_told)
		process->grace = loop_timer_start(process->loop, PIPES_GRACE_MS, 0, grace_over, process);
}

static void process_exited(uv_process_t *uv, int64_t exit_status, int term_signal)
{
	struct loop_process *process = uv->data;
	process->exited = true;
	process->status = term_signal ? 128 + term_signal : (int)exit_status;
	exit_consider(process);
}

static void read_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	(void)suggested;
	struct loop_process *process = handle->data;
	*out = uv_buf_init(process->loop->read_piece, READ_PIECE);
}

static void read_done(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
	struct loop_process *process = stream->data;
	bool is_output = (void *)stream == (void *)&process->output;
	if (got == 0)
		return;
	if (got > 0) {
		if (!process->detached)
			(is_output ? process->on_stdout : process->on_stderr)(
				process->context, slice_make(room->base, (size_t)got));
		/* It may have been a key. */
		explicit_bzero(room->base, (size_t)got);
		return;
	}
	uv_read_stop(stream);
	*(is_output ? &process->output_ended : &process->errors_ended) = true;
	if (!process->detached)
		(is_output ? process->on_stdout : process->on_stderr)(process->context, slice_make("", 0));
	exit_consider(process);
}

static void pipe_init(struct loop_process *process, uv_pipe_t *pipe)
{
	uv_pipe_init(&process->loop->uv, pipe, 0);
	pipe->data = process;
	process->open_handles++;
}

int loop_process_start(struct loop *loop, const struct loop_process_spec *spec,
		       struct loop_process **process_out, struct err *err)
{
	struct loop_process *process = mem_alloc(sizeof(*process));
	process->loop = loop;
	process->on_stdout = spec->on_stdout;
	process->on_stderr = spec->on_stderr;
	process->on_drained = spec->on_drained;
	process->on_exit = spec->on_exit;
	process->context = spec->context;
	process->low_water = spec->low_water;
	process->next = loop->processes;
	process->at = &loop->processes;
	if (process->next)
		process->next->at = &process->next;
	loop->processes = process;
	pipe_init(process, &process->input);
	pipe_init(process, &process->output);
	pipe_init(process, &process->errors);

	uv_stdio_container_t stdio[3] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&process->input},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->output},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->errors},
	};
	uv_process_options_t options = {
		.file = spec->argv[0],
		/* libuv does not write to either; its type says so only by accident. */
		.args = (char **)(uintptr_t)spec->argv,
		.env = (char **)(uintptr_t)spec->env,
		.flags = UV_PROCESS_DETACHED,
		.stdio = stdio,
		.stdio_count = 3,
		.exit_cb = process_exited,
	};
	int status = uv_spawn(&loop->uv, &process->uv, &options);
	process->uv.data = process;
	process->open_handles++;
	if (status < 0) {
		process->detached = true;
		loop->leaving++;
		close_all(process);
		if (status == UV_ENOENT || (status == UV_EACCES && !strchr(spec->argv[0], '/') &&
					    !child_in_path(spec->argv[0], spec->env)))
			return err_set(err, ERR_NOT_FOUND, "%s: no such program", spec->argv[0]);
		return err_set(err, ERR_INTERNAL, "cannot start %s: %s", spec->argv[0], uv_strerror(status));
	}
	uv_read_start((uv_stream_t *)&process->output, read_room, read_done);
	uv_read_start((uv_stream_t *)&process->errors, read_room, read_done);
	*process_out = process;
	return 0;
}

static void write_done(uv_write_t *uv, int status)
{
	(void)status;
	struct process_write *write = CONTAINER_OF(uv, struct process_write, uv);
	struct loop_process *process = write->process;
	size_t before = process->queued;
	process->queued -= write->bytes.len;
	buf_free(&write->bytes);
	mem_free_ptr(&write);
	if (process->detached || uv_is_closing((uv_handle_t *)&process->input))
		return;
	if (before >= process->low_water && process->queued < process->low_water && process->on_drained)
		process->on_drained(process->context);
}

void loop_process_write(struct loop_process *process, struct buf *bytes)
{
	if (bytes->len == 0 || process->input_ending || uv_is_closing((uv_handle_t *)&process->input)) {
		buf_free(bytes);
		return;
	}
	struct process_write *write = mem_alloc(sizeof(*write));
	write->process = process;
	write->bytes = *bytes;
	*bytes = BUF_INIT(bytes->max);
	process->queued += write->bytes.len;
	uv_buf_t piece = uv_buf_init(write->bytes.ptr, (unsigned)write->bytes.len);
	int status = uv_write(&write->uv, (uv_stream_t *)&process->input, &piece, 1, write_done);
	if (status < 0) {
		process->queued -= write->bytes.len;
		buf_free(&write->bytes);
		mem_free_ptr(&write);
	}
}

size_t loop_process_queued(const struct loop_process *process)
{
	return process->queued;
}

void loop_process_pause(struct loop_process *process, bool paused)
{
	if (process->output_ended)
		return;
	if (paused)
		uv_read_stop((uv_stream_t *)&process->output);
	else
		uv_read_start((uv_stream_t *)&process->output, read_room, read_done);
}

static void input_shut(uv_shutdown_t *shutdown, int status)
{
	(void)status;
	struct loop_process *process = shutdown->data;
	mem_free_ptr(&shutdown);
	close_once(&process->input);
}

void loop_process_end_input(struct loop_process *process)
{
	if (process->input_ending || uv_is_closing((uv_handle_t *)&process->input))
		return;
	process->input_ending = true;
	/* A shutdown is done when everything queued has been written. */
	uv_shutdown_t *shutdown = mem_alloc(sizeof(*shutdown));
	shutdown->data = process;
	if (uv_shutdown(shutdown, (uv_stream_t *)&process->input, input_shut) < 0) {
		mem_free_ptr(&shutdown);
		close_once(&process->input);
	}
}

static void process_detach(struct loop_process *process)
{
	ASSERT(!process->detached);
	process->detached = true;
	process->loop->leaving++;
	loop_timer_stop(&process->grace);
	/* Its output is still read (and dropped), so that it never blocks on us. */
	loop_process_pause(process, false);
}

void loop_process_stop(struct loop_process **process)
{
	if (!*process)
		return;
	process_detach(*process);
	if (!(*process)->exited)
		uv_process_kill(&(*process)->uv, SIGTERM);
	close_once(&(*process)->input);
	exit_consider(*process);
	*process = NULL;
}

void loop_process_leave(struct loop_process **process)
{
	if (!*process)
		return;
	process_detach(*process);
	loop_process_end_input(*process);
	exit_consider(*process);
	*process = NULL;
}

size_t loop_processes_leaving(const struct loop *loop)
{
	return loop->leaving;
}

void loop_close(struct loop **loop)
{
	if (!*loop)
		return;
	for (struct loop_process *process = (*loop)->processes; process; process = process->next) {
		ASSERT(process->detached);
		close_all(process);
	}
	uv_run(&(*loop)->uv, UV_RUN_DEFAULT);
	int status = uv_loop_close(&(*loop)->uv);
	ASSERT(status == 0);
	mem_free_ptr(loop);
}
