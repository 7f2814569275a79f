#include "agent/uses.h"

#include "agent/session.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { USES_MAX = 4096 };

struct search {
	struct arena *arena;
	struct slice prefix; /* "/var/www/shop/releases/" */
	struct uses *uses;
	size_t cap;
};

static const char *command_of(struct arena *arena, const char *pid)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	struct err err = ERR_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (file_read_at(AT_FDCWD, path, &text, &err))
		return "";
	return arena_str(arena, slice_trim(buf_slice(&text)));
}

/* A use when `target` lies below releases/: its next component is the activation. */
static bool note_use(struct search *search, const char *pid, const char *what, struct slice target)
{
	struct uses *uses = search->uses;
	uint64_t number = 0, activation;

	if (target.len <= search->prefix.len || memcmp(target.ptr, search->prefix.ptr, search->prefix.len) != 0)
		return false;
	struct slice rest = slice_skip(target, search->prefix.len);
	struct slice name = slice_cut(&rest, '/');
	/* The kernel marks what was unlinked. */
	name = slice_cut(&name, ' ');
	if (!place_parse_name(name, &activation) || !slice_to_u64(slice_of(pid), &number) || uses->count >= USES_MAX)
		return false;
	if (uses->count == search->cap) {
		search->cap = MAX(search->cap * 2, (size_t)16);
		uses->items = mem_grow(uses->items, search->cap, sizeof(*uses->items));
	}
	uses->items[uses->count++] = (struct process_use){
		number, arena_str(search->arena, name), what, command_of(search->arena, pid),
	};
	return true;
}

/* Line by line, since a large process has megabytes of them. */
static void check_maps(struct search *search, const char *pid)
{
	char path[64], piece[32 << 10];
	size_t kept = 0;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		search->uses->unreadable += errno == EACCES || errno == EPERM;
		return;
	}
	for (;;) {
		ssize_t got = read(fd, piece + kept, sizeof(piece) - kept);
		if (got <= 0)
			return;
		struct slice rest = slice_make(piece, kept + (size_t)got);
		while (slice_find(rest, '\n') >= 0) {
			struct slice line = slice_cut(&rest, '\n');
			ptrdiff_t slash = slice_find(line, '/');
			if (slash >= 0 && note_use(search, pid, "map", slice_skip(line, (size_t)slash)))
				return;
		}
		/* A line is at most a path and a hundred bytes: it always fits. */
		kept = rest.len < sizeof(piece) ? rest.len : 0;
		memmove(piece, rest.ptr, kept);
	}
}

static int visit_process(void *context, const char *pid, struct err *err)
{
	static const char *const links[] = { "cwd", "exe", "root" };
	struct search *search = context;
	char path[64], target[4096];
	uint64_t number;

	(void)err;
	if (!slice_to_u64(slice_of(pid), &number) || number == (uint64_t)getpid())
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, links[i]);
		ssize_t len = readlink(path, target, sizeof(target));
		/* Kernel threads have no exe: ENOENT. */
		if (len < 0 && errno == EACCES) {
			search->uses->unreadable++;
			return 0;
		}
		if (len > 0 && note_use(search, pid, links[i], slice_make(target, (size_t)len)))
			return 0;
	}
	check_maps(search, pid);
	return 0;
}

int uses_find(struct arena *arena, const char *releases_path, struct uses *out, struct err *err)
{
	struct search search = { .arena = arena, .uses = out };
	struct err gone = ERR_INIT;

	(void)err;
	*out = (struct uses){ 0 };
	search.prefix = slice_of(arena_printf(arena, "%s/", releases_path));
	/* A process that ends while we look is no error, and a system without /proc has no answers. */
	if (dir_each_at(AT_FDCWD, "/proc", visit_process, &search, &gone))
		out->unreadable++;
	struct process_use *copy = ARENA_NEW_ARRAY(arena, out->count, struct process_use);
	if (out->count)
		memcpy(copy, out->items, out->count * sizeof(*copy));
	free(out->items);
	out->items = copy;
	return 0;
}

bool uses_has(const struct uses *uses, const char *name)
{
	for (size_t i = 0; i < uses->count; i++)
		if (strcmp(uses->items[i].name, name) == 0)
			return true;
	return false;
}

int handle_uses(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);
	struct uses uses;

	(void)request;
	if (uses_find(&arena, arena_printf(&arena, "%s/releases", session->place.path), &uses, err))
		return -1;
	for (size_t i = 0; i < uses.count; i++) {
		buf_clear(&text);
		record_begin(&text, "use");
		record_put_u64(&text, "pid", uses.items[i].pid);
		record_put_str(&text, "name", uses.items[i].name);
		record_put_str(&text, "what", uses.items[i].what);
		record_put_str(&text, "command", uses.items[i].command);
		if (session_send_record(session, MSG_USE, &text, err))
			return -1;
	}
	buf_clear(&text);
	record_begin(&text, "done");
	record_put_u64(&text, "count", uses.count);
	record_put_u64(&text, "unreadable", uses.unreadable);
	return session_send_record(session, MSG_DONE, &text, err);
}
