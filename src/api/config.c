/* init, config validate, config schema, config reference: the project file. */
#include "api/list.h"

#include "base/fd.h"
#include "project/init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static int run_validate(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const struct project *project = engine->project;
	json_t *environments = json_array();

	(void)in, (void)err;
	for (size_t i = 0; i < project->environments.count; i++)
		json_array_append_new(environments,
				      json_pack("{s:s, s:I}", "environment", project->environments.items[i].name, "servers",
						(json_int_t)project->environments.items[i].servers.count));
	*out = json_pack("{s:s, s:s, s:o}", "file", project->file, "project", project->name, "environments", environments);
	return 0;
}

const struct operation operation_config_validate = {
	.name = "config validate",
	.summary = "check lockstep.yml: every mistake, with its place",
	.details = "",
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_validate,
};

static int print(void (*printer)(struct buf *out), json_t **out, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4 << 20);

	printer(&text);
	if (buf_check(&text, "the page", err))
		return -1;
	*out = json_pack("{s:o}", "text", json_text(buf_slice(&text)));
	return 0;
}

static int run_schema(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	(void)engine, (void)in;
	return print(project_print_schema, out, err);
}

const struct operation operation_config_schema = {
	.name = "config schema",
	.summary = "print the JSON Schema of lockstep.yml, for editors",
	.details = "",
	.permission = PERMISSION_NONE,
	.need = NEED_NOTHING,
	.run = run_schema,
};

static int run_reference(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	(void)engine, (void)in;
	return print(project_print_reference, out, err);
}

const struct operation operation_config_reference = {
	.name = "config reference",
	.summary = "print every key of lockstep.yml and what it means",
	.details = "",
	.permission = PERMISSION_NONE,
	.need = NEED_NOTHING,
	.run = run_reference,
};

/* --- init ------------------------------------------------------------------------- */

static int choose_row(const json_t *in, int dir_fd, const struct init_row **out, struct err *err)
{
	const char *kind = input_str(in, "kind");

	*out = kind ? init_find(kind) : init_recognise(dir_fd);
	if (*out)
		return 0;
	AUTO(buf_free) struct buf names = BUF_INIT(1024);
	for (size_t i = 0; init_rows[i]; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", init_rows[i]->name);
	err_set(err, ERR_USER, "there is no kind of project \"%s\"", kind);
	return err_hint(err, "known are: %s", buf_str(&names));
}

static int run_init(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const char *dir = engine->directory ? engine->directory : ".";
	AUTO(buf_free) struct buf text = BUF_INIT(1 << 20);
	AUTO(close_fd) int dir_fd = -1;
	const struct init_row *row;
	char path[PATH_MAX];

	if (dir_open_at(AT_FDCWD, dir, &dir_fd, err) || choose_row(in, dir_fd, &row, err))
		return -1;
	if (!realpath(dir, path))
		return err_errno(err, "%s", dir);
	const char *slash = strrchr(path, '/');
	init_print(row, slash && slash[1] ? slash + 1 : "project", &text);
	if (buf_check(&text, PROJECT_FILE, err))
		return -1;
	bool print_only = input_flag(in, "print");
	if (!print_only) {
		AUTO(close_fd) int fd =
			openat(dir_fd, PROJECT_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0 && errno == EEXIST) {
			err_set(err, ERR_CONFLICT, "%s/%s exists already", path, PROJECT_FILE);
			return err_hint(err, "`lockstep init --print` shows what would be written");
		}
		if (fd < 0)
			return err_errno(err, "%s/%s", path, PROJECT_FILE);
		if (fd_write_all(fd, text.ptr, text.len, err))
			return err_wrap(err, "%s/%s", path, PROJECT_FILE);
	}
	*out = json_pack("{s:s, s:s, s:b, s:o}", "kind", row->name, "words", row->words, "written", !print_only, "text",
			 json_text(buf_slice(&text)));
	return 0;
}

static const struct operation_key init_keys[] = {
	{ "kind", OPERATION_STRING, .value = "KIND", .text = "laravel, rails, node, static or plain; otherwise recognised" },
	{ "print", OPERATION_FLAG, .text = "only print what would be written" },
};

const struct operation operation_init = {
	.name = "init",
	.summary = "write a commented lockstep.yml that fits the project in this folder",
	.details = "",
	.keys = init_keys,
	.key_count = ARRAY_LEN(init_keys),
	.permission = PERMISSION_ADMIN,
	.need = NEED_NOTHING,
	.run = run_init,
};
