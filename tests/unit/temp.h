/* A folder of its own for a test, removed afterwards, and children whose result
 * is their exit code. */
#pragma once

#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct temp {
	char path[64];
};

static inline struct temp temp_make(void)
{
	struct temp temp = {"/tmp/lockstep-test-XXXXXX"};
	ASSERT(mkdtemp(temp.path));
	return temp;
}

static inline void temp_remove(struct temp *temp)
{
	struct err err = ERR_INIT;
	if (tree_remove_at(AT_FDCWD, temp->path, &err))
		fprintf(stderr, "%s\n", err.text);
}

/* 0..255, or 128 + signal. */
static inline int wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
