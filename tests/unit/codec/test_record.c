/* Claims about record lines. */
#include "codec/record.h"

#include "../cmocka_base.h"

static void what_is_written_is_read(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	struct err err = ERR_INIT;
	struct record record;
	char all[256];
	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	record_begin(&line, "activated");
	record_put_str(&line, "name", "000042-3fa9c1d20b7e");
	record_put_str(&line, "text", "two words, 100%\n");
	record_put_str(&line, "empty", "");
	record_put_opt(&line, "left-out", "");
	record_put_opt(&line, "left-out", NULL);
	record_put(&line, "bytes", slice_make(all, sizeof(all)));
	record_put_u64(&line, "most", UINT64_MAX);
	record_put_i64(&line, "least", INT64_MIN);
	record_seal(&line, 0);
	assert_int_equal(line.ptr[line.len - 1], '\n');
	/* Nothing in it can break a line or be mistaken for a space. */
	assert_int_equal(slice_find(buf_slice(&line), '\n'), line.len - 1);

	if (record_parse_sealed(&arena, slice_make(line.ptr, line.len - 1), &record, &err))
		fail_msg("%s", err.text);
	assert_true(slice_is(record.kind, "activated"));
	assert_int_equal(record.field_count, 6);
	assert_true(slice_is(record_get(&record, "text"), "two words, 100%\n"));
	assert_non_null(record_get(&record, "empty").ptr);
	assert_int_equal(record_get(&record, "empty").len, 0);
	assert_null(record_get(&record, "left-out").ptr);
	assert_true(slice_equal(record_get(&record, "bytes"), slice_make(all, sizeof(all))));
	assert_true(record_get_u64(&record, "most", 7) == UINT64_MAX);
	assert_true(record_get_i64(&record, "least", 7) == INT64_MIN);
	assert_string_equal(record_get_str(&arena, &record, "name"), "000042-3fa9c1d20b7e");
	assert_string_equal(record_get_str(&arena, &record, "none"), "");
}

static void it_reads_as_the_documentation_shows(void **state)
{
	AUTO(buf_free) struct buf line = BUF_INIT(1000);
	(void)state;
	record_begin(&line, "activated");
	record_put_str(&line, "by", "ada lovelace");
	record_put_str(&line, "subject", "caf\xC3\xA9 100%");
	record_put_u64(&line, "number", 42);
	assert_string_equal(buf_str(&line), "activated by=ada%20lovelace subject=caf\xC3\xA9%20"
					    "100%25 number=42");
}

static void the_crc_is_castagnoli(void **state)
{
	AUTO(buf_free) struct buf line = BUF_INIT(1000);
	(void)state;
	/* The check value of the CRC catalogues; the digits are a word by the grammar. */
	record_begin(&line, "123456789");
	record_seal(&line, 0);
	assert_string_equal(buf_str(&line), "123456789 crc=e3069283\n");
}

static void every_torn_or_edited_line_is_noticed(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf line = BUF_INIT(1000);
	struct err err = ERR_INIT;
	struct record record;
	(void)state;
	record_begin(&line, "live");
	record_put_str(&line, "name", "000042-3fa9c1d20b7e");
	record_seal(&line, 0);
	size_t len = line.len - 1;
	assert_int_equal(record_parse_sealed(&arena, slice_make(line.ptr, len), &record, &err), 0);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(record_parse_sealed(&arena, slice_make(line.ptr, cut), &record, &err), -1);
	for (size_t bit = 0; bit < len * 8; bit++) {
		line.ptr[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(record_parse_sealed(&arena, slice_make(line.ptr, len), &record, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		line.ptr[bit / 8] ^= (char)(1 << bit % 8);
	}
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"Kind",
		"kind ",
		" kind a=b",
		"kind a",
		"kind a=b ",
		"kind  a=b",
		"kind =b",
		"kind A=b",
		"kind a=%",
		"kind a=%4",
		"kind a=%zz",
		"kind a=b\tc",
		"kind\ta=b",
		"kind a=b\n",
		"kind a=\x7f",
		"k\xC3\xA9 a=b",
		"kind a b=c",
		"kind-with-a-name-of-more-than-forty-characters a=b",
		"kind key-with-a-name-of-more-than-forty-characters=b",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct record record;
		struct err err = ERR_INIT;
		if (record_parse(&arena, slice_of(cases[i]), &record, &err) == 0)
			fail_msg("case %zu: \"%s\"", i, cases[i]);
		assert_int_equal(err.code, ERR_USER);
		assert_true(err.text[0] != '\0');
	}
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	assert_int_equal(record_parse(&arena, SLICE("kind a=b\0c"), &record, &err), -1);
}

static void limits_hold(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf line = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	struct record record;
	(void)state;
	record_begin(&line, "many");
	for (int i = 0; i < RECORD_FIELDS_MAX; i++)
		record_put_u64(&line, "n", (uint64_t)i);
	assert_int_equal(record_parse(&arena, buf_slice(&line), &record, &err), 0);
	assert_int_equal(record.field_count, RECORD_FIELDS_MAX);
	record_put_u64(&line, "n", 0);
	assert_int_equal(record_parse(&arena, buf_slice(&line), &record, &err), -1);
	assert_string_equal(err.text, "record many: more than 512 fields");

	buf_clear(&line);
	record_begin(&line, "long");
	buf_puts(&line, " v=");
	while (line.len < RECORD_LEN_MAX)
		buf_putc(&line, 'x');
	assert_int_equal(record_parse(&arena, buf_slice(&line), &record, &err), 0);
	buf_putc(&line, 'x');
	assert_int_equal(record_parse(&arena, buf_slice(&line), &record, &err), -1);
}

static void repeated_keys_come_in_order(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct record record;
	size_t cursor = 0;
	struct slice value;
	(void)state;
	assert_int_equal(record_parse(&arena, SLICE("have o=1 other=x o=2 o=3"), &record, &err), 0);
	for (const char *wanted = "123"; *wanted; wanted++) {
		assert_true(record_next(&record, "o", &cursor, &value));
		assert_int_equal(value.len, 1);
		assert_int_equal(value.ptr[0], *wanted);
	}
	assert_false(record_next(&record, "o", &cursor, &value));
	assert_true(slice_is(record_get(&record, "o"), "1"));
}

static void what_is_needed_is_named(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct record record;
	struct slice text;
	uint64_t number;
	(void)state;
	assert_int_equal(record_parse(&arena, SLICE("begin number=x2"), &record, &err), 0);
	assert_int_equal(record_need(&record, "epoch", &text, &err), -1);
	assert_string_equal(err.text, "record begin lacks epoch");
	assert_int_equal(record_need_u64(&record, "number", &number, &err), -1);
	assert_string_equal(err.text, "record begin: number is not a number");
	assert_int_equal(record_get_u64(&record, "number", 5), 5);
}

static void sealing_covers_the_record_it_starts_at(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf lines = BUF_INIT(1000);
	struct err err = ERR_INIT;
	int count = 0;
	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t start = lines.len;
		record_begin(&lines, "event");
		record_put_i64(&lines, "n", i);
		record_seal(&lines, start);
	}
	struct slice rest = buf_slice(&lines);
	while (rest.len) {
		struct record record;
		assert_int_equal(record_parse_sealed(&arena, slice_cut(&rest, '\n'), &record, &err), 0);
		assert_int_equal(record_get_i64(&record, "n", -1), count++);
	}
	assert_int_equal(count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(it_reads_as_the_documentation_shows),
		cmocka_unit_test(the_crc_is_castagnoli),
		cmocka_unit_test(every_torn_or_edited_line_is_noticed),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(repeated_keys_come_in_order),
		cmocka_unit_test(what_is_needed_is_named),
		cmocka_unit_test(sealing_covers_the_record_it_starts_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
