/* From what a person writes (a branch, a tag, a pattern, the start of a hash) to
 * one commit, or to a message that says which names were near. */
#include "source/internal.h"

#include "base/map.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { ABBREVIATION_MIN = 4, NEAREST_MAX = 3, AMBIGUOUS_SHOWN = 4, BRANCHES_SHOWN = 5 };

/* ---- the list of refs ---- */

struct listing {
	struct source_ref *refs;
	size_t count, cap;
	struct map upstream; /* tag name → its commit upstream */
	char head[COMMIT_HASH_MAX + 1];
};

static void copy_hash(char out[COMMIT_HASH_MAX + 1], struct slice hash)
{
	size_t len = MIN(hash.len, (size_t)COMMIT_HASH_MAX);

	memcpy(out, hash.ptr, len);
	out[len] = '\0';
}

/* The commit a line of for-each-ref shows, *found false for tags of other things. */
static int peel(struct source *source, struct slice hash, struct slice type, struct slice target,
		struct slice target_type, char out[COMMIT_HASH_MAX + 1], bool *found, struct err *err)
{
	AUTO(buf_free) struct buf ignored = BUF_INIT(COMMIT_BYTES_MAX);
	char name[COMMIT_HASH_MAX + 16];

	*found = true;
	if (slice_is(type, "commit")) {
		copy_hash(out, hash);
		return 0;
	}
	if (slice_is(target_type, "commit")) {
		copy_hash(out, target);
		return 0;
	}
	*found = slice_is(target_type, "tag");
	if (!*found)
		return 0;
	/* A tag of a tag. */
	snprintf(name, sizeof(name), "%.*s^{commit}", (int)MIN(hash.len, (size_t)COMMIT_HASH_MAX), hash.ptr);
	if (object_read(source, name, "commit", &ignored, out, err) == 0)
		return 0;
	if (err->code != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	*found = false;
	return 0;
}

static int take_line(struct source *source, struct slice line, struct listing *list, struct arena *arena,
		     struct err *err)
{
	struct slice hash = slice_cut(&line, ' '), type = slice_cut(&line, ' '),
		     target = slice_cut(&line, ' '), target_type = slice_cut(&line, ' ');
	char commit[COMMIT_HASH_MAX + 1];
	struct source_ref ref = {0};
	bool found;

	if (!line.ptr)
		return 0;
	if (peel(source, hash, type, target, target_type, commit, &found, err))
		return -1;
	if (!found)
		return 0;
	if (slice_is(line, "refs/upstream/HEAD")) {
		memcpy(list->head, commit, sizeof(list->head));
		return 0;
	}
	if (slice_starts_with(line, "refs/upstream/tags/")) {
		struct slice name = arena_slice(arena, slice_skip(line, strlen("refs/upstream/tags/")));
		map_put(&list->upstream, name, arena_strdup(arena, commit));
		return 0;
	}
	ref.kind = slice_starts_with(line, "refs/heads/") ? REF_BRANCH : REF_TAG;
	ref.name = arena_str(arena,
			     slice_skip(line, strlen(ref.kind == REF_BRANCH ? "refs/heads/" : "refs/tags/")));
	memcpy(ref.hash, commit, sizeof(ref.hash));
	ASSERT(list->count < list->cap);
	list->refs[list->count++] = ref;
	return 0;
}

static int load_refs(struct source *source, struct arena *arena, struct listing *list, struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(REFS_BYTES_MAX);
	struct git_call call = {.args = GIT_ARGS("for-each-ref", "--sort=-version:refname",
						 "--format=%(objectname) %(objecttype) %(*objectname) "
						 "%(*objecttype) %(refname)",
						 "refs/heads/", "refs/tags/", "refs/upstream/"),
				.git_dir = source->mirror};

	*list = (struct listing){0};
	if (mirror_need(source, err) || git_run(source, &call, slice_of(""), &out, NULL, err))
		return -1;
	for (size_t i = 0; i < out.len; i++)
		list->cap += out.ptr[i] == '\n';
	list->refs = ARENA_NEW_ARRAY(arena, list->cap + 1, struct source_ref);
	for (struct slice rest = buf_slice(&out); rest.ptr;)
		if (take_line(source, slice_cut(&rest, '\n'), list, arena, err))
			return -1;
	for (size_t i = 0; i < list->count; i++) {
		const char *now = list->refs[i].kind == REF_TAG
					  ? map_get(&list->upstream, slice_of(list->refs[i].name))
					  : NULL;
		if (now)
			memcpy(list->refs[i].upstream, now, strlen(now) + 1);
	}
	return 0;
}

static void listing_free(struct listing *list)
{
	map_free(&list->upstream);
}

int source_list_refs(struct source *source, struct arena *arena, struct source_ref **refs_out,
		     size_t *count_out, struct err *err)
{
	AUTO(listing_free) struct listing list = {0};

	if (load_refs(source, arena, &list, err))
		return -1;
	struct source_ref *sorted = ARENA_NEW_ARRAY(arena, list.count + 1, struct source_ref);
	size_t at = 0;
	for (int kind = REF_BRANCH; kind <= REF_TAG; kind++)
		for (size_t i = 0; i < list.count; i++)
			if (list.refs[i].kind == (enum ref_kind)kind)
				sorted[at++] = list.refs[i];
	*refs_out = sorted;
	*count_out = at;
	return 0;
}

/* ---- resolving ---- */

static const struct source_ref *find_ref(const struct listing *list, enum ref_kind kind, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->refs[i].kind == kind && strcmp(list->refs[i].name, name) == 0)
			return &list->refs[i];
	return NULL;
}

static int check_tag(struct source *source, const struct source_ref *tag, struct err *err)
{
	if (tag->upstream[0] == '\0') {
		err_set(err, ERR_CONFLICT,
			"tag %s was withdrawn: it showed commit %.12s and is no longer in %s", tag->name,
			tag->hash, source->url.shown);
		return err_hint(err, "deploy the commit itself if that is what you want: %.12s", tag->hash);
	}
	if (strcmp(tag->upstream, tag->hash) != 0) {
		err_set(err, ERR_CONFLICT, "tag %s was moved: it showed commit %.12s, now it shows %.12s",
			tag->name, tag->hash, tag->upstream);
		return err_hint(
			err,
			"a tag should never move: give the new commit a tag of its own, or deploy it by its "
			"hash. To accept the move: git --git-dir='%s' update-ref -d 'refs/tags/%s', then "
			"fetch again",
			source->mirror, tag->name);
	}
	return 0;
}

static int finish(struct source *source, const struct source_ref *ref, enum ref_kind kind,
		  struct arena *arena, struct commit *out, struct err *err)
{
	if (ref->kind == REF_TAG && check_tag(source, ref, err))
		return -1;
	if (source_load_commit(source, ref->hash, arena, out, err))
		return -1;
	out->ref = arena_strdup(arena, ref->name);
	out->ref_kind = kind;
	return 0;
}

static int resolve_pattern(struct source *source, const struct listing *list, const char *pattern,
			   struct arena *arena, struct commit *out, struct err *err)
{
	/* Highest version first; withdrawn tags are as if they had never been. */
	for (size_t i = 0; i < list->count; i++)
		if (list->refs[i].kind == REF_TAG && list->refs[i].upstream[0] &&
		    slice_glob_match(slice_of(pattern), slice_of(list->refs[i].name)))
			return finish(source, &list->refs[i], REF_PATTERN, arena, out, err);
	return err_set(err, ERR_NOT_FOUND, "no tag of %s matches `%s`", source->url.shown, pattern);
}

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!isxdigit((unsigned char)text.ptr[i]))
			return false;
	return text.len >= ABBREVIATION_MIN && text.len <= COMMIT_HASH_MAX;
}

/* The commits whose hash starts so. */
static int list_abbreviated(struct source *source, const char *prefix, struct buf *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf objects = BUF_INIT(4 << 20);
	AUTO(buf_free) struct buf types = BUF_INIT(8 << 20);
	struct git_call find = {
		.args = GIT_ARGS("rev-parse", arena_printf(&arena, "--disambiguate=%s", prefix)),
		.git_dir = source->mirror};
	struct git_call check = {.args = GIT_ARGS("cat-file", "--batch-check=%(objectname) %(objecttype)"),
				 .git_dir = source->mirror};

	if (git_run(source, &find, slice_of(""), &objects, NULL, err))
		return -1;
	if (objects.len && git_run(source, &check, buf_slice(&objects), &types, NULL, err))
		return -1;
	for (struct slice rest = buf_slice(&types); rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		struct slice hash = slice_cut(&line, ' ');
		if (slice_is(line, "commit") && hash_is_full(hash))
			buf_printf(out, "%.*s\n", SLICE_ARG(hash));
	}
	return buf_check(out, "the list of commits", err);
}

static int say_ambiguous(struct source *source, const char *ref, struct slice hashes, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(1024);
	struct err ignored = ERR_INIT;
	size_t count = 0;

	while (hashes.ptr) {
		struct commit commit;
		struct slice hash = slice_cut(&hashes, '\n');
		if (hash.len == 0 || count++ >= AMBIGUOUS_SHOWN)
			continue;
		if (source_load_commit(source, arena_str(&arena, hash), &arena, &commit, &ignored))
			continue;
		buf_printf(&text, "\n  %.16s  ", commit.hash);
		buf_put_printable(&text, slice_make(commit.subject, MIN(strlen(commit.subject), (size_t)60)));
	}
	err_set(err, ERR_USER, "`%s` could be any of %zu commits:%s%s", ref, count, buf_str(&text),
		count > AMBIGUOUS_SHOWN ? "\n  …" : "");
	return err_hint(err, "give more digits");
}

/* *found false when no commit starts so. */
static int resolve_hash(struct source *source, const char *ref, struct arena *arena, struct commit *out,
			bool *found, struct err *err)
{
	AUTO(buf_free) struct buf hashes = BUF_INIT(1 << 20);
	char *lower = arena_strdup(arena, ref);

	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	*found = true;
	if (hash_is_full(slice_of(lower))) {
		if (source_load_commit(source, lower, arena, out, err) == 0)
			return 0;
		if (err->code == ERR_NOT_FOUND)
			err_hint(err, "is it pushed? Only commits that a branch or tag of the repository "
				      "reaches are "
				      "fetched");
		return -1;
	}
	if (list_abbreviated(source, lower, &hashes, err))
		return -1;
	struct slice rest = buf_slice(&hashes);
	*found = hashes.len > 0;
	if (!*found)
		return 0;
	struct slice first = slice_cut(&rest, '\n');
	if (rest.len > 0)
		return say_ambiguous(source, ref, buf_slice(&hashes), err);
	return source_load_commit(source, arena_str(arena, first), arena, out, err);
}

static void hint_nearest(const struct listing *list, const char *ref, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(512);
	const char *best[NEAREST_MAX] = {NULL};
	size_t distance[NEAREST_MAX], limit = MAX((size_t)2, strlen(ref) / 3);

	for (size_t i = 0; i < list->count; i++) {
		const char *name = list->refs[i].name;
		size_t d = slice_edit_distance(slice_of(ref), slice_of(name));
		if (strlen(ref) >= 3 && strstr(name, ref))
			d = MIN(d, (size_t)1);
		for (size_t at = 0; d <= limit && at < NEAREST_MAX; at++) {
			if (best[at] && distance[at] <= d)
				continue;
			memmove(best + at + 1, best + at, (NEAREST_MAX - 1 - at) * sizeof(best[0]));
			memmove(distance + at + 1, distance + at,
				(NEAREST_MAX - 1 - at) * sizeof(distance[0]));
			best[at] = name;
			distance[at] = d;
			break;
		}
	}
	for (size_t i = 0; i < NEAREST_MAX && best[i]; i++) {
		buf_puts(&text, i ? ", " : "");
		buf_put_printable(&text, slice_of(best[i]));
	}
	if (text.len) {
		err_hint(err, "did you mean %s?", buf_str(&text));
		return;
	}
	for (size_t i = 0, shown = 0; i < list->count && shown < BRANCHES_SHOWN; i++) {
		if (list->refs[i].kind != REF_BRANCH)
			continue;
		buf_puts(&text, shown++ ? ", " : "");
		buf_put_printable(&text, slice_of(list->refs[i].name));
	}
	err_hint(err, "it must be pushed to be found: a branch%s%s%s, a tag, a tag pattern or a commit",
		 text.len ? " (there are: " : "", buf_str(&text), text.len ? ")" : "");
}

static int check_ref(const char *ref, struct err *err)
{
	size_t len = strlen(ref);

	if (len > SOURCE_REF_MAX)
		return err_set(err, ERR_USER, "the ref is longer than %d bytes", SOURCE_REF_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)ref[i] <= 0x20 || ref[i] == 0x7f)
			return err_set(err, ERR_USER, "a ref holds no spaces or control characters");
	return ref[0] == '-' ? err_set(err, ERR_USER,
				       "`%s` is no ref: no name of a branch or tag starts with `-`", ref)
			     : 0;
}

static int resolve_name(struct source *source, const struct listing *list, const char *ref,
			struct arena *arena, struct commit *out, bool *found, struct err *err)
{
	const struct source_ref *branch = find_ref(list, REF_BRANCH, ref),
				*tag = find_ref(list, REF_TAG, ref);

	if (strncmp(ref, "refs/heads/", 11) == 0)
		branch = find_ref(list, REF_BRANCH, ref + 11);
	if (strncmp(ref, "refs/tags/", 10) == 0)
		tag = find_ref(list, REF_TAG, ref + 10);
	*found = branch || tag;
	if (!*found)
		return 0;
	if (branch && tag) {
		err_set(err, ERR_USER, "`%s` is both a branch (%.12s) and a tag (%.12s)", ref, branch->hash,
			tag->hash);
		return err_hint(err, "write refs/heads/%s or refs/tags/%s", ref, ref);
	}
	return finish(source, branch ? branch : tag, branch ? REF_BRANCH : REF_TAG, arena, out, err);
}

static int resolve_ref(struct source *source, const char *ref, struct arena *arena, struct commit *out,
		       struct err *err)
{
	AUTO(listing_free) struct listing list = {0};
	bool found = false;

	if (check_ref(ref, err) || load_refs(source, arena, &list, err))
		return -1;
	if (list.count == 0 && !list.head[0]) {
		err_set(err, ERR_NOT_FOUND, "%s has no commits yet", source->url.shown);
		return err_hint(err, "commit something, push it, and try again");
	}
	if (*ref == '\0' || strcmp(ref, "HEAD") == 0) {
		if (!list.head[0])
			return err_set(err, ERR_NOT_FOUND, "%s has no default branch; name a branch",
				       source->url.shown);
		if (source_load_commit(source, list.head, arena, out, err))
			return -1;
		out->ref = "HEAD";
		out->ref_kind = REF_HEAD;
		return 0;
	}
	int result = resolve_name(source, &list, ref, arena, out, &found, err);
	if (result || found)
		return result;
	if (strpbrk(ref, "*?["))
		return resolve_pattern(source, &list, ref, arena, out, err);
	if (is_hex(slice_of(ref))) {
		result = resolve_hash(source, ref, arena, out, &found, err);
		if (result || found)
			return result;
	}
	err_set(err, ERR_NOT_FOUND, "%s has no branch, tag or commit `%s`", source->url.shown, ref);
	hint_nearest(&list, ref, err);
	return -1;
}

/* "main~2", "v1.0^": what git calls the ancestors of a commit (gitrevisions(7)). */
static size_t ancestry_at(const char *ref)
{
	size_t at = strcspn(ref, "~^");

	return at > 0 && ref[at] && strspn(ref + at, "~^0123456789") == strlen(ref + at) ? at : 0;
}

int source_resolve(struct source *source, const char *ref, struct arena *arena, struct commit *out,
		   struct err *err)
{
	AUTO(buf_free) struct buf printed = BUF_INIT(4096);
	size_t at = ancestry_at(ref);
	struct commit base;
	int status;

	if (at == 0)
		return resolve_ref(source, ref, arena, out, err);
	if (check_ref(ref, err) || resolve_ref(source, arena_str(arena, slice_make(ref, at)), arena, &base, err))
		return -1;
	const char *wanted = arena_printf(arena, "%s%s^{commit}", base.hash, ref + at);
	const struct git_call call = {
		.args = GIT_ARGS("rev-parse", "--verify", "--quiet", "--end-of-options", wanted),
		.git_dir = source->mirror,
	};
	if (git_run(source, &call, slice_make(NULL, 0), &printed, &status, err))
		return -1;
	/* --end-of-options is echoed by older versions of git: the hash is the last line. */
	struct slice hash = slice_trim(buf_slice(&printed));
	const char *last = hash.len ? memrchr(hash.ptr, '\n', hash.len) : NULL;
	if (last)
		hash = slice_skip(hash, (size_t)(last + 1 - hash.ptr));
	if (status != 0 || !hash_is_full(hash))
		return err_set(err, ERR_NOT_FOUND, "%s: commit `%s` has no ancestor `%s`", source->url.shown,
			       base.ref, ref + at);
	if (source_load_commit(source, arena_str(arena, hash), arena, out, err))
		return -1;
	out->ref = arena_strdup(arena, ref);
	return 0;
}
