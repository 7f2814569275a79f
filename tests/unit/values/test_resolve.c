/* Precedence, ties, the names of config sets, and what the contract refuses. */
#include "support.h"
#include "values/resolve.h"

#include <time.h>

static struct candidate candidate(const char *name, enum value_level level, const char *scope,
				  const char *text)
{
	return (struct candidate){
		.name = name,
		.value = secret_of(slice_of(text)),
		.level = level,
		.scope = scope,
		.place = arena_printf(&arena, "%s:%s", value_level_name(level), text),
	};
}

static struct config_set resolve(struct candidate *candidates, size_t count, const char *server,
				 const char *group)
{
	struct config_set set;
	struct err err = ERR_INIT;
	struct resolve_scope scope = {server, group};
	candidates_sort(candidates, count);
	if (config_resolve(&arena, candidates, count, &scope, &set, &err))
		fail_msg("%s", err.text);
	return set;
}

static void the_nearest_place_wins(void **state)
{
	(void)state;
	struct candidate all[] = {
		candidate("A", LEVEL_DEFAULT, NULL, "default"), candidate("A", LEVEL_SERVER, "h1", "server"),
		candidate("A", LEVEL_ENVIRONMENT, NULL, "env"), candidate("A", LEVEL_GROUP, "web", "group"),
		candidate("A", LEVEL_PROJECT, NULL, "project"), candidate("B", LEVEL_GROUP, "worker", "b"),
		candidate("C", LEVEL_PROJECT, NULL, "c"),	candidate("C", LEVEL_DEFAULT, NULL, "d"),
	};
	static const struct {
		const char *server, *group, *a, *b;
	} cases[] = {
		{"h1", "web", "server", NULL}, {"h2", "web", "group", NULL}, {"h2", "worker", "env", "b"},
		{NULL, NULL, "env", NULL},     {"h2", NULL, "group", "b"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config_set set = resolve(all, ARRAY_LEN(all), cases[i].server, cases[i].group);
		assert_string_equal(config_set_text(&set, SLICE("A")).ptr, cases[i].a);
		const struct config_value *b = config_set_get(&set, SLICE("B"));
		assert_int_equal(b != NULL, cases[i].b != NULL);
		assert_string_equal(config_set_text(&set, SLICE("C")).ptr, "c");
		assert_null(config_set_get(&set, SLICE("D")));
	}
	struct config_set set = resolve(all, ARRAY_LEN(all), "h1", "web");
	assert_string_equal(config_set_get(&set, SLICE("A"))->place, "server:server");
	assert_string_equal(config_set_get(&set, SLICE("A"))->scope, "h1");
}

static void ties_are_refused_naming_both_places(void **state)
{
	(void)state;
	struct candidate all[] = {
		candidate("A", LEVEL_GROUP, "web", "one"),
		candidate("A", LEVEL_GROUP, "worker", "two"),
		candidate("A", LEVEL_DEFAULT, NULL, "x"),
	};
	struct config_set set = resolve(all, ARRAY_LEN(all), "h", "web");
	assert_string_equal(config_set_text(&set, SLICE("A")).ptr, "one");
	/* A server of no particular group belongs to both. */
	struct resolve_scope scope = {"h", NULL};
	struct err err = ERR_INIT;
	assert_int_equal(config_resolve(&arena, all, ARRAY_LEN(all), &scope, &set, &err), -1);
	assert_string_equal(err.text, "A has two values of the same rank (group): group:one and group:two");
	assert_non_null(strstr(err.hint, "server goes before group"));
}

/* A tie below a winner is no tie: nobody has to choose. */
static void ties_that_lose_do_not_matter(void **state)
{
	(void)state;
	struct candidate all[] = {
		candidate("A", LEVEL_PROJECT, NULL, "p1"),
		candidate("A", LEVEL_PROJECT, NULL, "p2"),
		candidate("A", LEVEL_ENVIRONMENT, NULL, "e"),
	};
	struct config_set set = resolve(all, ARRAY_LEN(all), NULL, NULL);
	assert_string_equal(config_set_text(&set, SLICE("A")).ptr, "e");
}

static void sorting_is_right_for_any_order(void **state)
{
	(void)state;
	uint32_t random = 1;
	for (size_t count = 0; count < 70; count++) {
		struct candidate *all = ARENA_NEW_ARRAY(&arena, count, struct candidate);
		for (size_t i = 0; i < count; i++) {
			random = random * 1664525 + 1013904223;
			all[i] = (struct candidate){.name = arena_printf(&arena, "K%02u", random >> 16 & 63),
						    .level = (enum value_level)(1 + (random >> 24) % 3),
						    .place = arena_printf(&arena, "%zu", i)};
		}
		candidates_sort(all, count);
		for (size_t i = 1; i < count; i++) {
			int order = strcmp(all[i - 1].name, all[i].name);
			assert_true(order < 0 || (order == 0 && all[i - 1].level >= all[i].level));
		}
	}
}

static struct digest named(struct config_set set, const struct config_set_file *files, size_t count)
{
	struct digest digest;
	config_set_digest(&set, files, count, SLICE("key"), &digest);
	return digest;
}

static void assert_differs(const struct digest *a, struct digest b)
{
	assert_false(digest_equal(a, &b));
}

static void assert_equals(const struct digest *a, struct digest b)
{
	assert_true(digest_equal(a, &b));
}

static void sets_are_named_by_what_they_hold(void **state)
{
	(void)state;
	struct config_set a = SET({"A", "1"}, {"B", "2"}), same = SET({"A", "1"}, {"B", "2"}),
			  moved = SET({"A", "1B"}, {"B", "2"}), fewer = SET({"A", "1"});
	struct digest one, two, other;
	one = named(a, NULL, 0);
	assert_equals(&one, named(same, NULL, 0));
	config_set_digest(&same, NULL, 0, SLICE("other key"), &other);
	assert_differs(&one, other);
	assert_differs(&one, named(moved, NULL, 0));
	assert_differs(&one, named(fewer, NULL, 0));

	/* The form drawn in the header, held against digest_hmac. */
	config_fingerprint(&a.values[0], SLICE("key"), &one);
	digest_hmac(SLICE("key"), SLICE("A\0001\0001"), &two);
	assert_equals(&one, two);
	char long_key[100];
	memset(long_key, 'k', sizeof(long_key));
	const struct config_set_file file = {
		.path = ".env", .mode = 0640, .group = "www", .content = SLICE("A=1")};
	config_set_digest(&fewer, &file, 1, slice_make(long_key, 100), &one);
	digest_hmac(
		slice_make(long_key, 100),
		SLICE("lockstep-config 3\nvalues 1\nA\0001\0001files 1\nfile\0.env\0000640\0\0www\0003\0A=1"),
		&two);
	assert_equals(&one, two);
	config_file_fingerprint(&file, SLICE("key"), &one);
	digest_hmac(SLICE("key"), SLICE("file\0.env\0000640\0\0www\0003\0A=1"), &two);
	assert_equals(&one, two);
}

static void a_config_file_is_part_of_what_a_set_is_named_by(void **state)
{
	(void)state;
	struct config_set set = SET({"A", "1"});
	const struct config_set_file file = {.path = ".env", .mode = 0640, .content = SLICE("A=1\n")};
	const struct config_set_file others[] = {
		{.path = ".env.local", .mode = 0640, .content = SLICE("A=1\n")},
		{.path = ".env", .mode = 0600, .content = SLICE("A=1\n")},
		{.path = ".env", .mode = 0640, .owner = "www", .content = SLICE("A=1\n")},
		{.path = ".env", .mode = 0640, .group = "www", .content = SLICE("A=1\n")},
		{.path = ".env", .mode = 0640, .content = SLICE("A=2\n")},
		{.path = ".env", .mode = 0640, .content = SLICE("")},
		{.path = ".env", .pattern = true, .mode = 0640, .content = SLICE("A=1\n")},
	};
	struct digest one = named(set, &file, 1);
	const struct config_set_file again = file, twice[] = {file, others[0]};
	assert_equals(&one, named(set, &again, 1));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_differs(&one, named(set, &others[i], 1));
	assert_differs(&one, named(set, NULL, 0));
	assert_differs(&one, named(set, twice, 2));
}

static struct digest environment_of(const struct config_share *shares, size_t count)
{
	struct config_share copy[8];
	struct digest digest;
	memcpy(copy, shares, count * sizeof(*copy));
	config_digest(copy, count, SLICE("key"), &digest);
	return digest;
}

static void one_more_server_that_gets_the_same_changes_no_name(void **state)
{
	(void)state;
	struct config_set a = SET({"A", "1"}), b = SET({"A", "2"});
	struct digest da = named(a, NULL, 0), db = named(b, NULL, 0);
	const struct config_share flat[] = {{"one", NULL, da}, {"two", NULL, da}, {"three", NULL, da}};
	const struct config_share uniform[] = {{"one", "web", da}, {"two", "web", da}, {"three", "job", da}};
	const struct config_share groups[] = {{"one", "web", da}, {"two", "job", db}, {"three", "web", da}};
	const struct config_share turned[] = {{"two", "job", db}, {"one", "web", da}};
	const struct config_share swapped[] = {{"one", "web", db}, {"two", "job", da}};
	const struct config_share own[] = {{"one", "web", da}, {"two", "web", db}, {"three", "web", db}};
	const struct config_share own_swapped[] = {
		{"one", "web", db}, {"two", "web", da}, {"three", "web", db}};

	assert_equals(&da, environment_of(flat, 1));
	assert_equals(&da, environment_of(flat, 3));
	assert_equals(&da, environment_of(uniform, 3));
	struct digest two_groups = environment_of(groups, 2);
	assert_differs(&da, two_groups);
	assert_differs(&db, two_groups);
	assert_equals(&two_groups, environment_of(groups, 3));
	assert_equals(&two_groups, environment_of(turned, 2));
	assert_differs(&two_groups, environment_of(swapped, 2));
	struct digest own_values = environment_of(own, 2);
	assert_differs(&two_groups, own_values);
	assert_differs(&own_values, environment_of(own_swapped, 2));
	assert_differs(&own_values, environment_of(own, 3));
	struct digest nobody = environment_of(flat, 0);
	assert_differs(&da, nobody);
}

/* ---- the contract ---- */

static const char *production[] = {"production"};

static struct contract contract_of(struct contract_key *keys, size_t count)
{
	struct contract contract = {.keys = {keys, count}};
	contract_index(&contract);
	return contract;
}

static struct contract_problems check(struct contract *contract, const char *environment,
				      struct config_set *sets, size_t count, const char *other,
				      struct config_set *their)
{
	struct contract_problems problems;
	const struct environment_values subject = {environment, sets, count}, others = {other, their, 1};
	contract_check(&arena, contract, &subject, &others, their ? 1 : 0, &problems);
	return problems;
}

static void required_values_must_be_there(void **state)
{
	(void)state;
	struct contract_key keys[] = {
		{.name = "HERE", .type = VALUE_STRING, .required = {.everywhere = true}},
		{.name = "KEY", .type = VALUE_STRING, .secret = true, .required = {.everywhere = true}},
		{.name = "ONLY", .type = VALUE_STRING, .required = {.in = {production, 1}}},
		{.name = "VOID", .type = VALUE_INT, .required = {.everywhere = true}},
		{.name = "NAMED", .type = VALUE_INT, .required = {.everywhere = true}},
		{.name = "FREE", .type = VALUE_INT},
	};
	struct contract contract = contract_of(keys, ARRAY_LEN(keys));
	struct config_set sets[] = {
		SET({"FREE", ""}, {"HERE", "x"}, {"KEY", "k"}, {"NAMED", NULL}, {"VOID", ""}),
		SET({"HERE", "x"}, {"NAMED", NULL}, {"VOID", ""})};
	struct contract_problems problems = check(&contract, "production", sets, 2, NULL, NULL);
	assert_int_equal(problems.count, 3);
	assert_int_equal(problems.refusing, 3);
	assert_string_equal(problems.items[0].text, "`KEY` is required and has no value on 1 of 2 servers");
	assert_string_equal(problems.items[0].hint, "`lockstep secret set production KEY` gives it one");
	assert_string_equal(problems.items[1].text, "`ONLY` is required and has no value");
	assert_string_equal(problems.items[2].text, "`VOID` is required and its value is empty");
	struct err err = ERR_INIT;
	assert_int_equal(contract_problems_check(&problems, "production", &err), -1);
	assert_string_equal(err.text, "the configuration of `production` is refused: 3 mistakes\n"
				      "  `KEY` is required and has no value on 1 of 2 servers\n"
				      "  `ONLY` is required and has no value\n"
				      "  `VOID` is required and its value is empty");
	assert_int_equal(err.code, ERR_USER);

	problems = check(&contract, "dev", sets, 1, NULL, NULL);
	assert_int_equal(problems.count, 1);
	assert_int_equal(problems.items[0].kind, CONTRACT_MISSING);
}

static void values_must_be_of_their_type(void **state)
{
	static const char *one_of[] = {"debug", "info"};
	static const struct {
		enum value_type type;
		const char *good[6], *bad[6];
	} cases[] = {
		{VALUE_STRING, {"", "x"}, {0}},
		{VALUE_INT, {"0", "-5", "12345"}, {"", "1.5", "x", "0x10", " 1"}},
		{VALUE_BOOL, {"true", "false", "1", "off"}, {"", "maybe", "2", "TRUE "}},
		{VALUE_URL,
		 {"https://x", "postgres://u:p@h/db", "redis:///s"},
		 {"", "x", "http://", "://x", "a b://c"}},
		{VALUE_ENUM, {"debug", "info"}, {"", "inf", "warning"}},
		{VALUE_DURATION, {"30s", "1.5h", "250ms"}, {"", "30", "s", "1.2.3s", "1y"}},
		{VALUE_JSON, {"{}", "[1, 2]", "\"x\"", "null"}, {"", "{", "{a: 1}", "1 2"}},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct contract_key key = {.name = "K", .type = (int)cases[i].type, .one_of = {one_of, 2}};
		for (size_t j = 0; j < 6 && cases[i].good[j]; j++)
			if (value_type_fault(&key, slice_of(cases[i].good[j])))
				fail_msg("%d refuses `%s`", (int)cases[i].type, cases[i].good[j]);
		for (size_t j = 0; j < 6 && cases[i].bad[j]; j++)
			if (!value_type_fault(&key, slice_of(cases[i].bad[j])))
				fail_msg("%d takes `%s`", (int)cases[i].type, cases[i].bad[j]);
	}
	struct contract_key keys[] = {{.name = "PORT", .type = VALUE_INT, .required = {.everywhere = true}}};
	struct contract contract = contract_of(keys, 1);
	struct config_set set = SET({"PORT", "canary"});
	struct contract_problems problems = check(&contract, "dev", &set, 1, NULL, NULL);
	assert_int_equal(problems.count, 1);
	assert_int_equal(problems.items[0].kind, CONTRACT_TYPE);
	assert_string_equal(problems.items[0].text, "`PORT` is not a whole number");
	assert_null(strstr(problems.items[0].hint, "canary"));
}

static void relations_between_environments_hold(void **state)
{
	(void)state;
	struct contract_key keys[] = {
		{.name = "EMPTY", .type = VALUE_STRING, .unique = true},
		{.name = "NAMED", .type = VALUE_STRING, .unique = true, .same = true},
		{.name = "OWN", .type = VALUE_STRING, .unique = true},
		{.name = "REGION", .type = VALUE_STRING, .same = true},
		{.name = "SHARED", .type = VALUE_STRING, .unique = true},
	};
	struct contract contract = contract_of(keys, ARRAY_LEN(keys));
	struct config_set here =
		SET({"EMPTY", ""}, {"NAMED", NULL}, {"OWN", "a"}, {"REGION", "eu"}, {"SHARED", "x"});
	struct config_set there =
		SET({"EMPTY", ""}, {"NAMED", "1"}, {"OWN", "b"}, {"REGION", "us"}, {"SHARED", "x"});
	struct contract_problems problems = check(&contract, "staging", &here, 1, "production", &there);
	assert_int_equal(problems.count, 2);
	assert_int_equal(problems.refusing, 2);
	assert_int_equal(problems.items[0].kind, CONTRACT_NOT_SAME);
	assert_string_equal(
		problems.items[0].text,
		"`REGION` must be the same in all environments, but differs from that of `production`");
	assert_int_equal(problems.items[1].kind, CONTRACT_NOT_UNIQUE);
	assert_string_equal(
		problems.items[1].text,
		"`SHARED` must be different in each environment, but is equal to that of `production`");
	assert_string_equal(problems.items[1].other, "production");
	assert_int_equal(check(&contract, "staging", &here, 1, NULL, NULL).count, 0);
}

static void live_and_test_credentials_stay_where_they_belong(void **state)
{
	(void)state;
	struct contract_key keys[] = {
		{.name = "AWS", .type = VALUE_STRING, .live_only_in = {production, 1}},
		{.name = "STRIPE", .type = VALUE_STRING, .live_only_in = {production, 1}},
	};
	struct contract contract = contract_of(keys, ARRAY_LEN(keys));
	/* Put together here, so that no scanner takes them for real ones. */
	const char *live = arena_printf(&arena, "sk_%s_canary0123456789", "live");
	const char *test = arena_printf(&arena, "sk_%s_canary0123456789", "test");
	struct config_set with_live = SET({"AWS", "one"}, {"STRIPE", live});
	struct config_set with_test = SET({"AWS", "two"}, {"STRIPE", test});
	struct config_set same_aws = SET({"AWS", "one"}, {"STRIPE", test});

	assert_int_equal(check(&contract, "production", &with_live, 1, "staging", &with_test).count, 0);
	assert_int_equal(check(&contract, "staging", &with_test, 1, "production", &with_live).count, 0);
	struct contract_problems problems = check(&contract, "staging", &with_live, 1, NULL, NULL);
	assert_int_equal(problems.refusing, 1);
	assert_int_equal(problems.items[0].kind, CONTRACT_LIVE_KEY);
	assert_string_equal(problems.items[0].text,
			    "`STRIPE` is a live key (Stripe), which belongs in `production` only");
	assert_null(strstr(problems.items[0].hint, "canary"));
	problems = check(&contract, "production", &with_test, 1, NULL, NULL);
	assert_int_equal(problems.refusing, 1);
	assert_int_equal(problems.items[0].kind, CONTRACT_TEST_KEY);
	/* What shows nothing by its form is found by being equal. */
	problems = check(&contract, "staging", &same_aws, 1, "production", &with_live);
	assert_int_equal(problems.refusing, 1);
	assert_int_equal(problems.items[0].kind, CONTRACT_LIVE_KEY);
	assert_string_equal(
		problems.items[0].text,
		"`AWS` is equal to that of `production`, but only `production` may have the live one");
}

static void forms_of_keys_are_known(void **state)
{
	static const struct {
		const char *start, *rest;
		enum key_mode mode;
	} cases[] = {
		{"sk_live", "_0123456789ab", KEY_MODE_LIVE},
		{"rk_test", "_0123456789ab", KEY_MODE_TEST},
		{"sk_prod", "_0123456789ab", KEY_MODE_LIVE},
		{"live", "_0123456789012345678901234567890123456789", KEY_MODE_LIVE},
		{"test", "_pub_0123456789012345678901234567890", KEY_MODE_TEST},
		{"shippo_live", "_0123456789012345678901234567890123456789", KEY_MODE_LIVE},
		{"duffel_test", "_0123456789012345678901234567890123456789", KEY_MODE_TEST},
		{"EZAK", "012345678901234567890123456789012345678901234567890123", KEY_MODE_LIVE},
		{"EZTK", "012345678901234567890123456789012345678901234567890123", KEY_MODE_TEST},
		{"FLWSECK_TEST", "-0123456789abcdef-X", KEY_MODE_TEST},
		{"FLWSECK", "-0123456789abcdef-X", KEY_MODE_LIVE},
		{"access-sandbox", "-01234567-89ab-cdef-0123-456789abcdef", KEY_MODE_TEST},
		{"access-production", "-01234567-89ab-cdef-0123-456789abcdef", KEY_MODE_LIVE},
		{"rzp_live", "_0123456789abcd", KEY_MODE_LIVE},
		{"https://", "api-m.sandbox.paypal.com/v1", KEY_MODE_TEST},
		{"https://", "api-m.paypal.com", KEY_MODE_LIVE},
		{"", "", KEY_MODE_UNKNOWN},
		{"live", "_stream", KEY_MODE_UNKNOWN},
		{"sk_live", "_", KEY_MODE_UNKNOWN},
		{"sk_live", "_with blanks in it", KEY_MODE_UNKNOWN},
		{"AKIA", "0123456789ABCDEF", KEY_MODE_UNKNOWN},
		{"https://", "example.org/api.paypal.com", KEY_MODE_UNKNOWN},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *service = NULL,
			   *text = arena_printf(&arena, "%s%s", cases[i].start, cases[i].rest);
		if (value_key_mode(slice_of(text), &service) != cases[i].mode)
			fail_msg("%s", text);
		assert_int_equal(service != NULL, cases[i].mode != KEY_MODE_UNKNOWN);
		assert_int_equal(value_key_mode(slice_of(text), NULL), cases[i].mode);
	}
}

static void what_is_not_declared_is_told_once(void **state)
{
	(void)state;
	struct contract_key keys[] = {{.name = "B", .type = VALUE_STRING}};
	struct contract contract = contract_of(keys, 1), none = {0};
	struct config_set sets[] = {SET({"A", "1"}, {"B", "2"}, {"C", "3"}), SET({"A", "1"}, {"D", "4"})};
	struct contract_problems problems = check(&contract, "dev", sets, 2, NULL, NULL);
	assert_int_equal(problems.count, 3);
	assert_int_equal(problems.refusing, 0);
	assert_string_equal(problems.items[0].text,
			    "`A` has a value (lockstep.yml:1:1) and is not declared in `env`");
	assert_string_equal(problems.items[1].name, "C");
	assert_string_equal(problems.items[2].name, "D");
	struct err err = ERR_INIT;
	assert_int_equal(contract_problems_check(&problems, "dev", &err), 0);
	assert_int_equal(check(&none, "dev", sets, 2, NULL, NULL).count, 0);
}

static void what_builds_bake_in_cannot_differ(void **state)
{
	(void)state;
	struct contract none = {0};
	struct config_set here = SET({"APP", "1"}, {"VITE_SAME", "s"}, {"VITE_URL", "a"});
	struct config_set there = SET({"APP", "2"}, {"VITE_SAME", "s"}, {"VITE_URL", "b"});
	struct contract_problems problems = check(&none, "dev", &here, 1, "production", &there);
	assert_int_equal(problems.count, 1);
	assert_int_equal(problems.refusing, 0);
	assert_int_equal(problems.items[0].kind, CONTRACT_BAKED);
	assert_string_equal(problems.items[0].name, "VITE_URL");
	assert_non_null(strstr(problems.items[0].hint, "VITE_URL=__VITE_URL__"));
}

/* The measured goal is in bench/resolve.c; this one only keeps it from getting lost. */
static void many_variables_are_resolved_quickly(void **state)
{
	(void)state;
	enum { KEYS = 10000 };
	struct candidate *all = ARENA_NEW_ARRAY(&arena, KEYS * 2, struct candidate);
	struct timespec start, end;
	for (size_t i = 0; i < KEYS; i++) {
		const char *name = arena_printf(&arena, "K%05zu", i * 7919 % KEYS);
		all[i] = candidate(name, LEVEL_PROJECT, NULL, "p");
		all[KEYS + i] = candidate(arena_printf(&arena, "K%05zu", i), LEVEL_ENVIRONMENT, NULL, "e");
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	struct config_set set = resolve(all, KEYS * 2, "h", NULL);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_int_equal(set.count, KEYS);
	assert_true((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000 < 1000);
	struct config_set dropped;
	struct err err = ERR_INIT;
	struct candidate *more = ARENA_NEW_ARRAY(&arena, KEYS + 1, struct candidate);
	for (size_t i = 0; i <= KEYS; i++)
		more[i] = (struct candidate){
			.name = arena_printf(&arena, "K%05zu", i), .level = LEVEL_PROJECT, .place = ""};
	struct resolve_scope scope = {NULL, NULL};
	assert_int_equal(config_resolve(&arena, more, KEYS + 1, &scope, &dropped, &err), -1);
	assert_string_equal(err.text, "more than 10000 variables");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_nearest_place_wins),
		TEST(ties_are_refused_naming_both_places),
		TEST(ties_that_lose_do_not_matter),
		TEST(sorting_is_right_for_any_order),
		TEST(sets_are_named_by_what_they_hold),
		TEST(a_config_file_is_part_of_what_a_set_is_named_by),
		TEST(one_more_server_that_gets_the_same_changes_no_name),
		TEST(required_values_must_be_there),
		TEST(values_must_be_of_their_type),
		TEST(relations_between_environments_hold),
		TEST(live_and_test_credentials_stay_where_they_belong),
		TEST(forms_of_keys_are_known),
		TEST(what_is_not_declared_is_told_once),
		TEST(what_builds_bake_in_cannot_differ),
		TEST(many_variables_are_resolved_quickly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
