/* Lines on standard error for whoever debugs the program. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
static const char *log_who = "lockstep";
static enum log_level log_limit;

void log_setup(const char *who)
{
	const char *wanted = getenv("LOCKSTEP_LOG");

	log_who = who;
	for (enum log_level level = LOG_ERROR; wanted && level <= LOG_DEBUG; level++)
		if (strcmp(wanted, level_names[level]) == 0)
			log_limit = level;
}

bool log_enabled(enum log_level level)
{
	return level <= log_limit;
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[2048];
	char time[CLOCK_ISO_LEN + 1];
	struct buf line = BUF_INIT(16 << 10);
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clock_format_iso(clock_wall_ms(), time);
	buf_printf(&line, "%s %s[%ld] %s: ", time, log_who, (long)getpid(), level_names[level]);
	buf_put_printable(&line, slice_of(text));
	buf_putc(&line, '\n');
	/* One write, so that lines of several processes do not mix. */
	if (write(STDERR_FILENO, line.ptr, line.len) < 0) {
		/* Nowhere left to say so. */
	}
	buf_free(&line);
}
