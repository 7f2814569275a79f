/* Claims about probes that were quick: asked again they share a process, and nobody can tell from
 * what they say. The table of probes is this file's own. */
#include "probe/internal.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void say_process(struct probe_sink *sink, const char *key)
{
	probe_number(sink, slice_of(key), getpid(), NULL);
}

static int first(struct probe_sink *sink, struct err *err)
{
	(void)err;
	say_process(sink, "first/process");
	return 0;
}

static int second(struct probe_sink *sink, struct err *err)
{
	(void)err;
	say_process(sink, "second/process");
	return 0;
}

static int asks(struct probe_sink *sink, struct err *err)
{
	static const char *const argv[] = {"/bin/true", NULL};
	const char *why;

	(void)err;
	probe_command(sink, argv, 5000, 100, &why);
	say_process(sink, "asks/process");
	return 0;
}

static int dies(struct probe_sink *sink, struct err *err)
{
	(void)err;
	if (sink->common)
		raise(SIGKILL);
	say_process(sink, "dies/process");
	return 0;
}

static int hangs(struct probe_sink *sink, struct err *err)
{
	(void)err;
	while (sink->common)
		pause();
	say_process(sink, "hangs/process");
	return 0;
}

static int refuses(struct probe_sink *sink, struct err *err)
{
	probe_str(sink, SLICE("refuses/a"), "said before");
	return err_set(err, ERR_DENIED, "/etc/x: Permission denied");
}

#define PROBE(name) static const struct probe probe_##name = {.dimension = #name, .text = #name, .run = name}
PROBE(asks);
PROBE(dies);
PROBE(first);
PROBE(hangs);
PROBE(refuses);
PROBE(second);
enum { ASKS, DIES, FIRST, HANGS, REFUSES, SECOND, COUNT };
const struct probe *const probes[] = {&probe_asks,    &probe_dies,   &probe_first, &probe_hangs,
				      &probe_refuses, &probe_second, NULL};

const struct probe *probe_find(struct slice dimension)
{
	(void)dimension;
	return NULL;
}

static int take(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	buf_put_slice(context, bytes);
	return 0;
}

/* What each process was; 0: its probe told of none. */
struct seen {
	int64_t process[COUNT];
	char refusal[64];
};

static struct seen look(const bool *which)
{
	AUTO(buf_free) struct buf snapshot = BUF_INIT(MIB(1));
	struct probe_request request = {.place = "/nonexistent", .place_fd = -1, .live_fd = -1};
	struct fact_writer writer;
	struct seen seen = {0};
	struct err err = ERR_INIT;
	struct fact fact;
	int got;

	fact_writer_init(&writer, take, &snapshot);
	assert_int_equal(probe_all(&request, which, &writer, NULL, NULL, &err), 0);
	assert_int_equal(fact_writer_end(&writer, &err), 0);
	fact_writer_free(&writer);
	struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&snapshot));
	while ((got = fact_next(reader, &fact, &err)) > 0)
		for (size_t i = 0; i < COUNT; i++)
			if (!slice_is(fact_dimension(fact.key), probes[i]->dimension))
				continue;
			else if (fact.kind == FACT_NOT_CHECKED)
				snprintf(seen.refusal, sizeof(seen.refusal), "%.*s %.*s", SLICE_ARG(fact.key),
					 SLICE_ARG(fact.value));
			else
				assert_true(slice_to_i64(fact.value, &seen.process[i]));
	assert_int_equal(got, 0);
	fact_reader_free(&reader);
	return seen;
}

static void quick_ones_share_a_process_when_asked_again(void **state)
{
	const bool which[COUNT] = {[ASKS] = true, [FIRST] = true, [REFUSES] = true, [SECOND] = true};

	(void)state;
	struct seen seen = look(which);
	assert_int_not_equal(seen.process[FIRST], seen.process[SECOND]);
	assert_string_equal(seen.refusal, "refuses/ /etc/x: Permission denied");
	for (int i = 0; i < 3; i++) {
		seen = look(which);
		assert_int_not_equal(seen.process[FIRST], 0);
		assert_int_equal(seen.process[FIRST], seen.process[SECOND]);
		assert_string_equal(seen.refusal, "refuses/ /etc/x: Permission denied");
		/* Whoever starts programs may wait for them: nobody waits with it. */
		assert_int_not_equal(seen.process[ASKS], 0);
		assert_int_not_equal(seen.process[ASKS], seen.process[FIRST]);
	}
}

static void what_one_does_to_their_process_costs_no_other(void **state)
{
	static const int bad[] = {DIES, HANGS};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		bool which[COUNT] = {[FIRST] = true, [SECOND] = true};
		which[bad[i]] = true;
		look(which);
		for (int again = 0; again < 2; again++) {
			struct seen seen = look(which);
			assert_int_not_equal(seen.process[FIRST], 0);
			assert_int_not_equal(seen.process[SECOND], 0);
			assert_int_not_equal(seen.process[bad[i]], 0);
			assert_string_equal(seen.refusal, "");
			if (bad[i] == HANGS)
				break; /* once is seconds enough */
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quick_ones_share_a_process_when_asked_again),
		cmocka_unit_test(what_one_does_to_their_process_costs_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
