/* What the files of this folder share. Nobody else includes this. */
#pragma once

#include "model/model.h"

enum {
	LINE_MAX_BYTES = 1024,	   /* subjects, names, paths */
	TEXT_MAX_BYTES = 64 << 10, /* error texts */
};

/* A bind of text that came from outside. `arena` must live until the bind is done. */
#define CLEAN(arena, bind_name, text) DB_STR(bind_name, model_clean((arena), (text), LINE_MAX_BYTES))

/* Room for one more in an array of the arena that starts empty; returns its place.
 * Grows at the powers of two. */
void *model_grow(struct arena *arena, void *items_pointer, size_t *count, size_t item_size);

size_t page_limit(const struct page *page); /* page may be NULL */
int64_t page_before_ms(const struct page *page);
const char *page_before_id(const struct page *page);
/* DB_BINDS of a statement with :limit, :before_ms, :before_id. */
#define PAGE_BINDS(page)                                                                                     \
	DB_INT(":limit", (int64_t)page_limit(page)), DB_INT(":before_ms", page_before_ms(page)),             \
		DB_STR(":before_id", page_before_id(page))

/* Enums are kept by name, so that a person with sqlite3 can read them. */
const char *model_name_of(const char *const *names, size_t count, int value); /* "?" for what is none */
int model_value_of(const char *const *names, size_t count, const char *name); /* 0 for what is none */

/* "low" … "critical" by enum severity; place 0 is none. */
extern const char *const model_severity_names[];
extern const size_t model_severity_count;
