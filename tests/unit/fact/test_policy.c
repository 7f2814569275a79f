/* Claims about rules and the shipped policy: every key has a row, every row can be read,
 * quick matching is plain matching, and the page in docs/reference is what the rows print. */
#include "fact/rule.h"

#include "base/fd.h"

#include "../cmocka_base.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static void the_page_is_current(void **state)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1)), expected = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	const char *slash = strrchr(__FILE__, '/');
	char path[4096];
	(void)state;
	policy_print(&text);
	assert_false(text.overflow);
	snprintf(path, sizeof(path), "%.*s/../../../docs/reference/parity-policy.md", (int)(slash - __FILE__),
		 __FILE__);
	if (getenv("LOCKSTEP_UPDATE_DOCS")) {
		assert_int_equal(file_replace_at(AT_FDCWD, path, buf_slice(&text), 0644, &err), 0);
		return;
	}
	if (file_read_at(AT_FDCWD, path, &expected, &err))
		fail_msg("%s", err.text);
	assert_string_equal(buf_str(&text), buf_str(&expected));
}

static void every_row_says_why(void **state)
{
	(void)state;
	assert_string_equal(policy_rules[0].fact, "*");
	for (size_t i = 0; i < policy_rule_count; i++) {
		const struct rule *rule = &policy_rules[i];
		if (!rule->text || !rule->text[0] || !rule_kind_name(rule->kind))
			fail_msg("%s has no text or kind", rule->fact);
		if ((rule->kind == RULE_IGNORE) != (rule->severity == SEVERITY_NONE))
			fail_msg("%s: a severity is for what can be broken", rule->fact);
		if (strchr(rule->text, '|') || (rule->advice && strchr(rule->advice, '|')))
			fail_msg("%s would break the table", rule->fact);
		for (size_t k = 0; k < i; k++)
			if (strcmp(policy_rules[k].fact, rule->fact) == 0)
				fail_msg("%s is there twice", rule->fact);
	}
}

static const char *const keys[] = {
	"os/release/version",
	"os/timezone/name",
	"os/clock/offset/state",
	"os/clock/offset/rounded",
	"hw/cpu/count",
	"hw/memory/total",
	"hw/mount//var/type",
	"runtime/php/version",
	"runtime/php/ext/intl",
	"pkg/php8.3-intl/version",
	"pkg/vim/version",
	"env/DB_PASSWORD/value",
	"env/DB_PASSWORD/present",
	"env/LOG_LEVEL/value",
	"env/NODE_ENV/value",
	"file/app/Pay.php/content",
	"file/.env/content",
	"file/app/Pay.php/mode",
	"db/main/server/version",
	"db/main/table/users/column/email/type",
	"db/main/setting/work_mem/value",
	"db/main/migration/rails/applied",
	"net/firewall/INPUT/rules",
	"dns/shop.test/addresses",
	"shape/web/servers",
	"tls/shop.test:443/fingerprint",
	"tls/shop.test:443/protocol",
	"http/https://{host}/up/status",
	"unit/shop.service/enabled",
	"container/web/image_id",
	"endpoint/STRIPE/mode",
	"strange/thing",
	"env/X",
	"file/x/kept",
};

static const struct rule *naive(const struct rule *rules, size_t count, struct slice key)
{
	const struct rule *last = NULL;

	for (size_t i = 0; i < count; i++)
		if (slice_glob_match(slice_of(rules[i].fact), key))
			last = &rules[i];
	return last;
}

static void quick_matching_is_plain_matching(void **state)
{
	static const struct rule own[] = {
		{.fact = "*"},
		{.fact = "os/*"},
		{.fact = "*/version"},
		{.fact = "env/*_*/value"},
		{.fact = "hw/cpu/count"},
		{.fact = "o?/timezone/*"},
		{.fact = "[fh]*/*"},
		{.fact = "file/app/*.php/mode"},
		{.fact = "db/*/table/*"},
		{.fact = "tls/*:443/*"},
		{.fact = "strange/thing*"},
	};
	AUTO(rule_book_free) struct rule_book *book = rule_book_new(own, ARRAY_LEN(own), 0);
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct slice key = slice_of(keys[i]);
		assert_ptr_equal(rule_book_policy(book, key), naive(policy_rules, policy_rule_count, key));
		assert_ptr_equal(rule_book_own(book, key), naive(own, ARRAY_LEN(own), key));
	}
}

static void expect(const char *key, enum rule_kind kind)
{
	AUTO(rule_book_free) struct rule_book *book = rule_book_new(NULL, 0, 0);
	const struct rule *rule = rule_book_policy(book, slice_of(key));

	if (rule->kind != kind)
		fail_msg("%s: %s by %s", key, rule_kind_name(rule->kind), rule->fact);
}

static void a_first_run_is_useful(void **state)
{
	(void)state;
	expect("os/release/version", RULE_SAME);
	expect("os/kernel/version", RULE_MAJOR);
	expect("os/clock/offset/rounded", RULE_IGNORE);
	expect("os/clock/offset/state", RULE_SAME);
	expect("hw/cpu/count", RULE_IGNORE);
	expect("hw/memory/total", RULE_RATIO);
	expect("runtime/php/ext/intl", RULE_SAME);
	expect("env/SENTRY_DSN/present", RULE_PRESENT);
	expect("env/LOG_LEVEL/value", RULE_PRESENT);
	expect("env/NODE_ENV/value", RULE_SAME);
	expect("env/APP_DEBUG/value", RULE_SAME);
	expect("env/DB_PASSWORD/value", RULE_UNIQUE);
	expect("env/SECRET_KEY_BASE/value", RULE_UNIQUE);
	expect("env/DATABASE_URL/value", RULE_UNIQUE);
	expect("env/DB_PASSWORD/present", RULE_PRESENT);
	expect("env/PATH/value", RULE_IGNORE);
	expect("file/app/Pay.php/content", RULE_SAME);
	expect("db/main/server/version", RULE_MINOR);
	expect("db/main/table/users/column/email/type", RULE_SAME);
	expect("tls/shop.test:443/fingerprint", RULE_IGNORE);
	expect("tls/shop.test:443/days_left", RULE_AT_LEAST);
	expect("pkg/php8.3-fpm/changed_files", RULE_SAME);
	expect("endpoint/STRIPE/mode", RULE_LIVE_ONLY_IN);
	expect("whatever/else", RULE_SAME);
}

static void names_are_read_back(void **state)
{
	(void)state;
	for (int i = SEVERITY_LOW; i <= SEVERITY_CRITICAL; i++)
		assert_int_equal(severity_parse(slice_of(severity_name((enum severity)i))), i);
	assert_int_equal(severity_parse(SLICE("none")), SEVERITY_NONE);
	for (int i = RULE_SAME; i <= RULE_AT_LEAST; i++)
		assert_non_null(rule_kind_name((enum rule_kind)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_current),
		cmocka_unit_test(every_row_says_why),
		cmocka_unit_test(quick_matching_is_plain_matching),
		cmocka_unit_test(a_first_run_is_useful),
		cmocka_unit_test(names_are_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
