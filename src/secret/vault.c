/* The provider `vault://`: HashiCorp Vault's key-value engine, version 2, as
 * https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 describes it. (What
 * speaks the same, such as OpenBao, is not told apart.)
 *
 *	GET  /v1/MOUNT/data/PATH?version=     values and their version
 *	GET  /v1/MOUNT/subkeys/PATH?version=  names alone
 *	LIST /v1/MOUNT/metadata/PATH          what a folder holds
 *
 * Not here: version 1 of the engine, writing. */
#include "base/map.h"
#include "secret/decode.h"
#include "secret/remote.h"

#include <stdlib.h>

enum { SECRETS_MAX = 1000, DEPTH_MAX = 16 };

struct vault {
	struct remote remote;
	const struct provider_call *call;
	const char *mount; /* decoded */
	const char *path;  /* decoded, without slashes at its ends; "" for the mount itself */
	bool folder;	   /* everything below the path, rather than one secret */
	struct secret token;
	const char *token_from; /* for errors */
	size_t secrets_read;
	size_t cap; /* of the entries */
};

/* --- the address --------------------------------------------------------------------- */

static struct slice rest_of(struct slice url)
{
	return slice_skip(url, strlen("vault://"));
}

/* A path that cannot leave what it stands below. */
static bool path_stays(struct slice path)
{
	while (path.ptr) {
		struct slice part = slice_cut(&path, '/');
		if (part.len == 0 || slice_is(part, ".") || slice_is(part, ".."))
			return false;
	}
	return true;
}

static const char *check(struct slice url)
{
	if (!slice_starts_with(url, "vault://"))
		return "two slashes follow `vault:`";
	struct slice rest = rest_of(url);
	struct slice mount = slice_cut(&rest, '/');
	if (mount.len == 0)
		return "it names no mount";
	if (!rest.ptr || rest.len == 0)
		return "it names no path behind the mount (a slash at the end means everything below a path)";
	if (!address_part_is_fine(mount) || !address_part_is_fine(rest))
		return "it holds `?`, `#`, a control character or a wrong %XX";
	if (slice_ends_with(rest, "/"))
		rest.len--;
	return path_stays(rest) ? NULL : "a part of its path is empty, `.` or `..`";
}

static int address_read(struct vault *vault, struct err *err)
{
	struct slice rest = rest_of(slice_of(vault->call->url));
	struct slice mount = slice_cut(&rest, '/');

	vault->folder = slice_ends_with(rest, "/");
	if (vault->folder)
		rest.len--;
	vault->mount = address_decode(vault->call->arena, mount);
	vault->path = address_decode(vault->call->arena, rest);
	ASSERT(vault->mount && vault->path); /* check() has seen it */
	if (!path_stays(slice_of(vault->mount)) || !path_stays(slice_of(vault->path)))
		return err_set(err, ERR_USER, "%s: a part of its path is empty, `.` or `..`",
			       vault->call->url);
	const char *version = vault->call->version;
	uint64_t number;
	if (version && !slice_to_u64(slice_of(version), &number))
		return err_set(err, ERR_USER, "%s: \"%s\" is not a version: Vault counts them from 1",
			       vault->call->url, version);
	return 0;
}

/* "/v1/MOUNT/KIND/PATH", each part escaped and the slashes kept. */
static const char *request_path(struct vault *vault, const char *kind, const char *path, const char *query)
{
	AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);
	const char *pieces[] = {vault->mount, kind, path};

	buf_puts(&out, "/v1");
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct slice rest = slice_of(pieces[i]);
		while (rest.ptr) {
			buf_putc(&out, '/');
			http_put_escaped(&out, slice_cut(&rest, '/'));
		}
	}
	buf_puts(&out, query);
	return arena_str(vault->call->arena, buf_slice(&out));
}

/* "kv/data/shop/production", as policies name it. */
static const char *policy_path(struct vault *vault, const char *kind, const char *path)
{
	return arena_printf(vault->call->arena, "%s/%s/%s", vault->mount, kind, path);
}

/* --- what an answer means --------------------------------------------------------------- */

/* Vault's own words in {"errors": […]}, only looked through and never shown. */
static bool errors_hold(const struct http_answer *answer, const char *text)
{
	return memmem(buf_str(&answer->body), answer->body.len, text, strlen(text)) != NULL;
}

/* 412 means that this node has not caught up with what was written elsewhere. */
static bool passes(void *context, int status, struct slice body)
{
	(void)context;
	(void)body;
	return status == 412;
}

static int refuse_token(struct vault *vault, const char *about, struct err *err)
{
	err_set(err, ERR_DENIED,
		"%s: %s: the token from %s is not valid: wrong, expired, or of another namespace",
		vault->remote.what, about, vault->token_from);
	return err_hint(err, "log in again, or set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID%s",
			getenv("VAULT_NAMESPACE") ? "; VAULT_NAMESPACE is set" : "");
}

/* A 403 is said alike for a token that is no longer valid and for a missing policy;
 * what a token may always ask about is itself. */
static int refuse_denied(struct vault *vault, const char *capability, const char *kind, const char *path,
			 const char *about, struct err *err)
{
	AUTO(http_answer_free) struct http_answer answer = {0};

	if (remote_send(&vault->remote, "GET", "/v1/auth/token/lookup-self", slice_make(NULL, 0), &answer,
			err))
		return -1;
	if (answer.status == 403)
		return refuse_token(vault, about, err);
	const char *wanted = policy_path(vault, kind, path);
	err_set(err, ERR_DENIED,
		"%s: %s: permission denied: the policies of the token from %s lack `%s` on `%s`",
		vault->remote.what, about, vault->token_from, capability, wanted);
	return err_hint(err, "a policy that allows it: path \"%s\" { capabilities = [\"%s\"] }", wanted,
			capability);
}

/* A version that was deleted is a 404 whose body tells its metadata. */
static int refuse_missing(struct vault *vault, const struct http_answer *answer, const char *about,
			  struct err *err)
{
	struct err ignored = ERR_INIT;
	AUTO(json_free) json_t *json = NULL;

	if (errors_hold(answer, "no handler for route")) {
		err_set(err, ERR_NOT_FOUND, "%s: %s: there is no engine mounted at \"%s\"",
			vault->remote.what, about, vault->mount);
		return err_hint(err, "`vault secrets list` shows the mounts; the namespace matters too");
	}
	if (remote_parse(&vault->remote, answer, &json, &ignored) == 0) {
		const json_t *metadata = json_object_get(json_object_get(json, "data"), "metadata");
		int64_t version;
		bool destroyed = false;
		if (json_get_int(metadata, "version", &version)) {
			json_get_bool(metadata, "destroyed", &destroyed);
			err_set(err, ERR_NOT_FOUND, "%s: %s: version %lld was %s", vault->remote.what, about,
				(long long)version, destroyed ? "destroyed" : "deleted");
			return destroyed ? -1 : err_hint(err, "`vault kv undelete` brings it back");
		}
	}
	err_set(err, ERR_NOT_FOUND, "%s: %s: there is nothing%s%s", vault->remote.what, about,
		vault->call->version ? " of version " : "", vault->call->version ? vault->call->version : "");
	return err_hint(err, "`vault kv list %s` shows what is there; the engine must be version 2",
			vault->mount);
}

static int refuse(struct vault *vault, const struct http_answer *answer, const char *capability,
		  const char *kind, const char *path, const char *about, struct err *err)
{
	switch (answer->status) {
	case 400:
		return err_set(err, ERR_USER, "%s: %s: it does not understand the request (status 400)%s",
			       vault->remote.what, about,
			       errors_hold(answer, "missing client token") ? ": no token arrived" : "");
	case 403:
		return refuse_denied(vault, capability, kind, path, about, err);
	case 404:
		return refuse_missing(vault, answer, about, err);
	case 412:
		err_set(err, ERR_NETWORK, "%s: %s: this node has not caught up with the others (status 412)",
			vault->remote.what, about);
		return err_hint(err, "try again in a moment, or ask the active node");
	case 472:
	case 473:
		return err_set(err, ERR_NETWORK,
			       "%s: %s: this node only stands by for a disaster (status %d)",
			       vault->remote.what, about, answer->status);
	case 503:
		err_set(err, ERR_NETWORK, "%s: %s: it is sealed or in maintenance (status 503, %d attempt%s)",
			vault->remote.what, about, answer->attempts, answer->attempts == 1 ? "" : "s");
		return err_hint(err, "`vault status` says which; somebody with the keys has to unseal it");
	default:
		return remote_refuse(&vault->remote, answer, about, err);
	}
}

/* --- logging in --------------------------------------------------------------------------- */

/* https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle */
static int log_in(struct vault *vault, struct secret role, struct secret secret_id, struct err *err)
{
	AUTO(http_answer_free) struct http_answer answer = {0};
	AUTO(json_free) json_t *json = NULL;
	AUTO(buf_wipe_free) struct buf body = BUF_SECRET(4 * CREDENTIAL_MAX);
	const char *token;

	credential_put_json(&body, "role_id", role, "secret_id", secret_id);
	if (buf_check(&body, "a login", err) ||
	    remote_send(&vault->remote, "POST", "/v1/auth/approle/login", buf_slice(&body), &answer, err))
		return -1;
	if (answer.status == 400 || answer.status == 401 || answer.status == 403) {
		err_set(err, ERR_DENIED,
			"%s: it refused the AppRole login (status %d): VAULT_ROLE_ID or "
			"VAULT_SECRET_ID is wrong, expired or used up",
			vault->remote.what, answer.status);
		return err_hint(err,
				"`vault write -f auth/approle/role/NAME/secret-id` makes a new secret id");
	}
	if (answer.status == 404)
		return err_set(err, ERR_NOT_FOUND, "%s: AppRole is not enabled there (at auth/approle)",
			       vault->remote.what);
	if (answer.status != 200)
		return refuse(vault, &answer, "update", "login", "", "AppRole login", err);
	if (remote_parse(&vault->remote, &answer, &json, err))
		return -1;
	if (!json_get_str(json_object_get(json, "auth"), "client_token", &token))
		return err_set(err, ERR_NETWORK, "%s: its answer to the AppRole login holds no token",
			       vault->remote.what);
	vault->token_from = "AppRole";
	return safe_put(vault->call->safe, slice_of(token), &vault->token, err);
}

static int token_from_home(struct vault *vault, struct err *err)
{
	const char *home = getenv("HOME");
	struct err why = ERR_INIT;

	if (home &&
	    credential_read_file(vault->call, arena_printf(vault->call->arena, "%s/.vault-token", home),
				 &vault->token, &why) == 0) {
		vault->token_from = "~/.vault-token";
		return 0;
	}
	if (home && why.code != ERR_NOT_FOUND)
		return err_set(err, why.code, "%s: the token in ~/.vault-token: %s", vault->remote.what,
			       why.text);
	err_set(err, ERR_DENIED, "%s: there is no token to ask with", vault->remote.what);
	return err_hint(err,
			"set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID (or …_FILE of any), or run "
			"`vault login`, which writes ~/.vault-token");
}

static int token_find(struct vault *vault, struct err *err)
{
	struct secret role, secret_id;

	vault->token_from = "VAULT_TOKEN";
	if (credential_find(vault->call, "VAULT_TOKEN", &vault->token, err))
		return -1;
	if (!secret_present(vault->token)) {
		if (credential_find(vault->call, "VAULT_ROLE_ID", &role, err) ||
		    credential_find(vault->call, "VAULT_SECRET_ID", &secret_id, err))
			return -1;
		if (secret_present(role) ? log_in(vault, role, secret_id, err) : token_from_home(vault, err))
			return -1;
	}
	remote_add_header(&vault->remote, "X-Vault-Token", secret_reveal(vault->token).ptr);
	return 0;
}

static int vault_open(struct vault *vault, const struct provider_call *call, struct err *err)
{
	const char *namespace = getenv("VAULT_NAMESPACE");

	vault->call = call;
	if (address_read(vault, err) ||
	    remote_open(&vault->remote, call, "Vault", "VAULT_ADDR", getenv("VAULT_ADDR"), err))
		return -1;
	vault->remote.again = passes;
	vault->remote.ca_file = getenv("VAULT_CACERT");
	/* What vault's own clients send, since an agent in between may insist on it. */
	remote_add_header(&vault->remote, "X-Vault-Request", "true");
	if (namespace && *namespace)
		remote_add_header(&vault->remote, "X-Vault-Namespace", namespace);
	return token_find(vault, err);
}

static void vault_close(struct vault *vault)
{
	remote_close(&vault->remote);
}

/* --- reading ---------------------------------------------------------------------------------- */

static struct provider_entry *entry_add(struct vault *vault, struct provider_entries *out)
{
	if (out->count == vault->cap) {
		vault->cap = MAX(vault->cap * 2, (size_t)32);
		struct provider_entry *more =
			ARENA_NEW_ARRAY(vault->call->arena, vault->cap, struct provider_entry);
		if (out->count)
			memcpy(more, out->items, out->count * sizeof(*more));
		out->items = more;
	}
	return &out->items[out->count++];
}

/* The entries of one secret. With mappings their names carry the path below the
 * address, so that "db#password" finds them. */
static int take_entries(struct vault *vault, const char *path, const char *below, const json_t *names,
			const json_t *metadata, struct provider_entries *out, struct err *err)
{
	struct arena *arena = vault->call->arena;
	const char *version = NULL, *key;
	json_t *value;
	int64_t number;

	if (json_get_int(metadata, "version", &number))
		version = arena_printf(arena, "%lld", (long long)number);
	int64_t changed_ms = time_from_json(json_object_get(metadata, "created_time"));
	if (out->count + json_object_size(names) > PROVIDER_ENTRIES_MAX)
		return err_set(err, ERR_USER, "%s: more than %d entries", vault->call->url,
			       PROVIDER_ENTRIES_MAX);
	json_object_foreach((json_t *)(uintptr_t)names, key, value)
	{
		struct provider_entry *entry = entry_add(vault, out);
		entry->name = *below ? arena_printf(arena, "%s#%s", below, key) : arena_strdup(arena, key);
		entry->place = arena_printf(arena, "vault://%s/%s#%s", vault->mount, path, key);
		entry->version = version;
		entry->changed_ms = changed_ms;
		if (!vault->call->names_only &&
		    value_from_json(vault->call, value, entry->place, &entry->value, err))
			return -1;
	}
	out->version = version;
	return 0;
}

static int take_answer(struct vault *vault, const char *path, const char *below, const char *about,
		       struct slice body, struct provider_entries *out, struct err *err)
{
	AUTO(json_free) json_t *json = NULL;

	if (answer_parse(vault->remote.what, body, &json, err))
		return -1;
	/* The page shows the names' answer without the usual `data` around it. */
	const json_t *data = json_object_get(json, "data");
	const json_t *holder = data || !vault->call->names_only ? data : json;
	const json_t *names = json_object_get(holder, vault->call->names_only ? "subkeys" : "data");
	if (!json_is_object(names)) {
		err_set(err, ERR_NETWORK, "%s: %s: its answer is not that of a key-value engine, version 2",
			vault->remote.what, about);
		return err_hint(err, "`vault secrets list -detailed` shows the version of each engine");
	}
	return take_entries(vault, path, below, names, json_object_get(holder, "metadata"), out, err);
}

/* `below` is put before the names (see take_entries). */
static int read_secret(struct vault *vault, const char *path, const char *below, struct provider_entries *out,
		       struct err *err)
{
	const char *kind = vault->call->names_only ? "subkeys" : "data";
	const char *query = vault->call->names_only ? "?depth=1" : "";
	AUTO(http_answer_free) struct http_answer answer = {0};
	AUTO(buf_free) struct buf about = BUF_INIT(8192);

	buf_put_printable(&about, slice_of(arena_printf(vault->call->arena, "%s/%s", vault->mount, path)));
	if (vault->call->version)
		query = arena_printf(vault->call->arena, "%s%sversion=%s", query, *query ? "&" : "?",
				     vault->call->version);
	if (++vault->secrets_read > SECRETS_MAX)
		return err_set(err, ERR_USER, "%s: more than %d secrets stand below it", vault->call->url,
			       SECRETS_MAX);
	if (remote_send(&vault->remote, "GET", request_path(vault, kind, path, query), slice_make(NULL, 0),
			&answer, err))
		return err_wrap(err, "%s", buf_str(&about));
	if (answer.status != 200)
		return refuse(vault, &answer, "read", kind, path, buf_str(&about), err);
	return take_answer(vault, path, below, buf_str(&about), buf_slice(&answer.body), out, err);
}

static int read_folder(struct vault *vault, const char *path, int depth, struct provider_entries *out,
		       struct err *err)
{
	AUTO(http_answer_free) struct http_answer answer = {0};
	AUTO(json_free) json_t *json = NULL;
	const char *about = arena_printf(vault->call->arena, "%s/%s/", vault->mount, path);
	const char *key;
	size_t i;
	json_t *item;

	if (depth > DEPTH_MAX)
		return err_set(err, ERR_USER, "%s: folders more than %d deep", vault->call->url, DEPTH_MAX);
	if (remote_send(&vault->remote, "LIST", request_path(vault, "metadata", path, ""),
			slice_make(NULL, 0), &answer, err))
		return err_wrap(err, "%s", about);
	if (answer.status != 200)
		return refuse(vault, &answer, "list", "metadata", path, about, err);
	if (remote_parse(&vault->remote, &answer, &json, err))
		return -1;
	json_array_foreach(json_object_get(json_object_get(json, "data"), "keys"), i, item)
	{
		key = json_string_value(item);
		if (!key || !*key)
			return err_set(err, ERR_NETWORK, "%s: %s: its list holds something that is no name",
				       vault->remote.what, about);
		struct slice name = slice_of(key);
		bool folder = slice_ends_with(name, "/");
		name.len -= folder;
		const char *below = arena_printf(vault->call->arena, "%s/%.*s", path, SLICE_ARG(name));
		if (folder ? read_folder(vault, below, depth + 1, out, err)
			   : read_secret(vault, below, "", out, err))
			return -1;
	}
	return 0;
}

/* Each secret the mappings name is read once: "KEY" stands in the secret of the address,
 * "PATH#KEY" in one below it. */
static int read_mapped(struct vault *vault, struct provider_entries *out, struct err *err)
{
	const struct provider_call *call = vault->call;
	AUTO(map_free) struct map seen = MAP_INIT;

	for (size_t i = 0; i < call->mapping_count; i++) {
		struct slice key = slice_of(call->mappings[i].path);
		struct slice below = slice_make("", 0);
		if (slice_find(key, '#') >= 0)
			below = slice_cut(&key, '#');
		if (map_get(&seen, below))
			continue;
		const char *under = arena_str(call->arena, below);
		map_put(&seen, slice_of(under), call->arena);
		if (vault->folder && !*under)
			return err_set(err, ERR_USER, "%s is a folder: write PATH#KEY for %s", call->url,
				       call->mappings[i].name);
		if (*under && !path_stays(slice_of(under)))
			return err_set(err, ERR_USER, "%s: `%s` for %s does not stand below it", call->url,
				       call->mappings[i].path, call->mappings[i].name);
		const char *path =
			*under ? arena_printf(call->arena, "%s/%s", vault->path, under) : vault->path;
		if (read_secret(vault, path, under, out, err))
			return -1;
	}
	return provider_map_entries(call, out, err);
}

static int read_vault(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(vault_close) struct vault vault = {0};

	if (vault_open(&vault, call, err))
		return -1;
	if (call->version && vault.folder)
		return err_set(err, ERR_USER, "%s is a folder, and each secret in it has versions of its own",
			       call->url);
	int status = call->mapping_count ? read_mapped(&vault, out, err)
		     : vault.folder	 ? read_folder(&vault, vault.path, 0, out, err)
					 : read_secret(&vault, vault.path, "", out, err);
	if (vault.secrets_read != 1)
		out->version = NULL; /* each has its own */
	return status;
}

int vault_decode(const struct provider_call *call, const char *what, struct slice body,
		 struct provider_entries *out, struct err *err)
{
	struct vault vault = {.call = call, .remote.what = what};

	return address_read(&vault, err) ? -1
					 : take_answer(&vault, vault.path, "", vault.path, body, out, err);
}

const struct provider provider_vault = {
	.scheme = "vault",
	.name = "HashiCorp Vault (KV version 2)",
	.summary = "secrets of a Vault server's key-value engine, version 2",
	.form = "vault://MOUNT/PATH",
	.example = "vault://kv/shop/production",
	.more = "`vault://MOUNT/PATH/`, with a slash at its end, means all secrets below a path. In `keys:`, "
		"`PATH#KEY` is a key of a secret below the address.\n\n"
		"Reads `VAULT_ADDR` (unless `endpoint:` is given), `VAULT_NAMESPACE`, `VAULT_CACERT`, and "
		"one of "
		"`VAULT_TOKEN`, `VAULT_ROLE_ID` with `VAULT_SECRET_ID` (AppRole), `~/.vault-token`; each of "
		"the "
		"first three may also be given as a file: `VAULT_TOKEN_FILE` and so on. Needs `read` on "
		"`MOUNT/data/PATH` for values, `read` on `MOUNT/subkeys/PATH` for names, and `list` on "
		"`MOUNT/metadata/PATH` for a path with a slash at its end.",
	.keeps_versions = true,
	.check = check,
	.read = read_vault,
};
