/* The manifest: what a release *is*. A header line, then NUL-terminated records,
 * sorted by path bytes; a release is named by the SHA-256 of exactly these bytes.
 *
 *	lockstep-manifest 1\n
 *	d 0755 0 -                app\0
 *	f 0644 1532 <64 hex>      app/Pay.php\0          (single spaces in reality)
 *	l 0777 9 <64 hex>         public/storage\0       hash and size of the target
 *
 * Every folder is listed, empty ones too, before what it holds; modes are 0644 or
 * 0755 for files, 0755 for folders, 0777 for links. Neither owner nor time.
 * Refused: absolute paths, empty, "." and ".." components, a path twice, a file
 * and a folder of the same name, links that leave the tree, anything at or below
 * ".lockstep". Pure: no I/O. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "codec/digest.h"

enum {
	MANIFEST_BYTES_MAX = 256 << 20,
	MANIFEST_ENTRIES_MAX = 1 << 20,
	MANIFEST_PATH_MAX = 4095,
	MANIFEST_LINK_MAX = 4095,
};

enum entry_type { ENTRY_DIR = 'd', ENTRY_FILE = 'f', ENTRY_LINK = 'l' };

struct entry {
	enum entry_type type;
	uint16_t mode;        /* permission bits */
	uint64_t size;        /* of the content; for links of the target; 0 for folders */
	struct digest digest; /* of the content or of the target; zero for folders */
	struct slice path;    /* may hold any byte but NUL */
};

struct manifest {
	struct entry *entries; /* sorted by path bytes */
	size_t count;
	struct slice bytes;   /* the encoded form; paths point into it */
	struct digest digest; /* of `bytes`: the name of the release */
	uint64_t total_size;  /* of all files */
	size_t file_count;
};

/* `bytes` is borrowed and must outlive the manifest; entries go to the arena.
 * Strict: anything but the canonical form is an error that names the record. */
int manifest_parse(struct arena *arena, struct slice bytes, struct manifest *out, struct err *err) CHECKED;

/* Sorts a copy of `entries`, checks every rule above, encodes into the arena. */
int manifest_build(struct arena *arena, const struct entry *entries, size_t count, struct manifest *out,
		   struct err *err) CHECKED;

/* By path; NULL when absent. Logarithmic. */
const struct entry *manifest_find(const struct manifest *manifest, struct slice path);

/* Whether a link at `path` with this target stays inside the tree (lexically). */
bool manifest_link_stays_inside(struct slice path, struct slice target);

/* What differs between two manifests, in path order. `from` or `to` is NULL for
 * an entry that only the other has. */
struct manifest_change {
	const struct entry *from;
	const struct entry *to;
};
size_t manifest_diff(struct arena *arena, const struct manifest *from, const struct manifest *to,
		     struct manifest_change **changes_out);
