/* CHECK: what would stand in the way of a deployment, and how to mend it. */
#include "agent/session.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct check {
	struct session *session;
	uint64_t bad, warn;
};

static int tell(struct check *check, const char *severity, const char *what, const char *why, const char *hint,
		struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);

	check->bad += strcmp(severity, "bad") == 0;
	check->warn += strcmp(severity, "warn") == 0;
	record_begin(&text, "problem");
	record_put_str(&text, "severity", severity);
	record_put_str(&text, "what", what);
	record_put_opt(&text, "why", why);
	record_put_opt(&text, "hint", hint);
	return session_send_record(check->session, MSG_PROBLEM, &text, err);
}

/* The nearest folder above that exists, and whether we may write there. */
static int check_place(struct check *check, struct err *err)
{
	const struct place *place = &check->session->place;
	char path[4096], why[4200], hint[8400];

	if (place->dir_fd >= 0) {
		if (faccessat(place->dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
			return tell(check, "ok", "the place can be written", place->path, NULL, err);
		snprintf(why, sizeof(why), "%s: %s", place->path, strerror(errno));
		snprintf(hint, sizeof(hint), "as root: chown %s %s", getenv("USER") ? getenv("USER") : "DEPLOYUSER",
			 place->path);
		return tell(check, "bad", "the place cannot be written", why, hint, err);
	}
	snprintf(path, sizeof(path), "%s", place->path);
	for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
		*(slash == path ? slash + 1 : slash) = '\0';
		if (access(path, F_OK) == 0 || slash == path)
			break;
	}
	if (access(path, W_OK | X_OK) == 0)
		return tell(check, "ok", "the place will be created by the first deployment", place->path, NULL, err);
	snprintf(why, sizeof(why), "%s does not exist, and we may not create it in %s", place->path, path);
	snprintf(hint, sizeof(hint), "as root: mkdir -p %s && chown %s %s", place->path,
		 getenv("USER") ? getenv("USER") : "DEPLOYUSER", place->path);
	return tell(check, "bad", "the place cannot be created", why, hint, err);
}

static int check_current(struct check *check, struct err *err)
{
	struct live live;

	if (place_live(&check->session->place, &live, err))
		return -1;
	if (live.blocked)
		return tell(check, "bad", "`current` is no symlink", "a release is switched by renaming a symlink over it",
			    "move it away, for example to shared/, and point the web server at current/", err);
	if (live.foreign)
		return tell(check, "warn", "`current` shows something lockstep did not put there", live.target,
			    "the first deployment replaces the link and remembers where it pointed, for a way back", err);
	return 0;
}

static int check_space(struct check *check, struct err *err)
{
	const struct place *place = &check->session->place;
	struct statvfs fs;
	char why[256];

	if (place->dir_fd < 0 || fstatvfs(place->dir_fd, &fs) != 0)
		return 0;
	uint64_t free_mb = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
	snprintf(why, sizeof(why), "%llu MB, %llu inodes free", (unsigned long long)free_mb,
		 (unsigned long long)fs.f_favail);
	return tell(check, free_mb < 100 ? "warn" : "ok", "free space", why,
		    free_mb < 100 ? "make room, or keep fewer releases (`keep`)" : NULL, err);
}

static int check_shared_files(struct check *check, const struct record *request, struct err *err)
{
	const struct place *place = &check->session->place;
	size_t cursor = 0;
	struct slice file;

	while (record_next(request, "shared_file", &cursor, &file)) {
		char path[4200], why[8400];
		struct stat st;
		snprintf(path, sizeof(path), "shared/%.*s", SLICE_ARG(file));
		if (place->dir_fd >= 0 && fstatat(place->dir_fd, path, &st, 0) == 0)
			continue;
		snprintf(why, sizeof(why), "%s/%s does not exist", place->path, path);
		if (tell(check, "warn", "a shared file is missing", why,
			 "put it there before the first deployment, unless the release brings one to begin with", err))
			return -1;
	}
	return 0;
}

static bool in_path(const char *program)
{
	const char *path = getenv("PATH");
	char candidate[4096];

	for (struct slice rest = slice_of(path ? path : "/usr/bin:/bin:/usr/sbin:/sbin"); rest.ptr;) {
		struct slice dir = slice_cut(&rest, ':');
		if (snprintf(candidate, sizeof(candidate), "%.*s/%s", SLICE_ARG(dir), program) < (int)sizeof(candidate) &&
		    access(candidate, X_OK) == 0)
			return true;
	}
	return false;
}

static int check_reloads(struct check *check, const struct record *request, struct err *err)
{
	static const struct {
		const char *kind, *program;
	} needs[] = { { "systemd:", "systemctl" }, { "supervisor:", "supervisorctl" } };
	size_t cursor = 0;
	struct slice spec;

	while (record_next(request, "reload", &cursor, &spec)) {
		for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
			char what[256];
			if (!slice_starts_with(spec, needs[i].kind))
				continue;
			snprintf(what, sizeof(what), "reload %.*s", (int)MIN(spec.len, (size_t)200), spec.ptr);
			if (!in_path(needs[i].program) &&
			    tell(check, "bad", what, "there is no such program on this server", "install it, or say another `reload`",
				 err))
				return -1;
			if (geteuid() != 0 && !in_path("sudo") &&
			    tell(check, "bad", what, "we are not root, and there is no sudo", "install sudo and allow this one command",
				 err))
				return -1;
		}
	}
	return 0;
}

int handle_check(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(256);
	struct check check = { .session = session };

	if (check_place(&check, err) || check_current(&check, err) || check_space(&check, err) ||
	    check_shared_files(&check, request, err) || check_reloads(&check, request, err))
		return -1;
	record_begin(&text, "done");
	record_put_u64(&text, "bad", check.bad);
	record_put_u64(&text, "warn", check.warn);
	return session_send_record(session, MSG_DONE, &text, err);
}
