/* A temporary folder for the tests of the store: trees to take in, a store, and
 * what people would look at with ls. */
#pragma once

#include "base/fd.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static char test_dir[64];
static int test_fd = -1;

#define assert_done(call)                                                                                    \
	do {                                                                                                 \
		err_clear(&err);                                                                             \
		if ((call) != 0)                                                                             \
			fail_msg("%s", err.text);                                                            \
	} while (0)
#define assert_refused(call, error_code, words)                                                              \
	do {                                                                                                 \
		err_clear(&err);                                                                             \
		assert_int_equal(call, -1);                                                                  \
		if (!strstr(err.text, words))                                                                \
			fail_msg("\"%s\" lacks \"%s\"", err.text, words);                                    \
		assert_int_equal(err.code, error_code);                                                      \
	} while (0)

__attribute__((unused)) static int test_setup(void **state)
{
	(void)state;
	snprintf(test_dir, sizeof(test_dir), "/tmp/lockstep-store-XXXXXX");
	assert_non_null(mkdtemp(test_dir));
	test_fd = open(test_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(test_fd >= 0);
	umask(022);
	return 0;
}

__attribute__((unused)) static int test_teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_done(tree_remove_at(AT_FDCWD, test_dir, &err));
	close_fd(&test_fd);
	return 0;
}

/* Absolute; overwritten by the fourth call after. */
__attribute__((unused)) static const char *test_path(const char *format, ...) PRINTF(1, 2);
__attribute__((unused)) static const char *test_path(const char *format, ...)
{
	static char paths[4][4096];
	static int turn;
	char *out = paths[turn++ % 4];
	int len = snprintf(out, sizeof(paths[0]), "%s/", test_dir);
	va_list args;

	va_start(args, format);
	vsnprintf(out + len, sizeof(paths[0]) - (size_t)len, format, args);
	va_end(args);
	return out;
}

__attribute__((unused)) static void write_bytes(const char *path, const void *bytes, size_t len)
{
	struct err err = ERR_INIT;

	unlinkat(test_fd, path, 0);
	AUTO(close_fd) int fd = openat(test_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_done(fd_write_all(fd, bytes, len, &err));
}

__attribute__((unused)) static void write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

__attribute__((unused)) static void make_dir(const char *path)
{
	struct err err = ERR_INIT;

	assert_done(dir_make_at(test_fd, path, 0755, &err));
}

__attribute__((unused)) static struct slice read_bytes(struct arena *arena, const char *path)
{
	AUTO(buf_free) struct buf content = BUF_INIT(MIB(64));
	struct err err = ERR_INIT;

	assert_done(file_read_at(test_fd, path, &content, &err));
	return arena_slice(arena, buf_slice(&content));
}

/* Bytes no compressor makes smaller, the same in every run. */
__attribute__((unused)) static void fill_noise(char *out, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		out[i] = (char)(seed >> 56);
	}
}

static int count_name(void *context, const char *name, struct err *err)
{
	(void)name;
	(void)err;
	++*(int *)context;
	return 0;
}

__attribute__((unused)) static int count_in(const char *path)
{
	struct err err = ERR_INIT;
	int count = 0;

	assert_done(dir_each_at(test_fd, path, count_name, &count, &err));
	return count;
}

/* Below test_dir. */
__attribute__((unused)) static int import_tree(struct store *store, const char *tree, struct arena *arena,
					       struct manifest *out, struct err *err)
{
	AUTO(close_fd) int fd = -1;

	if (dir_open_at(test_fd, tree, &fd, err))
		return -1;
	return store_import_tree(store, fd, NULL, arena, out, err);
}

/* Where an object lies, and in which form. */
__attribute__((unused)) static const char *object_file(const char *store, const struct digest *digest)
{
	static char path[300];
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	snprintf(path, sizeof(path), "%s/objects/%.2s/%s", store, hex, hex + 2);
	if (faccessat(test_fd, path, F_OK, 0) != 0)
		strcat(path, ".zst");
	return path;
}

/* All damage that verify names, one line each: "object 3fa9…: why". */
__attribute__((unused)) static void note_damage(void *context, const char *kind, const char *name,
						const char *why)
{
	buf_printf(context, "%s %s: %s\n", kind, name, why);
}

__attribute__((unused)) static uint64_t verify_store(struct store *store, struct buf *found)
{
	struct store_verify_result result;
	struct err err = ERR_INIT;

	buf_clear(found);
	assert_done(store_verify(store, NULL, note_damage, found, &result, &err));
	return result.damaged;
}

__attribute__((unused)) static void assert_clean(struct store *store)
{
	AUTO(buf_free) struct buf found = BUF_INIT(MIB(1));

	if (verify_store(store, &found))
		fail_msg("%s", buf_str(&found));
}
