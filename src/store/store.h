/* The store of releases on this machine: content-addressed objects and
 * manifests in a folder.
 *
 *	objects/3f/a9c1…        raw content, named by its SHA-256 (62 hex digits)
 *	objects/3f/a9c1….zst    the same, compressed, where it pays: a zstd frame, and
 *	                        behind it the SHA-256 of that frame (`zstd -d` skips it)
 *	manifests/<64 hex>      manifest bytes
 *	incoming/               what is being written; emptied by gc
 *	lock                    shared by readers and writers, exclusive for gc
 *
 * Many processes use one store at once. A manifest is published only after every
 * object it names is durable; so a manifest that exists is a release that is
 * whole, unless a disk or a person damaged it, which store_verify finds. What is
 * plainly not whole (of another size, without its end) counts as missing and is
 * written anew.
 *
 * Threads of one process may use one handle at once; each writer belongs to one. */
#pragma once

#include "store/manifest.h"

struct store;

/* Creates the folders when missing. Holds the shared lock until closed; waits
 * while a gc runs. */
int store_open(const char *path, struct store **store_out, struct err *err) CHECKED;
void store_close(struct store **store); /* cleanup function */

/* Takes in the tree below dir_fd as a release: walks, hashes, compresses, writes
 * missing objects, syncs, publishes the manifest. Devices, sockets, fifos,
 * setuid files are errors that name the path; file modes are reduced to
 * 0644/0755. Links must stay inside, also when other links of the tree are
 * followed. `skip(context, path, is_dir)` says what stays out (may be NULL).
 * `progress` may be NULL; both are only called by the calling thread. Content is
 * hashed and compressed by up to four threads in some 6 MB each; the release and
 * the error do not depend on which was first. *manifest_out lives in the arena.
 * After an error nothing of the tree is left in the store. */
struct store_import {
	bool (*skip)(void *context, struct slice path, bool is_dir);
	void (*progress)(void *context, uint64_t files_done, uint64_t bytes_done);
	void *context;
};
int store_import_tree(struct store *store, int dir_fd, const struct store_import *options, struct arena *arena,
		      struct manifest *manifest_out, struct err *err) CHECKED;

int store_load_manifest(struct store *store, const struct digest *release, struct arena *arena,
			struct manifest *out, struct err *err) CHECKED;
bool store_has_manifest(struct store *store, const struct digest *release);
bool store_has_object(struct store *store, const struct digest *digest);

/* Streams an object's content in pieces of at most 128 KiB. The content is hashed while
 * it is read; a mismatch is an error naming the object, given before the last
 * piece is handed out. */
typedef int store_sink(void *context, struct slice bytes, struct err *err);
int store_read_object(struct store *store, const struct digest *digest, store_sink *sink, void *context,
		      struct err *err) CHECKED;
/* The same for one whose receiver hashes it anyway: only its size is checked, and what is
 * damaged otherwise is handed out. */
int store_read_object_unchecked(struct store *store, const struct digest *digest, uint64_t size, store_sink *sink,
				void *context, struct err *err) CHECKED;
/* The whole content of an object of at most `max` bytes (verified), in the arena. */
int store_load_object(struct store *store, const struct digest *digest, uint64_t max, struct arena *arena,
		      struct slice *out, struct err *err) CHECKED;

/* Writing objects one by one (fetching a release back from a server). Content is
 * hashed; finish refuses when it is not `digest`, and then still wants its abort.
 * Writing what is there already is fine. Finished objects can be asked for and read
 * at once by this handle; they become durable, and visible to others, with
 * store_publish, and are gone when the store is closed without it. */
struct store_writer;
int store_writer_open(struct store *store, const struct digest *digest, uint64_t size,
		      struct store_writer **writer_out, struct err *err) CHECKED;
int store_writer_put(struct store_writer *writer, struct slice bytes, struct err *err) CHECKED;
int store_writer_finish(struct store_writer **writer, struct err *err) CHECKED;
void store_writer_abort(struct store_writer **writer); /* cleanup function; safe after finish */
/* Syncs, checks that every object the manifest names is there, publishes it. */
int store_publish(struct store *store, const struct manifest *manifest, struct err *err) CHECKED;

/* Every object and manifest, or with `release` only that one. Each damage is
 * reported (kind: "object", "manifest"; what: the name; why), and the walk goes
 * on; the number of damages in *damaged_out. */
struct store_verify_result {
	uint64_t objects, manifests, bytes, damaged;
};
typedef void store_damage(void *context, const char *kind, const char *name, const char *why);
int store_verify(struct store *store, const struct digest *release, store_damage *damage, void *context,
		 struct store_verify_result *result, struct err *err) CHECKED;

/* Removes manifests for which keep() says false and every object no remaining
 * manifest names. Takes the exclusive lock: the caller must hold no other handle
 * on this store; waits for running readers and writers up to wait_ms, then
 * ERR_CONFLICT. dry_run only counts. */
struct store_gc_result {
	uint64_t manifests_kept, manifests_removed, objects_removed, bytes_removed;
};
int store_gc(const char *path, bool (*keep)(void *context, const struct digest *release), void *context,
	     bool dry_run, int64_t wait_ms, struct store_gc_result *result, struct err *err) CHECKED;
