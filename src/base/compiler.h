/* Attributes used everywhere. Nothing here needs linking. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

#define CHECKED __attribute__((warn_unused_result))
#define PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define NORETURN __attribute__((noreturn))

/* AUTO(close_fd) int fd = ...; runs close_fd(&fd) at the end of the scope.
 * The cleanup functions are declared beside the types they clean up. */
#define AUTO(cleanup_function) __attribute__((cleanup(cleanup_function)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

/* A programmer's mistake, never a user's: kept in release builds. */
#define ASSERT(condition) \
	((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__, __func__))
void assert_failed(const char *condition, const char *file, int line, const char *function) NORETURN;
