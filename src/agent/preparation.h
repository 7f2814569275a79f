/* A preparation: an activation being built under .lockstep/prepare, from what the
 * server has and what the controller sends. Shared by prepare.c (requests and the
 * order of effects), obtain.c (content that is here already), receive.c (content
 * that comes) and render.c (config files). */
#pragma once

#include "agent/render.h"
#include "agent/scan.h"
#include "agent/session.h"
#include "agent/signature.h"
#include "agent/tree.h"
#include "base/map.h"
#include "codec/compress.h"

enum { SOURCES_MAX = 4, OFFER_ROUNDS_MAX = 4 };

/* Of a file in a source that is not scanned as a whole. */
enum trust { TRUST_UNKNOWN, TRUST_GOOD, TRUST_NONE };

/* An activation content is taken from. */
struct source {
	char name[PLACE_NAME_MAX];
	int root_fd;
	struct tree_cursor cursor; /* below root_fd */
	struct own_manifest own;
	/* Looked at file by file, when one is wanted: NULL and `trust` instead of `intact`. */
	bool *intact;
	enum trust *trust;
	bool *twin;  /* another file has the same content, and perhaps the same inode */
	size_t next; /* entry that probably has the path wanted next */
	bool whole; /* every file of the release that it shows is intact */
	uint32_t *by_digest; /* indices of intact files, sorted by digest */
	size_t by_digest_count;
};

/* Where content with some digest lies. */
struct location {
	struct source *source;
	const struct own_entry *entry;
};

struct preparation {
	struct arena arena;
	struct session *session;

	char deployment[64], name[PLACE_NAME_MAX], release_hex[DIGEST_HEX_LEN + 1];
	uint64_t number;
	struct digest release;
	struct buf line;             /* the PREPARE record's fields, for state and journal */
	int64_t commit_time;
	bool copy;                   /* link: copy */
	uid_t user;                  /* who we are */
	bool restoring;
	bool trust_signatures;       /* hash: signature */
	char from[PLACE_NAME_MAX];
	struct slice shared_dirs[64], shared_files[64], generated[64];
	size_t shared_dir_count, shared_file_count, generated_count;

	/* Config files: those that come, or those of a kept activation. */
	struct rendered *rendered; /* sorted by path once render_settle was called */
	size_t rendered_count, rendered_expected;
	uint64_t rendered_bytes;
	char config_from[PLACE_NAME_MAX];
	bool config_from_asked;    /* by that key, not only by `from` */
	char config_key[CONFIG_KEY_HEX_LEN + 1];

	struct arena base_arena;     /* of base, or of the manifest's text where the place has it */
	struct slice base;           /* prefix of the manifest's frame */
	struct decompressor *manifest_decoder;
	struct buf manifest_bytes;
	bool manifest_ended;
	bool manifest_known;         /* no bytes of it are to come */
	bool has_manifest;           /* and the tree has been begun */
	struct manifest manifest;    /* without its text once the tree is begun */

	struct arena source_arena;   /* of sources; given back before the end */
	struct looked *looked;       /* what one of them was taken from; likewise */
	struct source sources[SOURCES_MAX];
	size_t source_count;
	int tree_fd;                 /* prepare/NAME */
	struct tree_cursor cursor;   /* below tree_fd */
	bool mode_holds[2];          /* a file created with 0644, with 0755 has it */

	/* Entries that lack content, chained by digest: wanted maps a digest to the first
	 * entry's index + 1, next[i] goes on. */
	struct map wanted;
	uint32_t *next;
	/* Signatures of linked files, as they were looked at behind the link; NULL for a
	 * large tree. One without a device was not taken. */
	struct signature *taken;
	uint64_t wanted_bytes;
	unsigned rounds;

	/* What came is written to the disk while more comes, not all of it at the end. */
	struct apart syncing;
	bool is_syncing;
	uint64_t unsynced; /* bytes since it was begun */

	struct decompressor *stream_decoder;
	struct object_stream stream;
	struct receiving *receiving;

	uint64_t aside_files, aside_bytes;
	uint64_t files, linked, copied, received, received_bytes, healed, edits, done_bytes;
};

/* Not in the activation as the release has it: under what is shared, or a config file is
 * there instead. */
bool preparation_is_covered(const struct preparation *p, struct slice path);
bool preparation_is_generated(const struct preparation *p, struct slice path);
bool path_is_same_or_below(struct slice path, struct slice top);
/* Relative, clean, inside a release, and not ours; `key` names it in the error. */
int preparation_check_path(const char *key, struct slice path, struct err *err) CHECKED;
/* Folders above a path that the release does not have. */
int preparation_make_parents(struct preparation *p, struct slice path, struct err *err) CHECKED;

/* ahead.c: a helping process for what only has to be linked. */
struct ahead {
	struct preparation *p; /* set by the caller, all else zero */
	bool tried, runs;
	size_t from, to; /* what it does */
	struct ahead_entry {
		bool linked;
		struct signature taken;
	} *entries; /* in shared memory */
	size_t len;
	struct apart apart;
};
/* Starts it once, when links are what is made and enough are left from `next` on. Where
 * that cannot be, everything is done by the caller. */
void ahead_begin(struct ahead *ahead, size_t next);
/* Before the first entry that it may have done: waits until it is through. */
int ahead_await(struct ahead *ahead, size_t index, struct err *err) CHECKED;
/* Whether this one was linked, which is counted then. */
bool ahead_took(struct ahead *ahead, size_t index);
void ahead_free(struct ahead *ahead); /* cleanup function; waits too */

/* obtain.c: from the live activation and other kept ones, and from objects/. */
int obtain_open_sources(struct preparation *p, struct err *err) CHECKED;
void obtain_close_sources(struct preparation *p);
/* Puts entry `index` in place from what is here; *got false when it must come. */
int obtain_entry(struct preparation *p, size_t index, bool *got, struct err *err) CHECKED;
/* Only whether the first source has it under the same path and it can be linked; changes
 * nothing of `p` but the counts and what is taken. */
int obtain_link_same(struct preparation *p, size_t index, bool *got, struct err *err) CHECKED;
/* Links are what becomes of unchanged files here: content cannot be shared in another way. */
bool obtain_links(const struct preparation *p);
/* Another entry with the same content as `first`, which is in place. */
int obtain_twin(struct preparation *p, size_t first, size_t index, struct err *err) CHECKED;
/* Maps the content of an object that is here, for use as a base; *out is empty when there is none. */
int obtain_map_base(struct preparation *p, const struct digest *digest, struct slice *out, struct err *err) CHECKED;
/* Copies a file that lies in the tree already into objects/HEX. */
int obtain_keep_object(struct preparation *p, const struct entry *entry, struct err *err) CHECKED;
/* The same for short content in memory (a link's target), and such content as a file of the tree. */
int obtain_keep_text(struct preparation *p, const struct digest *digest, struct slice text, struct err *err) CHECKED;
int obtain_put_text(struct preparation *p, const struct entry *entry, struct slice text, struct err *err) CHECKED;
/* A new file of the tree, with its mode; its folder and name for who takes it back. */
int obtain_create(struct preparation *p, const struct entry *entry, int *fd_out, int *dir_fd_out,
		  const char **name_out, struct err *err) CHECKED;
/* Opens the content of an entry that is in place: in objects/ when covered, else in the tree. */
int obtain_open_put(struct preparation *p, const struct entry *entry, int *fd_out, struct err *err) CHECKED;

/* receive.c */
int receive_object_data(struct preparation *p, struct slice bytes, struct err *err) CHECKED;
/* Waits for what is being written to the disk; what came after that was begun may not be there. */
int receive_end_sync(struct preparation *p, struct err *err) CHECKED;
void receive_end_offer(struct preparation *p);
void receive_free(struct preparation *p);
