/* Runs probes side by side, each in a process of its own: one that hangs or crashes costs
 * its own dimension, and says so. */
#include "probe/internal.h"
#include "probe/look.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PROBES_MAX = 32,
	BREATH_MS = 100,
	BURIAL_MS = 1000,
	CORE_BYTES = 0,
	SNAPSHOT_MAX = PROBE_FACTS_BYTES_MAX,
	INPUTS_MAX = 2 << 20
};

struct job {
	const struct probe *probe;
	pid_t pid; /* 0: over */
	int fd;	   /* -1: it has said all */
	int64_t until_ms;
	struct buf said;
	const char *why; /* it failed */
	char why_text[160];
};

static struct probe_memory *memories[PROBES_MAX];
static struct look *looks[PROBES_MAX];

/* Shared with the children, who write it; it stays for the next time we are asked. */
static struct probe_memory *memory_of(size_t probe)
{
	if (!probes[probe]->remembers)
		return NULL;
	if (!memories[probe]) {
		void *shared = mmap(NULL, sizeof(struct probe_memory), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		memories[probe] = shared == MAP_FAILED ? NULL : shared;
	}
	return memories[probe];
}

static struct look *look_of(size_t probe)
{
	if (probes[probe]->keeps_look && !looks[probe])
		looks[probe] = look_new();
	return looks[probe];
}

/* --- in the child ------------------------------------------------------------------- */

struct answer {
	int fd;
	struct buf *copy; /* NULL: none is kept */
};

static int write_answer(void *context, struct slice bytes, struct err *err)
{
	const struct answer *answer = context;

	if (answer->copy)
		buf_put_slice(answer->copy, bytes);
	return fd_write_all(answer->fd, bytes.ptr, bytes.len, err);
}

/* One snapshot, whatever happens to the probe. */
static int run_and_tell(const struct probe *probe, struct probe_sink *sink, struct answer *answer,
			struct err *err)
{
	AUTO(fact_writer_free) struct fact_writer writer;

	sink->failure = ERR_INIT;
	int failed = probe->run(sink, err);
	if (!failed && sink->failure.code) {
		*err = sink->failure;
		failed = -1;
	}
	if (failed) {
		char key[64];
		struct err full = ERR_INIT;
		snprintf(key, sizeof(key), "%s/", probe->dimension);
		look_forget(sink);
		fact_list_free(&sink->facts);
		(void)!fact_add(&sink->facts, slice_of(key), FACT_NOT_CHECKED, slice_of(err->text), &full);
	}
	fact_writer_init(&writer, write_answer, answer);
	return fact_list_write(&sink->facts, &writer, err) || fact_writer_end(&writer, err) ? -1 : 0;
}

static _Noreturn void run_probe(const struct probe *probe, const struct probe_request *request,
				struct probe_memory *memory, struct look *look, int fd)
{
	struct buf inputs = BUF_INIT(INPUTS_MAX), copy = BUF_INIT(SNAPSHOT_MAX);
	struct answer answer = {fd, look ? &copy : NULL};
	struct probe_sink sink = {.request = request,
				  .facts = FACT_LIST_INIT(PROBE_FACTS_BYTES_MAX),
				  .memory = memory,
				  .inputs = look ? &inputs : NULL};
	struct slice kept;
	struct err err = ERR_INIT;

	/* Nothing of ours is anyone else's: the conversation stays with the parent. */
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (none >= 0) {
		dup2(none, STDIN_FILENO);
		dup2(none, STDOUT_FILENO);
	}
	setrlimit(RLIMIT_CORE, &(struct rlimit){CORE_BYTES, CORE_BYTES});
	if (look_same(look, request, &kept))
		_exit(fd_write_all(fd, kept.ptr, kept.len, &err) ? 1 : 0);
	int failed = run_and_tell(probe, &sink, &answer, &err);
	if (!failed && look && !copy.overflow)
		look_keep(look, &sink, buf_slice(&copy));
	_exit(failed ? 1 : 0);
}

/* --- in the agent ---------------------------------------------------------------------- */

static void fail(struct job *job, const char *why)
{
	if (!job->why) {
		snprintf(job->why_text, sizeof(job->why_text), "%s", why);
		job->why = job->why_text;
	}
}

static void start(struct job *job, const struct probe_request *request, struct probe_memory *memory,
		  struct look *look)
{
	int ends[2];

	job->fd = -1;
	job->said = BUF_INIT(SNAPSHOT_MAX);
	job->until_ms = clock_mono_ms() + (job->probe->time_ms ? job->probe->time_ms : PROBE_TIME_MS);
	if (pipe2(ends, O_CLOEXEC) != 0) {
		fail(job, strerror(errno));
		return;
	}
	job->pid = fork();
	if (job->pid == 0) {
		setpgid(0, 0);
		close(ends[0]);
		run_probe(job->probe, request, memory, look, ends[1]);
	}
	close(ends[1]);
	if (job->pid < 0) {
		job->pid = 0;
		fail(job, strerror(errno));
		close(ends[0]);
		return;
	}
	setpgid(job->pid, job->pid);
	job->fd = ends[0];
}

/* It stays a zombie, so that its number, which is its group's too, stays its own. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

/* Ends what it started, and it. One that cannot be ended (a file server that is gone holds
 * it in the kernel) is left to itself. */
static int bury(struct job *job)
{
	int64_t until_ms = clock_mono_ms() + BURIAL_MS;
	int raw = 0;

	kill(-job->pid, SIGKILL);
	while (!has_ended(job->pid) && clock_mono_ms() < until_ms)
		poll(NULL, 0, 2);
	if (waitpid(job->pid, &raw, WNOHANG) < 0)
		raw = 0;
	job->pid = 0;
	return raw;
}

static void end(struct job *job)
{
	close_fd(&job->fd);
	if (job->pid)
		bury(job);
}

/* Its line is closed: how did it end? */
static void reap(struct job *job)
{
	siginfo_t info;
	char why[64];

	close_fd(&job->fd);
	/* It is ending by itself. Its group goes before its number is given back. */
	while (waitid(P_PID, (id_t)job->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
		;
	int raw = bury(job);
	if (WIFSIGNALED(raw)) {
		snprintf(why, sizeof(why), "looking at it was ended by signal %d", WTERMSIG(raw));
		fail(job, why);
	} else if (WEXITSTATUS(raw)) {
		fail(job, "looking at it failed");
	}
}

static void take(struct job *job)
{
	char piece[32 << 10];
	ssize_t got = read(job->fd, piece, sizeof(piece));

	if (got > 0) {
		buf_put(&job->said, piece, (size_t)got);
		if (job->said.overflow) {
			fail(job, "there is more of it than is taken from one server");
			end(job);
		}
	} else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
		reap(job);
	}
}

static int64_t wait_for(struct job *jobs, size_t count, int64_t now)
{
	int64_t wait = BREATH_MS;

	for (size_t i = 0; i < count; i++)
		if (jobs[i].fd >= 0)
			wait = MIN(wait, MAX(jobs[i].until_ms - now, (int64_t)0));
	return wait;
}

static int attend(struct job *jobs, size_t count, int (*breathe)(void *context, struct err *err),
		  void *context, struct err *err)
{
	for (;;) {
		struct pollfd lines[PROBES_MAX];
		size_t open = 0, which[PROBES_MAX];
		int64_t now = clock_mono_ms();
		for (size_t i = 0; i < count; i++) {
			if (jobs[i].fd >= 0 && now >= jobs[i].until_ms) {
				char why[96];
				snprintf(why, sizeof(why), "looking at it took longer than %lld s",
					 (long long)(jobs[i].probe->time_ms ? jobs[i].probe->time_ms
									    : PROBE_TIME_MS) /
						 1000);
				fail(&jobs[i], why);
				end(&jobs[i]);
			}
			if (jobs[i].fd < 0)
				continue;
			which[open] = i;
			lines[open++] = (struct pollfd){jobs[i].fd, POLLIN, 0};
		}
		if (open == 0)
			return 0;
		int ready = poll(lines, open, (int)wait_for(jobs, count, now));
		for (size_t i = 0; ready > 0 && i < open; i++)
			if (lines[i].revents)
				take(&jobs[which[i]]);
		if (breathe && breathe(context, err))
			return -1;
	}
}

/* Read once to the end before any of it counts: a probe that died half way said nothing. */
static void check(struct job *job)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&job->said));
	struct err err = ERR_INIT;
	struct fact fact;
	int got;

	while (!job->why && (got = fact_next(reader, &fact, &err)) != 0)
		if (got < 0)
			fail(job, "what was seen of it came through damaged");
		else if (!slice_is(fact_dimension(fact.key), job->probe->dimension))
			fail(job, "what was seen of it belongs elsewhere");
}

static int pass_on(struct job *job, struct fact_writer *out, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&job->said));
	struct fact fact;
	char key[64];
	int got;

	check(job);
	if (job->why) {
		snprintf(key, sizeof(key), "%s/", job->probe->dimension);
		fact = (struct fact){
			.key = slice_of(key), .kind = FACT_NOT_CHECKED, .value = slice_of(job->why)};
		return fact_write(out, &fact, err);
	}
	while ((got = fact_next(reader, &fact, err)) > 0)
		if (fact_write(out, &fact, err))
			return -1;
	return got;
}

int probe_all(const struct probe_request *request, const bool *which, struct fact_writer *out,
	      int (*breathe)(void *context, struct err *err), void *context, struct err *err)
{
	struct job jobs[PROBES_MAX] = {0};
	size_t count = 0;
	int result = 0;

	for (size_t i = 0; probes[i] && count < PROBES_MAX; i++) {
		if (which && !which[i])
			continue;
		jobs[count].probe = probes[i];
		start(&jobs[count++], request, memory_of(i), look_of(i));
	}
	result = attend(jobs, count, breathe, context, err);
	for (size_t i = 0; i < count; i++) {
		end(&jobs[i]);
		if (result == 0)
			result = pass_on(&jobs[i], out, err);
		buf_free(&jobs[i].said);
	}
	return result;
}
