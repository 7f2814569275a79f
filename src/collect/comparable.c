/* Texts of two environments made comparable: own hosts, nonces and random parts take one
 * form, lists one order. What is secret or volatile is left out here. Not here: which
 * fact they become. */
#include "collect/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum { ELEMENTS_MAX = 1000, ID_HEX_MIN = 16, ID_DIGITS_MIN = 13, HEADER_VALUE_MAX = 12 << 10 };

/* --- hosts ------------------------------------------------------------------------- */

static bool same_text(struct slice a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

/* Where the HOST of a "HOST:PORT" stands in the list too, else where it stands itself: the two
 * have one number. */
static size_t bare_of(const struct collect_request *request, size_t at)
{
	const char *own = request->own_hosts[at], *colon = strrchr(own, ':');

	for (size_t i = 0; colon && i < request->own_host_count; i++)
		if (same_text(slice_make(own, (size_t)(colon - own)), request->own_hosts[i]))
			return i;
	return at;
}

/* The placeholder of one host as it is written; NULL: somebody else's. */
static bool put_placeholder(struct buf *out, const struct collect_request *request, struct slice host)
{
	for (size_t i = 0; i < request->own_host_count; i++) {
		if (!same_text(host, request->own_hosts[i]))
			continue;
		size_t bare = bare_of(request, i), number = 1;
		for (size_t k = 0; k < bare; k++)
			number += bare_of(request, k) == k;
		if (number == 1)
			buf_puts(out, "{host}");
		else
			buf_printf(out, "{host%zu}", number);
		return true;
	}
	for (size_t i = 0; i < request->server_host_count; i++) {
		if (!same_text(host, request->server_hosts[i]))
			continue;
		buf_puts(out, "{server}");
		return true;
	}
	return false;
}

static bool listed(const char *const *list, size_t count, struct slice text)
{
	for (size_t i = 0; i < count; i++)
		if (same_text(text, list[i]))
			return true;
	return false;
}

static char *authority_text(struct arena *arena, const char *host, uint16_t port)
{
	return strchr(host, ':') ? arena_printf(arena, "[%s]:%u", host, port)
				 : arena_printf(arena, "%s:%u", host, port);
}

bool host_is_own(const struct collect_request *request, const char *host, uint16_t port)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	if (listed(request->own_hosts, request->own_host_count, slice_of(host)))
		return true;
	return port && listed(request->own_hosts, request->own_host_count,
			      slice_of(authority_text(&arena, host, port)));
}

bool host_is_server(const struct collect_request *request, const char *host)
{
	return listed(request->server_hosts, request->server_host_count, slice_of(host));
}

static void put_lower(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_putc(out, (char)tolower((unsigned char)text.ptr[i]));
}

void put_authority(struct buf *out, const struct collect_request *request, const char *host, uint16_t port)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	if (port && put_placeholder(out, request, slice_of(authority_text(&arena, host, port))))
		return;
	if (!put_placeholder(out, request, slice_of(host))) {
		const char *open = strchr(host, ':') ? "[" : "", *close = open[0] ? "]" : "";
		buf_puts(out, open);
		put_lower(out, slice_of(host));
		buf_puts(out, close);
	}
	if (port)
		buf_printf(out, ":%u", port);
}

/* --- words -------------------------------------------------------------------------- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-';
}

static bool is_uuid(struct slice word)
{
	for (size_t i = 0; i < word.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? word.ptr[i] != '-' : !isxdigit((unsigned char)word.ptr[i]))
			return false;
	}
	return word.len == 36;
}

static bool is_id(struct slice part)
{
	size_t digits = 0, letters = 0;

	for (size_t i = 0; i < part.len; i++) {
		if (!isxdigit((unsigned char)part.ptr[i]))
			return false;
		digits += isdigit((unsigned char)part.ptr[i]) != 0;
		letters += isalpha((unsigned char)part.ptr[i]) != 0;
	}
	return letters ? digits && part.len >= ID_HEX_MIN : digits >= ID_DIGITS_MIN;
}

static void put_word(struct buf *out, struct slice word)
{
	if (is_uuid(word)) {
		buf_puts(out, "{id}");
		return;
	}
	for (size_t at = 0; at < word.len;) {
		size_t len = 0;
		while (at + len < word.len && isalnum((unsigned char)word.ptr[at + len]))
			len++;
		if (len == 0) {
			buf_putc(out, word.ptr[at++]);
			continue;
		}
		struct slice part = slice_make(word.ptr + at, len);
		if (is_id(part))
			buf_puts(out, "{id}");
		else
			buf_put_slice(out, part);
		at += len;
	}
}

/* A host with its port is looked for before the host alone. */
static size_t put_host_word(struct buf *out, const struct collect_request *request, struct slice text)
{
	size_t len = 0, with_port;

	if (text.ptr[0] == '[') {
		while (len < text.len && text.ptr[len] != ']')
			len++;
		if (len == text.len)
			return 0;
		len++;
	} else {
		while (len < text.len && is_word(text.ptr[len]))
			len++;
	}
	with_port = len;
	if (with_port < text.len && text.ptr[with_port] == ':')
		for (with_port++; with_port < text.len && isdigit((unsigned char)text.ptr[with_port]);)
			with_port++;
	if (with_port > len + 1 && put_placeholder(out, request, slice_make(text.ptr, with_port)))
		return with_port;
	if (put_placeholder(out, request, slice_make(text.ptr, len)))
		return len;
	if (text.ptr[0] == '[')
		return 0;
	put_word(out, slice_make(text.ptr, len));
	return len;
}

void put_comparable(struct buf *out, const struct collect_request *request, struct slice text)
{
	for (size_t at = 0; at < text.len;) {
		char c = text.ptr[at];
		size_t took = 0;
		if (isalnum((unsigned char)c) || c == '[')
			took = put_host_word(out, request, slice_skip(text, at));
		if (took == 0) {
			if ((unsigned char)c < ' ' || (unsigned char)c >= 0x7f)
				buf_printf(out, "\\x%02x", (unsigned char)c);
			else
				buf_putc(out, c);
			took = 1;
		}
		at += took;
	}
}

/* --- URLs ------------------------------------------------------------------------------ */

static void put_query(struct buf *out, const struct collect_request *request, struct slice rest)
{
	char separator = '?';

	while (rest.ptr) {
		struct slice value = slice_cut(&rest, '&'), name;
		if (value.len == 0)
			continue;
		name = slice_cut(&value, '=');
		buf_putc(out, separator);
		separator = '&';
		if (value.ptr) {
			put_comparable(out, request, name);
			buf_puts(out, "=*");
		} else {
			buf_putc(out, '*');
		}
	}
}

static void put_url_authority(struct buf *out, const struct collect_request *request, struct slice scheme,
			      struct slice authority)
{
	uint16_t port, fallback = slice_is(scheme, "http") ? 80 : 443;
	char host[256];
	const char *user = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;

	if (user)
		authority = slice_skip(authority, (size_t)(user - authority.ptr) + 1);
	if (!look_split(authority, fallback, host, &port)) {
		buf_puts(out, "{malformed}"); /* perhaps a password with a slash in it */
		return;
	}
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	if (port != fallback || put_placeholder(out, request, slice_of(authority_text(&arena, host, port)))) {
		if (port != fallback)
			put_authority(out, request, host, port);
		return;
	}
	put_authority(out, request, host, 0);
}

static void put_scheme(struct buf *out, struct slice scheme)
{
	bool fine = scheme.len > 0;

	for (size_t i = 0; i < scheme.len; i++)
		fine = fine && (isalnum((unsigned char)scheme.ptr[i]) || strchr("+.-", scheme.ptr[i])) &&
		       scheme.ptr[i];
	if (fine)
		put_lower(out, scheme);
	else
		buf_puts(out, "{malformed}");
}

void put_url(struct buf *out, const struct collect_request *request, struct slice url)
{
	const char *at = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
	struct slice rest = url;
	size_t len = 0;

	rest = slice_cut(&rest, '#');
	if (at && at < rest.ptr + rest.len) {
		struct slice scheme = slice_make(url.ptr, (size_t)(at - url.ptr));
		size_t skipped = MIN(scheme.len + 3, rest.len);
		put_scheme(out, scheme);
		buf_puts(out, "://");
		rest = slice_skip(rest, skipped);
		while (len < rest.len && !strchr("/?", rest.ptr[len]))
			len++;
		put_url_authority(out, request, scheme, slice_make(rest.ptr, len));
		rest = slice_skip(rest, len);
	}
	struct slice path = slice_cut(&rest, '?');
	if (path.len)
		put_comparable(out, request, path);
	else
		buf_putc(out, '/');
	put_query(out, request, rest);
}

/* --- headers ------------------------------------------------------------------------------ */

static const struct {
	const char *name; /* with a '*' at its end: a beginning */
	enum header_form form;
} headers[] = {
	{"access-control-allow-credentials", HEADER_TEXT},
	{"access-control-allow-headers", HEADER_LIST},
	{"access-control-allow-methods", HEADER_LIST},
	{"access-control-expose-headers", HEADER_LIST},
	{"access-control-*", HEADER_TEXT},
	{"allow", HEADER_LIST},
	{"alt-svc", HEADER_TEXT},
	{"cache-control", HEADER_LIST},
	{"cdn-cache-control", HEADER_LIST},
	{"content-encoding", HEADER_LIST},
	{"content-language", HEADER_LIST},
	{"content-security-policy", HEADER_POLICY},
	{"content-security-policy-report-only", HEADER_POLICY},
	{"content-type", HEADER_TEXT},
	{"cross-origin-*", HEADER_TEXT},
	{"origin-agent-cluster", HEADER_TEXT},
	{"permissions-policy", HEADER_LIST},
	{"pragma", HEADER_TEXT},
	{"ratelimit-limit", HEADER_TEXT},
	{"ratelimit-policy", HEADER_TEXT},
	{"referrer-policy", HEADER_TEXT},
	{"strict-transport-security", HEADER_POLICY},
	{"surrogate-control", HEADER_LIST},
	{"timing-allow-origin", HEADER_TEXT},
	{"vary", HEADER_LIST},
	{"www-authenticate", HEADER_TEXT},
	{"x-content-type-options", HEADER_TEXT},
	{"x-dns-prefetch-control", HEADER_TEXT},
	{"x-download-options", HEADER_TEXT},
	{"x-frame-options", HEADER_TEXT},
	{"x-permitted-cross-domain-policies", HEADER_TEXT},
	{"x-powered-by", HEADER_TEXT},
	{"x-ratelimit-limit", HEADER_TEXT},
	{"x-robots-tag", HEADER_LIST},
	{"x-xss-protection", HEADER_TEXT},
};

bool header_matters(struct slice name, enum header_form *form_out)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		size_t len = strlen(headers[i].name);
		bool begins = headers[i].name[len - 1] == '*';
		if (begins ? name.len < len - 1 || memcmp(name.ptr, headers[i].name, len - 1) != 0
			   : !slice_is(name, headers[i].name))
			continue;
		*form_out = headers[i].form;
		return true;
	}
	return false;
}

/* White space runs become one space; with `lower` small letters; what follows "nonce" is
 * nobody's to compare. */
static struct slice text_value(struct arena *arena, const struct collect_request *request, struct slice text,
			       bool lower)
{
	AUTO(buf_free) struct buf plain = BUF_INIT(COLLECT_TEXT_MAX);
	AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_TEXT_MAX);

	text = slice_trim(text);
	text.len = MIN(text.len, (size_t)HEADER_VALUE_MAX);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool blank = c == ' ' || c == '\t';
		if (i + 6 < text.len && strncasecmp(text.ptr + i, "nonce", 5) == 0 &&
		    (text.ptr[i + 5] == '-' || text.ptr[i + 5] == '=')) {
			buf_printf(&plain, "nonce%c{nonce}", text.ptr[i + 5]);
			for (i += 6; i < text.len && !strchr("' ;,\t", text.ptr[i]);)
				i++;
			i--;
		} else if (!blank) {
			buf_putc(&plain, lower ? (char)tolower((unsigned char)c) : c);
		} else if (i + 1 < text.len && text.ptr[i + 1] != ' ' && text.ptr[i + 1] != '\t') {
			buf_putc(&plain, ' ');
		}
	}
	put_comparable(&out, request, buf_slice(&plain));
	return arena_slice(arena, buf_slice(&out));
}

static struct slice set_value(struct arena *arena, const struct collect_request *request, struct slice rest,
			      char separator, bool lower)
{
	struct slice *elements = ARENA_NEW_ARRAY(arena, ELEMENTS_MAX, struct slice);
	size_t count = 0, bytes = 0;

	while (rest.ptr && count < ELEMENTS_MAX && bytes < COLLECT_TEXT_MAX) {
		struct slice element = text_value(arena, request, slice_cut(&rest, separator), lower);
		bytes += element.len + 1;
		if (element.len && bytes < COLLECT_TEXT_MAX)
			elements[count++] = element;
	}
	return fact_set_value(arena, elements, count);
}

struct slice header_value(struct arena *arena, const struct collect_request *request, enum header_form form,
			  struct slice value)
{
	value.len = MIN(value.len, (size_t)HEADER_VALUE_MAX);
	switch (form) {
	case HEADER_LIST:
		return set_value(arena, request, value, ',', true);
	case HEADER_POLICY:
		return set_value(arena, request, value, ';', false);
	default:
		return text_value(arena, request, value, false);
	}
}

/* --- cookies ------------------------------------------------------------------------------ */

/* "acme.io" for shop.acme.io: where a cookie goes is compared, not how the place is called. */
static void put_domain(struct buf *out, const struct collect_request *request, struct slice domain)
{
	if (domain.len && domain.ptr[0] == '.')
		domain = slice_skip(domain, 1);
	for (size_t i = 0; i < request->own_host_count; i++) {
		struct slice own = slice_of(request->own_hosts[i]);
		if (own.len > domain.len && domain.len && own.ptr[own.len - domain.len - 1] == '.' &&
		    strncasecmp(own.ptr + own.len - domain.len, domain.ptr, domain.len) == 0) {
			buf_puts(out, "{parent}");
			return;
		}
	}
	put_comparable(out, request, domain);
}

static struct slice attribute_read(struct arena *arena, const struct collect_request *request,
				   struct slice attribute)
{
	AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_TEXT_MAX);
	struct slice value = slice_trim(attribute), name = slice_trim(slice_cut(&value, '='));

	name.len = MIN(name.len, (size_t)64);
	value.len = MIN(value.len, (size_t)1024);
	put_lower(&out, name);
	/* When it ends changes with every answer; that it ends does not. */
	if (value.ptr && !slice_is(buf_slice(&out), "expires")) {
		bool domain = slice_is(buf_slice(&out), "domain"),
		     same_site = slice_is(buf_slice(&out), "samesite");
		buf_putc(&out, '=');
		if (domain)
			put_domain(&out, request, slice_trim(value));
		else if (same_site)
			put_lower(&out, slice_trim(value));
		else
			put_comparable(&out, request, slice_trim(value));
	}
	struct slice text = text_value(arena, request, buf_slice(&out), false);
	return text;
}

bool cookie_read(struct arena *arena, const struct collect_request *request, struct slice header,
		 struct slice *name_out, struct slice *attributes_out)
{
	AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_TEXT_MAX);
	AUTO(buf_free) struct buf name = BUF_INIT(COLLECT_TEXT_MAX);
	struct slice elements[16], rest = header, pair = slice_cut(&rest, ';'), set, element;
	size_t count = 0;

	if (slice_find(pair, '=') <= 0)
		return false;
	pair = slice_trim(slice_cut(&pair, '='));
	if (pair.len == 0 || pair.len > 256)
		return false;
	put_comparable(&name, request, pair);
	for (size_t i = 0; i < name.len; i++) /* an attribute of a key has no slash */
		if (name.ptr[i] == '/')
			name.ptr[i] = '_';
	while (rest.ptr && count < ARRAY_LEN(elements)) {
		element = attribute_read(arena, request, slice_cut(&rest, ';'));
		if (element.len)
			elements[count++] = element;
	}
	set = fact_set_value(arena, elements, count);
	while (fact_set_next(&set, &element)) {
		buf_puts(&out, out.len ? "; " : "");
		buf_put_slice(&out, element);
	}
	*name_out = arena_slice(arena, buf_slice(&name));
	*attributes_out = arena_slice(arena, buf_slice(&out));
	return true;
}
