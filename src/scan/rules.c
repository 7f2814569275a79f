/* The known formats of keys, one row each. */
#include "scan/scan.h"

static uint32_t crc32_of(struct slice bytes)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < bytes.len; i++) {
		crc ^= (uint8_t)bytes.ptr[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* GitHub and npm: the last six of 36 characters are the CRC-32 of the others, base 62. */
static bool checksum_github(struct slice rest)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint32_t crc = crc32_of(slice_make(rest.ptr, 30));

	for (size_t at = 36; at > 30; at--, crc /= 62)
		if (rest.ptr[at - 1] != digits[crc % 62])
			return false;
	return true;
}

#define ROW(rule, of, start, others, shortest, longest, where)                                               \
	{                                                                                                    \
		.name = rule, .service = of, .prefix = start, .more = others, .least = shortest,             \
		.most = longest, .environment = where                                                        \
	}
#define ROW_CHECKED(rule, of, start)                                                                         \
	{                                                                                                    \
		.name = rule, .service = of, .prefix = start, .more = "", .least = 36, .most = 36,           \
		.environment = SCAN_ANY, .check = checksum_github                                            \
	}

const struct scan_rule scan_rules[] = {
	ROW("aws-key", "AWS", "AKIA", "", 16, 16, SCAN_ANY),
	ROW("aws-session-key", "AWS", "ASIA", "", 16, 16, SCAN_ANY),
	ROW("digitalocean", "DigitalOcean", "dop_v1_", "", 64, 64, SCAN_ANY),
	ROW("doppler", "Doppler", "dp.pt.", "", 40, 44, SCAN_ANY),
	ROW("doppler-service", "Doppler", "dp.st.", "._-", 40, 80, SCAN_ANY),
	ROW("duffel-live", "Duffel", "duffel_live_", "_-=", 43, 43, SCAN_LIVE),
	ROW("duffel-test", "Duffel", "duffel_test_", "_-=", 43, 43, SCAN_TEST),
	ROW("easypost-live", "EasyPost", "EZAK", "", 54, 54, SCAN_LIVE),
	ROW("easypost-test", "EasyPost", "EZTK", "", 54, 54, SCAN_TEST),
	ROW("flutterwave-test", "Flutterwave", "FLWSECK_TEST-", "-", 12, 40, SCAN_TEST),
	ROW("flutterwave-live", "Flutterwave", "FLWSECK-", "-", 32, 40, SCAN_LIVE),
	ROW_CHECKED("github", "GitHub", "ghp_"),
	ROW_CHECKED("github-oauth", "GitHub", "gho_"),
	ROW_CHECKED("github-user", "GitHub", "ghu_"),
	ROW_CHECKED("github-server", "GitHub", "ghs_"),
	ROW("github-fine", "GitHub", "github_pat_", "_", 82, 82, SCAN_ANY),
	ROW("gitlab", "GitLab", "glpat-", "_-", 20, 20, SCAN_ANY),
	ROW("google-api", "Google", "AIzaSy", "_-", 33, 33, SCAN_ANY),
	ROW_CHECKED("npm", "npm", "npm_"),
	ROW("plaid-live", "Plaid", "access-production-", "-", 36, 36, SCAN_LIVE),
	ROW("plaid-test", "Plaid", "access-sandbox-", "-", 36, 36, SCAN_TEST),
	ROW("razorpay-live", "Razorpay", "rzp_live_", "", 14, 14, SCAN_LIVE),
	ROW("sendgrid", "SendGrid", "SG.", "._-", 66, 66, SCAN_ANY),
	ROW("shippo-live", "Shippo", "shippo_live_", "", 40, 40, SCAN_LIVE),
	ROW("shippo-test", "Shippo", "shippo_test_", "", 40, 40, SCAN_TEST),
	ROW("slack-bot", "Slack", "xoxb-", "-", 40, 80, SCAN_ANY),
	ROW("slack-user", "Slack", "xoxp-", "-", 60, 90, SCAN_ANY),
	ROW("stripe-live", "Stripe", "sk_live_", "", 24, 120, SCAN_LIVE),
	ROW("stripe-restricted-live", "Stripe", "rk_live_", "", 24, 120, SCAN_LIVE),
	ROW("stripe-test", "Stripe", "sk_test_", "", 24, 120, SCAN_TEST),
	ROW("vault", "Vault", "hvs.", "_-", 90, 120, SCAN_ANY),
	ROW("vault-batch", "Vault", "hvb.", "_-", 130, 300, SCAN_ANY),
	ROW("age-identity", "age", "AGE-SECRET-KEY-1", "", 58, 58, SCAN_ANY),
};
const size_t scan_rule_count = ARRAY_LEN(scan_rules);
