/* The provider `doppler://`: one config of a Doppler project.
 *
 *	GET /v3/configs/config/secrets/names      https://docs.doppler.com/reference/secrets-names
 *	GET /v3/configs/config/secrets/download   https://docs.doppler.com/reference/secrets-download
 *
 * Dynamic secrets are left out: reading one would make a new lease each time. */
#include "secret/decode.h"
#include "secret/remote.h"

#include <stdlib.h>

#define HOST "https://api.doppler.com"

struct doppler {
	struct remote remote;
	const struct provider_call *call;
	const char *project, *config;
};

static void doppler_close(struct doppler *doppler)
{
	remote_close(&doppler->remote);
}

static const char *check(struct slice url)
{
	if (!slice_starts_with(url, "doppler://"))
		return "two slashes follow `doppler:`";
	struct slice rest = slice_skip(url, strlen("doppler://"));
	struct slice project = slice_cut(&rest, '/');
	if (project.len == 0)
		return "it names no project";
	if (!rest.ptr || rest.len == 0)
		return "it names no config behind the project";
	if (slice_find(rest, '/') >= 0)
		return "something follows the config";
	if (!address_part_is_fine(project) || !address_part_is_fine(rest))
		return "it holds `?`, `#`, a control character or a wrong %XX";
	return NULL;
}

static int refuse(const struct doppler *doppler, const struct http_answer *answer, struct err *err)
{
	const char *what = doppler->remote.what, *project = doppler->project, *config = doppler->config;

	switch (answer->status) {
	case 401:
		err_set(err, ERR_DENIED, "%s: %s/%s: the token in DOPPLER_TOKEN is not valid, or was revoked",
			what, project, config);
		return err_hint(err, "a service token is made for one config: project → config → Access");
	case 403:
		err_set(err, ERR_DENIED, "%s: %s/%s: the token in DOPPLER_TOKEN may not read this config",
			what, project, config);
		return err_hint(err, "a service token is bound to one config; `read` access to it is enough");
	case 400:
	case 404:
		err_set(err, ERR_NOT_FOUND,
			"%s: there is no project \"%s\" with a config \"%s\" that the token "
			"in DOPPLER_TOKEN can see",
			what, project, config);
		return err_hint(err, "`doppler configs --project %s` lists them", project);
	default:
		return remote_refuse(&doppler->remote, answer,
				     arena_printf(doppler->call->arena, "%s/%s", project, config), err);
	}
}

static int ask(struct doppler *doppler, struct http_answer *answer, struct err *err)
{
	AUTO(buf_free) struct buf path = BUF_INIT(64 << 10);

	buf_puts(&path, doppler->call->names_only ? "/v3/configs/config/secrets/names"
						  : "/v3/configs/config/secrets/download");
	buf_puts(&path, "?project=");
	http_put_escaped(&path, slice_of(doppler->project));
	buf_puts(&path, "&config=");
	http_put_escaped(&path, slice_of(doppler->config));
	buf_puts(&path, "&include_dynamic_secrets=false");
	buf_puts(&path, doppler->call->names_only ? "&include_managed_secrets=false" : "&format=json");
	if (buf_check(&path, doppler->call->url, err))
		return -1;
	return remote_send(&doppler->remote, "GET", buf_str(&path), slice_make(NULL, 0), answer, err);
}

/* What Doppler itself adds to every config; it differs in all of them and is nobody's. */
static bool is_managed(const char *name)
{
	return strcmp(name, "DOPPLER_PROJECT") == 0 || strcmp(name, "DOPPLER_ENVIRONMENT") == 0 ||
	       strcmp(name, "DOPPLER_CONFIG") == 0;
}

static struct provider_entry *entry_add(struct doppler *doppler, const char *name,
					struct provider_entries *out)
{
	struct provider_entry *entry = &out->items[out->count++];

	entry->name = arena_strdup(doppler->call->arena, name);
	entry->place = arena_printf(doppler->call->arena, "doppler://%s/%s#%s", doppler->project,
				    doppler->config, name);
	return entry;
}

static int take_names(struct doppler *doppler, const json_t *json, struct provider_entries *out,
		      struct err *err)
{
	const json_t *names = json_object_get(json, "names");
	size_t i;
	json_t *name;

	if (!json_is_array(names))
		return err_set(err, ERR_NETWORK, "%s: its answer holds no list of names",
			       doppler->remote.what);
	out->items = ARENA_NEW_ARRAY(doppler->call->arena, json_array_size(names), struct provider_entry);
	json_array_foreach(names, i, name)
	{
		if (!json_is_string(name))
			return err_set(err, ERR_NETWORK, "%s: its list holds something that is no name",
				       doppler->remote.what);
		if (!is_managed(json_string_value(name)))
			entry_add(doppler, json_string_value(name), out);
	}
	return 0;
}

static int take_values(struct doppler *doppler, const json_t *json, struct provider_entries *out,
		       struct err *err)
{
	const char *name;
	json_t *value;

	out->items = ARENA_NEW_ARRAY(doppler->call->arena, json_object_size(json), struct provider_entry);
	json_object_foreach((json_t *)(uintptr_t)json, name, value)
	{
		if (is_managed(name))
			continue;
		struct provider_entry *entry = entry_add(doppler, name, out);
		if (value_from_json(doppler->call, value, entry->place, &entry->value, err))
			return -1;
	}
	return 0;
}

static int address_read(struct doppler *doppler, struct err *err)
{
	const struct provider_call *call = doppler->call;
	struct slice rest = slice_skip(slice_of(call->url), strlen("doppler://"));

	if (call->version)
		return err_set(err, ERR_USER, "%s: Doppler gives out only the latest values", call->url);
	doppler->project = address_decode(call->arena, slice_cut(&rest, '/'));
	doppler->config = address_decode(call->arena, rest);
	ASSERT(doppler->project && doppler->config); /* check() has seen it */
	return 0;
}

static int take_answer(struct doppler *doppler, struct slice body, struct provider_entries *out,
		       struct err *err)
{
	AUTO(json_free) json_t *json = NULL;

	if (answer_parse(doppler->remote.what, body, &json, err))
		return -1;
	return doppler->call->names_only ? take_names(doppler, json, out, err)
					 : take_values(doppler, json, out, err);
}

int doppler_decode(const struct provider_call *call, const char *what, struct slice body,
		   struct provider_entries *out, struct err *err)
{
	struct doppler doppler = {.call = call, .remote.what = what};

	return address_read(&doppler, err) ? -1 : take_answer(&doppler, body, out, err);
}

static int read_doppler(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(doppler_close) struct doppler doppler = {.call = call};
	AUTO(http_answer_free) struct http_answer answer = {0};
	const char *host = getenv("DOPPLER_API_HOST");
	struct secret token;

	if (address_read(&doppler, err) ||
	    remote_open(&doppler.remote, call, "Doppler", "DOPPLER_API_HOST", host && *host ? host : HOST,
			err) ||
	    credential_find(call, "DOPPLER_TOKEN", &token, err))
		return -1;
	if (!secret_present(token)) {
		err_set(err, ERR_DENIED, "%s: there is no token to ask with", doppler.remote.what);
		return err_hint(err,
				"set DOPPLER_TOKEN (or DOPPLER_TOKEN_FILE) to a service token of the config");
	}
	if (remote_add_bearer(&doppler.remote, token, err) || ask(&doppler, &answer, err))
		return -1;
	if (answer.status != 200)
		return refuse(&doppler, &answer, err);
	if (take_answer(&doppler, buf_slice(&answer.body), out, err))
		return -1;
	return provider_map_entries(call, out, err);
}

const struct provider provider_doppler = {
	.scheme = "doppler",
	.name = "Doppler",
	.summary = "one config of a Doppler project",
	.form = "doppler://PROJECT/CONFIG",
	.example = "doppler://shop/prd",
	.more = "Reads `DOPPLER_TOKEN` (or `DOPPLER_TOKEN_FILE`): a service token of the config with `read` "
		"access is "
		"enough; and `DOPPLER_API_HOST` unless `endpoint:` is given. Dynamic secrets and the three "
		"`DOPPLER_…` names that Doppler adds by itself are left out.",
	.check = check,
	.read = read_doppler,
};
