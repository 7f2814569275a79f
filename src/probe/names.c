#include "probe/names.h"

#include "base/clock.h"
#include "base/fd.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

enum { NAMES_MAX = 4096, NAMES_ASKED_MAX = 32, LOGINS_BYTES_MAX = 1 << 20 };

/* "name:x:1000:…" */
static struct slice name_in(struct slice text, uint64_t id)
{
	while (text.ptr) {
		struct slice line = slice_cut(&text, '\n'), name = slice_cut(&line, ':');
		uint64_t number;
		slice_cut(&line, ':');
		if (line.ptr && slice_to_u64(slice_cut(&line, ':'), &number) && number == id)
			return name;
	}
	return slice_make(NULL, 0);
}

static const char *look_up(struct names *names, uint64_t id, bool is_group)
{
	struct probe_sink *sink = names->sink;
	const char *why, *number = arena_printf(&sink->arena, "%llu", (unsigned long long)id);

	if (!names->files[is_group].ptr) {
		names->files[is_group] =
			probe_file(sink, is_group ? "/etc/group" : "/etc/passwd", KIB(512), &why);
		if (!names->files[is_group].ptr)
			names->files[is_group] = SLICE("");
	}
	struct slice name = name_in(names->files[is_group], id);
	if (!name.ptr && names->asked++ < NAMES_ASKED_MAX) {
		const char *argv[] = {"getent", is_group ? "group" : "passwd", number, NULL};
		name = name_in(probe_command(sink, argv, 3000, KIB(64), &why), id);
	}
	return name.len ? arena_str(&sink->arena, name) : number;
}

static const char *name_of(struct names *names, uint64_t id, bool is_group)
{
	struct known *known = names->known;

	if (names->last < names->count && known[names->last].id == id &&
	    known[names->last].is_group == is_group)
		return known[names->last].name;
	for (size_t i = 0; i < names->count; i++)
		if (known[i].id == id && known[i].is_group == is_group) {
			names->last = i;
			return known[i].name;
		}
	const char *name = look_up(names, id, is_group);
	if (names->count == NAMES_MAX)
		return name;
	if (names->count == names->cap) {
		names->cap = MAX(names->cap * 2, (size_t)16);
		known = ARENA_NEW_ARRAY(&names->sink->arena, names->cap, struct known);
		if (names->count)
			memcpy(known, names->known, names->count * sizeof(*known));
		names->known = known;
	}
	known[names->count++] = (struct known){id, is_group, name};
	return name;
}

const char *names_user(struct names *names, uint64_t uid)
{
	return name_of(names, uid, false);
}
const char *names_group(struct names *names, uint64_t gid)
{
	return name_of(names, gid, true);
}
const char *names_us(struct names *names)
{
	return name_of(names, geteuid(), false);
}

void names_put_time(struct buf *out, int64_t seconds)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char then[CLOCK_ISO_LEN + 1], now[CLOCK_ISO_LEN + 1];
	uint64_t month = 1, day = 1;

	clock_format_iso(seconds * 1000, then);
	clock_format_iso(clock_wall_ms(), now);
	if (!slice_to_u64(slice_make(then + 5, 2), &month) || !slice_to_u64(slice_make(then + 8, 2), &day) ||
	    month < 1 || month > 12)
		return;
	buf_printf(out, "%d %.3s ", (int)day, months + 3 * (month - 1));
	if (memcmp(then, now, 4) != 0)
		buf_printf(out, "%.4s ", then);
	buf_printf(out, "%.5s UTC", then + 11);
}

void names_put_logins(struct buf *out, int64_t seconds)
{
	enum { OPEN_MAX_LINES = 32 };
	struct utmp open_now[OPEN_MAX_LINES], record;
	size_t open_count = 0, len;
	struct stat st;
	struct err err = ERR_INIT;
	AUTO(close_fd) int fd = open("/var/log/wtmp", O_RDONLY | O_CLOEXEC | O_NOATIME);

	if (fd < 0)
		fd = open("/var/log/wtmp", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return;
	off_t skip = st.st_size > LOGINS_BYTES_MAX ? st.st_size - LOGINS_BYTES_MAX : 0;
	if (lseek(fd, skip - skip % (off_t)sizeof(record), SEEK_SET) < 0)
		return;
	while (fd_read_full(fd, &record, sizeof(record), &len, &err) == 0 && len == sizeof(record)) {
		if (record.ut_tv.tv_sec > seconds)
			break;
		if (record.ut_type == BOOT_TIME)
			open_count = 0;
		for (size_t i = 0; i < open_count; i++)
			if (memcmp(open_now[i].ut_line, record.ut_line, sizeof(record.ut_line)) == 0)
				open_now[i--] = open_now[--open_count];
		if (record.ut_type == USER_PROCESS && open_count < OPEN_MAX_LINES)
			open_now[open_count++] = record;
	}
	for (size_t i = 0; i < open_count; i++) {
		buf_puts(out, i ? ", " : "; logged in then: ");
		buf_put_visible(out, slice_make(open_now[i].ut_user,
						strnlen(open_now[i].ut_user, sizeof(record.ut_user))));
		if (open_now[i].ut_host[0]) {
			buf_puts(out, " from ");
			buf_put_visible(out,
					slice_make(open_now[i].ut_host,
						   strnlen(open_now[i].ut_host, sizeof(record.ut_host))));
		}
	}
}
