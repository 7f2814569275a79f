/* Claims about signatures, against the values AWS publishes (aws-sig-v4-test-suite)
 * and one made with botocore. */
#include "secret/sigv4.h"

#include "base/clock.h"

#include "../cmocka_base.h"

static struct safe *safe;
static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	safe = safe_open();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	safe_close(&safe);
	arena_free(&arena);
	return 0;
}

static struct secret secret_of(const char *text)
{
	struct err err = ERR_INIT;
	struct secret secret = {NULL};
	assert_int_equal(safe_put(safe, slice_of(text), &secret, &err), 0);
	return secret;
}

static struct aws_keys example_keys(void)
{
	return (struct aws_keys){.id = secret_of("AKIDEXAMPLE"),
				 .secret = secret_of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")};
}

static int64_t example_time(void)
{
	int64_t now_ms;
	assert_true(clock_parse_iso(SLICE("2015-08-30T12:36:00Z"), &now_ms));
	return now_ms;
}

static struct sigv4_steps sign(const struct aws_keys *keys, const struct sigv4_request *request,
			       const char **authorization)
{
	struct sigv4_steps steps;
	const struct http_header *headers;
	struct err err = ERR_INIT;
	size_t count;
	assert_int_equal(sigv4_sign(&arena, keys, request, &headers, &count, &steps, &err), 0);
	assert_string_equal(headers[count - 1].name, "Authorization");
	if (authorization)
		*authorization = headers[count - 1].value;
	return steps;
}

/* Service "service", us-east-1, host example.amazonaws.com, 20150830T123600Z. */
static void the_test_suite_of_aws_is_met(void **state)
{
	static const char vanilla[] = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
	static const char post_vanilla[] = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
	static const struct {
		const char *name, *method, *target;
		struct http_header headers[4];
		const char *body, *signature;
	} cases[] = {
		{"get-vanilla", "GET", "/", {{0}}, "", vanilla},
		{"get-vanilla, nothing behind the host", "GET", "", {{0}}, "", vanilla},
		{"get-relative", "GET", "/example/..", {{0}}, "", vanilla},
		{"get-relative-relative", "GET", "/example1/example2/../..", {{0}}, "", vanilla},
		{"get-slash", "GET", "//", {{0}}, "", vanilla},
		{"get-slash-dot-slash", "GET", "/./", {{0}}, "", vanilla},
		{"get-slashes",
		 "GET",
		 "//example//",
		 {{0}},
		 "",
		 "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
		{"get-slash-pointless-dot",
		 "GET",
		 "/./example",
		 {{0}},
		 "",
		 "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
		{"get-space",
		 "GET",
		 "/example space/",
		 {{0}},
		 "",
		 "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		{"get-utf8",
		 "GET",
		 "/\xe1\x88\xb4",
		 {{0}},
		 "",
		 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"get-unreserved",
		 "GET",
		 "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
		 {{0}},
		 "",
		 "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"get-vanilla-query", "GET", "/?", {{0}}, "", vanilla},
		{"get-vanilla-query-order-key-case",
		 "GET",
		 "/?Param2=value2&Param1=value1",
		 {{0}},
		 "",
		 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"get-vanilla-empty-query-key",
		 "GET",
		 "/?Param1=value1",
		 {{0}},
		 "",
		 "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		{"get-vanilla-query-order-value",
		 "GET",
		 "/?Param1=value2&Param1=value1",
		 {{0}},
		 "",
		 "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
		{"get-vanilla-query-unreserved",
		 "GET",
		 "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz="
		 "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
		 {{0}},
		 "",
		 "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"get-vanilla-utf8-query",
		 "GET",
		 "/?\xe1\x88\xb4=bar",
		 {{0}},
		 "",
		 "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"get-vanilla-utf8-query, encoded by the sender",
		 "GET",
		 "/?%e1%88%b4=bar",
		 {{0}},
		 "",
		 "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"get-header-key-duplicate",
		 "GET",
		 "/",
		 {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
		 "",
		 "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{"get-header-value-order",
		 "GET",
		 "/",
		 {{"My-Header1", "value4"},
		  {"My-Header1", "value1"},
		  {"My-Header1", "value3"},
		  {"My-Header1", "value2"}},
		 "",
		 "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		{"get-header-value-trim",
		 "GET",
		 "/",
		 {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
		 "",
		 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"post-vanilla", "POST", "/", {{0}}, "", post_vanilla},
		{"post-vanilla-query",
		 "POST",
		 "/?Param1=value1",
		 {{0}},
		 "",
		 "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		{"post-header-key-sort",
		 "POST",
		 "/",
		 {{"My-Header1", "value1"}},
		 "",
		 "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		{"post-header-value-case",
		 "POST",
		 "/",
		 {{"My-Header1", "VALUE1"}},
		 "",
		 "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		{"post-x-www-form-urlencoded",
		 "POST",
		 "/",
		 {{"Content-Type", "application/x-www-form-urlencoded"}},
		 "Param1=value1",
		 "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		{"post-x-www-form-urlencoded-parameters",
		 "POST",
		 "/",
		 {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
		 "Param1=value1",
		 "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
	};
	struct aws_keys keys = example_keys();
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sigv4_request request = {
			.method = cases[i].method,
			.url = arena_printf(&arena, "https://example.amazonaws.com%s", cases[i].target),
			.headers = cases[i].headers,
			.body = slice_of(cases[i].body),
			.service = "service",
			.region = "us-east-1",
			.now_ms = example_time(),
			.no_payload_header = true,
		};
		while (request.header_count < ARRAY_LEN(cases[i].headers) &&
		       cases[i].headers[request.header_count].name)
			request.header_count++;
		struct sigv4_steps steps = sign(&keys, &request, NULL);
		if (strcmp(steps.signature, cases[i].signature) != 0)
			fail_msg("%s: %s instead of %s", cases[i].name, steps.signature, cases[i].signature);
	}
}

/* Made with botocore 1.29.27. */
static void a_call_of_parameter_store_is_signed_as_botocore_does(void **state)
{
	static const struct http_header headers[] = {
		{"Content-Type", "application/x-amz-json-1.1"},
		{"X-Amz-Target", "AmazonSSM.GetParametersByPath"},
	};
	struct aws_keys keys = example_keys();
	struct sigv4_request request = {
		.method = "POST",
		.url = "https://ssm.us-east-1.amazonaws.com/",
		.headers = headers,
		.header_count = ARRAY_LEN(headers),
		.body = SLICE(
			"{\"Path\": \"/myapp/staging/\", \"Recursive\": true, \"WithDecryption\": true, "
			"\"MaxResults\": 10}"),
		.service = "ssm",
		.region = "us-east-1",
		.now_ms = example_time(),
		.no_payload_header = true,
	};
	const char *authorization;
	struct sigv4_steps steps = sign(&keys, &request, &authorization);
	(void)state;
	assert_string_equal(steps.payload_hash,
			    "1427c7fdf6c6bd8be1091649a0d117cad8d8d62e20dfa2ffc5c8d0035920fc4b");
	assert_string_equal(steps.canonical_hash,
			    "1e459f031e830814a4581bdb4e2553dbb6589227ad08aee4f3638d75feba57b9");
	assert_string_equal(steps.signature,
			    "9710600986a5a9db423e583859bbb35ae9d061d05c3b803b6d12d352e0104ed9");
	assert_string_equal(authorization,
			    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/ssm/aws4_request, "
			    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
			    "Signature=9710600986a5a9db423e583859bbb35ae9d061d05c3b803b6d12d352e0104ed9");
}

static void the_token_and_the_payload_are_signed(void **state)
{
	struct aws_keys keys = example_keys();
	struct sigv4_request request = {.method = "POST",
					.url = "http://127.0.0.1:5000/",
					.body = SLICE("{}"),
					.service = "ssm",
					.region = "eu-west-1",
					.now_ms = example_time()};
	const char *authorization;
	(void)state;
	keys.token = secret_of("session-token");
	struct sigv4_steps with = sign(&keys, &request, &authorization);
	assert_non_null(strstr(authorization,
			       "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"));
	keys.token = secret_of("another-token");
	struct sigv4_steps another = sign(&keys, &request, NULL);
	assert_string_not_equal(with.signature, another.signature);
	request.body = SLICE("{ }");
	struct sigv4_steps other_body = sign(&keys, &request, NULL);
	assert_string_not_equal(another.signature, other_body.signature);
}

/* curl leaves a scheme's own port out of the Host header. */
static void the_host_is_signed_as_it_is_sent(void **state)
{
	static const struct {
		const char *one, *other;
		bool same;
	} cases[] = {
		{"https://a.example/", "https://a.example:443/", true},
		{"http://a.example/", "http://a.example:80/", true},
		{"http://a.example/", "http://a.example:443/", false},
		{"https://a.example/#x", "https://a.example/", true},
	};
	struct aws_keys keys = example_keys();
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sigv4_request request = {.method = "GET",
						.url = cases[i].one,
						.service = "s",
						.region = "r",
						.now_ms = example_time()};
		struct sigv4_steps one = sign(&keys, &request, NULL);
		request.url = cases[i].other;
		struct sigv4_steps other = sign(&keys, &request, NULL);
		assert_int_equal(strcmp(one.signature, other.signature) == 0, cases[i].same);
	}
}

static void what_cannot_be_signed_is_refused(void **state)
{
	static const char *const urls[] = {"", "ftp://a.example/", "https://", "https:///path", "a.example"};
	struct aws_keys keys = example_keys();
	const struct http_header *headers;
	size_t count;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct sigv4_request request = {
			.method = "GET", .url = urls[i], .service = "s", .region = "r"};
		struct err err = ERR_INIT;
		assert_int_equal(sigv4_sign(&arena, &keys, &request, &headers, &count, NULL, &err), -1);
		assert_int_equal(err.code, ERR_USER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_test_suite_of_aws_is_met),
		cmocka_unit_test(a_call_of_parameter_store_is_signed_as_botocore_does),
		cmocka_unit_test(the_token_and_the_payload_are_signed),
		cmocka_unit_test(the_host_is_signed_as_it_is_sent),
		cmocka_unit_test(what_cannot_be_signed_is_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
