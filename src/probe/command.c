/* Programs that are only looked at, and small files. */
#include "probe/internal.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PROBE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const char *probe_program(struct probe_sink *sink, const char *name)
{
	struct slice rest = SLICE(PROBE_PATH);

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? name : NULL;
	while (rest.ptr) {
		struct slice folder = slice_cut(&rest, ':');
		const char *path = arena_printf(&sink->arena, "%.*s/%s", SLICE_ARG(folder), name);
		struct stat st;
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* With a NUL behind it, whatever it holds itself. */
static struct slice text_of(struct probe_sink *sink, struct slice bytes)
{
	return slice_make(arena_str(&sink->arena, bytes), bytes.len);
}

struct slice probe_command(struct probe_sink *sink, const char *const *argv, int64_t time_ms,
			   size_t output_max, const char **why_out)
{
	AUTO(buf_free) struct buf out = BUF_INIT(output_max);
	static const char *const env[] = {"PATH=" PROBE_PATH, "HOME=/nonexistent", "LC_ALL=C", NULL};
	struct child_spec spec = {.argv = argv,
				  .env = env,
				  .dir = "/",
				  .stdin_fd = -1,
				  .stdout_fd = CHILD_PIPE,
				  .stderr_fd = -1,
				  /* The probe's own group: what it starts in turn ends with the probe. */
				  .keep_controlling_group = true,
				  .die_with_us = true};
	struct err err = ERR_INIT;
	int status = 0;

	*why_out = NULL;
	if (!probe_program(sink, argv[0])) {
		*why_out = arena_printf(&sink->arena, "there is no %s", argv[0]);
		return (struct slice){0};
	}
	sink->programs++;
	if (child_run(&spec, (struct slice){0}, &out, NULL, time_ms, &status, &err)) {
		*why_out = arena_strdup(&sink->arena, err.text);
		return (struct slice){0};
	}
	if (status) {
		*why_out = arena_printf(&sink->arena, "%s ended with status %d", argv[0], status);
		return (struct slice){0};
	}
	return text_of(sink, buf_slice(&out));
}

/* What a script says may depend on anything; a program's word on its version on itself. */
static bool is_binary(const char *path)
{
	char magic[4] = {0};
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd >= 0 && read(fd, magic, sizeof(magic)) == sizeof(magic) && memcmp(magic, "\177ELF", 4) == 0;
}

struct question {
	struct buf key;
	bool recent; /* within one tick of the clock what it names can change again and look the same */
};

static bool sign(struct question *question, const char *path)
{
	enum { RECENT_S = 2 };
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	buf_printf(&question->key, "%llu %llu %lld %lld.%09ld %lld.%09ld ", (unsigned long long)st.st_dev,
		   (unsigned long long)st.st_ino, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
		   st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	question->recent |= MAX(st.st_mtim.tv_sec, st.st_ctim.tv_sec) + RECENT_S >= time(NULL);
	return true;
}

enum { KEPT_MS = 600000 };

/* Its version may be a library's word: where libraries lie, and its own beside it. That one is
 * replaced shows in its folder. */
static void sign_libraries(struct question *question, const char *program)
{
	static const char *const places[] = {"/etc/ld.so.cache",
					     "/etc/ld.so.preload",
					     "/lib",
					     "/lib64",
					     "/lib/x86_64-linux-gnu",
					     "/lib/aarch64-linux-gnu",
					     "/usr/lib",
					     "/usr/lib64",
					     "/usr/lib/x86_64-linux-gnu",
					     "/usr/local/lib",
					     "/usr/lib/aarch64-linux-gnu"};
	char real[PATH_MAX], beside[PATH_MAX + 8], *slash;

	/* A library that is overwritten in place changes no folder: nothing is kept for long. */
	buf_printf(&question->key, "%lld ", (long long)(clock_mono_ms() / KEPT_MS));
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!sign(question, places[i]))
			buf_puts(&question->key, "- ");
	if (!realpath(program, real) || !(slash = strrchr(real, '/')))
		return;
	*slash = 0;
	sign(question, real);
	snprintf(beside, sizeof(beside), "%s/../lib", real);
	sign(question, beside);
}

/* Which program exactly, and what it is asked: the key of an answer. */
static struct slice question(struct probe_sink *sink, const char *path, const char *const *argv,
			     struct slice also)
{
	struct question question = {BUF_INIT(8 << 10), false};
	struct slice key = {0};

	if (!is_binary(path) || !sign(&question, path))
		return key;
	sign_libraries(&question, path);
	/* Of many processes of one program, one answers for all. */
	buf_puts(&question.key, strncmp(path, "/proc/", 6) == 0 ? "" : path);
	for (size_t i = 1; argv[i]; i++)
		buf_printf(&question.key, " %s", argv[i]);
	buf_put_slice(&question.key, also);
	if (!question.key.overflow && !question.recent)
		key = arena_slice(&sink->arena, buf_slice(&question.key));
	buf_free(&question.key);
	return key;
}

/* Entries: two lengths of four bytes, the question, the answer. */
bool memory_recall(const struct probe_memory *memory, struct slice key, struct slice *out)
{
	uint32_t used = memory ? atomic_load((const _Atomic uint32_t *)&memory->used) : 0, at = 0, lengths[2];
	bool found = false;

	while (used <= PROBE_MEMORY_MAX && at + sizeof(lengths) <= used) {
		memcpy(lengths, memory->bytes + at, sizeof(lengths));
		at += sizeof(lengths);
		if (lengths[0] > used - at || lengths[1] > used - at - lengths[0])
			break;
		if (slice_equal(key, slice_make(memory->bytes + at, lengths[0]))) {
			*out = slice_make(memory->bytes + at + lengths[0], lengths[1]);
			found = true;
		}
		at += lengths[0] + lengths[1];
	}
	return found;
}

void memory_keep(struct probe_memory *memory, struct slice key, struct slice answer)
{
	uint32_t used = memory ? atomic_load((_Atomic uint32_t *)&memory->used) : 0;
	uint32_t lengths[2] = {(uint32_t)key.len, (uint32_t)answer.len};

	if (!memory || sizeof(lengths) + key.len + answer.len > PROBE_MEMORY_MAX)
		return;
	/* Full of what was asked long ago: it begins anew. */
	if (used > PROBE_MEMORY_MAX - (sizeof(lengths) + key.len + answer.len)) {
		used = 0;
		atomic_store((_Atomic uint32_t *)&memory->used, 0);
	}
	memcpy(memory->bytes + used, lengths, sizeof(lengths));
	memcpy(memory->bytes + used + sizeof(lengths), key.ptr, key.len);
	memcpy(memory->bytes + used + sizeof(lengths) + key.len, answer.ptr, answer.len);
	atomic_store((_Atomic uint32_t *)&memory->used,
		     (uint32_t)(used + sizeof(lengths) + key.len + answer.len));
}

struct slice command_kept(struct probe_sink *sink, const char *const *argv, struct slice also,
			  int64_t time_ms, size_t output_max, const char **why_out)
{
	const char *path = probe_program(sink, argv[0]);
	struct slice key = path && sink->memory ? question(sink, path, argv, also) : (struct slice){0},
		     answer;

	*why_out = NULL;
	if (key.ptr && memory_recall(sink->memory, key, &answer))
		return text_of(sink, answer);
	answer = probe_command(sink, argv, time_ms, output_max, why_out);
	if (key.ptr && answer.ptr)
		memory_keep(sink->memory, key, answer);
	return answer;
}

struct slice probe_command_kept(struct probe_sink *sink, const char *const *argv, int64_t time_ms,
				size_t output_max, const char **why_out)
{
	return command_kept(sink, argv, (struct slice){0}, time_ms, output_max, why_out);
}

struct slice probe_file(struct probe_sink *sink, const char *path, size_t max, const char **why_out)
{
	AUTO(buf_free) struct buf text = BUF_INIT(max);
	struct err err = ERR_INIT;
	struct stat st;

	*why_out = NULL;
	/* A FIFO or a device would hold us: only what is a file. */
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0) {
		*why_out = strerror(errno);
		return (struct slice){0};
	}
	if (!S_ISREG(st.st_mode)) {
		*why_out = "it is no file";
		return (struct slice){0};
	}
	if (fd_read_all(fd, &text, &err)) {
		*why_out = arena_strdup(&sink->arena, err.text);
		return (struct slice){0};
	}
	return text_of(sink, buf_slice(&text));
}
