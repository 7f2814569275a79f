/* Both dialects of .deployignore, and build.exclude. The rows of git's dialect
 * were compared with `git check-ignore`. */
#include "support.h"

#include "base/clock.h"
#include "project/ignore.h"

#define GIT "# lockstep: gitignore\n"

static const struct {
	const char *rules, *path;
	bool is_dir, out;
} cases[] = {
	/* git: a name anywhere, a path from the top */
	{GIT "vendor", "vendor", true, true},
	{GIT "vendor", "vendor/a/b.php", false, true},
	{GIT "vendor", "lib/vendor/x", false, true},
	{GIT "/vendor", "lib/vendor", true, false},
	{GIT "/vendor", "vendor", false, true},
	{GIT "lib/vendor", "lib/vendor", true, true},
	{GIT "lib/vendor", "x/lib/vendor", true, false},
	{GIT "vendor/", "vendor", false, false},
	{GIT "vendor/", "vendor", true, true},
	{GIT "vendor/", "a/vendor/x", false, true},
	/* git: wildcards */
	{GIT "*.md", "docs/a.md", false, true},
	{GIT "/*.md", "docs/a.md", false, false},
	{GIT "docs/*.md", "docs/x/a.md", false, false},
	{GIT "docs/**/*.md", "docs/x/y/a.md", false, true},
	{GIT "docs/**/*.md", "docs/a.md", false, true},
	{GIT "**/a", "a", false, true},
	{GIT "**/a", "x/y/a", false, true},
	{GIT "a/**", "a", true, false},
	{GIT "a/**", "a/b", false, true},
	{GIT "a/**/b", "a/b", false, true},
	{GIT "a/**/b", "a/x/y/b", false, true},
	{GIT "a/**/b", "ab", false, false},
	{GIT "?.c", "a.c", false, true},
	{GIT "?.c", "ab.c", false, false},
	{GIT "[a-c].o", "b.o", false, true},
	{GIT "[!a-c].o", "b.o", false, false},
	{GIT "[]x].o", "].o", false, true},
	{GIT "a\\*b", "a*b", false, true},
	{GIT "a\\*b", "axb", false, false},
	/* git: taking back, comments, spaces */
	{GIT "*.log\n!keep.log", "keep.log", false, false},
	{GIT "*.log\n!keep.log", "other.log", false, true},
	{GIT "!keep.log\n*.log", "keep.log", false, true},
	{GIT "logs/\n!logs/keep", "logs/keep", false, true},
	{GIT "/logs/*\n!/logs/keep", "logs/keep", false, false},
	{GIT "# a\n\\#a\n", "#a", false, true},
	{GIT "\\!a\n", "!a", false, true},
	{GIT "a   \n", "a", false, true},
	{GIT "a\\ \n", "a ", false, true},
	{GIT "a\r\n", "a", false, true},
	{GIT "", "a", false, false},
	/* DeployHQ: whole paths; an entry of a folder is not what it holds */
	{"vendor", "vendor", false, true},
	{"vendor", "vendor", true, false},
	{"vendor", "vendor/a.php", false, false},
	{"vendor/**", "vendor/a.php", false, true},
	{"vendor/**", "vendor/a/b.php", false, true},
	{"vendor/**", "vendor", true, false},
	{"vendor\nvendor/**", "vendor", true, true},
	{"vendor/**", "vendor/a", true, true},
	{"vendor/", "vendor/a.php", false, true},
	{"*.md", "README.md", false, true},
	{"*.md", "docs/README.md", false, false},
	{"**/*.md", "docs/README.md", false, true},
	{"/a.txt", "a.txt", false, true},
	{"./a.txt", "a.txt", false, true},
	{"# vendor/**\n", "vendor/x", false, false},
};

static void each_rule_does_what_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct ignore_rules rules;
		struct err err = ERR_INIT;
		assert_int_equal(ignore_parse(&arena, slice_of(cases[i].rules), &rules, &err), 0);
		if (ignore_match(&rules, slice_of(cases[i].path), cases[i].is_dir) != cases[i].out)
			fail_msg("case %zu: %s against %s", i, cases[i].rules, cases[i].path);
	}
}

static void the_deciding_rule_is_named(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct ignore_rules rules;
	struct err err = ERR_INIT;
	assert_int_equal(ignore_parse(&arena, SLICE(GIT "\n*.log\n!keep.log\n"), &rules, &err), 0);
	assert_int_equal(ignore_explain(&rules, SLICE("a.log"), false)->line, 3);
	assert_int_equal(ignore_explain(&rules, SLICE("keep.log"), false)->line, 4);
	assert_true(ignore_explain(&rules, SLICE("keep.log"), false)->negated);
	assert_null(ignore_explain(&rules, SLICE("a.txt"), false));
}

static void patterns_made_to_be_slow_are_not(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf pattern = BUF_INIT(4096), path = BUF_INIT(4096);
	struct ignore_rules rules;
	struct err err = ERR_INIT;
	buf_puts(&pattern, GIT);
	for (size_t i = 0; i < 500; i++) {
		buf_puts(&pattern, "**/*a*/");
		buf_puts(&path, "aaaaaa/");
	}
	buf_puts(&pattern, "b");
	buf_puts(&path, "c");
	assert_int_equal(ignore_parse(&arena, buf_slice(&pattern), &rules, &err), 0);
	int64_t start = clock_mono_ms();
	assert_false(ignore_match(&rules, buf_slice(&path), false));
	assert_true(clock_mono_ms() - start < 2000);
}

static void what_is_too_much_is_refused(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(2));
	struct ignore_rules rules;
	struct err err = ERR_INIT;
	for (size_t i = 0; i < IGNORE_RULES_MAX + 1; i++)
		buf_puts(&text, "a\n");
	assert_int_equal(ignore_parse(&arena, buf_slice(&text), &rules, &err), -1);
	assert_string_equal(err.text, "more than 10000 rules");
	buf_clear(&text);
	for (size_t i = 0; i < IGNORE_RULE_MAX + 1; i++)
		buf_putc(&text, 'a');
	assert_int_equal(ignore_parse(&arena, buf_slice(&text), &rules, &err), -1);
	assert_string_equal(err.text, "line 1: a rule longer than 4096 bytes");
	assert_int_equal(ignore_parse(&arena, slice_make("a\0b", 3), &rules, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_does_what_it_says),
		cmocka_unit_test(the_deciding_rule_is_named),
		cmocka_unit_test(patterns_made_to_be_slow_are_not),
		cmocka_unit_test(what_is_too_much_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
