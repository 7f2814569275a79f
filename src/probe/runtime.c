/* Languages the application may be written in: what is installed, what its processes really
 * run, and what its release asks for. */
#include "probe/runtime.h"
#include "probe/kinds.h"
#include "probe/pins.h"

#include "base/fd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RELEASE_FILE_MAX = 8 << 20, SMALL_FILE_MAX = 64 << 10, RUNNING_MAX = 16 };

struct running {
	struct slice versions[RUNNING_MAX];
	dev_t devices[RUNNING_MAX];
	ino_t inodes[RUNNING_MAX];
	size_t count, processes, replaced, closed;
	int64_t installed_at; /* when the program a login finds, by the name `called`, was put there */
	const char *called;   /* NULL: not known */
	const char *why;      /* the version of one could not be found out */
	const char *whose;    /* user of a process we may not look at */
};

struct language {
	const char *name;
	const char *programs[2]; /* as installed */
	const char *question;	 /* what a program of it is asked */
	const char *process;	 /* how its processes' programs are called, digits may follow */
};
static const struct language languages[] = {
	{"go", {"go", NULL}, "version", NULL},
	{"java", {"java", NULL}, "--version", "java"},
	{"node", {"node", "nodejs"}, "--version", "node"},
	{"php", {NULL, NULL}, "-v", "php"},
	{"php-fpm", {NULL, NULL}, "-v", "php-fpm"},
	{"python", {"python3", "python"}, "--version", "python"},
	{"ruby", {"ruby", NULL}, "--version", "ruby"},
};

struct runtime {
	struct probe_sink *sink;
	struct slice installed[ARRAY_LEN(languages)];
	struct running running[ARRAY_LEN(languages)];
	int64_t booted;				  /* seconds since 1970; 0: not known */
	const char *missed[ARRAY_LEN(languages)]; /* a pin that is not met */
	bool pinned[ARRAY_LEN(languages)];
};

const char *runtime_program(struct probe_sink *sink, const char *name)
{
	struct slice rest = slice_of(getenv("PATH"));

	while (rest.ptr) {
		struct slice folder = slice_cut(&rest, ':');
		struct stat st;
		if (!folder.len || folder.ptr[0] != '/')
			continue;
		const char *path = arena_printf(&sink->arena, "%.*s/%s", SLICE_ARG(folder), name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return path;
	}
	return probe_program(sink, name);
}

/* --- installed ------------------------------------------------------------------------- */

/* Java and Go say their version in a file beside bin/, which is cheaper than asking. */
static struct slice version_file(struct probe_sink *sink, const char *program, const char *language)
{
	char real[PATH_MAX];
	const char *why;
	bool is_java = strcmp(language, "java") == 0;

	if ((!is_java && strcmp(language, "go") != 0) || !realpath(program, real))
		return (struct slice){0};
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(real, '/');
		if (!slash)
			return (struct slice){0};
		*slash = 0;
	}
	struct slice text =
		probe_file(sink, arena_printf(&sink->arena, "%s/%s", real, is_java ? "release" : "VERSION"),
			   SMALL_FILE_MAX, &why);
	if (!text.len)
		return (struct slice){0};
	return is_java ? pin_toml(text, "", "JAVA_VERSION") : pin_said_version(text);
}

static struct slice ask(struct probe_sink *sink, const char *program, const struct language *language,
			const char **why)
{
	const char *const argv[] = {program, language->question, NULL};
	struct slice said = probe_command_kept(sink, argv, RUNTIME_TIME_MS, RUNTIME_OUTPUT_MAX, why);
	struct slice version = pin_said_version(said);

	if (said.ptr && !version.len)
		*why = "it says no version";
	return version;
}

static struct slice installed(struct probe_sink *sink, const struct language *language,
			      struct running *running)
{
	const char *program = NULL, *why = NULL;

	for (size_t i = 0; i < ARRAY_LEN(language->programs) && language->programs[i] && !program; i++)
		program = runtime_program(sink, language->programs[i]);
	if (!program)
		return (struct slice){0};
	struct statx st;
	/* When its inode was made: other times change with its mode and links too. */
	if (statx(AT_FDCWD, program, 0, STATX_BTIME, &st) == 0 && st.stx_mask & STATX_BTIME) {
		running->installed_at = st.stx_btime.tv_sec;
		running->called = strrchr(program, '/') + 1;
	}
	probe_str(sink, probe_key(sink, "runtime/%s/path", language->name), program);
	struct slice version = version_file(sink, program, language->name);
	if (!version.len)
		version = ask(sink, program, language, &why);
	if (version.len)
		probe_version(sink, probe_key(sink, "runtime/%s/version", language->name), version);
	else
		probe_skip(sink, probe_key(sink, "runtime/%s/version", language->name), "%s %s: %s", program,
			   language->question, why);
	return version;
}

/* --- running ---------------------------------------------------------------------------- */

/* "/usr/bin/python3.11 (deleted)" is python's: digits and dots may follow the name. */
static bool is_called(struct slice program, const char *name)
{
	const char *slash = program.len ? memrchr(program.ptr, '/', program.len) : NULL;

	if (slash)
		program = slice_skip(program, (size_t)(slash - program.ptr) + 1);
	if (!name || !slice_starts_with(program, name))
		return false;
	program = slice_skip(program, strlen(name));
	/* Debian's node was nodejs. */
	if (slice_starts_with(program, "js"))
		program = slice_skip(program, 2);
	while (program.len && (isdigit((unsigned char)program.ptr[0]) || program.ptr[0] == '.'))
		program = slice_skip(program, 1);
	return program.len == 0;
}

static void look_at(struct runtime *runtime, const struct language *language, struct running *running,
		    const struct probe_process *process, bool replaced)
{
	/* The program itself, even when its file was replaced under it. */
	const char *exe = arena_printf(&runtime->sink->arena, "/proc/%d/exe", process->pid), *why = NULL;
	struct stat st;

	if (stat(exe, &st) != 0) {
		running->why = strerror(errno);
		return;
	}
	for (size_t i = 0; i < running->count; i++)
		if (running->devices[i] == st.st_dev && running->inodes[i] == st.st_ino)
			return;
	if (running->count == RUNNING_MAX)
		return;
	struct slice version =
		replaced ? (struct slice){0} : version_file(runtime->sink, exe, language->name);
	if (!version.len)
		version = ask(runtime->sink, exe, language, &why);
	if (!version.len) {
		running->why = why;
		return;
	}
	running->devices[running->count] = st.st_dev;
	running->inodes[running->count] = st.st_ino;
	running->versions[running->count++] = version;
}

/* Of another user's process all that shows is its name and when it started. A program file
 * that was put there later is not the one it runs. */
static bool is_older_than_its_file(const struct runtime *runtime, const struct running *running,
				   const struct probe_process *process)
{
	enum { ROUNDED_S = 2 };
	int64_t started = runtime->booted + (int64_t)process->start / sysconf(_SC_CLK_TCK);

	return runtime->booted && process->start && running->called &&
	       strcmp(running->called, process->command) == 0 && running->installed_at > started + ROUNDED_S;
}

static void take_process(struct runtime *runtime, const struct probe_process *process)
{
	static const char gone[] = " (deleted)";
	struct slice program = slice_of(process->exe ? process->exe : process->command);
	bool replaced = process->exe && slice_ends_with(program, gone);

	if (replaced)
		program.len -= strlen(gone);
	for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
		struct running *running = &runtime->running[i];
		if (!is_called(program, languages[i].process))
			continue;
		running->processes++;
		running->replaced += replaced;
		if (process->exe) {
			look_at(runtime, &languages[i], running, process, replaced);
		} else {
			running->closed++;
			running->whose = process->user;
			running->replaced += is_older_than_its_file(runtime, running, process);
		}
	}
}

static void put_running(struct runtime *runtime, const char *name, const struct running *running)
{
	struct probe_sink *sink = runtime->sink;
	struct slice key = probe_key(sink, "runtime/%s/running", name);
	bool one = true;

	if (!running->processes)
		return;
	for (size_t i = 1; i < running->count; i++)
		one = one && slice_equal(running->versions[i], running->versions[0]);
	const char *closed = arena_printf(
		&sink->arena, "its processes belong to %s, whose programs only root or %s may look at",
		running->whose, running->whose);
	struct slice program = probe_key(sink, "runtime/%s/running_program", name);
	if (!running->count && running->closed)
		probe_skip(sink, key, "%s", closed);
	else if (!running->count)
		probe_skip(sink, key, "%s", running->why ? running->why : "no process could be asked");
	else if (one)
		probe_version(sink, key, running->versions[0]);
	else
		probe_words(sink, key, running->versions, running->count);
	if (running->count || running->replaced)
		probe_str(sink, program, running->replaced ? "replaced since it started" : "as installed");
	else if (running->closed)
		probe_skip(sink, program, "%s", closed);
	probe_evidence(sink, probe_key(sink, "runtime/%s/processes", name),
		       probe_key(sink, "%zu, %zu of them closed to us", running->processes, running->closed));
}

/* "btime 1764265000" */
static int64_t boot_time(struct probe_sink *sink)
{
	const char *why;
	int64_t seconds = 0;

	for (struct slice rest = probe_file(sink, "/proc/stat", MIB(1), &why); rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		if (slice_starts_with(line, "btime ") &&
		    !slice_to_i64(slice_skip(line, strlen("btime ")), &seconds))
			seconds = 0;
	}
	return seconds;
}

static void running(struct runtime *runtime)
{
	struct probe_process *processes;
	struct err err = ERR_INIT;
	size_t count;

	if (probe_processes(runtime->sink, &processes, &count, &err)) {
		for (size_t i = 0; i < ARRAY_LEN(languages); i++)
			probe_skip(runtime->sink,
				   probe_key(runtime->sink, "runtime/%s/running", languages[i].name), "%s",
				   err.text);
		return;
	}
	runtime->booted = boot_time(runtime->sink);
	for (size_t i = 0; i < count; i++)
		take_process(runtime, &processes[i]);
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		put_running(runtime, languages[i].name, &runtime->running[i]);
}

/* --- what the release asks for -------------------------------------------------------------- */

/* ptr NULL and *why NULL: it is not there. */
static int release_open(struct probe_sink *sink, const char *name, const char **why)
{
	struct err err = ERR_INIT;
	struct stat st;
	int fd;

	*why = NULL;
	if (open_beneath(sink->request->live_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, true, &fd,
			 &err)) {
		*why = err.code == ERR_NOT_FOUND ? NULL : arena_strdup(&sink->arena, err.text);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	*why = "it is no file";
	close(fd);
	return -1;
}

static struct slice release_file(struct probe_sink *sink, const char *name, const char **why)
{
	AUTO(close_fd) int fd = release_open(sink, name, why);
	AUTO(buf_free) struct buf text = BUF_INIT(RELEASE_FILE_MAX);
	struct err err = ERR_INIT;

	if (fd < 0)
		return (struct slice){0};
	if (fd_read_all(fd, &text, &err)) {
		*why = arena_strdup(&sink->arena, err.text);
		return (struct slice){0};
	}
	return slice_make(arena_str(&sink->arena, buf_slice(&text)), text.len);
}

static void put_pin(struct runtime *runtime, struct slice name, const char *file, struct slice pin)
{
	struct probe_sink *sink = runtime->sink;
	bool known;

	if (!pin.len)
		return;
	probe_text(sink, probe_key(sink, "runtime/%.*s/pin/%s", SLICE_ARG(name), file), pin);
	for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
		const struct running *running = &runtime->running[i];
		struct slice seen = running->count ? running->versions[0] : runtime->installed[i];
		bool is_its = slice_is(name, languages[i].name) ||
			      (slice_is(name, "php") && strcmp(languages[i].name, "php-fpm") == 0);
		if (!is_its || !seen.len)
			continue;
		bool met = pin_is_met(pin, seen, &known);
		if (!known)
			continue;
		runtime->pinned[i] = true;
		if (!met)
			runtime->missed[i] = arena_printf(&sink->arena, "not met: %s asks for %.*s, %.*s %s",
							  file, SLICE_ARG(pin), SLICE_ARG(seen),
							  running->count ? "runs" : "is installed");
	}
}

static struct slice json_pin(struct slice text, const char *first, const char *second)
{
	const char *const path[] = {first, second};

	return pin_json(text, path, ARRAY_LEN(path));
}

static struct slice pin_of(const char *file, struct slice text)
{
	if (strcmp(file, "package.json") == 0)
		return json_pin(text, "engines", "node");
	if (strcmp(file, "composer.json") == 0)
		return json_pin(text, "require", "php");
	if (strcmp(file, "composer.lock") == 0)
		return json_pin(text, "platform", "php");
	if (strcmp(file, "Pipfile.lock") == 0) {
		static const char *const path[] = {"_meta", "requires", "python_version"};
		return pin_json(text, path, ARRAY_LEN(path));
	}
	if (strcmp(file, "poetry.lock") == 0)
		return pin_toml(text, "metadata", "python-versions");
	if (strcmp(file, "uv.lock") == 0)
		return pin_toml(text, "", "requires-python");
	if (strcmp(file, "pyproject.toml") == 0) {
		struct slice pin = pin_toml(text, "project", "requires-python");
		return pin.len ? pin : pin_toml(text, "tool.poetry.dependencies", "python");
	}
	if (strcmp(file, "Gemfile.lock") == 0)
		return pin_gemfile(text);
	if (strcmp(file, "go.mod") == 0)
		return pin_go(text);
	return pin_plain(text);
}

static void pins(struct runtime *runtime)
{
	static const char *const rows[][2] = {
		{".go-version", "go"},	       {"go.mod", "go"},	   {".java-version", "java"},
		{".node-version", "node"},     {".nvmrc", "node"},	   {"package.json", "node"},
		{".php-version", "php"},       {"composer.json", "php"},   {"composer.lock", "php"},
		{".python-version", "python"}, {"Pipfile.lock", "python"}, {"poetry.lock", "python"},
		{"pyproject.toml", "python"},  {"uv.lock", "python"},	   {".ruby-version", "ruby"},
		{"Gemfile.lock", "ruby"},
	};
	struct probe_sink *sink = runtime->sink;
	struct slice name, version;
	const char *why;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice text = release_file(sink, rows[i][0], &why);
		if (text.ptr)
			put_pin(runtime, slice_of(rows[i][1]), rows[i][0], pin_of(rows[i][0], text));
		else if (why)
			probe_skip(sink, probe_key(sink, "runtime/%s/pin/%s", rows[i][1], rows[i][0]), "%s",
				   why);
	}
	struct slice tools = release_file(sink, ".tool-versions", &why);
	while (pin_tool_next(&tools, &name, &version))
		put_pin(runtime, name, ".tool-versions", version);
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		if (runtime->pinned[i])
			probe_str(sink, probe_key(sink, "runtime/%s/pinned", languages[i].name),
				  runtime->missed[i] ? runtime->missed[i] : "met");
}

static void locks(struct probe_sink *sink)
{
	static const char *const rows[][2] = {
		{"go.sum", "go"},
		{"bun.lock", "node"},
		{"npm-shrinkwrap.json", "node"},
		{"package-lock.json", "node"},
		{"pnpm-lock.yaml", "node"},
		{"yarn.lock", "node"},
		{"composer.lock", "php"},
		{"Pipfile.lock", "python"},
		{"poetry.lock", "python"},
		{"requirements.txt", "python"},
		{"uv.lock", "python"},
		{"Gemfile.lock", "ruby"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice key = probe_key(sink, "runtime/%s/lock/%s", rows[i][1], rows[i][0]);
		const char *why;
		AUTO(close_fd) int fd = release_open(sink, rows[i][0], &why);
		struct err err = ERR_INIT;
		struct digest digest;
		uint64_t size;
		if (fd < 0 && why)
			probe_skip(sink, key, "%s", why);
		else if (fd >= 0 && digest_of_fd(fd, &digest, &size, &err))
			probe_skip(sink, key, "%s", err.text);
		else if (fd >= 0)
			probe_digest(sink, key, &digest);
	}
}

static int run(struct probe_sink *sink, struct err *err)
{
	struct runtime *runtime = ARENA_NEW(&sink->arena, struct runtime);

	(void)err;
	runtime->sink = sink;
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		if (languages[i].programs[0])
			runtime->installed[i] = installed(sink, &languages[i], &runtime->running[i]);
		else if (strcmp(languages[i].name, "php") == 0)
			runtime_php(sink, &runtime->installed[i]);
	running(runtime);
	if (sink->request->live_fd >= 0) {
		pins(runtime);
		locks(sink);
	}
	return 0;
}

static const struct probe_fact facts[] = {
	{"runtime/NAME/version", "version",
	 "of the first go, java, node, php, php-fpm, python or ruby in the login's PATH; absent: there is "
	 "none"},
	{"runtime/NAME/path", "text", "which program that is"},
	{"runtime/NAME/running", "version or set", "what the application's processes really run"},
	{"runtime/NAME/running_program", "text",
	 "`as installed`, or `replaced since it started`: restart it"},
	{"runtime/NAME/processes", "evidence", "how many there are, and how many of them we may not look at"},
	{"runtime/NAME/pin/FILE", "text",
	 "what the release asks for: .nvmrc, .tool-versions, package.json, composer.lock, Gemfile.lock, ..."},
	{"runtime/NAME/pinned", "text",
	 "whether what runs (else what is installed) is what plain pins ask for"},
	{"runtime/NAME/lock/FILE", "digest", "a lock file of the release"},
	{"runtime/php/ext/NAME", "version",
	 "an extension of the command line's; php-fpm, php-apache: `loaded`"},
	{"runtime/php/ini/NAME", "text", "settings that change how code behaves; php-fpm, php-apache too"},
	{NULL, NULL, NULL},
};

const struct probe probe_runtime = {
	.dimension = "runtime",
	.text = "languages: what is installed, what really runs, what the release asks for",
	.facts = facts,
	.time_ms = 20000,
	.remembers = true,
	.run = run,
};
