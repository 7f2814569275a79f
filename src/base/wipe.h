/* Overwriting memory that held a secret, so that nothing of it stays in what the
 * heap hands out next or in a core file. */
#pragma once

#include "base/compiler.h"

/* Zeroes in a way no compiler leaves out. */
void wipe_bytes(void *bytes, size_t len);

/* The malloc family with memory that is wiped when it is freed or moved: what
 * libraries that see secrets (jansson, libcurl) are told to use. It mixes with the
 * ordinary one: either may free what the other gave. */
void *wipe_malloc(size_t size);
void *wipe_calloc(size_t count, size_t size);
void *wipe_realloc(void *old, size_t size);
char *wipe_strdup(const char *text);
void wipe_free(void *memory);
