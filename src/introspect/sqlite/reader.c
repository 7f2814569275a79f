#include "introspect/sqlite/reader.h"

#include "base/child.h"
#include "base/fd.h"
#include "base/random.h"
#include "target/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READING_MAX = 96 << 20 };

static const char *const suffixes[SQLITE_PARTS] = {"", "-wal", "-journal"};
static const char *const folders[] = {"current/", "shared/", ""};

/* --- here ----------------------------------------------------------------------------- */

static int open_part(const char *path, enum sqlite_part part, struct arena *arena, int *fd_out,
		     struct err *err)
{
	const char *name = arena_printf(arena, "%s%s", path, suffixes[part]);
	struct stat st;

	*fd_out = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd_out < 0 && part != SQLITE_PART_FILE && errno == ENOENT)
		return 0;
	if (*fd_out < 0)
		return err_errno(err, "%s", name);
	if (fstat(*fd_out, &st) || !S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s is no file", name);
	return 0;
}

static int read_piece(struct arena *arena, int fd, size_t unit, struct sqlite_piece *piece, struct err *err)
{
	size_t len = (size_t)piece->blocks * unit, done = 0;
	char *bytes = arena_alloc(arena, len + 1);

	while (done < len) {
		ssize_t got = pread(fd, bytes + done, len - done, (off_t)(piece->block * unit + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "cannot read the database");
		if (got == 0)
			break;
		done += (size_t)got;
	}
	piece->bytes = slice_make(bytes, done);
	return 0;
}

/* The file itself, or below the place in current/, shared/ or the folder. */
static const char *find_here(struct arena *arena, const struct database_spec *spec)
{
	const char *path = spec->address.path;

	if (path[0] == '/' || !spec->via)
		return path;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		const char *whole = arena_printf(arena, "%s/%s%s", spec->via->path ? spec->via->path : ".",
						 folders[i], path);
		if (access(whole, F_OK) == 0)
			return whole;
	}
	return arena_printf(arena, "%s/%s", spec->via->path ? spec->via->path : ".", path);
}

static int read_here(struct arena *arena, const struct database_spec *spec, struct sqlite_reading *reading,
		     struct err *err)
{
	const char *path = find_here(arena, spec);
	int fds[SQLITE_PARTS] = {-1, -1, -1}, status = 0;
	struct stat st;

	for (int i = 0; i < SQLITE_PARTS && status == 0; i++)
		status = open_part(path, (enum sqlite_part)i, arena, &fds[i], err);
	if (status == 0 && fstat(fds[SQLITE_PART_FILE], &st))
		status = err_errno(err, "%s", path);
	if (status == 0)
		reading->size = (uint64_t)st.st_size;
	for (size_t i = 0; i < reading->count && status == 0; i++)
		if (fds[reading->pieces[i].part] >= 0)
			status = read_piece(arena, fds[reading->pieces[i].part], reading->unit,
					    &reading->pieces[i], err);
	for (int i = 0; i < SQLITE_PARTS; i++)
		close_fd(&fds[i]);
	return status;
}

/* --- on a server -------------------------------------------------------------------------- */

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

/* Start-up files may print what they like: everything stands between marks. */
static void put_script(struct buf *out, const struct database_spec *spec,
		       const struct sqlite_reading *reading, const char *mark)
{
	const char *base = spec->via->path ? spec->via->path : ".";

	if (strncmp(base, "~/", 2) == 0)
		base += 2;
	buf_puts(out, "name=");
	put_quoted(out, spec->address.path);
	buf_puts(out, "; file=$name; base=");
	put_quoted(out, *base ? base : ".");
	buf_printf(out,
		   "\ncase $name in /*) ;; *) file=$base/$name\n"
		   "for folder in current/ shared/; do\n"
		   "  if [ -f \"$base/$folder$name\" ]; then file=$base/$folder$name; break; fi\n"
		   "done;; esac\n"
		   "[ -f \"$file\" ] || { printf '%%s none\\n' %s; exit 0; }\n"
		   "[ -r \"$file\" ] || { printf '%%s denied\\n' %s; exit 0; }\n"
		   "printf '%%s size %%s\\n' %s \"$(wc -c < \"$file\")\"\n",
		   mark, mark, mark);
	for (size_t i = 0; i < reading->count; i++) {
		const struct sqlite_piece *piece = &reading->pieces[i];
		buf_printf(out,
			   "printf '%%s' %s; dd if=\"$file%s\" bs=%zu skip=%llu count=%llu 2>/dev/null\n",
			   mark, suffixes[piece->part], reading->unit, (unsigned long long)piece->block,
			   (unsigned long long)piece->blocks);
	}
	buf_printf(out, "printf '%%s' %s\n", mark);
}

/* What stands up to the next mark; false: there is none. */
static bool take_marked(struct slice *rest, const char *mark, struct slice *out)
{
	const char *at = rest->len ? memmem(rest->ptr, rest->len, mark, strlen(mark)) : NULL;

	if (!at)
		return false;
	*out = slice_make(rest->ptr, (size_t)(at - rest->ptr));
	*rest = slice_skip(*rest, out->len + strlen(mark));
	return true;
}

static int take_answer(struct arena *arena, const struct database_spec *spec, struct slice said,
		       const char *mark, struct sqlite_reading *reading, struct err *err)
{
	struct slice part;

	if (!take_marked(&said, mark, &part))
		return err_set(err, ERR_NETWORK, "the shell on %s did not run our script", spec->via->text);
	struct slice line = slice_make(said.ptr, said.len);
	line = slice_trim(slice_cut(&line, '\n'));
	if (slice_is(line, "none"))
		return err_set(err, ERR_NOT_FOUND, "there is no such file on %s", spec->via->text);
	if (slice_is(line, "denied"))
		return err_set(err, ERR_DENIED, "the file is not ours to read on %s", spec->via->text);
	if (!slice_starts_with(line, "size ") ||
	    !slice_to_u64(slice_trim(slice_skip(line, 5)), &reading->size) ||
	    !take_marked(&said, mark, &part))
		return err_set(err, ERR_NETWORK, "%s answered with something else", spec->via->text);
	for (size_t i = 0; i < reading->count; i++) {
		struct sqlite_piece *piece = &reading->pieces[i];
		if (!take_marked(&said, mark, &part) || part.len > piece->blocks * reading->unit)
			return err_set(err, ERR_NETWORK,
				       "the line to %s was lost while the database was read",
				       spec->via->text);
		piece->bytes = slice_of(arena_str(arena, part));
		piece->bytes.len = part.len;
	}
	return 0;
}

static int read_there(struct arena *arena, const struct database_spec *spec, struct sqlite_reading *reading,
		      struct err *err)
{
	AUTO(buf_free) struct buf script = BUF_INIT(4 << 20), said = BUF_INIT(READING_MAX);
	AUTO(buf_free) struct buf errors = BUF_INIT(16 << 10);
	const char *words = spec->ssh ? spec->ssh : getenv("LOCKSTEP_SSH");
	uint8_t random[16];
	char mark[33];
	int status = 0;

	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), mark);
	put_script(&script, spec, reading, mark);
	if (buf_check(&script, "the script that reads a database", err))
		return -1;
	const struct child_spec child = {
		.argv = ssh_arguments(arena, words && *words ? words : "ssh", spec->via, "/bin/sh -s"),
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};
	if (child_run(&child, buf_slice(&script), &said, &errors,
		      spec->time_ms ? spec->time_ms : DATABASE_TIME_MS, &status, err))
		return err_wrap(err, "reading a database on %s", spec->via->text);
	if (status)
		return ssh_explain(spec->via, status, buf_str(&errors), slice_make("", 0), err);
	return take_answer(arena, spec, buf_slice(&said), mark, reading, err);
}

int sqlite_read(struct arena *arena, const struct database_spec *spec, struct sqlite_reading *reading,
		struct err *err)
{
	for (size_t i = 0; i < reading->count; i++)
		reading->pieces[i].bytes = slice_make("", 0);
	return spec->via && spec->via->kind == PLACE_SSH ? read_there(arena, spec, reading, err)
							 : read_here(arena, spec, reading, err);
}
