/* Credentials that say by their form whether they are live or for tests. Forms as
 * published by the services and used by secret scanners. What has no such form (AWS,
 * GitHub, Slack, SendGrid, …) is unknown here: for those, the same value in two
 * environments is the sign (contract_check). */
#include "values/contract.h"

struct key_form {
	const char *prefix;
	const char *service;
	enum key_mode mode;
	size_t min; /* bytes behind the prefix: "live_stream" is no key */
};

/* Longer prefixes first where one begins with another. */
static const struct key_form forms[] = {
	{"sk_live_", "Stripe", KEY_MODE_LIVE, 10},
	{"sk_prod_", "Stripe", KEY_MODE_LIVE, 10},
	{"sk_test_", "Stripe", KEY_MODE_TEST, 10},
	{"rk_live_", "Stripe", KEY_MODE_LIVE, 10},
	{"rk_prod_", "Stripe", KEY_MODE_LIVE, 10},
	{"rk_test_", "Stripe", KEY_MODE_TEST, 10},
	{"pk_live_", "Stripe", KEY_MODE_LIVE, 10},
	{"pk_test_", "Stripe", KEY_MODE_TEST, 10},
	{"shippo_live_", "Shippo", KEY_MODE_LIVE, 20},
	{"shippo_test_", "Shippo", KEY_MODE_TEST, 20},
	{"duffel_live_", "Duffel", KEY_MODE_LIVE, 20},
	{"duffel_test_", "Duffel", KEY_MODE_TEST, 20},
	{"EZAK", "EasyPost", KEY_MODE_LIVE, 40},
	{"EZTK", "EasyPost", KEY_MODE_TEST, 40},
	{"FLWSECK_TEST-", "Flutterwave", KEY_MODE_TEST, 10},
	{"FLWSECK-", "Flutterwave", KEY_MODE_LIVE, 10},
	{"FLWPUBK_TEST-", "Flutterwave", KEY_MODE_TEST, 10},
	{"FLWPUBK-", "Flutterwave", KEY_MODE_LIVE, 10},
	{"access-sandbox-", "Plaid", KEY_MODE_TEST, 30},
	{"access-development-", "Plaid", KEY_MODE_TEST, 30},
	{"access-production-", "Plaid", KEY_MODE_LIVE, 30},
	{"rzp_live_", "Razorpay", KEY_MODE_LIVE, 14},
	{"rzp_test_", "Razorpay", KEY_MODE_TEST, 14},
	{"live_pub_", "Lob", KEY_MODE_LIVE, 30},
	{"test_pub_", "Lob", KEY_MODE_TEST, 30},
	/* GoCardless has 40, Lob 35, Mollie 30. */
	{"live_", "GoCardless, Lob or Mollie", KEY_MODE_LIVE, 30},
	{"test_", "GoCardless, Lob or Mollie", KEY_MODE_TEST, 30},
};

/* Where the services are reached. Those whose keys look alike are told apart by the address;
 * with KEY_MODE_UNKNOWN the key tells and not the address. */
static const struct {
	const char *host;
	const char *service;
	enum key_mode mode;
} hosts[] = {
	{"api.braintreegateway.com", "Braintree", KEY_MODE_LIVE},
	{"api.sandbox.braintreegateway.com", "Braintree", KEY_MODE_TEST},
	{"connect.squareup.com", "Square", KEY_MODE_LIVE},
	{"connect.squareupsandbox.com", "Square", KEY_MODE_TEST},
	{"api.paypal.com", "PayPal", KEY_MODE_LIVE},
	{"api-m.paypal.com", "PayPal", KEY_MODE_LIVE},
	{"api.sandbox.paypal.com", "PayPal", KEY_MODE_TEST},
	{"api-m.sandbox.paypal.com", "PayPal", KEY_MODE_TEST},
	{"api.gocardless.com", "GoCardless", KEY_MODE_LIVE},
	{"api-sandbox.gocardless.com", "GoCardless", KEY_MODE_TEST},
	{"production.plaid.com", "Plaid", KEY_MODE_LIVE},
	{"sandbox.plaid.com", "Plaid", KEY_MODE_TEST},
	{"development.plaid.com", "Plaid", KEY_MODE_TEST},
	{"api.stripe.com", "Stripe", KEY_MODE_UNKNOWN},
	{"api.goshippo.com", "Shippo", KEY_MODE_UNKNOWN},
	{"api.duffel.com", "Duffel", KEY_MODE_UNKNOWN},
	{"api.easypost.com", "EasyPost", KEY_MODE_UNKNOWN},
	{"api.flutterwave.com", "Flutterwave", KEY_MODE_UNKNOWN},
	{"api.razorpay.com", "Razorpay", KEY_MODE_UNKNOWN},
	{"api.lob.com", "Lob", KEY_MODE_UNKNOWN},
};

static bool is_key_text(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!letter && c != '-' && c != '_' && c != '=')
			return false;
	}
	return true;
}

static struct slice host_of(struct slice url)
{
	const char *start = memmem(url.ptr, url.len, "://", 3);
	if (!start)
		return SLICE("");
	struct slice rest = slice_skip(url, (size_t)(start - url.ptr) + 3);
	size_t len = 0;
	while (len < rest.len && !strchr("/?#", rest.ptr[len]))
		len++;
	struct slice authority = slice_make(rest.ptr, len);
	const char *user = len ? memrchr(rest.ptr, '@', len) : NULL;
	if (user)
		authority = slice_skip(authority, (size_t)(user - rest.ptr) + 1);
	return slice_cut(&authority, ':');
}

enum key_mode value_key_mode(struct slice value, const char **service_out)
{
	struct slice text = slice_trim(value), host;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t prefix = strlen(forms[i].prefix);
		if (!slice_starts_with(text, forms[i].prefix) || text.len < prefix + forms[i].min ||
		    !is_key_text(slice_skip(text, prefix)))
			continue;
		if (service_out)
			*service_out = forms[i].service;
		return forms[i].mode;
	}
	host = host_of(text);
	for (size_t i = 0; i < ARRAY_LEN(hosts) && host.len; i++) {
		if (!slice_is(host, hosts[i].host))
			continue;
		if (service_out)
			*service_out = hosts[i].service;
		return hosts[i].mode;
	}
	return KEY_MODE_UNKNOWN;
}

const char *service_host(const char *service, enum key_mode mode)
{
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (strcmp(hosts[i].service, service) == 0 &&
		    (hosts[i].mode == mode || hosts[i].mode == KEY_MODE_UNKNOWN))
			return hosts[i].host;
	return NULL;
}
