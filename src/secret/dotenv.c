/* The provider `dotenv:`: a .env file of the repository or of this machine. */
#include "secret/dotenv_parse.h"
#include "secret/list.h"

static const char *check(struct slice url)
{
	ptrdiff_t query = slice_find(url, '?');

	if (query >= 0 && !slice_is(slice_skip(url, (size_t)query), "?interpolate"))
		return "behind `?` only `interpolate` may stand";
	return provider_check_file(url);
}

static int read_dotenv(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(PROVIDER_BODY_MAX);
	struct dotenv_options options = {
		.interpolate = slice_ends_with(slice_of(call->url), "?interpolate"),
		.names_only = call->names_only,
	};
	struct diags *diags = ARENA_NEW(call->arena, struct diags);
	struct dotenv_file file;
	const char *shown;

	*diags = DIAGS_INIT(call->arena);
	provider_file_of(call, &shown);
	if (provider_read_file(call, provider_dotenv.name, &text, err))
		return -1;
	if (dotenv_parse(call->arena, call->safe, shown, buf_slice(&text), &options, &file, diags))
		return diags_check(diags, shown, err);
	out->items = ARENA_NEW_ARRAY(call->arena, file.count, struct provider_entry);
	for (size_t i = 0; i < file.count; i++)
		out->items[out->count++] = (struct provider_entry){
			.name = file.items[i].name,
			.value = call->names_only ? (struct secret){NULL} : file.items[i].value,
			.place = arena_printf(call->arena, "%s:%u", shown, file.items[i].line),
		};
	return provider_map_entries(call, out, err);
}

const struct provider provider_dotenv = {
	.scheme = "dotenv",
	.name = ".env file",
	.summary = "a file of NAME=VALUE lines",
	.form = "dotenv:PATH",
	.example = "dotenv:deploy/staging.env",
	.more = "`dotenv:PATH?interpolate` also replaces `${NAME}` and `${NAME:-text}` by what stands further up in "
		"the file; otherwise `$` stands for itself. The grammar is in docs/secrets.md.",
	.local = true,
	.check = check,
	.read = read_dotenv,
};
