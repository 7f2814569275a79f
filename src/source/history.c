/* What lies between two commits: for plans and for "how far behind". */
#include "source/internal.h"

static int count_line(struct slice line, uint64_t *first, uint64_t *second, struct err *err)
{
	struct slice left = slice_trim(slice_cut(&line, '\t')), right = slice_trim(line);

	if (slice_to_u64(left, first) && (!second || slice_to_u64(right, second)))
		return 0;
	return err_set(err, ERR_INTERNAL, "git rev-list did not answer with a number");
}

static int need_commit(struct source *source, const char *hash, struct err *err)
{
	if (hash_check(hash, err) || mirror_need(source, err))
		return -1;
	/* git's own words for a commit it lacks help nobody. */
	if (object_read(source, hash, "commit", NULL, NULL, err)) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_NOT_FOUND, "%s has no commit %.12s", source->url.shown, hash);
		return -1;
	}
	return 0;
}

int source_list_commits(struct source *source, const char *from, const char *to, size_t max,
			struct arena *arena, struct commit **commits_out, size_t *count_out,
			uint64_t *total_out, struct err *err)
{
	AUTO(buf_free) struct buf total = BUF_INIT(256);
	AUTO(buf_free) struct buf hashes = BUF_INIT(REFS_BYTES_MAX);

	*count_out = 0;
	if ((from && need_commit(source, from, err)) || need_commit(source, to, err))
		return -1;
	const char *range = from ? arena_printf(arena, "%s..%s", from, to) : to;
	struct git_call count = {.args = GIT_ARGS("rev-list", "--count", range, "--"),
				 .git_dir = source->mirror};
	struct git_call list = {.args = GIT_ARGS("rev-list", "--topo-order",
						 arena_printf(arena, "--max-count=%zu", max), range, "--"),
				.git_dir = source->mirror};
	if (git_run(source, &count, slice_of(""), &total, NULL, err) ||
	    count_line(buf_slice(&total), total_out, NULL, err))
		return -1;
	*commits_out = ARENA_NEW_ARRAY(arena, (size_t)MIN((uint64_t)max, *total_out) + 1, struct commit);
	if (max == 0 || *total_out == 0)
		return 0;
	if (git_run(source, &list, slice_of(""), &hashes, NULL, err))
		return -1;
	for (struct slice rest = buf_slice(&hashes);
	     rest.ptr && *count_out < max && *count_out < *total_out;) {
		struct slice hash = slice_cut(&rest, '\n');
		if (hash.len == 0)
			continue;
		if (source_load_commit(source, arena_str(arena, hash), arena, &(*commits_out)[*count_out],
				       err))
			return -1;
		(*count_out)++;
	}
	return 0;
}

int source_compare(struct source *source, const char *base, const char *commit, uint64_t *ahead_out,
		   uint64_t *behind_out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf out = BUF_INIT(256);

	if (need_commit(source, base, err) || need_commit(source, commit, err))
		return -1;
	struct git_call call = {.args = GIT_ARGS("rev-list", "--left-right", "--count",
						 arena_printf(&arena, "%s...%s", base, commit), "--"),
				.git_dir = source->mirror};
	if (git_run(source, &call, slice_of(""), &out, NULL, err))
		return -1;
	return count_line(buf_slice(&out), behind_out, ahead_out, err);
}

int source_is_ancestor(struct source *source, const char *ancestor, const char *commit, bool *yes_out,
		       struct err *err)
{
	int status;

	if (need_commit(source, ancestor, err) || need_commit(source, commit, err))
		return -1;
	struct git_call call = {.args = GIT_ARGS("merge-base", "--is-ancestor", ancestor, commit),
				.git_dir = source->mirror};
	if (git_run(source, &call, slice_of(""), NULL, &status, err))
		return -1;
	if (status > 1)
		return err_set(err, ERR_INTERNAL, "git merge-base ended with status %d", status);
	*yes_out = status == 0;
	return 0;
}

int source_list_changes(struct source *source, const char *from, const char *to, struct arena *arena,
			struct source_change **changes_out, size_t *count_out, struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(LISTING_BYTES_MAX);
	struct git_call call = {.args = GIT_ARGS("diff-tree", "-r", "-z", "--name-status", "--no-renames",
						 "--no-commit-id", from, to, "--"),
				.git_dir = source->mirror};
	size_t nuls = 0;

	*count_out = 0;
	if (hash_check(from, err) || hash_check(to, err) || mirror_need(source, err) ||
	    git_run(source, &call, slice_of(""), &out, NULL, err))
		return -1;
	for (size_t i = 0; i < out.len; i++)
		nuls += out.ptr[i] == '\0';
	struct source_change *changes = ARENA_NEW_ARRAY(arena, nuls / 2 + 1, struct source_change);
	for (struct slice rest = buf_slice(&out); rest.ptr;) {
		struct slice status = slice_cut(&rest, '\0');
		if (status.len == 0 || !rest.ptr)
			break;
		struct slice path = slice_cut(&rest, '\0');
		ASSERT(*count_out < nuls / 2 + 1);
		changes[(*count_out)++] = (struct source_change){status.ptr[0], arena_slice(arena, path)};
	}
	*changes_out = changes;
	return 0;
}
