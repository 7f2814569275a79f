/* Building a commit once. Read build_run from its end upwards:
 *
 *	key → recorded? → lock → recorded meanwhile? → does anybody else have it? →
 *	export → commands → result into the store → record */
#include "build/internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOCK_TEXT_MAX = 512, LOGS_KEPT = 10, LAST_LINES = 10 };

struct build {
	const struct build_request *request;
	struct arena *arena;
	struct build_result *result;
	struct digest key, recipe;
	char key_hex[DIGEST_HEX_LEN + 1];
	const char *platform;
	const char *folder;
	const char *by;
	bool lost; /* the record names a release the store no longer has */
	struct build_record old;
	int lock;
	const char *work; /* NULL until made */
	struct sandbox sandbox;
	struct build_log log;
	struct mask *mask;
	struct mask_stream output;
	bool noting; /* what is written is ours, not a command's */
};

static void build_free(struct build *build)
{
	struct err ignored = ERR_INIT;

	sandbox_close(&build->sandbox);
	mask_stream_free(&build->output);
	mask_close(&build->mask);
	log_free(&build->log);
	if (build->work && tree_remove_at(AT_FDCWD, build->work, &ignored))
		log_warn("%s", ignored.text);
	close_fd(&build->lock);
}

static void tell(struct build *build, const char *format, ...) PRINTF(2, 3);
static void tell(struct build *build, const char *format, ...)
{
	AUTO(buf_free) struct buf line = BUF_INIT(1024);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	va_list args;

	if (!build->request->step)
		return;
	va_start(args, format);
	const char *text = arena_vprintf(&arena, format, args);
	va_end(args);
	buf_put_printable(&line, slice_make(text, MIN(strlen(text), (size_t)250)));
	build->request->step(build->request->context, buf_str(&line));
}

/* ---- who we are ---- */

static const char *who(struct arena *arena)
{
	char host[256] = "";
	const struct passwd *user = getpwuid(geteuid());

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	return user ? arena_printf(arena, "%s@%s", user->pw_name, host)
		    : arena_printf(arena, "%u@%s", geteuid(), host);
}

static int check_request(const struct build_request *request, struct err *err)
{
	const char *project = request->project;

	if (!project || !*project || project[0] == '.' || strchr(project, '/'))
		return err_set(err, ERR_USER, "build: `%.80s` is no name of a project",
			       project ? project : "");
	if (request->home[0] != '/')
		return err_set(err, ERR_USER, "build: LOCKSTEP_HOME must be an absolute path, not %s",
			       request->home);
	return 0;
}

static int identify(struct build *build, struct err *err)
{
	const struct build_request *request = build->request;

	if (check_request(request, err) || build_recipe_digest(request->recipe, &build->recipe, err) ||
	    build_platform(request->recipe, build->arena, &build->platform, err))
		return -1;
	build_key(request->commit->tree, &build->recipe, build->platform, &build->key);
	digest_to_hex(&build->key, build->key_hex);
	build->folder = record_folder(request->home, &build->key, build->arena);
	build->by = who(build->arena);
	return 0;
}

/* ---- is it there? ---- */

static int count_files(struct build *build, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;

	if (store_load_manifest(build->request->store, &build->result->record.release, &arena, &manifest,
				err))
		return -1;
	build->result->files = manifest.file_count;
	build->result->bytes = manifest.total_size;
	return 0;
}

static int find_recorded(struct build *build, bool *found, struct err *err)
{
	bool recorded;

	*found = false;
	if (record_load(build->folder, build->arena, &build->old, &recorded, err))
		return -1;
	build->lost = recorded && !store_has_manifest(build->request->store, &build->old.release);
	if (!recorded || build->lost)
		return 0;
	*found = true;
	build->result->record = build->old;
	return count_files(build, err);
}

static struct build_record new_record(const struct build *build, const struct digest *release)
{
	const struct commit *commit = build->request->commit;
	struct build_record record = {
		.release = *release,
		.key = build->key,
		.recipe = build->recipe,
		.ref = commit->ref ? commit->ref : "",
		.subject = commit->subject ? commit->subject : "",
		.project = build->request->project,
		.platform = build->platform,
		.by = build->by,
		.log = "",
		.built_ms = clock_wall_ms(),
	};

	memcpy(record.tree, commit->tree, sizeof(record.tree));
	memcpy(record.commit, commit->hash, sizeof(record.commit));
	return record;
}

static int save(struct build *build, const struct build_record *record, struct err *err)
{
	if (fault_point("build.record", err))
		return -1;
	/* The same bytes as the lost ones: what was recorded is true again. */
	if (build->lost && digest_equal(&build->old.release, &record->release)) {
		build->result->record = build->old;
		build->lost = false;
		return 0;
	}
	if (record_save(build->folder, record, build->lost, err))
		return -1;
	build->result->record = *record;
	build->result->lost = build->lost;
	build->result->lost_release = build->old.release;
	return 0;
}

static int ask_others(struct build *build, bool *found, struct err *err)
{
	const struct build_request *request = build->request;
	struct digest release;

	*found = false;
	if (!request->lookup)
		return 0;
	int answer = request->lookup(request->context, &build->key, build->lost ? &build->old.release : NULL,
				     &release, err);
	if (answer <= 0)
		return answer;
	if (!store_has_manifest(request->store, &release))
		return err_set(err, ERR_INTERNAL,
			       "build: a release was found elsewhere but is not in the store");
	*found = build->result->found = true;
	struct build_record record = new_record(build, &release);
	return save(build, &record, err) || count_files(build, err) ? -1 : 0;
}

/* ---- the lock ---- */

static void read_holder(int fd, char text[LOCK_TEXT_MAX])
{
	ssize_t got = pread(fd, text, LOCK_TEXT_MAX - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int take_lock(struct build *build, struct err *err)
{
	const struct build_request *request = build->request;
	const char *path = arena_printf(build->arena, "%s/lock", build->folder);
	char now[CLOCK_ISO_LEN + 1], holder[LOCK_TEXT_MAX];
	bool told = false;

	if (dir_make_at(AT_FDCWD, build->folder, 0700, err))
		return -1;
	build->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (build->lock < 0)
		return err_errno(err, "%s", path);
	while (flock(build->lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, "locking %s", path);
		read_holder(build->lock, holder);
		if (!told && holder[0])
			tell(build, "waiting for %s, who builds the same", holder);
		told |= holder[0] != '\0';
		if (request->stop && request->stop(request->context))
			return err_set(err, ERR_INTERRUPTED,
				       "interrupted while waiting for %s, who builds the same",
				       holder[0] ? holder : "another process");
		poll(NULL, 0, 50);
	}
	clock_format_iso(clock_wall_ms(), now);
	const char *text =
		arena_printf(build->arena, "%s (process %ld, since %s)\n", build->by, (long)getpid(), now);
	if (ftruncate(build->lock, 0) != 0 || pwrite(build->lock, text, strlen(text), 0) < 0)
		return err_errno(err, "%s", path);
	return 0;
}

/* ---- the work folder ---- */

/* We hold the lock: whoever made these is gone. */
static int remove_leftovers(void *context, const char *name, struct err *err)
{
	struct build *build = context;

	if (strncmp(name, "work-", 5) != 0 && strncmp(name, "release.new-", 12) != 0)
		return 0;
	return tree_remove_at(AT_FDCWD, arena_printf(build->arena, "%s/%s", build->folder, name), err);
}

struct log_names {
	struct build *build;
	const char *names[256];
	size_t count;
};

static int note_log(void *context, const char *name, struct err *err)
{
	struct log_names *logs = context;

	(void)err;
	if (strncmp(name, "log-", 4) == 0 && logs->count < ARRAY_LEN(logs->names))
		logs->names[logs->count++] = arena_strdup(logs->build->arena, name);
	return 0;
}

static int clean_folder(struct build *build, struct err *err)
{
	struct log_names *logs = ARENA_NEW(build->arena, struct log_names);

	logs->build = build;
	if (dir_each_at(AT_FDCWD, build->folder, remove_leftovers, build, err) ||
	    dir_each_at(AT_FDCWD, build->folder, note_log, logs, err))
		return -1;
	/* Sorted by name, which is by time. */
	for (size_t i = 0; i + LOGS_KEPT < logs->count + 1; i++)
		unlink(arena_printf(build->arena, "%s/%s", build->folder, logs->names[i]));
	return 0;
}

static int make_work(struct build *build, struct err *err)
{
	char *work = arena_printf(build->arena, "%s/work-XXXXXX", build->folder);

	if (clean_folder(build, err))
		return -1;
	if (!mkdtemp(work))
		return err_errno(err, "%s", work);
	/* Mounts are named by path, so it has to hold from any folder. */
	AUTO(mem_free_ptr) char *real = realpath(work, NULL);
	build->work = arena_strdup(build->arena, real ? real : work);
	build->sandbox.tree = arena_printf(build->arena, "%s/tree", build->work);
	build->sandbox.home = arena_printf(build->arena, "%s/home", build->work);
	build->sandbox.tmp = arena_printf(build->arena, "%s/tmp", build->work);
	if (dir_make_at(AT_FDCWD, build->sandbox.home, 0755, err) ||
	    dir_make_at(AT_FDCWD, build->sandbox.tmp, 0755, err))
		return -1;
	return 0;
}

static int export_tree(struct build *build, struct err *err)
{
	const struct build_request *request = build->request;
	struct source_watch watch = {request->step, request->stop, request->context};

	tell(build, "exporting commit %.12s", request->commit->hash);
	return source_export(request->source, request->commit, build->sandbox.tree, &watch, err);
}

/* ---- commands ---- */

static int take_output(void *context, struct slice bytes, struct err *err)
{
	struct build *build = context;

	/* Notes of our own stand in the log alone: whoever looks on is told by steps. */
	if (build->request->output && !build->noting)
		build->request->output(build->request->context, bytes);
	return log_put(&build->log, bytes, err);
}

static int note(struct build *build, const char *text, struct err *err)
{
	int result = mask_stream_flush(&build->output, err);

	build->noting = true;
	if (result == 0)
		result = mask_stream_put(&build->output, slice_of(text), err) ||
			 mask_stream_flush(&build->output, err);
	build->noting = false;
	return result ? -1 : 0;
}

static int open_log(struct build *build, struct err *err)
{
	const struct build_request *request = build->request;
	char now[CLOCK_ISO_LEN + 1];

	if (log_open(&build->log, build->folder, request->recipe->log_max, err))
		return -1;
	build->mask = mask_open();
	build->output = (struct mask_stream){.mask = build->mask, .sink = take_output, .context = build};
	for (size_t i = 0; i < build->sandbox.secret_count; i++)
		mask_add(build->mask, slice_of(build->sandbox.secrets[i].value));
	clock_format_iso(clock_wall_ms(), now);
	const char *head = arena_printf(build->arena, "# %s %s on %s, by %s, %s\n", request->project,
					request->commit->hash, build->platform, build->by, now);
	/* Only in the log: whoever looks on knows. */
	return log_put(&build->log, slice_of(head), err);
}

static int say_failed(struct build *build, size_t index, const char *how, struct err *err)
{
	AUTO(buf_free) struct buf lines = BUF_INIT(1500);
	AUTO(buf_free) struct buf command = BUF_INIT(200);
	const struct build_recipe *recipe = build->request->recipe;
	struct err ignored = ERR_INIT;

	buf_put_printable(&command, slice_make(recipe->commands[index],
					       strcspn(recipe->commands[index], "\n") > 120
						       ? 120
						       : strcspn(recipe->commands[index], "\n")));
	log_last_lines(&build->log, LAST_LINES, &lines);
	if (note(build, arena_printf(build->arena, "\n# %s\n", how), &ignored) ||
	    log_close(&build->log, &ignored))
		log_warn("%s", ignored.text);
	err_set(err, ERR_FAILED, "build: command %zu of %zu %s: %s%s", index + 1, recipe->command_count, how,
		buf_str(&command), buf_str(&lines));
	return err_hint(err, "no server was touched; the whole output: %s", build->log.path);
}

static const char *describe_status(struct build *build, int status)
{
	if (status <= 128)
		return arena_printf(build->arena, "failed with exit status %d%s", status,
				    status == 127 ? " (program not found)" : "");
	return arena_printf(build->arena, "was killed by signal %d%s", status - 128,
			    status == 137 ? " (out of memory?)" : "");
}

static int run_commands(struct build *build, struct err *err)
{
	const struct build_recipe *recipe = build->request->recipe;
	int64_t timeout = recipe->timeout_ms > 0 ? recipe->timeout_ms : BUILD_TIMEOUT_MS;
	int64_t deadline = clock_mono_ms() + timeout;

	for (size_t i = 0; i < recipe->command_count; i++) {
		bool timed_out;
		int status;
		const char *line = arena_printf(build->arena, "$ %s", recipe->commands[i]);
		tell(build, "%s", line);
		if (log_put(&build->log, slice_of(arena_printf(build->arena, "%s\n", line)), err))
			return -1;
		if (run_command(&build->sandbox, recipe->commands[i], deadline, &build->output, &status,
				&timed_out, err)) {
			struct err ignored = ERR_INIT;
			if (log_close(&build->log, &ignored))
				log_warn("%s", ignored.text);
			return err_wrap(err, "build: command %zu", i + 1);
		}
		if (timed_out) {
			AUTO(buf_free) struct buf limit = BUF_INIT(64);
			clock_put_duration(&limit, timeout);
			return say_failed(build, i,
					  arena_printf(build->arena,
						       "was stopped: all commands together may take %s",
						       buf_str(&limit)),
					  err);
		}
		if (status != 0)
			return say_failed(build, i, describe_status(build, status), err);
		if (fault_point("build.command", err))
			return -1;
	}
	return 0;
}

/* ---- the result ---- */

static bool stays_out(void *context, struct slice path, bool is_dir)
{
	const struct build_recipe *recipe = context;
	size_t start = path.len;

	while (start > 0 && path.ptr[start - 1] != '/')
		start--;
	if (slice_is(slice_skip(path, start), ".git"))
		return true;
	return recipe->skip && recipe->skip(recipe->skip_context, path, is_dir);
}

static int open_output(struct build *build, int *fd_out, struct err *err)
{
	const char *output = build->request->recipe->output;
	AUTO(close_fd) int tree_fd = -1;

	if (dir_open_at(AT_FDCWD, build->sandbox.tree, &tree_fd, err))
		return -1;
	if (!output || !*output) {
		*fd_out = steal_fd(&tree_fd);
		return 0;
	}
	if (open_beneath(tree_fd, output, O_RDONLY | O_DIRECTORY, 0, false, fd_out, err) == 0)
		return 0;
	err_set(err, ERR_FAILED, "build: the commands made no folder %s, which should be the result", output);
	return err_hint(err, "no server was touched; see `output` of `build` in lockstep.yml%s%s",
			build->log.path[0] ? ", and what the commands said: " : "", build->log.path);
}

static int import(struct build *build, struct digest *release_out, struct err *err)
{
	union {
		const struct build_recipe *given;
		void *context;
	} recipe = {.given = build->request->recipe};
	struct store_import options = {.skip = stays_out, .context = recipe.context};
	AUTO(arena_free) struct arena arena = ARENA_INIT; /* a large manifest is not carried on */
	struct manifest manifest;
	AUTO(close_fd) int fd = -1;

	tell(build, "taking the result into the store");
	if (open_output(build, &fd, err) ||
	    scan_for_secrets(&build->sandbox, fd, stays_out, recipe.context, err))
		return -1;
	if (store_import_tree(build->request->store, fd, &options, &arena, &manifest, err))
		return err_wrap(err, "build: the result");
	*release_out = manifest.digest;
	build->result->files = manifest.file_count;
	build->result->bytes = manifest.total_size;
	return 0;
}

static int build_now(struct build *build, struct err *err)
{
	const struct build_recipe *recipe = build->request->recipe;
	int64_t start = clock_mono_ms();
	struct digest release;

	if (make_work(build, err))
		return -1;
	/* What cannot run here is said before anything is fetched or written. */
	if (recipe->command_count &&
	    (dir_make_at(AT_FDCWD, build->sandbox.tree, 0755, err) || sandbox_open(&build->sandbox, err)))
		return -1;
	if (export_tree(build, err) || fault_point("build.export", err))
		return -1;
	if (recipe->command_count && (cache_prepare(build->request, &build->sandbox, err) ||
				      open_log(build, err) || run_commands(build, err)))
		return -1;
	if (import(build, &release, err) || fault_point("build.import", err))
		return -1;
	if (recipe->command_count && (cache_keep(build->request, &build->sandbox, err) ||
				      note(build, "# done\n", err) || log_close(&build->log, err)))
		return -1;
	struct build_record record = new_record(build, &release);
	record.log = arena_strdup(build->arena, build->log.path);
	record.duration_ms = clock_mono_ms() - start;
	build->result->built = true;
	return save(build, &record, err);
}

int build_run(const struct build_request *request, struct arena *arena, struct build_result *result,
	      struct err *err)
{
	AUTO(build_free)
	struct build build = {.request = request, .arena = arena, .result = result, .lock = -1};
	bool found;

	*result = (struct build_result){0};
	build.log.fd = -1;
	build.sandbox.request = request;
	build.sandbox.arena = arena;
	if (identify(&build, err) || find_recorded(&build, &found, err))
		return -1;
	if (found)
		return 0;
	build.sandbox.key_hex = build.key_hex;
	if (take_lock(&build, err) || find_recorded(&build, &found, err))
		return -1;
	if (found)
		return 0;
	if (ask_others(&build, &found, err))
		return -1;
	return found ? 0 : build_now(&build, err);
}
