/* Memory that is overwritten before it is given back. The size of a block is asked
 * from the allocator itself, so that no header of ours stands in front of it and the
 * ordinary free() remains right. */
#include "base/wipe.h"

#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <malloc/malloc.h>
#define block_size malloc_size
#else
#include <malloc.h>
#define block_size malloc_usable_size
#endif

void wipe_bytes(void *bytes, size_t len)
{
	if (len)
		memset(bytes, 0, len);
	/* The compiler has to believe that somebody reads the zeroes. */
	__asm__ __volatile__("" : : "r"(bytes) : "memory");
}

void *wipe_malloc(size_t size)
{
	return malloc(size);
}

void *wipe_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void wipe_free(void *memory)
{
	if (memory)
		wipe_bytes(memory, block_size(memory));
	free(memory);
}

void *wipe_realloc(void *old, size_t size)
{
	if (!old)
		return malloc(size);
	size_t had = block_size(old);
	if (size && size <= had && size >= had / 2)
		return old;
	void *fresh = malloc(size ? size : 1);
	if (!fresh)
		return NULL;
	memcpy(fresh, old, MIN(had, size));
	wipe_free(old);
	return fresh;
}

char *wipe_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = malloc(len);
	return copy ? memcpy(copy, text, len) : NULL;
}
