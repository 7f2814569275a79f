/* What lies on the server as files: the live release, file by file, the config files of
 * shared/, and the paths that were listed. Content, mode, owner, capabilities, links; and,
 * where lockstep put the release there itself, which files were edited since, when, and by
 * whom as far as the system knows.
 *
 * No symlink is followed below a place, nothing is opened that is no regular file. What may
 * hold a secret is fingerprinted under the run's key instead of by digest. */
#include "probe/checkout.h"
#include "probe/kinds.h"
#include "probe/names.h"

#include "base/clock.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	FILE_TIME_MS = 120000,
	FILE_BUDGET_MS = 100000, /* what is left then is not_checked, and what was seen still counts */
	FILE_BLOCK = PROBE_SECRET_FILE_MAX,
	FILE_DEPTH_MAX = 100,
	FILE_FOLDER_MAX = 16 << 20, /* of one folder's names */
	FILE_SHARED_SIZE_MAX = 1 << 20,
	FILE_SHARED_COUNT_MAX = 2000,
	FILE_KEY_ROOM = 16, /* "/modified" behind a path */
	/* Of larger trees only modes and owners that are unusual are facts: 0644 and 0755, and the
	 * owner of the release's folder go without saying. 100,000 files then fit. */
	FILE_COUNT_LARGE = 30000,
};

/* ---- what should be there: lockstep's own manifest of the live activation, record by record ---- */

/* show type mode size digest dev ino st_mode mtime_ns ctime_ns path\0 */
struct own {
	int fd;
	char piece[32 << 10];
	size_t have;	  /* bytes in piece */
	size_t at;	  /* of them taken */
	bool found;	  /* there is such a manifest */
	bool has_current; /* the members below hold one */
	char show, type;
	uint64_t owner, mode;
	struct digest digest;
	struct slice path;
	/* Or, where somebody else deploys by git: its index takes the manifest's place. */
	bool is_checkout;
	struct checkout checkout;
	size_t unjudged; /* files of which git could not tell whether somebody edited them */
};

static bool own_parse(struct own *own, struct slice record)
{
	struct slice field[10];

	for (size_t i = 0; i < ARRAY_LEN(field); i++)
		field[i] = slice_cut(&record, ' ');
	own->path = record;
	if (!record.len || field[0].len != 1 || field[1].len != 1 || !slice_to_u64(field[5], &own->owner) ||
	    !slice_to_u64(field[7], &own->mode))
		return false;
	own->show = *field[0].ptr;
	own->type = *field[1].ptr;
	return own->type == 'd' || digest_from_hex(field[4], &own->digest);
}

/* The next file or link that should be in the activation. */
static void own_next(struct own *own)
{
	struct err err = ERR_INIT;
	size_t got;

	own->has_current = false;
	if (own->is_checkout) {
		checkout_next(&own->checkout);
		own->has_current = own->checkout.has_entry;
		own->path = own->checkout.entry.path;
		return;
	}
	for (;;) {
		struct slice rest = slice_make(own->piece + own->at, own->have - own->at);
		ptrdiff_t end = slice_find(rest, '\0');
		if (end >= 0) {
			own->at += (size_t)end + 1;
			if (!own_parse(own, slice_make(rest.ptr, (size_t)end)))
				return; /* damaged: what follows is not compared */
			if (own->type == 'd' || (own->show != 't' && own->show != 'r'))
				continue;
			own->has_current = true;
			return;
		}
		memmove(own->piece, rest.ptr, rest.len);
		own->have = rest.len;
		own->at = 0;
		if (own->have == sizeof(own->piece) ||
		    fd_read_full(own->fd, own->piece + own->have, sizeof(own->piece) - own->have, &got,
				 &err) ||
		    got == 0)
			return;
		own->have += got;
	}
}

static void own_open_manifest(struct own *own, const struct probe_request *request)
{
	const char *slash = request->live ? strrchr(request->live, '/') : NULL;
	char path[300];
	struct err err = ERR_INIT;

	own->fd = -1;
	if (!slash || request->place_fd < 0 || strlen(slash) > 200)
		return;
	snprintf(path, sizeof(path), ".lockstep/manifests%s", slash);
	own->fd = openat(request->place_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (own->fd < 0 || fd_read_full(own->fd, own->piece, sizeof(own->piece), &own->have, &err))
		return;
	ptrdiff_t head = slice_find(slice_make(own->piece, own->have), '\n');
	if (head < 0 || !slice_starts_with(slice_make(own->piece, own->have), "lockstep-activation 1 "))
		return;
	own->at = (size_t)head + 1;
	own->found = true;
	own_next(own);
}

static void own_open(struct own *own, struct probe_sink *sink)
{
	own_open_manifest(own, sink->request);
	if (own->found || !checkout_open(sink, &own->checkout))
		return;
	own->found = own->is_checkout = true;
	own->has_current = own->checkout.has_entry;
	own->path = own->checkout.entry.path;
}

/* ---- the walk ---- */

enum area { AREA_LIVE = 1, AREA_SHARED, AREA_LISTED };

struct walk {
	struct probe_sink *sink;
	struct names names;
	enum area area;
	int depth;
	int64_t end_ms;
	bool plain_open;     /* O_NOATIME was refused in this folder */
	const char *stopped; /* why the rest is not looked at */
	size_t shared_count;
	size_t live_start; /* index of the first fact of the live release */
	size_t live_count;
	bool is_large;
	bool times_left_out;
	struct ownership {
		uid_t uid;
		gid_t gid;
		char text[200];
		size_t len;
	} usual, owner; /* of the live folder; of what was looked at last */
	int64_t time;	/* what time_text says */
	char time_text[CLOCK_ISO_LEN + 1];
	size_t key_start; /* where the path begins in `key`, behind "file/" and what stands for the area */
	size_t key_len;
	char key[FACT_KEY_MAX]; /* "file/app/Pay.php" */
	char *block;
	struct own own;
};

static struct slice path_of(const struct walk *walk)
{
	return slice_make(walk->key + walk->key_start, walk->key_len - walk->key_start);
}

/* "file/app/Pay.php/mode"; valid until the next call. */
static struct slice key_of(struct walk *walk, const char *attribute)
{
	size_t len = strlen(attribute);

	ASSERT(len < FILE_KEY_ROOM);
	/* Of an area itself: it ends in '/' already. */
	if (walk->key_len && walk->key[walk->key_len - 1] == '/')
		return slice_make(walk->key, walk->key_len);
	walk->key[walk->key_len] = '/';
	memcpy(walk->key + walk->key_len + 1, attribute, len);
	return slice_make(walk->key, walk->key_len + 1 + len);
}

static bool push(struct walk *walk, struct slice name)
{
	if (walk->key_len + name.len + 1 + FILE_KEY_ROOM > sizeof(walk->key))
		return false;
	if (walk->key_len > walk->key_start)
		walk->key[walk->key_len++] = '/';
	memcpy(walk->key + walk->key_len, name.ptr, name.len);
	walk->key_len += name.len;
	return true;
}

static bool is_listed(struct slice path, const char *const *list, size_t count, bool below)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(list[i]);
		while (len && list[i][len - 1] == '/')
			len--;
		if (len && path.len >= len && memcmp(path.ptr, list[i], len) == 0 &&
		    (path.len == len || (below && path.ptr[len] == '/')))
			return true;
	}
	return false;
}

static bool has_ending(struct slice name, const char *const *endings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_ends_with(name, endings[i]))
			return true;
	return false;
}

static bool is_secret(const struct walk *walk, struct slice name)
{
	static const char *const endings[] = {".key",	".pem",	      ".env",	 ".p12",   ".pfx",
					      ".jks",	".pgpass",    ".netrc",	 ".npmrc", "auth.json",
					      "id_rsa", "id_ed25519", "id_ecdsa"};
	const struct probe_request *request = walk->sink->request;

	if (walk->area == AREA_SHARED || slice_starts_with(name, ".env") ||
	    has_ending(name, endings, ARRAY_LEN(endings)))
		return true;
	return walk->area == AREA_LIVE &&
	       (is_listed(path_of(walk), request->rendered, request->rendered_count, false) ||
		is_listed(path_of(walk), request->env_files, request->env_file_count, false));
}

static void name_owner(struct walk *walk, const struct stat *st)
{
	struct ownership *owner = &walk->owner;

	if (owner->len && owner->uid == st->st_uid && owner->gid == st->st_gid)
		return;
	owner->uid = st->st_uid;
	owner->gid = st->st_gid;
	owner->len =
		(size_t)snprintf(owner->text, sizeof(owner->text), "%.90s:%.90s",
				 names_user(&walk->names, st->st_uid), names_group(&walk->names, st->st_gid));
}

static bool is_usual_mode(struct slice mode)
{
	return slice_is(mode, "0644") || slice_is(mode, "0755");
}

static void put_mode_and_owner(struct walk *walk, const struct stat *st)
{
	bool all = !walk->is_large || walk->area != AREA_LIVE;
	char digits[4] = "";
	struct slice mode = slice_make(digits, sizeof(digits));

	for (int i = 0; i < 4; i++)
		digits[i] = (char)('0' + (st->st_mode >> (9 - 3 * i) & 7));
	if (all || !is_usual_mode(mode))
		probe_text(walk->sink, key_of(walk, "mode"), mode);
	name_owner(walk, st);
	if (all || st->st_uid != walk->usual.uid || st->st_gid != walk->usual.gid)
		probe_text(walk->sink, key_of(walk, "owner"), slice_make(walk->owner.text, walk->owner.len));
}

/* The tree turned out to be a large one: drops what goes without saying from what was
 * noted already, so that all of it is told in the same way. */
static void become_large(struct walk *walk)
{
	struct fact_list *facts = &walk->sink->facts;
	struct slice usual = slice_make(walk->usual.text, walk->usual.len);
	size_t kept = 0;

	walk->is_large = walk->times_left_out = true;
	for (size_t i = 0; i < facts->count; i++) {
		const struct fact *fact = &facts->items[i];
		struct slice attribute = fact_attribute(fact->key);
		bool goes_without_saying = slice_is(attribute, "modified") ||
					   (slice_is(attribute, "mode") && is_usual_mode(fact->value)) ||
					   (slice_is(attribute, "owner") && slice_equal(fact->value, usual));
		if (i >= walk->live_start && fact->kind == FACT_TEXT && goes_without_saying)
			facts->bytes -= MIN(facts->bytes, fact->key.len + fact->value.len + sizeof(*fact));
		else
			facts->items[kept++] = *fact;
	}
	facts->count = kept;
}

static void put_modified(struct walk *walk, const struct stat *st)
{
	/* Only shown beside a difference: of a large tree the facts themselves come first. */
	if (walk->is_large || walk->sink->facts.bytes > walk->sink->facts.bytes_max / 2) {
		walk->times_left_out = true;
		return;
	}
	if (walk->time != st->st_mtim.tv_sec || !walk->time_text[0])
		clock_format_iso((walk->time = st->st_mtim.tv_sec) * 1000, walk->time_text);
	probe_evidence(walk->sink, key_of(walk, "modified"), slice_make(walk->time_text, CLOCK_ISO_LEN));
}

/* linux/capability.h: struct vfs_cap_data, little-endian. */
static void put_caps(struct walk *walk, int fd)
{
	static const char *const names[] = {
		"chown",
		"dac_override",
		"dac_read_search",
		"fowner",
		"fsetid",
		"kill",
		"setgid",
		"setuid",
		"setpcap",
		"linux_immutable",
		"net_bind_service",
		"net_broadcast",
		"net_admin",
		"net_raw",
		"ipc_lock",
		"ipc_owner",
		"sys_module",
		"sys_rawio",
		"sys_chroot",
		"sys_ptrace",
		"sys_pacct",
		"sys_admin",
		"sys_boot",
		"sys_nice",
		"sys_resource",
		"sys_time",
		"sys_tty_config",
		"mknod",
		"lease",
		"audit_write",
		"audit_control",
		"setfcap",
		"mac_override",
		"mac_admin",
		"syslog",
		"wake_alarm",
		"block_suspend",
		"audit_read",
		"perfmon",
		"bpf",
		"checkpoint_restore",
	};
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	uint8_t raw[24] = {0};
	ssize_t len = fgetxattr(fd, "security.capability", raw, sizeof(raw));

	if (len < 12)
		return;
	for (size_t bit = 0; bit < 64; bit++) {
		size_t at = 4 + bit / 32 * 8 + bit % 32 / 8, byte = (size_t)1 << bit % 8;
		bool permitted = raw[at] & byte, inherited = raw[at + 4] & byte;
		if (!permitted && !inherited)
			continue;
		if (text.len)
			buf_putc(&text, ' ');
		if (bit < ARRAY_LEN(names))
			buf_printf(&text, "%s", names[bit]);
		else
			buf_printf(&text, "%d", (int)bit);
		buf_printf(&text, "=%s%s%s", raw[0] & 1 ? "e" : "", permitted ? "p" : "",
			   inherited ? "i" : "");
	}
	probe_text(walk->sink, key_of(walk, "caps"), buf_slice(&text));
}

/* ---- hand edits ---- */

static void put_edited(struct walk *walk, const char *what, int64_t seconds, const struct stat *st)
{
	AUTO(buf_free) struct buf text = BUF_INIT(2048);

	buf_puts(&text, what);
	if (st) {
		buf_putc(&text, ' ');
		names_put_time(&text, seconds);
		buf_printf(&text, ", owner %s", names_user(&walk->names, st->st_uid));
		names_put_logins(&text, seconds);
	}
	probe_evidence(walk->sink, key_of(walk, "edited"), buf_slice(&text));
}

static void put_removed(struct walk *walk)
{
	struct slice path = walk->own.path;
	char key[FACT_KEY_MAX];
	int len = snprintf(key, sizeof(key), "file/%.*s/edited", SLICE_ARG(path));
	const struct git_entry *entry = &walk->own.checkout.entry;

	if (walk->own.is_checkout && !entry->is_file && !entry->is_link)
		return;
	if (walk->own.is_checkout && (entry->unsure || entry->overlooked)) {
		walk->own.unjudged++;
		return;
	}
	if (len < (int)sizeof(key))
		probe_evidence(walk->sink, slice_make(key, (size_t)len),
			       walk->own.is_checkout ? SLICE("removed, git has it")
						     : SLICE("removed since it was deployed"));
}

/* Both are in the order of paths. True when the manifest has `path`. */
static bool own_reach(struct walk *walk, struct slice path)
{
	struct own *own = &walk->own;

	while (own->has_current && slice_compare(own->path, path) < 0) {
		put_removed(walk);
		own_next(own);
	}
	return own->has_current && slice_equal(own->path, path);
}

/* What was not looked at, a folder with all below it or a file, was not removed. */
static void own_skip(struct walk *walk, bool is_folder)
{
	struct own *own = &walk->own;

	if (walk->area != AREA_LIVE)
		return;
	if (!is_folder) {
		if (own_reach(walk, path_of(walk)))
			own_next(own);
		return;
	}
	struct slice below = slice_skip(key_of(walk, ""), walk->key_start);
	own_reach(walk, below);
	while (own->has_current && own->path.len > below.len &&
	       memcmp(own->path.ptr, below.ptr, below.len) == 0)
		own_next(own);
}

static void put_verdict(struct walk *walk, enum checkout_verdict verdict, const struct stat *st)
{
	if (verdict == CHECKOUT_EDITED)
		put_edited(walk, "edited", st->st_mtim.tv_sec, st);
	walk->own.unjudged += verdict == CHECKOUT_UNSURE;
}

/* The same of a checkout. Modes are the server's own affair there, and what git does not have
 * may be meant to lie beside it. */
static bool compare_checkout(struct walk *walk, int fd, const struct stat *st)
{
	struct own *own = &walk->own;
	enum checkout_verdict verdict = CHECKOUT_UNSURE;

	if (own_reach(walk, path_of(walk))) {
		verdict = checkout_judge(&own->checkout, fd, st, walk->block, FILE_BLOCK);
		own_next(own);
	}
	put_verdict(walk, verdict, st);
	return verdict == CHECKOUT_SAME;
}

static void compare_checkout_link(struct walk *walk, struct slice target, const struct stat *st)
{
	struct own *own = &walk->own;
	enum checkout_verdict verdict = CHECKOUT_UNSURE;

	if (own_reach(walk, path_of(walk))) {
		verdict = checkout_judge_link(&own->checkout, target);
		own_next(own);
	}
	put_verdict(walk, verdict, st);
}

/* True when it is what lockstep, or git, put there. `digest` NULL, `fd` -1: content that could
 * not be read. */
static bool compare_own(struct walk *walk, const struct digest *digest, int fd, const struct stat *st)
{
	struct own *own = &walk->own;
	char text[80];
	bool same = false;

	if (walk->area != AREA_LIVE || !own->found)
		return false;
	if (own->is_checkout)
		return compare_checkout(walk, fd, st);
	if (!own_reach(walk, path_of(walk))) {
		put_edited(walk, "added", st->st_mtim.tv_sec, st);
		return false;
	}
	if ((own->type == 'f') != S_ISREG(st->st_mode)) {
		put_edited(walk, "replaced", st->st_ctim.tv_sec, st);
	} else if (digest && !digest_equal(digest, &own->digest)) {
		put_edited(walk, "edited", st->st_mtim.tv_sec, st);
	} else if (S_ISREG(st->st_mode) && own->mode != (st->st_mode & 07777)) {
		snprintf(text, sizeof(text), "mode changed from %04o to %04o", (unsigned)own->mode & 07777,
			 (unsigned)st->st_mode & 07777);
		put_edited(walk, text, st->st_ctim.tv_sec, st);
	} else if (own->show == 'r' && own->owner != ((uint64_t)st->st_uid << 32 | st->st_gid)) {
		put_edited(walk, "owner changed", st->st_ctim.tv_sec, st);
	} else {
		same = true;
	}
	own_next(own);
	return same;
}

/* A file that a deployment wrote from values, whatever it was asked for. */
static bool is_config_file(struct walk *walk)
{
	return walk->area == AREA_LIVE && walk->own.found && !walk->own.is_checkout &&
	       own_reach(walk, path_of(walk)) && walk->own.show == 'r';
}

/* ---- one file ---- */

static int open_file(struct walk *walk, int dir_fd, const char *name)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	/* Reading must not leave a trace either; the kernel allows it to the owner only. */
	if (!walk->plain_open) {
		int fd = openat(dir_fd, name, flags | O_NOATIME);
		if (fd >= 0 || errno != EPERM)
			return fd;
	}
	int fd = openat(dir_fd, name, flags);
	if (fd >= 0)
		walk->plain_open = true;
	return fd;
}

/* -1: it could not be read; 1: it was written meanwhile. */
static int read_content(struct walk *walk, int fd, const struct stat *st, bool secret, struct digest *digest)
{
	struct digest_stream stream;
	uint64_t total = 0, size = (uint64_t)st->st_size;
	ssize_t got;

	digest_init(&stream);
	/* The size saves the read that would only say that the end is reached. */
	do {
		do
			got = read(fd, walk->block, FILE_BLOCK);
		while (got < 0 && errno == EINTR);
		if (got < 0)
			return -1;
		digest_update(&stream, walk->block, (size_t)got);
		total += (uint64_t)got;
	} while (got > 0 && total < size);
	digest_finish(&stream, digest);
	if (total != size)
		return 1;
	if (!secret) {
		probe_digest(walk->sink, key_of(walk, "content"), digest);
	} else if (size <= PROBE_SECRET_FILE_MAX) {
		probe_secret(walk->sink, key_of(walk, "content"), slice_make(walk->block, (size_t)size));
	} else {
		char hex[DIGEST_HEX_LEN + 1];
		digest_to_hex(digest, hex);
		probe_secret(walk->sink, key_of(walk, "content"), slice_of(hex));
	}
	return 0;
}

static void look_at_closed(struct walk *walk, int dir_fd, const char *name, int why)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return; /* gone meanwhile */
	probe_skip(walk->sink, key_of(walk, "content"), "%s (owner %s, mode %04o)", strerror(why),
		   names_user(&walk->names, st.st_uid), (unsigned)st.st_mode & 07777);
	put_mode_and_owner(walk, &st);
	(void)compare_own(walk, NULL, -1, &st);
}

static void look_at_file(struct walk *walk, int dir_fd, const char *name, struct slice last)
{
	AUTO(close_fd) int fd = open_file(walk, dir_fd, name);
	struct digest digest;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		if (errno != ENOENT)
			look_at_closed(walk, dir_fd, name, errno);
		return;
	}
	if (!S_ISREG(st.st_mode))
		return;
	if (walk->area == AREA_SHARED && st.st_size > FILE_SHARED_SIZE_MAX)
		return;
	bool secret = is_secret(walk, last) || is_config_file(walk);
	int result = read_content(walk, fd, &st, secret, &digest);
	if (result)
		probe_skip(walk->sink, key_of(walk, "content"),
			   result < 0 ? "it cannot be read" : "it is being written");
	put_mode_and_owner(walk, &st);
	if (st.st_mode & 0111)
		put_caps(walk, fd);
	/* What is as we deployed it has the commit's time, which says nothing. */
	if (!compare_own(walk, result ? NULL : &digest, fd, &st))
		put_modified(walk, &st);
}

static void look_at_link(struct walk *walk, int dir_fd, const char *name)
{
	char target[4096];
	struct stat st;
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

	if (len < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	probe_text(walk->sink, key_of(walk, "link"), slice_make(target, (size_t)len));
	if (walk->area != AREA_LIVE || !walk->own.found)
		return;
	if (walk->own.is_checkout) {
		compare_checkout_link(walk, slice_make(target, (size_t)len), &st);
		return;
	}
	/* Our own links into shared/ are not the release's. */
	struct digest digest;
	digest_of(slice_make(target, (size_t)len), &digest);
	if (own_reach(walk, path_of(walk)))
		(void)compare_own(walk, &digest, -1, &st);
}

/* ---- folders ---- */

/* Names of one folder; those of folders end in '/', which makes the order of names the
 * order of whole paths. */
struct listing {
	struct slice *names;
	size_t count, cap;
	struct arena arena;
};

static int by_bytes(const void *a, const void *b)
{
	return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void listing_free(struct listing *listing)
{
	free(listing->names);
	arena_free(&listing->arena);
}

/* As the kernel writes them; readdir(3) would cost four more system calls a folder. */
struct raw_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

static unsigned char type_of(int dir_fd, const struct raw_entry *entry)
{
	struct stat st;

	if (entry->type != DT_UNKNOWN)
		return entry->type;
	return fstatat(dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? IFTODT(st.st_mode) : DT_UNKNOWN;
}

static void add_name(struct listing *listing, const char *name, unsigned char type)
{
	size_t len = strlen(name);

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    (type != DT_DIR && type != DT_REG && type != DT_LNK))
		return;
	if (listing->count == listing->cap) {
		listing->cap = MAX(listing->cap * 2, (size_t)64);
		listing->names = mem_grow(listing->names, listing->cap, sizeof(*listing->names));
	}
	char *copy = arena_alloc(&listing->arena, len + 3);
	memcpy(copy, name, len);
	/* The type stands behind the name's end. */
	if (type == DT_DIR)
		copy[len++] = '/';
	copy[len + 1] = type == DT_LNK ? 'l' : 'f';
	listing->names[listing->count++] = slice_make(copy, len);
}

/* False when it could not be read whole. */
static bool list_folder(struct walk *walk, int fd, struct listing *listing)
{
	long got;

	while ((got = syscall(SYS_getdents64, fd, walk->block, FILE_BLOCK)) > 0) {
		if (listing->arena.used > FILE_FOLDER_MAX)
			return false;
		for (long at = 0; at < got;) {
			const struct raw_entry *entry =
				(const struct raw_entry *)(const void *)(walk->block + at);
			add_name(listing, entry->name, type_of(fd, entry));
			at += entry->size;
		}
	}
	if (listing->count)
		qsort(listing->names, listing->count, sizeof(*listing->names), by_bytes);
	return got == 0;
}

static bool is_ours_to_skip(const struct walk *walk, struct slice name)
{
	static const char *const of_users[] = {"uploads", "upload",   "log",	"logs",	     "tmp",
					       "cache",	  "sessions", "media",	"framework", "node_modules",
					       "backups", "pids",     "sockets"};
	const struct probe_request *request = walk->sink->request;

	if (slice_is(name, ".git") || (walk->depth == 0 && slice_is(name, ".lockstep")))
		return true;
	if (walk->area == AREA_SHARED)
		for (size_t i = 0; i < ARRAY_LEN(of_users); i++)
			if (slice_is(name, of_users[i]))
				return true;
	return walk->area != AREA_LISTED &&
	       is_listed(path_of(walk), request->generated, request->generated_count, true);
}

static bool is_wanted_file(struct walk *walk, struct slice name)
{
	static const char *const endings[] = {".env",  ".yml", ".yaml", ".json", ".ini",
					      ".conf", ".php", ".toml", ".key",	 ".properties"};

	if (walk->area != AREA_SHARED)
		return true;
	if (!slice_starts_with(name, ".env") && !has_ending(name, endings, ARRAY_LEN(endings)))
		return false;
	if (++walk->shared_count > FILE_SHARED_COUNT_MAX)
		walk->stopped = "shared/ holds more than 2,000 files that look like configuration";
	return !walk->stopped;
}

static bool goes_on(struct walk *walk)
{
	const struct fact_list *facts = &walk->sink->facts;

	/* Room is left for what other files of this folder still may add. */
	if (facts->bytes + 4 * FACT_KEY_MAX > facts->bytes_max)
		walk->stopped =
			"there are more files than one look has room for; name what need not be looked at in "
			"`generated`";
	else if (clock_mono_ms() > walk->end_ms)
		walk->stopped = "reading all files takes more than 100 seconds";
	if (walk->area == AREA_LIVE && ++walk->live_count == FILE_COUNT_LARGE)
		become_large(walk);
	return !walk->stopped;
}

static void walk_folder(struct walk *walk, int dir_fd, const char *name);

static void walk_entry(struct walk *walk, int dir_fd, struct slice name)
{
	size_t len = walk->key_len;
	bool is_folder = slice_ends_with(name, "/");
	struct slice last = slice_make(name.ptr, name.len - is_folder);
	char plain[NAME_MAX + 1];

	if (last.len > NAME_MAX)
		return;
	memcpy(plain, last.ptr, last.len);
	plain[last.len] = '\0';
	if (!push(walk, last)) {
		probe_skip(walk->sink, SLICE("file/"), "a path is longer than %d bytes", FACT_KEY_MAX);
		return;
	}
	if (is_ours_to_skip(walk, last))
		own_skip(walk, is_folder);
	else if (is_folder)
		walk_folder(walk, dir_fd, plain);
	else if (name.ptr[name.len + 1] == 'l')
		look_at_link(walk, dir_fd, plain);
	else if (is_wanted_file(walk, last))
		look_at_file(walk, dir_fd, plain, last);
	walk->key_len = len;
}

static void walk_folder(struct walk *walk, int dir_fd, const char *name)
{
	AUTO(close_fd) int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(listing_free) struct listing listing = {0};
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || fstat(fd, &st) != 0 || walk->depth > FILE_DEPTH_MAX) {
		probe_skip(walk->sink, key_of(walk, ""), "%s",
			   fd < 0 ? strerror(errno) : "folders are nested too deeply");
		own_skip(walk, true);
		return;
	}
	walk->plain_open = false;
	if (walk->area != AREA_SHARED)
		put_mode_and_owner(walk, &st);
	if (!list_folder(walk, fd, &listing))
		probe_skip(walk->sink, key_of(walk, ""), "the folder cannot be read whole");
	walk->depth++;
	for (size_t i = 0; i < listing.count && goes_on(walk); i++)
		walk_entry(walk, fd, listing.names[i]);
	walk->depth--;
}

/* ---- the three areas ---- */

static void walk_begin(struct walk *walk, enum area area, const char *key)
{
	walk->area = area;
	walk->depth = 0;
	walk->key_len = walk->key_start = (size_t)snprintf(walk->key, sizeof(walk->key), "%s", key);
}

static void walk_end(struct walk *walk)
{
	if (!walk->stopped)
		return;
	probe_skip(walk->sink, walk->area == AREA_SHARED ? SLICE("file/shared/") : SLICE("file/"), "%s",
		   walk->stopped);
}

static void walk_shared(struct walk *walk)
{
	const struct probe_request *request = walk->sink->request;
	struct stat place, live;

	if (request->place_fd < 0 || (request->live_fd >= 0 && fstat(request->place_fd, &place) == 0 &&
				      fstat(request->live_fd, &live) == 0 && place.st_ino == live.st_ino &&
				      place.st_dev == live.st_dev))
		return; /* no releases: it is a folder of the application like others */
	walk_begin(walk, AREA_SHARED, "file/shared/");
	walk_folder(walk, request->place_fd, "shared");
	walk_end(walk);
	walk->stopped = NULL;
}

/* What is known of the release as a whole. */
static void put_release(struct walk *walk)
{
	struct slice commit = checkout_commit(walk->sink);

	if (commit.len)
		probe_text(walk->sink, SLICE("file/./commit"), slice_make(commit.ptr, 12));
	if (walk->own.found)
		probe_evidence(walk->sink, SLICE("file/./put_by"),
			       walk->own.is_checkout ? SLICE("git") : SLICE("lockstep"));
}

static void walk_live(struct walk *walk)
{
	const struct probe_request *request = walk->sink->request;

	if (request->live_fd < 0) {
		const char *why = request->live_why	  ? request->live_why
				  : request->place_fd < 0 ? "the place is not there"
							  : "nothing is live there yet";
		probe_skip(walk->sink, SLICE("file/./live"), "%s", why);
		/* What was never put there is not missing; what should be there was not looked at. */
		if (request->live_why)
			probe_skip(walk->sink, SLICE("file/"), "%s", why);
		return;
	}
	own_open(&walk->own, walk->sink);
	walk_begin(walk, AREA_LIVE, "file/");
	put_release(walk);
	walk->live_start = walk->sink->facts.count;
	/* The folder itself. */
	struct stat st;
	if (fstat(request->live_fd, &st) == 0) {
		walk->key[walk->key_len++] = '.';
		put_mode_and_owner(walk, &st);
		walk->key_len--;
		walk->usual = walk->owner;
	}
	AUTO(listing_free) struct listing listing = {0};
	AUTO(close_fd) int fd = openat(request->live_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		walk->stopped = strerror(errno);
	else if (!list_folder(walk, fd, &listing))
		walk->stopped = "the folder cannot be read whole";
	for (size_t i = 0; i < listing.count && goes_on(walk); i++)
		walk_entry(walk, request->live_fd, listing.names[i]);
	while (!walk->stopped && walk->own.has_current) {
		put_removed(walk);
		own_next(&walk->own);
	}
	if (walk->own.unjudged)
		probe_skip(
			walk->sink, SLICE("file/./unjudged"),
			"git cannot tell whether somebody edited %zu file%s: beside another commit they are "
			"not compared",
			walk->own.unjudged, walk->own.unjudged == 1 ? "" : "s");
	if (walk->own.is_checkout && walk->times_left_out)
		probe_evidence(walk->sink, SLICE("file/./times"), SLICE("left out"));
	close_fd(&walk->own.fd);
	walk_end(walk);
}

static void walk_path(struct walk *walk, const char *listed)
{
	const struct probe_request *request = walk->sink->request;
	const char *path = listed[0] == '/' || !request->place
				   ? listed
				   : arena_printf(&walk->sink->arena, "%s/%s", request->place, listed);
	char key[FACT_KEY_MAX];
	struct stat st;

	if (!goes_on(walk))
		return;
	int len = snprintf(key, sizeof(key), "file/%s", path);
	while (len > 6 && key[len - 1] == '/')
		key[--len] = '\0';
	if (len + FILE_KEY_ROOM > (int)sizeof(key))
		return;
	walk_begin(walk, AREA_LISTED, key);
	walk->key_start = 5;
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			probe_skip(walk->sink, key_of(walk, ""), "%s", strerror(errno));
	} else if (S_ISDIR(st.st_mode)) {
		walk_folder(walk, AT_FDCWD, path);
	} else if (S_ISLNK(st.st_mode)) {
		look_at_link(walk, AT_FDCWD, path);
	} else if (S_ISREG(st.st_mode)) {
		const char *slash = strrchr(path, '/');
		look_at_file(walk, AT_FDCWD, path, slice_of(slash ? slash + 1 : path));
	}
}

static int file_run(struct probe_sink *sink, struct err *err)
{
	struct walk *walk = ARENA_NEW(&sink->arena, struct walk);

	(void)err;
	walk->sink = walk->names.sink = sink;
	walk->own.fd = -1;
	walk->end_ms = clock_mono_ms() + FILE_BUDGET_MS;
	walk->block = arena_alloc(&sink->arena, FILE_BLOCK);
	walk_shared(walk);
	for (size_t i = 0; i < sink->request->path_count; i++)
		walk_path(walk, sink->request->paths[i]);
	walk_live(walk);
	return 0;
}

static const struct probe_fact file_facts[] = {
	{"file/PATH/content", "digest",
	 "SHA-256 of a file of the live release; a keyed fingerprint where it may hold "
	 "secrets (rendered files, files of variables, private keys, shared/)"},
	{"file/PATH/mode", "text", "permissions of a file or folder: 0644"},
	{"file/PATH/owner", "text", "deploy:www-data"},
	{"file/PATH/link", "text", "where a symbolic link points"},
	{"file/PATH/caps", "text", "capabilities of a program: net_bind_service=ep"},
	{"file/./commit", "text", "of a git checkout, or of Capistrano's REVISION"},
	{"file/./live", "not_checked", "where nothing is live: no file was looked at"},
	{"file/./unjudged", "not_checked",
	 "of a git checkout: how many files git does not have, was told to overlook, or converts; "
	 "told where commits differ"},
	{"file/./put_by", "evidence", "lockstep or git: what its files can be held against"},
	{"file/./times", "evidence", "of a large git checkout: its files do not say when they were changed"},
	{"file/PATH/modified", "evidence",
	 "when its content was changed last, UTC; not of files that are as they were deployed"},
	{"file/PATH/edited", "evidence",
	 "it is not what lockstep deployed, or what git has: since when, its owner, who was logged in "
	 "then"},
	{"file/shared/PATH/content", "hmac", "configuration files in shared/"},
	{"file//PATH/content", "digest", "a path outside of the place that was listed"},
	{NULL, NULL, NULL},
};

const struct probe probe_files = {
	.dimension = "file",
	.text = "every file of the live release, configuration in shared/, listed paths: content, mode, "
		"owner, hand edits",
	.facts = file_facts,
	.time_ms = FILE_TIME_MS,
	.run = file_run,
};
