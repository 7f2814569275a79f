/* Memory that is given back all at once: one arena per request, command or run
 * step. Out of memory aborts, so every size that comes from outside must be
 * bounded before it reaches this module. */
#pragma once

#include "base/slice.h"

#include <stdarg.h>

struct arena {
	struct arena_block *head;
	size_t used; /* bytes handed out, for limits */
};

#define ARENA_INIT ((struct arena){ 0 })

/* Zeroed, aligned for any type. size 0 gives a valid unique pointer. */
void *arena_alloc(struct arena *arena, size_t size);
/* Zeroed array; asserts that count * size does not overflow. */
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text); /* NULL stays NULL */
char *arena_str(struct arena *arena, struct slice s);      /* NUL-terminated copy */
struct slice arena_slice(struct arena *arena, struct slice s);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF(2, 3);
char *arena_vprintf(struct arena *arena, const char *format, va_list args);
void arena_free(struct arena *arena); /* also a cleanup function; the arena may be used again */
void arena_wipe_free(struct arena *arena); /* the same for one that held a secret */

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_NEW_ARRAY(arena, count, type) ((type *)arena_array((arena), (count), sizeof(type)))

/* malloc family that aborts when memory is out. */
void *mem_alloc(size_t size);             /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed */
void *mem_grow(void *old, size_t count, size_t size); /* realloc; new part not zeroed */
char *mem_strdup(const char *text);
void mem_free_ptr(void *pointer_to_pointer); /* AUTO(mem_free_ptr) char *p */
/* Early in a program: large blocks go back to the system when they are freed, instead of
 * being kept for later ones. */
void mem_return_large(void);
/* Behind a step that needed much: what was freed goes back to the system. */
void mem_trim(void);
