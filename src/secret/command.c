/* The provider `command:`: whatever a command prints, as .env or as a JSON object of
 * texts. It is run by sh in the folder of lockstep.yml, with little of our environment.
 *
 * Not here: secret stores with a provider of their own. */
#include "base/child.h"
#include "seal/mask.h"
#include "secret/dotenv_parse.h"
#include "secret/remote.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	TIMEOUT_MS = 20000,
	ERRORS_MAX = 1 << 20,
	ERRORS_SHOWN = 400, /* of its end */
	SHOWN_MAX = 60,	    /* of the command itself */
	ENV_MAX = 64,
};

/* Where programs find their settings and their agents, and no credential in itself. */
static const char *const passed[] = {
	"PATH",
	"HOME",
	"USER",
	"LOGNAME",
	"LANG",
	"LC_ALL",
	"TZ",
	"TMPDIR",
	"TERM",
	"SSH_AUTH_SOCK",
	"GNUPGHOME",
	"GPG_AGENT_INFO",
	"XDG_CONFIG_HOME",
	"XDG_DATA_HOME",
	"XDG_RUNTIME_DIR",
	"SSL_CERT_FILE",
};

#define MORE_VARIABLE "LOCKSTEP_COMMAND_ENV"

static struct slice command_of(struct slice url)
{
	slice_cut(&url, ':');
	return slice_trim(url);
}

static const char *check(struct slice url)
{
	struct slice command = command_of(url);

	if (command.len == 0)
		return "it names no command";
	return slice_find(command, '\0') >= 0 ? "it holds a NUL byte" : NULL;
}

/* --- its environment ------------------------------------------------------------------ */

struct environment {
	const char *items[ENV_MAX + 1];
	size_t count;
	struct secret passed_on[ENV_MAX]; /* values of what the user lets through: masked in errors */
	size_t passed_on_count;
};

static void environment_add(struct environment *environment, const char *text)
{
	if (environment->count < ENV_MAX)
		environment->items[environment->count++] = text;
}

/* The variables the user lets through may hold credentials, so their copies live in the
 * safe. */
static int environment_let_through(const struct provider_call *call, struct environment *environment,
				   struct err *err)
{
	struct slice rest = slice_of(getenv(MORE_VARIABLE));

	while (rest.ptr) {
		struct slice name = slice_trim(slice_cut(&rest, ','));
		const char *value = name.len ? getenv(arena_str(call->arena, name)) : NULL;
		if (!value)
			continue;
		if (environment->passed_on_count == ENV_MAX || environment->count == ENV_MAX)
			return err_set(err, ERR_USER, MORE_VARIABLE " names more than %d variables", ENV_MAX);
		struct secret line;
		size_t len = name.len + 1 + strlen(value);
		char *room = safe_reserve(call->safe, len, &line, err);
		if (!room)
			return err_wrap(err, "%.*s", SLICE_ARG(name));
		memcpy(room, name.ptr, name.len);
		room[name.len] = '=';
		memcpy(room + name.len + 1, value, strlen(value));
		safe_trim(&line, len);
		environment_add(environment, secret_reveal(line).ptr);
		if (safe_put(call->safe, slice_of(value),
			     &environment->passed_on[environment->passed_on_count++], err))
			return -1;
	}
	return 0;
}

static int environment_make(const struct provider_call *call, struct environment *environment,
			    struct err *err)
{
	*environment = (struct environment){0};
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		const char *value = getenv(passed[i]);
		if (value)
			environment_add(environment, arena_printf(call->arena, "%s=%s", passed[i], value));
	}
	if (call->project)
		environment_add(environment, arena_printf(call->arena, "LOCKSTEP_PROJECT=%s", call->project));
	if (call->environment)
		environment_add(environment,
				arena_printf(call->arena, "LOCKSTEP_ENVIRONMENT=%s", call->environment));
	return environment_let_through(call, environment, err);
}

/* --- what it prints ------------------------------------------------------------------------ */

static int take_json(const struct provider_call *call, const char *shown, const struct buf *text,
		     struct provider_entries *out, struct err *err)
{
	AUTO(json_free) json_t *json = NULL;
	const char *what = arena_printf(call->arena, "what `%s` printed", shown), *name;
	json_t *value;

	if (json_parse_secret(buf_slice(text), what, PROVIDER_BODY_MAX, &json, err))
		return -1;
	out->items = ARENA_NEW_ARRAY(call->arena, json_object_size(json), struct provider_entry);
	json_object_foreach(json, name, value)
	{
		struct provider_entry *entry = &out->items[out->count++];
		entry->name = arena_strdup(call->arena, name);
		entry->place = arena_printf(call->arena, "command:%s#%s", shown, name);
		if (json_is_object(value) || json_is_array(value))
			return err_set(err, ERR_USER, "%s: %s is no text", what, name);
		if (value_from_json(call, value, entry->place, &entry->value, err))
			return -1;
	}
	return 0;
}

static int take_dotenv(const struct provider_call *call, const char *shown, const struct buf *text,
		       struct provider_entries *out, struct err *err)
{
	struct diags *diags = ARENA_NEW(call->arena, struct diags);
	const char *what = arena_printf(call->arena, "what `%s` printed", shown);
	struct dotenv_options options = {0};
	struct dotenv_file file;

	*diags = DIAGS_INIT(call->arena);
	if (dotenv_parse(call->arena, call->safe, what, buf_slice(text), &options, &file, diags))
		return diags_check(diags, what, err);
	out->items = ARENA_NEW_ARRAY(call->arena, file.count, struct provider_entry);
	for (size_t i = 0; i < file.count; i++)
		out->items[out->count++] = (struct provider_entry){
			.name = file.items[i].name,
			.value = file.items[i].value,
			.place = arena_printf(call->arena, "command:%s:%u", shown, file.items[i].line),
		};
	return 0;
}

static int take_output(const struct provider_call *call, const char *shown, const struct buf *text,
		       struct provider_entries *out, struct err *err)
{
	struct slice start = slice_trim(buf_slice(text));

	if (start.len && start.ptr[0] == '{')
		return take_json(call, shown, text, out, err);
	return take_dotenv(call, shown, text, out, err);
}

/* --- what went wrong -------------------------------------------------------------------------- */

/* What it said, as far as that may be shown: without the values it printed and was
 * given, and only the end. Nothing, where what it printed cannot be read: its values are
 * not known then, and may stand in what it said (`set -x`). */
static void errors_show(const struct provider_call *call, const char *shown, const struct buf *output,
			const struct environment *environment, struct buf *errors, struct buf *out)
{
	AUTO(mask_close) struct mask *mask = mask_open();
	AUTO(buf_wipe_free) struct buf masked = BUF_SECRET(2 * ERRORS_MAX);
	struct provider_entries printed = {0};
	struct err ignored = ERR_INIT;

	if (output->len && take_output(call, shown, output, &printed, &ignored)) {
		buf_puts(out, "what it said is not shown, since it may hold values");
		return;
	}
	for (size_t i = 0; i < printed.count; i++)
		mask_add_secret(mask, printed.items[i].value);
	for (size_t i = 0; i < environment->passed_on_count; i++)
		mask_add_secret(mask, environment->passed_on[i]);
	mask_text(mask, buf_slice(errors), &masked);
	struct slice said = slice_trim(buf_slice(&masked));
	if (said.len > ERRORS_SHOWN)
		said = slice_skip(said, said.len - ERRORS_SHOWN);
	buf_put_visible(out, said);
}

static int run(const struct provider_call *call, const char *shown, struct buf *output, struct err *err)
{
	AUTO(buf_wipe_free) struct buf errors = BUF_SECRET(ERRORS_MAX);
	AUTO(buf_free) struct buf said = BUF_INIT((size_t)ERRORS_SHOWN * 4 + 1);
	struct environment environment;
	int status = -1;

	if (environment_make(call, &environment, err))
		return -1;
	const char *command = arena_str(call->arena, command_of(slice_of(call->url)));
	struct child_spec spec = {
		.argv = (const char *[]){"sh", "-c", command, NULL},
		.env = environment.items,
		.dir = call->folder,
		.die_with_us = true,
	};
	int64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS;
	if (child_run(&spec, slice_make("", 0), output, &errors, timeout_ms, &status, err))
		return err_wrap(err, "the command `%s`", shown);
	if (status == 0)
		return 0;
	errors_show(call, shown, output, &environment, &errors, &said);
	err_set(err, ERR_USER, "the command `%s` failed with status %d%s%s", shown, status,
		said.len ? ": " : "", buf_str(&said));
	return err_hint(err, "it is run by sh in the folder of lockstep.yml with little of your "
			     "environment; " MORE_VARIABLE "=NAME,NAME lets more of it through");
}

static int read_command(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf output = BUF_SECRET(PROVIDER_BODY_MAX);
	AUTO(buf_free) struct buf shown = BUF_INIT(SHOWN_MAX * 4 + 4);
	struct slice command = command_of(slice_of(call->url));

	if (call->version)
		return err_set(err, ERR_USER, "a command keeps no versions");
	buf_put_visible(&shown, slice_make(command.ptr, MIN(command.len, (size_t)SHOWN_MAX)));
	if (command.len > SHOWN_MAX)
		buf_puts(&shown, "...");
	const char *name = arena_strdup(call->arena, buf_str(&shown));
	if (run(call, name, &output, err) || take_output(call, name, &output, out, err))
		return -1;
	/* It cannot be asked for names alone. */
	for (size_t i = 0; i < out->count && call->names_only; i++)
		out->items[i].value = (struct secret){NULL};
	return provider_map_entries(call, out, err);
}

const struct provider provider_command = {
	.scheme = "command",
	.name = "command",
	.summary = "what a command prints",
	.form = "command:COMMAND",
	.example = "command:op inject -i deploy/production.env.tpl",
	.more = "Run by `sh` in the folder of `lockstep.yml`; prints lines of a `.env` file, or one JSON "
		"object of "
		"texts. It has 20 seconds and 8 MB. Of the environment it gets `PATH`, `HOME`, `USER`, the "
		"locale, "
		"the sockets of agents and the like, `LOCKSTEP_PROJECT`, `LOCKSTEP_ENVIRONMENT`, and what "
		"`LOCKSTEP_COMMAND_ENV=NAME,NAME` names. When it fails, the end of what it wrote to standard "
		"error is "
		"shown, with the values it printed and was given masked.",
	.runs_code = true,
	.check = check,
	.read = read_command,
};
