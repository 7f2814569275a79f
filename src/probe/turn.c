#include "probe/turn.h"

#include "base/clock.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CORE_BYTES = 0, INPUTS_MAX = 2 << 20, QUICK_US = 20000, QUICK_WALL_MS = 500 };

struct answer {
	int fd;		  /* -1: none */
	struct buf *copy; /* NULL: none is kept */
};

void turn_settle(void)
{
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (none >= 0) {
		dup2(none, STDIN_FILENO);
		dup2(none, STDOUT_FILENO);
	}
	setrlimit(RLIMIT_CORE, &(struct rlimit){CORE_BYTES, CORE_BYTES});
}

static int write_answer(void *context, struct slice bytes, struct err *err)
{
	const struct answer *answer = context;

	if (answer->copy)
		buf_put_slice(answer->copy, bytes);
	return answer->fd < 0 ? 0 : fd_write_all(answer->fd, bytes.ptr, bytes.len, err);
}

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

/* Of this process alone: others on the machine do not make a probe slow. */
static int64_t processor_us(void)
{
	struct timespec used = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

enum turn_status turn_take(const struct turn *turn, const struct probe_request *request,
			   struct probe_common *common, int fd, struct buf *copy)
{
	AUTO(buf_free) struct buf inputs = BUF_INIT(INPUTS_MAX), own = BUF_INIT(TURN_SNAPSHOT_MAX);
	struct answer answer = {fd, copy ? copy : turn->look ? &own : NULL};
	struct probe_sink sink = {.request = request,
				  .facts = FACT_LIST_INIT(PROBE_FACTS_BYTES_MAX),
				  .memory = turn->memory,
				  .inputs = turn->look ? &inputs : NULL,
				  .common = common};
	int64_t began_us = processor_us(), began_ms = clock_mono_ms();
	struct slice kept;
	struct err err = ERR_INIT;

	if (look_same(turn->look, request, &kept))
		return write_answer(&answer, kept, &err) ? TURN_FAILED : TURN_QUICK;
	if (run_and_tell(turn->probe, &sink, &answer, &err))
		return TURN_FAILED;
	if (turn->look && !answer.copy->overflow)
		look_keep(turn->look, &sink, buf_slice(answer.copy));
	/* One that waits (for a file server, say) would keep all others waiting. */
	bool slow = processor_us() - began_us > QUICK_US || clock_mono_ms() - began_ms > QUICK_WALL_MS;
	return sink.programs || slow ? TURN_SLOW : TURN_QUICK;
}
