/* The canonical form of a release: what it is, and all that it is not. */
#include "store/manifest.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HEAD "lockstep-manifest 1\n"
#define HEX "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define DIR_(path) "d 0755 0 - " path "\0"
#define FILE_(path) "f 0644 5 " HEX " " path "\0"
#define LINK_(path) "l 0777 5 " HEX " " path "\0"
#define X16 "xxxxxxxxxxxxxxxx"
#define X256 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16

static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct entry entry_of(enum entry_type type, const char *path)
{
	struct entry entry = {.type = type, .mode = 0755, .path = slice_of(path)};

	if (type == ENTRY_DIR)
		return entry;
	entry.mode = type == ENTRY_LINK ? 0777 : 0644;
	entry.size = 5;
	digest_of(slice_of("hello"), &entry.digest);
	return entry;
}

static void is_sorted_and_named_by_its_bytes(void **state)
{
	struct entry entries[] = {entry_of(ENTRY_FILE, "b/z"), entry_of(ENTRY_DIR, "b"),
				  entry_of(ENTRY_FILE, "b-1"), entry_of(ENTRY_LINK, "a"),
				  entry_of(ENTRY_FILE, "\xff\n")};
	static const char bytes[] = HEAD LINK_("a") DIR_("b") FILE_("b-1") FILE_("b/z") FILE_("\xff\n");
	struct manifest manifest, again;
	struct digest expected;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(manifest_build(&arena, entries, ARRAY_LEN(entries), &manifest, &err), 0);
	assert_int_equal(manifest.bytes.len, sizeof(bytes) - 1);
	assert_memory_equal(manifest.bytes.ptr, bytes, sizeof(bytes) - 1);
	digest_of(slice_make(bytes, sizeof(bytes) - 1), &expected);
	assert_true(digest_equal(&manifest.digest, &expected));
	assert_int_equal(manifest.count, 5);
	assert_int_equal(manifest.file_count, 3);
	assert_int_equal(manifest.total_size, 15);
	/* In any order of the entries. */
	struct entry turned[] = {entries[4], entries[2], entries[0], entries[3], entries[1]};
	assert_int_equal(manifest_build(&arena, turned, ARRAY_LEN(turned), &again, &err), 0);
	assert_true(digest_equal(&manifest.digest, &again.digest));
	assert_int_equal(manifest_parse(&arena, manifest.bytes, &again, &err), 0);
	assert_true(digest_equal(&manifest.digest, &again.digest));
	for (size_t i = 0; i < again.count; i++)
		assert_ptr_equal(manifest_find(&again, again.entries[i].path), &again.entries[i]);
	assert_null(manifest_find(&again, SLICE("b/")));
	assert_null(manifest_find(&again, SLICE("")));
	assert_null(manifest_find(&again, SLICE("zzz")));
}

static void may_be_empty(void **state)
{
	struct manifest manifest;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(manifest_build(&arena, NULL, 0, &manifest, &err), 0);
	assert_true(slice_is(manifest.bytes, HEAD));
	assert_int_equal(manifest.count, 0);
	assert_null(manifest_find(&manifest, SLICE("a")));
}

static const struct refusal {
	const char *name;
	struct slice bytes;
	const char *words;
} refusals[] = {
#define REFUSED(name, bytes, words)                                                                          \
	{                                                                                                    \
		name, {"" bytes, sizeof(bytes) - 1}, words                                                   \
	}
	REFUSED("nothing", "", "not a manifest"),
	REFUSED("half a header", "lockstep-manifest", "not a manifest"),
	REFUSED("another version", "lockstep-manifest 2\n", "not a manifest"),
	REFUSED("no end", HEAD "d 0755 0 - a", "cut off"),
	REFUSED("an empty record", HEAD "\0", "record 1 is malformed"),
	REFUSED("second record malformed", HEAD DIR_("a") "d 0755 0 -\0", "record 2 is malformed"),
	REFUSED("no path", HEAD "d 0755 0 - \0", "empty"),
	REFUSED("an unknown type", HEAD "s 0644 5 " HEX " a\0", "neither"),
	REFUSED("a type of two letters", HEAD "ff 0644 5 " HEX " a\0", "malformed"),
	REFUSED("two spaces", HEAD "f  0644 5 " HEX " a\0", "malformed"),
	REFUSED("three digits of mode", HEAD "f 644 5 " HEX " a\0", "malformed"),
	REFUSED("a mode that is not octal", HEAD "f 0648 5 " HEX " a\0", "malformed"),
	REFUSED("setuid", HEAD "f 4755 5 " HEX " a\0", "0644 or 0755"),
	REFUSED("a writable file", HEAD "f 0666 5 " HEX " a\0", "0644 or 0755"),
	REFUSED("a private folder", HEAD "d 0700 0 - a\0", "a folder has mode 0755"),
	REFUSED("a folder with a size", HEAD "d 0755 1 - a\0", "a folder has mode 0755"),
	REFUSED("a folder with a digest", HEAD "d 0755 0 " HEX " a\0", "malformed"),
	REFUSED("a file without digest", HEAD "f 0644 5 - a\0", "malformed"),
	REFUSED("a link's mode", HEAD "l 0755 5 " HEX " a\0", "a link is 0777"),
	REFUSED("an empty link", HEAD "l 0777 0 " HEX " a\0", "empty or too long"),
	REFUSED("an overlong link", HEAD "l 0777 4096 " HEX " a\0", "empty or too long"),
	REFUSED("a leading zero", HEAD "f 0644 05 " HEX " a\0", "malformed"),
	REFUSED("a sign", HEAD "f 0644 +5 " HEX " a\0", "malformed"),
	REFUSED("a negative size", HEAD "f 0644 -5 " HEX " a\0", "malformed"),
	REFUSED("a size beyond 64 bits", HEAD "f 0644 18446744073709551616 " HEX " a\0", "malformed"),
	REFUSED("a size beyond 63 bits", HEAD "f 0644 9223372036854775808 " HEX " a\0", "impossible"),
	REFUSED("sizes that add up too far",
		HEAD "f 0644 9223372036854775807 " HEX " a\0f 0644 9223372036854775807 " HEX
		     " b\0f 0644 2 " HEX " c\0",
		"add up"),
	REFUSED("capitals in a digest",
		HEAD "f 0644 5 2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824 a\0",
		"malformed"),
	REFUSED("a short digest", HEAD "f 0644 5 2cf24d a\0", "malformed"),
	REFUSED("an absolute path", HEAD FILE_("/etc/passwd"), "absolute"),
	REFUSED("a trailing slash", HEAD DIR_("a/"), "empty component"),
	REFUSED("two slashes", HEAD DIR_("a") FILE_("a//b"), "empty component"),
	REFUSED("a dot", HEAD FILE_("./a"), "component"),
	REFUSED("going up", HEAD FILE_("../a"), "component"),
	REFUSED("going up inside", HEAD DIR_("a") FILE_("a/../b"), "component"),
	REFUSED("ending in dots", HEAD DIR_("a") DIR_("a/.."), "component"),
	REFUSED("a long name", HEAD FILE_(X256), "255"),
	REFUSED(".lockstep", HEAD DIR_(".lockstep"), "reserved"),
	REFUSED("below .lockstep", HEAD FILE_(".lockstep/state"), "reserved"),
	REFUSED("not sorted", HEAD FILE_("b") FILE_("a"), "not sorted"),
	REFUSED("twice", HEAD FILE_("a") FILE_("a"), "listed twice"),
	REFUSED("file and folder of one name", HEAD DIR_("a") FILE_("a"), "listed twice"),
	REFUSED("no folder", HEAD FILE_("a/b"), "folder it lies in is not listed"),
	REFUSED("below a file", HEAD FILE_("a") FILE_("a/b"), "folder it lies in is not listed"),
	REFUSED("below a link", HEAD LINK_("a") FILE_("a/b"), "folder it lies in is not listed"),
	REFUSED("a name that forges a line", HEAD FILE_("../\nok"), "\\x0a"),
};

static void refuses_all_but_the_canonical_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		struct manifest manifest;
		struct err err = ERR_INIT;
		if (manifest_parse(&arena, refusal->bytes, &manifest, &err) != -1)
			fail_msg("%s: accepted", refusal->name);
		if (!strstr(err.text, refusal->words) || err.code != ERR_USER)
			fail_msg("%s: \"%s\" lacks \"%s\"", refusal->name, err.text, refusal->words);
	}
	/* What looks similar and is fine. */
	struct manifest manifest;
	struct err err = ERR_INIT;
	static const char fine[] = HEAD FILE_("...") FILE_("..a") FILE_(".lockstep-x") DIR_("a")
		DIR_("a/.lockstep") FILE_("a b") FILE_(" c");
	static const char sorted[] = HEAD FILE_(" c") FILE_("...") FILE_("..a") FILE_(".lockstep-x") DIR_("a")
		FILE_("a b") DIR_("a/.lockstep");
	assert_int_equal(manifest_parse(&arena, slice_make(fine, sizeof(fine) - 1), &manifest, &err), -1);
	assert_int_equal(manifest_parse(&arena, slice_make(sorted, sizeof(sorted) - 1), &manifest, &err), 0);
	assert_true(slice_is(manifest.entries[0].path, " c"));
}

static void is_never_accepted_cut_short(void **state)
{
	static const char bytes[] = HEAD DIR_("b") FILE_("b/z");
	struct manifest manifest;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t len = 0; len < sizeof(bytes) - 1; len++) {
		bool record_end =
			len >= sizeof(HEAD) - 1 && (len == sizeof(HEAD) - 1 || bytes[len - 1] == '\0');
		assert_int_equal(manifest_parse(&arena, slice_make(bytes, len), &manifest, &err),
				 record_end ? 0 : -1);
	}
}

static void is_not_built_from_what_it_would_not_read(void **state)
{
	struct manifest manifest;
	struct err err = ERR_INIT;
	struct entry twice[] = {entry_of(ENTRY_FILE, "a"), entry_of(ENTRY_DIR, "a")};
	struct entry orphan = entry_of(ENTRY_FILE, "a/b");
	struct entry odd = entry_of(ENTRY_FILE, "a");
	struct entry nul = entry_of(ENTRY_FILE, "a");

	(void)state;
	assert_int_equal(manifest_build(&arena, twice, 2, &manifest, &err), -1);
	assert_non_null(strstr(err.text, "listed twice"));
	assert_int_equal(manifest_build(&arena, &orphan, 1, &manifest, &err), -1);
	assert_non_null(strstr(err.text, "not listed"));
	odd.mode = 0600;
	assert_int_equal(manifest_build(&arena, &odd, 1, &manifest, &err), -1);
	assert_non_null(strstr(err.text, "0644 or 0755"));
	nul.path = slice_make("a\0b", 3);
	assert_int_equal(manifest_build(&arena, &nul, 1, &manifest, &err), -1);
	assert_non_null(strstr(err.text, "NUL"));
}

static void bounds_the_number_of_entries(void **state)
{
	struct manifest manifest;
	struct err err = ERR_INIT;
	size_t len = sizeof(HEAD) - 1 + MANIFEST_ENTRIES_MAX + 1;
	char *bytes = mem_alloc(len);

	(void)state;
	memcpy(bytes, HEAD, sizeof(HEAD) - 1);
	assert_int_equal(manifest_parse(&arena, slice_make(bytes, len), &manifest, &err), -1);
	assert_non_null(strstr(err.text, "the limit is"));
	assert_true(arena.used < MIB(1));
	mem_free_ptr(&bytes);
}

static void knows_links_that_stay_inside(void **state)
{
	static const struct {
		const char *path, *target;
		bool inside;
	} cases[] = {
		{"a", "b", true},
		{"a", "./b", true},
		{"a", ".", true},
		{"a", "..", false},
		{"a", "../b", false},
		{"a/b", "..", true},
		{"a/b", "../c", true},
		{"a/b", "../../c", false},
		{"a", "/etc", false},
		{"a", "", false},
		{"a", "b/../../c", false},
		{"a", "b/../c", true},
		{"a/b/c", "../../d", true},
		{"a", "b//c", true},
		{"a", "...", true},
		{"a", "..b", true},
		{"a/b", "../..", false},
		{"a/b", ".././../x", false},
		{"a/b", "c/../../../x", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (manifest_link_stays_inside(slice_of(cases[i].path), slice_of(cases[i].target)) !=
		    cases[i].inside)
			fail_msg("%s -> %s", cases[i].path, cases[i].target);
}

static void tells_what_differs(void **state)
{
	struct entry old[] = {entry_of(ENTRY_FILE, "a"), entry_of(ENTRY_FILE, "b"), entry_of(ENTRY_DIR, "d"),
			      entry_of(ENTRY_FILE, "d/x"), entry_of(ENTRY_FILE, "m")};
	struct entry new[] = {entry_of(ENTRY_FILE, "b"), entry_of(ENTRY_DIR, "d"), entry_of(ENTRY_DIR, "d/x"),
			      entry_of(ENTRY_FILE, "e"), entry_of(ENTRY_FILE, "m")};
	static const char *const expected[][2] = {
		{"a", NULL}, {"b", "b"}, {"d/x", "d/x"}, {NULL, "e"}, {"m", "m"}};
	struct manifest from, to;
	struct manifest_change *changes;
	struct err err = ERR_INIT;

	(void)state;
	digest_of(SLICE("other"), &new[0].digest);
	new[4].mode = 0755;
	assert_int_equal(manifest_build(&arena, old, ARRAY_LEN(old), &from, &err), 0);
	assert_int_equal(manifest_build(&arena, new, ARRAY_LEN(new), &to, &err), 0);
	assert_int_equal(manifest_diff(&arena, &from, &to, &changes), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_int_equal(changes[i].from != NULL, expected[i][0] != NULL);
		assert_int_equal(changes[i].to != NULL, expected[i][1] != NULL);
		if (changes[i].from)
			assert_true(slice_is(changes[i].from->path, expected[i][0]));
		if (changes[i].to)
			assert_true(slice_is(changes[i].to->path, expected[i][1]));
	}
	assert_int_equal(manifest_diff(&arena, &to, &to, &changes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(is_sorted_and_named_by_its_bytes, teardown),
		cmocka_unit_test_teardown(may_be_empty, teardown),
		cmocka_unit_test_teardown(refuses_all_but_the_canonical_form, teardown),
		cmocka_unit_test_teardown(is_never_accepted_cut_short, teardown),
		cmocka_unit_test_teardown(is_not_built_from_what_it_would_not_read, teardown),
		cmocka_unit_test_teardown(bounds_the_number_of_entries, teardown),
		cmocka_unit_test_teardown(knows_links_that_stay_inside, teardown),
		cmocka_unit_test_teardown(tells_what_differs, teardown),
	};
	return cmocka_run_group_tests_name("store/manifest", tests, NULL, NULL);
}
