/* Runs probes side by side, each in a process of its own: one that hangs or crashes costs
 * its own dimension, and says so. Those that were quick the last time share one process, for most
 * of what they cost is the process and finding out what others know; should it not get through
 * them all, the rest is looked at in the ordinary way. */
#include "probe/internal.h"
#include "probe/turn.h"

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
	TOGETHER_MS = 5000, /* all of them; a quick one takes milliseconds */
};

struct job {
	size_t which; /* of probes */
	const char *dimension;
	int64_t time_ms, until_ms;
	pid_t pid; /* 0: over */
	int fd;	   /* -1: it has said all */
	struct buf said;
	const char *why; /* it failed */
	char why_text[160];
	bool over;  /* what was said stands, or why not */
	bool quick; /* its process says so */
};

/* Before each snapshot of those that share a process. */
struct heading {
	uint32_t job, len, quick;
};

static bool quick[PROBES_MAX]; /* the last time */
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

static struct turn turn_of(size_t probe)
{
	return (struct turn){probes[probe], memory_of(probe), look_of(probe)};
}

static void fail(struct job *job, const char *why)
{
	if (!job->why) {
		snprintf(job->why_text, sizeof(job->why_text), "%s", why);
		job->why = job->why_text;
	}
}

/* --- starting ------------------------------------------------------------------------------ */

/* 0 in the child, with *fd_out to write to; else the parent's job has begun, or failed. */
static pid_t start(struct job *job, int *fd_out)
{
	int ends[2];

	job->until_ms = clock_mono_ms() + job->time_ms;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		fail(job, strerror(errno));
		return -1;
	}
	job->pid = fork();
	if (job->pid == 0) {
		setpgid(0, 0);
		close(ends[0]);
		turn_settle();
		*fd_out = ends[1];
		return 0;
	}
	close(ends[1]);
	if (job->pid < 0) {
		job->pid = 0;
		fail(job, strerror(errno));
		close(ends[0]);
		return -1;
	}
	setpgid(job->pid, job->pid);
	job->fd = ends[0];
	return job->pid;
}

static void start_alone(struct job *job, const struct probe_request *request)
{
	struct turn turn = turn_of(job->which);
	int fd;

	job->over = true;
	quick[job->which] = false;
	if (start(job, &fd) == 0)
		_exit(turn_take(&turn, request, NULL, fd, NULL));
}

static _Noreturn void take_turns(const struct job *jobs, size_t count, const struct turn *turns,
				 const struct probe_request *request, int fd)
{
	struct probe_common common = {0};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < count; i++) {
		AUTO(buf_free) struct buf said = BUF_INIT(TURN_SNAPSHOT_MAX);
		if (!quick[jobs[i].which])
			continue;
		enum turn_status status = turn_take(&turns[i], request, &common, -1, &said);
		struct heading heading = {(uint32_t)i, (uint32_t)said.len, status == TURN_QUICK};
		if (status == TURN_FAILED || said.overflow)
			continue;
		if (fd_write_all(fd, (const char *)&heading, sizeof(heading), &err) ||
		    fd_write_all(fd, said.ptr, said.len, &err))
			_exit(TURN_FAILED);
	}
	_exit(0);
}

/* Those that were quick the last time; alone it is not worth it. */
static void start_together(struct job *together, const struct job *jobs, size_t count,
			   const struct probe_request *request)
{
	struct turn turns[PROBES_MAX];
	size_t chosen = 0;
	int fd;

	*together = (struct job){.dimension = "together",
				 .time_ms = TOGETHER_MS,
				 .fd = -1,
				 .said = BUF_INIT(TURN_SNAPSHOT_MAX)};
	for (size_t i = 0; i < count; i++) {
		/* What they share is made here, where it outlives this look. */
		turns[i] = turn_of(jobs[i].which);
		chosen += quick[jobs[i].which];
	}
	if (chosen > 1 && start(together, &fd) == 0)
		take_turns(jobs, count, turns, request, fd);
}

/* What came through whole; the rest is not over. */
static void hand_out(struct job *together, struct job *jobs, size_t count)
{
	struct slice rest = buf_slice(&together->said);
	struct heading heading;

	while (rest.len >= sizeof(heading)) {
		memcpy(&heading, rest.ptr, sizeof(heading));
		rest = slice_skip(rest, sizeof(heading));
		if (heading.job >= count || heading.len > rest.len)
			break;
		struct job *job = &jobs[heading.job];
		buf_clear(&job->said);
		buf_put(&job->said, rest.ptr, heading.len);
		job->over = true;
		quick[job->which] = heading.quick;
		rest = slice_skip(rest, heading.len);
	}
	buf_free(&together->said);
}

/* --- attending ----------------------------------------------------------------------------- */

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
	} else if (WEXITSTATUS(raw) == TURN_FAILED) {
		fail(job, "looking at it failed");
	}
	job->quick = WIFEXITED(raw) && WEXITSTATUS(raw) == TURN_QUICK;
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
		struct pollfd lines[PROBES_MAX + 1];
		size_t open = 0, which[PROBES_MAX + 1];
		int64_t now = clock_mono_ms();
		for (size_t i = 0; i < count; i++) {
			if (jobs[i].fd >= 0 && now >= jobs[i].until_ms) {
				char why[96];
				snprintf(why, sizeof(why), "looking at it took longer than %lld s",
					 (long long)jobs[i].time_ms / 1000);
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
		else if (!slice_is(fact_dimension(fact.key), job->dimension))
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
		snprintf(key, sizeof(key), "%s/", job->dimension);
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
	struct job jobs[PROBES_MAX + 1] = {0}, *together;
	size_t count = 0;

	for (size_t i = 0; probes[i] && count < PROBES_MAX; i++)
		if (!which || which[i])
			jobs[count++] = (struct job){
				.which = i,
				.dimension = probes[i]->dimension,
				.time_ms = probes[i]->time_ms ? probes[i]->time_ms : PROBE_TIME_MS,
				.fd = -1,
				.said = BUF_INIT(TURN_SNAPSHOT_MAX),
			};
	together = &jobs[count];
	start_together(together, jobs, count, request);
	for (size_t i = 0; i < count; i++)
		if (!together->pid || !quick[jobs[i].which])
			start_alone(&jobs[i], request);
	int result = attend(jobs, count + 1, breathe, context, err);
	end(together);
	hand_out(together, jobs, count);
	for (size_t i = 0; i < count && result == 0; i++)
		if (!jobs[i].over)
			start_alone(&jobs[i], request);
	if (result == 0)
		result = attend(jobs, count, breathe, context, err);
	for (size_t i = 0; i < count; i++) {
		end(&jobs[i]);
		quick[jobs[i].which] |= jobs[i].quick;
		if (result == 0)
			result = pass_on(&jobs[i], out, err);
		buf_free(&jobs[i].said);
	}
	return result;
}
