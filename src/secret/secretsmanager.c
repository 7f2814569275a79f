/* The provider `secretsmanager:`: AWS Secrets Manager. */
#include "secret/aws.h"
#include "secret/decode.h"
#include "secret/list.h"

static const struct aws_service service = {
	.name = "AWS Secrets Manager",
	.host = "secretsmanager",
	.target = "secretsmanager",
	.endpoint_variable = "AWS_ENDPOINT_URL_SECRETS_MANAGER",
};

/* A name, or an ARN, which holds the same characters and colons. */
static bool secret_of(struct slice url, struct slice *secret, struct slice *region)
{
	if (!aws_address_split(url, secret, region) || secret->len == 0 || secret->len > 2048)
		return false;
	for (size_t i = 0; i < secret->len; i++) {
		char c = secret->ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      strchr("/_+=.@-:!", c)) ||
		    c == '\0')
			return false;
	}
	return true;
}

static const char *check(struct slice url)
{
	struct slice secret, region;

	if (!secret_of(url, &secret, &region))
		return "two slashes and the name of a secret (letters, digits and /_+=.@-) are expected; "
		       "behind `?` only "
		       "region=REGION";
	return NULL;
}

struct reading {
	const struct provider_call *call;
	struct aws_session session;
	const char *secret;
	struct provider_entries *out;
};

/* Text as it is; numbers, booleans, lists and maps as JSON. */
static int put_value(const struct reading *reading, const json_t *json, const char *place, struct secret *out,
		     struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(SECRET_MAX);

	if (json_is_null(json))
		return err_set(err, ERR_USER, "%s: is null", place);
	if (json_is_string(json))
		return safe_put(reading->call->safe,
				slice_make(json_string_value(json), json_string_length(json)), out, err);
	json_put(&text, json);
	return buf_check(&text, place, err) ? -1 : safe_put(reading->call->safe, buf_slice(&text), out, err);
}

static int add_members(struct reading *reading, const json_t *object, const struct provider_entry *like,
		       struct err *err)
{
	const struct provider_call *call = reading->call;
	const char *name;
	json_t *value;

	if (json_object_size(object) > PROVIDER_ENTRIES_MAX)
		return err_set(err, ERR_USER, "secretsmanager://%s: more than %d keys", reading->secret,
			       PROVIDER_ENTRIES_MAX);
	reading->out->items = ARENA_NEW_ARRAY(call->arena, json_object_size(object), struct provider_entry);
	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		struct provider_entry *entry = &reading->out->items[reading->out->count++];
		*entry = *like;
		entry->name = arena_strdup(call->arena, name);
		entry->place = arena_printf(call->arena, "secretsmanager://%s#%s", reading->secret, name);
		if (!call->names_only && put_value(reading, value, entry->place, &entry->value, err))
			return err_wrap(err, "%s", service.name);
	}
	return 0;
}

/* A secret that is one value goes by the last part of its name. */
static int add_whole(struct reading *reading, const char *text, const struct provider_entry *like,
		     struct err *err)
{
	const char *slash = strrchr(reading->secret, '/');

	reading->out->items = ARENA_NEW(reading->call->arena, struct provider_entry);
	reading->out->count = 1;
	*reading->out->items = *like;
	reading->out->items->name = slash ? slash + 1 : reading->secret;
	reading->out->items->place =
		arena_printf(reading->call->arena, "secretsmanager://%s", reading->secret);
	if (reading->call->names_only)
		return 0;
	return safe_put(reading->call->safe, slice_of(text), &reading->out->items->value, err);
}

static int take_value(struct reading *reading, const json_t *answer, struct err *err)
{
	const struct provider_call *call = reading->call;
	AUTO(json_free) json_t *members = NULL;
	struct err ignored = ERR_INIT;
	const char *text, *version = NULL;

	json_get_str(answer, "VersionId", &version);
	reading->out->version = arena_strdup(call->arena, version);
	struct provider_entry like = {
		.version = reading->out->version,
		.changed_ms = aws_time(json_object_get(answer, "CreatedDate")),
	};
	if (!json_get_str(answer, "SecretString", &text)) {
		err_set(err, ERR_USER, "secretsmanager://%s holds bytes, not text", reading->secret);
		return err_hint(err, "store it as SecretString: a variable cannot hold any byte");
	}
	bool is_object = text[0] == '{' &&
			 json_parse_secret(slice_of(text), "a secret", SECRET_MAX, &members, &ignored) == 0 &&
			 json_is_object(members);
	return is_object ? add_members(reading, members, &like, err) : add_whole(reading, text, &like, err);
}

static int read_value(struct reading *reading, struct err *err)
{
	const struct provider_call *call = reading->call;
	AUTO(json_free) json_t *input = json_pack("{s:s}", "SecretId", reading->secret);
	AUTO(json_free) json_t *answer = NULL;

	if (call->version)
		json_object_set_new(input, "VersionId", json_string(call->version));
	const char *needed =
		arena_printf(call->arena,
			     "secretsmanager:GetSecretValue on arn:aws:secretsmanager:%s:*:secret:%s-*, and "
			     "kms:Decrypt where it has a key of its own",
			     reading->session.identity.region, reading->secret);
	return aws_send(&reading->session, "GetSecretValue", input, reading->secret, needed, &answer, err) ||
			       take_value(reading, answer, err)
		       ? -1
		       : 0;
}

static int take_description(struct reading *reading, const json_t *answer, struct err *err)
{
	const struct provider_call *call = reading->call;
	const char *version, *current = NULL;
	json_t *stages;

	if (aws_time(json_object_get(answer, "DeletedDate")))
		return err_set(err, ERR_NOT_FOUND, "secretsmanager://%s is being deleted", reading->secret);
	json_object_foreach(json_object_get(answer, "VersionIdsToStages"), version,
			    stages) for (size_t i = 0; i < json_array_size(stages); i++)
	{
		const char *stage = json_string_value(json_array_get(stages, i));
		if (stage && strcmp(stage, "AWSCURRENT") == 0)
			current = version;
	}
	reading->out->version = arena_strdup(call->arena, current);
	reading->out->items = ARENA_NEW_ARRAY(call->arena, call->mapping_count, struct provider_entry);
	for (size_t i = 0; i < call->mapping_count; i++)
		reading->out->items[reading->out->count++] = (struct provider_entry){
			.name = call->mappings[i].name,
			.place = arena_printf(call->arena, "secretsmanager://%s#%s", reading->secret,
					      call->mappings[i].path),
			.version = reading->out->version,
			.changed_ms = aws_time(json_object_get(answer, "LastChangedDate")),
		};
	return 0;
}

/* The service tells nothing of the keys in a secret without its value: where the call
 * says which keys there are, only the secret itself is asked for. */
static int describe(struct reading *reading, struct err *err)
{
	AUTO(json_free) json_t *input = json_pack("{s:s}", "SecretId", reading->secret);
	AUTO(json_free) json_t *answer = NULL;
	const char *needed =
		arena_printf(reading->call->arena,
			     "secretsmanager:DescribeSecret on arn:aws:secretsmanager:%s:*:secret:%s-*",
			     reading->session.identity.region, reading->secret);

	return aws_send(&reading->session, "DescribeSecret", input, reading->secret, needed, &answer, err) ||
			       take_description(reading, answer, err)
		       ? -1
		       : 0;
}

static void address_read(struct reading *reading, struct slice *region)
{
	struct slice secret;

	ASSERT(secret_of(slice_of(reading->call->url), &secret, region)); /* check() has seen it */
	reading->secret = arena_str(reading->call->arena, secret);
}

int secretsmanager_decode(const struct provider_call *call, const char *what, struct slice body,
			  struct provider_entries *out, struct err *err)
{
	struct reading reading = {.call = call, .out = out, .session.what = what};
	AUTO(json_free) json_t *answer = NULL;
	struct slice region;

	address_read(&reading, &region);
	if (json_parse_secret(body, what, PROVIDER_BODY_MAX, &answer, err))
		return -1;
	return call->names_only && call->mapping_count ? take_description(&reading, answer, err)
						       : take_value(&reading, answer, err);
}

static int read_secretsmanager(const struct provider_call *call, struct provider_entries *out,
			       struct err *err)
{
	struct reading reading = {.call = call, .out = out};
	struct slice region;

	address_read(&reading, &region);
	int status = aws_session_open(&reading.session, call, &service,
				      region.ptr ? arena_str(call->arena, region) : NULL, err);
	if (status == 0)
		status = call->names_only && call->mapping_count
				 ? describe(&reading, err)
				 : read_value(&reading, err) || provider_map_entries(call, out, err);
	aws_session_close(&reading.session);
	return status ? -1 : 0;
}

const struct provider provider_secretsmanager = {
	.scheme = "secretsmanager",
	.name = "AWS Secrets Manager",
	.summary = "one secret of AWS Secrets Manager: a JSON object of several variables, or one value",
	.form = "secretsmanager://NAME[?region=REGION]",
	.example = "secretsmanager://shop/production",
	.more = "A JSON object gives a variable for each of its keys; anything else is one variable, called "
		"like the last "
		"part of the secret's name. Permissions: `secretsmanager:GetSecretValue`, and `kms:Decrypt` "
		"where the secret "
		"has a key of its own. The service does not tell the keys in a secret without its value: "
		"names alone are had "
		"with `secretsmanager:DescribeSecret` only where `keys` lists them, otherwise the value is "
		"read and dropped at "
		"once. Versions that lost their labels may be deleted by AWS, so earlier values are not "
		"counted on. Keys and "
		"region as for Parameter Store.",
	.check = check,
	.read = read_secretsmanager,
};
