/* Runs a fuzz harness over files instead of under a fuzzer: every file of the
 * folders (all levels) and every file given as arguments, so that the ordinary
 * test run repeats what fuzzing once found. A crash or a sanitizer's report is
 * the failure; so is a run that found no file, for then nothing was tested. */
#include "base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16 << 20 };

struct replay {
	int dir_fd;
	size_t files;
	uint64_t bytes;
};

static int replay_file(int dir_fd, const char *path, struct replay *replay, struct err *err)
{
	AUTO(buf_free) struct buf content = BUF_INIT(INPUT_MAX);

	if (file_read_at(dir_fd, path, &content, err))
		return -1;
	/* A copy of exactly that size: the sanitizer then sees a read one byte too far. */
	uint8_t *exact = malloc(content.len ? content.len : 1);
	ASSERT(exact);
	if (content.len)
		memcpy(exact, content.ptr, content.len);
	/* Should the harness crash, this line says on which file. */
	fprintf(stderr, "replay: %s\n", path);
	LLVMFuzzerTestOneInput(exact, content.len);
	free(exact);
	replay->files++;
	replay->bytes += content.len;
	return 0;
}

static int replay_path(int dir_fd, const char *path, struct replay *replay, struct err *err);

static int visit(void *context, const char *name, struct err *err)
{
	struct replay *replay = context;

	return replay_path(replay->dir_fd, name, replay, err);
}

static int replay_path(int dir_fd, const char *path, struct replay *replay, struct err *err)
{
	struct stat st;

	if (fstatat(dir_fd, path, &st, 0) != 0)
		return err_errno(err, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return replay_file(dir_fd, path, replay, err);
	int outer = replay->dir_fd;
	AUTO(close_fd) int below = -1;
	if (dir_open_at(dir_fd, path, &below, err))
		return -1;
	replay->dir_fd = below;
	int result = dir_each_at(below, ".", visit, replay, err);
	replay->dir_fd = outer;
	return result ? err_wrap(err, "%s", path) : 0;
}

int main(int argc, char **argv)
{
	struct replay replay = {.dir_fd = AT_FDCWD};
	struct err err = ERR_INIT;

	for (int i = 1; i < argc; i++) {
		if (replay_path(AT_FDCWD, argv[i], &replay, &err)) {
			fprintf(stderr, "replay: %s\n", err.text);
			return 1;
		}
	}
	if (replay.files == 0) {
		fprintf(stderr, "replay: no file to run was found\n");
		return 1;
	}
	printf("%zu files, %" PRIu64 " bytes\n", replay.files, replay.bytes);
	return 0;
}
