/* Claims about memory that is overwritten: a block is freed, and the next one of its
 * size, which the allocator takes from the same place, holds nothing of it. */
#include "base/wipe.h"

#include "base/buf.h"

#include "../cmocka_base.h"

#include <stdlib.h>
#include <string.h>

static void bytes_are_zeroed(void **state)
{
	(void)state;
	char bytes[] = "a secret";
	wipe_bytes(bytes, sizeof(bytes) - 1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0);
	wipe_bytes(NULL, 0);
}

static void blocks_mix_with_the_ordinary_kind(void **state)
{
	(void)state;
	char *text = wipe_strdup("a secret");
	text = wipe_realloc(text, 4096);
	assert_string_equal(text, "a secret");
	text = wipe_realloc(text, 9);
	assert_string_equal(text, "a secret");
	free(text);
	wipe_free(malloc(100));
	wipe_free(NULL);
	int *zeroes = wipe_calloc(8, sizeof(int));
	assert_int_equal(zeroes[7], 0);
	wipe_free(zeroes);
	wipe_free(wipe_realloc(NULL, 10));
	wipe_free(wipe_malloc(10));
}

static size_t count_in(const char *bytes, size_t len, char c)
{
	size_t count = 0;
	for (size_t i = 0; i < len; i++)
		count += bytes[i] == c;
	return count;
}

static void the_next_block_shows_nothing_of_the_last(void **state)
{
	(void)state;
	/* The allocator writes its own links, which may be any bytes, over the first of what is free. */
	enum { SIZE = 200, LINKS = 2 * sizeof(void *) };
	char *old = wipe_malloc(SIZE);
	memset(old, 'S', SIZE);
	wipe_free(old);
	char *next = malloc(SIZE);
	assert_int_equal(count_in(next + LINKS, SIZE - LINKS, 'S'), 0);
	memset(next, 'T', SIZE);
	char *moved = wipe_realloc(next, (size_t)SIZE * 4);
	assert_int_equal(count_in(moved, SIZE, 'T'), SIZE);
	char *after = malloc(SIZE);
	assert_int_equal(count_in(after + LINKS, SIZE - LINKS, 'T'), 0);
	free(after);
	wipe_free(moved);
}

static void a_wiping_buffer_keeps_its_bytes_and_its_kind(void **state)
{
	(void)state;
	struct buf buf = BUF_SECRET(MIB(1));
	for (unsigned i = 0; i < 100000; i++)
		buf_putc(&buf, (char)(i % 251));
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal((unsigned char)buf.ptr[i], i % 251);
	buf_free(&buf);
	assert_true(buf.wipes);
	assert_int_equal(buf.max, MIB(1));
	assert_null(buf.ptr);
	buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_zeroed),
		cmocka_unit_test(blocks_mix_with_the_ordinary_kind),
		cmocka_unit_test(the_next_block_shows_nothing_of_the_last),
		cmocka_unit_test(a_wiping_buffer_keeps_its_bytes_and_its_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
