/* Claims about compression. */
#include "codec/compress.h"

#include "base/arena.h"

#include "../cmocka_base.h"

#include <stdlib.h>

/* Bytes that do not compress, the same in every run (xorshift64). */
static void fill_noise(char *bytes, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		bytes[i] = (char)(seed >> 32);
	}
}

static void assert_round_trip(int level, struct slice prefix, struct slice in, size_t at_most)
{
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(32));
	AUTO(buf_free) struct buf out = BUF_INIT(in.len);
	struct err err = ERR_INIT;

	if (compress_all(level, prefix, in, &packed, &err))
		fail_msg("%s", err.text);
	if (packed.len > at_most)
		fail_msg("level %d, prefix %zu, content %zu: %zu bytes, not %zu", level, prefix.len, in.len,
			 packed.len, at_most);
	if (decompress_all(prefix, buf_slice(&packed), &out, &err))
		fail_msg("%s", err.text);
	assert_true(slice_equal(buf_slice(&out), in));
}

static void content_of_any_size_comes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 131071, 131072, 131073, 3000000};
	static const int levels[] = {1, 3, 9};
	AUTO(mem_free_ptr) char *noise = mem_alloc(3000000);
	AUTO(mem_free_ptr) char *zeros = mem_alloc(3000000);
	(void)state;
	fill_noise(noise, 3000000, 1);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t l = 0; l < ARRAY_LEN(levels); l++) {
			assert_round_trip(levels[l], (struct slice){0}, slice_make(noise, sizes[i]),
					  sizes[i] + 1000);
			assert_round_trip(levels[l], (struct slice){0}, slice_make(zeros, sizes[i]), 1000);
		}
	assert_round_trip(19, SLICE("abc"), slice_make(noise, 100000), 101000);
}

static void a_changed_file_costs_what_changed(void **state)
{
	static const size_t sizes[] = {1000, 100000, 1 << 20, 5 << 20, COMPRESS_PREFIX_MAX};
	static const int levels[] = {1, 3, 9};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t size = sizes[i];
		AUTO(mem_free_ptr) char *before = mem_alloc(size);
		AUTO(mem_free_ptr) char *after = mem_alloc(size + 10);
		fill_noise(before, size, 2);
		/* Ten bytes inserted in the first third, four changed in the last. */
		memcpy(after, before, size / 3);
		fill_noise(after + size / 3, 10, 3);
		memcpy(after + size / 3 + 10, before + size / 3, size - size / 3);
		fill_noise(after + size - size / 4, 4, 4);
		for (size_t l = 0; l < ARRAY_LEN(levels); l++)
			assert_round_trip(levels[l], slice_make(before, size), slice_make(after, size + 10),
					  200 + size / 500);
	}
}

struct pieces {
	struct buf all;
	size_t longest;
	size_t stop_after;
};

static int gather(void *context, struct slice bytes, struct err *err)
{
	struct pieces *pieces = context;

	pieces->longest = MAX(pieces->longest, bytes.len);
	buf_put_slice(&pieces->all, bytes);
	if (pieces->stop_after && pieces->all.len >= pieces->stop_after)
		return err_set(err, ERR_CONFLICT, "enough");
	return 0;
}

static void streams_flow_as_they_come(void **state)
{
	AUTO(compressor_free) struct compressor *compressor = compressor_new(3, SLICE("prefix of both"));
	AUTO(decompressor_free) struct decompressor *decompressor = decompressor_new(SLICE("prefix of both"));
	struct pieces pieces = {.all = BUF_INIT(MIB(1))};
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	bool ended = true;
	(void)state;
	for (int i = 0; i < 50; i++) {
		AUTO(buf_free) struct buf text = BUF_INIT(100);
		buf_printf(&text, "line %d of prefix of both\n", i);
		buf_clear(&packed);
		size_t before = pieces.all.len;
		assert_int_equal(compressor_feed(compressor, buf_slice(&text), &packed, &err), 0);
		assert_int_equal(compressor_flush(compressor, &packed, &err), 0);
		/* Byte by byte: no cut matters. What was flushed is all there. */
		for (size_t at = 0; at < packed.len; at++)
			assert_int_equal(decompressor_feed(decompressor, slice_make(packed.ptr + at, 1),
							   gather, &pieces, &ended, &err),
					 0);
		assert_false(ended);
		assert_true(slice_equal(slice_skip(buf_slice(&pieces.all), before), buf_slice(&text)));
	}
	buf_clear(&packed);
	assert_int_equal(compressor_end(compressor, &packed, &err), 0);
	assert_int_equal(decompressor_feed(decompressor, buf_slice(&packed), gather, &pieces, &ended, &err),
			 0);
	assert_true(ended);
	assert_int_equal(decompressor_feed(decompressor, SLICE(""), gather, &pieces, &ended, &err), 0);
	assert_int_equal(decompressor_feed(decompressor, SLICE("x"), gather, &pieces, &ended, &err), -1);
	assert_string_equal(err.text, "compressed data: bytes after the end");
	buf_free(&pieces.all);
}

static void pieces_are_small_and_the_sink_may_stop(void **state)
{
	AUTO(mem_free_ptr) char *zeros = mem_alloc(4 << 20);
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	bool ended;
	(void)state;
	assert_int_equal(compress_all(3, (struct slice){0}, slice_make(zeros, 4 << 20), &packed, &err), 0);
	for (int stop = 0; stop < 2; stop++) {
		AUTO(decompressor_free)
		struct decompressor *decompressor = decompressor_new((struct slice){0});
		struct pieces pieces = {.all = BUF_INIT(MIB(8)), .stop_after = stop ? 200000 : 0};
		int result =
			decompressor_feed(decompressor, buf_slice(&packed), gather, &pieces, &ended, &err);
		assert_int_equal(result, stop ? -1 : 0);
		assert_true(pieces.longest <= 128 << 10);
		if (stop)
			assert_string_equal(err.text, "enough");
		else
			assert_int_equal(pieces.all.len, 4 << 20);
		buf_free(&pieces.all);
	}
}

static void a_bomb_is_stopped_at_the_limit(void **state)
{
	AUTO(mem_free_ptr) char *zeros = mem_alloc(4 << 20);
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(1));
	AUTO(buf_free) struct buf out = BUF_INIT(KIB(300));
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(compress_all(3, (struct slice){0}, slice_make(zeros, 4 << 20), &packed, &err), 0);
	assert_int_equal(decompress_all((struct slice){0}, buf_slice(&packed), &out, &err), -1);
	assert_string_equal(err.text, "compressed data hold more than 307200 bytes");
	assert_true(out.cap <= MIB(1));
}

static void damaged_data_are_refused(void **state)
{
	/* A frame whose header asks for a window of 128 MB (RFC 8878 section 3.1.1.1.2). */
	static const unsigned char wide[] = {0x28, 0xB5, 0x2F, 0xFD, 0x00, 17 << 3, 0x01, 0x00, 0x00};
	static const unsigned char skippable[] = {0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 'x'};
	static const struct {
		struct slice in;
		const char *text;
	} cases[] = {
		{{NULL, 0}, "compressed data end too early"},
		{{(const char *)wide, 4}, "compressed data end too early"},
		{{(const char *)wide, sizeof(wide)},
		 "compressed data are damaged: Frame requires too much memory"},
		{{(const char *)skippable, sizeof(skippable)},
		 "compressed data are damaged: not a zstd frame"},
		{{"\x27\xB5\x2F\xFD", 4}, "compressed data are damaged: not a zstd frame"},
		{{"hello", 5}, "compressed data are damaged: not a zstd frame"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(1000);
		struct err err = ERR_INIT;
		assert_int_equal(decompress_all((struct slice){0}, cases[i].in, &out, &err), -1);
		assert_true(slice_starts_with(slice_of(err.text), cases[i].text));
		assert_int_equal(err.code, ERR_USER);
	}
}

static void every_cut_is_noticed(void **state)
{
	AUTO(buf_free) struct buf packed = BUF_INIT(1000);
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(compress_all(3, (struct slice){0}, SLICE("some text, some more text, some text"),
				      &packed, &err),
			 0);
	for (size_t cut = 0; cut < packed.len; cut++) {
		AUTO(buf_free) struct buf out = BUF_INIT(1000);
		assert_int_equal(decompress_all((struct slice){0}, slice_make(packed.ptr, cut), &out, &err),
				 -1);
	}
	AUTO(buf_free) struct buf out = BUF_INIT(1000);
	buf_putc(&packed, '\0');
	assert_int_equal(decompress_all((struct slice){0}, buf_slice(&packed), &out, &err), -1);
}

static void a_full_output_is_an_error_and_an_exact_one_is_not(void **state)
{
	AUTO(mem_free_ptr) char *noise = mem_alloc(300000);
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	(void)state;
	fill_noise(noise, 300000, 5);
	assert_int_equal(compress_all(1, (struct slice){0}, slice_make(noise, 300000), &packed, &err), 0);
	AUTO(buf_free) struct buf exact = BUF_INIT(packed.len);
	AUTO(buf_free) struct buf small = BUF_INIT(packed.len - 1);
	assert_int_equal(compress_all(1, (struct slice){0}, slice_make(noise, 300000), &exact, &err), 0);
	assert_true(slice_equal(buf_slice(&exact), buf_slice(&packed)));
	assert_int_equal(compress_all(1, (struct slice){0}, slice_make(noise, 300000), &small, &err), -1);
	assert_non_null(strstr(err.text, "larger than the limit"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_of_any_size_comes_back),
		cmocka_unit_test(a_changed_file_costs_what_changed),
		cmocka_unit_test(streams_flow_as_they_come),
		cmocka_unit_test(pieces_are_small_and_the_sink_may_stop),
		cmocka_unit_test(a_bomb_is_stopped_at_the_limit),
		cmocka_unit_test(damaged_data_are_refused),
		cmocka_unit_test(every_cut_is_noticed),
		cmocka_unit_test(a_full_output_is_an_error_and_an_exact_one_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
