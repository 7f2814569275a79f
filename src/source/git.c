/* Starts the user's git with an environment in which only the user's own
 * configuration, never the repository's surroundings, has a say. */
#include "source/internal.h"

#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

enum { ERROR_BYTES_MAX = 1 << 20, ERROR_LINES = 6, TAIL_MAX = 16 << 10, CONFIG_COUNT_MAX = 1000 };

/* GIT_DIR and its like, set when we are started from a hook, would point git at
 * the wrong repository; GIT_LFS_SKIP_SMUDGE would change what is built. */
static const char *const kept_variables[] = {
	"GIT_ASKPASS",	      "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
	"GIT_CURL_VERBOSE",   "GIT_EXEC_PATH",	   "GIT_HTTP_",		"GIT_PROXY_",
	"GIT_PROXY_COMMAND",  "GIT_SSH",	   "GIT_SSH_COMMAND",	"GIT_SSH_VARIANT",
	"GIT_SSL_",	      "GIT_TRACE",	   "GIT_CONFIG_KEY_",	"GIT_CONFIG_VALUE_",
	"GIT_ALLOW_PROTOCOL",
};

/* Equal files for equal commits on every machine, and no code of others. */
static const char *const fixed_config[] = {
	"protocol.ext.allow",
	"never",
	"core.hooksPath",
	"/dev/null",
	"core.fsmonitor",
	"false",
	"core.attributesFile",
	"/dev/null",
	"core.autocrlf",
	"false",
	"core.eol",
	"lf",
	"core.symlinks",
	"true",
	"core.fileMode",
	"true",
	"core.ignoreCase",
	"false",
	"core.quotePath",
	"false",
	"color.ui",
	"false",
	"submodule.recurse",
	"false",
	"fetch.recurseSubmodules",
	"false",
	/* Commits that upstream forgot may still be live on a server. */
	"gc.pruneExpire",
	"never",
	"gc.autoDetach",
	"false",
	"maintenance.autoDetach",
	"false",
	"versionsort.suffix",
	"-",
	"http.lowSpeedLimit",
	"1",
	"http.lowSpeedTime",
	"60",
	NULL,
};

static bool is_kept(const char *variable)
{
	size_t name_len = strcspn(variable, "=");

	if (strncmp(variable, "GIT_", 4) != 0)
		return strncmp(variable, "LC_ALL=", 7) != 0 && strncmp(variable, "LANGUAGE=", 9) != 0;
	for (size_t i = 0; i < ARRAY_LEN(kept_variables); i++) {
		const char *kept = kept_variables[i];
		size_t len = strlen(kept);
		bool prefix = kept[len - 1] == '_' || strcmp(kept, "GIT_TRACE") == 0;
		if ((prefix ? name_len >= len : name_len == len) && strncmp(variable, kept, len) == 0)
			return true;
	}
	return false;
}

bool git_on_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

struct environment {
	struct arena *arena;
	const char **rows;
	size_t count, cap;
	size_t configs;
};

static void add(struct environment *e, const char *row)
{
	ASSERT(e->count < e->cap);
	e->rows[e->count++] = row;
}

static void add_config(struct environment *e, const char *key, const char *value)
{
	add(e, arena_printf(e->arena, "GIT_CONFIG_KEY_%zu=%s", e->configs, key));
	add(e, arena_printf(e->arena, "GIT_CONFIG_VALUE_%zu=%s", e->configs, value));
	e->configs++;
}

static size_t count_inherited(void)
{
	size_t count = 0;

	while (environ[count])
		count++;
	return count;
}

const char *const *git_environment(struct source *source, const struct git_call *call, struct arena *arena)
{
	size_t inherited = count_inherited(), extra = 0;
	uint64_t configs = 0;

	while (call->config && call->config[extra])
		extra++;
	size_t cap = inherited + 2 * ARRAY_LEN(fixed_config) + 2 * extra + 32;
	struct environment e = {arena, ARENA_NEW_ARRAY(arena, cap, const char *), 0, cap, 0};
	for (size_t i = 0; i < inherited; i++)
		if (is_kept(environ[i]))
			add(&e, environ[i]);
	const char *given = getenv("GIT_CONFIG_COUNT");
	if (given && slice_to_u64(slice_of(given), &configs) && configs <= CONFIG_COUNT_MAX)
		e.configs = (size_t)configs;
	for (size_t i = 0; fixed_config[i]; i += 2)
		add_config(&e, fixed_config[i], fixed_config[i + 1]);
	/* In the environment and not among the arguments, since it may hold a password. */
	if (source && source->url.address)
		add_config(&e, "remote.origin.url", source->url.address);
	for (size_t i = 0; i < extra; i += 2)
		add_config(&e, call->config[i], call->config[i + 1]);
	add(&e, arena_printf(arena, "GIT_CONFIG_COUNT=%zu", e.configs));
	add(&e, "LC_ALL=C");
	add(&e, "GIT_NO_REPLACE_OBJECTS=1");
	add(&e, "GIT_ATTR_NOSYSTEM=1");
	add(&e, "GIT_OPTIONAL_LOCKS=0");
	if (!git_on_terminal())
		add(&e, "GIT_TERMINAL_PROMPT=0");
	if (call->index)
		add(&e, arena_printf(arena, "GIT_INDEX_FILE=%s", call->index));
	add(&e, NULL);
	return e.rows;
}

const char *const *git_argv(const struct git_call *call, struct arena *arena)
{
	size_t count = 0, at = 0;

	while (call->args[count])
		count++;
	const char **argv = ARENA_NEW_ARRAY(arena, count + 5, const char *);
	argv[at++] = "git";
	argv[at++] = "--no-pager";
	if (call->git_dir)
		argv[at++] = arena_printf(arena, "--git-dir=%s", call->git_dir);
	if (call->work_tree)
		argv[at++] = arena_printf(arena, "--work-tree=%s", call->work_tree);
	for (size_t i = 0; i < count; i++)
		argv[at++] = call->args[i];
	return argv;
}

bool git_stop_asked(const struct source_watch *watch)
{
	return watch && watch->stop && watch->stop(watch->context);
}

/* ---- errors ---- */

static bool line_says(struct slice text, const char *needle)
{
	return text.len && memmem(text.ptr, text.len, needle, strlen(needle)) != NULL;
}

static enum err_code classify(struct source *source, struct slice text)
{
	static const struct {
		const char *needle;
		enum err_code code;
	} known[] = {
		{"dubious ownership", ERR_DENIED},
		{"Authentication failed", ERR_DENIED},
		{"could not read Username", ERR_DENIED},
		{"could not read Password", ERR_DENIED},
		{"Permission denied", ERR_DENIED},
		{"Host key verification failed", ERR_DENIED},
		{"The requested URL returned error: 403", ERR_DENIED},
		{"Could not resolve host", ERR_NETWORK},
		{"Connection refused", ERR_NETWORK},
		{"Connection timed out", ERR_NETWORK},
		{"Repository not found", ERR_NOT_FOUND},
		{"not found", ERR_NOT_FOUND},
		{"does not appear to be a git repository", ERR_NOT_FOUND},
		{"does not exist", ERR_NOT_FOUND},
		{"No space left on device", ERR_INTERNAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (line_says(text, known[i].needle))
			return known[i].code;
	return source && !source->url.local ? ERR_NETWORK : ERR_INTERNAL;
}

static void put_masked(struct buf *out, struct slice line, const char *userinfo)
{
	size_t len = userinfo ? strlen(userinfo) : 0;
	const char *hit;

	while (len && line.len && (hit = memmem(line.ptr, line.len, userinfo, len))) {
		buf_put_printable(out, slice_make(line.ptr, (size_t)(hit - line.ptr)));
		buf_puts(out, "***");
		line = slice_skip(line, (size_t)(hit - line.ptr) + len);
	}
	buf_put_printable(out, line);
}

static bool is_progress(struct slice line)
{
	return line_says(line, "% (") || slice_starts_with(line, "remote: Enumerating") ||
	       slice_starts_with(line, "remote: Total") || slice_starts_with(line, "From ") ||
	       slice_starts_with(line, " * [") || slice_starts_with(line, "hint: ");
}

int git_error(struct source *source, const char *what, int status, struct slice printed, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1200);
	struct slice lines[ERROR_LINES];
	size_t count = 0;

	for (struct slice rest = printed; rest.ptr;) {
		struct slice line = slice_trim(slice_cut(&rest, '\n'));
		for (ptrdiff_t cr; (cr = slice_find(line, '\r')) >= 0;)
			line = slice_skip(line, (size_t)cr + 1);
		if (line.len == 0 || is_progress(line))
			continue;
		if (count == ERROR_LINES) {
			memmove(lines, lines + 1, sizeof(lines) - sizeof(lines[0]));
			count--;
		}
		lines[count++] = line;
	}
	for (size_t i = 0; i < count; i++) {
		buf_puts(&text, "\n  ");
		put_masked(&text, slice_make(lines[i].ptr, MIN(lines[i].len, (size_t)300)),
			   source ? source->url.userinfo : NULL);
	}
	enum err_code code = classify(source, printed);
	if (count)
		err_set(err, code, "%s: git says:%s", what, buf_str(&text));
	else
		err_set(err, ERR_INTERNAL, "%s: git ended with status %d and said nothing", what, status);
	if (line_says(printed, "dubious ownership"))
		err_hint(err,
			 "the repository belongs to another user; if you trust it: "
			 "git config --global --add safe.directory '%s'",
			 source ? source->url.address : "PATH");
	else if (code == ERR_DENIED)
		err_hint(err, "try the same by hand: git ls-remote '%s'", source ? source->url.shown : "URL");
	else if (code == ERR_NETWORK)
		err_hint(err,
			 "nothing was changed; run the command again when the repository can be reached");
	return -1;
}

/* ---- running ---- */

int git_not_started(struct err *err)
{
	if (err->code == ERR_NOT_FOUND)
		err_hint(err,
			 "install git (Debian, Ubuntu: apt install git); lockstep fetches with your own git");
	return -1; /* what is told names the program */
}

int git_run(struct source *source, const struct git_call *call, struct slice input, struct buf *out,
	    int *status_out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf errors = BUF_INIT(ERROR_BYTES_MAX);
	struct child_spec spec = {.argv = git_argv(call, &arena),
				  .env = git_environment(source, call, &arena),
				  .stdin_fd = -1,
				  .stdout_fd = -1,
				  .stderr_fd = -1};
	int status = 0;

	if (child_run(&spec, input, out, &errors, call->limit_ms, &status, err))
		return git_not_started(err);
	if (status_out) {
		*status_out = status;
		return 0;
	}
	return status == 0 ? 0
			   : git_error(source, arena_printf(&arena, "git %s", call->args[0]), status,
				       buf_slice(&errors), err);
}

static void tell_progress(const struct source_watch *watch, struct slice line)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);

	if (!watch || !watch->progress || slice_trim(line).len == 0)
		return;
	buf_put_printable(&text, slice_trim(slice_make(line.ptr, MIN(line.len, (size_t)250))));
	watch->progress(watch->context, buf_str(&text));
}

/* Lines of progress end in CR, all others in LF. */
static void tell_lines(const struct source_watch *watch, struct buf *partial, struct slice piece)
{
	for (size_t i = 0; i < piece.len; i++) {
		if (piece.ptr[i] != '\n' && piece.ptr[i] != '\r') {
			buf_putc(partial, piece.ptr[i]);
			continue;
		}
		tell_progress(watch, buf_slice(partial));
		buf_clear(partial);
	}
}

static int read_until_end(struct child *child, const struct source_watch *watch, struct buf *tail,
			  struct err *err)
{
	AUTO(buf_free) struct buf partial = BUF_INIT(4096);
	char piece[8192];

	while (child->stderr_fd >= 0) {
		struct pollfd ready = {child->stderr_fd, POLLIN, 0};
		if (git_stop_asked(watch))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		if (poll(&ready, 1, 200) <= 0)
			continue;
		ssize_t got = read(child->stderr_fd, piece, sizeof(piece));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			close_fd(&child->stderr_fd);
			break;
		}
		tell_lines(watch, &partial, slice_make(piece, (size_t)got));
		if (tail->len + (size_t)got > tail->max)
			buf_consume(tail, tail->len + (size_t)got - tail->max);
		buf_put(tail, piece, (size_t)got);
	}
	return 0;
}

int git_watched(struct source *source, const struct git_call *call, const struct source_watch *watch,
		struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf tail = BUF_INIT(TAIL_MAX);
	AUTO(child_close) struct child child = CHILD_INIT;
	struct child_spec spec = {.argv = git_argv(call, &arena),
				  .env = git_environment(source, call, &arena),
				  .stdin_fd = call->stdin_fd > 0 ? call->stdin_fd : -1,
				  .stdout_fd = -1,
				  .stderr_fd = CHILD_PIPE,
				  .keep_controlling_group = call->may_ask && git_on_terminal()};
	int status = 0;

	if (child_start(&child, &spec, err))
		return git_not_started(err);
	if (read_until_end(&child, watch, &tail, err)) {
		child_stop(&child, 2000);
		return -1;
	}
	if (child_wait(&child, &status, err))
		return -1;
	return status == 0 ? 0
			   : git_error(source, arena_printf(&arena, "git %s", call->args[0]), status,
				       buf_slice(&tail), err);
}
