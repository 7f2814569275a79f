/* The machine: processors, memory, and what is mounted where. Free space and what else
 * moves by itself is evidence. */
#include "probe/kinds.h"

#include "base/fd.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PROC_FILE_MAX = 4 << 20, MOUNTS_MAX = 512 };

/* --- processors ---------------------------------------------------------------------- */

/* Of "key<tabs>: value" lines; the first one counts. */
static struct slice field(struct slice text, const char *name)
{
	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		struct slice key = slice_trim(slice_cut(&line, ':'));
		if (line.ptr && slice_is(key, name))
			return slice_trim(line);
	}
	return (struct slice){0};
}

static void cpus(struct probe_sink *sink)
{
	const char *why;
	struct slice info = probe_file(sink, "/proc/cpuinfo", PROC_FILE_MAX, &why);
	struct slice model = field(info, "model name");

	probe_number(sink, SLICE("hw/cpu/count"), sysconf(_SC_NPROCESSORS_ONLN), NULL);
	/* ARM has no name here, but the numbers a name is looked up by. */
	if (!model.len && field(info, "CPU part").len)
		model = probe_key(sink, "implementer %.*s part %.*s",
				  SLICE_ARG(field(info, "CPU implementer")),
				  SLICE_ARG(field(info, "CPU part")));
	if (model.len)
		probe_text(sink, SLICE("hw/cpu/model"), model);
	else
		probe_skip(sink, SLICE("hw/cpu/model"), "/proc/cpuinfo: %s", why ? why : "it names none");
	struct slice load = probe_file(sink, "/proc/loadavg", 256, &why);
	if (load.len)
		probe_evidence(sink, SLICE("hw/cpu/load"), slice_trim(load));
}

/* Control groups of the first kind: of the group that is a container's outermost, and of our own. */
static void memory_of_v1(struct probe_sink *sink)
{
	const char *why;
	struct slice groups = probe_file(sink, "/proc/self/cgroup", 8192, &why), own = SLICE("");
	uint64_t least = UINT64_MAX, bytes;

	while (groups.ptr) {
		struct slice line = slice_cut(&groups, '\n');
		slice_cut(&line, ':');
		if (slice_is(slice_cut(&line, ':'), "memory") && line.ptr)
			own = line;
	}
	const char *const files[] = {
		"/sys/fs/cgroup/memory/memory.limit_in_bytes",
		arena_printf(&sink->arena, "/sys/fs/cgroup/memory%.*s/memory.limit_in_bytes", SLICE_ARG(own)),
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (slice_to_u64(slice_trim(probe_file(sink, files[i], 256, &why)), &bytes))
			least = MIN(least, bytes);
	/* No limit is said by the largest number of pages. */
	if (least < (uint64_t)1 << 60)
		probe_number(sink, SLICE("hw/memory/limit"), (int64_t)(least >> 20), "MB");
}

/* What a container may use of them: cgroup v2, of our own group and those above it. */
static void quota(struct probe_sink *sink)
{
	const char *why;
	struct slice text = slice_trim(probe_file(sink, "/sys/fs/cgroup/cpu.max", 256, &why));
	struct slice memory = slice_trim(probe_file(sink, "/sys/fs/cgroup/memory.max", 256, &why));
	struct slice limit = slice_cut(&text, ' ');
	uint64_t used, period, bytes;

	if (slice_to_u64(limit, &used) && slice_to_u64(text, &period) && period)
		probe_text(sink, SLICE("hw/cpu/quota"),
			   probe_key(sink, "%llu %%", (unsigned long long)(used * 100 / period)));
	if (slice_to_u64(memory, &bytes))
		probe_number(sink, SLICE("hw/memory/limit"), (int64_t)(bytes >> 20), "MB");
	else
		memory_of_v1(sink);
}

/* --- memory --------------------------------------------------------------------------- */

static bool kilobytes(struct slice info, const char *name, uint64_t *out)
{
	struct slice value = field(info, name);

	return slice_to_u64(slice_cut(&value, ' '), out);
}

/* Machines of one size differ by a few pages the firmware or the kernel took. */
static int64_t rounded_mb(uint64_t kb)
{
	uint64_t mb = (kb + 512) >> 10, step = mb >= 4096 ? 256 : mb >= 512 ? 64 : 16;

	return (int64_t)((mb + step / 2) / step * step);
}

static void memory(struct probe_sink *sink)
{
	const char *why;
	struct slice info = probe_file(sink, "/proc/meminfo", PROC_FILE_MAX, &why);
	uint64_t total, swap, available;

	if (!info.ptr) {
		probe_skip(sink, SLICE("hw/memory/"), "/proc/meminfo: %s", why);
		return;
	}
	if (kilobytes(info, "MemTotal", &total)) {
		probe_number(sink, SLICE("hw/memory/total"), rounded_mb(total), "MB");
		probe_evidence(sink, SLICE("hw/memory/exact"),
			       probe_key(sink, "%llu kB", (unsigned long long)total));
	}
	if (kilobytes(info, "SwapTotal", &swap) && swap)
		probe_number(sink, SLICE("hw/swap/total"), rounded_mb(swap), "MB");
	if (kilobytes(info, "MemAvailable", &available))
		probe_evidence(sink, SLICE("hw/memory/available"),
			       probe_key(sink, "%llu MB", (unsigned long long)(available >> 10)));
}

/* --- mounts --------------------------------------------------------------------------- */

/* \040 and its like stand for white space in /proc/self/mountinfo (proc(5)). */
static const char *unescaped(struct probe_sink *sink, struct slice s)
{
	char *text = arena_str(&sink->arena, s), *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && isdigit((unsigned char)from[2]) &&
		    isdigit((unsigned char)from[3])) {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
	return text;
}

static bool is_any(struct slice s, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (slice_is(s, list[i]))
			return true;
	return false;
}

/* The kernel's own, and what comes and goes with images, containers and logins. */
static bool is_of_interest(struct slice type, const char *path)
{
	static const char *const kernels[] = {
		"autofs",     "binfmt_misc", "bpf",	 "cgroup",   "cgroup2", "configfs",
		"debugfs",    "devpts",	     "devtmpfs", "efivarfs", "fusectl", "hugetlbfs",
		"mqueue",     "nsfs",	     "proc",	 "pstore",   "ramfs",	"rpc_pipefs",
		"securityfs", "squashfs",    "sysfs",	 "tracefs",
	};
	static const char *const passing[] = {"/sys/",
					      "/proc/",
					      "/run/user/",
					      "/var/lib/docker/",
					      "/var/lib/containers/",
					      "/var/lib/containerd/",
					      "/run/docker/",
					      "/run/containerd/",
					      "/run/credentials/",
					      "/var/lib/kubelet/pods/",
					      "/snap/"};

	if (is_any(type, kernels, ARRAY_LEN(kernels)))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (strncmp(path, passing[i], strlen(passing[i])) == 0)
			return false;
	return true;
}

/* What depends on the machine's size or its luck is no setting. */
static void put_options(struct probe_sink *sink, const char *path, struct slice options, struct slice super)
{
	static const char *const own[] = {
		"size=",      "nr_inodes=", "inode64",	 "inode32",  "errors=", "uuid=",
		"subvolid=",  "lowerdir=",  "upperdir=", "workdir=", "addr=",	"clientaddr=",
		"mountaddr=", "ip=",	    "stripe=",	 "sunit=",   "swidth=", "fsid="};
	struct slice words[128];
	size_t count = 0;

	for (int part = 0; part < 2; part++)
		for (struct slice rest = part ? super : options; rest.ptr && count < ARRAY_LEN(words);) {
			struct slice word = slice_cut(&rest, ',');
			bool skip = word.len == 0;
			for (size_t i = 0; i < ARRAY_LEN(own); i++)
				skip = skip || slice_starts_with(word, own[i]);
			/* The mount's own rw or ro counts, not its file system's. */
			if (!skip && !(part && (slice_is(word, "rw") || slice_is(word, "ro"))))
				words[count++] = word;
		}
	probe_words(sink, probe_key(sink, "hw/mount%s/options", path), words, count);
}

static void put_space(struct probe_sink *sink, const char *path)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0 || fs.f_blocks == 0)
		return;
	uint64_t unit = fs.f_frsize, mb = (uint64_t)fs.f_blocks * unit >> 20;
	uint64_t step = mb >= 10240 ? 1024 : mb >= 1024 ? 128 : 16;
	probe_number(sink, probe_key(sink, "hw/mount%s/size", path), (int64_t)((mb + step / 2) / step * step),
		     "MB");
	probe_evidence(sink, probe_key(sink, "hw/mount%s/free", path),
		       probe_key(sink, "%llu MB of %llu MB",
				 (unsigned long long)((uint64_t)fs.f_bavail * unit >> 20),
				 (unsigned long long)mb));
	if (fs.f_files)
		probe_evidence(sink, probe_key(sink, "hw/mount%s/free_files", path),
			       probe_key(sink, "%llu of %llu", (unsigned long long)fs.f_favail,
					 (unsigned long long)fs.f_files));
}

static bool is_network(struct slice type)
{
	return slice_starts_with(type, "nfs") || slice_starts_with(type, "cifs") ||
	       slice_starts_with(type, "smb") || slice_starts_with(type, "fuse") ||
	       slice_starts_with(type, "9p") || slice_is(type, "ceph");
}

/* "36 35 98:0 /root /mnt rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue" */
static void put_mount(struct probe_sink *sink, struct slice line)
{
	struct slice part[6], type;

	for (size_t i = 0; i < ARRAY_LEN(part); i++)
		part[i] = slice_cut(&line, ' ');
	while (line.ptr && !slice_is(slice_cut(&line, ' '), "-"))
		;
	if (!line.ptr)
		return;
	type = slice_cut(&line, ' ');
	const char *path = unescaped(sink, part[4]);
	if (path[0] != '/' || !is_of_interest(type, path))
		return;
	const char *device = unescaped(sink, slice_cut(&line, ' '));
	/* The root's key is hw/mount//type: its path is "/". */
	probe_text(sink, probe_key(sink, "hw/mount%s/type", path), type);
	put_options(sink, path, part[5], line);
	probe_evidence(sink, probe_key(sink, "hw/mount%s/device", path), slice_of(device));
	if (!is_network(type) && !slice_is(type, "tmpfs"))
		put_space(sink, path);
}

static void mounts(struct probe_sink *sink)
{
	const char *why;
	struct slice text = probe_file(sink, "/proc/self/mountinfo", PROC_FILE_MAX, &why);
	size_t count = 0;

	if (!text.ptr) {
		probe_skip(sink, SLICE("hw/mount/"), "/proc/self/mountinfo: %s", why);
		return;
	}
	while (text.ptr && count++ < MOUNTS_MAX)
		put_mount(sink, slice_cut(&text, '\n'));
	if (text.len)
		probe_skip(sink, SLICE("hw/mount/"), "more than %d mounts", MOUNTS_MAX);
}

/* --- disks ------------------------------------------------------------------------------ */

static int put_disk(void *context, const char *name, struct err *err)
{
	static const char *const passing[] = {"loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd"};
	struct probe_sink *sink = context;
	const char *why;
	uint64_t sectors;

	(void)err;
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (strncmp(name, passing[i], strlen(passing[i])) == 0)
			return 0;
	struct slice size = slice_trim(
		probe_file(sink, arena_printf(&sink->arena, "/sys/block/%s/size", name), 64, &why));
	struct slice turns = slice_trim(probe_file(
		sink, arena_printf(&sink->arena, "/sys/block/%s/queue/rotational", name), 64, &why));
	if (slice_to_u64(size, &sectors) && sectors)
		probe_number(sink, probe_key(sink, "hw/disk/%s/size", name),
			     (int64_t)((sectors + 1024) >> 11), "MB");
	if (turns.len)
		probe_str(sink, probe_key(sink, "hw/disk/%s/rotates", name),
			  slice_is(turns, "1") ? "yes" : "no");
	return 0;
}

static void machine(struct probe_sink *sink)
{
	const char *why;
	struct slice vendor = slice_trim(probe_file(sink, "/sys/class/dmi/id/sys_vendor", 256, &why));
	struct slice product = slice_trim(probe_file(sink, "/sys/class/dmi/id/product_name", 256, &why));

	if (vendor.len || product.len)
		probe_text(sink, SLICE("hw/machine/model"),
			   slice_trim(probe_key(sink, "%.*s %.*s", SLICE_ARG(vendor), SLICE_ARG(product))));
}

static int run(struct probe_sink *sink, struct err *err)
{
	struct err none = ERR_INIT;

	(void)err;
	machine(sink);
	cpus(sink);
	quota(sink);
	memory(sink);
	mounts(sink);
	if (dir_each_at(AT_FDCWD, "/sys/block", put_disk, sink, &none))
		probe_skip(sink, SLICE("hw/disk/"), "%s", none.text);
	return 0;
}

static const struct probe_fact facts[] = {
	{"hw/machine/model", "text", "vendor and product, as the firmware says"},
	{"hw/cpu/count", "number", "processors that are online"},
	{"hw/cpu/model", "text", "the first one's"},
	{"hw/cpu/quota", "text", "what a control group leaves of them; absent: all"},
	{"hw/cpu/load", "evidence", "/proc/loadavg"},
	{"hw/memory/total", "number", "memory, to 256 MB; `exact` and `available` are evidence"},
	{"hw/memory/limit", "number", "what a control group leaves of it; absent: all"},
	{"hw/swap/total", "number", "swap space; absent: none"},
	{"hw/disk/NAME/size", "number", "a disk's size; `rotates`: yes or no"},
	{"hw/mountPATH/type", "text",
	 "file system of what is mounted there; the root's key is hw/mount//type"},
	{"hw/mountPATH/options", "set", "its options, those that depend on the machine's size left out"},
	{"hw/mountPATH/size", "number",
	 "its size, rounded; not of network file systems, which may hang, nor of tmpfs, which goes by the "
	 "memory"},
	{"hw/mountPATH/free", "evidence", "free space; `free_files`, `device` too"},
	{NULL, NULL, NULL},
};

const struct probe probe_hw = {
	.dimension = "hw",
	.text = "the machine: processors, memory, disks, mounts",
	.facts = facts,
	.run = run,
};
