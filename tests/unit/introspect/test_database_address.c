/* Addresses of databases: what is understood, what is refused, and that no refusal quotes
 * what may hold a password. */
#include "../cmocka_base.h"

#include "introspect/introspect.h"

static const struct {
	const char *url, *kind, *user, *password, *host;
	int port;
	const char *database, *socket, *tls, *path;
} good[] = {
	{"postgres://u:p%3A%40@db:5433/shop?sslmode=require", "postgresql", "u", "p:@", "db", 5433, "shop",
	 NULL, "require", NULL},
	{"postgresql+psycopg2://u@[::1]/shop", "postgresql", "u", NULL, "::1", 0, "shop", NULL, NULL, NULL},
	{"postgresql:///shop?host=/run/pg&user=u&port=6", "postgresql", "u", NULL, NULL, 6, "shop", "/run/pg",
	 NULL, NULL},
	{"pgsql://u:a@b@c@db/x", "postgresql", "u", "a@b@c", "db", 0, "x", NULL, NULL, NULL},
	{"postgres://%2Frun%2Fpg/x", "postgresql", NULL, NULL, NULL, 0, "x", "/run/pg", NULL, NULL},
	{"jdbc:mysql://db/x?user=u&password=p", "mysql", "u", "p", "db", 0, "x", NULL, NULL, NULL},
	{"mariadb://u:p@db:3307/x?unix_socket=/s&ssl-mode=verify_identity", "mysql", "u", "p", "db", 3307,
	 "x", "/s", "verify_identity", NULL},
	{"sqlite:///var/x.db", "sqlite", NULL, NULL, NULL, 0, NULL, NULL, NULL, "/var/x.db"},
	{"sqlite3:db/x.db?pool=5", "sqlite", NULL, NULL, NULL, 0, NULL, NULL, NULL, "db/x.db"},
};

static const char *const bad[] = {"",
				  "shop",
				  "oracle://u:canary@db/x",
				  "postgres:canary",
				  "postgres://u:canary%@db/x",
				  "postgres://u:canary%00@db/x",
				  "postgres://u:canary%0a@db/x",
				  "postgres://u:canary@db:0/x",
				  "postgres://u:canary@db:99999/x",
				  "postgres://u:canary@a,b/x",
				  "postgres://u:canary@[::1/x",
				  "postgres://u:canary@a%20b/x",
				  "sqlite:",
				  "sqlite::memory:"};

static void same(const char *got, const char *wanted)
{
	if (wanted)
		assert_string_equal(got ? got : "(none)", wanted);
	else
		assert_null(got);
}

static void addresses_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct database_address got;
		struct err err = ERR_INIT;
		assert_int_equal(database_address_parse(&arena, slice_of(good[i].url), &got, &err), 0);
		same(got.kind->name, good[i].kind);
		same(got.user, good[i].user);
		same(got.password, good[i].password);
		same(got.host, good[i].host);
		assert_int_equal(got.port, good[i].port);
		same(got.database, good[i].database);
		same(got.socket, good[i].socket);
		same(got.tls, good[i].tls);
		same(got.path, good[i].path);
	}
}

static void malformed_ones_are_refused_and_not_quoted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct database_address got;
		struct err err = ERR_INIT;
		assert_int_equal(database_address_parse(&arena, slice_of(bad[i]), &got, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		assert_null(strstr(err.text, "canary"));
		assert_null(strstr(err.hint, "canary"));
	}
}

static struct slice look(void *context, const char *name)
{
	for (const char *const *row = context; *row; row += 2)
		if (strcmp(row[0], name) == 0)
			return slice_of(row[1]);
	return slice_make(NULL, 0);
}

static bool from(struct arena *arena, const char **variables, struct database_address *out)
{
	return database_address_from_variables(arena, look, variables, out);
}

static void variables_of_frameworks_are_understood(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct database_address got;
	const char *laravel[] = {"DB_CONNECTION", "pgsql",	 "DB_HOST", "db",	   "DB_PORT",
				 "6432",	  "DB_DATABASE", "shop",    "DB_USERNAME", "u",
				 "DB_PASSWORD",	  "p",		 NULL};
	assert_true(from(&arena, laravel, &got));
	same(got.kind->name, "postgresql");
	same(got.host, "db");
	assert_int_equal(got.port, 6432);
	same(got.database, "shop");
	same(got.user, "u");
	same(got.password, "p");
	const char *file[] = {"DB_CONNECTION", "sqlite", "DB_DATABASE", "/srv/x.sqlite", NULL};
	assert_true(from(&arena, file, &got));
	same(got.path, "/srv/x.sqlite");
	const char *django[] = {"DB_ENGINE", "django.db.backends.mysql", "DB_NAME", "shop", "DB_USER", "u",
				NULL};
	assert_true(from(&arena, django, &got));
	same(got.kind->name, "mysql");
	const char *pg[] = {"PGHOST", "/run/pg", "PGDATABASE", "shop", NULL};
	assert_true(from(&arena, pg, &got));
	same(got.socket, "/run/pg");
	const char *url[] = {
		"DATABASE_URL", "mysql2://u@db/x", "DB_CONNECTION", "pgsql", "DB_DATABASE", "y", NULL};
	assert_true(from(&arena, url, &got));
	same(got.kind->name, "mysql");
	same(got.database, "x");
	const char *port[] = {"DB_HOST", "db", "DB_PORT", "5432", "DB_NAME", "x", NULL};
	assert_true(from(&arena, port, &got));
	same(got.kind->name, "postgresql");
	const char *none[] = {"DB_HOST", "db", "APP", "x", NULL};
	assert_false(from(&arena, none, &got));
	const char *redis[] = {"DB_CONNECTION", "redis", "DB_DATABASE", "x", "DB_PORT", "5432", NULL};
	assert_false(from(&arena, redis, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		cmocka_unit_test(malformed_ones_are_refused_and_not_quoted),
		cmocka_unit_test(variables_of_frameworks_are_understood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
