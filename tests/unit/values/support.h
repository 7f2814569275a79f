/* Config sets made of literal pairs, and a safe for the values of a test. */
#pragma once

#include "values/config_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static struct safe *safe;

static inline int setup(void **state)
{
	(void)state;
	safe = safe_open();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	safe_close(&safe);
	arena_free(&arena);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static inline struct secret secret_of(struct slice text)
{
	struct secret secret = {0};
	struct err err = ERR_INIT;
	if (safe_put(safe, text, &secret, &err))
		fail_msg("%s", err.text);
	return secret;
}

/* Sorted as they are given; a NULL text: only the name is known. */
static inline struct config_set set_of(const struct value *values, size_t count)
{
	struct config_set set = {ARENA_NEW_ARRAY(&arena, count, struct config_value), count};
	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || strcmp(values[i - 1].name, values[i].name) < 0);
		set.values[i] = (struct config_value){
			.name = values[i].name, .level = LEVEL_ENVIRONMENT, .place = "lockstep.yml:1:1"};
		if (values[i].text)
			set.values[i].value = secret_of(slice_of(values[i].text));
	}
	return set;
}
#define SET(...)                                                                                             \
	set_of((const struct value[]){__VA_ARGS__},                                                          \
	       sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))
