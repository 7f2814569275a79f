/* A database of its own for each test of a noun. */
#pragma once

#include "../temp.h"

#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct temp temp;
	struct arena arena;
	struct err err;
	char path[128];
	struct db *db;
};

static inline int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	f->temp = temp_make();
	snprintf(f->path, sizeof(f->path), "%s/state.db", f->temp.path);
	*state = f;
	return model_open(f->path, &f->db, &f->err);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;
	db_close(&f->db);
	temp_remove(&f->temp);
	arena_free(&f->arena);
	free(f);
	return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* 64 hexadecimal digits that begin with `start`. */
static inline const char *hex64(struct fixture *f, const char *start)
{
	char text[65];
	memset(text, '0', sizeof(text) - 1);
	text[64] = '\0';
	memcpy(text, start, strlen(start));
	return arena_strdup(&f->arena, text);
}
