/* The record of a build: written once, read by everybody who asks for the same. */
#include "build/internal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/random.h"
#include "codec/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *record_folder(const char *home, const struct digest *key, struct arena *arena)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(key, hex);
	return arena_printf(arena, "%s/builds/%s", home, hex);
}

/* ---- reading ---- */

static int need_digest(const struct record *record, const char *key, struct digest *out, struct err *err)
{
	struct slice value;

	if (record_need(record, key, &value, err))
		return -1;
	return digest_from_hex(value, out) ? 0 : err_set(err, ERR_INTERNAL, "%s= is no digest", key);
}

static int need_hash(const struct record *record, const char *key, char out[COMMIT_HASH_MAX + 1],
		     struct err *err)
{
	struct slice value;

	if (record_need(record, key, &value, err))
		return -1;
	if (value.len > COMMIT_HASH_MAX)
		return err_set(err, ERR_INTERNAL, "%s= is no hash", key);
	memcpy(out, value.ptr, value.len);
	out[value.len] = '\0';
	return 0;
}

static int parse(struct slice line, struct arena *arena, struct build_record *out, struct err *err)
{
	struct record record;

	*out = (struct build_record){0};
	if (record_parse_sealed(arena, line, &record, err) ||
	    need_digest(&record, "release", &out->release, err) ||
	    need_digest(&record, "key", &out->key, err) ||
	    need_digest(&record, "recipe", &out->recipe, err) || need_hash(&record, "tree", out->tree, err) ||
	    need_hash(&record, "commit", out->commit, err))
		return -1;
	out->ref = record_get_str(arena, &record, "ref");
	out->subject = record_get_str(arena, &record, "subject");
	out->project = record_get_str(arena, &record, "project");
	out->platform = record_get_str(arena, &record, "platform");
	out->by = record_get_str(arena, &record, "by");
	out->log = record_get_str(arena, &record, "log");
	out->built_ms = record_get_i64(&record, "at", 0);
	out->duration_ms = record_get_i64(&record, "duration", 0);
	return 0;
}

int record_load(const char *folder, struct arena *arena, struct build_record *out, bool *found,
		struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(RECORD_LEN_MAX);
	const char *path = arena_printf(arena, "%s/release", folder);

	*found = false;
	if (file_read_at(AT_FDCWD, path, &bytes, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	if (parse(slice_trim(buf_slice(&bytes)), arena, out, err)) {
		err_wrap(err, "the record of the build at %s is damaged", path);
		return err_hint(err, "if you remove that file, the next deployment builds again");
	}
	*found = true;
	return 0;
}

int build_load(const char *home, const struct digest *key, struct arena *arena, struct build_record *out,
	       struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1];
	bool found;

	if (record_load(record_folder(home, key, arena), arena, out, &found, err))
		return -1;
	digest_to_hex(key, hex);
	return found ? 0 : err_set(err, ERR_NOT_FOUND, "nothing was built here for %.12s", hex);
}

static int newest_first(const void *a, const void *b)
{
	const struct build_record *x = a, *y = b;

	return (x->built_ms < y->built_ms) - (x->built_ms > y->built_ms);
}

struct listing {
	struct arena *arena;
	const char *folder;
	struct build_record *records;
	size_t count, cap;
};

static int take(void *context, const char *name, struct err *err)
{
	struct listing *list = context;
	struct build_record record;
	struct err damaged = ERR_INIT;
	bool found;

	(void)err;
	if (record_load(arena_printf(list->arena, "%s/%s", list->folder, name), list->arena, &record, &found,
			&damaged) ||
	    !found)
		return 0;
	if (list->count == list->cap) {
		size_t cap = MAX(list->cap * 2, (size_t)16);
		struct build_record *larger = ARENA_NEW_ARRAY(list->arena, cap, struct build_record);
		if (list->count)
			memcpy(larger, list->records, list->count * sizeof(*larger));
		list->records = larger;
		list->cap = cap;
	}
	list->records[list->count++] = record;
	return 0;
}

int build_list(const char *home, struct arena *arena, struct build_record **records_out, size_t *count_out,
	       struct err *err)
{
	struct listing list = {.arena = arena, .folder = arena_printf(arena, "%s/builds", home)};

	*records_out = NULL;
	*count_out = 0;
	if (dir_each_at(AT_FDCWD, list.folder, take, &list, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	if (list.count)
		qsort(list.records, list.count, sizeof(*list.records), newest_first);
	*records_out = list.records;
	*count_out = list.count;
	return 0;
}

/* ---- writing ---- */

static void put_digest(struct buf *out, const char *key, const struct digest *digest)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	record_put_str(out, key, hex);
}

/* Names and subjects may be of any length; a record may not. */
static void put_short(struct buf *out, const char *key, const char *value)
{
	if (value && *value)
		record_put(out, key, slice_make(value, MIN(strlen(value), (size_t)1024)));
}

static void encode(const struct build_record *record, struct buf *out)
{
	record_begin(out, "built");
	put_digest(out, "release", &record->release);
	put_digest(out, "key", &record->key);
	put_digest(out, "recipe", &record->recipe);
	record_put_str(out, "tree", record->tree);
	record_put_str(out, "commit", record->commit);
	put_short(out, "ref", record->ref);
	put_short(out, "subject", record->subject);
	put_short(out, "project", record->project);
	put_short(out, "platform", record->platform);
	put_short(out, "by", record->by);
	record_put_i64(out, "at", record->built_ms);
	record_put_i64(out, "duration", record->duration_ms);
	record_put_opt(out, "log", record->log);
	record_seal(out, 0);
}

static int write_temporary(int dir_fd, const char *name, struct slice bytes, struct err *err)
{
	AUTO(close_fd) int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(err, "%s", name);
	if (fd_write_all(fd, bytes.ptr, bytes.len, err))
		return err_wrap(err, "%s", name);
	return fsync(fd) ? err_errno(err, "syncing %s", name) : 0;
}

static int publish(int dir_fd, const char *temporary, bool replaces, struct err *err)
{
	char lost[64];

	if (replaces) {
		snprintf(lost, sizeof(lost), "release.lost-%lld", (long long)clock_wall_ms());
		if (renameat(dir_fd, "release", dir_fd, lost) != 0 && errno != ENOENT)
			return err_errno(err, "release");
	}
	/* link(2) fails where a name exists, rename(2) would replace it: whoever was first stays. */
	if (linkat(dir_fd, temporary, dir_fd, "release", 0) != 0) {
		if (errno == EEXIST)
			return err_set(err, ERR_CONFLICT, "another build recorded its result first");
		return err_errno(err, "release");
	}
	return 0;
}

int record_save(const char *folder, const struct build_record *record, bool replaces, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(RECORD_LEN_MAX);
	AUTO(close_fd) int dir_fd = -1;
	char temporary[32] = "release.new-";
	uint8_t random[6];

	encode(record, &bytes);
	if (buf_check(&bytes, "the record of the build", err) || dir_open_at(AT_FDCWD, folder, &dir_fd, err))
		return -1;
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), temporary + strlen(temporary));
	int result = write_temporary(dir_fd, temporary, buf_slice(&bytes), err) ||
				     publish(dir_fd, temporary, replaces, err)
			     ? -1
			     : 0;
	unlinkat(dir_fd, temporary, 0);
	return result || dir_sync(dir_fd, err) ? err_wrap(err, "recording the build in %s", folder) : 0;
}
