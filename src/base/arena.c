/* Blocks of zeroed memory, and the malloc family that aborts. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { BLOCK_SIZE = 16 << 10, ALIGNMENT = 16 };

struct arena_block {
	struct arena_block *next;
	size_t used;
	size_t size;
	_Alignas(ALIGNMENT) char bytes[];
};

static void NORETURN out_of_memory(size_t size)
{
	fprintf(stderr, "lockstep: out of memory (%zu bytes wanted)\n", size);
	abort();
}

void *mem_alloc(size_t size)
{
	void *memory = calloc(1, size ? size : 1);
	if (!memory)
		out_of_memory(size);
	return memory;
}

void *mem_array(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);
	if (!memory)
		out_of_memory(size);
	return memory;
}

void *mem_grow(void *old, size_t count, size_t size)
{
	size_t bytes;
	ASSERT(!__builtin_mul_overflow(count, size, &bytes));
	void *memory = realloc(old, bytes ? bytes : 1);
	if (!memory)
		out_of_memory(bytes);
	return memory;
}

char *mem_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	return memcpy(mem_alloc(len), text, len);
}

void mem_free_ptr(void *pointer_to_pointer)
{
	void **pointer = pointer_to_pointer;
	free(*pointer);
	*pointer = NULL;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	ASSERT(size <= SIZE_MAX / 2);
	size_t rounded = (MAX(size, 1) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	struct arena_block *block = arena->head;

	if (!block || block->size - block->used < rounded) {
		size_t room = MAX(rounded, (size_t)BLOCK_SIZE);
		struct arena_block *fresh = mem_alloc(sizeof(*fresh) + room);
		fresh->size = room;
		/* A large block goes behind the current one, whose room stays usable. */
		if (block && rounded > BLOCK_SIZE / 4) {
			fresh->next = block->next;
			block->next = fresh;
		} else {
			fresh->next = block;
			arena->head = fresh;
		}
		block = fresh;
	}
	void *memory = block->bytes + block->used;
	block->used += rounded;
	arena->used += rounded;
	return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;
	ASSERT(!__builtin_mul_overflow(count, size, &bytes));
	return arena_alloc(arena, bytes);
}

char *arena_str(struct arena *arena, struct slice s)
{
	char *copy = arena_alloc(arena, s.len + 1);
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return text ? arena_str(arena, slice_of(text)) : NULL;
}

struct slice arena_slice(struct arena *arena, struct slice s)
{
	return slice_make(arena_str(arena, s), s.len);
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	ASSERT(len >= 0);
	char *text = arena_alloc(arena, (size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, format, args);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	char *text = arena_vprintf(arena, format, args);
	va_end(args);
	return text;
}

void arena_wipe_free(struct arena *arena)
{
	for (struct arena_block *block = arena->head; block; block = block->next)
		explicit_bzero(block->bytes, block->used);
	arena_free(arena);
}

void arena_free(struct arena *arena)
{
	struct arena_block *block = arena->head;

	while (block) {
		struct arena_block *next = block->next;
		free(block);
		block = next;
	}
	*arena = ARENA_INIT;
}

void mem_return_large(void)
{
#ifdef __GLIBC__
	/* Set by hand it no longer grows with the largest block that was freed. */
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
#endif
}

void mem_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}
