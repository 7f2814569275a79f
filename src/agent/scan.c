#include "agent/scan.h"

#include "agent/tree.h"
#include "base/clock.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int activation_open(const struct place *place, const char *name, int *fd_out, struct err *err)
{
	char path[PLACE_NAME_MAX + 16];

	snprintf(path, sizeof(path), "releases/%s", name);
	if (open_beneath(place->dir_fd, path, O_RDONLY | O_DIRECTORY, 0, false, fd_out, err))
		return err_wrap(err, "%s", place->path);
	return 0;
}

struct folder {
	struct scan *scan;
	bool *seen;	  /* per own entry */
	struct buf *path; /* of what is looked at; this folder's own are the first `path_len` bytes */
	int fd;
	size_t path_len;
	int depth;
	bool entered; /* an entry of it was looked at */
};

static int report(struct scan *scan, const struct own_entry *entry, struct scan_edit *edit,
		  const struct stat *st, struct err *err)
{
	scan->edits++;
	if (entry && entry->entry.type == ENTRY_FILE && !edit->rendered)
		digest_to_hex(&entry->entry.digest, edit->expected);
	if (st) {
		edit->owner = st->st_uid;
		edit->modified_ms = (int64_t)st->st_mtime * 1000;
		edit->is_file = S_ISREG(st->st_mode);
	}
	return scan->edit ? scan->edit(scan->context, edit, err) : 0;
}

/* Never waits, whatever stands there. */
static int open_file(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

int scan_hash_file(struct session *session, int dir_fd, const char *name, struct digest *out, struct err *err)
{
	AUTO(close_fd) int fd = open_file(dir_fd, name);
	struct stat st;

	if (fd < 0)
		return err_errno(err, "%s", name);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_INTERNAL, "%s is no file any more", name);
	return session_hash_fd(session, fd, (uint64_t)st.st_size, out, err);
}

static int check_link(struct folder *folder, const char *name, const struct own_entry *entry,
		      struct scan_edit *edit, const struct stat *st, struct err *err)
{
	char target[MANIFEST_LINK_MAX + 1];
	ssize_t len = readlinkat(folder->fd, name, target, sizeof(target));
	struct digest digest;

	if (len < 0)
		return err_errno(err, "%s", name);
	digest_of(slice_make(target, (size_t)len), &digest);
	if (digest_equal(&digest, &entry->entry.digest))
		return 1;
	edit->kind = "changed";
	digest_to_hex(&digest, edit->seen);
	return report(folder->scan, entry, edit, st, err);
}

/* 1: intact; 0: reported as an edit. `fd`: of the file that `st` is about, -1 when it is not open. */
static int check_file(struct folder *folder, const char *name, int fd, const struct own_entry *entry,
		      struct scan_edit *edit, const struct stat *st, struct err *err)
{
	struct scan *scan = folder->scan;
	enum signature_verdict verdict = signature_check(entry, st);
	struct digest digest;
	struct err unreadable = ERR_INIT;

	scan->files++;
	if (verdict == SIGNATURE_HOLDS && !scan->deep)
		return 1;
	scan->hashed++;
	if (session_breathe(scan->session, "hash", scan->files, scan->own->count, 0, 0, err))
		return -1;
	int failed = fd >= 0 ? session_hash_fd(scan->session, fd, (uint64_t)st->st_size, &digest, &unreadable)
			     : scan_hash_file(scan->session, folder->fd, name, &digest, &unreadable);
	if (failed) {
		if (scan->session->lost) {
			*err = unreadable;
			return -1;
		}
		edit->kind = "mode";
		return report(scan, entry, edit, st, err);
	}
	bool same_mode = (st->st_mode & 0777) == entry->entry.mode && !(st->st_mode & 07000) &&
			 (!edit->rendered || entry->dev == own_owner_of(st));
	if (digest_equal(&digest, &entry->entry.digest)) {
		/* Touched, or replaced by the same bytes: what counts is right. But its
		 * signature does not vouch for it, so `intact` comes from the hash just made. */
		if (same_mode)
			return 1;
		edit->kind = "mode";
		return report(scan, entry, edit, st, err);
	}
	edit->kind = "changed";
	if (!edit->rendered)
		digest_to_hex(&digest, edit->seen);
	return report(scan, entry, edit, st, err);
}

/* Both are sorted, so it is mostly the one behind the last. */
static const struct own_entry *find_next(struct folder *folder, struct slice path)
{
	const struct own_manifest *own = folder->scan->own;
	size_t next = folder->scan->next;
	const struct own_entry *found = next < own->count && slice_equal(own->entries[next].entry.path, path)
						? &own->entries[next]
						: own_find(own, path);

	if (found)
		folder->scan->next = (size_t)(found - own->entries) + 1;
	return found;
}

static int scan_folder(struct folder *folder, struct err *err);

/* More entries than are looked at: the application made them. What the release has there is
 * not known to be intact, but neither is it said to be gone. */
static bool is_crowded(const struct folder *folder, const struct err *err)
{
	return !folder->entered && !folder->scan->session->lost && err->code == ERR_USER;
}

static int report_crowded(struct folder *folder, struct slice path, struct err *err)
{
	struct scan *scan = folder->scan;
	struct scan_edit edit = {.path = path, .kind = "added", .dir_fd = folder->fd, .name = "."};
	struct stat st;

	err_clear(err);
	for (size_t i = 0; i < scan->own->count; i++) {
		struct slice below = scan->own->entries[i].entry.path;
		if (path.len == 0 || (below.len > path.len && memcmp(below.ptr, path.ptr, path.len) == 0 &&
				      below.ptr[path.len] == '/'))
			folder->seen[i] = true;
	}
	edit.path = path.len ? path : SLICE(".");
	return report(scan, NULL, &edit, fstat(folder->fd, &st) == 0 ? &st : NULL, err);
}

/* What is told of one entry. One that will be read anyway is opened at once, which saves looking
 * up its name twice; *fd_out stays -1 otherwise. */
static int look_at(const struct folder *folder, const char *name, bool will_read, struct stat *st,
		   int *fd_out)
{
	*fd_out = will_read ? open_file(folder->fd, name) : -1;
	return *fd_out >= 0 ? fstat(*fd_out, st) : fstatat(folder->fd, name, st, AT_SYMLINK_NOFOLLOW);
}

static int scan_entry(void *context, const char *name, unsigned char type, struct err *err)
{
	struct folder *folder = context;
	struct scan *scan = folder->scan;
	AUTO(close_fd) int fd = -1;
	struct stat st;

	folder->entered = true;
	folder->path->len = folder->path_len;
	if (folder->path_len)
		buf_putc(folder->path, '/');
	buf_puts(folder->path, name);
	if (folder->path->overflow) {
		folder->path->overflow = false;
		return 0;
	}
	struct slice path = buf_slice(folder->path);
	const struct own_entry *entry = find_next(folder, path);
	struct scan_edit edit = {.path = path, .kind = "added", .dir_fd = folder->fd, .name = name};
	if (entry) {
		folder->seen[entry - scan->own->entries] = true;
		if (entry->show == SHOW_GENERATED)
			return 0;
		edit.rendered = entry->show == SHOW_RENDERED;
	}
	bool will_read = scan->deep && type == DT_REG && entry && entry->show != SHOW_COVERED;
	if (look_at(folder, name, will_read, &st, &fd) != 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s", name);
	/* A covered entry is not in the activation: whatever stands there was added. */
	if (!entry || entry->show == SHOW_COVERED)
		return report(scan, entry, &edit, &st, err);
	bool right_type = (entry->entry.type == ENTRY_DIR && S_ISDIR(st.st_mode)) ||
			  (entry->entry.type == ENTRY_FILE && S_ISREG(st.st_mode)) ||
			  (entry->entry.type == ENTRY_LINK && S_ISLNK(st.st_mode));
	int intact = 0;
	if (!right_type) {
		edit.kind = "type";
		return report(scan, entry, &edit, &st, err);
	}
	if (entry->entry.type == ENTRY_FILE)
		intact = check_file(folder, name, fd, entry, &edit, &st, err);
	else if (entry->entry.type == ENTRY_LINK)
		intact = check_link(folder, name, entry, &edit, &st, err);
	if (intact < 0)
		return -1;
	if (scan->intact && intact > 0)
		scan->intact[entry - scan->own->entries] = true;
	if (entry->entry.type != ENTRY_DIR)
		return 0;
	struct folder below = {scan, folder->seen, folder->path, -1, path.len, folder->depth + 1, false};
	struct err unreadable = ERR_INIT;
	if (below.depth > 130 ||
	    open_beneath(folder->fd, name, O_RDONLY | O_DIRECTORY, 0, false, &below.fd, &unreadable)) {
		edit.kind = "mode";
		return report(scan, entry, &edit, &st, err);
	}
	int result = scan_folder(&below, err);
	if (result && is_crowded(&below, err))
		result = report_crowded(&below, path, err);
	close_fd(&below.fd);
	return result;
}

static int scan_folder(struct folder *folder, struct err *err)
{
	return dir_each_fd(folder->fd, folder->path_len ? buf_str(folder->path) : ".", scan_entry, folder,
			   err);
}

int scan_run(struct scan *scan, struct err *err)
{
	AUTO(mem_free_ptr) bool *seen = mem_array(scan->own->count, sizeof(*seen));
	AUTO(buf_free) struct buf path = BUF_INIT(MANIFEST_PATH_MAX);
	struct folder top = {scan, seen, &path, scan->root_fd, 0, 0, false};

	/* At once, so that it never moves under who looks at it. */
	buf_reserve(&path, MANIFEST_PATH_MAX);
	scan->files = scan->edits = scan->hashed = 0;
	if (scan_folder(&top, err) && (!is_crowded(&top, err) || report_crowded(&top, slice_make("", 0), err)))
		return -1;
	for (size_t i = 0; i < scan->own->count; i++) {
		const struct own_entry *entry = &scan->own->entries[i];
		if (seen[i] || entry->show == SHOW_COVERED || entry->show == SHOW_GENERATED)
			continue;
		/* What lies in a generated folder is never visited. */
		bool below_generated = false;
		for (size_t at = 0; at < entry->entry.path.len && !below_generated; at++) {
			if (entry->entry.path.ptr[at] != '/')
				continue;
			const struct own_entry *parent =
				own_find(scan->own, slice_make(entry->entry.path.ptr, at));
			below_generated = parent && parent->show == SHOW_GENERATED;
		}
		struct scan_edit edit = {.path = entry->entry.path,
					 .kind = "removed",
					 .dir_fd = -1,
					 .name = "",
					 .rendered = entry->show == SHOW_RENDERED};
		if (!below_generated && report(scan, entry, &edit, NULL, err))
			return -1;
	}
	return 0;
}

int scan_refresh(const struct place *place, const char *name, int root_fd, struct own_manifest *own,
		 const bool *intact, struct err *err)
{
	AUTO(tree_cursor_close) struct tree_cursor cursor;
	bool moved = false;

	tree_cursor_init(&cursor, root_fd);
	for (size_t i = 0; i < own->count; i++) {
		struct own_entry *entry = &own->entries[i];
		struct err gone = ERR_INIT;
		const char *last;
		struct stat st;
		int dir_fd;
		if (!intact[i] || entry->entry.type != ENTRY_FILE ||
		    (entry->show != SHOW_TREE && entry->show != SHOW_RENDERED))
			continue;
		if (tree_parent(&cursor, entry->entry.path, &dir_fd, &last, &gone) ||
		    fstatat(dir_fd, last, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    signature_check(entry, &st) != SIGNATURE_HASH_AGAIN)
			continue;
		signature_take(entry, &st);
		moved = true;
	}
	return moved ? own_save(place, name, own, err) : 0;
}

int scan_send_edit(struct session *session, const struct scan_edit *edit, const char *activation,
		   struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);
	char owner[24];

	snprintf(owner, sizeof(owner), "%llu", (unsigned long long)edit->owner);
	record_begin(&text, "edit");
	record_put(&text, "path", edit->path);
	record_put_str(&text, "kind", edit->kind);
	record_put_opt(&text, "seen", edit->seen);
	record_put_opt(&text, "expected", edit->expected);
	if (edit->rendered)
		record_put_u64(&text, "rendered", 1);
	if (edit->dir_fd >= 0) {
		record_put_str(&text, "owner", owner);
		record_put_i64(&text, "modified", edit->modified_ms);
	}
	record_put_str(&text, "activation", activation);
	return session_send_record(session, MSG_EDIT, &text, err);
}

static int send_edit(void *context, const struct scan_edit *edit, struct err *err)
{
	struct scan *scan = context;

	return scan_send_edit(scan->session, edit, "", err);
}

void looked_free(struct looked **looked)
{
	if (!*looked)
		return;
	arena_free(&(*looked)->arena);
	free(*looked);
	*looked = NULL;
}

bool looked_take(struct session *session, const char *name, struct looked **out)
{
	struct looked *looked = session->looked;

	session->looked = NULL;
	if (looked && strcmp(looked->name, name) == 0 && clock_mono_ms() - looked->at_ms <= LOOKED_FRESH_MS) {
		*out = looked;
		return true;
	}
	looked_free(&looked);
	return false;
}

/* One that found nothing, of a tree that is not too large to be held. */
static bool is_worth_keeping(const struct session *session, const struct scan *scan)
{
	return !session->observing && scan->edits == 0 && scan->own->count <= LOOKED_ENTRIES_MAX;
}

int handle_scan(struct session *session, const struct record *request, struct err *err)
{
	AUTO(looked_free) struct looked *looked = mem_alloc(sizeof(*looked));
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);
	AUTO(close_fd) int root_fd = -1;
	struct live live;
	struct scan scan = {
		.session = session, .deep = record_get_u64(request, "deep", 0), .edit = send_edit};

	looked_free(&session->looked);
	looked->at_ms = clock_mono_ms();
	scan.context = &scan;
	scan.own = &looked->own;
	if (place_live(&session->place, &live, err))
		return -1;
	if (live.name[0]) {
		if (own_load(&session->place, live.name, &looked->arena, NULL, &looked->own, err) ||
		    activation_open(&session->place, live.name, &root_fd, err))
			return err_wrap(err, "looking for hand edits");
		scan.root_fd = root_fd;
		scan.intact = looked->intact = ARENA_NEW_ARRAY(&looked->arena, looked->own.count, bool);
		if (scan_run(&scan, err))
			return err_wrap(err, "looking for hand edits");
		snprintf(looked->name, sizeof(looked->name), "%s", live.name);
		looked->hashed = scan.hashed;
		if (is_worth_keeping(session, &scan)) {
			session->looked = looked;
			looked = NULL;
		}
	}
	record_begin(&text, "scanned");
	record_put_u64(&text, "files", scan.files);
	record_put_u64(&text, "edits", scan.edits);
	record_put_u64(&text, "hashed", scan.hashed);
	record_put_str(&text, "live", live.name);
	return session_send_record(session, MSG_SCANNED, &text, err);
}
