/* Git's index (gitformat-index(5), versions 2 to 4): which files a checkout should have, each
 * with the name of its content and how its file looked when git wrote it. Pure: foreign bytes
 * go in. */
#pragma once

#include "base/slice.h"
#include "codec/sha1.h"

enum { GIT_INDEX_PATH_MAX = 4096 };

struct git_entry {
	struct slice path; /* valid until the next one is asked for */
	const uint8_t *blob; /* SHA1_LEN bytes */
	int64_t ctime, ctime_ns, mtime, mtime_ns;
	uint32_t size; /* its lowest 32 bits */
	bool is_file, is_link; /* neither: a repository of its own */
	bool overlooked; /* git was told not to look at it, or not to write it: it need not be there */
	bool unsure;	 /* nothing can be said: a conflict, or a file that is only meant to be added */
};

struct git_index {
	struct slice file, rest;
	uint32_t version, left;
	char path[GIT_INDEX_PATH_MAX];
	size_t path_len;
};

/* False: this is no index, or one of a version or hash we do not know. */
bool git_index_open(struct slice file, struct git_index *out);
/* In the order of paths. False at the end, and where the rest is damaged. */
bool git_index_next(struct git_index *index, struct git_entry *out);
