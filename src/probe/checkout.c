#include "probe/checkout.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
	INDEX_MAX = 32 << 20,
	TEXT_MAX = 256 << 10,
	PACKED_REFS_MAX = 8 << 20,
	BLOB_MAX = 64 << 20, /* larger files are not read a second time */
	COMMIT_LEN = 2 * SHA1_LEN,
};

/* A small file of the release, whole; ptr NULL: there is none that we may read. */
static struct slice read_live(struct probe_sink *sink, const char *name, size_t max)
{
	AUTO(buf_free) struct buf text = BUF_INIT(max);
	AUTO(close_fd) int fd = -1;
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
	struct err err = ERR_INIT, second = ERR_INIT;
	struct stat st;

	/* Only an owner may read without leaving a time. */
	if ((open_beneath(sink->request->live_fd, name, flags | O_NOATIME, 0, false, &fd, &err) &&
	     open_beneath(sink->request->live_fd, name, flags, 0, false, &fd, &second)) ||
	    fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fd_read_all(fd, &text, &second))
		return slice_make(NULL, 0);
	return arena_slice(&sink->arena, buf_slice(&text));
}

static bool mentions(struct slice text, const char *const *words, size_t count)
{
	for (size_t i = 0; text.len && i < count; i++)
		if (memmem(text.ptr, text.len, words[i], strlen(words[i])))
			return true;
	return false;
}

/* Attributes can also stand beside the files they are of; which, is not read. */
static bool has_attributes_below(struct git_index index)
{
	struct git_entry entry;

	while (git_index_next(&index, &entry))
		if (slice_ends_with(entry.path, "/.gitattributes"))
			return true;
	return false;
}

bool checkout_open(struct probe_sink *sink, struct checkout *out)
{
	static const char *const settings[] = {"autocrlf", "eol"};
	static const char *const attributes[] = {"filter", "eol", "ident", "working-tree-encoding"};
	static const char *const other_hash[] = {"sha256"};
	struct stat st;

	*out = (struct checkout){0};
	if (sink->request->live_fd < 0 ||
	    fstatat(sink->request->live_fd, ".git/index", &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	struct slice config = read_live(sink, ".git/config", TEXT_MAX);
	if (!config.ptr || mentions(config, other_hash, ARRAY_LEN(other_hash)) ||
	    !git_index_open(read_live(sink, ".git/index", INDEX_MAX), &out->index))
		return false;
	out->written = st.st_mtim.tv_sec;
	out->written_ns = st.st_mtim.tv_nsec;
	out->converts =
		has_attributes_below(out->index) || mentions(config, settings, ARRAY_LEN(settings)) ||
		mentions(read_live(sink, ".gitattributes", TEXT_MAX), attributes, ARRAY_LEN(attributes)) ||
		mentions(read_live(sink, ".git/info/attributes", TEXT_MAX), attributes,
			 ARRAY_LEN(attributes));
	checkout_next(out);
	return true;
}

void checkout_next(struct checkout *checkout)
{
	checkout->has_entry = git_index_next(&checkout->index, &checkout->entry);
}

/* As git decides it: the same size and times, and not so young that a change within the same
 * tick could have gone unseen. */
static bool is_untouched(const struct checkout *checkout, const struct stat *st)
{
	const struct git_entry *entry = &checkout->entry;
	bool knows_ns = entry->mtime_ns != 0;

	if (entry->size != (uint32_t)st->st_size || entry->mtime != (uint32_t)st->st_mtim.tv_sec ||
	    (knows_ns && entry->mtime_ns != st->st_mtim.tv_nsec))
		return false;
	/* A time that was put back leaves this one. */
	if (entry->ctime != (uint32_t)st->st_ctim.tv_sec ||
	    (knows_ns && entry->ctime_ns != st->st_ctim.tv_nsec))
		return false;
	return entry->mtime < checkout->written ||
	       (entry->mtime == checkout->written && knows_ns && entry->mtime_ns < checkout->written_ns);
}

static void begin_blob(struct sha1_stream *stream, int64_t size)
{
	char head[40];

	snprintf(head, sizeof(head), "blob %lld", (long long)size);
	sha1_init(stream);
	sha1_update(stream, slice_make(head, strlen(head) + 1));
}

static bool is_blob(struct sha1_stream *stream, const uint8_t *blob)
{
	uint8_t name[SHA1_LEN];

	sha1_finish(stream, name);
	return memcmp(name, blob, SHA1_LEN) == 0;
}

static bool has_blob(int fd, const struct stat *st, const uint8_t *blob, char *block, size_t block_size)
{
	struct sha1_stream stream;
	off_t at = 0;

	begin_blob(&stream, st->st_size);
	while (at < st->st_size) {
		ssize_t got = pread(fd, block, block_size, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		sha1_update(&stream, slice_make(block, (size_t)got));
		at += got;
	}
	return is_blob(&stream, blob);
}

enum checkout_verdict checkout_judge(const struct checkout *checkout, int fd, const struct stat *st,
				     char *block, size_t block_size)
{
	const struct git_entry *entry = &checkout->entry;

	if (entry->unsure || !entry->is_file || !S_ISREG(st->st_mode))
		return CHECKOUT_UNSURE;
	if (is_untouched(checkout, st))
		return CHECKOUT_SAME;
	if (fd < 0 || st->st_size > BLOB_MAX)
		return CHECKOUT_UNSURE;
	if (has_blob(fd, st, entry->blob, block, block_size))
		return CHECKOUT_SAME;
	return checkout->converts ? CHECKOUT_UNSURE : CHECKOUT_EDITED;
}

enum checkout_verdict checkout_judge_link(const struct checkout *checkout, struct slice target)
{
	struct sha1_stream stream;

	if (checkout->entry.unsure || !checkout->entry.is_link)
		return CHECKOUT_UNSURE;
	begin_blob(&stream, (int64_t)target.len);
	sha1_update(&stream, target);
	return is_blob(&stream, checkout->entry.blob) ? CHECKOUT_SAME : CHECKOUT_EDITED;
}

/* ---- the commit ---- */

static struct slice as_commit(struct slice text)
{
	text = slice_trim(text);
	for (size_t i = 0; i < text.len; i++)
		if (!memchr("0123456789abcdef", text.ptr[i], 16))
			return slice_make(NULL, 0);
	return text.len == COMMIT_LEN ? text : slice_make(NULL, 0);
}

/* "ref: refs/heads/main": in a file of its own, or among those that were packed. */
static struct slice commit_of_ref(struct probe_sink *sink, struct slice ref)
{
	if (!slice_starts_with(ref, "refs/") || ref.len > 400 || memmem(ref.ptr, ref.len, "..", 2))
		return slice_make(NULL, 0);
	const char *path = arena_printf(&sink->arena, ".git/%.*s", SLICE_ARG(ref));
	struct slice commit = as_commit(read_live(sink, path, TEXT_MAX));
	if (commit.ptr)
		return commit;
	for (struct slice rest = read_live(sink, ".git/packed-refs", PACKED_REFS_MAX); rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n'), name = slice_cut(&line, ' ');
		if (line.ptr && slice_equal(line, ref))
			return as_commit(name);
	}
	return slice_make(NULL, 0);
}

struct slice checkout_commit(struct probe_sink *sink)
{
	if (sink->request->live_fd < 0)
		return slice_make(NULL, 0);
	struct slice head = slice_trim(read_live(sink, ".git/HEAD", TEXT_MAX));
	if (slice_starts_with(head, "ref: "))
		return commit_of_ref(sink, slice_skip(head, 5));
	return as_commit(head.len ? head : read_live(sink, "REVISION", TEXT_MAX));
}
