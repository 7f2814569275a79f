/* Finds, creates and checks the state folder. What lies in it is others' work. */
#include "model/home.h"

#include "base/fd.h"
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define HOME_HINT "point LOCKSTEP_HOME at a folder of your own"

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] ? value : NULL;
}

static const char *user_home(void)
{
	const char *home = variable("HOME");
	if (home)
		return home;
	const struct passwd *user = getpwuid(geteuid());
	return user && user->pw_dir && user->pw_dir[0] == '/' ? user->pw_dir : NULL;
}

int home_locate(struct arena *arena, const char **path_out, struct err *err)
{
	const char *path = variable("LOCKSTEP_HOME");
	if (path) {
		if (path[0] != '/')
			return err_set(err, ERR_USER, "LOCKSTEP_HOME is \"%s\": it must be an absolute path",
				       path);
		*path_out = arena_strdup(arena, path);
		return 0;
	}
	/* A relative path there is to be ignored (XDG Base Directory Specification). */
	const char *state = variable("XDG_STATE_HOME");
	if (state && state[0] == '/') {
		*path_out = arena_printf(arena, "%s/lockstep", state);
		return 0;
	}
	const char *home = user_home();
	if (!home || home[0] != '/') {
		err_set(err, ERR_USER, "there is no place to keep state: HOME is not set");
		return err_hint(err, "set LOCKSTEP_HOME to an absolute path");
	}
	*path_out = arena_printf(arena, "%s/.local/state/lockstep", home);
	return 0;
}

/* What others may write, they may replace: a store or a database in such a folder
 * would be theirs. */
static int check_owned(int dir_fd, const char *path, struct err *err)
{
	struct stat st;
	if (fstat(dir_fd, &st))
		return err_errno(err, "cannot look at %s", path);
	if (st.st_uid != geteuid()) {
		err_set(err, ERR_DENIED, "the state folder %s belongs to another user (number %lu)", path,
			(unsigned long)st.st_uid);
		return err_hint(err, "run as that user, or " HOME_HINT);
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(err, ERR_DENIED, "other users may write the state folder %s (mode %04o)", path,
			(unsigned)(st.st_mode & 07777));
		return err_hint(err, "if nobody has meddled with it: chmod 700 '%s'; else " HOME_HINT, path);
	}
	return 0;
}

static int make_folder(int dir_fd, const char *name, const char *path, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	if (dir_make_at(dir_fd, name, 0700, err) || dir_open_at(dir_fd, name, &fd, err)) {
		err_wrap(err, "state folder %s", path);
		return err->hint[0] ? -1 : err_hint(err, HOME_HINT);
	}
	if (check_owned(fd, path, err))
		return -1;
	*fd_out = steal_fd(&fd);
	return 0;
}

static int make_part(struct arena *arena, const struct home *home, const char *name, const char **path_out,
		     struct err *err)
{
	AUTO(close_fd) int fd = -1;
	const char *path = arena_printf(arena, "%s/%s", home->path, name);
	if (make_folder(home->dir_fd, name, path, &fd, err))
		return -1;
	*path_out = path;
	return 0;
}

int home_open(struct arena *arena, const char *path, struct home *out, struct err *err)
{
	AUTO(home_close) struct home home = HOME_INIT;
	if (!path && home_locate(arena, &path, err))
		return -1;
	if (path[0] != '/')
		return err_set(err, ERR_USER, "the state folder \"%s\" must be an absolute path", path);

	home.path = arena_strdup(arena, path);
	if (make_folder(AT_FDCWD, home.path, home.path, &home.dir_fd, err) ||
	    make_part(arena, &home, "store", &home.store, err) ||
	    make_part(arena, &home, "mirrors", &home.mirrors, err) ||
	    make_part(arena, &home, "builds", &home.builds, err) ||
	    make_part(arena, &home, "runs", &home.runs, err) ||
	    make_part(arena, &home, "caches", &home.caches, err) ||
	    make_part(arena, &home, "facts", &home.facts, err) ||
	    model_open(arena_printf(arena, "%s/state.db", home.path), &home.db, err))
		return -1;
	*out = home;
	home = HOME_INIT;
	return 0;
}

void home_close(struct home *home)
{
	db_close(&home->db);
	close_fd(&home->dir_fd);
	home->dir_fd = -1;
}
