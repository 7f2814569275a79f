/* Two environments' texts become one, and what is secret or volatile goes nowhere. */
#include "collect/internal.h"

#include "../cmocka_base.h"

static const char *const own[] = {"shop.acme.io", "127.0.0.1:8080", "[::1]:9000"};
static const char *const servers[] = {"web1.acme.io", "web2.acme.io"};
static const struct collect_request request = {
	.own_hosts = own, .own_host_count = 3, .server_hosts = servers, .server_host_count = 2};

struct pair {
	const char *from, *to;
};

static void test_texts(void **state)
{
	static const struct pair cases[] = {
		{"https://shop.acme.io/up", "https://{host}/up"},
		{"SHOP.ACME.IO", "{host}"},
		{"shop.acme.io:8443", "{host}:8443"},
		{"http://127.0.0.1:8080/up", "http://{host2}/up"},
		{"http://127.0.0.1:8081/up", "http://127.0.0.1:8081/up"},
		{"http://[::1]:9000/", "http://{host3}/"},
		{"[::1]:9001", "[::1]:9001"},
		{"CN = shop.acme.io, O = Acme", "CN = {host}, O = Acme"},
		{"xshop.acme.io", "xshop.acme.io"},
		{"shop.acme.io.evil.com", "shop.acme.io.evil.com"},
		{"cdn.shop.acme.io", "cdn.shop.acme.io"},
		{"web2.acme.io:22", "{server}:22"},
		{"/a/550e8400-e29b-41d4-a716-446655440000/b", "/a/{id}/b"},
		{"/assets/app.3f9a1b2c4d5e6f708192.js", "/assets/app.{id}.js"},
		{"max-age=31536000", "max-age=31536000"},
		{"t=1763882058123", "t={id}"},
		{"deadbeefdeadbeefdead", "deadbeefdeadbeefdead"},
		{"a\x01\xff", "a\\x01\\xff"},
		{"", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_TEXT_MAX);
		put_comparable(&out, &request, slice_of(cases[i].from));
		assert_string_equal(buf_str(&out), cases[i].to);
	}
}

static void test_urls(void **state)
{
	static const struct pair cases[] = {
		{"https://shop.acme.io", "https://{host}/"},
		{"HTTPS://Shop.Acme.io:443/Up", "https://{host}/Up"},
		{"http://127.0.0.1:8080/x", "http://{host2}/x"},
		{"https://user:secret@shop.acme.io/up", "https://{host}/up"},
		{"https://shop.acme.io/up?token=secret&page=2", "https://{host}/up?token=*&page=*"},
		{"https://shop.acme.io?secret", "https://{host}/?*"},
		{"https://shop.acme.io/up#secret", "https://{host}/up"},
		{"https://shop.acme.io:8443/", "https://{host}:8443/"},
		{"https://Other.io/a", "https://other.io/a"},
		{"/relative?x=1", "/relative?x=*"},
		{"ht\x06tps://u:p@a.io/", "{malformed}://a.io/"},
		{"https://user:se", "https://{malformed}/"},
		{"", "/"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_TEXT_MAX);
		put_url(&out, &request, slice_of(cases[i].from));
		assert_string_equal(buf_str(&out), cases[i].to);
	}
}

/* A set's elements with '|' behind each. */
static const char *shown(struct arena *arena, struct slice set)
{
	char *text = arena_str(arena, set);

	for (size_t i = 0; i < set.len; i++)
		text[i] = text[i] ? text[i] : '|';
	return text;
}

static void test_headers(void **state)
{
	static const struct {
		const char *name, *from, *to; /* NULL: no fact */
	} cases[] = {
		{"cache-control", "Public,  max-age=60", "max-age=60|public|"},
		{"vary", "Cookie, accept-encoding,Cookie", "accept-encoding|cookie|"},
		{"content-security-policy",
		 "default-src 'self' https://shop.acme.io; script-src 'nonce-rAnd0m==' 'self' ;",
		 "default-src 'self' https://{host}|script-src 'nonce-{nonce}' 'self'|"},
		{"strict-transport-security", "max-age=63072000; includeSubDomains",
		 "includeSubDomains|max-age=63072000|"},
		{"x-frame-options", " DENY ", "DENY"},
		{"access-control-allow-origin", "https://shop.acme.io", "https://{host}"},
		{"www-authenticate", "Digest realm=\"x\", nonce=abc123, qop=auth",
		 "Digest realm=\"x\", nonce={nonce}, qop=auth"},
		{"cross-origin-opener-policy", "same-origin", "same-origin"},
		{"date", "Mon, 23 Nov 2026 07:00:00 GMT", NULL},
		{"etag", "\"abc\"", NULL},
		{"age", "5", NULL},
		{"x-request-id", "abc", NULL},
		{"cf-ray", "abc", NULL},
		{"server-timing", "db;dur=5", NULL},
		{"set-cookie", "a=b", NULL},
		{"authorization", "Bearer x", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		enum header_form form;
		bool matters = header_matters(slice_of(cases[i].name), &form);
		assert_int_equal(matters, cases[i].to != NULL);
		if (!matters)
			continue;
		struct slice value = header_value(&arena, &request, form, slice_of(cases[i].from));
		assert_string_equal(shown(&arena, value), cases[i].to);
	}
}

static void test_cookies(void **state)
{
	static const struct {
		const char *from, *name, *attributes; /* NULL: malformed */
	} cases[] = {
		{"sid=SECRET; Path=/; HttpOnly; Secure; SameSite=Lax", "sid",
		 "httponly; path=/; samesite=lax; secure"},
		{"sid=SECRET", "sid", ""},
		{"sid=SECRET; Expires=Mon, 23 Nov 2026 07:00:00 GMT; Max-Age=60", "sid",
		 "expires; max-age=60"},
		{"sid=SECRET; Domain=shop.acme.io", "sid", "domain={host}"},
		{"sid=SECRET; Domain=.acme.io", "sid", "domain={parent}"},
		{"wordpress_3f9a1b2c4d5e6f708192=SECRET; path=/", "wordpress_{id}", "path=/"},
		{"a/b=SECRET", "a_b", ""},
		{"SECRET", NULL, NULL},
		{"=SECRET; Path=/", NULL, NULL},
		{"", NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct slice name, attributes;
		bool fine = cookie_read(&arena, &request, slice_of(cases[i].from), &name, &attributes);
		assert_int_equal(fine, cases[i].name != NULL);
		if (!fine)
			continue;
		assert_string_equal(arena_str(&arena, name), cases[i].name);
		assert_string_equal(arena_str(&arena, attributes), cases[i].attributes);
	}
}

static void test_fronts(void **state)
{
	static const struct {
		const char *header, *value;
		enum front_kind kind;
		const char *names;
	} cases[] = {
		{"cf-ray", "8f", FRONT_CDN, "Cloudflare|"},
		{"x-amz-cf-id", "x", FRONT_CDN, "CloudFront|"},
		{"via", "1.1 abc.CloudFront.net (CloudFront)", FRONT_CDN, "CloudFront|"},
		{"x-served-by", "cache-lhr7372-LHR", FRONT_CDN, "Fastly|"},
		{"x-served-by", "web1", FRONT_CDN, ""},
		{"x-vercel-id", "x", FRONT_CDN, "Vercel|"},
		{"server", "AkamaiGHost", FRONT_CDN, "Akamai|"},
		{"via", "1.1 google", FRONT_BALANCER, "Google Cloud|"},
		{"server", "nginx/1.22.1", FRONT_BALANCER, ""},
		{"x-cache", "HIT", FRONT_CACHE, "a cache|"},
		{"x-cache", "HIT", FRONT_CDN, ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct look_header header = {slice_of(cases[i].header), slice_of(cases[i].value)};
		struct look look = {.headers = &header, .header_count = 1};
		assert_string_equal(shown(&arena, front_names(&arena, &look, cases[i].kind)), cases[i].names);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: malformed */
		uint16_t fallback, port;
	} cases[] = {
		{"a.io:443", "a.io", 0, 443}, {"a.io", "a.io", 80, 80},	   {"a.io", NULL, 0, 0},
		{"[::1]:22", "::1", 0, 22},   {"[::1]", "::1", 22, 22},	   {"[::1]x", NULL, 22, 0},
		{"a.io:0", NULL, 80, 0},      {"a.io:99999", NULL, 80, 0}, {"a b:80", NULL, 80, 0},
		{":80", NULL, 80, 0},	      {"a.io:", NULL, 80, 0},	   {"u@a.io", NULL, 80, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char host[256];
		uint16_t port = 0;
		bool fine = look_split(slice_of(cases[i].text), cases[i].fallback, host, &port);
		assert_int_equal(fine, cases[i].host != NULL);
		if (fine) {
			assert_string_equal(host, cases[i].host);
			assert_int_equal(port, cases[i].port);
		}
	}
	assert_true(look_is_local("127.0.0.9", false));
	assert_true(look_is_local("localhost", false));
	assert_true(look_is_local("::1", false));
	assert_false(look_is_local("10.0.0.1", false));
	assert_true(look_is_local("10.0.0.1", true));
	assert_true(look_is_local("192.168.1.1", true));
	assert_false(look_is_local("8.8.8.8", true));
	assert_false(look_is_local("acme.io", true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),	cmocka_unit_test(test_urls),
		cmocka_unit_test(test_headers), cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_fronts),	cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
