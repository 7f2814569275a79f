/* What is read from a place: journal lines, manifests, and objects for fetching a
 * release back. */
#include "agent/session.h"
#include "agent/signature.h"
#include "agent/tree.h"

#include "base/fd.h"
#include "base/map.h"
#include "codec/compress.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- journal ------------------------------------------------------------------ */

struct lines {
	struct session *session;
	uint64_t skip, count;
};

static int count_line(void *context, struct slice line, struct err *err)
{
	(void)line, (void)err;
	((struct lines *)context)->count++;
	return 0;
}

static int send_line(void *context, struct slice line, struct err *err)
{
	struct lines *lines = context;
	AUTO(buf_free) struct buf text = BUF_INIT(FRAME_PAYLOAD_MAX);

	if (lines->skip) {
		lines->skip--;
		return 0;
	}
	record_begin(&text, "line");
	record_put(&text, "line", line);
	/* A line too long to send was never written by us. */
	return text.overflow ? 0 : session_send_record(lines->session, MSG_LINE, &text, err);
}

int handle_journal(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(256);
	struct lines lines = {.session = session};
	uint64_t last = record_get_u64(request, "last", 0);

	if (journal_each(&session->place, count_line, &lines, err))
		return -1;
	lines.skip = last && lines.count > last ? lines.count - last : 0;
	if (journal_each(&session->place, send_line, &lines, err))
		return -1;
	record_begin(&text, "done");
	record_put_u64(&text, "lines", lines.count);
	return session_send_record(session, MSG_DONE, &text, err);
}

/* --- data out ------------------------------------------------------------------- */

static int send_pieces(struct session *session, enum message_type type, struct buf *out, bool all,
		       struct err *err)
{
	size_t sent = 0;

	while (out->len - sent >= (all ? (size_t)1 : (size_t)FRAME_PAYLOAD_MAX)) {
		size_t piece = MIN(out->len - sent, (size_t)FRAME_PAYLOAD_MAX);
		if (session_send(session, type, slice_make(out->ptr + sent, piece), err))
			return -1;
		sent += piece;
	}
	buf_consume(out, sent);
	return 0;
}

int handle_manifest_get(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf packed = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO(buf_free) struct buf text = BUF_INIT(256);
	struct manifest manifest, base = {0};
	struct slice prefix = {0};
	const char *base_hex = record_get_str(&arena, request, "base");

	if (release_manifest_load(&session->place, record_get_str(&arena, request, "release"), &arena,
				  &manifest, err))
		return -1;
	if (*base_hex && release_manifest_load(&session->place, base_hex, &arena, &base, err))
		return -1;
	if (base.bytes.len <= COMPRESS_PREFIX_MAX)
		prefix = base.bytes;
	if (compress_all(AGENT_LEVEL, prefix, manifest.bytes, &packed, err) ||
	    send_pieces(session, MSG_MANIFEST_DATA, &packed, true, err))
		return -1;
	record_begin(&text, "done");
	record_put_u64(&text, "bytes", manifest.bytes.len);
	return session_send_record(session, MSG_DONE, &text, err);
}

/* --- objects ---------------------------------------------------------------------- */

struct fetching {
	struct session *session;
	struct compressor *compressor;
	struct buf out;
};

/* Hashes first and sends then: what arrives was right when it left. */
static int try_file(struct fetching *fetching, int fd, const struct digest *wanted, bool *sent,
		    struct err *err)
{
	struct digest found;
	uint64_t size;
	AUTO(buf_free) struct buf header = BUF_INIT(OBJECT_HEADER_MAX);
	char piece[64 << 10];
	size_t got;

	if (digest_of_fd(fd, &found, &size, err))
		return -1;
	if (!digest_equal(&found, wanted) || lseek(fd, 0, SEEK_SET) != 0)
		return 0;
	object_header_put(&header,
			  &(struct object_header){.kind = OBJECT_PLAIN, .digest = *wanted, .length = size});
	if (compressor_feed(fetching->compressor, buf_slice(&header), &fetching->out, err))
		return -1;
	for (uint64_t left = size; left; left -= got) {
		if (fd_read_full(fd, piece, (size_t)MIN(left, (uint64_t)sizeof(piece)), &got, err))
			return -1;
		if (got == 0)
			return err_set(err, ERR_INTERNAL, "a file became shorter while it was being sent");
		if (compressor_feed(fetching->compressor, slice_make(piece, got), &fetching->out, err) ||
		    send_pieces(fetching->session, MSG_OBJECT_DATA, &fetching->out, false, err))
			return -1;
	}
	*sent = true;
	return 0;
}

static int try_link(struct fetching *fetching, const char *target, size_t len, const struct digest *wanted,
		    bool *sent, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(OBJECT_HEADER_MAX + MANIFEST_LINK_MAX);
	struct digest found;

	digest_of(slice_make(target, len), &found);
	if (!digest_equal(&found, wanted))
		return 0;
	object_header_put(&bytes,
			  &(struct object_header){.kind = OBJECT_PLAIN, .digest = *wanted, .length = len});
	buf_put(&bytes, target, len);
	*sent = true;
	return compressor_feed(fetching->compressor, buf_slice(&bytes), &fetching->out, err);
}

static int try_entry(struct fetching *fetching, const char *activation, const struct own_entry *entry,
		     const struct digest *wanted, bool *sent, struct err *err)
{
	struct place *place = &fetching->session->place;
	AUTO(tree_cursor_close) struct tree_cursor cursor;
	AUTO(close_fd) int root_fd = -1;
	struct err unusable = ERR_INIT;
	char path[PLACE_NAME_MAX + 16], target[MANIFEST_LINK_MAX + 1];
	const char *name;
	int dir_fd;

	snprintf(path, sizeof(path), "releases/%s", activation);
	tree_cursor_init(&cursor, -1);
	if (open_beneath(place->dir_fd, path, O_RDONLY | O_DIRECTORY, 0, false, &root_fd, &unusable))
		return 0;
	cursor.root_fd = root_fd;
	if (tree_parent(&cursor, entry->entry.path, &dir_fd, &name, &unusable))
		return 0;
	if (entry->entry.type == ENTRY_LINK) {
		ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));
		return len > 0 ? try_link(fetching, target, (size_t)len, wanted, sent, err) : 0;
	}
	AUTO(close_fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	return try_file(fetching, fd, wanted, sent, err);
}

/* One object that was asked for. */
struct wish {
	struct slice hex;
	struct digest digest;
	bool sent;
};

static int read_wishes(struct arena *arena, const struct record *request, struct wish **out, size_t *count,
		       struct err *err)
{
	struct slice hex;
	size_t cursor = 0;

	*count = 0;
	*out = ARENA_NEW_ARRAY(arena, NEED_MAX, struct wish);
	while (record_next(request, "digest", &cursor, &hex)) {
		if (*count == NEED_MAX)
			return err_set(err, ERR_USER, "more than %d objects were asked for at once",
				       NEED_MAX);
		struct wish *wish = &(*out)[(*count)++];
		wish->hex = hex;
		if (!digest_from_hex(hex, &wish->digest))
			return err_set(err, ERR_USER, "\"%.*s\" is no digest", SLICE_ARG(hex));
	}
	return 0;
}

static int fetch_kept(struct fetching *fetching, struct wish *wish, struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1], path[DIGEST_HEX_LEN + 16];

	digest_to_hex(&wish->digest, hex);
	snprintf(path, sizeof(path), "objects/%s", hex);
	AUTO(close_fd)
	int fd = openat(fetching->session->place.private_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? try_file(fetching, fd, &wish->digest, &wish->sent, err) : 0;
}

/* What one activation shows of what is still wished for. */
static int fetch_shown(struct fetching *fetching, const char *activation, const struct map *by_digest,
		       size_t *missing, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct own_manifest own;
	struct err unusable = ERR_INIT;

	if (own_load(&fetching->session->place, activation, &arena, NULL, &own, &unusable))
		return 0;
	for (size_t i = 0; i < own.count && *missing; i++) {
		const struct own_entry *entry = &own.entries[i];
		if (entry->entry.type == ENTRY_DIR ||
		    (entry->show != SHOW_TREE && entry->show != SHOW_GENERATED))
			continue;
		struct wish *wish = map_get(by_digest, slice_make(entry->entry.digest.bytes, DIGEST_LEN));
		if (!wish || wish->sent)
			continue;
		if (try_entry(fetching, activation, entry, &wish->digest, &wish->sent, err) ||
		    session_breathe(fetching->session, "send", 0, 0, 0, 0, err))
			return -1;
		*missing -= wish->sent;
	}
	return 0;
}

/* From objects/, then from the activations, the newest first: one after the other,
 * since each may be large. */
static int fetch_all(struct fetching *fetching, struct wish *wishes, size_t count, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(map_free) struct map by_digest = MAP_INIT;
	AUTO(buf_free) struct buf end = BUF_INIT(OBJECT_HEADER_MAX);
	struct session *session = fetching->session;
	const char **names;
	size_t name_count, missing = count;

	if (place_activations(&session->place, &arena, &names, &name_count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct slice key = slice_make(wishes[i].digest.bytes, DIGEST_LEN);
		/* Asked for twice is sent once. */
		if (map_get(&by_digest, key)) {
			wishes[i].sent = true;
			missing--;
			continue;
		}
		map_put(&by_digest, key, &wishes[i]);
		if (fetch_kept(fetching, &wishes[i], err) ||
		    session_breathe(session, "send", i, count, 0, 0, err))
			return -1;
		missing -= wishes[i].sent;
	}
	for (size_t i = 0; i < name_count && missing; i++)
		if (fetch_shown(fetching, names[i], &by_digest, &missing, err))
			return -1;
	for (size_t i = 0; i < count; i++) {
		const struct wish *first =
			map_get(&by_digest, slice_make(wishes[i].digest.bytes, DIGEST_LEN));
		wishes[i].sent = first->sent;
	}
	object_header_put(&end, &(struct object_header){.kind = OBJECT_END});
	if (compressor_feed(fetching->compressor, buf_slice(&end), &fetching->out, err) ||
	    compressor_end(fetching->compressor, &fetching->out, err))
		return -1;
	return send_pieces(session, MSG_OBJECT_DATA, &fetching->out, true, err);
}

int handle_object_get(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct fetching fetching = {session, NULL, BUF_INIT(MIB(4))};
	struct wish *wishes;
	size_t count;
	uint64_t found = 0;

	if (read_wishes(&arena, request, &wishes, &count, err))
		return -1;
	fetching.compressor = compressor_new(AGENT_LEVEL, slice_make(NULL, 0));
	int result = fetch_all(&fetching, wishes, count, err);
	compressor_free(&fetching.compressor);
	buf_free(&fetching.out);
	if (result)
		return -1;
	record_begin(&text, "done");
	for (size_t i = 0; i < count; i++) {
		if (!wishes[i].sent)
			record_put(&text, "missing", wishes[i].hex);
		found += wishes[i].sent;
	}
	record_put_u64(&text, "found", found);
	return session_send_record(session, MSG_DONE, &text, err);
}
