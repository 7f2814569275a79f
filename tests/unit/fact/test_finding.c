/* Claims about findings: one cause is one finding, in words, with a cause, an identity and
 * a rank; what was not looked at is told. */
#include "snap.h"

#include "fact/finding.h"

#include <stdlib.h>

struct gathered {
	struct arena arena;
	struct bench bench;
	struct findings findings;
};

static void gathered_free(struct gathered *gathered)
{
	bench_free(&gathered->bench);
	arena_free(&gathered->arena);
}

static void gather(struct gathered *gathered, const struct snap *snaps, size_t count, const struct rule *own,
		   size_t own_count)
{
	struct err err = ERR_INIT;

	gathered->arena = ARENA_INIT;
	bench_set(&gathered->bench, snaps, count, "production", own, own_count);
	if (findings_gather(&gathered->arena, &gathered->bench.input, &gathered->findings, &err))
		fail_msg("%s", err.text);
}

static const struct finding *find(const struct gathered *gathered, const char *key)
{
	for (size_t i = 0; i < gathered->findings.count; i++)
		if (strcmp(gathered->findings.items[i].key, key) == 0)
			return &gathered->findings.items[i];
	for (size_t i = 0; i < gathered->findings.count; i++)
		print_message("# there is %s: %s\n", gathered->findings.items[i].key,
			      gathered->findings.items[i].text);
	fail_msg("no finding on %s", key);
	return NULL;
}

static void assert_begins(const char *text, const char *with)
{
	if (strncmp(text, with, strlen(with)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", text, with);
}

#define TWO(a, b)                                                                                            \
	{                                                                                                    \
		{.environment = "staging", .facts = (a)}, {.environment = "production", .facts = (b)},       \
	}

static void the_example_of_the_first_page(void **state)
{
	static const struct snap snaps[] =
		TWO("runtime/php/ext/intl=8.3.6\nfile/app/Pay.php/content=one\ndb/main/table/orders/column/"
		    "vat/type=int\n"
		    "db/main/table/orders/kind=table\nenv/A/present=yes\nos/timezone=UTC",
		    "env/SENTRY_DSN/present=yes\n%env/SENTRY_DSN/value=x\nfile/app/Pay.php/content=two\n"
		    "~file/app/Pay.php/edited=3 Nov, owner deploy\nenv/A/present=yes\n"
		    "db/main/table/orders/kind=table\nruntime/php/version=8.3.6\nos/timezone=UTC");
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, NULL, 0);
	const struct finding *sentry = find(&gathered, "env/SENTRY_DSN/");
	assert_int_equal(sentry->direction, FINDING_REFERENCE_HAS);
	assert_int_equal(sentry->severity, SEVERITY_HIGH);
	assert_int_equal(sentry->folded, 1);
	assert_begins(sentry->text,
		      "staging lacks SENTRY_DSN, which production has (2 facts). Code that reads");
	assert_begins(sentry->advice, "set SENTRY_DSN where the values of staging come from");
	assert_int_equal(sentry->cell_count, 2);
	assert_string_equal(sentry->cells[0].text, "missing");
	assert_string_equal(sentry->cells[0].environment, "staging");
	assert_null(sentry->cells[0].server);
	const struct finding *intl = find(&gathered, "runtime/php/ext/intl");
	assert_int_equal(intl->direction, FINDING_REFERENCE_LACKS);
	assert_begins(intl->text, "production lacks runtime/php/ext/intl, which staging has.");
	assert_string_equal(intl->cells[0].text, "8.3.6");
	assert_string_equal(intl->cells[1].text, "missing");
	assert_begins(intl->advice, "install the extension intl on production");
	const struct finding *pay = find(&gathered, "file/app/Pay.php/content");
	assert_string_equal(pay->cause, "3 Nov, owner deploy (production)");
	assert_int_equal(pay->direction, FINDING_DIFFERS);
	assert_begins(pay->text, "app/Pay.php is one in staging and two in production.");
	find(&gathered, "db/main/table/orders/column/vat/type");
	assert_int_equal(gathered.findings.count, 5); /* and php's version */
	assert_string_equal(gathered.findings.reference, "production");
	assert_int_equal(gathered.findings.totals.same, 3);
}

static void environments_made_alike_have_no_findings(void **state)
{
	static const char facts[] =
		"os/release/version=12\n!net/firewall/=needs root\n%env/DB_PASSWORD/value=";
	AUTO(buf_free) struct buf a = BUF_INIT(1000), b = BUF_INIT(1000);
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	buf_printf(&a, "%sx\n#hw/memory/total=4 GB\nhw/cpus=2", facts);
	buf_printf(&b, "%sy\n#hw/memory/total=16 GB\nhw/cpus=8", facts);
	const struct snap snaps[] = TWO(buf_str(&a), buf_str(&b));
	gather(&gathered, snaps, 2, NULL, 0);
	assert_int_equal(gathered.findings.count, 0);
	assert_int_equal(gathered.findings.gap_count, 2);
	assert_int_equal(gathered.findings.totals.allowed, 3);
}

static void a_missing_tree_is_one_finding(void **state)
{
	static const struct snap snaps[] =
		TWO("db/main/table/orders/kind=table\nfile/app/a.php/content=x\nfile/app/old/y/content=1",
		    "db/main/fingerprint/schema=x\ndb/main/table/orders/kind=table\n"
		    "db/main/table/outbox/column/id/null=no\ndb/main/table/outbox/column/id/type=int\n"
		    "db/main/table/outbox/index/pk/definition=x\ndb/main/table/outbox/kind=table\n"
		    "file/app/a.php/content=x\nfile/app/new/b.php/content=x\nfile/app/new/b.php/mode=0644\n"
		    "file/app/new/c/d.php/content=x\nfile/zed/content=x");
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, NULL, 0);
	assert_int_equal(find(&gathered, "db/main/table/outbox/")->folded, 4); /* and the fingerprint */
	assert_begins(find(&gathered, "db/main/table/outbox/")->text,
		      "staging lacks db/main/table/outbox/, which production has");
	assert_int_equal(find(&gathered, "file/app/new/")->folded, 2);
	assert_begins(find(&gathered, "file/app/new/")->text,
		      "staging lacks app/new, which production has (3 facts)");
	/* One single fact keeps its own name. */
	assert_int_equal(find(&gathered, "file/zed/content")->folded, 0);
	find(&gathered, "file/app/old/y/content");
	assert_int_equal(gathered.findings.count, 4);
}

static void a_missing_tree_tells_the_project_s_own_rule(void **state)
{
	static const struct rule own[] = {{.fact = "runtime/php/path",
					   .kind = RULE_SAME,
					   .severity = SEVERITY_CRITICAL,
					   .reason = "cron calls it by its path"}};
	static const struct snap snaps[] =
		TWO("os/timezone=UTC",
		    "os/timezone=UTC\nruntime/php/ext/intl=8.3.6\nruntime/php/path=/usr/bin/php\n"
		    "runtime/php/version=8.3.6");
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, own, ARRAY_LEN(own));
	const struct finding *php = find(&gathered, "runtime/php/");
	assert_int_equal(php->severity, SEVERITY_CRITICAL);
	assert_int_equal(php->folded, 2);
	assert_non_null(strstr(php->text, "The project demands `same` of it: cron calls it by its path."));
}

static void files_of_a_changed_package_are_told_by_it(void **state)
{
	AUTO(buf_free) struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	for (int i = 0; i < 40; i++) {
		buf_printf(&a, "file//usr/lib/ssl/f%d/content=old\n~file//usr/lib/ssl/f%d/package=libssl3\n",
			   i, i);
		buf_printf(&b, "file//usr/lib/ssl/f%d/content=new\n~file//usr/lib/ssl/f%d/package=libssl3\n",
			   i, i);
	}
	buf_puts(&a, "pkg/libssl3/version=3.0.1");
	buf_puts(&b, "pkg/libssl3/version=3.0.2\n~pkg/libssl3/upgraded=2026-11-03 by apt");
	const struct snap snaps[] = TWO(buf_str(&a), buf_str(&b));
	gather(&gathered, snaps, 2, NULL, 0);
	assert_int_equal(gathered.findings.count, 1);
	const struct finding *finding = find(&gathered, "pkg/libssl3/version");
	assert_int_equal(finding->folded, 40);
	assert_string_equal(finding->cause, "upgraded 2026-11-03 by apt (production)");
}

static void a_crowd_is_one_finding_but_not_who_was_edited(void **state)
{
	AUTO(buf_free) struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	for (int i = 0; i < 500; i++) {
		buf_printf(&a, "file/app/f%d.php/content=old\n", i);
		buf_printf(&b, "file/app/f%d.php/content=new\n", i);
	}
	buf_puts(&b, "~file/app/f77.php/edited=by hand");
	const struct snap snaps[] = TWO(buf_str(&a), buf_str(&b));
	gather(&gathered, snaps, 2, NULL, 0);
	assert_int_equal(gathered.findings.count, 2);
	assert_int_equal(find(&gathered, "file/")->folded, 498);
	assert_string_equal(find(&gathered, "file/app/f77.php/content")->cause, "by hand (production)");
	assert_int_equal(gathered.findings.totals.drift, 500);
}

static void what_git_may_not_have_is_not_called_as_in_git(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "dev",
		 .facts = "~file/./put_by=git\nfile/a.php/content=one\nfile/b.php/content=one"},
		{.environment = "production",
		 .facts = "~file/./put_by=git\n~file/./times=left out\nfile/a.php/content=two\n"
			  "~file/a.php/edited=3 Nov\nfile/b.php/content=two"},
	};
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, NULL, 0);
	assert_string_equal(find(&gathered, "file/a.php/content")->cells[0].text, "as in git");
	assert_string_equal(find(&gathered, "file/a.php/content")->cells[1].text, "3 Nov");
	assert_string_equal(find(&gathered, "file/b.php/content")->cells[1].text, "two");
}

static void only_an_edit_where_we_deployed_can_be_accepted(void **state)
{
	static const struct {
		const char *environment, *by;
		bool ours;
	} cases[] = {
		{"dev", "lockstep", true},
		{"dev", "git", false},
		{"deploy@dev:/var/www/shop", "lockstep", false},
		{".", "lockstep", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf facts = BUF_INIT(1000);
		AUTO(gathered_free) struct gathered gathered;
		buf_printf(&facts, "~file/./put_by=%s\nfile/a.php/content=one\n~file/a.php/edited=3 Nov",
			   cases[i].by);
		const struct snap snaps[] = {
			{.environment = cases[i].environment, .facts = buf_str(&facts)},
			{.environment = "production",
			 .facts = "~file/./put_by=lockstep\nfile/a.php/content=two"},
		};
		gather(&gathered, snaps, 2, NULL, 0);
		const char *advice = find(&gathered, "file/a.php/content")->advice;
		assert_true((strstr(advice, "lockstep accept") != NULL) == cases[i].ours);
		assert_true((strstr(advice, "git checkout") != NULL) != cases[i].ours);
	}
}

static void an_endpoint_is_told_by_its_variable(void **state)
{
	static const struct snap snaps[] =
		TWO("env/A/present=yes", "env/A/present=yes\nenv/STRIPE_SECRET/present=yes\n"
					 "endpoint/STRIPE_SECRET/host=api\n"
					 "endpoint/STRIPE_SECRET/mode=live");
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, NULL, 0);
	assert_int_equal(gathered.findings.count, 1);
	assert_int_equal(find(&gathered, "env/STRIPE_SECRET/present")->folded, 2);
}

static void shared_credentials_and_wrong_modes(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "dev", .facts = "%env/DB_PASSWORD/value=p\nendpoint/STRIPE/mode=live"},
		{.environment = "staging", .facts = "%env/DB_PASSWORD/value=q\nendpoint/STRIPE/mode=test"},
		{.environment = "production", .facts = "%env/DB_PASSWORD/value=p\nendpoint/STRIPE/mode=live"},
	};
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 3, NULL, 0);
	const struct finding *password = find(&gathered, "env/DB_PASSWORD/value");
	assert_begins(password->text, "DB_PASSWORD is the same in dev and production.");
	assert_string_equal(password->cells[0].text, "value A");
	assert_string_equal(password->cells[1].text, "value B");
	assert_string_equal(password->cells[2].text, "value A");
	const struct finding *stripe = find(&gathered, "endpoint/STRIPE/mode");
	assert_int_equal(stripe->severity, SEVERITY_CRITICAL);
	assert_int_equal(stripe->cells[0].state, CELL_DRIFT);
	assert_int_equal(gathered.findings.count, 2);
}

static void servers_that_differ_are_listed(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging", .server = "s1", .facts = "runtime/php/version=8.3"},
		{.environment = "production", .server = "p1", .facts = "runtime/php/version=8.3"},
		{.environment = "production", .server = "p2", .facts = "runtime/php/version=8.2"},
	};
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 3, NULL, 0);
	const struct finding *finding = find(&gathered, "runtime/php/version");
	assert_int_equal(finding->kind, FINDING_WITHIN);
	assert_begins(finding->text, "servers of production differ in runtime/php/version.");
	assert_int_equal(finding->cell_count, 3);
	assert_null(finding->cells[0].server);
	assert_string_equal(finding->cells[2].server, "p2");
	assert_string_equal(finding->cells[2].text, "8.2");
}

static void rules_that_lapsed_or_are_not_needed(void **state)
{
	static const char *const elsewhere[] = {"demo"};
	static const struct rule own[] = {
		{.fact = "os/timezone", .kind = RULE_IGNORE, .until_ms = SNAP_NOW, .where = "lockstep.yml:4"},
		{.fact = "os/locale", .kind = RULE_IGNORE, .where = "lockstep.yml:5"},
		{.fact = "runtime/*", .kind = RULE_MINOR},
		{.fact = "hw/*", .kind = RULE_IGNORE},		       /* the policy allows it anyway */
		{.fact = "net/firewall/x", .kind = RULE_IGNORE},       /* was not checked */
		{.fact = "unit/*", .kind = RULE_SAME},		       /* demands, allows nothing */
		{.fact = "hw/cpus", .kind = RULE_RATIO, .ratio = 0.1}, /* tightens the policy */
		{.fact = "os/locale*", .kind = RULE_PRESENT},	       /* needs nobody's leave */
		{.fact = "os/demo", .kind = RULE_IGNORE, .environments = elsewhere, .environment_count = 1},
		{.fact = "env/DB_PASSWORD/*",
		 .kind = RULE_IGNORE}, /* equal, which the policy does not want */
	};
	static const struct snap snaps[] = TWO("os/timezone=UTC\nos/locale=C\nruntime/php/version=8.3.1\nhw/"
					       "cpus=1\n!net/=no\n%env/DB_PASSWORD/value=x",
					       "os/timezone=CET\nos/locale=C\nruntime/php/version=8.3.2\nhw/"
					       "cpus=2\n!net/=no\n%env/DB_PASSWORD/value=x");
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, own, ARRAY_LEN(own));
	const struct finding *lapsed = find(&gathered, "os/timezone");
	assert_int_equal(lapsed->kind, FINDING_LAPSED);
	assert_int_equal(lapsed->severity, SEVERITY_HIGH);
	assert_begins(lapsed->text,
		      "the leave for os/timezone (lockstep.yml:4) is over: os/timezone is UTC in staging");
	const struct finding *locale = find(&gathered, "os/locale");
	assert_int_equal(locale->kind, FINDING_UNNEEDED);
	assert_begins(locale->text, "lockstep.yml:5 allows os/locale to differ, and nothing it matches does");
	assert_int_equal(find(&gathered, "hw/*")->kind, FINDING_UNNEEDED);
	assert_int_equal(gathered.findings.count, 3);
}

static void nothing_is_called_unneeded_when_not_all_was_looked_at(void **state)
{
	static const struct rule own[] = {{.fact = "os/locale", .kind = RULE_IGNORE}};
	static const struct snap snaps[] = TWO("os/locale=C", "os/locale=C");
	struct arena arena = ARENA_INIT;
	struct findings findings;
	struct err err = ERR_INIT;
	AUTO(bench_free) struct bench bench;
	(void)state;
	bench_set(&bench, snaps, 2, "production", own, 1);
	bench.input.partial = true;
	assert_int_equal(findings_gather(&arena, &bench.input, &findings, &err), 0);
	assert_int_equal(findings.count, 0);
	arena_free(&arena);
}

static void identity_does_not_depend_on_order_or_number_of_servers(void **state)
{
	static const struct snap one[] = {
		{.environment = "dev", .facts = "os/timezone=A"},
		{.environment = "staging", .facts = "os/timezone=A"},
		{.environment = "production", .facts = "os/timezone=B"},
	};
	static const struct snap other[] = {
		{.environment = "production", .server = "p1", .facts = "os/timezone=B"},
		{.environment = "production", .server = "p2", .facts = "os/timezone=B"},
		{.environment = "staging", .facts = "os/timezone=B"},
		{.environment = "dev", .facts = "os/timezone=C\nos/locale=C"},
	};
	AUTO(gathered_free) struct gathered a, b;
	(void)state;
	gather(&a, one, 3, NULL, 0);
	gather(&b, other, 4, NULL, 0);
	assert_int_equal(strlen(find(&a, "os/timezone")->id), 12);
	assert_string_equal(find(&a, "os/timezone")->id, find(&b, "os/timezone")->id);
	assert_string_not_equal(find(&b, "os/locale")->id, find(&b, "os/timezone")->id);
}

static void gaps_are_told_by_reason(void **state)
{
	static const struct snap snaps[] = {
		{.environment = "staging",
		 .server = "s1",
		 .facts = "!net/firewall/=needs root\n!file/a/content=denied\n!file/b/content=denied"},
		{.environment = "production",
		 .server = "p1",
		 .facts = "!net/firewall/=needs root\nfile/a/content=1\nfile/b/content=1"},
		{.environment = "production",
		 .server = "p2",
		 .facts = "net/firewall/in/rules=x\nfile/a/content=1\nfile/b/content=1"},
		{.environment = "dev", .server = "d1", .stale = true, .facts = ""},
	};
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 4, NULL, 0);
	assert_int_equal(gathered.findings.count, 0);
	assert_int_equal(gathered.findings.gap_count, 4);
	const struct gap *gaps = gathered.findings.gaps;
	assert_string_equal(gaps[0].key, "*");
	assert_string_equal(gaps[0].environment, "dev");
	assert_string_equal(gaps[1].key, "file/");
	assert_int_equal(gaps[1].rows, 2);
	assert_string_equal(gaps[1].why, "denied");
	assert_null(gaps[1].server);
	assert_string_equal(gaps[2].key, "net/firewall/");
	assert_string_equal(gaps[2].server, "p1");
	assert_string_equal(gaps[3].environment, "staging");
}

static bool reads_sentry(void *context, struct slice key, const char **why_out)
{
	(void)context;
	*why_out = "app/Pay.php reads it";
	return slice_starts_with(key, "env/LOG");
}

static void the_rank_says_its_reasons(void **state)
{
	static const struct snap snaps[] = TWO("runtime/php/version=1\nos/x=1\nendpoint/S/mode=live",
					       "env/LOG/present=yes\nenv/ZED/present=yes\n"
					       "runtime/php/version=2\nos/x=2\nendpoint/S/mode=live");
	static const struct pending pending = {.touches = reads_sentry};
	AUTO(gathered_free) struct gathered gathered;
	(void)state;
	gather(&gathered, snaps, 2, NULL, 0);
	for (size_t i = 0; i < gathered.findings.count; i++)
		gathered.findings.items[i].first_seen_ms = (int64_t)1000 * 86400 * 1000;
	findings_rank(&gathered.arena, &gathered.findings, &pending, (int64_t)1012 * 86400 * 1000);
	const struct finding *items = gathered.findings.items;
	assert_string_equal(items[0].key, "env/LOG/present");
	assert_string_equal(items[0].why,
			    "high; app/Pay.php reads it; production has it, others lack it: nobody "
			    "tests with it; 12 days");
	assert_string_equal(items[1].key, "endpoint/S/mode");
	assert_string_equal(items[2].key, "env/ZED/present");
	assert_string_equal(items[4].key, "os/x");
	for (size_t i = 1; i < gathered.findings.count; i++)
		assert_true(items[i - 1].score >= items[i].score);
}

static void sets_are_told_by_what_is_more(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct bench bench;
	struct findings findings;
	struct err err = ERR_INIT;
	static const struct snap snaps[] = TWO("", "");
	(void)state;
	bench_set(&bench, snaps, 2, "production", NULL, 0);
	for (int i = 0; i < 2; i++) {
		AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(1 << 20);
		assert_int_equal(fact_add(&list, SLICE("db/main/migration/rails/applied"), FACT_SET,
					  i ? SLICE("1\0002\0003\000") : SLICE("1\0003\0004\000"), &err),
				 0);
		fact_reader_free(&bench.columns[i].reader);
		buf_clear(&bench.bytes[i]);
		snap_write(&list, &bench.bytes[i]);
		bench.columns[i].reader = fact_reader_of_bytes(buf_slice(&bench.bytes[i]));
	}
	assert_int_equal(findings_gather(&arena, &bench.input, &findings, &err), 0);
	assert_int_equal(findings.count, 1);
	assert_begins(findings.items[0].text,
		      "db/main/migration/rails/applied: staging has 4 where production has 2.");
	bench_free(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_first_page),
		cmocka_unit_test(environments_made_alike_have_no_findings),
		cmocka_unit_test(a_missing_tree_is_one_finding),
		cmocka_unit_test(a_missing_tree_tells_the_project_s_own_rule),
		cmocka_unit_test(files_of_a_changed_package_are_told_by_it),
		cmocka_unit_test(a_crowd_is_one_finding_but_not_who_was_edited),
		cmocka_unit_test(what_git_may_not_have_is_not_called_as_in_git),
		cmocka_unit_test(only_an_edit_where_we_deployed_can_be_accepted),
		cmocka_unit_test(an_endpoint_is_told_by_its_variable),
		cmocka_unit_test(shared_credentials_and_wrong_modes),
		cmocka_unit_test(servers_that_differ_are_listed),
		cmocka_unit_test(rules_that_lapsed_or_are_not_needed),
		cmocka_unit_test(nothing_is_called_unneeded_when_not_all_was_looked_at),
		cmocka_unit_test(identity_does_not_depend_on_order_or_number_of_servers),
		cmocka_unit_test(gaps_are_told_by_reason),
		cmocka_unit_test(the_rank_says_its_reasons),
		cmocka_unit_test(sets_are_told_by_what_is_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
