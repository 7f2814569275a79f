#include "agent/owner.h"

#include "base/arena.h"
#include "base/child.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOKUP_MS = 10000, GROUPS_MAX = 65536 };

/* "name:x:NUMBER:…" */
static bool number_in(struct slice text, struct slice name, uint64_t *out)
{
	while (text.len) {
		struct slice line = slice_cut(&text, '\n');
		struct slice first = slice_cut(&line, ':');
		slice_cut(&line, ':');
		if (slice_equal(first, name) && slice_to_u64(slice_cut(&line, ':'), out))
			return true;
	}
	return false;
}

static int look_up(const char *table, const char *file, const char *name, int64_t *out, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));
	const char *const argv[] = {"getent", table, name, NULL};
	struct child_spec spec = {.argv = argv};
	struct err unusable = ERR_INIT;
	uint64_t number;
	int status;

	*out = -1;
	if (slice_to_u64(slice_of(name), &number) && number < UINT32_MAX) {
		*out = (int64_t)number;
		return 0;
	}
	/* A name that getent would take for an option, or that tears a line, is no name. */
	if (name[0] == '-' || strpbrk(name, ":\n") || strlen(name) > 255)
		return err_set(err, ERR_USER, "\"%.255s\" is no name of a user or group", name);
	if (child_run(&spec, slice_make(NULL, 0), &text, NULL, LOOKUP_MS, &status, &unusable)) {
		/* Small systems have no getent, and no name services either. */
		buf_clear(&text);
		if (file_read_at(AT_FDCWD, file, &text, &unusable))
			buf_clear(&text);
	}
	if (!number_in(buf_slice(&text), slice_of(name), &number) || number >= UINT32_MAX) {
		err_set(err, ERR_USER, "this server has no %s %s", *table == 'p' ? "user" : "group", name);
		return err_hint(err, "as root: %s %s",
				*table == 'p' ? "useradd --system" : "groupadd --system", name);
	}
	*out = (int64_t)number;
	return 0;
}

static bool is_member(gid_t group)
{
	AUTO(mem_free_ptr) gid_t *groups = NULL;

	if (group == getegid())
		return true;
	int count = getgroups(0, NULL);
	if (count <= 0 || count > GROUPS_MAX)
		return false;
	groups = mem_array((size_t)count, sizeof(*groups));
	count = getgroups(count, groups);
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static const char *our_name(void)
{
	const char *user = getenv("USER");

	return user && *user ? user : "DEPLOYUSER";
}

int ownership_find(const char *owner, const char *group, struct ownership *out, struct err *err)
{
	*out = (struct ownership){-1, -1};
	if (owner && *owner && look_up("passwd", "/etc/passwd", owner, &out->uid, err))
		return -1;
	if (group && *group && look_up("group", "/etc/group", group, &out->gid, err))
		return -1;
	if (geteuid() == 0)
		return 0;
	if (out->uid >= 0 && (uid_t)out->uid != geteuid()) {
		err_set(err, ERR_DENIED, "a file cannot be given to %s: only root may, and we are %s", owner,
			our_name());
		return err_hint(
			err,
			"leave `owner` out, say `group: %s`, and as root: usermod -aG %s %s (the next "
			"connection has the group)",
			owner, owner, our_name());
	}
	if (out->gid >= 0 && !is_member((gid_t)out->gid)) {
		err_set(err, ERR_DENIED, "a file cannot be given to the group %s: %s is not in it", group,
			our_name());
		return err_hint(err, "as root: usermod -aG %s %s (the next connection has the group)", group,
				our_name());
	}
	return 0;
}

int ownership_give(const struct ownership *ownership, int fd, struct err *err)
{
	struct stat st;

	if (ownership->uid < 0 && ownership->gid < 0)
		return 0;
	if (fstat(fd, &st) != 0)
		return err_errno(err, "owner");
	uid_t uid =
		ownership->uid < 0 || (uid_t)ownership->uid == st.st_uid ? (uid_t)-1 : (uid_t)ownership->uid;
	gid_t gid =
		ownership->gid < 0 || (gid_t)ownership->gid == st.st_gid ? (gid_t)-1 : (gid_t)ownership->gid;
	if ((uid == (uid_t)-1 && gid == (gid_t)-1) || fchown(fd, uid, gid) == 0)
		return 0;
	return err_errno(err, "giving it to its owner (user %lld, group %lld)", (long long)ownership->uid,
			 (long long)ownership->gid);
}
