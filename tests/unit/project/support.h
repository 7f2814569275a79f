/* Where files of this test's source folder are, and comparing a text with one of
 * them. LOCKSTEP_UPDATE_DOCS=1 writes them anew instead. */
#pragma once

#include "base/buf.h"
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>

/* `name` is relative to tests/unit/project. Tests run in the build folder, and
 * the compiler was given paths relative to it. */
static inline const char *source_path(char out[4096], const char *name)
{
	const char *slash = strrchr(__FILE__, '/');
	snprintf(out, 4096, "%.*s/%s", (int)(slash - __FILE__), __FILE__, name);
	return out;
}

static inline void read_source(const char *name, struct buf *out)
{
	char path[4096];
	struct err err = ERR_INIT;
	if (file_read_at(AT_FDCWD, source_path(path, name), out, &err))
		fail_msg("%s", err.text);
}

static inline void assert_same_as_file(const char *name, const struct buf *text)
{
	char path[4096];
	struct err err = ERR_INIT;
	source_path(path, name);
	if (getenv("LOCKSTEP_UPDATE_DOCS")) {
		if (file_replace_at(AT_FDCWD, path, buf_slice(text), 0644, &err))
			fail_msg("%s", err.text);
		return;
	}
	AUTO(buf_free) struct buf expected = BUF_INIT(MIB(4));
	if (file_read_at(AT_FDCWD, path, &expected, &err))
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(text), buf_str(&expected));
}
