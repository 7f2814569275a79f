/* Throwaway places, stores with small releases, and a real sshd. */
#pragma once

#include "base/child.h"
#include "base/fd.h"
#include "store/store.h"
#include "target/fleet.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A new private folder below $TMPDIR or /tmp; removed by scratch_remove. */
struct scratch {
	char path[256];
};
void scratch_make(struct scratch *scratch);
void scratch_remove(struct scratch *scratch);
const char *scratch_at(struct arena *arena, const struct scratch *scratch, const char *name);

/* Writes a file, making its folders. */
void file_put(const char *folder, const char *path, struct slice content);
/* Reads one; fails the test when it is not there. */
const char *file_get(struct arena *arena, const char *folder, const char *path);
/* Takes the tree into the store. */
void release_import(struct store *store, const char *folder, struct arena *arena, struct manifest *manifest);

/* sshd on a free loopback port, keys and configuration in the scratch folder; `ssh`
 * is the program and words for LOCKSTEP_SSH that reach it. */
struct sshd {
	struct child child;
	uint16_t port;
	char ssh[600];
	char user[64];
};
void sshd_start(struct sshd *sshd, const struct scratch *scratch);
void sshd_stop(struct sshd *sshd);
/* The address of a place on it. */
struct place_address sshd_address(const struct sshd *sshd, const char *path);
struct place_address local_address(const char *path);

/* Fails the test with err's text. */
#define MUST(call)                                                                                           \
	do {                                                                                                 \
		if ((call) != 0)                                                                             \
			fail_msg("%s: %s (%s)", #call, err.text, err.hint);                                  \
	} while (0)
