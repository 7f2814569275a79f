/* The provider `sealed:`: a sealed file of the repository. Names need no key. */
#include "secret/list.h"
#include "secret/sealed_file.h"

#include "model/home.h"
#include "seal/key_file.h"

static const char *check(struct slice url)
{
	return slice_find(url, '?') >= 0 ? "nothing may stand behind a `?`" : provider_check_file(url);
}

/* A file of another environment would only fail value by value. */
static int check_place(const struct provider_call *call, const char *shown, const struct sealed_file *file,
		       struct err *err)
{
	if ((call->project && strcmp(call->project, file->project) != 0) ||
	    (call->environment && strcmp(call->environment, file->environment) != 0)) {
		err_set(err, ERR_USER, "%s holds the values of %s/%s, not of %s/%s", shown, file->project, file->environment,
			call->project ? call->project : file->project,
			call->environment ? call->environment : file->environment);
		return err_hint(err, "each environment has a sealed file of its own; values that several share stand in each");
	}
	return 0;
}

static int open_values(const struct provider_call *call, const char *shown, const struct sealed_file *file,
		       struct provider_entries *out, struct err *err)
{
	struct secret *values = ARENA_NEW_ARRAY(call->arena, file->count, struct secret);
	AUTO(safe_close) struct safe *safe = safe_open();
	struct seal_key key;
	const char *home;

	if (file->count == 0)
		return 0;
	if (home_locate(call->arena, &home, err) ||
	    key_file_load(home, file->project, file->environment, file->key_id, safe, &key, err))
		return err_wrap(err, "%s", shown);
	if (sealed_file_open(file, shown, &key, call->safe, values, err))
		return -1;
	for (size_t i = 0; i < file->count; i++)
		out->items[i].value = values[i];
	return 0;
}

static int read_sealed(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(SEALED_FILE_MAX);
	struct diags *diags = ARENA_NEW(call->arena, struct diags);
	struct sealed_file file;
	const char *shown;

	*diags = DIAGS_INIT(call->arena);
	provider_file_of(call, &shown);
	if (provider_read_file(call, provider_sealed.name, &text, err)) {
		if (err->code == ERR_NOT_FOUND && call->environment)
			err_hint(err, "`lockstep secret set %s NAME` makes it", call->environment);
		return -1;
	}
	if (sealed_file_parse(call->arena, shown, buf_slice(&text), &file, diags))
		return diags_check(diags, shown, err);
	if (check_place(call, shown, &file, err))
		return -1;
	out->items = ARENA_NEW_ARRAY(call->arena, file.count, struct provider_entry);
	out->count = file.count;
	for (size_t i = 0; i < file.count; i++)
		out->items[i] = (struct provider_entry){
			.name = file.items[i].name,
			.place = arena_printf(call->arena, "%s:%u", shown, file.items[i].line),
			.version = arena_printf(call->arena, "%llu", (unsigned long long)file.items[i].version),
			.changed_ms = file.items[i].changed_ms,
		};
	if (!call->names_only && open_values(call, shown, &file, out, err))
		return -1;
	return provider_map_entries(call, out, err);
}

const struct provider provider_sealed = {
	.scheme = "sealed",
	.name = "sealed file",
	.summary = "a file of this repository: names in clear, values sealed with a key per environment",
	.form = "sealed:PATH",
	.example = "sealed:deploy/staging.sealed",
	.more = "Written by `lockstep secret set`, `edit` and `rotate`. The key is taken from `LOCKSTEP_KEY_<ENV>` (the path "
		"of a key file, `fd:N`, or the key), else from the state folder; names need none. See docs/secrets.md.",
	.local = true,
	.check = check,
	.read = read_sealed,
};
