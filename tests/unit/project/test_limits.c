/* Large and hostile files: quick, and small in memory. */
#include "support.h"

#include "base/clock.h"
#include "project/project.h"

static int parse(struct arena *arena, struct buf *text, struct diags **diags_out, struct err *err)
{
	struct project *project = NULL;
	struct diags *diags = ARENA_NEW(arena, struct diags);
	*diags = DIAGS_INIT(arena);
	*diags_out = diags;
	return project_parse(arena, "lockstep.yml", buf_slice(text), &project, diags, err);
}

static void twenty_thousand_values_are_read_in_no_time(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	struct diags *diags;
	struct err err = ERR_INIT;
	buf_puts(&text, "version: 1\nproject: p\nenvironments:\n");
	for (size_t e = 0; e < 2; e++) {
		buf_printf(&text, "  e%zu:\n    servers: [\"h:/%zu\"]\n    values:\n", e, e);
		for (size_t i = 0; i < CONFIG_SET_MAX; i++)
			buf_printf(&text, "      KEY_%zu: value %zu\n", i, i);
	}
	int64_t start = clock_mono_ms();
	if (parse(&arena, &text, &diags, &err))
		fail_msg("%s", err.text);
	assert_true(clock_mono_ms() - start < 1000);
	print_message("# %lld ms, %zu KiB\n", (long long)(clock_mono_ms() - start), arena.used >> 10);
	assert_true(arena.used < MIB(64));
}

static void twenty_thousand_unknown_keys_too(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	struct diags *diags;
	struct err err = ERR_INIT;
	for (size_t i = 0; i < 20000; i++)
		buf_printf(&text, "unknown_key_with_a_rather_long_name_%zu: 1\n", i);
	int64_t start = clock_mono_ms();
	assert_int_equal(parse(&arena, &text, &diags, &err), -1);
	print_message("# %lld ms, %zu KiB\n", (long long)(clock_mono_ms() - start), arena.used >> 10);
	assert_true(clock_mono_ms() - start < 1000);
	assert_int_equal(diags->count, DIAGS_MAX);
	assert_true(diags->errors >= 20000);
	assert_true(arena.used < MIB(64));
}

static void an_alias_bomb_is_refused_at_once(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));
	struct diags *diags;
	struct err err = ERR_INIT;
	read_source("bad/alias-bomb.yml", &text);
	int64_t start = clock_mono_ms();
	assert_int_equal(parse(&arena, &text, &diags, &err), -1);
	assert_true(clock_mono_ms() - start < 200);
	assert_true(arena.used < MIB(1));
}

static void merging_again_and_again_is_bounded(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	struct diags *diags;
	struct err err = ERR_INIT;
	buf_puts(&text, "a0: &a0 {");
	for (size_t i = 0; i < 2000; i++)
		buf_printf(&text, "k%zu: 1, ", i);
	buf_puts(&text, "}\n");
	for (size_t i = 1; i < 2000; i++)
		buf_printf(&text, "a%zu: &a%zu {<<: *a%zu}\n", i, i, i - 1);
	int64_t start = clock_mono_ms();
	assert_int_equal(parse(&arena, &text, &diags, &err), -1);
	print_message("# %lld ms, %zu KiB\n", (long long)(clock_mono_ms() - start), arena.used >> 10);
	assert_true(clock_mono_ms() - start < 2000);
	assert_true(arena.used < MIB(128));
}

static void depth_is_bounded(void **state)
{
	static const char *const opening[] = {"[", "{a: ", "- "};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(opening); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
		struct diags *diags;
		struct err err = ERR_INIT;
		for (size_t j = 0; j < 100000; j++)
			buf_puts(&text, opening[i]);
		int64_t start = clock_mono_ms();
		assert_int_equal(parse(&arena, &text, &diags, &err), -1);
		assert_int_equal(diags->errors, 1);
		assert_true(clock_mono_ms() - start < 2000);
		assert_true(arena.used < MIB(16));
	}
}

static void a_file_too_large_is_refused(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(5));
	struct diags *diags;
	struct err err = ERR_INIT;
	memset(buf_reserve(&text, MIB(5)), '#', MIB(5));
	text.len = MIB(5);
	assert_int_equal(parse(&arena, &text, &diags, &err), -1);
	assert_non_null(strstr(err.text, "larger than 4194304 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twenty_thousand_values_are_read_in_no_time),
		cmocka_unit_test(twenty_thousand_unknown_keys_too),
		cmocka_unit_test(an_alias_bomb_is_refused_at_once),
		cmocka_unit_test(merging_again_and_again_is_bounded),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(a_file_too_large_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
