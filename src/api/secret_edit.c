/* secret edit: the values of a sealed file in an editor. The text stands in a private
 * folder in memory, never on a disk, and is removed however this ends. */
#include "api/list.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "engine/sealed_values.h"
#include "secret/dotenv_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define TMPFS 0x01021994ul
#define RAMFS 0x858458f6ul
enum { EDIT_MAX = 32 << 20 };

/* ---- a folder in memory ---- */

struct hideout {
	char path[256];
	pid_t guard;
	int guard_fd; /* closed by our end, whatever that is; then the guard removes the folder */
};

static bool in_memory(const char *path)
{
	struct statfs status;

	if (!path || path[0] != '/' || statfs(path, &status) != 0 || access(path, W_OK) != 0)
		return false;
	return (unsigned long)status.f_type == TMPFS || (unsigned long)status.f_type == RAMFS;
}

static void NORETURN stand_guard(int fd, const char *path)
{
	struct err ignored = ERR_INIT;
	char byte;

	setsid();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		continue;
	(void)!tree_remove_at(AT_FDCWD, path, &ignored);
	_exit(0);
}

static void hideout_close(struct hideout *hideout)
{
	close_fd(&hideout->guard_fd);
	while (hideout->guard > 0 && waitpid(hideout->guard, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static int hideout_open(struct hideout *hideout, struct err *err)
{
	const char *candidates[] = { getenv("XDG_RUNTIME_DIR"), "/dev/shm" };
	int ends[2];

	*hideout = (struct hideout){ .guard_fd = -1 };
	for (size_t i = 0; i < ARRAY_LEN(candidates) && !hideout->path[0]; i++) {
		if (!in_memory(candidates[i]) || strlen(candidates[i]) > 200)
			continue;
		snprintf(hideout->path, sizeof(hideout->path), "%s/lockstep-XXXXXX", candidates[i]);
		if (!mkdtemp(hideout->path))
			hideout->path[0] = '\0';
	}
	if (!hideout->path[0]) {
		err_set(err, ERR_USER, "there is no place in memory to edit values in");
		return err_hint(err, "XDG_RUNTIME_DIR or /dev/shm has to be a tmpfs; `lockstep secret set` needs none");
	}
	if (pipe2(ends, O_CLOEXEC) != 0) {
		rmdir(hideout->path);
		return err_errno(err, "a pipe");
	}
	hideout->guard = fork();
	if (hideout->guard == 0) {
		close(ends[1]);
		stand_guard(ends[0], hideout->path);
	}
	close(ends[0]);
	hideout->guard_fd = ends[1];
	if (hideout->guard < 0) {
		rmdir(hideout->path);
		return err_errno(err, "a guard for %s", hideout->path);
	}
	return 0;
}

/* ---- the text ---- */

static bool is_simple(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("_./:@%+=,-", c)))
			return false;
	}
	return value.len > 0;
}

static void put_value(struct buf *out, struct slice value)
{
	if (is_simple(value)) {
		buf_put_slice(out, value);
	} else if (slice_find(value, '\'') < 0 && slice_find(value, '\r') < 0) {
		buf_putc(out, '\'');
		buf_put_slice(out, value);
		buf_putc(out, '\'');
	} else {
		buf_putc(out, '"');
		for (size_t i = 0; i < value.len; i++) {
			if (value.ptr[i] == '\r') {
				buf_puts(out, "\\r");
				continue;
			}
			if (strchr("\\\"$`", value.ptr[i]))
				buf_putc(out, '\\');
			buf_putc(out, value.ptr[i]);
		}
		buf_putc(out, '"');
	}
}

static void put_text(struct buf *out, const struct sealed_place *place, const struct secret *values)
{
	buf_printf(out,
		   "# The values of %s, as in a .env file: docs/secrets.md. A line that is removed removes the value.\n"
		   "# Save and leave the editor to seal them; leave all as it is to change nothing.\n\n",
		   place->environment->name);
	for (size_t i = 0; i < place->file.count; i++) {
		buf_printf(out, "%s=", place->file.items[i].name);
		put_value(out, secret_reveal(values[i]));
		buf_putc(out, '\n');
	}
}

/* ---- the editor ---- */

static int run_editor(const char *path, struct err *err)
{
	const char *editor = getenv("VISUAL");
	AUTO(child_close) struct child child = CHILD_INIT;
	struct sigaction ignore = { .sa_handler = SIG_IGN }, earlier[4];
	static const int signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	int status = 0;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	/* As git does it: EDITOR may hold words, the path is no part of the command. */
	const char *script = "eval \"$0 \\\"\\$1\\\"\"";
	const char *argv[] = { "sh", "-c", script, editor, path, NULL };
	struct child_spec spec = { .argv = argv, .stdin_fd = STDIN_FILENO, .stdout_fd = STDOUT_FILENO,
				   .stderr_fd = STDERR_FILENO, .keep_controlling_group = true };
	if (child_start(&child, &spec, err))
		return err_wrap(err, "the editor");
	/* What the terminal sends is for the editor; we are still there to clean up. */
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &ignore, &earlier[i]);
	int failed = child_wait(&child, &status, err);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &earlier[i], NULL);
	if (failed)
		return err_wrap(err, "the editor");
	if (status) {
		err_set(err, ERR_FAILED, "the editor ended with %d: nothing was changed", status);
		return err_hint(err, "VISUAL or EDITOR says which it is: %.200s", editor);
	}
	return 0;
}

/* Until the text can be read; what is wrong stands above it as comments. An editor that
 * leaves a wrong text as it is has given up. */
static int edit(struct engine *engine, const char *path, struct buf *text, struct safe *safe, struct dotenv_file *file,
		bool *touched, struct err *err)
{
	static const struct dotenv_options options = { 0 };

	for (bool again = false;; again = true) {
		AUTO(buf_wipe_free) struct buf after = BUF_SECRET(EDIT_MAX);
		struct diags *diags = ARENA_NEW(&engine->arena, struct diags);
		*diags = DIAGS_INIT(&engine->arena);
		if (file_replace_at(AT_FDCWD, path, buf_slice(text), 0600, err) || run_editor(path, err) ||
		    file_read_at(AT_FDCWD, path, &after, err))
			return -1;
		*touched = !slice_equal(buf_slice(text), buf_slice(&after));
		if (!*touched && !again)
			return 0;
		if (dotenv_parse(&engine->arena, safe, "values", buf_slice(&after), &options, file, diags) == 0)
			return 0;
		if (!*touched)
			return diags_check(diags, "the edited text", err);
		buf_clear(text);
		AUTO(buf_free) struct buf shown = BUF_INIT(64 << 10);
		diags_sort(diags);
		diags_print(diags, &shown);
		struct slice rest = slice_trim(buf_slice(&shown));
		size_t above = 0;
		while (rest.ptr) {
			struct slice line = slice_cut(&rest, '\n');
			buf_printf(text, "#! %.*s\n", SLICE_ARG(line));
			above++;
		}
		buf_printf(text, "#! (lines counted without these %zu)\n", above + 1);
		struct slice body = buf_slice(&after);
		while (slice_starts_with(body, "#! "))
			slice_cut(&body, '\n');
		buf_put_slice(text, body);
	}
}

/* ---- what was changed ---- */

static const struct dotenv_entry *find_entry(const struct dotenv_file *file, const char *name)
{
	for (size_t i = 0; i < file->count; i++)
		if (strcmp(file->items[i].name, name) == 0)
			return &file->items[i];
	return NULL;
}

/* Somebody else may have changed the file while the editor was open. */
static int check_still_same(const struct sealed_place *now, const struct sealed_value *was, const char *name,
			    struct err *err)
{
	const struct sealed_value *is = sealed_file_find(&now->file, slice_of(name));

	if ((!is && !was) || (is && was && slice_equal(is->sealed, was->sealed)))
		return 0;
	return err_set(err, ERR_CONFLICT, "%s was changed in %s by somebody else in the meantime; nothing was written", name,
		       now->shown);
}

static int apply(struct engine *engine, const struct sealed_place *before, const struct secret *values,
		 const struct dotenv_file *edited, const struct seal_key *key, struct sealed_place *now, json_t *result,
		 struct err *err)
{
	json_t *set = json_array(), *removed = json_array();

	json_object_set_new(result, "set", set);
	json_object_set_new(result, "removed", removed);
	for (size_t i = 0; i < edited->count; i++) {
		const struct dotenv_entry *entry = &edited->items[i];
		const struct sealed_value *was = sealed_file_find(&before->file, slice_of(entry->name));
		if (was && secret_equal(values[was - before->file.items], entry->value))
			continue;
		if (check_still_same(now, was, entry->name, err) ||
		    sealed_file_put(&engine->arena, &now->file, key, entry->name, secret_reveal(entry->value),
				    clock_wall_ms(), err))
			return -1;
		json_array_append_new(set, json_string(entry->name));
	}
	for (size_t i = 0; i < before->file.count; i++) {
		const struct sealed_value *was = &before->file.items[i];
		if (find_entry(edited, was->name))
			continue;
		if (check_still_same(now, was, was->name, err))
			return -1;
		sealed_file_remove(&now->file, slice_of(was->name));
		json_array_append_new(removed, json_string(was->name));
	}
	return json_array_size(set) + json_array_size(removed) ? sealed_place_save(engine, now, err) : 0;
}

static int run_edit(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place before = SEALED_PLACE_INIT, now = SEALED_PLACE_INIT;
	AUTO(hideout_close) struct hideout hideout = { .guard_fd = -1 };
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(EDIT_MAX);
	AUTO(safe_close) struct safe *safe = safe_open();
	const char *environment = input_str(in, "environment"), *file = input_str(in, "sealed");
	struct dotenv_file edited = { 0 };
	struct seal_key key;
	bool touched;

	if (sealed_place_open(engine, environment, file, false, &before, err) ||
	    sealed_place_key(engine, &before, safe, &key, NULL, err))
		return -1;
	struct secret *values = ARENA_NEW_ARRAY(&engine->arena, before.file.count, struct secret);
	if (sealed_file_open(&before.file, before.shown, &key, safe, values, err) || hideout_open(&hideout, err))
		return -1;
	put_text(&text, &before, values);
	if (buf_check(&text, "the text to edit", err) ||
	    edit(engine, arena_printf(&engine->arena, "%s/%s.env", hideout.path, environment), &text, safe, &edited, &touched,
		 err))
		return -1;
	json_t *result = json_pack("{s:s, s:o, s:b, s:[], s:[]}", "environment", environment, "file",
				   json_text(slice_of(before.shown)), "listed", before.listed, "set", "removed");
	int failed = 0;
	if (touched) {
		failed = sealed_place_open(engine, environment, file, true, &now, err) ||
			 sealed_place_key(engine, &now, safe, &key, NULL, err) ||
			 apply(engine, &before, values, &edited, &key, &now, result, err);
	}
	if (failed)
		json_decref(result);
	else
		*out = result;
	return failed ? -1 : 0;
}

static const struct operation_key edit_keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" },
	{ "sealed", OPERATION_STRING, .value = "PATH", .text = "another file than that of values_from (or deploy/ENV.sealed)" },
};

const struct operation operation_secret_edit = {
	.name = "secret edit",
	.summary = "change sealed values in your editor",
	.details = "VISUAL or EDITOR is started on a private file in memory that is removed afterwards. Only what was changed\n"
		   "is sealed anew. An editor that keeps copies elsewhere (backups, undo files) has to be told not to.",
	.keys = edit_keys,
	.key_count = ARRAY_LEN(edit_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.run = run_edit,
};
