/* Claims about arenas. */
#include "base/arena.h"

#include "../cmocka_base.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	char *pieces[300];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		size_t size = i * 37 % 9000;
		pieces[i] = arena_alloc(&arena, size);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		for (size_t at = 0; at < size; at++)
			assert_int_equal(pieces[i][at], 0);
		memset(pieces[i], (int)(i & 0xFF), size);
	}
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		for (size_t at = 0; at < i * 37 % 9000; at++)
			assert_int_equal((unsigned char)pieces[i][at], i & 0xFF);
	assert_ptr_not_equal(arena_alloc(&arena, 0), arena_alloc(&arena, 0));
}

static void text_is_copied_and_ended(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	char source[] = "release";
	(void)state;
	char *copy = arena_str(&arena, slice_make(source, 3));
	source[0] = 'X';
	assert_string_equal(copy, "rel");
	assert_string_equal(arena_printf(&arena, "%s-%d", copy, 42), "rel-42");
	assert_null(arena_strdup(&arena, NULL));
	assert_string_equal(arena_str(&arena, (struct slice){0}), "");
}

static void a_freed_arena_serves_again(void **state)
{
	struct arena arena = ARENA_INIT;
	(void)state;
	arena_alloc(&arena, 100000);
	assert_true(arena.used >= 100000);
	arena_free(&arena);
	assert_int_equal(arena.used, 0);
	assert_string_equal(arena_strdup(&arena, "again"), "again");
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(text_is_copied_and_ended),
		cmocka_unit_test(a_freed_arena_serves_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
