/* Claims about frames. */
#include "codec/frame.h"

#include "../cmocka_base.h"

static void frames_come_out_however_they_were_cut(void **state)
{
	static char large[FRAME_PAYLOAD_MAX];
	AUTO(buf_free) struct buf stream = BUF_INIT(MIB(2));
	(void)state;
	memset(large, 'L', sizeof(large));
	frame_put(&stream, 1, SLICE("one"));
	frame_put(&stream, 2, SLICE(""));
	frame_put(&stream, 255, slice_make(large, sizeof(large)));
	frame_put(&stream, 3, SLICE("last"));
	static const size_t steps[] = {1, 2, 5, 6, 7, 4096, 65536, FRAME_PAYLOAD_MAX + 100};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		static const uint8_t types[] = {1, 2, 255, 3};
		static const size_t lengths[] = {3, 0, FRAME_PAYLOAD_MAX, 4};
		AUTO(frame_decoder_free) struct frame_decoder decoder;
		struct slice rest = buf_slice(&stream);
		struct err err = ERR_INIT;
		size_t seen = 0;
		frame_decoder_init(&decoder);
		while (rest.len) {
			size_t step = MIN(steps[i], rest.len);
			struct frame frame;
			int got;
			assert_int_equal(frame_decoder_feed(&decoder, slice_make(rest.ptr, step), &err), 0);
			rest = slice_skip(rest, step);
			while ((got = frame_decoder_next(&decoder, &frame, &err)) == 1) {
				assert_true(seen < ARRAY_LEN(types));
				assert_int_equal(frame.type, types[seen]);
				assert_int_equal(frame.payload.len, lengths[seen]);
				if (seen == 2)
					assert_memory_equal(frame.payload.ptr, large, sizeof(large));
				if (seen == 3)
					assert_true(slice_is(frame.payload, "last"));
				seen++;
			}
			assert_int_equal(got, 0);
		}
		assert_int_equal(seen, ARRAY_LEN(types));
	}
}

static void what_is_no_frame_is_refused_before_it_is_stored(void **state)
{
	AUTO(frame_decoder_free) struct frame_decoder decoder;
	struct err err = ERR_INIT;
	struct frame frame;
	(void)state;
	frame_decoder_init(&decoder);
	assert_int_equal(frame_decoder_feed(&decoder, SLICE("Welcome to web1!\n"), &err), 0);
	assert_int_equal(frame_decoder_next(&decoder, &frame, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.text, "not our protocol"));
	/* And again: there is no way back into step. */
	assert_int_equal(frame_decoder_next(&decoder, &frame, &err), -1);
}

static void one_byte_over_the_limit_is_too_long(void **state)
{
	static const uint8_t exact[] = {0, 0, 4, 0, 9}, over[] = {1, 0, 4, 0, 9};
	struct err err = ERR_INIT;
	struct frame frame;
	(void)state;
	AUTO(frame_decoder_free) struct frame_decoder a, b;
	frame_decoder_init(&a);
	frame_decoder_init(&b);
	assert_int_equal(frame_decoder_feed(&a, slice_make(exact, sizeof(exact)), &err), 0);
	assert_int_equal(frame_decoder_next(&a, &frame, &err), 0);
	assert_int_equal(frame_decoder_feed(&b, slice_make(over, sizeof(over)), &err), 0);
	assert_int_equal(frame_decoder_next(&b, &frame, &err), -1);
}

static void an_undrained_decoder_does_not_grow_without_end(void **state)
{
	static char piece[64 << 10];
	AUTO(frame_decoder_free) struct frame_decoder decoder;
	struct err err = ERR_INIT;
	int result = 0;
	(void)state;
	frame_decoder_init(&decoder);
	for (int i = 0; i < 100 && result == 0; i++)
		result = frame_decoder_feed(&decoder, slice_make(piece, sizeof(piece)), &err);
	assert_int_equal(result, -1);
	assert_true(decoder.pending.cap <= MIB(2));
}

static void a_frame_is_put_whole_or_not_at_all(void **state)
{
	AUTO(buf_free) struct buf out = BUF_INIT(12);
	struct err err = ERR_INIT;
	(void)state;
	frame_put(&out, 1, SLICE("ab"));
	assert_int_equal(out.len, 7);
	frame_put(&out, 2, SLICE("x"));
	assert_int_equal(out.len, 7);
	assert_int_equal(buf_check(&out, "the answer", &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_however_they_were_cut),
		cmocka_unit_test(what_is_no_frame_is_refused_before_it_is_stored),
		cmocka_unit_test(one_byte_over_the_limit_is_too_long),
		cmocka_unit_test(an_undrained_decoder_does_not_grow_without_end),
		cmocka_unit_test(a_frame_is_put_whole_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
