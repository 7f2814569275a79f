/* Finding keys and region. What is done with them is sigv4.c and aws.c. */
#include "secret/aws_credentials.h"

#include "base/fd.h"
#include "doc/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { FILE_MAX = 1 << 20, METADATA_MS = 2000, TOKEN_SECONDS = 300 };

#define METADATA_HOST "http://169.254.169.254"
#define CONTAINER_HOST "http://169.254.170.2"

/* NULL for an empty one too. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static int keep_keys(const struct provider_call *call, struct slice id, struct slice secret,
		     struct slice token, const char *source, struct aws_identity *out, struct err *err)
{
	out->source = source;
	if (id.len == 0 || secret.len == 0)
		return err_set(err, ERR_DENIED, "%s has %s, but not %s", source,
			       id.len ? "an access key id" : "a secret access key",
			       id.len ? "its secret access key" : "an access key id");
	if (safe_put(call->safe, id, &out->keys.id, err) ||
	    safe_put(call->safe, secret, &out->keys.secret, err))
		return -1;
	return token.len ? safe_put(call->safe, token, &out->keys.token, err) : 0;
}

/* ---- files of profiles ---- */

static struct slice *field_of(struct aws_profile *profile, struct slice key)
{
	if (slice_is(key, "aws_access_key_id"))
		return &profile->id;
	if (slice_is(key, "aws_secret_access_key"))
		return &profile->secret;
	if (slice_is(key, "aws_session_token") || slice_is(key, "aws_security_token"))
		return &profile->token;
	return slice_is(key, "region") ? &profile->region : NULL;
}

static const char *indirection(struct slice key)
{
	static const char *const keys[] = {"role_arn",
					   "sso_session",
					   "sso_start_url",
					   "credential_process",
					   "web_identity_token_file",
					   "login_session"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (slice_is(key, keys[i]))
			return keys[i];
	return NULL;
}

/* "[shop]" or "[profile shop]" → "shop". */
static struct slice section_name(struct slice line)
{
	struct slice name = slice_trim(slice_make(line.ptr + 1, line.len - 2));

	if (slice_starts_with(name, "profile ") || slice_starts_with(name, "profile\t"))
		name = slice_trim(slice_skip(name, 8));
	return name;
}

int aws_profile_parse(struct slice text, const char *file, const char *name, struct aws_profile *out,
		      struct err *err)
{
	bool inside = false;
	unsigned number = 0;

	*out = (struct aws_profile){0};
	while (text.ptr) {
		struct slice line = slice_cut(&text, '\n');
		bool indented = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
		number++;
		line = slice_trim(line);
		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
			continue;
		if (line.ptr[0] == '[') {
			if (line.ptr[line.len - 1] != ']')
				return err_set(err, ERR_USER, "%s:%u: a section without its ]", file, number);
			inside = slice_is(section_name(line), name);
			out->found = out->found || inside;
			continue;
		}
		if (!inside || indented) /* an indented line belongs to a key such as `s3 =` */
			continue;
		ptrdiff_t equals = slice_find(line, '=');
		if (equals < 0)
			return err_set(err, ERR_USER, "%s:%u: neither a section nor KEY = VALUE", file,
				       number);
		struct slice key = slice_trim(slice_make(line.ptr, (size_t)equals));
		struct slice *field = field_of(out, key);
		if (field)
			*field = slice_trim(slice_skip(line, (size_t)equals + 1));
		else if (!out->indirect)
			out->indirect = indirection(key);
	}
	return 0;
}

static const char *profile_name(void)
{
	const char *name = variable("AWS_PROFILE");

	name = name ? name : variable("AWS_DEFAULT_PROFILE");
	return name ? name : "default";
}

/* NULL when there is no home folder. */
static const char *profile_file(struct arena *arena, const char *from, const char *fallback)
{
	const char *home = variable("HOME"), *said = variable(from);

	if (said)
		return said;
	return home ? arena_printf(arena, "%s/.aws/%s", home, fallback) : NULL;
}

/* *found: the file names the profile. Keys and region that `out` has already stay. */
static int read_profile(const struct provider_call *call, const char *file, bool *found,
			const char **indirect, struct aws_identity *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(FILE_MAX);
	struct aws_profile profile;

	*found = false;
	if (!file)
		return 0;
	if (file_read_at(AT_FDCWD, file, &text, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	if (aws_profile_parse(buf_slice(&text), file, profile_name(), &profile, err))
		return -1;
	*found = profile.found;
	if (!*indirect)
		*indirect = profile.indirect;
	if (!out->region && profile.region.len)
		out->region = arena_str(call->arena, profile.region);
	if (secret_present(out->keys.id) || (profile.id.len == 0 && profile.secret.len == 0))
		return 0;
	return keep_keys(call, profile.id, profile.secret, profile.token,
			 arena_printf(call->arena, "the profile %s of %s", profile_name(), file), out, err);
}

static int refuse_indirect(const char *indirect, struct err *err)
{
	err_set(err, ERR_DENIED,
		"AWS: the profile %s has no keys of its own, but %s, which is not followed here",
		profile_name(), indirect);
	return err_hint(err,
			"the aws program gives keys for it: "
			"eval \"$(aws configure export-credentials --profile %s --format env)\"",
			profile_name());
}

static int find_in_files(const struct provider_call *call, struct aws_identity *out, struct err *err)
{
	const char *credentials = profile_file(call->arena, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
	const char *config = profile_file(call->arena, "AWS_CONFIG_FILE", "config");
	bool need_keys = !secret_present(out->keys.id), in_credentials, in_config;
	const char *indirect = NULL;

	if (read_profile(call, credentials, &in_credentials, &indirect, out, err) ||
	    read_profile(call, config, &in_config, &indirect, out, err))
		return -1;
	if (!need_keys || secret_present(out->keys.id))
		return 0;
	if (indirect)
		return refuse_indirect(indirect, err);
	if (!in_credentials && !in_config && variable("AWS_PROFILE"))
		return err_set(err, ERR_DENIED,
			       "AWS: neither %s nor %s has the profile %s, which AWS_PROFILE names",
			       credentials ? credentials : "credentials", config ? config : "config",
			       profile_name());
	return 0;
}

/* ---- services that give keys to what runs beside them ---- */

static int ask(struct arena *arena, const char *method, const char *url, const struct http_header *header,
	       const char *what, struct http_answer *answer, struct err *err)
{
	struct http_request_spec spec = {
		.method = method,
		.url = url,
		.headers = header,
		.header_count = header ? 1 : 0,
		.timeout_ms = METADATA_MS,
		.attempts = 2,
		.answer_max = 64 << 10,
		.allow_plain = true, /* link-local addresses: such services speak nothing else */
		.what = what,
	};
	if (http_send(arena, &spec, answer, err))
		return -1;
	if (answer->status == 200)
		return 0;
	int status = answer->status;
	http_answer_free(answer);
	return err_set(err, status == 404 ? ERR_NOT_FOUND : ERR_DENIED, "%s answers %d", what, status);
}

/* {"AccessKeyId", "SecretAccessKey", "Token"} */
static int keep_json_keys(const struct provider_call *call, struct slice body, const char *source,
			  struct aws_identity *out, struct err *err)
{
	AUTO(json_free) json_t *json = NULL;
	const char *id = "", *secret = "", *token = "";

	if (json_parse_secret(body, source, 64 << 10, &json, err))
		return -1;
	json_get_str(json, "AccessKeyId", &id);
	json_get_str(json, "SecretAccessKey", &secret);
	json_get_str(json, "Token", &token);
	if (!*id && !*secret)
		return err_set(err, ERR_DENIED, "%s gave no keys", source);
	return keep_keys(call, slice_of(id), slice_of(secret), slice_of(token), source, out, err);
}

/* The value of a container's authorization header; absent when it has none. */
static int container_token(const struct provider_call *call, struct secret *out, struct err *err)
{
	const char *file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *value = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");

	if (file) {
		AUTO(buf_wipe_free) struct buf text = BUF_SECRET(16 << 10);
		if (file_read_at(AT_FDCWD, file, &text, err))
			return err_wrap(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
		return safe_put(call->safe, slice_trim(buf_slice(&text)), out, err);
	}
	return value ? safe_put(call->safe, slice_of(value), out, err) : 0;
}

static int find_in_container(const struct provider_call *call, struct aws_identity *out, struct err *err)
{
	const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	AUTO(http_answer_free) struct http_answer answer = {0};
	struct secret token = {NULL};
	static const char what[] = "the container's credentials of AWS";

	if (!relative && !full)
		return 0;
	if (container_token(call, &token, err))
		return -1;
	struct http_header header = {"Authorization", secret_reveal(token).ptr};
	const char *url = relative ? arena_printf(call->arena, CONTAINER_HOST "%s", relative) : full;
	/* The token must not go to whatever host a variable names over a plain connection:
	 * the same hosts as in the tools of AWS (loopback, ECS, EKS). */
	if (!slice_starts_with(slice_of(url), "https://") && !http_url_is_loopback(url) &&
	    !slice_starts_with(slice_of(url), CONTAINER_HOST "/") &&
	    !slice_starts_with(slice_of(url), "http://169.254.170.23/") &&
	    !slice_starts_with(slice_of(url), "http://[fd00:ec2::23]/"))
		return err_set(err, ERR_USER,
			       "AWS_CONTAINER_CREDENTIALS_FULL_URI: http: only to this machine");
	if (ask(call->arena, "GET", url, secret_present(token) ? &header : NULL, what, &answer, err))
		return -1;
	return keep_json_keys(call, buf_slice(&answer.body), what, out, err);
}

static const char metadata_name[] = "the instance metadata of AWS";

static int metadata_get(const struct provider_call *call, struct secret token, const char *path,
			struct http_answer *answer, struct err *err)
{
	const char *endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	struct slice base = slice_of(endpoint ? endpoint : METADATA_HOST);
	struct http_header with_token = {"X-aws-ec2-metadata-token", secret_reveal(token).ptr};
	struct http_header with_ttl = {"X-aws-ec2-metadata-token-ttl-seconds", "300"};
	bool first = !secret_present(token);
	_Static_assert(TOKEN_SECONDS == 300, "as the header says");

	while (base.len && base.ptr[base.len - 1] == '/')
		base.len--;
	const char *url = arena_printf(call->arena, "%.*s/latest/%s", SLICE_ARG(base), path);
	return ask(call->arena, first ? "PUT" : "GET", url, first ? &with_ttl : &with_token, metadata_name,
		   answer, err);
}

static int metadata_open(const struct provider_call *call, struct secret *token, struct err *err)
{
	AUTO(http_answer_free) struct http_answer answer = {0};

	return metadata_get(call, (struct secret){NULL}, "api/token", &answer, err) ||
			       safe_put(call->safe, slice_trim(buf_slice(&answer.body)), token, err)
		       ? -1
		       : 0;
}

static int metadata_keys(const struct provider_call *call, struct secret token, struct aws_identity *out,
			 struct err *err)
{
	AUTO(http_answer_free) struct http_answer roles = {0};
	AUTO(http_answer_free) struct http_answer keys = {0};

	if (metadata_get(call, token, "meta-data/iam/security-credentials/", &roles, err))
		return err->code == ERR_NOT_FOUND ? err_set(err, ERR_DENIED, "this instance has no role")
						  : -1;
	struct slice rest = slice_trim(buf_slice(&roles.body));
	struct slice role = slice_trim(slice_cut(&rest, '\n'));
	AUTO(buf_free) struct buf path = BUF_INIT(1024);
	buf_puts(&path, "meta-data/iam/security-credentials/");
	http_put_escaped(&path, role);
	if (buf_check(&path, metadata_name, err) || metadata_get(call, token, buf_str(&path), &keys, err))
		return -1;
	return keep_json_keys(call, buf_slice(&keys.body), metadata_name, out, err);
}

static int find_in_metadata(const struct provider_call *call, struct aws_identity *out, struct err *err)
{
	const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
	AUTO(http_answer_free) struct http_answer region = {0};
	struct secret token = {NULL};

	if (disabled && strcasecmp(disabled, "true") == 0)
		return 0;
	if (metadata_open(call, &token, err) ||
	    (!secret_present(out->keys.id) && metadata_keys(call, token, out, err)))
		return -1;
	if (out->region)
		return 0;
	if (metadata_get(call, token, "meta-data/placement/region", &region, err))
		return -1;
	out->region = arena_str(call->arena, slice_trim(buf_slice(&region.body)));
	return 0;
}

/* ---- all of them ---- */

static int find_in_environment(const struct provider_call *call, struct aws_identity *out, struct err *err)
{
	const char *id = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
	const char *token = variable("AWS_SESSION_TOKEN");

	if (!id && !secret)
		return 0;
	return keep_keys(call, slice_of(id), slice_of(secret), slice_of(token), "the AWS_ variables", out,
			 err);
}

/* Nothing before it had keys: whether a metadata service answers decides. */
static int nothing_found(const struct err *why, struct err *err)
{
	const char *reason =
		why->code == ERR_NETWORK || why->code == ERR_NONE ? "no instance metadata here" : why->text;

	err_set(err, ERR_DENIED,
		"AWS: no credentials: no AWS_ACCESS_KEY_ID, no keys for the profile %s, no container's, %s",
		profile_name(), reason);
	return err_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
}

int aws_identity_find(const struct provider_call *call, const char *region, struct aws_identity *out,
		      struct err *err)
{
	struct err why = ERR_INIT;

	*out = (struct aws_identity){.region = region};
	if (!out->region)
		out->region = variable("AWS_REGION");
	if (!out->region)
		out->region = variable("AWS_DEFAULT_REGION");
	if (find_in_environment(call, out, err))
		return -1;
	if ((!secret_present(out->keys.id) || !out->region) && find_in_files(call, out, err))
		return -1;
	if (!secret_present(out->keys.id) && find_in_container(call, out, err))
		return -1;
	/* A region alone is not worth waiting for a service that most machines lack. */
	if (!secret_present(out->keys.id) && find_in_metadata(call, out, &why))
		return nothing_found(&why, err);
	return secret_present(out->keys.id) ? 0 : nothing_found(&why, err);
}
