/* Folders kept between builds. Those of protected refs are apart from all others,
 * so that a branch anybody may push cannot prepare what production is built from. */
#include "build/internal.h"

#include "base/fd.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *cache_folder(const struct build_request *request, const char *cache, struct arena *arena)
{
	struct digest digest;
	char hex[9];
	char *readable = arena_str(arena, slice_make(cache, MIN(strlen(cache), (size_t)40)));

	for (char *c = readable; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
			*c = '_';
	digest_of(slice_of(cache), &digest);
	hex_encode(digest.bytes, 4, hex);
	return arena_printf(arena, "%s/caches/%s/%s/%s-%s", request->home, request->project,
			    request->protected_ref ? "protected" : "other", readable, hex);
}

static int copy_tree(const char *from, const char *to, struct err *err)
{
	AUTO(buf_free) struct buf errors = BUF_INIT(1 << 20);
	const char *const argv[] = {"cp", "-a", "--", from, to, NULL};
	struct child_spec spec = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .die_with_us = true};
	int status;

	if (child_run(&spec, slice_of(""), NULL, &errors, 0, &status, err))
		return -1;
	if (status != 0)
		return err_set(err, ERR_INTERNAL, "cannot copy %s: %.500s", from, buf_str(&errors));
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat info;

	return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Below the home folder: shown in place, shared by builds that run at once (the
 * package managers that use them are made for that). */
static int mount_cache(struct sandbox *sandbox, const char *folder, const char *inside, struct err *err)
{
	const char *point = arena_printf(sandbox->arena, "%s/%s", sandbox->home, inside);

	if (dir_make_at(AT_FDCWD, folder, 0700, err))
		return -1;
	if (sandbox->kind != IN_NOTHING) {
		sandbox->mounts[sandbox->mount_count++] = (struct cache_mount){folder, inside};
		return dir_make_at(AT_FDCWD, point, 0755, err);
	}
	const char *slash = strrchr(point, '/');
	if (dir_make_at(AT_FDCWD, arena_str(sandbox->arena, slice_make(point, (size_t)(slash - point))), 0755,
			err))
		return -1;
	return symlink(folder, point) ? err_errno(err, "%s", point) : 0;
}

/* In the tree: it is part of the result like any folder, so it is copied. */
static int put_back(struct sandbox *sandbox, const char *folder, const char *path, struct err *err)
{
	const char *there = arena_printf(sandbox->arena, "%s/%s", sandbox->tree, path);
	const char *slash = strrchr(there, '/');
	struct stat info;

	if (!is_folder(folder) || lstat(there, &info) == 0)
		return 0;
	AUTO(close_fd) int tree_fd = -1, parent_fd = -1;
	const char *parent = arena_str(sandbox->arena, slice_make(there, (size_t)(slash - there)));
	if (dir_open_at(AT_FDCWD, sandbox->tree, &tree_fd, err))
		return -1;
	/* Through a link in the tree we would write somewhere else. */
	if (strlen(parent) > strlen(sandbox->tree)) {
		struct err ignored = ERR_INIT;
		const char *inner = parent + strlen(sandbox->tree) + 1;
		if (open_beneath(tree_fd, inner, O_RDONLY | O_DIRECTORY, 0, false, &parent_fd, &ignored))
			return 0;
	}
	return copy_tree(folder, there, err);
}

int cache_prepare(const struct build_request *request, struct sandbox *sandbox, struct err *err)
{
	const struct build_recipe *recipe = request->recipe;

	sandbox->mounts = ARENA_NEW_ARRAY(sandbox->arena, recipe->cache_count + 1, struct cache_mount);
	for (size_t i = 0; i < recipe->cache_count; i++) {
		const char *cache = recipe->caches[i];
		const char *folder = cache_folder(request, cache, sandbox->arena);
		bool at_home = strncmp(cache, "~/", 2) == 0;
		if (at_home ? mount_cache(sandbox, folder, cache + 2, err)
			    : put_back(sandbox, folder, cache, err))
			return err_wrap(err, "cache %s", cache);
	}
	return 0;
}

/* The new content is whole before it takes the place of the old. */
static int keep_one(struct sandbox *sandbox, const char *folder, const char *path, struct err *err)
{
	AUTO(close_fd) int tree_fd = -1, fd = -1;
	struct err ignored = ERR_INIT;
	uint8_t random[6];
	char hex[13];

	if (dir_open_at(AT_FDCWD, sandbox->tree, &tree_fd, err))
		return -1;
	if (open_beneath(tree_fd, path, O_RDONLY | O_DIRECTORY, 0, false, &fd, &ignored))
		return 0; /* not there, or a link to who knows where */
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), hex);
	const char *fresh = arena_printf(sandbox->arena, "%s.new-%s", folder, hex);
	const char *old = arena_printf(sandbox->arena, "%s.old-%s", folder, hex);
	const char *slash = strrchr(folder, '/');
	if (dir_make_at(AT_FDCWD, arena_str(sandbox->arena, slice_make(folder, (size_t)(slash - folder))),
			0700, err))
		return -1;
	int result = copy_tree(arena_printf(sandbox->arena, "%s/%s", sandbox->tree, path), fresh, err);
	if (result == 0 && rename(folder, old) != 0 && errno != ENOENT)
		result = err_errno(err, "%s", folder);
	/* Another build may have been faster; its content is as good. */
	if (result == 0 && rename(fresh, folder) != 0 && errno != EEXIST && errno != ENOTEMPTY)
		result = err_errno(err, "%s", folder);
	if (tree_remove_at(AT_FDCWD, old, &ignored) || tree_remove_at(AT_FDCWD, fresh, &ignored))
		return result;
	return result;
}

int cache_keep(const struct build_request *request, struct sandbox *sandbox, struct err *err)
{
	const struct build_recipe *recipe = request->recipe;

	for (size_t i = 0; i < recipe->cache_count; i++) {
		const char *cache = recipe->caches[i];
		if (strncmp(cache, "~/", 2) != 0 &&
		    keep_one(sandbox, cache_folder(request, cache, sandbox->arena), cache, err))
			return err_wrap(err, "cache %s", cache);
	}
	return 0;
}
