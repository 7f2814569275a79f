/* A credential or address says which service it is for, and whether for real. */
#include "collect/collect.h"

#include "../cmocka_base.h"

static void test_modes(void **state)
{
	static const struct {
		const char *value, *mode, *service; /* NULL: none */
	} cases[] = {
		{"sk_live_4eC39HqLyjWDarjtT1zd", "live", "Stripe"},
		{"sk_test_4eC39HqLyjWDarjtT1zd", "test", "Stripe"},
		{"rk_live_4eC39HqLyjWDarjtT1zd", "live", "Stripe"},
		{" sk_live_4eC39HqLyjWDarjtT1zd\n", "live", "Stripe"},
		{"shippo_test_0123456789abcdef0123456789abcdef01234567", "test", "Shippo"},
		{"rzp_live_0123456789abcd", "live", "Razorpay"},
		{"access-sandbox-01234567-89ab-cdef-0123-456789abcdef", "sandbox", "Plaid"},
		{"access-production-01234567-89ab-cdef-0123-456789abcdef", "live", "Plaid"},
		{"FLWSECK_TEST-0123456789ab-X", "test", "Flutterwave"},
		{"https://api.sandbox.paypal.com/v1", "sandbox", "PayPal"},
		{"https://api-m.paypal.com", "live", "PayPal"},
		{"https://connect.squareupsandbox.com", "sandbox", "Square"},
		{"https://api.braintreegateway.com:443/merchants", "live", "Braintree"},
		{"https://key:x@api.sandbox.braintreegateway.com/merchants", "sandbox", "Braintree"},
		{"https://api.stripe.com/v1", "unknown", "Stripe"},
		{"https://sandbox.payments.example/v1", "sandbox", NULL},
		{"https://acme.io/sandbox", NULL, NULL},
		{"https://acme.io", NULL, NULL},
		{"sk_live_", NULL, NULL},
		{"live_stream", NULL, NULL},
		{"", NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *service = "untouched", *mode = endpoint_mode(slice_of(cases[i].value), &service);
		assert_int_equal(mode == NULL, cases[i].mode == NULL);
		assert_int_equal(service == NULL, cases[i].service == NULL);
		if (mode)
			assert_string_equal(mode, cases[i].mode);
		if (service)
			assert_string_equal(service, cases[i].service);
	}
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; collectors[i]; i++) {
		assert_true(i == 0 || strcmp(collectors[i - 1]->dimension, collectors[i]->dimension) < 0);
		assert_non_null(collectors[i]->run);
		for (const struct collect_fact *fact = collectors[i]->facts; fact->key; fact++) {
			assert_true(slice_is(fact_dimension(slice_of(fact->key)), collectors[i]->dimension));
			assert_true(fact->kind && fact->text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
