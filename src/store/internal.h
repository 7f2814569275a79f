/* What the files of this module share. */
#pragma once

#include "base/fd.h"
#include "base/map.h"
#include "codec/compress.h"
#include "store/store.h"

#include <pthread.h>

enum {
	STORE_PIECE = 128 << 10,
	STORE_WHOLE = 512 << 10,  /* files smaller than this are read once, whole */
	STORE_SAMPLE = 64 << 10,  /* what is tried to learn whether compressing pays */
	STORE_RAW_BELOW = 4 << 10, /* less than a disk block gains nothing */
	STORE_LEVEL = 3,          /* zstd: import stays near the speed of the disk */
	OBJECT_PATH_LEN = 80,
};

/* A compressed object is one zstd frame and a skippable frame (RFC 8878 section
 * 3.1.2), which `zstd -d` passes over: magic, length 32, and the SHA-256 of the
 * first frame's bytes. Without it some flipped bits would decode to the same
 * content and never be found, and a file cut short would only show when read. */
enum { TRAILER_HEAD_LEN = 8, TRAILER_LEN = TRAILER_HEAD_LEN + DIGEST_LEN };
extern const unsigned char trailer_head[TRAILER_HEAD_LEN];

struct store {
	char *path;
	int dir_fd;
	int incoming_fd;
	int lock_fd;
	uint64_t tag;          /* random: begins the names of this handle's drafts */
	uint64_t drafts;       /* counts them */
	pthread_mutex_t mutex; /* guards what follows */
	struct map pending;    /* digest → struct pending, in the order of writing */
	struct arena pending_arena;
};

/* exclusive: waits for all other handles up to wait_ms, then ERR_CONFLICT.
 * Otherwise waits without limit for one that is exclusive. */
int store_open_locked(const char *path, bool exclusive, int64_t wait_ms, struct store **store_out,
		      struct err *err) CHECKED;

/* object.c: "objects/3f/a9c1…", with ".zst" when `compressed`. */
void object_path(const struct digest *digest, bool compressed, char out[OBJECT_PATH_LEN]);
void manifest_path(const struct digest *release, char out[OBJECT_PATH_LEN]);
/* The digest a file below objects/ is named for, and its form. */
bool object_name_parse(const char *folder, const char *name, struct digest *digest, bool *compressed);

/* There, or written and waiting, and of a believable shape: a raw object has this
 * size, a compressed one both its ends. UINT64_MAX: the size is not known. */
bool object_present(struct store *store, const struct digest *digest, uint64_t size);

/* Opens whichever form of the object is there. */
int object_file_open(struct store *store, const struct digest *digest, int *fd_out, bool *compressed_out,
		struct err *err) CHECKED;
/* Reads one open object to its end. READ_SIZED checks that it is `size` long and no digest,
 * READ_STRICTLY also the bytes on the disk that do not reach the content; the others do not
 * look at `size`. An error of the sink is returned as it is. */
enum read_check { READ_SIZED, READ_CHECKED, READ_STRICTLY };
int object_file_read(int fd, bool compressed, enum read_check check, const struct digest *digest, uint64_t size,
		store_sink *sink, void *context,
		struct err *err) CHECKED;

/* object.c: digests by value, so that the manifests they come from need not stay. */
struct digest_set {
	struct arena arena;
	struct map map;
};
bool digest_set_add(struct digest_set *set, const struct digest *digest); /* false: it was there */
bool digest_set_has(const struct digest_set *set, const struct digest *digest);
void digest_set_free(struct digest_set *set);

/* draft.c: a file in incoming/ that becomes an object. */
struct draft {
	int fd;
	uint64_t number;
	bool compressed;
	struct compressor *compressor; /* while a compressed draft is written in pieces */
	struct buf packed;
	struct digest_stream content, frame;
	uint64_t size; /* of the content */
};
#define DRAFT_INIT ((struct draft){ .fd = -1, .packed = BUF_INIT(MIB(1)) })
/* Whether a file that begins with `sample` becomes at least a tenth smaller. */
bool draft_pays(struct slice sample, uint64_t size);
int draft_open(struct store *store, bool compress, struct draft *draft, struct err *err) CHECKED;
int draft_put(struct store *store, struct draft *draft, struct slice bytes, struct err *err) CHECKED;
int draft_end(struct store *store, struct draft *draft, struct digest *digest, struct err *err) CHECKED;
/* All at once, for content that is in memory and whose digest is known. */
int draft_write(struct store *store, struct draft *draft, struct slice content, struct buf *scratch,
		struct err *err) CHECKED;
/* Removes the file unless it was kept; safe on DRAFT_INIT. */
void draft_drop(struct store *store, struct draft *draft);
void draft_name(const struct store *store, uint64_t number, char out[40]);
int draft_no_room(struct store *store, int system_error, struct err *err);

/* publish.c: drafts that are complete and wait for store_publish, which makes
 * many of them durable together. `owner` tells apart whom pending_drop is for. */
struct pending {
	struct digest digest;
	uint64_t number;
	bool compressed;
	const void *owner;
};
void pending_add(struct store *store, struct draft *draft, const struct digest *digest, const void *owner);
bool pending_has(struct store *store, const struct digest *digest);
/* Removes what waits; all of it when owner is NULL. */
void pending_drop(struct store *store, const void *owner);
/* Gives all pending objects their names, durably. */
int pending_settle(struct store *store, struct err *err) CHECKED;
/* store_publish without asking for every object again. */
int publish_manifest(struct store *store, const struct manifest *manifest, struct err *err) CHECKED;

/* tree.c: what lies below a folder, and nothing read yet. */
struct tree {
	struct arena arena;
	struct entry *entries; /* digests and sizes of files still to be filled in */
	size_t count, cap;
	struct map links; /* path → struct slice *, the target */
};
int tree_walk(int dir_fd, const struct store_import *options, struct tree *tree, struct err *err) CHECKED;
void tree_free(struct tree *tree);
/* Names a path of the tree in an error, printable. */
int tree_refuse(struct err *err, struct slice path, const char *why);
int tree_wrap(struct err *err, struct slice path);

/* link.c: whether the link leads out of the tree, also by way of other links. */
bool link_stays_inside(const struct map *links, struct slice path, struct slice target);

/* pool.c: calls work(context, worker, index) for every index below count, on up
 * to POOL_WORKERS_MAX threads; worker 0 is the calling one. Stops at the first
 * failure; of several, the one with the lowest index is returned, so that the
 * same input always gives the same message. */
enum { POOL_WORKERS_MAX = 4 };
int pool_run(size_t count, int (*work)(void *context, int worker, size_t index, struct err *err), void *context,
	     struct err *err) CHECKED;
