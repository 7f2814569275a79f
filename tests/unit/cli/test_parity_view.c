/* Claims about reading a parity result. */
#include "cli/parity_view.h"
#include "cli/report.h"

#include "../cmocka_base.h"

static void keys_have_short_names(void **state)
{
	static const struct {
		const char *key, *area, *name;
	} cases[] = {
		{"env/SENTRY_DSN/value", "env", "SENTRY_DSN"},
		{"env/SENTRY_DSN/file", "env", "SENTRY_DSN file"},
		{"runtime/php/ext/intl", "php", "ext-intl"},
		{"runtime/php/version", "php", "version"},
		{"file/app/Pay.php/content", "file", "app/Pay.php"},
		{"file/app/Pay.php/mode", "file", "app/Pay.php mode"},
		{"db/main/table/orders/column/vat/type", "db", "orders.vat"},
		{"db/main/table/orders/column/vat/null", "db", "orders.vat null"},
		{"db/main/table/orders/index/orders_pkey/valid", "db", "orders index orders_pkey valid"},
		{"db/stats/server/version", "db", "stats server"},
		{"os/release/version", "os", "release"},
		{"pkg/libssl3/version", "pkg", "libssl3"},
		{"os", "os", ""},
		{"", "", ""},
	};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct parity_view view = {.arena = &arena};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *area, *name = parity_key_name(&view, cases[i].key, &area);
		assert_string_equal(area, cases[i].area);
		assert_string_equal(name, cases[i].name);
	}
}

static void places_are_called_by_their_host(void **state)
{
	static const struct {
		const char *place, *host;
	} cases[] = {
		{"deploy@stg:/var/www/shop", "stg"},
		{"stg:shop", "stg"},
		{"ssh://deploy@stg.acme.io:2222/srv", "stg.acme.io"},
		{"staging", "staging"},
		{".", "."},
		{"local:///srv/shop", "local:///srv/shop"},
		{"release:3fa9c1d20b7e", "release:3fa9c1d20b7e"},
		{"deploy@[2001:db8::1]:/srv", "deploy@[2001:db8::1]:/srv"},
		{"/srv/shop", "/srv/shop"},
		{"", ""},
	};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(parity_host(&arena, cases[i].place), cases[i].host);
}

/* Two places on one host keep their whole names. */
static void labels_stay_apart(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(json_free)
	json_t *result = json_pack("{s:[{s:s}, {s:s}], s:s}", "environments", "name", "a@h:/x", "name",
				   "a@h:/y", "reference", "a@h:/y");
	struct parity_view view;
	(void)state;
	parity_view_open(&arena, result, &view);
	assert_int_equal(view.environment_count, 2);
	assert_int_equal(view.reference, 1);
	assert_string_equal(view.labels[0], "a@h:/x");
	assert_string_equal(view.labels[1], "a@h:/y");
}

static void gaps_are_grouped_by_reason_most_rows_first(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(json_free)
	json_t *result = json_pack("{s:[{s:s, s:s, s:i}, {s:s, s:s, s:i, s:s}, {s:s, s:s, s:i}]}",
				   "not_checked", "key", "net/firewall/", "why", "needs root (nft)", "rows",
				   3, "key", "db/", "why", "odd", "rows", 40, "advice", "own advice", "key",
				   "cron/", "why", "needs root (nft)", "rows", 4);
	struct parity_view view;
	(void)state;
	parity_view_open(&arena, result, &view);
	assert_int_equal(view.gap_group_count, 2);
	assert_string_equal(view.gap_groups[0].why, "odd");
	assert_string_equal(view.gap_groups[0].advice, "own advice");
	assert_int_equal(view.gap_groups[1].count, 2);
	assert_int_equal(view.gap_groups[1].rows, 7);
	assert_non_null(strstr(view.gap_groups[1].advice, "root"));
}

static void every_format_has_a_name_of_its_own_and_is_found(void **state)
{
	size_t count = 0;
	(void)state;
	for (; report_formats[count]; count++) {
		assert_ptr_equal(report_format_find(report_formats[count]->name), report_formats[count]);
		assert_non_null(strchr(report_formats[count]->media_type, '/'));
		assert_true(*report_formats[count]->summary);
	}
	assert_int_equal(count, 3);
	assert_null(report_format_find("pdf"));
	assert_null(report_format_find(""));
}

static void text_in_markup_is_only_text(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"<b a='1' c=\"2\">&amp;", "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;"},
		{"]]>", "]]&gt;"},
		{"a\nb\r", "a&#10;b\\x0d"},
		{"\x1b[0m\x01", "\\x1b[0m\\x01"},
		{"\xEF\xBF\xBE.\xEF\xBF\xBF.\xEF\xBF\xBD", "\xEF\xBF\xBD.\xEF\xBF\xBD.\xEF\xBF\xBD"},
		{"\xFF", "\\xff"},
		{"", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(200);
		report_put_text(&out, cases[i].text);
		assert_string_equal(buf_str(&out), cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_have_short_names),
		cmocka_unit_test(places_are_called_by_their_host),
		cmocka_unit_test(labels_stay_apart),
		cmocka_unit_test(gaps_are_grouped_by_reason_most_rows_first),
		cmocka_unit_test(every_format_has_a_name_of_its_own_and_is_found),
		cmocka_unit_test(text_in_markup_is_only_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
