#include "target/read_file.h"

#include "base/child.h"
#include "base/fd.h"
#include "base/random.h"
#include "target/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { READ_TIMEOUT_MS = 60000 };

static const char *const folders[] = {"current/", "shared/", ""};

static int read_local(struct arena *arena, const struct place_address *address, const char *name,
		      const char **found_out, struct buf *out, struct err *err)
{
	for (size_t i = name[0] == '/' ? ARRAY_LEN(folders) - 1 : 0; i < ARRAY_LEN(folders); i++) {
		const char *below = arena_printf(arena, "%s%s", folders[i], name);
		const char *path = name[0] == '/' ? name : arena_printf(arena, "%s/%s", address->path, below);
		AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			continue;
		if (fd < 0)
			return err_errno(err, "%s", path);
		if (fd_read_all(fd, out, err))
			return err_wrap(err, "%s", path);
		*found_out = below;
		return 0;
	}
	return 0;
}

/* In single quotes, for a POSIX shell. */
static void put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, *text);
	buf_putc(out, '\'');
}

/* Start-up files may print what they like: the content stands between two marks. */
static void put_script(struct buf *out, const struct place_address *address, const char *name,
		       const char *mark)
{
	const char *base = address->path ? address->path : ".";

	if (strncmp(base, "~/", 2) == 0)
		base += 2;
	buf_puts(out, "name=");
	put_quoted(out, name);
	buf_puts(out, "; case $name in /*) base=;; *) base=");
	put_quoted(out, *base ? base : ".");
	buf_printf(
		out,
		"/;; esac\n"
		"for folder in current/ shared/ ''; do\n"
		"  case $name in /*) folder=;; esac\n"
		"  if [ -f \"$base$folder$name\" ]; then\n"
		"    [ -r \"$base$folder$name\" ] || { printf '%%s denied %%s\\n' %s \"$folder\"; exit 0; }\n"
		"    printf '%%s found %%s\\n' %s \"$folder\"; cat < \"$base$folder$name\"; printf '%%s end' "
		"%s\n"
		"    exit 0\n"
		"  fi\n"
		"done\n"
		"printf '%%s none \\n' %s\n",
		mark, mark, mark, mark);
}

static int take_answer(struct arena *arena, const struct place_address *address, const char *name,
		       const char *mark, struct slice said, const char **found_out, struct buf *out,
		       struct err *err)
{
	const char *begin = memmem(said.ptr ? said.ptr : "", said.len, mark, strlen(mark));

	if (!begin)
		return err_set(err, ERR_NETWORK, "%s: the shell there did not run our script", address->text);
	struct slice rest = slice_skip(said, (size_t)(begin - said.ptr) + strlen(mark) + 1);
	struct slice line = slice_cut(&rest, '\n');
	struct slice verdict = slice_cut(&line, ' ');
	if (slice_is(verdict, "none"))
		return 0;
	if (slice_is(verdict, "denied"))
		return err_set(err, ERR_DENIED, "%s: %.*s%s is not ours to read", address->text,
			       SLICE_ARG(line), name);
	const char *end = rest.len ? memmem(rest.ptr, rest.len, mark, strlen(mark)) : NULL;
	if (!slice_is(verdict, "found") || !end)
		return err_set(err, ERR_NETWORK, "%s: the line was lost while %s was read", address->text,
			       name);
	buf_put(out, rest.ptr, (size_t)(end - rest.ptr));
	*found_out = arena_printf(arena, "%.*s%s", SLICE_ARG(line), name);
	return buf_check(out, name, err);
}

static int read_remote(struct arena *arena, const struct place_address *address, const char *name,
		       const char **found_out, struct buf *out, struct err *err)
{
	AUTO(buf_free) struct buf script = BUF_INIT(16 << 10), errors = BUF_INIT(16 << 10);
	struct buf said = BUF_SECRET(READ_FILE_MAX + (64 << 10));
	const char *words = getenv("LOCKSTEP_SSH");
	uint8_t random[16];
	char hex[33];
	int status = 0;

	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), hex);
	put_script(&script, address, name, hex);
	const struct child_spec spec = {
		.argv = ssh_arguments(arena, words ? words : "ssh", address, "/bin/sh -s"),
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};
	int result = buf_check(&script, "the name of a file", err);
	if (result == 0)
		result = child_run(&spec, buf_slice(&script), &said, &errors, READ_TIMEOUT_MS, &status, err);
	if (result == 0 && status != 0)
		result = ssh_explain(address, status, buf_str(&errors), slice_make("", 0), err);
	if (result == 0)
		result = take_answer(arena, address, name, hex, buf_slice(&said), found_out, out, err);
	buf_free(&said);
	return result;
}

int target_read_file(struct arena *arena, const struct place_address *address, const char *name,
		     const char **found_out, struct buf *out, struct err *err)
{
	*found_out = NULL;
	return address->kind == PLACE_LOCAL ? read_local(arena, address, name, found_out, out, err)
					    : read_remote(arena, address, name, found_out, out, err);
}
