/* An activation's own manifest: what it shows, and by which stat signature each
 * file can be told unchanged without reading it. Never leaves the server.
 *
 *	lockstep-activation 1 RELEASE-HEX\n
 *	show type mode size digest dev ino st_mode mtime_ns ctime_ns path\0
 *	(`dev` of a rendered file is its owner: uid << 32 | gid)
 *
 * A signature holds when device (or owner), inode, size, mode, mtime and ctime are all
 * equal.
 * A difference in ctime alone (link and unlink change it) means: hash again. */
#pragma once

#include "agent/place.h"
#include "store/manifest.h"

#include <sys/stat.h>

enum show {
	SHOW_TREE = 't',      /* in the activation as in the release */
	SHOW_COVERED = 'c',   /* under a shared folder or file: not in the activation */
	SHOW_GENERATED = 'g', /* a copy the application may write to: never drift */
	SHOW_SHARED = 's',    /* our symlink into shared/ */
	SHOW_RENDERED = 'r',  /* a config file, in place of what the release may have there */
};

struct own_entry {
	enum show show;
	uint16_t st_mode; /* permission bits found */
	struct entry entry;
	uint64_t dev; /* SHOW_RENDERED: own_owner_of, which matters more there */
	uint64_t ino;
	int64_t mtime_ns, ctime_ns;
};

/* The part of it that is kept while the rest is known anyway. */
struct signature {
	uint64_t dev, ino;
	int64_t mtime_ns, ctime_ns;
};

struct own_manifest {
	struct digest release;
	struct own_entry *entries; /* sorted by path */
	size_t count;
};

enum signature_verdict { SIGNATURE_HOLDS = 1, SIGNATURE_HASH_AGAIN, SIGNATURE_BROKEN };
uint64_t own_owner_of(const struct stat *st); /* uid << 32 | gid */
enum signature_verdict signature_check(const struct own_entry *entry, const struct stat *st);
void signature_take(struct own_entry *entry, const struct stat *st);

/* ERR_NOT_FOUND when the activation has none. Everything lives in the arena, but for
 * paths that `shares` (may be NULL) has as well: those are its own. */
int own_load(const struct place *place, const char *name, struct arena *arena, const struct manifest *shares,
	     struct own_manifest *out, struct err *err) CHECKED;
int own_save(const struct place *place, const char *name, const struct own_manifest *own, struct err *err) CHECKED;
const struct own_entry *own_find(const struct own_manifest *own, struct slice path);

/* The release manifests a place keeps: .lockstep/manifests/release-HEX. */
int release_manifest_load(const struct place *place, const char *release_hex, struct arena *arena,
			  struct manifest *out, struct err *err) CHECKED;
/* Its bytes only, checked against its name. */
int release_manifest_read(const struct place *place, const char *release_hex, struct arena *arena, struct slice *out,
			  struct err *err) CHECKED;
int release_manifest_save(const struct place *place, const struct manifest *manifest, struct err *err) CHECKED;
