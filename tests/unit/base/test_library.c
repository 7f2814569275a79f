/* Claims about libraries that are loaded when they are first used. */
#include "base/library.h"

#include "../cmocka_base.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

static struct {
	__typeof__(&cos) cosine;
	__typeof__(&hypot) hypotenuse;
} loaded;

static const struct library mathematics = {
	.soname = "libm.so.6", .package = "libc6", .names = "cos\0hypot\0", .functions = (void **)&loaded};

static void *load_and_call(void *context)
{
	struct err err = ERR_INIT;
	bool *good = context;

	*good = library_load(&mathematics, &err) == 0 && loaded.cosine(0) == 1 &&
		loaded.hypotenuse(3, 4) == 5;
	return NULL;
}

static void all_threads_that_load_it_find_its_functions(void **state)
{
	pthread_t threads[8];
	bool good[8] = {false};
	(void)state;

	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, load_and_call, &good[i]), 0);
	for (size_t i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_true(good[i]);
	}
}

static void a_function_that_is_missing_is_named_and_none_is_given(void **state)
{
	void *functions[2] = {NULL};
	const struct library old = {.soname = "libm.so.6",
				    .package = "libnewer1",
				    .names = "cos\0no_such_function\0",
				    .functions = functions};
	struct err err = ERR_INIT;
	(void)state;

	for (int attempt = 0; attempt < 2; attempt++) {
		assert_int_equal(library_load(&old, &err), -1);
		assert_int_equal(err.code, ERR_INTERNAL);
		assert_string_equal(err.text, "libm.so.6 lacks the function no_such_function");
		assert_non_null(strstr(err.hint, "apt-get install libnewer1"));
		assert_null(functions[0]);
	}
}

static void a_library_that_is_missing_is_told_with_why_and_what_to_install(void **state)
{
	void *functions[1] = {NULL};
	const struct library missing = {.soname = "libno-such.so.9",
					.package = "libno-such9",
					.names = "cos\0",
					.functions = functions};
	struct err err = ERR_INIT;
	(void)state;

	assert_int_equal(library_load(&missing, &err), -1);
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_non_null(strstr(err.text, "libno-such.so.9 cannot be loaded: "));
	assert_non_null(strstr(err.text, "No such file or directory"));
	assert_string_equal(err.hint, "apt-get install libno-such9");
	assert_null(functions[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_that_load_it_find_its_functions),
		cmocka_unit_test(a_function_that_is_missing_is_named_and_none_is_given),
		cmocka_unit_test(a_library_that_is_missing_is_told_with_why_and_what_to_install),
	};
	return cmocka_run_group_tests_name("library", tests, NULL, NULL);
}
