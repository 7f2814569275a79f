/* Packages of the system: what is installed, when it came, and which files of theirs are no
 * longer as they came. From the managers' own databases, which anybody may read. */
#include "probe/kinds.h"
#include "probe/look.h"
#include "probe/md5.h"
#include "probe/packages.h"

#include "base/fd.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	DATABASE_MAX = 64 << 20,
	LOG_MAX = 8 << 20,
	SUMS_MAX = 8 << 20,
	RPM_TIME_MS = 8000,
	CHANGED_MAX = 1000, /* of one package */
};
static const uint64_t hashed_max = UINT64_C(256) << 20; /* bytes of files in one look */

struct pkg {
	struct probe_sink *sink;
	struct slice native;   /* architecture; packages of it are known by name alone */
	struct map upgrades;   /* name → struct slice */
	struct map diversions; /* path → struct diversion */
	uint64_t hashed;
};

static struct slice database(struct probe_sink *sink, const char *path, const char **why)
{
	look_input(sink, path);
	return probe_file(sink, path, DATABASE_MAX, why);
}

/* "libssl3", or "libssl3:i386" where that is not this machine's own architecture. */
static struct slice name_of(struct pkg *pkg, struct slice name, struct slice arch)
{
	if (arch.len == 0 || slice_is(arch, "all") || slice_is(arch, "noarch") ||
	    slice_equal(arch, pkg->native))
		return name;
	return probe_key(pkg->sink, "%.*s:%.*s", SLICE_ARG(name), SLICE_ARG(arch));
}

/* Where another package put a file aside (dpkg-divert(1)): three lines each. */
struct diversion {
	struct slice to, by;
};

static void read_diversions(struct pkg *pkg)
{
	const char *why;
	struct slice text = database(pkg->sink, "/var/lib/dpkg/diversions", &why);

	while (text.len) {
		struct diversion *diversion = ARENA_NEW(&pkg->sink->arena, struct diversion);
		struct slice from = slice_cut(&text, '\n');
		diversion->to = slice_cut(&text, '\n');
		diversion->by = slice_cut(&text, '\n');
		map_put(&pkg->diversions, from, diversion);
	}
}

static struct slice diverted(const struct pkg *pkg, struct slice path, struct slice package)
{
	const struct diversion *diversion = map_get(&pkg->diversions, path);

	return diversion && !slice_equal(diversion->by, package) ? diversion->to : path;
}

/* --- files that changed ------------------------------------------------------------- */

struct changes {
	struct slice files[CHANGED_MAX];
	size_t count, looked;
	const char *unread; /* the first that could not be read, and why */
};

static bool is_listed(const struct probe_request *request, struct slice path)
{
	for (size_t i = 0; i < request->path_count; i++) {
		size_t len = strlen(request->paths[i]);
		while (len > 1 && request->paths[i][len - 1] == '/')
			len--;
		if (len && path.len >= len && memcmp(path.ptr, request->paths[i], len) == 0 &&
		    (path.len == len || path.ptr[len] == '/' || len == 1))
			return true;
	}
	return false;
}

static const char *hash(struct pkg *pkg, const char *path, char hex[MD5_HEX_LEN + 1])
{
	look_input(pkg->sink, path);
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char piece[32 << 10];
	struct stat st;
	struct md5 md5;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) != 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no file";
	md5_init(&md5);
	while ((got = read(fd, piece, sizeof(piece))) > 0) {
		md5_update(&md5, piece, (size_t)got);
		pkg->hashed += (uint64_t)got;
	}
	md5_finish(&md5, hex);
	return got < 0 ? strerror(errno) : NULL;
}

static void compare(struct pkg *pkg, struct changes *changes, struct slice path, struct slice wanted)
{
	struct probe_sink *sink = pkg->sink;
	const char *name = arena_str(&sink->arena, path);
	char hex[MD5_HEX_LEN + 1];

	if (pkg->hashed > hashed_max) {
		changes->unread = "more bytes of files than are read at one look";
		return;
	}
	changes->looked++;
	errno = 0;
	const char *why = hash(pkg, name, hex);
	if (why && errno == ENOENT) {
		if (changes->count < CHANGED_MAX)
			changes->files[changes->count++] = probe_key(sink, "%s (removed)", name);
	} else if (why) {
		changes->unread = arena_printf(&sink->arena, "%s: %s", name, why);
	} else if (!slice_is(wanted, hex) && changes->count < CHANGED_MAX) {
		changes->files[changes->count++] = slice_of(name);
	}
}

/* Files under paths that were asked for; the whole system's would take too long. */
static void compare_listed(struct pkg *pkg, struct changes *changes, const struct parsed_package *package)
{
	struct probe_sink *sink = pkg->sink;
	struct slice path, md5;
	const char *why;

	if (sink->request->path_count == 0)
		return;
	const char *name = package->multi_arch
				   ? arena_printf(&sink->arena, "/var/lib/dpkg/info/%.*s:%.*s.md5sums",
						  SLICE_ARG(package->name), SLICE_ARG(package->arch))
				   : arena_printf(&sink->arena, "/var/lib/dpkg/info/%.*s.md5sums",
						  SLICE_ARG(package->name));
	look_input(sink, name);
	struct slice text = probe_file(sink, name, SUMS_MAX, &why);
	while (text.ptr) {
		if (!parse_md5sum(slice_cut(&text, '\n'), &md5, &path))
			continue;
		char absolute[4096];
		if (path.len + 2 > sizeof(absolute))
			continue;
		absolute[0] = '/';
		memcpy(absolute + 1, path.ptr, path.len);
		struct slice whole = slice_make(absolute, path.len + 1);
		if (is_listed(sink->request, whole))
			compare(pkg, changes, diverted(pkg, whole, package->name), md5);
	}
}

static void put_changes(struct pkg *pkg, struct slice name, const struct parsed_package *package)
{
	struct changes *changes = mem_alloc(sizeof(*changes));
	struct slice rest = package->conffiles, path, md5;

	while (parse_conffile(&rest, &path, &md5))
		compare(pkg, changes, diverted(pkg, path, package->name), md5);
	compare_listed(pkg, changes, package);
	if (changes->looked)
		probe_words(pkg->sink, probe_key(pkg->sink, "pkg/%.*s/changed_files", SLICE_ARG(name)),
			    changes->files, changes->count);
	if (changes->unread)
		probe_skip(pkg->sink, probe_key(pkg->sink, "pkg/%.*s/unread_files", SLICE_ARG(name)), "%s",
			   changes->unread);
	free(changes);
}

/* --- dpkg ----------------------------------------------------------------------------- */

/* The last LOG_MAX bytes: logs are turned monthly, but not everywhere. */
static struct slice log_tail(struct pkg *pkg, const char *path)
{
	look_input(pkg->sink, path);
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	AUTO(buf_free) struct buf text = BUF_INIT(LOG_MAX + 1);
	struct err err = ERR_INIT;
	struct stat st;
	size_t got = 0;

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return (struct slice){0};
	size_t len = (size_t)MIN(st.st_size, (off_t)LOG_MAX);
	char *room = buf_reserve(&text, len);
	if (lseek(fd, st.st_size - (off_t)len, SEEK_SET) < 0 || fd_read_full(fd, room, len, &got, &err))
		return (struct slice){0};
	return arena_slice(&pkg->sink->arena, slice_make(room, got));
}

static void read_log(struct pkg *pkg, const char *path)
{
	struct parsed_upgrade upgrade;

	for (struct slice rest = log_tail(pkg, path); rest.ptr;) {
		if (!parse_dpkg_log(slice_cut(&rest, '\n'), &upgrade))
			continue;
		struct slice *text = ARENA_NEW(&pkg->sink->arena, struct slice);
		*text = upgrade.from.len
				? probe_key(pkg->sink, "%.*s from %.*s to %.*s", SLICE_ARG(upgrade.when),
					    SLICE_ARG(upgrade.from), SLICE_ARG(upgrade.to))
				: probe_key(pkg->sink, "%.*s, installed %.*s", SLICE_ARG(upgrade.when),
					    SLICE_ARG(upgrade.to));
		map_put(&pkg->upgrades, name_of(pkg, upgrade.name, upgrade.arch), text);
	}
}

static void put_package(struct pkg *pkg, const struct parsed_package *package)
{
	struct probe_sink *sink = pkg->sink;
	struct slice name = name_of(pkg, package->name, package->arch);
	const struct slice *upgrade = map_get(&pkg->upgrades, name);

	if (slice_is(package->state, "config-files") || slice_is(package->state, "not-installed"))
		return;
	probe_version(sink, probe_key(sink, "pkg/%.*s/version", SLICE_ARG(name)), package->version);
	if (!slice_is(package->state, "installed"))
		probe_text(sink, probe_key(sink, "pkg/%.*s/state", SLICE_ARG(name)), package->state);
	if (package->hold)
		probe_str(sink, probe_key(sink, "pkg/%.*s/hold", SLICE_ARG(name)), "yes");
	if (upgrade)
		probe_evidence(sink, probe_key(sink, "pkg/%.*s/upgraded", SLICE_ARG(name)), *upgrade);
	put_changes(pkg, name, package);
}

static void dpkg(struct pkg *pkg, struct slice status)
{
	struct parsed_package package;

	for (struct slice rest = status; !pkg->native.len && parse_dpkg_next(&rest, &package);)
		if (slice_is(package.name, "dpkg"))
			pkg->native = package.arch;
	read_diversions(pkg);
	read_log(pkg, "/var/log/dpkg.log.1");
	read_log(pkg, "/var/log/dpkg.log");
	for (struct slice rest = status; parse_dpkg_next(&rest, &package);)
		put_package(pkg, &package);
	map_free(&pkg->upgrades);
	map_free(&pkg->diversions);
}

/* --- apk, rpm -------------------------------------------------------------------------- */

static void apk(struct pkg *pkg, struct slice installed)
{
	struct parsed_package package;

	while (parse_apk_next(&installed, &package))
		probe_version(pkg->sink, probe_key(pkg->sink, "pkg/%.*s/version", SLICE_ARG(package.name)),
			      package.version);
}

/* Of some packages (kernels, keys) several are there at once: their versions are one set. */
static int rpm(struct pkg *pkg, struct err *err)
{
	static const char *const argv[] = {"rpm", "-qa", "--qf",
					   "%{NAME}\\t%{ARCH}\\t%{EPOCH}\\t%{VERSION}-%{RELEASE}\\n", NULL};
	struct probe_sink *sink = pkg->sink;
	AUTO(map_free) struct map seen = MAP_INIT;
	struct parsed_package package;
	struct slice epoch;
	const char *why;

	look_forget(sink);
	struct slice text = probe_command(sink, argv, RPM_TIME_MS, DATABASE_MAX, &why);
	if (!text.ptr)
		return err_set(err, ERR_INTERNAL, "%s", why);
	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		if (!parse_rpm(line, &epoch, &package))
			continue;
		struct slice *version = ARENA_NEW(&sink->arena, struct slice), *before;
		*version =
			epoch.len ? probe_key(sink, "%.*s:%.*s", SLICE_ARG(epoch), SLICE_ARG(package.version))
				  : package.version;
		struct slice key =
			probe_key(sink, "%.*s.%.*s", SLICE_ARG(package.name), SLICE_ARG(package.arch));
		before = map_put(&seen, key, version);
		if (before)
			*version = probe_key(sink, "%.*s\n%.*s", SLICE_ARG(*before), SLICE_ARG(*version));
	}
	for (size_t i = 0; i < seen.entries_used; i++) {
		struct slice versions = *(const struct slice *)seen.entries[i].value, list[64];
		size_t count = 0;
		if (slice_find(versions, '\n') < 0) {
			probe_version(sink,
				      probe_key(sink, "pkg/%.*s/version", SLICE_ARG(seen.entries[i].key)),
				      versions);
			continue;
		}
		while (versions.ptr && count < ARRAY_LEN(list))
			list[count++] = slice_cut(&versions, '\n');
		probe_words(sink, probe_key(sink, "pkg/%.*s/versions", SLICE_ARG(seen.entries[i].key)), list,
			    count);
	}
	return 0;
}

static int run(struct probe_sink *sink, struct err *err)
{
	struct pkg pkg = {.sink = sink, .upgrades = MAP_INIT, .diversions = MAP_INIT};
	const char *why, *apk_why;
	struct slice text = database(sink, "/var/lib/dpkg/status", &why);

	if (text.len) {
		dpkg(&pkg, text);
		return 0;
	}
	text = database(sink, "/lib/apk/db/installed", &apk_why);
	if (text.len) {
		apk(&pkg, text);
		return 0;
	}
	if (access("/var/lib/rpm", F_OK) == 0 || access("/usr/lib/sysimage/rpm", F_OK) == 0)
		return rpm(&pkg, err);
	return err_set(err, ERR_NOT_FOUND, "no database of dpkg, rpm or apk is there");
}

static const struct probe_fact facts[] = {
	{"pkg/NAME/version", "version",
	 "an installed package; NAME:ARCH where it is not the machine's own; rpm: NAME.ARCH"},
	{"pkg/NAME/versions", "set", "rpm: where several are installed at once"},
	{"pkg/NAME/state", "text", "dpkg: where it is not simply installed"},
	{"pkg/NAME/hold", "text", "dpkg: `yes` where it is kept from being upgraded"},
	{"pkg/NAME/upgraded", "evidence", "when it came last and from which version, by dpkg.log"},
	{"pkg/NAME/changed_files", "set",
	 "dpkg: its configuration files, and its files below the listed paths, that are not as they came"},
	{"pkg/NAME/unread_files", "not_checked", "the last of those that could not be read, and why"},
	{NULL, NULL, NULL},
};

const struct probe probe_pkg = {
	.dimension = "pkg",
	.text = "packages of the system: dpkg, rpm, apk",
	.facts = facts,
	.time_ms = 30000,
	.keeps_look = true,
	.run = run,
};
