/* The log of one build: what came first and what came last, within a limit, with
 * a note of what lies between. */
#include "build/internal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int log_open(struct build_log *log, const char *folder, uint64_t max, struct err *err)
{
	char time[CLOCK_ISO_LEN + 1], hex[5];
	uint8_t random[2];

	*log = (struct build_log){.fd = -1, .tail = BUF_INIT(BUILD_TAIL_MAX)};
	log->head_left = max ? max : BUILD_LOG_MAX;
	clock_format_iso(clock_wall_ms(), time);
	for (char *c = time; *c; c++)
		*c = *c == ':' ? '-' : *c;
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), hex);
	if (snprintf(log->path, sizeof(log->path), "%s/log-%s-%s", folder, time, hex) >=
	    (int)sizeof(log->path))
		return err_set(err, ERR_USER, "the path of the log is too long");
	log->fd = open(log->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return log->fd < 0 ? err_errno(err, "%s", log->path) : 0;
}

int log_put(struct build_log *log, struct slice bytes, struct err *err)
{
	struct slice head = slice_make(bytes.ptr, (size_t)MIN((uint64_t)bytes.len, log->head_left));
	struct slice end = bytes;

	if (head.len && fd_write_all(log->fd, head.ptr, head.len, err))
		return err_wrap(err, "%s", log->path);
	log->head_left -= head.len;
	log->left_out += bytes.len - head.len;
	if (end.len > log->tail.max)
		end = slice_skip(end, end.len - log->tail.max);
	if (log->tail.len + end.len > log->tail.max)
		buf_consume(&log->tail, log->tail.len + end.len - log->tail.max);
	buf_put_slice(&log->tail, end);
	return 0;
}

int log_close(struct build_log *log, struct err *err)
{
	AUTO(buf_free) struct buf note = BUF_INIT(BUILD_TAIL_MAX + 256);

	if (log->fd < 0)
		return 0;
	if (log->left_out) {
		uint64_t again = MIN(log->left_out, (uint64_t)log->tail.len);
		if (log->left_out > again)
			buf_printf(&note, "\n[%llu bytes left out: the limit of the log is reached]\n",
				   (unsigned long long)(log->left_out - again));
		buf_put_slice(&note, slice_skip(buf_slice(&log->tail), log->tail.len - (size_t)again));
	}
	int result = note.len ? fd_write_all(log->fd, note.ptr, note.len, err) : 0;
	close_fd(&log->fd);
	return result ? err_wrap(err, "%s", log->path) : 0;
}

void log_free(struct build_log *log)
{
	close_fd(&log->fd);
	buf_free(&log->tail);
}

void log_last_lines(const struct build_log *log, size_t count, struct buf *out)
{
	struct slice text = slice_trim(buf_slice(&log->tail));
	size_t start = text.len;

	for (size_t lines = 0; start > 0; start--)
		if (text.ptr[start - 1] == '\n' && ++lines == count)
			break;
	for (struct slice rest = slice_skip(text, start); rest.ptr && text.len;) {
		struct slice line = slice_cut(&rest, '\n');
		/* Of a line that a program wrote over and over, the last state. */
		line = slice_ends_with(line, "\r") ? slice_make(line.ptr, line.len - 1) : line;
		for (ptrdiff_t cr; (cr = slice_find(line, '\r')) >= 0;)
			line = slice_skip(line, (size_t)cr + 1);
		buf_puts(out, "\n  ");
		buf_put_printable(out, slice_make(line.ptr, MIN(line.len, (size_t)160)));
	}
}
