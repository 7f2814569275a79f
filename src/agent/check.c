/* CHECK: what would stand in the way of a deployment, and how to mend it. */
#include "agent/command.h"
#include "agent/owner.h"
#include "agent/sudoers.h"

#include "base/child.h"
#include "base/fd.h"
#include "codec/reload_spec.h"

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

static int tell(struct check *check, const char *severity, const char *what, const char *why,
		const char *hint, struct err *err)
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
		snprintf(hint, sizeof(hint), "as root: chown %s %s",
			 getenv("USER") ? getenv("USER") : "DEPLOYUSER", place->path);
		return tell(check, "bad", "the place cannot be written", why, hint, err);
	}
	snprintf(path, sizeof(path), "%s", place->path);
	for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
		*(slash == path ? slash + 1 : slash) = '\0';
		if (access(path, F_OK) == 0 || slash == path)
			break;
	}
	if (access(path, W_OK | X_OK) == 0)
		return tell(check, "ok", "the place will be created by the first deployment", place->path,
			    NULL, err);
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
		return tell(check, "bad", "`current` is no symlink",
			    "a release is switched by renaming a symlink over it",
			    "move it away, for example to shared/, and point the web server at current/",
			    err);
	if (live.foreign)
		return tell(check, "warn", "`current` shows something lockstep did not put there",
			    live.target,
			    "the first deployment replaces the link and remembers where it pointed, for a "
			    "way back",
			    err);
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
			 "put it there before the first deployment, unless the release brings one to begin "
			 "with",
			 err))
			return -1;
	}
	return 0;
}

/* What is renamed from .lockstep to releases/ must lie on the same file system. */
static int check_file_system(struct check *check, struct err *err)
{
	const struct place *place = &check->session->place;
	struct stat ours, releases;

	if (place->private_fd < 0 || fstat(place->private_fd, &ours) != 0 ||
	    fstatat(place->dir_fd, "releases", &releases, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (S_ISDIR(releases.st_mode) && ours.st_dev == releases.st_dev)
		return 0;
	return tell(check, "bad", "releases/ lies on another file system than the place", place->path,
		    "put the whole place there instead: an activation is put in place by renaming", err);
}

/* Whether a command line ends with 0; what it says is dropped. */
static int succeeds(struct check *check, const char *text, bool *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf said = BUF_INIT(KIB(64));
	struct command_result result;
	struct command command = {
		.text = text,
		.dir = "/",
		.env = command_environment(check->session, &arena, NULL),
		.timeout_ms = 10000,
	};

	if (command_ask(check->session, &command, &said, &result, err))
		return -1;
	*out = result.status == 0 && !result.timed_out;
	return 0;
}

/* What a kind of reload runs as root: a verb that does it, and one that tells the processes. */
struct service_kind {
	enum reload_spec_kind kind;
	const char *program, *verb, *asks;
};

static int may_run(struct check *check, const struct service_kind *kind, const char *verb,
		   const char *subject, bool *out, struct err *err)
{
	char text[512];

	snprintf(text, sizeof(text), "sudo -n -l %s %s '%s'", kind->program, verb, subject);
	return succeeds(check, text, out, err);
}

/* One reload by a program that only root may use. */
static int check_service(struct check *check, const char *what, const struct service_kind *kind,
			 const char *subject, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	bool allowed, asked = true;

	if (!child_in_path(kind->program, NULL))
		return tell(check, "bad", what, "there is no such program on this server",
			    "install it, or say another `reload`", err);
	if (geteuid() == 0)
		return tell(check, "ok", what, NULL, NULL, err);
	if (!child_in_path("sudo", NULL))
		return tell(check, "bad", what, "we are not root, and there is no sudo",
			    "install sudo and allow this one command", err);
	if (may_run(check, kind, kind->verb, subject, &allowed, err) ||
	    (allowed && kind->asks && may_run(check, kind, kind->asks, subject, &asked, err)))
		return -1;
	if (allowed && asked)
		return tell(check, "ok", what, NULL, NULL, err);
	return tell(check, allowed ? "warn" : "bad", what,
		    allowed ? "sudo does not let us ask for its processes, so nothing proves the reload"
			    : "sudo does not let us do it without a password",
		    arena_printf(&arena, "a line for sudoers: %s",
				 sudoers_line(&arena, kind->program, kind->verb, kind->asks, subject)),
		    err);
}

static int check_reloads(struct check *check, const struct record *request, struct err *err)
{
	static const struct service_kind kinds[] = {{RELOAD_SYSTEMD, "systemctl", "reload-or-restart", NULL},
						    {RELOAD_SUPERVISOR, "supervisorctl", "restart", "status"}};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	size_t cursor = 0;
	struct slice text;

	while (record_next(request, "reload", &cursor, &text)) {
		struct reload_spec spec;
		char what[256];
		const char *fault = reload_spec_parse(text, &spec);
		snprintf(what, sizeof(what), "reload %.*s", (int)MIN(text.len, (size_t)200), text.ptr);
		if (fault && tell(check, "bad", what, fault, NULL, err))
			return -1;
		for (size_t i = 0; i < ARRAY_LEN(kinds) && !fault; i++)
			if (kinds[i].kind == spec.kind &&
			    check_service(check, what, &kinds[i], arena_str(&arena, spec.subject), err))
				return -1;
	}
	return 0;
}

/* Hooks with `as` run as the application's user. */
static int check_user(struct check *check, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *user = record_get_str(&arena, request, "user");
	struct command_result result;
	struct err refused = ERR_INIT;
	AUTO(buf_free) struct buf said = BUF_INIT(KIB(64));
	char what[300], hint[600];

	if (!*user)
		return 0;
	struct command command = {
		.text = "true",
		.as = user,
		.dir = "/",
		.env = command_environment(check->session, &arena, request),
		.timeout_ms = 10000,
	};
	snprintf(what, sizeof(what), "commands as %.200s", user);
	int failed = command_ask(check->session, &command, &said, &result, &refused);
	if (failed && check->session->lost) {
		*err = refused;
		return -1;
	}
	if (!failed && result.status == 0)
		return tell(check, "ok", what, NULL, NULL, err);
	snprintf(hint, sizeof(hint), "a line for sudoers: %s ALL=(%.200s) NOPASSWD: /bin/sh",
		 getenv("USER") ? getenv("USER") : "DEPLOYUSER", user);
	return tell(check, "warn", what,
		    failed ? refused.text : "sudo does not let us run them without a password", hint, err);
}

/* Whether rendered files may be given to whom they are to belong. */
static int check_ownership(struct check *check, const struct record *request, const char *key,
			   struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	bool is_owner = strcmp(key, "owner") == 0;
	size_t cursor = 0;
	struct slice value;

	while (record_next(request, key, &cursor, &value)) {
		const char *name = arena_str(&arena, value);
		struct ownership ownership;
		struct err refused = ERR_INIT;
		char what[300];
		snprintf(what, sizeof(what), "config files of %s %.200s", is_owner ? "user" : "group", name);
		int result =
			ownership_find(is_owner ? name : NULL, is_owner ? NULL : name, &ownership, &refused);
		if (tell(check, result ? "bad" : "ok", what, result ? refused.text : NULL,
			 result ? refused.hint : NULL, err))
			return -1;
	}
	return 0;
}

int handle_check(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(256);
	struct check check = {.session = session};

	if (check_place(&check, err) || check_current(&check, err) || check_space(&check, err) ||
	    check_file_system(&check, err) || check_shared_files(&check, request, err) ||
	    check_ownership(&check, request, "owner", err) ||
	    check_ownership(&check, request, "group", err) || check_reloads(&check, request, err) ||
	    check_user(&check, request, err))
		return -1;
	record_begin(&text, "done");
	record_put_u64(&text, "bad", check.bad);
	record_put_u64(&text, "warn", check.warn);
	return session_send_record(session, MSG_DONE, &text, err);
}
