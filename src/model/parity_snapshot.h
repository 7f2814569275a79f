/* The facts a run saw, kept as files: facts/ab/<digest>.zst below the home folder, named by
 * the SHA-256 of the snapshot in them and written once, so that runs that saw the same share
 * one. A file is durable under its name before a row names it; what no row names is taken
 * away by parity_snapshot_gc. Not here: the rows (parity_run.h), one fact over time
 * (parity_timeline.h). */
#pragma once

#include "codec/digest.h"
#include "model/home.h"

#define PARITY_SNAPSHOT_SIZE_MAX (UINT64_C(1) << 30)

struct parity_snapshot_file {
	char digest[DIGEST_HEX_LEN + 1];
	uint64_t size;	/* of the snapshot */
	uint64_t bytes; /* on disk */
	bool shared;	/* it was there already */
};

/* Keeps what `fd` holds (read with pread from 0; borrowed). */
int parity_snapshot_store(const struct home *home, int fd, struct parity_snapshot_file *out,
			  struct err *err) CHECKED;
/* The snapshot in a file without a name, at its begin. ERR_NOT_FOUND: it is gone;
 * ERR_INTERNAL: the file is damaged; both name the file. */
int parity_snapshot_open(const struct home *home, const char *digest, int *fd_out, struct err *err) CHECKED;
/* Removes files that no row names and nobody touched for a day: a run may be about to name
 * them. */
int parity_snapshot_gc(const struct home *home, int64_t now_ms, size_t *count_out, uint64_t *bytes_out,
		       struct err *err) CHECKED;
