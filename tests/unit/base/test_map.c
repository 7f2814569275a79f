/* Claims about maps. */
#include "base/map.h"

#include "base/arena.h"

#include "../cmocka_base.h"

#include <stdio.h>

enum { MANY = 20000 };

static void many_keys_are_found_and_stay_in_order(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(map_free) struct map map = MAP_INIT;
	int *values = ARENA_NEW_ARRAY(&arena, MANY, int);
	(void)state;
	for (int i = 0; i < MANY; i++) {
		values[i] = i;
		assert_null(map_put(&map, slice_of(arena_printf(&arena, "path/%d", i)), &values[i]));
	}
	assert_int_equal(map.count, MANY);
	/* Every third goes; the others must still be found, also after growing again. */
	for (int i = 0; i < MANY; i += 3)
		assert_ptr_equal(map_remove(&map, slice_of(arena_printf(&arena, "path/%d", i))), &values[i]);
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(&map, slice_of(arena_printf(&arena, "path/%d", i))),
				 i % 3 ? &values[i] : NULL);
	for (int i = 0; i < MANY; i += 3)
		assert_null(map_put(&map, slice_of(arena_printf(&arena, "path/%d", i)), &values[i]));
	assert_int_equal(map.count, MANY);
	size_t seen = 0;
	int last = -1;
	for (size_t i = 0; i < map.entries_used; i++) {
		if (!map.entries[i].key.ptr)
			continue;
		int value = *(int *)map.entries[i].value;
		/* First those that were never removed, then those that came again. */
		bool second_pass = value % 3 == 0;
		if (second_pass && last % 3 != 0)
			last = -1;
		assert_true(value > last);
		last = value;
		seen++;
	}
	assert_int_equal(seen, MANY);
}

static void putting_again_replaces(void **state)
{
	AUTO(map_free) struct map map = MAP_INIT;
	int a, b;
	(void)state;
	assert_null(map_get(&map, SLICE("x")));
	assert_null(map_remove(&map, SLICE("x")));
	assert_null(map_put(&map, SLICE("x"), &a));
	assert_ptr_equal(map_put(&map, SLICE("x"), &b), &a);
	assert_ptr_equal(map_get(&map, SLICE("x")), &b);
	assert_int_equal(map.count, 1);
}

static void keys_are_bytes(void **state)
{
	AUTO(map_free) struct map map = MAP_INIT;
	int a, b, c;
	(void)state;
	map_put(&map, (struct slice){0}, &a);
	map_put(&map, SLICE("a\0b"), &b);
	map_put(&map, SLICE("a\0c"), &c);
	assert_ptr_equal(map_get(&map, SLICE("")), &a);
	assert_ptr_equal(map_get(&map, SLICE("a\0b")), &b);
	assert_ptr_equal(map_get(&map, SLICE("a\0c")), &c);
	assert_null(map_get(&map, SLICE("a")));
}

static void putting_and_removing_for_long_stays_small(void **state)
{
	AUTO(map_free) struct map map = MAP_INIT;
	char names[2][8] = {"one", "two"};
	int value;
	(void)state;
	for (int i = 0; i < 100000; i++) {
		map_put(&map, slice_of(names[i & 1]), &value);
		map_remove(&map, slice_of(names[i & 1]));
	}
	assert_int_equal(map.count, 0);
	assert_true(map.entries_cap <= 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_keys_are_found_and_stay_in_order),
		cmocka_unit_test(putting_again_replaces),
		cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(putting_and_removing_for_long_stays_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
