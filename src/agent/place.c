#include "agent/place.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int absolute_path(const char *path, char out[PATH_MAX], struct err *err)
{
	const char *home = getenv("HOME");
	int len;

	if (path[0] == '/')
		len = snprintf(out, PATH_MAX, "%s", path);
	else if (!home || home[0] != '/')
		return err_set(err, ERR_USER, "%s is relative to the home folder, and HOME is not set", path);
	else
		len = snprintf(out, PATH_MAX, "%s/%s", home, path);
	return len < PATH_MAX ? 0 : err_set(err, ERR_USER, "the path of the place is too long");
}

static int open_private(struct place *place, bool create, struct err *err)
{
	static const char *const folders[] = {"manifests", "prepare",  "objects", "aside",
					      "trash",	   "rendered", "hooks"};
	struct stat st;

	if (create && mkdirat(place->dir_fd, ".lockstep", 0700) != 0 && errno != EEXIST)
		return err_errno(err, "%s/.lockstep", place->path);
	place->private_fd =
		openat(place->dir_fd, ".lockstep", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place->private_fd < 0 && errno == ENOENT && !create)
		return 0;
	if (place->private_fd < 0)
		return err_errno(err, "%s/.lockstep", place->path);
	if (fstat(place->private_fd, &st) != 0)
		return err_errno(err, "%s/.lockstep", place->path);
	if (st.st_uid != geteuid()) {
		err_set(err, ERR_DENIED, "%s/.lockstep belongs to user %ju, not to us (%ju)", place->path,
			(uintmax_t)st.st_uid, (uintmax_t)geteuid());
		return err_hint(err, "deploy as that user, or give the folder to the deploy user with chown");
	}
	if (!create)
		return 0;
	if ((st.st_mode & 0777) != 0700 && fchmod(place->private_fd, 0700) != 0)
		return err_errno(err, "%s/.lockstep", place->path);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (dir_make_at(place->private_fd, folders[i], 0700, err))
			return err_wrap(err, "%s/.lockstep", place->path);
	if (dir_make_at(place->dir_fd, "releases", 0755, err) ||
	    dir_make_at(place->dir_fd, "shared", 0755, err))
		return err_wrap(err, "%s", place->path);
	/* Said before anything is sent. */
	AUTO(close_fd) int releases = -1;
	if (place_open_releases(place, &releases, err))
		return -1;
	return dir_sync(place->dir_fd, err);
}

int place_open(const char *path, bool create, struct place *place, struct err *err)
{
	char wanted[PATH_MAX], resolved[PATH_MAX];

	*place = (struct place){NULL, -1, -1};
	if (absolute_path(path, wanted, err))
		return -1;
	if (create && dir_make_at(AT_FDCWD, wanted, 0755, err)) {
		if (err->code == ERR_DENIED)
			err_hint(err,
				 "create the folder once as root and give it to the deploy user: "
				 "mkdir -p %s && chown USER %s",
				 wanted, wanted);
		return -1;
	}
	if (!realpath(wanted, resolved)) {
		if (errno == ENOENT && !create) {
			place->path = mem_strdup(wanted);
			return 0;
		}
		return err_errno(err, "%s", wanted);
	}
	place->path = mem_strdup(resolved);
	if (dir_open_at(AT_FDCWD, resolved, &place->dir_fd, err))
		return -1;
	return open_private(place, create, err);
}

void place_close(struct place *place)
{
	close_fd(&place->private_fd);
	close_fd(&place->dir_fd);
	mem_free_ptr(&place->path);
}

void place_make_name(uint64_t number, const char *release_hex, char out[PLACE_NAME_MAX])
{
	snprintf(out, PLACE_NAME_MAX, "%06" PRIu64 "-%.12s", number, release_hex);
}

bool place_parse_name(struct slice name, uint64_t *number_out)
{
	struct slice rest = name;
	struct slice digits = slice_cut(&rest, '-');
	uint8_t bytes[6];

	return name.len < PLACE_NAME_MAX && digits.len >= 6 && digits.len <= 12 &&
	       slice_to_u64(digits, number_out) && hex_decode(rest, bytes, sizeof(bytes));
}

int place_live(const struct place *place, struct live *live, struct err *err)
{
	struct stat st;
	uint64_t number;

	*live = (struct live){0};
	if (place->dir_fd < 0)
		return 0;
	ssize_t len = readlinkat(place->dir_fd, "current", live->target, sizeof(live->target) - 1);
	if (len < 0 && errno == ENOENT)
		return 0;
	if (len < 0 && errno == EINVAL) {
		live->foreign = live->blocked = true;
		return 0;
	}
	if (len < 0)
		return err_errno(err, "%s/current", place->path);
	live->target[len] = '\0';
	struct slice target = slice_of(live->target);
	struct slice name =
		slice_starts_with(target, "releases/") ? slice_skip(target, 9) : slice_make(NULL, 0);
	if (!name.ptr || !place_parse_name(name, &number) ||
	    fstatat(place->dir_fd, live->target, &st, 0) != 0)
		live->foreign = true;
	else
		memcpy(live->name, name.ptr, name.len + 1);
	return 0;
}

struct listing {
	struct arena *arena;
	const char **names;
	size_t count, cap;
};

static int add_name(void *context, const char *name, struct err *err)
{
	struct listing *listing = context;
	uint64_t number;

	(void)err;
	if (!place_parse_name(slice_of(name), &number))
		return 0;
	if (listing->count == listing->cap) {
		listing->cap = MAX(listing->cap * 2, (size_t)16);
		listing->names = mem_grow(listing->names, listing->cap, sizeof(*listing->names));
	}
	listing->names[listing->count++] = arena_strdup(listing->arena, name);
	return 0;
}

int place_open_releases(const struct place *place, int *fd_out, struct err *err)
{
	if (open_beneath(place->dir_fd, "releases", O_RDONLY | O_DIRECTORY, 0, false, fd_out, err) == 0)
		return 0;
	err_wrap(err, "%s", place->path);
	return err_hint(
		err,
		"releases/ must be a folder in the place; to keep it elsewhere, put the whole place there");
}

static int newest_first(const void *a, const void *b)
{
	uint64_t left = 0, right = 0;

	place_parse_name(slice_of(*(const char *const *)a), &left);
	place_parse_name(slice_of(*(const char *const *)b), &right);
	return (left < right) - (left > right);
}

int place_activations(const struct place *place, struct arena *arena, const char ***names_out,
		      size_t *count_out, struct err *err)
{
	struct listing listing = {.arena = arena};
	AUTO(close_fd) int releases = -1;
	struct err none = ERR_INIT;

	*names_out = NULL;
	*count_out = 0;
	if (place->dir_fd < 0 || place_open_releases(place, &releases, &none))
		return 0;
	int result = dir_each_at(releases, ".", add_name, &listing, err);
	if (listing.count) {
		qsort(listing.names, listing.count, sizeof(*listing.names), newest_first);
		*names_out = ARENA_NEW_ARRAY(arena, listing.count, const char *);
		memcpy(*names_out, listing.names, listing.count * sizeof(*listing.names));
		*count_out = listing.count;
	}
	free(listing.names);
	return result;
}

int place_switch(const struct place *place, const char *target, struct err *err)
{
	if (!target || !*target) {
		if (unlinkat(place->dir_fd, "current", 0) != 0 && errno != ENOENT)
			return err_errno(err, "%s/current", place->path);
		return dir_sync(place->dir_fd, err);
	}
	if (unlinkat(place->dir_fd, "current.new", 0) != 0 && errno != ENOENT)
		return err_errno(err, "%s/current.new", place->path);
	if (symlinkat(target, place->dir_fd, "current.new") != 0)
		return err_errno(err, "%s/current.new", place->path);
	if (fault_point("agent.switch.before_rename", err))
		return -1;
	/* The link is renamed last: a crash before this line leaves the old activation
	 * live, a crash after it the new one, never neither. */
	if (renameat(place->dir_fd, "current.new", place->dir_fd, "current") != 0)
		return err_errno(err, "%s/current", place->path);
	fault_mark("agent.switch.after_rename");
	return dir_sync(place->dir_fd, err);
}
