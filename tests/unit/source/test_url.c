/* Which addresses are taken, which are one repository, which are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/url.h"

static void takes_what_git_takes(void **state)
{
	static const struct {
		const char *text, *address, *shown, *canonical;
		bool local;
	} rows[] = {
		{"git@github.com:acme/shop.git", "git@github.com:acme/shop.git",
		 "git@github.com:acme/shop.git", "git@github.com:acme/shop.git", false},
		{"https://GitHub.com/acme/shop.git/", "https://GitHub.com/acme/shop.git/",
		 "https://github.com/acme/shop.git", "https://github.com/acme/shop.git", false},
		{"https://ada:s3cret@host/x", "https://ada:s3cret@host/x", "https://host/x", "https://host/x",
		 false},
		{"ssh://git@Host:2222/x", "ssh://git@Host:2222/x", "ssh://git@host:2222/x",
		 "ssh://git@host:2222/x", false},
		{"host:x", "host:x", "host:x", "host:x", false},
		{"/nowhere/at/all/", "/nowhere/at/all", "/nowhere/at/all", "file:///nowhere/at/all", true},
		{"file:///nowhere/a%20b", "/nowhere/a b", "/nowhere/a b", "file:///nowhere/a b", true},
		{"sub/x", "/nowhere/sub/x", "/nowhere/sub/x", "file:///nowhere/sub/x", true},
		{"./a:b", "/nowhere/./a:b", "/nowhere/./a:b", "file:///nowhere/./a:b", true},
	};
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct url url;
		assert_int_equal(url_parse(rows[i].text, "/nowhere", &arena, &url, &err), 0);
		assert_string_equal(url.address, rows[i].address);
		assert_string_equal(url.shown, rows[i].shown);
		assert_string_equal(url.canonical, rows[i].canonical);
		assert_int_equal(url.local, rows[i].local);
	}
}

static void refuses_what_runs_programs_or_makes_no_sense(void **state)
{
	static const char *const rows[] = {
		"",
		"-x",
		"--upload-pack=touch /tmp/x",
		"ext::sh -c true",
		"fd::17",
		"transport+x::y",
		"gopher://host/x",
		"rsync://host/x",
		"ssh://-oProxyCommand=x/y",
		"ssh://-x@host/y",
		"https:///x",
		"git@-oProxyCommand=x:y",
		"file://host/x",
		"file://",
		"host:",
		":x",
		"a\nb",
		"https://host/\x1b[2J",
	};
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct url url;
		if (url_parse(rows[i], "/nowhere", &arena, &url, &err) == 0)
			fail_msg("`%s` was taken", rows[i]);
		assert_int_equal(err.code, ERR_USER);
		assert_true(err.text[0]);
	}
}

static void resolves_submodules_as_git_does(void **state)
{
	static const struct {
		const char *parent, *text, *result;
	} rows[] = {
		{"https://host/acme/shop.git", "../lib.git", "https://host/acme/lib.git"},
		{"https://host/acme/shop.git", "./lib", "https://host/acme/shop.git/lib"},
		{"https://host/acme/shop.git", "../../x/lib", "https://host/x/lib"},
		{"git@host:acme/shop", "../lib", "git@host:acme/lib"},
		{"git@host:shop", "../lib", "git@host:lib"},
		{"/srv/git/shop", "../lib", "/srv/git/lib"},
		{"/srv/git/shop", "https://host/x", "https://host/x"},
		{"https://host/shop", "../../../../x", NULL},
		{"/shop", "../../../x", NULL},
	};
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		const char *out = NULL;
		int result = url_resolve(rows[i].parent, rows[i].text, &arena, &out, &err);
		if (!rows[i].result) {
			assert_int_equal(result, -1);
			continue;
		}
		assert_int_equal(result, 0);
		assert_string_equal(out, rows[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_git_takes),
		cmocka_unit_test(refuses_what_runs_programs_or_makes_no_sense),
		cmocka_unit_test(resolves_submodules_as_git_does),
	};
	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
