/* The whole agent against a controller that says anything, but for what starts
 * programs or connections, which is stubbed out below.
 *
 * '!' and then bytes: the line as it is. Otherwise lines, one message each:
 * "NAME FIELDS": the payload is "r FIELDS"; behind a data message's name stands what
 * it is to hold decompressed, %XX for what is not text. Epochs begin at 1. */
#include "agent/command.h"
#include "agent/owner.h"
#include "base/fd.h"
#include "codec/compress.h"
#include "probe/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int nothing(struct err *err)
{
	return err_set(err, ERR_INTERNAL, "not while fuzzing");
}

int handle_run(struct session *session, const struct record *request, struct err *err)
{
	return session_check_lease(session, request, err) ? -1 : nothing(err);
}

int handle_reload(struct session *session, const struct record *request, struct err *err)
{
	return handle_run(session, request, err);
}

int handle_relay_open(struct session *session, const struct record *request, struct err *err)
{
	return handle_run(session, request, err);
}

int handle_relay_close(struct session *session, const struct record *request, struct err *err)
{
	(void)session, (void)request, (void)err;
	return 0;
}

void relay_data(struct session *session, struct slice payload)
{
	(void)session, (void)payload;
}
void relay_ready(struct session *session, size_t index)
{
	(void)session, (void)index;
}
void relay_close_all(struct session *session)
{
	(void)session;
}
void hook_end_survivors(struct session *session)
{
	(void)session;
}

int command_ask(struct session *session, const struct command *command, struct buf *out,
		struct command_result *result, struct err *err)
{
	(void)session, (void)command, (void)out;
	*result = (struct command_result){.status = -1};
	return nothing(err);
}

const char *const *command_environment(struct session *session, struct arena *arena,
				       const struct record *request)
{
	(void)session, (void)request;
	return ARENA_NEW_ARRAY(arena, 1, const char *);
}

/* Looking at this machine is not what is tried here, but what is asked of it is. */
static const struct probe probe_none = {.dimension = "none"};
const struct probe *const probes[] = {&probe_none, NULL};

int probe_all(const struct probe_request *request, const bool *which, struct fact_writer *out,
	      int (*breathe)(void *context, struct err *err), void *context, struct err *err)
{
	struct fact fact = {.key = SLICE("none/asked"), .kind = FACT_TEXT};

	if (breathe(context, err))
		return -1;
	fact.value = slice_of(request->path_count ? request->paths[request->path_count - 1] : "nothing");
	fact.value.len = MIN(fact.value.len, (size_t)FACT_VALUE_MAX);
	return which && !which[0] ? 0 : fact_write(out, &fact, err);
}

int ownership_find(const char *owner, const char *group, struct ownership *out, struct err *err)
{
	*out = (struct ownership){-1, -1};
	return *owner || *group ? nothing(err) : 0;
}

int ownership_give(const struct ownership *ownership, int fd, struct err *err)
{
	(void)ownership, (void)fd, (void)err;
	return 0;
}

static char folder[64], place[80];
static int line_fd = -1;

static void clean_up(void)
{
	struct err err = ERR_INIT;

	if (tree_remove_at(AT_FDCWD, folder, &err))
		fprintf(stderr, "%s\n", err.text);
}

static void set_up(void)
{
	snprintf(folder, sizeof(folder), "%s/lockstep-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ASSERT(mkdtemp(folder));
	snprintf(place, sizeof(place), "%s/place", folder);
	line_fd = memfd_create("line", MFD_CLOEXEC);
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ASSERT(line_fd >= 0 && null_fd >= 0 && dup2(line_fd, 0) == 0 && dup2(null_fd, 1) == 1);
	atexit(clean_up);
}

static void put_decoded(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char hex[3] = {0};
		if (text.ptr[i] == '%' && text.len - i > 2) {
			memcpy(hex, text.ptr + i + 1, 2);
			buf_putc(out, (char)strtoul(hex, NULL, 16));
			i += 2;
		} else {
			buf_putc(out, text.ptr[i]);
		}
	}
}

static void put_line(struct buf *out, struct slice line)
{
	AUTO(buf_free) struct buf payload = BUF_INIT(FRAME_PAYLOAD_MAX);
	AUTO(buf_free) struct buf plain = BUF_INIT(KIB(128));
	struct err err = ERR_INIT;
	struct slice name = slice_cut(&line, ' ');

	for (size_t i = 0; i < message_kind_count; i++) {
		if (!slice_is(name, message_kinds[i].name))
			continue;
		if (message_kinds[i].is_data) {
			put_decoded(&plain, line);
			if (message_kinds[i].type == MSG_RENDER_DATA)
				buf_put_slice(&payload, buf_slice(&plain));
			else if (compress_all(1, slice_make(NULL, 0), buf_slice(&plain), &payload, &err))
				return;
		} else {
			buf_printf(&payload, "r %.*s", SLICE_ARG(line));
		}
		if (!payload.overflow)
			frame_put(out, (uint8_t)message_kinds[i].type, buf_slice(&payload));
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_free) struct buf line = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;

	if (line_fd < 0)
		set_up();
	if (size == 0)
		return 0;
	struct slice rest = slice_make(data, size);
	if (data[0] == '!')
		buf_put_slice(&line, slice_skip(rest, 1));
	else
		while (rest.len && !line.overflow)
			put_line(&line, slice_cut(&rest, '\n'));
	ASSERT(ftruncate(line_fd, 0) == 0 && lseek(line_fd, 0, SEEK_SET) == 0);
	ASSERT(fd_write_all(line_fd, line.ptr, line.len, &err) == 0 && lseek(line_fd, 0, SEEK_SET) == 0);
	/* It ends by a BYE, by what it refuses, or by the end of the line. */
	if (session_run(place, false, &err) == 0)
		err_clear(&err);
	/* Whatever came, nothing may stand outside of the place. */
	ASSERT(tree_remove_at(AT_FDCWD, place, &err) == 0);
	ASSERT(rmdir(folder) == 0 && mkdir(folder, 0700) == 0);
	return 0;
}
