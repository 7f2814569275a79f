#include "agent/sudoers.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

/* A backslash is taken off by sudoers itself, another where arguments are matched as by
 * fnmatch(3). */
static const char *escaped(struct arena *arena, const char *subject)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);

	for (const char *c = subject; *c; c++)
		if (*c == '\\')
			buf_puts(&text, "\\\\\\\\");
		else
			buf_printf(&text, "%s%c", strchr(",:=*?[]!", *c) ? "\\" : "", *c);
	return arena_str(arena, buf_slice(&text));
}

const char *sudoers_line(struct arena *arena, const char *program, const char *verb, const char *asks,
			 const char *subject)
{
	const char *user = getenv("USER"), *exactly = escaped(arena, subject);

	return arena_printf(arena, "%s ALL=(root) NOPASSWD: /usr/bin/%s %s %s%s", user ? user : "DEPLOYUSER",
			    program, verb, exactly,
			    asks ? arena_printf(arena, ", /usr/bin/%s %s %s", program, asks, exactly) : "");
}
