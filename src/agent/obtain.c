#include "agent/preparation.h"

#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/fs.h>
#endif

enum { SECOND_SOURCE_MAX = 20000 };
enum { ASIDE_FILES_MAX = 1000, ASIDE_BYTES_MAX = 32 << 20 };

bool path_is_same_or_below(struct slice path, struct slice top)
{
	return path.len >= top.len && memcmp(path.ptr, top.ptr, top.len) == 0 &&
	       (path.len == top.len || path.ptr[top.len] == '/');
}

static bool below_any(struct slice path, const struct slice *tops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (path_is_same_or_below(path, tops[i]))
			return true;
	return false;
}

bool preparation_is_covered(const struct preparation *p, struct slice path)
{
	return below_any(path, p->shared_dirs, p->shared_dir_count) ||
	       below_any(path, p->shared_files, p->shared_file_count) || render_find(p, path);
}

bool preparation_is_generated(const struct preparation *p, struct slice path)
{
	return below_any(path, p->generated, p->generated_count);
}

/* --- sources ---------------------------------------------------------------- */

struct edits {
	struct preparation *p;
	struct source *source;
};

/* A file edited by hand is kept as it was found, whatever becomes of the activation. */
static int keep_aside(struct preparation *p, const struct scan_edit *edit, struct err *err)
{
	AUTO(buf_free) struct buf path = BUF_INIT(MANIFEST_PATH_MAX + 128);
	struct place *place = &p->session->place;

	if (!edit->is_file || edit->dir_fd < 0 || p->aside_files >= ASIDE_FILES_MAX)
		return 0;
	buf_printf(&path, "aside/%s/", p->deployment);
	buf_put_slice(&path, edit->path);
	if (path.overflow)
		return 0;
	char *slash = strrchr(path.ptr, '/');
	*slash = '\0';
	if (dir_make_at(place->private_fd, path.ptr, 0700, err))
		return err_wrap(err, "keeping an edited file aside");
	*slash = '/';
	AUTO(close_fd)
	int from = openat(edit->dir_fd, edit->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0)
		return errno == EACCES ? 0 : err_errno(err, "keeping an edited file aside");
	if (unlinkat(place->private_fd, path.ptr, 0) != 0 && errno != ENOENT)
		return err_errno(err, "keeping an edited file aside");
	AUTO(close_fd)
	int to = openat(place->private_fd, path.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return err_errno(err, "keeping an edited file aside");
	char piece[64 << 10];
	size_t got;
	p->aside_files++;
	do {
		if (fd_read_full(from, piece, sizeof(piece), &got, err))
			return err_wrap(err, "keeping an edited file aside");
		/* Logs and caches that an application writes into its activation are no edits. */
		p->aside_bytes += got;
		if (p->aside_bytes > ASIDE_BYTES_MAX) {
			p->aside_files = ASIDE_FILES_MAX;
			return unlinkat(place->private_fd, path.ptr, 0) == 0 ? 0 : err_errno(err, "aside");
		}
		if (fd_write_all(to, piece, got, err))
			return err_wrap(err, "keeping an edited file aside");
	} while (got == sizeof(piece));
	return 0;
}

static int note_edit(void *context, const struct scan_edit *edit, struct err *err)
{
	struct edits *edits = context;
	struct preparation *p = edits->p;

	p->edits++;
	if (keep_aside(p, edit, err))
		return -1;
	return scan_send_edit(p->session, edit, edits->source->name, err);
}

static bool is_large(const struct preparation *p)
{
	return p->manifest.count > SECOND_SOURCE_MAX;
}

/* What qsort's comparison has no parameter for. */
static const struct own_entry *sorted_entries;

static int compare_digests(const void *a, const void *b)
{
	return memcmp(sorted_entries[*(const uint32_t *)a].entry.digest.bytes,
		      sorted_entries[*(const uint32_t *)b].entry.digest.bytes, DIGEST_LEN);
}

/* Four bytes a file; a map would take ten times that. */
static void index_source(struct preparation *p, struct source *source)
{
	source->by_digest = ARENA_NEW_ARRAY(&p->source_arena, source->own.count, uint32_t);
	source->whole = true;
	for (size_t i = 0; i < source->own.count; i++) {
		const struct own_entry *entry = &source->own.entries[i];
		if (entry->entry.type != ENTRY_FILE || entry->show != SHOW_TREE)
			continue;
		if (!source->intact || source->intact[i])
			source->by_digest[source->by_digest_count++] = (uint32_t)i;
		else
			source->whole = false;
	}
	sorted_entries = source->own.entries;
	qsort(source->by_digest, source->by_digest_count, sizeof(*source->by_digest), compare_digests);
	for (size_t i = 1; i < source->by_digest_count; i++)
		if (compare_digests(&source->by_digest[i - 1], &source->by_digest[i]) == 0)
			source->twin[source->by_digest[i - 1]] = source->twin[source->by_digest[i]] = true;
}

static bool find_in_source(const struct source *source, const struct digest *digest, struct location *out)
{
	size_t low = 0, high = source->by_digest_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct own_entry *entry = &source->own.entries[source->by_digest[middle]];
		int order = memcmp(entry->entry.digest.bytes, digest->bytes, DIGEST_LEN);
		if (order == 0) {
			out->entry = entry;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Most files are where they were: no search, and the folder is open already. */
static bool find_same(struct source *source, const struct entry *entry, struct location *out)
{
	const struct own_entry *found =
		source->next < source->own.count &&
				slice_equal(source->own.entries[source->next].entry.path, entry->path)
			? &source->own.entries[source->next]
			: own_find(&source->own, entry->path);

	if (!found)
		return false;
	source->next = (size_t)(found - source->own.entries) + 1;
	out->source = source;
	out->entry = found;
	return found->entry.type == ENTRY_FILE && found->show == SHOW_TREE &&
	       source->intact[found - source->own.entries] &&
	       digest_equal(&found->entry.digest, &entry->digest);
}

/* Whether a file of a source that was not scanned holds what its manifest says: by its
 * signature, else by its content. */
static bool is_trusted(struct preparation *p, struct source *source, const struct own_entry *entry)
{
	enum trust *trust = &source->trust[entry - source->own.entries];
	struct err unusable = ERR_INIT;
	struct digest digest;
	struct stat st;
	const char *name;
	int dir_fd;

	if (*trust != TRUST_UNKNOWN)
		return *trust == TRUST_GOOD;
	*trust = TRUST_NONE;
	if (tree_parent(&source->cursor, entry->entry.path, &dir_fd, &name, &unusable) ||
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	if (signature_check(entry, &st) == SIGNATURE_HOLDS ||
	    (scan_hash_file(p->session, dir_fd, name, &digest, &unusable) == 0 &&
	     digest_equal(&digest, &entry->entry.digest)))
		*trust = TRUST_GOOD;
	return *trust == TRUST_GOOD;
}

static bool find_location(struct preparation *p, const struct digest *digest, struct location *out)
{
	for (size_t i = 0; i < p->source_count; i++) {
		out->source = &p->sources[i];
		if (find_in_source(out->source, digest, out) &&
		    (out->source->intact || is_trusted(p, out->source, out->entry)))
			return true;
	}
	return false;
}

/* Looks at every file of a source, or uses what was seen a moment ago. */
static int look_through(struct preparation *p, struct source *source, bool report, struct err *err)
{
	struct edits edits = {p, source};
	struct scan scan = {
		.session = p->session,
		.own = &source->own,
		.root_fd = source->root_fd,
		/* A rollback hashes what it goes back to; the others only when that is not whole. */
		.deep = p->restoring && !p->trust_signatures && !(p->source_count > 1 && p->sources[0].whole),
		.edit = report ? note_edit : NULL,
		.context = &edits,
	};

	if (p->looked && source == p->sources) {
		source->intact = p->looked->intact;
		scan.hashed = p->looked->hashed;
	} else {
		scan.intact = source->intact = ARENA_NEW_ARRAY(&p->source_arena, source->own.count, bool);
		if (scan_run(&scan, err))
			return err_wrap(err, "looking at activation %s", source->name);
	}
	/* Many files hashed only because links came or went: write down that they are right. */
	return scan.hashed > 32 && (!p->restoring || p->trust_signatures)
		       ? scan_refresh(&p->session->place, source->name, source->root_fd, &source->own,
				      source->intact, err)
		       : 0;
}

static int load_source(struct preparation *p, struct source *source, struct err *err)
{
	struct place *place = &p->session->place;

	if (!p->restoring && p->source_count == 0 && looked_take(p->session, source->name, &p->looked))
		source->own = p->looked->own;
	else if (own_load(place, source->name, &p->source_arena, &p->manifest, &source->own, err))
		return -1;
	return activation_open(place, source->name, &source->root_fd, err);
}

/* Nothing may be taken from an activation that cannot be read; that is no error. */
static int add_source(struct preparation *p, const char *name, bool report, struct err *err)
{
	struct source *source = &p->sources[p->source_count];
	struct err unusable = ERR_INIT;

	for (size_t i = 0; i < p->source_count; i++)
		if (strcmp(p->sources[i].name, name) == 0)
			return 0;
	*source = (struct source){.root_fd = -1};
	snprintf(source->name, sizeof(source->name), "%s", name);
	/* A second large one would save little on the line and cost much memory here. */
	if (p->source_count > 0 && !report && is_large(p))
		return 0;
	if (load_source(p, source, &unusable)) {
		/* Once there is a source, it is that one's. */
		if (p->source_count == 0)
			looked_free(&p->looked);
		return 0;
	}
	tree_cursor_init(&source->cursor, source->root_fd);
	p->source_count++;
	source->twin = ARENA_NEW_ARRAY(&p->source_arena, source->own.count, bool);
	/* Of an activation behind the live one little is wanted, if anything: scanning it would
	 * mean hashing it, since every link made or removed since then moved a ctime. */
	if (p->source_count > 1 && !report && !p->restoring) {
		source->trust = ARENA_NEW_ARRAY(&p->source_arena, source->own.count, enum trust);
		index_source(p, source);
		return 0;
	}
	if (look_through(p, source, report, err))
		return -1;
	index_source(p, source);
	return 0;
}

int obtain_open_sources(struct preparation *p, struct err *err)
{
	const char **names;
	size_t count;
	struct live live;

	if (place_live(&p->session->place, &live, err) ||
	    place_activations(&p->session->place, &p->arena, &names, &count, err))
		return -1;
	/* Where there is memory for one only, the live one is looked at before. */
	if (p->restoring && is_large(p) && live.name[0] && strcmp(live.name, p->from) != 0) {
		if (add_source(p, live.name, true, err))
			return -1;
		obtain_close_sources(p);
		live.name[0] = '\0';
	}
	/* A rollback prefers the files of the activation it goes back to. */
	if (p->restoring && add_source(p, p->from, strcmp(p->from, live.name) == 0, err))
		return -1;
	if (live.name[0] && add_source(p, live.name, true, err))
		return -1;
	if (p->restoring && p->source_count && p->sources[0].whole &&
	    strcmp(p->sources[0].name, p->from) == 0)
		return 0;
	for (size_t i = 0; i < count && p->source_count < (p->restoring ? (size_t)SOURCES_MAX : 2); i++)
		if (add_source(p, names[i], false, err))
			return -1;
	return 0;
}

void obtain_close_sources(struct preparation *p)
{
	for (size_t i = 0; i < p->source_count; i++) {
		tree_cursor_close(&p->sources[i].cursor);
		close_fd(&p->sources[i].root_fd);
	}
	p->source_count = 0;
	looked_free(&p->looked);
	arena_free(&p->source_arena);
}

/* --- copying ---------------------------------------------------------------- */

/* One failure is enough: all of a place lies on one file system. */
static bool reflink_impossible;

static bool try_reflink(int from, int to)
{
#ifdef FICLONE
	if (!reflink_impossible && ioctl(to, FICLONE, from) == 0)
		return true;
#else
	(void)from;
	(void)to;
#endif
	reflink_impossible = true;
	return false;
}

/* Copies and hashes; *right is false when the content is not `wanted`. */
static int copy_checked(int from, int to, const struct digest *wanted, bool *right, struct err *err)
{
	struct digest_stream hash;
	struct digest found;
	char piece[64 << 10];
	size_t got;
	bool cloned = try_reflink(from, to);

	digest_init(&hash);
	do {
		if (fd_read_full(from, piece, sizeof(piece), &got, err) ||
		    (!cloned && fd_write_all(to, piece, got, err)))
			return -1;
		digest_update(&hash, piece, got);
	} while (got == sizeof(piece));
	digest_finish(&hash, &found);
	*right = digest_equal(&found, wanted);
	return 0;
}

static void set_time(const struct preparation *p, int fd)
{
	struct timespec times[2] = {{.tv_sec = p->commit_time}, {.tv_sec = p->commit_time}};

	/* Only comfort: build tools and caches like equal times for equal content. */
	(void)!futimens(fd, times);
}

/* Our umask is 022, so what is created has the mode that was asked for, unless a default
 * ACL of the folders says otherwise: the first file of a mode tells for the whole tree. */
static int give_mode(struct preparation *p, int fd, unsigned mode, struct err *err)
{
	bool *holds = &p->mode_holds[(mode & 0100) != 0];
	struct stat st;

	if (*holds)
		return 0;
	*holds = fstat(fd, &st) == 0 && (st.st_mode & 07777) == mode;
	return *holds || fchmod(fd, mode) == 0 ? 0 : err_errno(err, "chmod");
}

int obtain_create(struct preparation *p, const struct entry *entry, int *fd_out, int *dir_fd_out,
		  const char **name_out, struct err *err)
{
	if (tree_parent(&p->cursor, entry->path, dir_fd_out, name_out, err))
		return -1;
	int fd = openat(*dir_fd_out, *name_out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			entry->mode);
	if (fd < 0)
		return err_errno(err, "%s", entry->path.ptr);
	if (give_mode(p, fd, entry->mode, err)) {
		close(fd);
		return err_wrap(err, "%s", entry->path.ptr);
	}
	*fd_out = fd;
	return 0;
}

static int copy_into_tree(struct preparation *p, const struct entry *entry, int from, bool *got,
			  struct err *err)
{
	AUTO(close_fd) int to = -1;
	const char *name;
	int dir_fd;

	if (obtain_create(p, entry, &to, &dir_fd, &name, err) ||
	    copy_checked(from, to, &entry->digest, got, err))
		return err_wrap(err, "copying a file");
	if (*got) {
		set_time(p, to);
		p->copied++;
	} else {
		unlinkat(dir_fd, name, 0);
	}
	return 0;
}

/* --- one entry --------------------------------------------------------------- */

/* 1: linked; 0: it must be copied (or the source does not hold). Whether it is the file
 * that the signature vouches for is looked at behind the link, when nobody can put
 * another in its place any more; nothing is lost by a link that is taken back. */
static int link_into_tree(struct preparation *p, const struct entry *entry, const struct location *location,
			  int source_dir, const char *source_name, struct err *err)
{
	const char *name;
	struct stat linked;
	int dir_fd;

	if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
		return -1;
	if (linkat(source_dir, source_name, dir_fd, name, 0) != 0)
		return errno == EMLINK || errno == EXDEV || errno == EPERM || errno == ENOENT
			       ? 0
			       : err_errno(err, "%s", entry->path.ptr);
	if (fstatat(dir_fd, name, &linked, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", entry->path.ptr);
	if (linked.st_uid == p->user && signature_check(location->entry, &linked) != SIGNATURE_BROKEN) {
		if (p->taken && !location->source->twin[location->entry - location->source->own.entries]) {
			struct own_entry now = {0};
			signature_take(&now, &linked);
			p->taken[entry - p->manifest.entries] =
				(struct signature){now.dev, now.ino, now.mtime_ns, now.ctime_ns};
		}
		p->linked++;
		return 1;
	}
	return unlinkat(dir_fd, name, 0) == 0 ? 0 : err_errno(err, "%s", entry->path.ptr);
}

/* Shares the blocks and nothing else: an edit in place spoils neither side. The file
 * must be the one that its signature vouches for, before and after. */
static int clone_into_tree(struct preparation *p, const struct entry *entry, const struct location *location,
			   int source_dir, const char *source_name, bool *got, struct err *err)
{
	AUTO(close_fd)
	int from = openat(source_dir, source_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	AUTO(close_fd) int to = -1;
	const char *name;
	struct stat st;
	int dir_fd;

	if (from < 0)
		return 0;
	if (obtain_create(p, entry, &to, &dir_fd, &name, err))
		return err_wrap(err, "cloning a file");
	*got = try_reflink(from, to) && fstat(from, &st) == 0 &&
	       signature_check(location->entry, &st) != SIGNATURE_BROKEN;
	if (!*got)
		return unlinkat(dir_fd, name, 0) == 0 ? 0 : err_errno(err, "%s", entry->path.ptr);
	set_time(p, to);
	p->linked++;
	return 0;
}

static int take_from_location(struct preparation *p, const struct entry *entry,
			      const struct location *location, bool *got, struct err *err)
{
	struct err unusable = ERR_INIT;
	struct stat st;
	const char *name;
	int dir_fd;

	*got = false;
	if (tree_parent(&location->source->cursor, location->entry->entry.path, &dir_fd, &name, &unusable))
		return 0;
	if (!p->copy && !reflink_impossible && entry->size > 0) {
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    signature_check(location->entry, &st) != SIGNATURE_BROKEN &&
		    clone_into_tree(p, entry, location, dir_fd, name, got, err))
			return -1;
		if (*got)
			return 0;
	}
	if (!p->copy && !preparation_is_generated(p, entry->path) &&
	    location->entry->st_mode == entry->mode) {
		int linked = link_into_tree(p, entry, location, dir_fd, name, err);
		*got = linked > 0;
		if (linked)
			return linked < 0 ? -1 : 0;
	}
	AUTO(close_fd) int from = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0 || fstat(from, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	return copy_into_tree(p, entry, from, got, err);
}

static void object_name(const struct digest *digest, char out[DIGEST_HEX_LEN + 16])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	snprintf(out, DIGEST_HEX_LEN + 16, "objects/%s", hex);
}

static int open_object(struct preparation *p, const struct digest *digest)
{
	char path[DIGEST_HEX_LEN + 16];

	object_name(digest, path);
	return openat(p->session->place.private_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* The target of a link is content too: found where an earlier activation has the same link. */
static int take_link(struct preparation *p, const struct entry *entry, bool *got, struct err *err)
{
	char target[MANIFEST_LINK_MAX + 1];
	const char *name;
	int dir_fd;

	*got = false;
	for (size_t i = 0; i < p->source_count && !*got; i++) {
		const struct own_entry *old = own_find(&p->sources[i].own, entry->path);
		AUTO(tree_cursor_close) struct tree_cursor cursor;
		struct err unusable = ERR_INIT;
		struct digest digest;
		tree_cursor_init(&cursor, p->sources[i].root_fd);
		if (!old || old->entry.type != ENTRY_LINK ||
		    !digest_equal(&old->entry.digest, &entry->digest) ||
		    tree_parent(&cursor, entry->path, &dir_fd, &name, &unusable))
			continue;
		ssize_t len = readlinkat(dir_fd, name, target, sizeof(target) - 1);
		if (len <= 0)
			continue;
		target[len] = '\0';
		digest_of(slice_make(target, (size_t)len), &digest);
		*got = digest_equal(&digest, &entry->digest);
	}
	if (!*got)
		return 0;
	if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
		return -1;
	return symlinkat(target, dir_fd, name) == 0 ? 0 : err_errno(err, "%s", entry->path.ptr);
}

int obtain_open_put(struct preparation *p, const struct entry *entry, int *fd_out, struct err *err)
{
	const char *name;
	int dir_fd;

	if (preparation_is_covered(p, entry->path)) {
		*fd_out = open_object(p, &entry->digest);
	} else {
		if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
			return -1;
		*fd_out = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	return *fd_out >= 0 ? 0 : err_errno(err, "%s", entry->path.ptr);
}

/* Whether objects/HEX is there and right. A crash may have left one that is not: it goes. */
static bool has_object(struct preparation *p, const struct digest *digest, uint64_t size)
{
	AUTO(close_fd) int fd = open_object(p, digest);
	char path[DIGEST_HEX_LEN + 16];
	struct err unreadable = ERR_INIT;
	struct digest found;
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == size &&
	    digest_of_fd(fd, &found, NULL, &unreadable) == 0 && digest_equal(&found, digest))
		return true;
	object_name(digest, path);
	unlinkat(p->session->place.private_fd, path, 0);
	return false;
}

static int name_object(struct preparation *p, const char *temporary, const char *path, struct err *err)
{
	int private_fd = p->session->place.private_fd;

	return renameat(private_fd, temporary, private_fd, path) == 0 ? 0 : err_errno(err, "%s", path);
}

static int create_object(struct preparation *p, const char *temporary, int *fd_out, struct err *err)
{
	*fd_out = openat(p->session->place.private_fd, temporary,
			 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd_out >= 0 ? 0 : err_errno(err, "%s", temporary);
}

int obtain_keep_object(struct preparation *p, const struct entry *entry, struct err *err)
{
	char path[DIGEST_HEX_LEN + 16], temporary[DIGEST_HEX_LEN + 24];
	AUTO(close_fd) int from = -1;
	AUTO(close_fd) int to = -1;
	const char *name;
	bool right;
	int dir_fd;

	if (has_object(p, &entry->digest, entry->size))
		return 0;
	object_name(&entry->digest, path);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
		return -1;
	from = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return err_errno(err, "%s", entry->path.ptr);
	if (create_object(p, temporary, &to, err) || copy_checked(from, to, &entry->digest, &right, err))
		return err_wrap(err, "keeping an object");
	if (!right)
		return err_set(err, ERR_INTERNAL, "%s changed while it was being prepared", entry->path.ptr);
	return name_object(p, temporary, path, err);
}

int obtain_keep_text(struct preparation *p, const struct digest *digest, struct slice text, struct err *err)
{
	char path[DIGEST_HEX_LEN + 16], temporary[DIGEST_HEX_LEN + 24];
	AUTO(close_fd) int to = -1;

	if (has_object(p, digest, text.len))
		return 0;
	object_name(digest, path);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (create_object(p, temporary, &to, err) || fd_write_all(to, text.ptr, text.len, err))
		return err_wrap(err, "keeping an object");
	return name_object(p, temporary, path, err);
}

int obtain_put_text(struct preparation *p, const struct entry *entry, struct slice text, struct err *err)
{
	AUTO(close_fd) int to = -1;
	const char *name;
	int dir_fd;

	if (obtain_create(p, entry, &to, &dir_fd, &name, err) || fd_write_all(to, text.ptr, text.len, err))
		return err_wrap(err, "%s", entry->path.ptr);
	set_time(p, to);
	return preparation_is_generated(p, entry->path) ? obtain_keep_object(p, entry, err) : 0;
}

/* Content that no activation shows only has to be in objects/. */
static int take_covered(struct preparation *p, const struct entry *entry, bool *got, struct err *err)
{
	struct location location;
	AUTO(tree_cursor_close) struct tree_cursor cursor;
	AUTO(close_fd) int from = -1;
	AUTO(close_fd) int to = -1;
	char path[DIGEST_HEX_LEN + 16], temporary[DIGEST_HEX_LEN + 24];
	struct err unusable = ERR_INIT;
	const char *name;
	int dir_fd;

	tree_cursor_init(&cursor, -1);
	*got = has_object(p, &entry->digest, entry->size);
	if (*got || !find_location(p, &entry->digest, &location))
		return 0;
	/* Covered only now: an activation still shows it. */
	cursor.root_fd = location.source->root_fd;
	if (tree_parent(&cursor, location.entry->entry.path, &dir_fd, &name, &unusable))
		return 0;
	from = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0)
		return 0;
	object_name(&entry->digest, path);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (create_object(p, temporary, &to, err) || copy_checked(from, to, &entry->digest, got, err))
		return err_wrap(err, "keeping an object");
	if (*got)
		return name_object(p, temporary, path, err);
	unlinkat(p->session->place.private_fd, temporary, 0);
	return 0;
}

int obtain_entry(struct preparation *p, size_t index, bool *got, struct err *err)
{
	const struct entry *entry = &p->manifest.entries[index];

	*got = false;
	if (preparation_is_covered(p, entry->path))
		return take_covered(p, entry, got, err);
	if (entry->type == ENTRY_LINK)
		return take_link(p, entry, got, err);
	struct location location;
	bool found = p->source_count && find_same(&p->sources[0], entry, &location);
	if ((found || find_location(p, &entry->digest, &location)) &&
	    take_from_location(p, entry, &location, got, err))
		return -1;
	if (*got) {
		if (p->restoring && location.source != &p->sources[0])
			p->healed++;
		return preparation_is_generated(p, entry->path) ? obtain_keep_object(p, entry, err) : 0;
	}
	AUTO(close_fd) int object = open_object(p, &entry->digest);
	if (object >= 0 && copy_into_tree(p, entry, object, got, err))
		return -1;
	if (*got && p->restoring)
		p->healed++;
	return 0;
}

int obtain_link_same(struct preparation *p, size_t index, bool *got, struct err *err)
{
	const struct entry *entry = &p->manifest.entries[index];
	struct err unusable = ERR_INIT;
	struct location location;
	const char *name;
	int dir_fd;

	*got = false;
	if (entry->type != ENTRY_FILE || preparation_is_covered(p, entry->path) ||
	    preparation_is_generated(p, entry->path) || !find_same(&p->sources[0], entry, &location) ||
	    location.entry->st_mode != entry->mode ||
	    tree_parent(&location.source->cursor, location.entry->entry.path, &dir_fd, &name, &unusable))
		return 0;
	int linked = link_into_tree(p, entry, &location, dir_fd, name, err);
	*got = linked > 0;
	return linked < 0 ? -1 : 0;
}

bool obtain_links(const struct preparation *p)
{
	return p->source_count > 0 && !p->copy && !p->restoring && p->linked > 0 && reflink_impossible;
}

int obtain_twin(struct preparation *p, size_t first, size_t index, struct err *err)
{
	const struct entry *from = &p->manifest.entries[first];
	const struct entry *entry = &p->manifest.entries[index];
	AUTO(tree_cursor_close) struct tree_cursor cursor;
	const char *from_name, *name;
	int from_dir, dir_fd;
	bool right = false;

	tree_cursor_init(&cursor, p->tree_fd);
	if (tree_parent(&cursor, from->path, &from_dir, &from_name, err) ||
	    tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
		return -1;
	if (!p->copy && entry->mode == from->mode && !preparation_is_generated(p, entry->path) &&
	    !preparation_is_generated(p, from->path) && linkat(from_dir, from_name, dir_fd, name, 0) == 0) {
		/* One more link, another ctime. */
		if (p->taken)
			p->taken[first].dev = 0;
		return 0;
	}
	AUTO(close_fd) int fd = openat(from_dir, from_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, "%s", from->path.ptr);
	if (copy_into_tree(p, entry, fd, &right, err))
		return -1;
	return right ? 0
		     : err_set(err, ERR_INTERNAL, "%s changed while it was being prepared", from->path.ptr);
}

int obtain_map_base(struct preparation *p, const struct digest *digest, struct slice *out, struct err *err)
{
	struct location location;
	AUTO(tree_cursor_close) struct tree_cursor cursor;
	AUTO(close_fd) int fd = -1;
	struct err unusable = ERR_INIT;
	struct stat st;

	(void)err;
	*out = slice_make(NULL, 0);
	if (find_location(p, digest, &location)) {
		const char *name;
		int dir_fd;
		tree_cursor_init(&cursor, location.source->root_fd);
		if (tree_parent(&cursor, location.entry->entry.path, &dir_fd, &name, &unusable) == 0)
			fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	} else {
		tree_cursor_init(&cursor, -1);
		fd = open_object(p, digest);
	}
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > COMPRESS_PREFIX_MAX)
		return 0;
	/* Private, and hashed below through the result's own digest: a base that changes
	 * under us yields content that is refused and asked for again. */
	void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map != MAP_FAILED)
		*out = slice_make(map, (size_t)st.st_size);
	return 0;
}
