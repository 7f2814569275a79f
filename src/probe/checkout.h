/* A git checkout as the live release: the commit, and which of its files are as git has them.
 * Git itself is never started: a repository's settings may name programs. */
#pragma once

#include "probe/git_index.h"
#include "probe/probe.h"

#include <sys/stat.h>

struct checkout {
	struct git_index index;
	struct git_entry entry;
	bool has_entry;
	int64_t written, written_ns; /* when git wrote the index */
	bool converts; /* what lies here need not be what git has, byte by byte */
};

/* False: the live release is no checkout, or one we cannot read. */
bool checkout_open(struct probe_sink *sink, struct checkout *out);
/* The next path git should have put here; has_entry false at the end. */
void checkout_next(struct checkout *checkout);

enum checkout_verdict { CHECKOUT_UNSURE = 1, CHECKOUT_SAME, CHECKOUT_EDITED };
/* What is to be said of the entry's file, which is open (-1: it could not be); reads it only
 * where its size and times do not tell already. `block` is room for that. */
enum checkout_verdict checkout_judge(const struct checkout *checkout, int fd, const struct stat *st,
				     char *block, size_t block_size);
/* The same of a link. */
enum checkout_verdict checkout_judge_link(const struct checkout *checkout, struct slice target);

/* The commit that is checked out, or that Capistrano's REVISION names: 40 hex digits. ptr NULL:
 * not known. */
struct slice checkout_commit(struct probe_sink *sink);
