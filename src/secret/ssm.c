/* The provider `ssm:`: AWS Systems Manager Parameter Store. */
#include "secret/aws.h"
#include "secret/decode.h"
#include "secret/list.h"

enum { PAGE_SIZE = 10, NAMES_A_CALL = 10 }; /* the most the service takes */

static const struct aws_service service = {
	.name = "AWS Parameter Store",
	.host = "ssm",
	.target = "AmazonSSM",
	.endpoint_variable = "AWS_ENDPOINT_URL_SSM",
};

/* The path with a slash at both ends. */
static bool path_of(struct slice url, struct slice *path, struct slice *region)
{
	if (!aws_address_split(url, path, region) || path->len == 0 || path->ptr[0] != '/')
		return false;
	for (size_t i = 0; i < path->len; i++) {
		char c = path->ptr[i];
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '-' || c == '_' || c == '/';
		if (!fine || (c == '/' && i && path->ptr[i - 1] == '/'))
			return false;
	}
	return true;
}

static const char *check(struct slice url)
{
	struct slice path, region;

	if (!path_of(url, &path, &region))
		return "three slashes and a path of letters, digits and .-_/ are expected; behind `?` only "
		       "region=REGION";
	return NULL;
}

struct reading {
	const struct provider_call *call;
	struct aws_session session;
	const char *path;   /* "/shop/production/" */
	const char *needed; /* permissions, for refusals */
	struct provider_entries *out;
	size_t room;
};

static int add(struct reading *reading, const json_t *parameter, struct err *err)
{
	const struct provider_call *call = reading->call;
	const char *name, *type, *value;
	int64_t version = 0;

	if (!json_get_str(parameter, "Name", &name) || !json_get_str(parameter, "Type", &type) ||
	    !json_get_str(parameter, "Value", &value))
		return err_set(err, ERR_NETWORK, "%s: a parameter without name, type or value",
			       reading->session.what);
	size_t prefix = strlen(reading->path);
	if (strncmp(name, reading->path, prefix) != 0)
		return err_set(err, ERR_NETWORK, "%s: a parameter that does not stand below %s",
			       reading->session.what, reading->path);
	if (reading->out->count == PROVIDER_ENTRIES_MAX)
		return err_set(err, ERR_USER, "%s: below %s stand more than %d parameters",
			       reading->session.what, reading->path, PROVIDER_ENTRIES_MAX);
	if (reading->out->count == reading->room) {
		size_t room = reading->room ? 2 * reading->room : 64;
		struct provider_entry *items = ARENA_NEW_ARRAY(call->arena, room, struct provider_entry);
		if (reading->room)
			memcpy(items, reading->out->items, reading->room * sizeof(*items));
		reading->out->items = items;
		reading->room = room;
	}
	json_get_int(parameter, "Version", &version);
	struct provider_entry *entry = &reading->out->items[reading->out->count++];
	*entry = (struct provider_entry){
		.name = arena_strdup(call->arena, name + prefix),
		.place = arena_printf(call->arena, "ssm://%s", name),
		.version = version ? arena_printf(call->arena, "%lld", (long long)version) : NULL,
		.changed_ms = aws_time(json_object_get(parameter, "LastModifiedDate")),
		.plain = strcmp(type, "SecureString") != 0,
	};
	if (call->names_only)
		return 0;
	return safe_put(call->safe, slice_of(value), &entry->value, err) ? err_wrap(err, "%s", entry->place)
									 : 0;
}

static int add_all(struct reading *reading, const json_t *answer, struct err *err)
{
	const json_t *parameters = json_object_get(answer, "Parameters");
	size_t i;
	json_t *parameter;

	if (parameters && !json_is_array(parameters))
		return err_set(err, ERR_NETWORK, "%s: its Parameters are no list", reading->session.what);
	json_array_foreach(parameters, i, parameter) if (add(reading, parameter, err)) return -1;
	return 0;
}

/* A page may be short, or empty, and others follow: only the token tells. */
static int read_pages(struct reading *reading, struct err *err)
{
	const char *token = NULL;

	do {
		AUTO(json_free)
		json_t *input =
			json_pack("{s:s, s:b, s:b, s:i}", "Path", reading->path, "Recursive", 1,
				  "WithDecryption", !reading->call->names_only, "MaxResults", PAGE_SIZE);
		AUTO(json_free) json_t *answer = NULL;
		const char *next = NULL;
		if (token)
			json_object_set_new(input, "NextToken", json_string(token));
		if (aws_send(&reading->session, "GetParametersByPath", input, reading->path, reading->needed,
			     &answer, err) ||
		    add_all(reading, answer, err))
			return -1;
		json_get_str(answer, "NextToken", &next);
		if (next && token && strcmp(next, token) == 0)
			return err_set(err, ERR_NETWORK, "%s: gives the same page again and again",
				       reading->session.what);
		token = next && *next ? arena_strdup(reading->call->arena, next) : NULL;
	} while (token);
	return 0;
}

static int refuse_invalid(const struct reading *reading, const json_t *answer, struct err *err)
{
	const json_t *invalid = json_object_get(answer, "InvalidParameters");
	AUTO(buf_free) struct buf names = BUF_INIT(1000);

	for (size_t i = 0; i < json_array_size(invalid) && i < 10; i++) {
		const char *name = json_string_value(json_array_get(invalid, i));
		buf_puts(&names, i ? ", " : "");
		buf_put_visible(&names, slice_of(name ? name : "?"));
	}
	return err_set(err, ERR_NOT_FOUND, "%s: there is no %s (a hundred versions of a parameter are kept)",
		       reading->session.what, buf_str(&names));
}

/* Versions are counted by each parameter for itself: those the call maps are read. */
static int read_versions(struct reading *reading, struct err *err)
{
	const struct provider_call *call = reading->call;

	if (call->mapping_count == 0)
		return err_set(err, ERR_USER, "%s: version %s of what? each parameter counts its own",
			       reading->session.what, call->version);
	for (size_t at = 0; at < call->mapping_count; at += NAMES_A_CALL) {
		json_t *names = json_array();
		AUTO(json_free)
		json_t *input = json_pack("{s:o, s:b}", "Names", names, "WithDecryption", !call->names_only);
		AUTO(json_free) json_t *answer = NULL;
		for (size_t i = at; i < MIN(at + NAMES_A_CALL, call->mapping_count); i++)
			json_array_append_new(
				names, json_string(arena_printf(call->arena, "%s%s:%s", reading->path,
								call->mappings[i].path, call->version)));
		if (aws_send(&reading->session, "GetParameters", input, reading->path, reading->needed,
			     &answer, err))
			return -1;
		if (json_array_size(json_object_get(answer, "InvalidParameters")))
			return refuse_invalid(reading, answer, err);
		if (add_all(reading, answer, err))
			return -1;
	}
	return 0;
}

static void address_read(struct reading *reading, struct slice *region)
{
	struct slice path;

	ASSERT(path_of(slice_of(reading->call->url), &path, region)); /* check() has seen it */
	reading->path = arena_printf(reading->call->arena, "%.*s%s", SLICE_ARG(path),
				     slice_ends_with(path, "/") ? "" : "/");
}

int ssm_decode(const struct provider_call *call, const char *what, struct slice body,
	       struct provider_entries *out, struct err *err)
{
	struct reading reading = {.call = call, .out = out, .session.what = what};
	AUTO(json_free) json_t *answer = NULL;
	struct slice region;

	address_read(&reading, &region);
	return json_parse_secret(body, what, PROVIDER_BODY_MAX, &answer, err) ||
			       add_all(&reading, answer, err)
		       ? -1
		       : 0;
}

static int read_ssm(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	struct reading reading = {.call = call, .out = out};
	struct slice region;

	address_read(&reading, &region);
	struct aws_session *session = &reading.session;
	if (aws_session_open(session, call, &service, region.ptr ? arena_str(call->arena, region) : NULL,
			     err))
		return -1;
	reading.needed = arena_printf(
		call->arena, "%s on arn:aws:ssm:%s:*:parameter%.*s%s",
		call->version ? "ssm:GetParameters" : "ssm:GetParametersByPath", session->identity.region,
		(int)strlen(reading.path) - 1, reading.path,
		call->names_only ? "" : ", and kms:Decrypt for the key of SecureString parameters");
	int status = call->version ? read_versions(&reading, err) : read_pages(&reading, err);
	aws_session_close(session);
	return status ? -1 : provider_map_entries(call, out, err);
}

const struct provider provider_ssm = {
	.scheme = "ssm",
	.name = "AWS Parameter Store",
	.summary = "parameters below a path of AWS Systems Manager",
	.form = "ssm:///PATH/[?region=REGION]",
	.example = "ssm:///shop/production/?region=eu-west-1",
	.more = "Everything below the path is read; a parameter's variable is what follows the path, so "
		"those in deeper "
		"folders need `keys`. `String` and `StringList` are plain, `SecureString` is secret. "
		"Permissions: "
		"`ssm:GetParametersByPath` on the path, `ssm:GetParameters` to read earlier versions, "
		"`kms:Decrypt` for "
		"SecureString. For names alone nothing is decrypted. Keys come from `AWS_ACCESS_KEY_ID` and "
		"`AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`, a container or instance metadata; the region from "
		"the address, "
		"`AWS_REGION` or the profile.",
	.keeps_versions = true,
	.check = check,
	.read = read_ssm,
};
