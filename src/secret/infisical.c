/* The provider `infisical://`: one folder of an environment of an Infisical project.
 *
 *	POST /api/v1/auth/universal-auth/login
 *	     https://infisical.com/docs/api-reference/endpoints/universal-auth/login
 *	GET  /api/v4/secrets
 *	     https://infisical.com/docs/api-reference/endpoints/secrets/list
 *	GET  /api/v3/secrets/raw    of servers that do not know the one above
 *	     https://infisical.com/docs/api-reference/endpoints/deprecated/secrets/list
 *
 * A person's own overrides are never read: they would look like drift. */
#include "base/map.h"
#include "secret/decode.h"
#include "secret/remote.h"

#include <stdlib.h>

#define HOST "https://app.infisical.com"

struct infisical {
	struct remote remote;
	const struct provider_call *call;
	const char *project, *environment;
	const char *path; /* "/", "/web/api" */
	const char *token_from;
	bool recursive; /* a mapping names something below the path */
};

static void infisical_close(struct infisical *infisical)
{
	remote_close(&infisical->remote);
}

static const char *check(struct slice url)
{
	if (!slice_starts_with(url, "infisical://"))
		return "two slashes follow `infisical:`";
	struct slice rest = slice_skip(url, strlen("infisical://"));
	struct slice project = slice_cut(&rest, '/');
	if (project.len == 0)
		return "it names no project (its ID)";
	struct slice environment = rest.ptr ? slice_cut(&rest, '/') : slice_make("", 0);
	if (environment.len == 0)
		return "it names no environment behind the project";
	if (!address_part_is_fine(project) || !address_part_is_fine(environment) ||
	    (rest.len && !address_part_is_fine(rest)))
		return "it holds `?`, `#`, a control character or a wrong %XX";
	return NULL;
}

static int address_read(struct infisical *infisical, struct err *err)
{
	const struct provider_call *call = infisical->call;
	struct slice rest = slice_skip(slice_of(call->url), strlen("infisical://"));

	if (call->version)
		return err_set(err, ERR_USER, "%s: a folder of Infisical has no versions", call->url);
	infisical->project = address_decode(call->arena, slice_cut(&rest, '/'));
	infisical->environment = address_decode(call->arena, slice_cut(&rest, '/'));
	while (rest.len && rest.ptr[rest.len - 1] == '/')
		rest.len--;
	infisical->path = arena_printf(call->arena, "/%s", rest.len ? address_decode(call->arena, rest) : "");
	for (size_t i = 0; i < call->mapping_count; i++)
		infisical->recursive = infisical->recursive || strchr(call->mappings[i].path, '/');
	return 0;
}

/* Its own variable may hold the whole base of the API. */
static const char *host_find(const struct provider_call *call, const char *endpoint)
{
	struct slice host = slice_of(endpoint);

	while (host.len && host.ptr[host.len - 1] == '/')
		host.len--;
	if (slice_ends_with(host, "/api"))
		host.len -= strlen("/api");
	return arena_str(call->arena, host);
}

/* --- logging in --------------------------------------------------------------------- */

static int log_in(struct infisical *infisical, struct secret id, struct secret secret, struct secret *token,
		  struct err *err)
{
	AUTO(http_answer_free) struct http_answer answer = {0};
	AUTO(json_free) json_t *json = NULL;
	AUTO(buf_wipe_free) struct buf body = BUF_SECRET(4 * CREDENTIAL_MAX);
	const char *text;

	credential_put_json(&body, "clientId", id, "clientSecret", secret);
	if (buf_check(&body, "a login", err) ||
	    remote_send(&infisical->remote, "POST", "/api/v1/auth/universal-auth/login", buf_slice(&body),
			&answer, err))
		return -1;
	if (answer.status >= 400 && answer.status < 500 && answer.status != 429) {
		err_set(err, ERR_DENIED,
			"%s: it refused the login (status %d): INFISICAL_CLIENT_ID or "
			"INFISICAL_CLIENT_SECRET is wrong, expired or used up",
			infisical->remote.what, answer.status);
		return err_hint(
			err, "a machine identity with universal auth has them; its trusted IPs matter too");
	}
	if (answer.status != 200)
		return remote_refuse(&infisical->remote, &answer, "login", err);
	if (remote_parse(&infisical->remote, &answer, &json, err))
		return -1;
	if (!json_get_str(json, "accessToken", &text))
		return err_set(err, ERR_NETWORK, "%s: its answer to the login holds no token",
			       infisical->remote.what);
	infisical->token_from = "universal auth";
	return safe_put(infisical->call->safe, slice_of(text), token, err);
}

static int credentials_find(struct infisical *infisical, struct secret *id, struct secret *secret,
			    struct err *err)
{
	const struct provider_call *call = infisical->call;

	if (credential_find(call, "INFISICAL_CLIENT_ID", id, err) ||
	    credential_find(call, "INFISICAL_CLIENT_SECRET", secret, err))
		return -1;
	/* As Infisical's own program calls them. */
	if (!secret_present(*id) && credential_find(call, "INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", id, err))
		return -1;
	if (!secret_present(*secret) &&
	    credential_find(call, "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", secret, err))
		return -1;
	return 0;
}

static int token_find(struct infisical *infisical, struct err *err)
{
	struct secret token, id, secret;

	infisical->token_from = "INFISICAL_TOKEN";
	if (credential_find(infisical->call, "INFISICAL_TOKEN", &token, err))
		return -1;
	if (!secret_present(token)) {
		if (credentials_find(infisical, &id, &secret, err))
			return -1;
		if (!secret_present(id) || !secret_present(secret)) {
			err_set(err, ERR_DENIED, "%s: there is nothing to log in with",
				infisical->remote.what);
			return err_hint(
				err, "set INFISICAL_CLIENT_ID and INFISICAL_CLIENT_SECRET (or …_FILE) of a "
				     "machine identity, or INFISICAL_TOKEN");
		}
		if (log_in(infisical, id, secret, &token, err))
			return -1;
	}
	return remote_add_bearer(&infisical->remote, token, err);
}

/* --- reading --------------------------------------------------------------------------- */

static int refuse(const struct infisical *infisical, const struct http_answer *answer, struct err *err)
{
	const char *about = arena_printf(infisical->call->arena, "environment %s of project %s, path %s",
					 infisical->environment, infisical->project, infisical->path);
	const char *what = infisical->remote.what;

	switch (answer->status) {
	case 401:
		err_set(err, ERR_DENIED, "%s: %s: the token from %s is not valid, or expired", what, about,
			infisical->token_from);
		return err_hint(
			err, "log in again; a machine identity with universal auth gets a new one each time");
	case 403:
		err_set(err, ERR_DENIED,
			"%s: %s: permission denied: the identity of %s lacks `%s` on secrets there", what,
			about, infisical->token_from,
			infisical->call->names_only ? "Describe Secret" : "Read Value");
		return err_hint(
			err, "the identity needs a role in the project that allows it for this environment "
			     "and path");
	case 400:
	case 404:
	case 422:
		err_set(err, ERR_NOT_FOUND,
			"%s: %s: there is no such project, environment or folder that the "
			"identity of %s can see (status %d)",
			what, about, infisical->token_from, answer->status);
		return err_hint(
			err, "the address holds the project's ID (not its name) and the environment's slug");
	default:
		return remote_refuse(&infisical->remote, answer, about, err);
	}
}

static void put_parameter(struct buf *out, const char *name, const char *value)
{
	buf_putc(out, strchr(buf_str(out), '?') ? '&' : '?');
	buf_puts(out, name);
	buf_putc(out, '=');
	http_put_escaped(out, slice_of(value));
}

/* All flags are said, as their defaults differ between versions. References to other
 * secrets are only resolved for values. */
static int ask(struct infisical *infisical, bool old, struct http_answer *answer, struct err *err)
{
	AUTO(buf_free) struct buf path = BUF_INIT(64 << 10);
	const char *values = infisical->call->names_only ? "false" : "true";

	buf_puts(&path, old ? "/api/v3/secrets/raw" : "/api/v4/secrets");
	put_parameter(&path, old ? "workspaceId" : "projectId", infisical->project);
	put_parameter(&path, "environment", infisical->environment);
	put_parameter(&path, "secretPath", infisical->path);
	put_parameter(&path, "recursive", infisical->recursive ? "true" : "false");
	put_parameter(&path, "viewSecretValue", values);
	put_parameter(&path, "expandSecretReferences", values);
	/* Older servers of the newer route call it as the old route does. */
	put_parameter(&path, "include_imports", "true");
	if (!old) {
		put_parameter(&path, "includeImports", "true");
		put_parameter(&path, "includePersonalOverrides", "false");
	}
	if (buf_check(&path, infisical->call->url, err))
		return -1;
	return remote_send(&infisical->remote, "GET", buf_str(&path), slice_make(NULL, 0), answer, err);
}

/* The newer route, and where it is not known the older one. A missing folder is a 404
 * too: then the first answer counts. */
static int ask_either(struct infisical *infisical, struct http_answer *answer, struct err *err)
{
	AUTO(http_answer_free) struct http_answer older = {0};

	if (ask(infisical, false, answer, err))
		return -1;
	if (answer->status != 404)
		return 0;
	if (ask(infisical, true, &older, err))
		return -1;
	if (older.status == 404)
		return 0;
	http_answer_free(answer);
	*answer = older;
	older = (struct http_answer){0};
	return 0;
}

/* "db/PASSWORD" for what stands in a folder below the address. */
static const char *name_of(const struct infisical *infisical, const char *folder, const char *key)
{
	size_t len = strlen(infisical->path);

	if (!infisical->recursive || strncmp(folder, infisical->path, len) != 0)
		return arena_strdup(infisical->call->arena, key);
	struct slice below = slice_of(folder + len);
	while (below.len && below.ptr[0] == '/')
		below = slice_skip(below, 1);
	return arena_printf(infisical->call->arena, "%.*s%s%s", SLICE_ARG(below), below.len ? "/" : "", key);
}

/* One list of secrets, of `environment` and (unless each says its own) `folder`. Names
 * that stand in `own` are left out, as what a folder holds itself wins over what it
 * imports; the folder's own list fills it. */
static int take_secrets(struct infisical *infisical, const json_t *list, const char *environment,
			const char *folder, struct map *own, bool imported, struct provider_entries *out,
			struct err *err)
{
	const struct provider_call *call = infisical->call;
	const char *key, *type, *path;
	bool hidden = false;
	int64_t version;
	size_t i;
	json_t *secret;

	json_array_foreach(list, i, secret)
	{
		if (json_get_str(secret, "type", &type) && strcmp(type, "personal") == 0)
			continue;
		if (!json_get_str(secret, "secretKey", &key))
			return err_set(err, ERR_NETWORK, "%s: its list holds a secret without a name",
				       infisical->remote.what);
		path = folder;
		json_get_str(secret, "secretPath", &path);
		const char *name = name_of(infisical, path, key);
		if (imported && map_get(own, slice_of(name)))
			continue;
		if (!imported)
			map_put(own, slice_of(name), infisical);
		struct provider_entry *entry = &out->items[out->count++];
		entry->name = name;
		entry->place = arena_printf(call->arena, "infisical://%s/%s%s%s#%s", infisical->project,
					    environment, path[0] == '/' ? "" : "/", path, key);
		if (json_get_int(secret, "version", &version))
			entry->version = arena_printf(call->arena, "%lld", (long long)version);
		entry->changed_ms = time_from_json(json_object_get(secret, "updatedAt"));
		if (call->names_only)
			continue;
		if (json_get_bool(secret, "secretValueHidden", &hidden) && hidden)
			return err_set(err, ERR_DENIED,
				       "%s: %s: the identity of %s may see its name, but lacks `Read Value`",
				       infisical->remote.what, entry->place, infisical->token_from);
		if (value_from_json(call, json_object_get(secret, "secretValue"), entry->place, &entry->value,
				    err))
			return -1;
	}
	return 0;
}

static int take_answer(struct infisical *infisical, struct slice body, struct provider_entries *out,
		       struct err *err)
{
	AUTO(json_free) json_t *json = NULL;

	if (answer_parse(infisical->remote.what, body, &json, err))
		return -1;
	const json_t *secrets = json_object_get(json, "secrets"), *imports = json_object_get(json, "imports");
	size_t count = json_array_size(secrets), i;
	json_t *import;

	if (!json_is_array(secrets))
		return err_set(err, ERR_NETWORK, "%s: its answer holds no list of secrets",
			       infisical->remote.what);
	json_array_foreach(imports, i, import) count += json_array_size(json_object_get(import, "secrets"));
	if (count > PROVIDER_ENTRIES_MAX)
		return err_set(err, ERR_USER, "%s: more than %d entries", infisical->call->url,
			       PROVIDER_ENTRIES_MAX);
	out->items = ARENA_NEW_ARRAY(infisical->call->arena, count, struct provider_entry);
	AUTO(map_free) struct map own = MAP_INIT;
	if (take_secrets(infisical, secrets, infisical->environment, infisical->path, &own, false, out, err))
		return -1;
	json_array_foreach(imports, i, import)
	{
		const char *environment = infisical->environment, *folder = "/";
		json_get_str(import, "environment", &environment);
		json_get_str(import, "secretPath", &folder);
		const json_t *list = json_object_get(import, "secrets");
		if (take_secrets(infisical, list, environment, folder, &own, true, out, err))
			return -1;
	}
	return 0;
}

int infisical_decode(const struct provider_call *call, const char *what, struct slice body,
		     struct provider_entries *out, struct err *err)
{
	struct infisical infisical = {.call = call, .remote.what = what, .token_from = "INFISICAL_TOKEN"};

	return address_read(&infisical, err) ? -1 : take_answer(&infisical, body, out, err);
}

static int read_infisical(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(infisical_close) struct infisical infisical = {.call = call};
	AUTO(http_answer_free) struct http_answer answer = {0};
	struct provider_call at = *call;
	const char *variable = getenv("INFISICAL_API_URL");

	if (address_read(&infisical, err))
		return -1;
	const char *endpoint = call->endpoint ? call->endpoint : variable && *variable ? variable : HOST;
	at.endpoint = host_find(call, endpoint);
	if (remote_open(&infisical.remote, &at, "Infisical", "INFISICAL_API_URL", NULL, err))
		return -1;
	infisical.remote.call = call;
	if (token_find(&infisical, err) || ask_either(&infisical, &answer, err))
		return -1;
	if (answer.status != 200)
		return refuse(&infisical, &answer, err);
	if (take_answer(&infisical, buf_slice(&answer.body), out, err))
		return -1;
	return provider_map_entries(call, out, err);
}

const struct provider provider_infisical = {
	.scheme = "infisical",
	.name = "Infisical",
	.summary = "one folder of an environment of an Infisical project",
	.form = "infisical://PROJECT-ID/ENVIRONMENT/PATH",
	.example = "infisical://6f1c0b2e-3d4a/production/web",
	.more = "In `keys:`, `FOLDER/KEY` is a secret in a folder below the address. What a folder imports "
		"is read "
		"too; its own secrets win, and a name that two imports hold is refused. Personal overrides "
		"are "
		"never read.\n\n"
		"Reads `INFISICAL_CLIENT_ID` with `INFISICAL_CLIENT_SECRET` (a machine identity with "
		"universal auth; "
		"the names Infisical's own program uses, `INFISICAL_UNIVERSAL_AUTH_CLIENT_ID` and "
		"`…_SECRET`, do "
		"too), or `INFISICAL_TOKEN`; each may be given as a file (`…_FILE`); and `INFISICAL_API_URL` "
		"unless "
		"`endpoint:` is given. The identity needs `Describe Secret` for names and `Read Value` for "
		"values.",
	.check = check,
	.read = read_infisical,
};
