/* The files of a commit on disk, the same on every machine: git checks them out
 * through a throw-away index, with the attributes of that very tree. `git archive`
 * would do neither submodules nor Git LFS.
 *
 *	list the tree → read its .gitattributes → index → which paths stay out →
 *	checkout-index → submodules, each the same way → times */
#include "source/internal.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ATTRIBUTES_BYTES_MAX = 4 << 20, ENTRIES_MAX = 1 << 20 };

struct item {
	char kind; /* f file, l link, d folder, s submodule */
	struct slice hash;
	struct slice path;
	bool left_out;
};

struct export
{
	struct source *source;
	const char *tree;
	const char *dest;
	const char *index;
	const struct source_watch *watch;
	struct arena arena;
	struct buf listing; /* items point into it */
	struct item *items;
	size_t count;
	struct map by_path;	       /* folders only: path → item */
	bool asks_ignore, asks_filter; /* words seen in .gitattributes */
	size_t left_out, lfs_files;
	struct slice first_lfs;
};

static void export_free(struct export *e)
{
	map_free(&e->by_path);
	buf_free(&e->listing);
	arena_free(&e->arena);
}

/* ---- what is in the tree ---- */

static int list_tree(struct export *e, struct err *err)
{
	struct git_call call = {.args = GIT_ARGS("ls-tree", "-r", "-t", "-z", "--full-tree", e->tree),
				.git_dir = e->source->mirror};
	size_t nuls = 0;

	if (git_run(e->source, &call, slice_of(""), &e->listing, NULL, err))
		return -1;
	for (size_t i = 0; i < e->listing.len; i++)
		nuls += e->listing.ptr[i] == '\0';
	if (nuls > ENTRIES_MAX)
		return err_set(err, ERR_USER, "the tree has %zu files and folders, more than %d", nuls,
			       ENTRIES_MAX);
	e->items = ARENA_NEW_ARRAY(&e->arena, nuls + 1, struct item);
	for (struct slice rest = buf_slice(&e->listing); rest.ptr;) {
		struct slice path = slice_cut(&rest, '\0');
		struct slice meta = slice_cut(&path, '\t');
		if (!path.ptr)
			continue;
		struct slice mode = slice_cut(&meta, ' ');
		slice_cut(&meta, ' '); /* the type; the mode says more */
		struct item *item = &e->items[e->count++];
		item->kind = slice_starts_with(mode, "04")   ? 'd'
			     : slice_starts_with(mode, "12") ? 'l'
			     : slice_starts_with(mode, "16") ? 's'
							     : 'f';
		item->hash = meta;
		item->path = path;
		if (item->kind == 'd')
			map_put(&e->by_path, path, item);
	}
	return 0;
}

static bool is_named(struct slice path, const char *name)
{
	size_t len = strlen(name);

	return slice_ends_with(path, name) && (path.len == len || path.ptr[path.len - len - 1] == '/');
}

/* Whether a line gives, behind its pattern, the attribute `name` or `name=…`. */
static bool line_sets(struct slice line, const char *name)
{
	size_t len = strlen(name), words = 0;

	if (line.len == 0 || line.ptr[0] == '#')
		return false;
	for (size_t at = 0; at < line.len; words++) {
		while (at < line.len && (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
			at++;
		size_t start = at;
		while (at < line.len && line.ptr[at] != ' ' && line.ptr[at] != '\t')
			at++;
		struct slice word = slice_make(line.ptr + start, at - start);
		if (words > 0 && slice_starts_with(word, name) && (word.len == len || word.ptr[len] == '='))
			return true;
	}
	return false;
}

static int read_attributes(struct export *e, const struct item *item, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(ATTRIBUTES_BYTES_MAX);
	size_t line_number = 0;

	if (object_read(e->source, arena_str(&e->arena, item->hash), "blob", &bytes, NULL, err))
		return err_wrap(err, "%.*s", SLICE_ARG(item->path));
	e->asks_ignore |= memmem(buf_str(&bytes), bytes.len, "export-ignore", 13) != NULL;
	e->asks_filter |= memmem(buf_str(&bytes), bytes.len, "filter", 6) != NULL;
	for (struct slice rest = buf_slice(&bytes); rest.ptr;) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		line_number++;
		if (!line_sets(line, "export-subst"))
			continue;
		err_set(err, ERR_USER,
			"%.*s:%zu: `%.*s`: export-subst is refused: it writes the commit into files, so "
			"that equal trees would give different releases",
			SLICE_ARG(item->path), line_number, (int)MIN(line.len, (size_t)120), line.ptr);
		return err_hint(err, "remove it; the activation on the server records the commit");
	}
	return 0;
}

/* ---- which paths stay out, which are Git LFS ---- */

static int ask_attributes(struct export *e, struct buf *answer, struct err *err)
{
	AUTO(buf_free) struct buf paths = BUF_INIT(LISTING_BYTES_MAX);
	struct git_call call = {
		.args = GIT_ARGS("check-attr", "--cached", "--stdin", "-z", "export-ignore", "filter"),
		.git_dir = e->source->mirror,
		.work_tree = e->dest,
		.index = e->index};

	for (size_t i = 0; i < e->count; i++) {
		buf_put_slice(&paths, e->items[i].path);
		/* Patterns for folders only match names that end so. */
		if (e->items[i].kind == 'd' || e->items[i].kind == 's')
			buf_putc(&paths, '/');
		buf_putc(&paths, '\0');
	}
	if (buf_check(&paths, "the list of files", err))
		return -1;
	return git_run(e->source, &call, buf_slice(&paths), answer, NULL, err);
}

static int apply_attributes(struct export *e, struct err *err)
{
	AUTO(buf_free) struct buf answer = BUF_INIT(LISTING_BYTES_MAX);

	if (!e->asks_ignore && !e->asks_filter)
		return 0;
	if (ask_attributes(e, &answer, err))
		return -1;
	struct slice rest = buf_slice(&answer);
	for (size_t i = 0; i < e->count; i++) {
		struct item *item = &e->items[i];
		for (int attribute = 0; attribute < 2; attribute++) {
			slice_cut(&rest, '\0'); /* the path again, in the order asked */
			struct slice name = slice_cut(&rest, '\0');
			if (!rest.ptr)
				return err_set(err, ERR_INTERNAL,
					       "git check-attr said less than it was asked");
			struct slice value = slice_cut(&rest, '\0');
			if (slice_is(name, "export-ignore") && slice_is(value, "set"))
				item->left_out = true;
			if (slice_is(name, "filter") && slice_is(value, "lfs") && item->kind == 'f') {
				e->lfs_files++;
				if (!e->first_lfs.ptr)
					e->first_lfs = item->path;
			}
		}
	}
	return 0;
}

/* What is below a folder that stays out, stays out. Parents come before children. */
static void spread_left_out(struct export *e)
{
	for (size_t i = 0; i < e->count; i++) {
		struct item *item = &e->items[i];
		size_t len = item->path.len;
		while (len > 0 && item->path.ptr[len - 1] != '/')
			len--;
		struct item *parent = len ? map_get(&e->by_path, slice_make(item->path.ptr, len - 1)) : NULL;
		item->left_out |= parent && parent->left_out;
		e->left_out += item->left_out;
	}
}

static int need_lfs(struct export *e, struct err *err)
{
	struct git_call call = {.args = GIT_ARGS("lfs", "version"), .git_dir = e->source->mirror};
	struct err ignored = ERR_INIT;
	int status;

	if (e->lfs_files == 0)
		return 0;
	if (git_run(e->source, &call, slice_of(""), NULL, &status, &ignored) == 0 && status == 0)
		return 0;
	err_set(err, ERR_USER,
		"%zu file%s are kept in Git LFS (first: %.*s) and `git lfs` is not installed here",
		e->lfs_files, e->lfs_files == 1 ? "" : "s", SLICE_ARG(e->first_lfs));
	return err_hint(err,
			"install git-lfs (Debian, Ubuntu: apt install git-lfs; macOS: brew install git-lfs)");
}

/* ---- writing ---- */

static int list_in_file(struct export *e, int *fd_out, struct err *err)
{
	AUTO(buf_free) struct buf paths = BUF_INIT(LISTING_BYTES_MAX);
	const char *name = arena_printf(&e->arena, "%s.paths", e->index);

	for (size_t i = 0; i < e->count; i++) {
		if (e->items[i].left_out || e->items[i].kind == 'd')
			continue;
		buf_put_slice(&paths, e->items[i].path);
		buf_putc(&paths, '\0');
	}
	if (buf_check(&paths, "the list of files", err))
		return -1;
	AUTO(close_fd) int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "%s", name);
	unlink(name);
	if (fd_write_all(fd, paths.ptr, paths.len, err))
		return -1;
	if (lseek(fd, 0, SEEK_SET) != 0)
		return err_errno(err, "%s", name);
	*fd_out = steal_fd(&fd);
	return 0;
}

static int check_out(struct export *e, struct err *err)
{
	/* As `git lfs install` sets them, whether or not somebody ran it; and nothing
	 * of a user's own habits may leave a pointer in a release. */
	static const char *const lfs_config[] = {
		"filter.lfs.smudge",
		"git-lfs smudge -- %f",
		"filter.lfs.process",
		"git-lfs filter-process",
		"filter.lfs.required",
		"true",
		"lfs.fetchinclude",
		"",
		"lfs.fetchexclude",
		"",
		"lfs.concurrenttransfers",
		"8",
		NULL,
	};
	AUTO(close_fd) int paths = -1;
	struct git_call call = {.args = GIT_ARGS("checkout-index", "-q", "-f", "-z", "--stdin"),
				.git_dir = e->source->mirror,
				.work_tree = e->dest,
				.index = e->index,
				.config = e->lfs_files ? lfs_config : NULL,
				.may_ask = e->lfs_files > 0};

	if (e->left_out == e->count)
		return 0;
	if (list_in_file(e, &paths, err))
		return -1;
	call.stdin_fd = paths;
	return git_watched(e->source, &call, e->watch, err);
}

static int write_index(struct export *e, struct err *err)
{
	struct git_call call = {.args = GIT_ARGS("read-tree", e->tree),
				.git_dir = e->source->mirror,
				.work_tree = e->dest,
				.index = e->index};

	unlink(e->index);
	return git_run(e->source, &call, slice_of(""), NULL, NULL, err);
}

/* ---- submodules ---- */

static int export_tree(struct source *source, const char *tree, const char *dest, const char *index,
		       const struct source_watch *watch, int depth, struct err *err);

/* submodule.NAME.path and .url, as `git config --list -z` prints them: key LF value NUL. */
static int find_submodule_url(struct export *e, struct slice path, const char **url_out, struct err *err)
{
	AUTO(buf_free) struct buf config = BUF_INIT(ATTRIBUTES_BYTES_MAX);
	const struct item *modules = NULL;
	struct slice name = {NULL, 0};

	*url_out = NULL;
	for (size_t i = 0; i < e->count; i++)
		if (e->items[i].kind == 'f' && slice_is(e->items[i].path, ".gitmodules"))
			modules = &e->items[i];
	if (!modules)
		return 0;
	struct git_call call = {
		.args = GIT_ARGS("config", "--blob", arena_str(&e->arena, modules->hash), "--list", "-z"),
		.git_dir = e->source->mirror};
	if (git_run(e->source, &call, slice_of(""), &config, NULL, err))
		return err_wrap(err, ".gitmodules");
	for (int pass = 0; pass < 2; pass++)
		for (struct slice rest = buf_slice(&config); rest.ptr;) {
			struct slice value = slice_cut(&rest, '\0');
			struct slice key = slice_cut(&value, '\n');
			if (!value.ptr || !slice_starts_with(key, "submodule."))
				continue;
			key = slice_skip(key, strlen("submodule."));
			if (pass == 0 && slice_ends_with(key, ".path") && slice_equal(value, path))
				name = slice_make(key.ptr, key.len - 5);
			if (pass == 1 && name.ptr && slice_ends_with(key, ".url") &&
			    slice_equal(slice_make(key.ptr, key.len - 4), name))
				*url_out = arena_str(&e->arena, value);
		}
	return 0;
}

static int open_submodule(struct export *e, const struct item *item, struct source **module_out,
			  struct err *err)
{
	const char *text, *address;
	struct url url;

	if (find_submodule_url(e, item->path, &text, err))
		return -1;
	if (!text) {
		err_set(err, ERR_USER, "it is a submodule, but .gitmodules gives no address for it");
		return err_hint(err, "git submodule add, or take it out: git rm --cached '%.*s'",
				SLICE_ARG(item->path));
	}
	if (url_resolve(e->source->url.address, text, &e->arena, &address, err) ||
	    url_parse(address, "/", &e->arena, &url, err))
		return -1;
	/* A repository from elsewhere must not reach into this machine's folders. */
	if (url.local && (!e->source->url.local || (address[0] != '/' && strncmp(address, "file:", 5) != 0)))
		return err_set(err, ERR_DENIED, "its address `%s` is a path on this machine", text);
	return source_open(e->source->home, address, "/", module_out, err);
}

static int export_submodule(struct export *e, const struct item *item, int depth, struct err *err)
{
	AUTO(source_close) struct source *module = NULL;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct commit commit;
	const char *hash = arena_str(&arena, item->hash);
	const char *dest = arena_printf(&arena, "%s/%.*s", e->dest, SLICE_ARG(item->path));

	if (depth >= SUBMODULE_DEPTH_MAX)
		return err_set(err, ERR_USER, "submodules are nested more than %d deep", SUBMODULE_DEPTH_MAX);
	if (open_submodule(e, item, &module, err) || source_need_commit(module, hash, e->watch, err) ||
	    source_load_commit(module, hash, &arena, &commit, err))
		return -1;
	if (mkdir(dest, 0755) != 0 && errno != EEXIST)
		return err_errno(err, "%s", dest);
	return export_tree(module, commit.tree, dest, e->index, e->watch, depth + 1, err);
}

static int export_submodules(struct export *e, int depth, struct err *err)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->items[i].kind == 's' && !e->items[i].left_out &&
		    export_submodule(e, &e->items[i], depth, err))
			return err_wrap(err, "submodule %.*s", SLICE_ARG(e->items[i].path));
	return 0;
}

static int export_tree(struct source *source, const char *tree, const char *dest, const char *index,
		       const struct source_watch *watch, int depth, struct err *err)
{
	AUTO(export_free)
	struct export e = {
		.source = source,
		.tree = tree,
		.dest = dest,
		.index = index,
		.watch = watch,
		.listing = BUF_INIT(LISTING_BYTES_MAX),
	};

	if (list_tree(&e, err))
		return -1;
	for (size_t i = 0; i < e.count; i++)
		if (e.items[i].kind == 'f' && is_named(e.items[i].path, ".gitattributes") &&
		    read_attributes(&e, &e.items[i], err))
			return -1;
	if (e.count == 0)
		return 0;
	if (write_index(&e, err) || apply_attributes(&e, err) || need_lfs(&e, err))
		return -1;
	spread_left_out(&e);
	if (check_out(&e, err))
		return -1;
	return export_submodules(&e, depth, err);
}

/* ---- times ---- */

static int set_times(int dir_fd, const struct timespec times[2], struct err *err);

struct times_walk {
	int dir_fd;
	const struct timespec *times;
};

static int set_times_of(void *context, const char *name, struct err *err)
{
	struct times_walk *walk = context;
	struct stat info;

	if (fstatat(walk->dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", name);
	if (S_ISDIR(info.st_mode)) {
		AUTO(close_fd)
		int fd = openat(walk->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_errno(err, "%s", name);
		if (set_times(fd, walk->times, err))
			return err_wrap(err, "%s", name);
	}
	if (utimensat(walk->dir_fd, name, walk->times, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", name);
	return 0;
}

static int set_times(int dir_fd, const struct timespec times[2], struct err *err)
{
	struct times_walk walk = {dir_fd, times};

	return dir_each_at(dir_fd, ".", set_times_of, &walk, err);
}

static int make_empty_folder(const char *path, int *fd_out, struct err *err)
{
	bool empty = true;

	if (dir_make_at(AT_FDCWD, path, 0755, err))
		return -1;
	DIR *dir = opendir(path);
	if (!dir)
		return err_errno(err, "%s", path);
	for (struct dirent *entry; (entry = readdir(dir));)
		empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	if (!empty)
		return err_set(err, ERR_INTERNAL, "%s is not empty", path);
	return dir_open_at(AT_FDCWD, path, fd_out, err);
}

int source_export(struct source *source, const struct commit *commit, const char *dest_dir,
		  const struct source_watch *watch, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(close_fd) int fd = -1;
	struct timespec times[2] = {{.tv_sec = (time_t)(commit->committed_ms / 1000)}};
	times[1] = times[0];

	if (mirror_need(source, err) || make_empty_folder(dest_dir, &fd, err))
		return err_wrap(err, "exporting commit %.12s", commit->hash);
	/* git and the helpers it starts need a path that holds from any folder. */
	char *dest = realpath(dest_dir, NULL);
	if (!dest)
		return err_errno(err, "%s", dest_dir);
	const char *index = arena_printf(&arena, "%s.index", dest);
	int result = export_tree(source, commit->tree, arena_strdup(&arena, dest), index, watch, 0, err);
	unlink(index);
	free(dest);
	if (result || fault_point("source.export", err) || set_times(fd, times, err))
		return err_wrap(err, "exporting commit %.12s", commit->hash);
	return 0;
}
