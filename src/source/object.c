/* Reads commits, trees and files of the mirror through one `git cat-file --batch`,
 * which is started at the first question and lives until the source is closed. */
#include "source/internal.h"

#include "base/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

bool hash_is_full(struct slice text)
{
	if (text.len != 40 && text.len != 64)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
		      (text.ptr[i] >= 'a' && text.ptr[i] <= 'f')))
			return false;
	return true;
}

int hash_check(const char *hash, struct err *err)
{
	if (hash_is_full(slice_of(hash)))
		return 0;
	return err_set(err, ERR_USER, "`%.80s` is not the full hash of a commit", hash);
}

/* ---- the batch process ---- */

void object_batch_end(struct source *source)
{
	/* It ends by itself when its input closes; it never holds anything worth waiting for. */
	child_close(&source->batch);
	source->batch_pos = source->batch_len = 0;
}

static int batch_start(struct source *source, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct git_call call = {.args = GIT_ARGS("cat-file", "--batch"), .git_dir = source->mirror};

	if (source->batch.pid > 0)
		return 0;
	if (mirror_need(source, err))
		return -1;
	struct child_spec spec = {.argv = git_argv(&call, &arena),
				  .env = git_environment(source, &call, &arena),
				  .stdin_fd = CHILD_PIPE,
				  .stdout_fd = CHILD_PIPE,
				  .stderr_fd = -1};
	return child_start(&source->batch, &spec, err);
}

static int batch_ask(struct source *source, const char *name, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *line = arena_printf(&arena, "%s\n", name);
	/* If git died, that is an error of this call and not the end of the program. */
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);
	int result = fd_write_all(source->batch.stdin_fd, line, strlen(line), err);

	signal(SIGPIPE, old);
	return result;
}

static int batch_fill(struct source *source, struct err *err)
{
	ssize_t got;

	do
		got = read(source->batch.stdout_fd, source->batch_bytes, sizeof(source->batch_bytes));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(err, "reading from git cat-file");
	if (got == 0)
		return err_set(err, ERR_INTERNAL, "git cat-file ended unexpectedly; is %s damaged?",
			       source->mirror);
	source->batch_pos = 0;
	source->batch_len = (size_t)got;
	return 0;
}

static int batch_line(struct source *source, struct buf *out, struct err *err)
{
	while (true) {
		if (source->batch_pos == source->batch_len && batch_fill(source, err))
			return -1;
		char c = source->batch_bytes[source->batch_pos++];
		if (c == '\n')
			return buf_check(out, "a line of git cat-file", err);
		buf_putc(out, c);
	}
}

static int batch_bytes(struct source *source, uint64_t size, struct buf *out, struct err *err)
{
	while (size > 0) {
		if (source->batch_pos == source->batch_len && batch_fill(source, err))
			return -1;
		size_t piece = (size_t)MIN(size, (uint64_t)(source->batch_len - source->batch_pos));
		if (out)
			buf_put(out, source->batch_bytes + source->batch_pos, piece);
		source->batch_pos += piece;
		size -= piece;
	}
	return 0;
}

static int read_answer(struct source *source, const char *name, const char *type, struct buf *out,
		       char hash_out[COMMIT_HASH_MAX + 1], struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(SOURCE_REF_MAX + 256);
	uint64_t size;

	if (batch_ask(source, name, err) || batch_line(source, &line, err))
		return -1;
	struct slice header = buf_slice(&line);
	if (slice_ends_with(header, " missing") || slice_ends_with(header, " ambiguous"))
		return err_set(err, ERR_NOT_FOUND, "the mirror of %s has no object %s", source->url.shown,
			       name);
	struct slice hash = slice_cut(&header, ' '), kind = slice_cut(&header, ' ');
	if (!hash_is_full(hash) || !header.ptr || !slice_to_u64(header, &size))
		return err_set(err, ERR_INTERNAL, "git cat-file answered `%.200s`", buf_str(&line));
	if (hash_out) {
		memcpy(hash_out, hash.ptr, hash.len);
		hash_out[hash.len] = '\0';
	}
	bool wanted = slice_is(kind, type), fits = out && size <= out->max - out->len;
	if (wanted && out && !fits)
		err_set(err, ERR_USER, "%s is %llu bytes, more than the %zu that are read", name,
			(unsigned long long)size, out->max);
	else if (!wanted)
		err_set(err, ERR_NOT_FOUND, "%s is a %.*s, not a %s", name, SLICE_ARG(kind), type);
	if (!wanted || (out && !fits)) {
		object_batch_end(source); /* cheaper than reading on when it is large */
		return -1;
	}
	return batch_bytes(source, size, out, err) || batch_bytes(source, 1, NULL, err) ? -1 : 0;
}

int object_read(struct source *source, const char *name, const char *type, struct buf *out,
		char hash_out[COMMIT_HASH_MAX + 1], struct err *err)
{
	ASSERT(!strchr(name, '\n'));
	if (batch_start(source, err))
		return -1;
	int result = read_answer(source, name, type, out, hash_out, err);
	if (result && err->code == ERR_INTERNAL)
		object_batch_end(source);
	return result;
}

/* ---- commits ---- */

/* "Ada <ada@x> 1700000000 +0100" */
static void parse_person(struct arena *arena, struct slice text, const char **name, const char **email,
			 int64_t *at_ms)
{
	ptrdiff_t open = slice_find(text, '<'), close = -1;
	int64_t seconds = 0;

	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '>')
			close = (ptrdiff_t)i;
	if (open < 0 || close < open)
		open = close = (ptrdiff_t)text.len;
	if (name)
		*name = arena_str(arena, slice_trim(slice_make(text.ptr, (size_t)open)));
	if (email)
		*email = close > open ? arena_str(arena,
						  slice_make(text.ptr + open + 1, (size_t)(close - open - 1)))
				      : "";
	if (at_ms && (size_t)close < text.len) {
		struct slice rest = slice_trim(slice_skip(text, (size_t)close + 1));
		if (slice_to_i64(slice_cut(&rest, ' '), &seconds) && seconds < INT64_MAX / 1000 &&
		    seconds > INT64_MIN / 1000)
			*at_ms = seconds * 1000;
	}
}

int commit_parse(struct slice bytes, struct arena *arena, struct commit *out, struct err *err)
{
	out->subject = out->author_name = out->author_email = "";
	while (bytes.ptr) {
		struct slice line = slice_cut(&bytes, '\n');
		if (line.len == 0)
			break;
		if (line.ptr[0] == ' ')
			continue; /* goes on from the line before, as signatures do */
		struct slice key = slice_cut(&line, ' ');
		if (!line.ptr)
			continue;
		if (slice_is(key, "tree") && hash_is_full(line)) {
			memcpy(out->tree, line.ptr, line.len);
			out->tree[line.len] = '\0';
		} else if (slice_is(key, "author")) {
			parse_person(arena, line, &out->author_name, &out->author_email, NULL);
		} else if (slice_is(key, "committer")) {
			parse_person(arena, line, NULL, NULL, &out->committed_ms);
		}
	}
	while (bytes.ptr) {
		struct slice line = slice_trim(slice_cut(&bytes, '\n'));
		if (line.len == 0)
			continue;
		out->subject = arena_str(arena, line);
		break;
	}
	return out->tree[0] ? 0 : err_set(err, ERR_INTERNAL, "commit %s names no tree", out->hash);
}

int source_load_commit(struct source *source, const char *hash, struct arena *arena, struct commit *out,
		       struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(COMMIT_BYTES_MAX);

	*out = (struct commit){.ref_kind = REF_COMMIT};
	if (hash_check(hash, err))
		return -1;
	if (object_read(source, hash, "commit", &bytes, out->hash, err)) {
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "%s has no commit %s", source->url.shown, hash);
		return -1;
	}
	out->ref = arena_strdup(arena, out->hash);
	return commit_parse(buf_slice(&bytes), arena, out, err);
}

/* ---- files ---- */

struct tree_entry {
	struct slice mode, name;
	char hash[COMMIT_HASH_MAX + 1];
};

/* A tree object is a sequence of `mode SP name NUL hash`. */
static bool next_entry(struct slice *rest, size_t hash_len, struct tree_entry *entry)
{
	static const char digits[] = "0123456789abcdef";
	ptrdiff_t space = slice_find(*rest, ' '), nul = slice_find(*rest, '\0');

	if (space < 0 || nul < space || rest->len - (size_t)nul - 1 < hash_len)
		return false;
	entry->mode = slice_make(rest->ptr, (size_t)space);
	entry->name = slice_make(rest->ptr + space + 1, (size_t)(nul - space - 1));
	const unsigned char *raw = (const unsigned char *)rest->ptr + nul + 1;
	for (size_t i = 0; i < hash_len; i++) {
		entry->hash[2 * i] = digits[raw[i] >> 4];
		entry->hash[2 * i + 1] = digits[raw[i] & 15];
	}
	entry->hash[2 * hash_len] = '\0';
	*rest = slice_skip(*rest, (size_t)nul + 1 + hash_len);
	return true;
}

static int find_in_tree(struct source *source, const char *tree, struct slice name, struct tree_entry *found,
			bool *is_there, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(TREE_BYTES_MAX);
	struct tree_entry entry;

	*is_there = false;
	if (object_read(source, tree, "tree", &bytes, NULL, err))
		return -1;
	for (struct slice rest = buf_slice(&bytes); next_entry(&rest, strlen(tree) / 2, &entry);)
		if (slice_equal(entry.name, name)) {
			/* Only what outlives the buffer is handed out. */
			entry.name = name;
			entry.mode = slice_starts_with(entry.mode, "100")   ? SLICE("file")
				     : slice_starts_with(entry.mode, "40")  ? SLICE("folder")
				     : slice_starts_with(entry.mode, "120") ? SLICE("link")
									    : SLICE("submodule");
			*found = entry;
			*is_there = true;
			break;
		}
	return 0;
}

int source_read_file(struct source *source, const char *hash, const char *path, struct buf *out,
		     struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct commit commit;
	struct tree_entry entry = {.mode = SLICE("folder")};
	bool there = true;

	if (source_load_commit(source, hash, &arena, &commit, err))
		return -1;
	memcpy(entry.hash, commit.tree, sizeof(entry.hash));
	for (struct slice rest = slice_of(path); rest.ptr && there;) {
		struct slice name = slice_cut(&rest, '/');
		if (name.len == 0)
			continue;
		char tree[COMMIT_HASH_MAX + 1];
		memcpy(tree, entry.hash, sizeof(tree));
		there = slice_is(entry.mode, "folder");
		if (there && find_in_tree(source, tree, name, &entry, &there, err))
			return err_wrap(err, "reading %s of commit %.12s", path, hash);
	}
	if (!there)
		return err_set(err, ERR_NOT_FOUND, "commit %.12s has no file %s", hash, path);
	if (!slice_is(entry.mode, "file"))
		return err_set(err, ERR_NOT_FOUND, "%s of commit %.12s is a %.*s, not a file", path, hash,
			       SLICE_ARG(entry.mode));
	AUTO(buf_free) struct buf content = BUF_INIT(MIN(out->max - out->len, (size_t)SOURCE_FILE_MAX));
	if (object_read(source, entry.hash, "blob", &content, NULL, err))
		return err_wrap(err, "reading %s of commit %.12s", path, hash);
	buf_put_slice(out, buf_slice(&content));
	return 0;
}
