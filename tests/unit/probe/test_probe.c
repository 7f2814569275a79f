/* Claims about running probes: what goes wrong with one costs that one alone, and nothing it
 * started is left. The table of probes is this file's own. */
#include "probe/probe.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char pid_file[] = "/tmp/lockstep-probe-XXXXXX";

static int crash(struct probe_sink *sink, struct err *err)
{
	(void)err;
	probe_str(sink, SLICE("crash/a"), "said before");
	raise(SIGKILL);
	return 0;
}

static int closed(struct probe_sink *sink, struct err *err)
{
	probe_str(sink, SLICE("closed/a"), "said before");
	return err_set(err, ERR_DENIED, "/etc/x: Permission denied");
}

static int elsewhere(struct probe_sink *sink, struct err *err)
{
	(void)err;
	probe_str(sink, SLICE("good/b"), "forged");
	return 0;
}

static int good(struct probe_sink *sink, struct err *err)
{
	static const struct slice words[] = {{"b", 1}, {"a", 1}, {"b", 1}};

	(void)err;
	probe_words(sink, SLICE("good/words"), words, 3);
	probe_number(sink, SLICE("good/number"), -3, "MB");
	probe_secret(sink, SLICE("good/secret/value"), SLICE("s3cret-and-long-enough"));
	probe_secret(sink, SLICE("good/short/value"), SLICE("1234"));
	probe_skip(sink, SLICE("good/skipped/"), "%s", "why");
	return 0;
}

/* A program that leaves another behind, and hangs. */
static int hang(struct probe_sink *sink, struct err *err)
{
	const char *script = arena_printf(&sink->arena, "sleep 1000 & echo $! > %s; sleep 1000", pid_file);
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	const char *why;

	(void)!err_set(err, ERR_INTERNAL, "%s", "unused");
	return probe_command(sink, argv, 600000, 100, &why).ptr ? 0 : -1;
}

static int huge(struct probe_sink *sink, struct err *err)
{
	static char text[FACT_VALUE_MAX];

	(void)err;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 1000; i++)
		probe_text(sink, probe_key(sink, "huge/%d", i), slice_make(text, sizeof(text)));
	return 0;
}

static int slow_program(struct probe_sink *sink, struct err *err)
{
	static const char *const slow[] = {"/bin/sleep", "1000", NULL}, *const loud[] = {"/bin/cat", "/dev/zero", NULL},
				 *const none[] = {"lockstep-no-such-program", NULL},
				 *const bad[] = {"/bin/sh", "-c", "exit 3", NULL};
	const char *why;

	(void)err;
	if (!probe_command(sink, slow, 200, 100, &why).ptr)
		probe_skip(sink, SLICE("slow/program"), "%s", why);
	if (!probe_command(sink, loud, 5000, 100, &why).ptr)
		probe_skip(sink, SLICE("slow/loud"), "%s", why);
	if (!probe_command(sink, none, 200, 100, &why).ptr)
		probe_skip(sink, SLICE("slow/none"), "%s", why);
	if (!probe_command(sink, bad, 5000, 100, &why).ptr)
		probe_skip(sink, SLICE("slow/bad"), "%s", why);
	if (!probe_file(sink, "/dev/null", 100, &why).ptr)
		probe_skip(sink, SLICE("slow/device"), "%s", why);
	probe_str(sink, SLICE("slow/rest"), "looked at");
	return 0;
}

#define PROBE(name) static const struct probe probe_##name = {.dimension = #name, .text = #name, .run = name}
PROBE(crash);
PROBE(elsewhere);
PROBE(closed);
PROBE(good);
PROBE(huge);
static const struct probe probe_hang = {.dimension = "hang", .text = "hang", .time_ms = 1000, .run = hang};
static const struct probe probe_slow = {.dimension = "slow", .text = "slow", .run = slow_program};
const struct probe *const probes[] = {&probe_closed, &probe_crash, &probe_elsewhere, &probe_good,
				      &probe_hang,  &probe_huge,      &probe_slow, NULL};

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

/* "KEY KIND VALUE" a line. */
static void look(const bool *which, struct buf *out)
{
	AUTO(buf_free) struct buf snapshot = BUF_INIT(MIB(32));
	struct probe_request request = {.place = "/nonexistent", .place_fd = -1, .live_fd = -1, .run_key = {1}};
	struct fact_writer writer;
	struct err err = ERR_INIT;
	struct fact fact;
	int got;

	fact_writer_init(&writer, take, &snapshot);
	assert_int_equal(probe_all(&request, which, &writer, NULL, NULL, &err), 0);
	assert_int_equal(fact_writer_end(&writer, &err), 0);
	fact_writer_free(&writer);
	struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&snapshot));
	while ((got = fact_next(reader, &fact, &err)) > 0) {
		buf_printf(out, "%.*s %s%s ", SLICE_ARG(fact.key), fact.weak ? "weak " : "",
			   fact_kind_name(fact.kind));
		fact_put_value(out, &fact);
		buf_putc(out, '\n');
	}
	assert_int_equal(got, 0);
	fact_reader_free(&reader);
}

static bool is_alive(pid_t pid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	size_t got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	return got && !strstr(text, ") Z ");
}

static void what_goes_wrong_with_one_costs_it_alone(void **state)
{
	AUTO(buf_free) struct buf out = BUF_INIT(MIB(1));
	int64_t began_ms = clock_mono_ms();

	(void)state;
	look(NULL, &out);
	assert_string_equal(buf_str(&out),
			    "closed/ not_checked /etc/x: Permission denied\n"
			    "crash/ not_checked looking at it was ended by signal 9\n"
			    "elsewhere/ not_checked what was seen of it belongs elsewhere\n"
			    "good/number number -3 MB\n"
			    "good/secret/value hmac present\n"
			    "good/short/value weak hmac present\n"
			    "good/skipped/ not_checked why\n"
			    "good/words set a, b\n"
			    "hang/ not_checked looking at it took longer than 1 s\n"
			    "huge/ not_checked more facts than fit into 24 MB\n"
			    "slow/bad not_checked /bin/sh ended with status 3\n"
			    "slow/device not_checked it is no file\n"
			    "slow/loud not_checked /bin/cat wrote more than 100 bytes\n"
			    "slow/none not_checked there is no lockstep-no-such-program\n"
			    "slow/program not_checked /bin/sleep took longer than 0.2 s and was stopped\n"
			    "slow/rest text looked at\n");
	/* Side by side: not the sum of what each waited for. */
	assert_true(clock_mono_ms() - began_ms < 15000);
}

static void what_a_hanging_probe_started_is_ended(void **state)
{
	AUTO(buf_free) struct buf out = BUF_INIT(MIB(1));
	bool which[ARRAY_LEN(probes)] = {false};
	int pid = 0;

	(void)state;
	which[4] = true;
	look(which, &out);
	assert_string_equal(buf_str(&out), "hang/ not_checked looking at it took longer than 1 s\n");
	FILE *file = fopen(pid_file, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	assert_true(pid > 1);
	/* The signal was sent before we were answered; it takes effect when the kernel gets to it. */
	for (int64_t until_ms = clock_mono_ms() + 5000; is_alive(pid) && clock_mono_ms() < until_ms;)
		usleep(1000);
	assert_false(is_alive(pid));
}

static int breathe_three_times(void *context, struct err *err)
{
	return ++*(int *)context < 3 ? 0 : err_set(err, ERR_NETWORK, "the controller is gone");
}

static void all_of_it_ends_when_nobody_listens_any_more(void **state)
{
	AUTO(buf_free) struct buf snapshot = BUF_INIT(MIB(1));
	struct probe_request request = {.place = "/nonexistent", .place_fd = -1, .live_fd = -1};
	bool which[ARRAY_LEN(probes)] = {false};
	struct fact_writer writer;
	struct err err = ERR_INIT;
	int breaths = 0;
	int64_t began_ms = clock_mono_ms();

	(void)state;
	which[4] = true;
	fact_writer_init(&writer, take, &snapshot);
	assert_int_equal(probe_all(&request, which, &writer, breathe_three_times, &breaths, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_true(clock_mono_ms() - began_ms < 900);
	fact_writer_free(&writer);
}

static int remove_pid_file(void **state)
{
	(void)state;
	return unlink(pid_file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_wrong_with_one_costs_it_alone),
		cmocka_unit_test(what_a_hanging_probe_started_is_ended),
		cmocka_unit_test(all_of_it_ends_when_nobody_listens_any_more),
	};
	int fd = mkstemp(pid_file);
	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, remove_pid_file);
}
