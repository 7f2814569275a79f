/* One call, its retries and its refusals. */
#include "secret/aws.h"

#include "base/clock.h"

#include <stdlib.h>
#include <strings.h>

enum { TIMEOUT_MS = 20000, ATTEMPTS = 8, CODE_MAX = 80, BODY_MAX = 256 << 10 };

static bool region_is_fine(struct slice region)
{
	for (size_t i = 0; i < region.len; i++)
		if (!((region.ptr[i] >= 'a' && region.ptr[i] <= 'z') ||
		      (region.ptr[i] >= '0' && region.ptr[i] <= '9') || region.ptr[i] == '-'))
			return false;
	return region.len > 0 && region.len <= 40;
}

bool aws_address_split(struct slice url, struct slice *rest_out, struct slice *region_out)
{
	struct slice query = url;

	slice_cut(&query, ':');
	*region_out = (struct slice){0};
	if (!query.ptr || !slice_starts_with(query, "//"))
		return false;
	query = slice_skip(query, 2);
	*rest_out = slice_cut(&query, '?');
	if (!query.ptr)
		return true;
	if (!slice_starts_with(query, "region="))
		return false;
	*region_out = slice_skip(query, 7);
	return region_is_fine(*region_out);
}

int64_t aws_time(const json_t *json)
{
	double seconds = json_is_number(json) ? json_number_value(json) : 0;
	return seconds > 0 && seconds < 1e11 ? (int64_t)(seconds * 1000) : 0;
}

static const char *endpoint_of(const struct provider_call *call, const struct aws_service *service,
			       const char *region)
{
	const char *said = call->endpoint;

	if (!said || !*said)
		said = getenv(service->endpoint_variable);
	if (!said || !*said)
		said = getenv("AWS_ENDPOINT_URL");
	if (said && *said) {
		struct slice base = slice_of(said);
		while (base.len && base.ptr[base.len - 1] == '/')
			base.len--;
		return arena_printf(call->arena, "%.*s/", SLICE_ARG(base));
	}
	return arena_printf(call->arena, "https://%s.%s.amazonaws.com%s/", service->host, region,
			    slice_starts_with(slice_of(region), "cn-") ? ".cn" : "");
}

int aws_session_open(struct aws_session *session, const struct provider_call *call,
		     const struct aws_service *service, const char *region, struct err *err)
{
	*session = (struct aws_session){.call = call, .service = service};
	session->until_ms = clock_mono_ms() + (call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS);
	if (aws_identity_find(call, region, &session->identity, err))
		return err_wrap(err, "%s", service->name);
	region = session->identity.region;
	if (!region || !*region) {
		err_set(err, ERR_USER, "%s: nothing says in which region it is", service->name);
		return err_hint(err, "set AWS_REGION, or write ?region=REGION behind the address");
	}
	if (!region_is_fine(slice_of(region)))
		return err_set(err, ERR_USER, "%s: the region has other characters than a-z, 0-9 and -",
			       service->name);
	session->url = endpoint_of(call, service, region);
	/* It is shown in errors, so it must not be able to hold a credential. */
	if (strpbrk(session->url, "?#@") || !slice_is_utf8(slice_of(session->url)))
		return err_set(err, ERR_USER, "%s: its endpoint must be a plain address, such as https://host:port",
			       service->name);
	session->what = arena_printf(call->arena, "%s at %s", service->name, session->url);
	session->client = http_client_open();
	return 0;
}

void aws_session_close(struct aws_session *session)
{
	if (session->client)
		http_client_close(&session->client);
}

/* ---- what a refusal says ---- */

struct refusal {
	int status;
	char code[CODE_MAX]; /* "AccessDeniedException", without what stands before its '#' */
	const char *message; /* in the arena, "" when there is none; may quote the request */
};

static void take_code(struct refusal *refusal, struct slice code)
{
	struct slice rest = code;

	slice_cut(&rest, '#');
	code = rest.ptr ? rest : code;
	size_t len = 0;
	for (size_t i = 0; i < code.len && len + 1 < CODE_MAX; i++) {
		char c = code.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_'))
			break;
		refusal->code[len++] = c;
	}
	refusal->code[len] = '\0';
}

/* Gateways before the services answer in XML: <Code>X</Code>. */
static struct slice xml_text(struct slice body, const char *open, const char *close)
{
	const char *start = memmem(body.ptr, body.len, open, strlen(open));
	if (!start)
		return SLICE("");
	start += strlen(open);
	const char *end = memmem(start, (size_t)(body.ptr + body.len - start), close, strlen(close));
	return end ? slice_make(start, (size_t)(end - start)) : SLICE("");
}

static void refusal_read(struct arena *arena, int status, struct slice body, struct refusal *out)
{
	AUTO(json_free) json_t *json = NULL;
	struct err ignored = ERR_INIT;
	const char *code = "", *message = "";

	*out = (struct refusal){.status = status, .message = ""};
	if (body.len && body.ptr[0] == '<') {
		take_code(out, xml_text(body, "<Code>", "</Code>"));
		if (arena)
			out->message = arena_str(arena, xml_text(body, "<Message>", "</Message>"));
		return;
	}
	if (json_parse_secret(body, "an answer of AWS", BODY_MAX, &json, &ignored))
		return;
	json_get_str(json, "__type", &code);
	if (!json_get_str(json, "message", &message))
		json_get_str(json, "Message", &message);
	take_code(out, slice_of(code));
	if (arena)
		out->message = arena_strdup(arena, message);
}

static bool code_in(const char *code, const char *const *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

static const char *const throttled[] = {
	"ThrottlingException",	"Throttling",	    "ThrottledException",	 "TooManyRequestsException",
	"RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "TooManyUpdates"};
static const char *const denied[] = {"AccessDeniedException", "AccessDenied", "NotAuthorized",
				     "UnauthorizedOperation"};
static const char *const unknown_key[] = {"UnrecognizedClientException",
					  "InvalidClientTokenId",
					  "InvalidAccessKeyId",
					  "MissingAuthenticationToken",
					  "MissingAuthenticationTokenException",
					  "AuthFailure"};
static const char *const lapsed[] = {"ExpiredTokenException", "ExpiredToken"};
static const char *const bad_signature[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
					    "IncompleteSignature", "IncompleteSignatureException"};
static const char *const skewed[] = {"RequestTimeTooSkewed", "RequestExpired"};
static const char *const missing[] = {"ResourceNotFoundException", "ParameterNotFound",
				      "ParameterVersionNotFound"};

#define CODE_IN(code, codes) code_in(code, codes, ARRAY_LEN(codes))

static bool ask_again(void *context, int status, struct slice body)
{
	struct refusal refusal;

	(void)context;
	if (status < 400)
		return false;
	refusal_read(NULL, status, body, &refusal);
	return CODE_IN(refusal.code, throttled);
}

static int tell_time(const struct aws_session *session, struct err *err)
{
	char now[CLOCK_ISO_LEN + 1];

	clock_format_iso(clock_wall_ms(), now);
	err_set(err, ERR_DENIED, "%s: refused because of the time: it is %s here, which is not what AWS has",
		session->what, now);
	return err_hint(err, "set this machine's clock (more than five minutes off is refused)");
}

static int tell_credentials(const struct aws_session *session, const struct refusal *refusal, struct err *err)
{
	const char *source = session->identity.source;

	if (CODE_IN(refusal->code, lapsed)) {
		err_set(err, ERR_DENIED, "%s: the session of %s has lapsed", session->what, source);
		return err_hint(err, "log in again");
	}
	if (CODE_IN(refusal->code, unknown_key))
		return err_set(err, ERR_DENIED, "%s: does not know the access key of %s (%s)", session->what,
			       source, refusal->code);
	err_set(err, ERR_DENIED,
		"%s: the signature does not fit: the secret access key of %s is not that of its id (%s)",
		session->what, source, refusal->code);
	return err_hint(err, "both must come from the same place; copy them again");
}

static int tell_refusal(const struct aws_session *session, const char *action, const char *subject,
			const char *needed, const struct refusal *refusal, struct err *err)
{
	const char *code = refusal->code;
	bool about_time = CODE_IN(code, skewed) || strstr(refusal->message, "Signature expired") ||
			  strstr(refusal->message, "Signature not yet current");
	AUTO(buf_free) struct buf words = BUF_INIT(600);

	if (about_time)
		return tell_time(session, err);
	if (CODE_IN(code, unknown_key) || CODE_IN(code, lapsed) || CODE_IN(code, bad_signature))
		return tell_credentials(session, refusal, err);
	if (CODE_IN(code, denied)) {
		bool key = strstr(refusal->message, "kms:") || strstr(refusal->message, "KMS");
		err_set(err, ERR_DENIED, "%s: %s of %s is not allowed with the keys of %s", session->what,
			key ? "decrypting (kms:Decrypt)"
			    : arena_printf(session->call->arena, "%s:%s", session->service->host, action),
			subject, session->identity.source);
		return err_hint(err, "it needs %s", needed);
	}
	if (CODE_IN(code, throttled) || refusal->status == 429)
		return err_set(err, ERR_NETWORK,
			       "%s: %s of %s: too many requests (%s), also after %d attempts", session->what,
			       action, subject, *code ? code : "429", ATTEMPTS);
	if (CODE_IN(code, missing))
		return err_set(err, ERR_NOT_FOUND, "%s: there is no %s in %s", session->what, subject,
			       session->identity.region);
	/* These speak of the names in a request, which hold no value. */
	if (strcmp(code, "ValidationException") == 0 || strcmp(code, "InvalidRequestException") == 0)
		buf_put_visible(&words,
				slice_make(refusal->message, MIN(strlen(refusal->message), (size_t)300)));
	return err_set(err, refusal->status >= 500 ? ERR_NETWORK : ERR_USER,
		       "%s: %s of %s: %s (status %d)%s%s", session->what, action, subject,
		       *code ? code : "refused", refusal->status, words.len ? ": " : "", buf_str(&words));
}

/* ---- a call ---- */

static int sign(void *context, const struct http_request_spec *spec, struct arena *arena,
		const struct http_header **headers_out, size_t *count_out, struct err *err)
{
	const struct aws_session *session = context;
	struct sigv4_request request = {
		.method = spec->method,
		.url = spec->url,
		.headers = spec->headers,
		.header_count = spec->header_count,
		.body = spec->body,
		.service = session->service->host,
		.region = session->identity.region,
		.now_ms = clock_wall_ms(),
	};
	return sigv4_sign(arena, &session->identity.keys, &request, headers_out, count_out, NULL, err);
}

int aws_send(struct aws_session *session, const char *action, const json_t *input, const char *subject,
	     const char *needed, json_t **out, struct err *err)
{
	AUTO(http_answer_free) struct http_answer answer = {0};
	AUTO(buf_free) struct buf body = BUF_INIT(BODY_MAX);
	struct arena *arena = session->call->arena;
	const struct http_header headers[] = {
		{"Content-Type", "application/x-amz-json-1.1"},
		{"X-Amz-Target", arena_printf(arena, "%s.%s", session->service->target, action)},
	};

	json_put(&body, input);
	if (buf_check(&body, session->what, err))
		return -1;
	struct http_request_spec spec = {
		.client = session->client,
		.method = "POST",
		.url = session->url,
		.headers = headers,
		.header_count = ARRAY_LEN(headers),
		.body = buf_slice(&body),
		.sign = sign,
		.context = session,
		.timeout_ms = MAX(session->until_ms - clock_mono_ms(), (int64_t)1),
		.attempts = ATTEMPTS,
		.again = ask_again,
		.answer_max = PROVIDER_BODY_MAX,
		.what = session->what,
	};
	if (http_send(arena, &spec, &answer, err))
		return err_wrap(err, "%s of %s", action, subject);
	if (answer.status != 200) {
		struct refusal refusal;
		refusal_read(arena, answer.status, buf_slice(&answer.body), &refusal);
		return tell_refusal(session, action, subject, needed, &refusal, err);
	}
	if (json_parse_secret(buf_slice(&answer.body), session->what, PROVIDER_BODY_MAX, out, err))
		return -1;
	if (json_is_object(*out))
		return 0;
	json_free(out);
	*out = NULL;
	return err_set(err, ERR_NETWORK, "%s: %s of %s: not an answer of this service", session->what, action,
		       subject);
}
