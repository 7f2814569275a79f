/* The event loop: timers, signals, descriptors and child processes, for the code
 * that talks to many servers at once. The only user of libuv; nobody else sees
 * its types. One loop is used by one thread. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct loop;

/* Also makes this process ignore SIGPIPE: a peer that goes away is an error of
 * the write, not the end of us. */
int loop_open(struct loop **loop_out, struct err *err) CHECKED;
/* Everything begun on the loop must have been stopped. Cleanup function. */
void loop_close(struct loop **loop);

/* Handles what is ready; with `wait` blocks until something is. */
void loop_turn(struct loop *loop, bool wait);
int64_t loop_now_ms(const struct loop *loop); /* monotonic, as of this turn */

/* --- timers: first after delay_ms, then every repeat_ms (0: once) --- */
struct loop_timer;
struct loop_timer *loop_timer_start(struct loop *loop, int64_t delay_ms, int64_t repeat_ms,
				    void (*fire)(void *context), void *context);
void loop_timer_stop(struct loop_timer **timer); /* NULL is fine */

/* --- SIGINT and SIGTERM --- */
struct loop_signals;
struct loop_signals *loop_signals_start(struct loop *loop, void (*fire)(void *context, int signal_number),
					void *context);
void loop_signals_stop(struct loop_signals **signals);

/* --- waking the loop from another thread --- */
struct loop_wake;
struct loop_wake *loop_wake_start(struct loop *loop, void (*fire)(void *context), void *context);
void loop_wake_now(struct loop_wake *wake); /* from any thread; calls may be merged into one */
void loop_wake_stop(struct loop_wake **wake);

/* --- descriptors (borrowed; pipes and sockets) --- */
struct loop_watch;
struct loop_watch *loop_watch_start(struct loop *loop, int fd, bool readable, bool writable,
				    void (*fire)(void *context, bool readable, bool writable), void *context);
void loop_watch_change(struct loop_watch *watch, bool readable, bool writable);
void loop_watch_stop(struct loop_watch **watch);

/* --- child processes with pipes, in a session of their own, so that Ctrl-C in the
 * terminal reaches us and not them --- */
struct loop_process;
struct loop_process_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env;	 /* NULL-terminated; NULL inherits ours */
	/* Borrowed bytes; len 0: that pipe was closed. */
	void (*on_stdout)(void *context, struct slice bytes);
	void (*on_stderr)(void *context, struct slice bytes);
	/* What was queued went below `low_water` bytes. */
	void (*on_drained)(void *context);
	/* Ended, and both pipes are read to their end (or shortly after the end, when a
	 * descendant keeps them open). status: exit code, or 128 + signal. */
	void (*on_exit)(void *context, int status);
	void *context;
	size_t low_water;
};
int loop_process_start(struct loop *loop, const struct loop_process_spec *spec,
		       struct loop_process **process_out, struct err *err) CHECKED;
/* Queues bytes for its standard input, taking over the buffer's memory (it is
 * empty afterwards). Bytes for a process that no longer reads are dropped: its
 * end is told by on_exit. */
void loop_process_write(struct loop_process *process, struct buf *bytes);
size_t loop_process_queued(const struct loop_process *process);
void loop_process_pause(struct loop_process *process, bool paused); /* of reading its stdout */
void loop_process_end_input(struct loop_process *process);	    /* after what is queued */
/* No more callbacks. It is ended with SIGTERM; the loop reaps it. NULL is fine. */
void loop_process_stop(struct loop_process **process);
/* No more callbacks. What is queued is still written, then its input is closed and
 * it ends by itself, after us if need be. NULL is fine. */
void loop_process_leave(struct loop_process **process);
/* Processes stopped or left that have not ended yet. */
size_t loop_processes_leaving(const struct loop *loop);
