/* Opening a source, and keeping its bare mirror like upstream: branches follow,
 * tags stay as they were first seen. */
#include "source/internal.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/random.h"
#include "codec/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { ID_BYTES = 8, STALE_LOCK_S = 60 };

/* ---- opening ---- */

/* The repository a path is in: its top folder, or itself when bare. */
static int find_local_repository(struct source *source, struct err *err)
{
	const char *path = source->url.address;
	AUTO(buf_free) struct buf out = BUF_INIT(SOURCE_URL_MAX + 64);
	AUTO(buf_free) struct buf errors = BUF_INIT(64 << 10);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct git_call call = {0};
	struct stat info;
	int status;

	if (stat(path, &info) != 0)
		return err_errno(err, "source: %s", path);
	if (!S_ISDIR(info.st_mode))
		return err_set(err, ERR_USER, "source: %s is not a folder", path);
	call.args = GIT_ARGS("-C", path, "rev-parse", "--is-bare-repository", "--show-cdup");
	struct child_spec spec = {.argv = git_argv(&call, &arena),
				  .env = git_environment(source, &call, &arena),
				  .stdin_fd = -1,
				  .stdout_fd = -1,
				  .stderr_fd = -1};
	if (child_run(&spec, slice_of(""), &out, &errors, 0, &status, err))
		return git_not_started(err);
	if (status != 0) {
		if (!memmem(buf_str(&errors), errors.len, "not a git repository", 20))
			return git_error(source, "source", status, buf_slice(&errors), err);
		err_set(err, ERR_NOT_FOUND, "source: %s is not in a git repository", path);
		return err_hint(
			err, "git init && git add -A && git commit, or name the repository with `source:`");
	}
	struct slice rest = buf_slice(&out);
	bool bare = slice_is(slice_cut(&rest, '\n'), "true");
	struct slice up = rest.ptr ? slice_cut(&rest, '\n') : (struct slice){"", 0};
	if (bare || up.len == 0)
		return 0;
	char *top = realpath(arena_printf(&arena, "%s/%.*s", path, SLICE_ARG(up)), NULL);
	if (!top)
		return err_errno(err, "source: the top folder of the repository at %s", path);
	source->url.address = source->url.shown = arena_strdup(&source->arena, top);
	source->url.canonical = arena_printf(&source->arena, "file://%s", top);
	free(top);
	return 0;
}

int source_open(const char *home_dir, const char *url, const char *project_dir, struct source **source_out,
		struct err *err)
{
	AUTO(source_close) struct source *source = mem_alloc(sizeof(*source));
	struct digest digest;
	char id[2 * ID_BYTES + 1];

	*source_out = NULL;
	source->batch = CHILD_INIT;
	/* git is told to work in other folders: a relative path would not hold there. */
	AUTO(mem_free_ptr) char *cwd = home_dir[0] == '/' ? NULL : getcwd(NULL, 0);
	source->home = cwd ? arena_printf(&source->arena, "%s/%s", cwd, home_dir)
			   : arena_strdup(&source->arena, home_dir);
	if (!url || !*url)
		url = ".";
	if (url_parse(url, project_dir ? project_dir : ".", &source->arena, &source->url, err))
		return -1;
	if (source->url.local && find_local_repository(source, err))
		return -1;
	digest_of(slice_of(source->url.canonical), &digest);
	hex_encode(digest.bytes, ID_BYTES, id);
	source->id = arena_strdup(&source->arena, id);
	source->mirror = arena_printf(&source->arena, "%s/mirrors/%s.git", source->home, id);
	*source_out = source;
	source = NULL;
	return 0;
}

void source_close(struct source **source)
{
	if (!*source)
		return;
	object_batch_end(*source);
	arena_free(&(*source)->arena);
	free(*source);
	*source = NULL;
}

const char *source_url(const struct source *source)
{
	return source->url.shown;
}

int source_count_uncommitted(struct source *source, const char *dir, int64_t limit_ms, size_t *count_out,
			     struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(16 << 20);
	const struct git_call call = {
		.args = GIT_ARGS("--no-optional-locks", "-C", dir, "status", "--porcelain", "-z"),
		.limit_ms = limit_ms,
	};
	int status;

	*count_out = 0;
	if (git_run(source, &call, slice_of(""), &out, &status, err))
		return err_wrap(err, "git status");
	if (status != 0)
		return 0;
	/* "XY path", and behind a renamed one its earlier path alone. */
	for (struct slice rest = buf_slice(&out); rest.len;) {
		struct slice entry = slice_cut(&rest, '\0');
		*count_out += entry.len > 0;
		if (entry.len && (entry.ptr[0] == 'R' || entry.ptr[0] == 'C'))
			slice_cut(&rest, '\0');
	}
	return 0;
}

const char *source_mirror(const struct source *source)
{
	return source->mirror;
}

bool source_is_local(const struct source *source)
{
	return source->url.local;
}

bool source_has_mirror(const struct source *source)
{
	return access(source->mirror, F_OK) == 0;
}

int mirror_need(struct source *source, struct err *err)
{
	if (source_has_mirror(source))
		return 0;
	err_set(err, ERR_NOT_FOUND, "%s was never fetched", source->url.shown);
	return err_hint(err, "fetch it once while it can be reached");
}

/* ---- fetching ---- */

static int lock_mirror(struct source *source, const struct source_watch *watch, int *lock_out,
		       struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *folder = arena_printf(&arena, "%s/mirrors", source->home);
	const char *path = arena_printf(&arena, "%s/%s.lock", folder, source->id);
	bool told = false;

	if (dir_make_at(AT_FDCWD, folder, 0700, err))
		return -1;
	AUTO(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "%s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, "locking %s", path);
		if (git_stop_asked(watch))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		if (!told && watch && watch->progress)
			watch->progress(watch->context,
					"waiting for another process that fetches this repository");
		told = true;
		poll(NULL, 0, 50);
	}
	*lock_out = steal_fd(&fd);
	return 0;
}

/* A git that was killed leaves its lock files; ours is the only git that writes
 * here, so an old one belongs to nobody. */
static void remove_stale_locks(const char *folder, int depth)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	DIR *dir = depth > 0 ? opendir(folder) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat info;
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "objects") == 0)
			continue;
		const char *path = arena_printf(&arena, "%s/%s", folder, entry->d_name);
		if (lstat(path, &info) != 0)
			continue;
		if (S_ISDIR(info.st_mode))
			remove_stale_locks(path, depth - 1);
		else if (slice_ends_with(slice_of(path), ".lock") &&
			 info.st_mtime < time(NULL) - STALE_LOCK_S)
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

static int create_mirror(struct source *source, const char *path, const char *format, struct err *err)
{
	struct git_call call = {
		.args = GIT_ARGS("init", "--quiet", "--bare", "--template=", format, "--", path)};

	if (tree_remove_at(AT_FDCWD, path, err))
		return -1;
	return git_run(source, &call, slice_of(""), NULL, NULL, err);
}

/* Nobody is there to type: ssh must not ask on whatever terminal it finds. A
 * command of the user's own is left alone. */
static bool ssh_needs_batch_mode(struct source *source)
{
	struct git_call call = {.args = GIT_ARGS("config", "--get", "core.sshCommand")};
	struct err ignored = ERR_INIT;
	int status = 0;

	if (source->url.local || strncmp(source->url.address, "http", 4) == 0 || git_on_terminal() ||
	    getenv("GIT_SSH_COMMAND") || getenv("GIT_SSH"))
		return false;
	return git_run(source, &call, slice_of(""), NULL, &status, &ignored) == 0 && status == 1;
}

static int run_fetch(struct source *source, const char *git_dir, const char *const *refspecs,
		     const struct source_watch *watch, struct err *err)
{
	static const char *const batch_mode[] = {"core.sshCommand", "ssh -o BatchMode=yes", NULL};
	const char *args[16] = {"fetch",
				"--progress",
				"--prune",
				"--no-tags",
				"--force",
				"--update-shallow",
				"--no-write-fetch-head",
				"--no-recurse-submodules",
				"origin"};
	size_t count = 9;

	for (size_t i = 0; refspecs[i]; i++) {
		ASSERT(count + 1 < ARRAY_LEN(args));
		args[count++] = refspecs[i];
	}
	struct git_call call = {.args = args, .git_dir = git_dir, .may_ask = true};
	if (ssh_needs_batch_mode(source))
		call.config = batch_mode;
	return git_watched(source, &call, watch, err);
}

/* Tags seen for the first time become ours; those we have stay as they are. */
static int adopt_new_tags(struct source *source, const char *git_dir, struct err *err)
{
	AUTO(buf_free) struct buf listing = BUF_INIT(REFS_BYTES_MAX);
	AUTO(buf_free) struct buf commands = BUF_INIT(REFS_BYTES_MAX);
	AUTO(map_free) struct map ours = MAP_INIT;
	struct git_call list = {.args = GIT_ARGS("for-each-ref", "--format=%(objectname) %(refname)",
						 "refs/tags/", "refs/upstream/tags/"),
				.git_dir = git_dir};
	struct git_call update = {.args = GIT_ARGS("update-ref", "--stdin"), .git_dir = git_dir};

	if (git_run(source, &list, slice_of(""), &listing, NULL, err))
		return -1;
	/* Sorted by name: all of refs/tags/ comes before refs/upstream/. */
	for (struct slice rest = buf_slice(&listing); rest.ptr;) {
		struct slice name = slice_cut(&rest, '\n');
		struct slice hash = slice_cut(&name, ' ');
		if (!name.ptr)
			continue;
		if (slice_starts_with(name, "refs/tags/")) {
			map_put(&ours, slice_skip(name, strlen("refs/tags/")), &ours);
			continue;
		}
		name = slice_skip(name, strlen("refs/upstream/tags/"));
		if (!map_get(&ours, name))
			buf_printf(&commands, "create refs/tags/%.*s %.*s\n", SLICE_ARG(name),
				   SLICE_ARG(hash));
	}
	if (commands.len == 0)
		return 0;
	if (buf_check(&commands, "the list of new tags", err))
		return -1;
	return git_run(source, &update, buf_slice(&commands), NULL, NULL, err);
}

static int fetch_into(struct source *source, const char *git_dir, const struct source_watch *watch,
		      struct err *err)
{
	static const char *const refspecs[] = {"+refs/heads/*:refs/heads/*",
					       "+refs/tags/*:refs/upstream/tags/*",
					       "+HEAD:refs/upstream/HEAD", NULL};
	static const char *const without_head[] = {"+refs/heads/*:refs/heads/*",
						   "+refs/tags/*:refs/upstream/tags/*", NULL};

	if (run_fetch(source, git_dir, refspecs, watch, err)) {
		/* A repository without commits, or whose HEAD shows a branch that is not there. */
		if (!strstr(err->text, "couldn't find remote ref HEAD"))
			return -1;
		err_clear(err);
		struct git_call drop = {.args = GIT_ARGS("update-ref", "-d", "refs/upstream/HEAD"),
					.git_dir = git_dir};
		if (run_fetch(source, git_dir, without_head, watch, err) ||
		    git_run(source, &drop, slice_of(""), NULL, NULL, err))
			return -1;
	}
	return adopt_new_tags(source, git_dir, err);
}

/* The first fetch goes into a folder beside, so that a mirror that exists has been
 * whole at least once. */
static int fetch_first(struct source *source, const struct source_watch *watch, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *fresh = arena_printf(&arena, "%s.new", source->mirror);

	if (create_mirror(source, fresh, "--object-format=sha1", err))
		return -1;
	if (fetch_into(source, fresh, watch, err)) {
		if (!strstr(err->text, "mismatched algorithms"))
			return -1;
		err_clear(err);
		if (create_mirror(source, fresh, "--object-format=sha256", err) ||
		    fetch_into(source, fresh, watch, err))
			return -1;
	}
	if (fault_point("source.mirror.rename", err))
		return -1;
	if (rename(fresh, source->mirror) != 0)
		return err_errno(err, "%s", source->mirror);
	return 0;
}

static int fetch_again(struct source *source, const struct source_watch *watch, struct err *err)
{
	if (fetch_into(source, source->mirror, watch, err) == 0)
		return 0;
	if (!strstr(err->text, ".lock"))
		return -1;
	err_clear(err);
	remove_stale_locks(source->mirror, 16);
	return fetch_into(source, source->mirror, watch, err);
}

int source_fetch(struct source *source, const struct source_watch *watch, struct err *err)
{
	AUTO(close_fd) int lock = -1;

	if (fault_point("source.fetch", err) || lock_mirror(source, watch, &lock, err))
		return err_wrap(err, "fetching %s", source->url.shown);
	object_batch_end(source);
	if (source_has_mirror(source) ? fetch_again(source, watch, err) : fetch_first(source, watch, err))
		return err_wrap(err, "fetching %s", source->url.shown);
	return 0;
}

static bool has_commit(struct source *source, const char *hash)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err ignored = ERR_INIT;
	struct commit commit;

	return source_has_mirror(source) && source_load_commit(source, hash, &arena, &commit, &ignored) == 0;
}

int source_need_commit(struct source *source, const char *hash, const struct source_watch *watch,
		       struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(close_fd) int lock = -1;

	if (has_commit(source, hash))
		return 0;
	if (source_fetch(source, watch, err))
		return -1;
	if (has_commit(source, hash))
		return 0;
	/* On no branch or tag: most servers still give it when asked by name. */
	const char *pinned[] = {arena_printf(&arena, "+%s:refs/pinned/%s", hash, hash), NULL};
	if (lock_mirror(source, watch, &lock, err))
		return -1;
	object_batch_end(source);
	if (run_fetch(source, source->mirror, pinned, watch, err))
		return err_wrap(err, "fetching commit %s of %s", hash, source->url.shown);
	return 0;
}
