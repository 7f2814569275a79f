/* What providers that ask a service over HTTP share. What a service's answers mean is
 * known in its own file. */
#include "secret/remote.h"

#include "base/clock.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 20000 };

/* --- the service ------------------------------------------------------------------ */

int remote_open(struct remote *remote, const struct provider_call *call, const char *service,
		const char *variable, const char *usual, struct err *err)
{
	const char *endpoint = call->endpoint ? call->endpoint : usual;

	*remote = (struct remote){.call = call};
	if (!endpoint || !*endpoint) {
		err_set(err, ERR_USER, "%s: nothing says where its server is", service);
		return err_hint(err, "set %s, or `endpoint:` beside the address", variable);
	}
	struct slice base = slice_of(endpoint);
	while (base.len && base.ptr[base.len - 1] == '/')
		base.len--;
	/* It is shown in errors, so it must not be able to hold a credential. */
	if (strpbrk(endpoint, "?#@") || !slice_is_utf8(base))
		return err_set(err, ERR_USER,
			       "%s: its endpoint must be a plain address, such as https://host:port",
			       service);
	AUTO(buf_free) struct buf shown = BUF_INIT(4096);
	buf_put_printable(&shown, base);
	if (buf_check(&shown, "an endpoint", err))
		return -1;
	remote->base = arena_str(call->arena, base);
	remote->what = arena_printf(call->arena, "%s at %s", service, buf_str(&shown));
	remote->client = http_client_open();
	remote->until_ms = clock_mono_ms() + (call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS);
	return 0;
}

void remote_close(struct remote *remote)
{
	http_client_close(&remote->client);
}

void remote_add_header(struct remote *remote, const char *name, const char *value)
{
	ASSERT(remote->header_count < REMOTE_HEADERS_MAX);
	remote->headers[remote->header_count++] = (struct http_header){name, value};
}

int remote_add_bearer(struct remote *remote, struct secret token, struct err *err)
{
	struct slice bytes = secret_reveal(token);
	struct secret header;
	char *text = safe_reserve(remote->call->safe, bytes.len + 7, &header, err);
	if (!text)
		return -1;
	memcpy(text, "Bearer ", 7);
	memcpy(text + 7, bytes.ptr, bytes.len);
	safe_trim(&header, bytes.len + 7);
	remote_add_header(remote, "Authorization", secret_reveal(header).ptr);
	return 0;
}

int remote_send(struct remote *remote, const char *method, const char *path, struct slice body,
		struct http_answer *answer, struct err *err)
{
	struct http_header headers[REMOTE_HEADERS_MAX + 2];
	size_t count = remote->header_count;

	memcpy(headers, remote->headers, count * sizeof(*headers));
	headers[count++] = (struct http_header){"Accept", "application/json"};
	if (body.len)
		headers[count++] = (struct http_header){"Content-Type", "application/json"};
	int64_t left_ms = remote->until_ms - clock_mono_ms();
	if (left_ms <= 0)
		return err_set(err, ERR_NETWORK, "%s: no answer in time", remote->what);
	struct http_request_spec spec = {
		.client = remote->client,
		.method = method,
		.url = arena_printf(remote->call->arena, "%s%s", remote->base, path),
		.headers = headers,
		.header_count = count,
		.body = body,
		.timeout_ms = left_ms,
		.again = remote->again,
		.answer_max = PROVIDER_BODY_MAX,
		.ca_file = remote->ca_file,
		.what = remote->what,
	};
	return http_send(remote->call->arena, &spec, answer, err);
}

int answer_parse(const char *what, struct slice body, json_t **out, struct err *err)
{
	if (json_parse_secret(body, "its answer", PROVIDER_BODY_MAX, out, err)) {
		err_wrap(err, "%s", what);
		err->code = ERR_NETWORK; /* nothing the user wrote is wrong */
		return err_hint(err, "is something else listening there, or a proxy in between?");
	}
	if (json_is_object(*out))
		return 0;
	json_free(out);
	return err_set(err, ERR_NETWORK, "%s: its answer is not a JSON object", what);
}

int remote_parse(const struct remote *remote, const struct http_answer *answer, json_t **out, struct err *err)
{
	return answer_parse(remote->what, buf_slice(&answer->body), out, err);
}

int remote_refuse(const struct remote *remote, const struct http_answer *answer, const char *about,
		  struct err *err)
{
	int status = answer->status;

	if (status == 429) {
		err_set(err, ERR_NETWORK, "%s: %s: too many requests (status 429, %d attempt%s)",
			remote->what, about, answer->attempts, answer->attempts == 1 ? "" : "s");
		if (answer->retry_after_ms)
			return err_hint(err, "it asks to wait %lld s",
					(long long)((answer->retry_after_ms + 999) / 1000));
		return err_hint(err, "wait a little, or ask for a higher limit there");
	}
	if (status >= 300 && status < 400) {
		err_set(err, ERR_NETWORK,
			"%s: %s: it answered with a redirect (status %d), which is not followed",
			remote->what, about, status);
		return err_hint(err,
				"credentials go to one host only: give the final address as the endpoint");
	}
	if (status >= 500)
		return err_set(err, ERR_NETWORK, "%s: %s: it cannot answer now (status %d, %d attempt%s)",
			       remote->what, about, status, answer->attempts,
			       answer->attempts == 1 ? "" : "s");
	return err_set(err, ERR_NETWORK, "%s: %s: it answered with status %d", remote->what, about, status);
}

/* --- credentials ------------------------------------------------------------------- */

int credential_read_file(const struct provider_call *call, const char *path, struct secret *out,
			 struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(CREDENTIAL_MAX);

	if (file_read_at(AT_FDCWD, path, &text, err))
		return -1;
	struct slice value = slice_trim(buf_slice(&text));
	if (value.len == 0)
		return err_set(err, ERR_USER, "%s is empty", path);
	return safe_put(call->safe, value, out, err);
}

int credential_find(const struct provider_call *call, const char *variable, struct secret *out,
		    struct err *err)
{
	const char *value = getenv(variable);
	char file_variable[128];

	*out = (struct secret){NULL};
	if (value && *value)
		return safe_put(call->safe, slice_trim(slice_of(value)), out, err);
	snprintf(file_variable, sizeof(file_variable), "%s_FILE", variable);
	const char *path = getenv(file_variable);
	if (!path || !*path)
		return 0;
	return credential_read_file(call, path, out, err) ? err_wrap(err, "%s", file_variable) : 0;
}

static void put_member(struct buf *out, const char *name, struct secret value)
{
	if (!secret_present(value))
		return;
	AUTO(json_free) json_t *text = json_text(secret_reveal(value));
	buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
	json_put(out, text);
}

void credential_put_json(struct buf *out, const char *first, struct secret first_value, const char *second,
			 struct secret second_value)
{
	buf_putc(out, '{');
	put_member(out, first, first_value);
	put_member(out, second, second_value);
	buf_putc(out, '}');
}

/* --- values ------------------------------------------------------------------------ */

/* The shortest text that means the same number. */
static void put_real(struct buf *out, double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_puts(out, text);
}

int value_from_json(const struct provider_call *call, const json_t *json, const char *place,
		    struct secret *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(SECRET_MAX);

	if (!json)
		return err_set(err, ERR_NETWORK, "%s: the answer holds no value for it", place);
	if (json_is_null(json))
		return err_set(err, ERR_USER, "%s has no value there (null)", place);
	if (json_is_string(json)) {
		struct slice bytes = slice_make(json_string_value(json), json_string_length(json));
		return safe_put(call->safe, bytes, out, err) ? err_wrap(err, "%s", place) : 0;
	}
	if (json_is_real(json))
		put_real(&text, json_real_value(json));
	else
		json_put(&text, json);
	if (buf_check(&text, place, err))
		return -1;
	return safe_put(call->safe, buf_slice(&text), out, err) ? err_wrap(err, "%s", place) : 0;
}

int64_t time_from_json(const json_t *json)
{
	char text[CLOCK_ISO_LEN + 1] = "";
	int64_t ms = 0;

	if (!json_is_string(json) || json_string_length(json) < CLOCK_ISO_LEN)
		return 0;
	memcpy(text, json_string_value(json), CLOCK_ISO_LEN - 1);
	text[CLOCK_ISO_LEN - 1] = 'Z';
	char next = json_string_value(json)[CLOCK_ISO_LEN - 1];
	return (next == '.' || next == 'Z') && clock_parse_iso(slice_of(text), &ms) ? ms : 0;
}

/* --- addresses ---------------------------------------------------------------------- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct slice part, char *out, size_t *len)
{
	*len = 0;
	for (size_t i = 0; i < part.len; i++) {
		unsigned char c = (unsigned char)part.ptr[i];
		if (c == '%') {
			int high = i + 2 < part.len ? digit_of(part.ptr[i + 1]) : -1;
			int low = high >= 0 ? digit_of(part.ptr[i + 2]) : -1;
			if (low < 0)
				return false;
			c = (unsigned char)(high << 4 | low);
			i += 2;
		}
		if (c < ' ' || c == 0x7f)
			return false;
		if (out)
			out[*len] = (char)c;
		++*len;
	}
	return true;
}

const char *address_decode(struct arena *arena, struct slice part)
{
	size_t len;
	char *text = arena_alloc(arena, part.len + 1);

	if (!decode(part, text, &len))
		return NULL;
	text[len] = '\0';
	return text;
}

bool address_part_is_fine(struct slice part)
{
	size_t len;

	return part.len > 0 && slice_find(part, '?') < 0 && slice_find(part, '#') < 0 &&
	       decode(part, NULL, &len);
}
