/* What the files of this module share. */
#pragma once

#include "base/fd.h"
#include "codec/compress.h"
#include "store/store.h"

enum {
	STORE_PIECE = 128 << 10,
	STORE_LEVEL = 3,          /* zstd: import stays near the speed of the disk */
	STORE_RAW_BELOW = 256,    /* smaller content gains nothing on disk blocks */
	OBJECT_PATH_LEN = 80,
};

struct store {
	char *path;
	int dir_fd;
	int incoming_fd;
	int lock_fd;
};

/* "objects/3f/a9c1…", with ".zst" when `compressed`. */
void object_path(const struct digest *digest, bool compressed, char out[OBJECT_PATH_LEN]);
void manifest_path(const struct digest *release, char out[OBJECT_PATH_LEN]);

/* Opens whichever form of the object is there. */
int object_open(struct store *store, const struct digest *digest, int *fd_out, bool *compressed_out,
		struct err *err) CHECKED;

/* A file in incoming/ that becomes an object. Compresses as it is written. */
struct object_file {
	int fd;
	char name[40];
	struct compressor *compressor; /* NULL: raw */
	struct buf pending;
	struct digest_stream hash;
	uint64_t size;
};
int object_file_open(struct store *store, struct slice sample, uint64_t size, struct object_file *file,
		     struct err *err) CHECKED;
int object_file_put(struct object_file *file, struct slice bytes, struct err *err) CHECKED;
/* Ends it and gives its digest; it still lies in incoming/. */
int object_file_end(struct object_file *file, struct digest *digest, struct err *err) CHECKED;
/* Gives it its name; content must be durable before the manifest is (store_sync). */
int object_file_publish(struct store *store, struct object_file *file, const struct digest *digest,
			struct err *err) CHECKED;
void object_file_drop(struct store *store, struct object_file *file);

/* Everything written so far reaches the disk. */
int store_sync(struct store *store, struct err *err) CHECKED;
