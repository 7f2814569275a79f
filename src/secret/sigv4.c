/* The signer. Where keys come from is aws_credentials.c. */
#include "secret/sigv4.h"

#include "base/clock.h"
#include "base/wipe.h"
#include "codec/digest.h"

#include <stdlib.h>

enum { STAMP_LEN = 16, DAY_LEN = 8, CANONICAL_MAX = 256 << 10, QUERY_PARTS_MAX = 256 };

struct url_parts {
	struct slice host; /* with its port, unless that is the scheme's own */
	struct slice path; /* may be empty */
	struct slice query;
};

static int url_split(const char *url, struct url_parts *out, struct err *err)
{
	struct slice rest = slice_of(url);
	bool plain = slice_starts_with(rest, "http://");

	if (!plain && !slice_starts_with(rest, "https://"))
		return err_set(err, ERR_USER, "signing for AWS: not an http or https address");
	rest = slice_skip(rest, plain ? 7 : 8);
	size_t end = 0;
	while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?' && rest.ptr[end] != '#')
		end++;
	out->host = slice_make(rest.ptr, end);
	/* What curl leaves out of the Host header is left out here. */
	const char *own_port = plain ? ":80" : ":443";
	if (slice_ends_with(out->host, own_port))
		out->host.len -= strlen(own_port);
	rest = slice_skip(rest, end);
	rest = slice_cut(&rest, '#');
	out->path = slice_cut(&rest, '?');
	out->query = rest;
	return out->host.len ? 0 : err_set(err, ERR_USER, "signing for AWS: the address names no host");
}

/* RFC 3986 section 5.2.4, and empty segments dropped as well. */
static void put_path(struct buf *out, struct arena *arena, struct slice path)
{
	struct slice *kept = ARENA_NEW_ARRAY(arena, path.len + 1, struct slice);
	size_t count = 0;
	bool folder = path.len == 0 || path.ptr[path.len - 1] == '/';
	struct slice rest = path;

	while (rest.ptr) {
		struct slice segment = slice_cut(&rest, '/');
		folder = folder || (!rest.ptr && (slice_is(segment, ".") || slice_is(segment, "..")));
		if (slice_is(segment, ".."))
			count -= count > 0;
		else if (segment.len && !slice_is(segment, "."))
			kept[count++] = segment;
	}
	for (size_t i = 0; i < count; i++) {
		buf_putc(out, '/');
		http_put_escaped(out, kept[i]);
	}
	if (count == 0 || folder)
		buf_putc(out, '/');
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decoded and encoded again, so that equal texts become equal bytes. */
static struct slice recode(struct arena *arena, struct slice text)
{
	char *decoded = arena_alloc(arena, text.len);
	struct buf out = BUF_INIT(3 * text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		bool escape = text.ptr[i] == '%' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
			      hex_digit(text.ptr[i + 2]) >= 0;
		decoded[len++] = escape ? (char)(hex_digit(text.ptr[i + 1]) << 4 | hex_digit(text.ptr[i + 2]))
					: text.ptr[i];
		i += escape ? 2 : 0;
	}
	http_put_escaped(&out, slice_make(decoded, len));
	struct slice kept = arena_slice(arena, buf_slice(&out));
	buf_free(&out);
	return kept;
}

struct parameter {
	struct slice name, value;
};

static int compare_parameters(const void *a, const void *b)
{
	const struct parameter *left = a, *right = b;
	int by_name = slice_compare(left->name, right->name);
	return by_name ? by_name : slice_compare(left->value, right->value);
}

static int put_query(struct buf *out, struct arena *arena, struct slice query, struct err *err)
{
	struct parameter parameters[QUERY_PARTS_MAX];
	size_t count = 0;

	while (query.ptr) {
		struct slice value = slice_cut(&query, '&');
		if (value.len == 0)
			continue;
		if (count == QUERY_PARTS_MAX)
			return err_set(err, ERR_USER, "signing for AWS: the query has more than %d parts",
				       QUERY_PARTS_MAX);
		struct slice name = slice_cut(&value, '=');
		parameters[count++] = (struct parameter){recode(arena, name), recode(arena, value)};
	}
	qsort(parameters, count, sizeof(*parameters), compare_parameters);
	for (size_t i = 0; i < count; i++) {
		buf_puts(out, i ? "&" : "");
		buf_put_slice(out, parameters[i].name);
		buf_putc(out, '=');
		buf_put_slice(out, parameters[i].value);
	}
	return 0;
}

struct signed_header {
	const char *name; /* lower case */
	struct slice value;
	size_t at; /* to keep the order of those of one name */
};

static int compare_headers(const void *a, const void *b)
{
	const struct signed_header *left = a, *right = b;
	int by_name = strcmp(left->name, right->name);
	return by_name ? by_name : (left->at > right->at) - (left->at < right->at);
}

static const char *lower_case(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

static void put_header_value(struct buf *out, struct slice value)
{
	bool blank = false;

	value = slice_trim(value);
	for (size_t i = 0; i < value.len; i++) {
		bool is_blank = value.ptr[i] == ' ' || value.ptr[i] == '\t';
		if (!is_blank)
			buf_putc(out, value.ptr[i]);
		else if (!blank)
			buf_putc(out, ' ');
		blank = is_blank;
	}
}

/* "name:value\n" of each, and their names joined by ';'. */
static void put_headers(struct buf *out, struct buf *names, struct signed_header *headers, size_t count)
{
	qsort(headers, count, sizeof(*headers), compare_headers);
	for (size_t i = 0; i < count; i++) {
		bool again = i && strcmp(headers[i].name, headers[i - 1].name) == 0;
		if (!again) {
			buf_printf(out, "%s%s:", i ? "\n" : "", headers[i].name);
			buf_printf(names, "%s%s", i ? ";" : "", headers[i].name);
		} else {
			buf_putc(out, ',');
		}
		put_header_value(out, headers[i].value);
	}
	buf_puts(out, "\n");
}

static void derive_key(const struct aws_keys *keys, const struct sigv4_request *request, const char *day,
		       struct digest *key)
{
	AUTO(buf_wipe_free) struct buf start = BUF_SECRET(SECRET_MAX + 8);

	buf_puts(&start, "AWS4");
	buf_put_slice(&start, secret_reveal(keys->secret));
	digest_hmac(buf_slice(&start), slice_of(day), key);
	const char *then[] = {request->region, request->service, "aws4_request"};
	for (size_t i = 0; i < ARRAY_LEN(then); i++) {
		struct digest before = *key;
		digest_hmac(slice_make(before.bytes, DIGEST_LEN), slice_of(then[i]), key);
		wipe_bytes(&before, sizeof(before));
	}
}

static void stamp_make(int64_t now_ms, char out[STAMP_LEN + 1])
{
	char iso[CLOCK_ISO_LEN + 1];
	size_t len = 0;

	clock_format_iso(now_ms, iso);
	for (const char *c = iso; *c && len < STAMP_LEN; c++)
		if (*c != '-' && *c != ':')
			out[len++] = *c;
	out[len] = '\0';
}

static void hash_hex(struct slice bytes, char out[DIGEST_HEX_LEN + 1])
{
	struct digest digest;

	digest_of(bytes, &digest);
	digest_to_hex(&digest, out);
}

/* Its pieces while a request is being signed. */
struct signing {
	struct arena *arena;
	const struct sigv4_request *request;
	const struct aws_keys *keys;
	struct http_header headers[SIGV4_HEADERS_MAX + 4]; /* as they will be sent */
	size_t count;
	char stamp[STAMP_LEN + 1], day[DAY_LEN + 1];
	char payload_hash[DIGEST_HEX_LEN + 1];
	const char *names;
	char canonical_hash[DIGEST_HEX_LEN + 1];
};

static void add_header(struct signing *signing, const char *name, const char *value)
{
	signing->headers[signing->count++] = (struct http_header){name, value};
}

static int canonical_make(struct signing *signing, struct err *err)
{
	const struct sigv4_request *request = signing->request;
	/* A session's token stands in the headers. */
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(CANONICAL_MAX);
	AUTO(buf_free) struct buf names = BUF_INIT(4096);
	struct signed_header headers[ARRAY_LEN(signing->headers) + 1];
	struct url_parts url;

	if (url_split(request->url, &url, err))
		return -1;
	buf_printf(&text, "%s\n", request->method);
	put_path(&text, signing->arena, url.path);
	buf_putc(&text, '\n');
	if (put_query(&text, signing->arena, url.query, err))
		return -1;
	buf_putc(&text, '\n');
	for (size_t i = 0; i < signing->count; i++)
		headers[i] = (struct signed_header){lower_case(signing->arena, signing->headers[i].name),
						    slice_of(signing->headers[i].value), i};
	headers[signing->count] = (struct signed_header){"host", url.host, signing->count};
	put_headers(&text, &names, headers, signing->count + 1);
	buf_printf(&text, "\n%s\n%s", buf_str(&names), signing->payload_hash);
	if (buf_check(&text, "a request to AWS", err) ||
	    buf_check(&names, "the headers of a request to AWS", err))
		return -1;
	signing->names = arena_str(signing->arena, buf_slice(&names));
	hash_hex(buf_slice(&text), signing->canonical_hash);
	return 0;
}

int sigv4_sign(struct arena *arena, const struct aws_keys *keys, const struct sigv4_request *request,
	       const struct http_header **headers_out, size_t *count_out, struct sigv4_steps *steps,
	       struct err *err)
{
	struct signing signing = {.arena = arena, .request = request, .keys = keys};
	char signature[DIGEST_HEX_LEN + 1];
	struct digest key, mac;

	if (request->header_count > SIGV4_HEADERS_MAX)
		return err_set(err, ERR_USER, "signing for AWS: more than %d headers", SIGV4_HEADERS_MAX);
	stamp_make(request->now_ms, signing.stamp);
	memcpy(signing.day, signing.stamp, DAY_LEN);
	hash_hex(request->body, signing.payload_hash);
	for (size_t i = 0; i < request->header_count; i++)
		add_header(&signing, request->headers[i].name, request->headers[i].value);
	add_header(&signing, "X-Amz-Date", arena_strdup(arena, signing.stamp));
	if (!request->no_payload_header)
		add_header(&signing, "X-Amz-Content-Sha256", arena_strdup(arena, signing.payload_hash));
	if (secret_present(keys->token))
		add_header(&signing, "X-Amz-Security-Token", secret_reveal(keys->token).ptr);
	if (canonical_make(&signing, err))
		return -1;
	const char *scope =
		arena_printf(arena, "%s/%s/%s/aws4_request", signing.day, request->region, request->service);
	const char *to_sign = arena_printf(arena, "AWS4-HMAC-SHA256\n%s\n%s\n%s", signing.stamp, scope,
					   signing.canonical_hash);
	derive_key(keys, request, signing.day, &key);
	digest_hmac(slice_make(key.bytes, DIGEST_LEN), slice_of(to_sign), &mac);
	digest_to_hex(&mac, signature);
	wipe_bytes(&key, sizeof(key));
	struct slice id = secret_reveal(keys->id);
	add_header(&signing, "Authorization",
		   arena_printf(arena, "AWS4-HMAC-SHA256 Credential=%.*s/%s, SignedHeaders=%s, Signature=%s",
				SLICE_ARG(id), scope, signing.names, signature));
	if (steps)
		*steps = (struct sigv4_steps){arena_strdup(arena, signing.payload_hash),
					      arena_strdup(arena, signing.canonical_hash),
					      arena_strdup(arena, signature)};
	struct http_header *kept = ARENA_NEW_ARRAY(arena, signing.count, struct http_header);
	memcpy(kept, signing.headers, signing.count * sizeof(*kept));
	*headers_out = kept;
	*count_out = signing.count;
	return 0;
}
