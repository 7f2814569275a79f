/* Claims about finding secrets. The keys here are put together when the test runs, so
 * that no scanner finds them in this file. */
#include "scan/scan.h"

#include "../cmocka_base.h"

static struct arena arena;
static struct scan_findings findings;

static size_t scan(const char *path, const char *text)
{
	findings = (struct scan_findings){.arena = &arena};
	scan_bytes(&findings, slice_of(path), slice_of(text));
	return findings.count;
}

static const char *join(const char *a, const char *b)
{
	return arena_printf(&arena, "%s%s", a, b);
}

static void known_keys_are_found_and_masked(void **state)
{
	(void)state;
	const char *key = join("sk_"
			       "live_",
			       "51HqLyjWDarjtT1zdp7dcKx9");
	assert_int_equal(scan("app/pay.php", arena_printf(&arena, "<?php\n\n$key = '%s';\n", key)), 1);
	assert_string_equal(findings.items[0].rule, "stripe-live");
	assert_int_equal(findings.items[0].environment, SCAN_LIVE);
	assert_int_equal(findings.items[0].line, 3);
	assert_null(strstr(findings.items[0].shown, "HqLyj"));
	/* A live key is one also in a test. */
	assert_int_equal(scan("tests/pay.php", key), 1);
	assert_int_equal(scan("a.js", join("AKIA", "Q3EGRIPZ7WLMN2KX")), 1);
	assert_int_equal(scan("a.js", join("prefixAKIA", "Q3EGRIPZ7WLMN2KX")), 0);
	assert_int_equal(scan("a.js", join("AKIA", "IOSFODNN7EXAMPLE")), 0);
}

static void a_check_sum_decides(void **state)
{
	(void)state;
	/* An example of the check sum that has been published. */
	assert_int_equal(scan("a.sh", join("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17")), 1);
	assert_int_equal(scan("a.sh", join("ghp_", "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18")), 0);
}

static void entropy_counts_under_a_name_that_speaks_of_a_secret(void **state)
{
	static const char value[] = "q8ZkT2vN7xLr4WpB9sYd";
	(void)state;
	assert_int_equal(scan("config/prod.env", arena_printf(&arena, "DB_PASSWORD=%s\n", value)), 1);
	assert_string_equal(findings.items[0].shown, "DB_PASSWORD");
	assert_int_equal(scan("src/a.js", arena_printf(&arena, "const apiToken = \"%s\";\n", value)), 1);
	assert_int_equal(scan("src/a.js", arena_printf(&arena, "const colour = \"%s\";\n", value)), 0);
	assert_int_equal(scan("src/a.js", arena_printf(&arena, "const apiToken = %s;\n", value)), 0);
	assert_int_equal(scan("tests/a.js", arena_printf(&arena, "const apiToken = \"%s\";\n", value)), 0);
	assert_int_equal(scan("yarn.lock", arena_printf(&arena, "token = \"%s\"\n", value)), 0);
}

static void what_is_no_secret_does_not_alarm(void **state)
{
	static const char *const texts[] = {
		"password = \"your-password-goes-here-123\"\n",
		"API_KEY=${API_KEY}\n",
		"token: \"{{ vault_token_1234 }}\"\n",
		"secret = process.env.SECRET\n",
		"password: 'correct horse battery staple 12345'\n",
		"const key = '-----BEGIN RSA PRIVATE KEY-----';\n",
		"passwordHash: \"q8ZkT2vN7xLr4WpB9sYd\"\n",
		"sk_test_xxxxxxxxxxxxxxxxxxxxxxxx",
		"SECRET_KEY=aaaaaaaaaaaaaaaaaaaaaaaa1112\n",
		"",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (scan("config/app.env", texts[i]) != 0)
			fail_msg("%s: %s", texts[i], findings.items[0].rule);
}

static void private_keys_are_found_by_their_body(void **state)
{
	static const char line[] = "MIIEowIBAAKCAQEAv0n7Zk3J8q1pYw5xT2uL9cR4eB6mD7hF8gK1sA0jQ3oXyViN";
	(void)state;
	const char *block =
		arena_printf(&arena, "-----BEGIN %s KEY-----\n%s\n%s\n", "RSA PRIVATE", line, line);
	assert_int_equal(scan("deploy/id_rsa", block), 1);
	assert_int_equal(scan("tests/fixtures/id_rsa", block), 0);
}

static void an_exception_holds_until_its_day(void **state)
{
	const struct scan_allowed allowed[] = {{.path = "a*", .rule = "aws-key", .until_ms = 1000}};
	bool lapsed[1] = {false};
	(void)state;
	scan("a.js", join("AKIA", "Q3EGRIPZ7WLMN2KX"));
	scan_apply_allowed(&findings, allowed, 1, 1000, lapsed);
	assert_int_equal(findings.count, 1);
	assert_true(lapsed[0]);
	scan_apply_allowed(&findings, allowed, 1, 999, NULL);
	assert_int_equal(findings.count, 0);
}

/* Each row's own prefix leads to it: no row is hidden by another. */
static void rows_are_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < scan_rule_count; i++) {
		assert_true(strlen(scan_rules[i].prefix) >= 3 && scan_rules[i].least <= scan_rules[i].most);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(scan_rules[i].name, scan_rules[j].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_keys_are_found_and_masked),
		cmocka_unit_test(a_check_sum_decides),
		cmocka_unit_test(entropy_counts_under_a_name_that_speaks_of_a_secret),
		cmocka_unit_test(what_is_no_secret_does_not_alarm),
		cmocka_unit_test(private_keys_are_found_by_their_body),
		cmocka_unit_test(an_exception_holds_until_its_day),
		cmocka_unit_test(rows_are_sound),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
