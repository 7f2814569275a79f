/* Versions of configuration. */
#include "fixture.h"

#include "model/config_version.h"

static struct config_version version_of(struct fixture *f, const char *digest, int64_t at)
{
	return (struct config_version){
		.project = "shop",
		.environment = "staging",
		.digest = hex64(f, digest),
		.deployment = "261122-k3m9x",
		.who = "ana",
		.created_ms = at,
	};
}

static void a_version_is_kept_with_its_entries(void **state)
{
	struct fixture *f = *state;
	struct config_entry entries[] = {
		{.name = "B",
		 .level = "environment",
		 .place = "lockstep.yml:3:4",
		 .fingerprint = hex64(f, "b"),
		 .text = "1"},
		{.name = "A",
		 .scope = "web",
		 .level = "group",
		 .place = "vault://kv/shop#A",
		 .version = "7",
		 .fingerprint = hex64(f, "a"),
		 .sealed = "c2VhbGVk",
		 .secret = true},
	};
	struct config_entry_list put = {entries, 2};
	struct config_kept_file kept[] = {{"config/app.conf", hex64(f, "d")}, {".env", hex64(f, "e")}};
	struct config_kept_file_list files = {kept, 2};
	struct config_version in = version_of(f, "c0ffee", 5000), out;
	struct config_entry_list list;
	bool added, found;

	in.file_count = 2;
	assert_int_equal(config_version_put(f->db, &in, &put, &files, &added, &f->err), 0);
	assert_true(added);
	assert_int_equal(config_version_put(f->db, &in, &put, &files, &added, &f->err), 0);
	assert_false(added);
	assert_int_equal(
		config_version_find(f->db, &f->arena, "shop", "staging", "c0ffee", &found, &out, &f->err), 0);
	assert_true(found);
	assert_true(out.created_ms == 5000 && out.entry_count == 2 && out.file_count == 2);
	files = (struct config_kept_file_list){0};
	assert_int_equal(config_kept_file_list(f->db, &f->arena, &out, &files, &f->err), 0);
	assert_int_equal(files.count, 2);
	assert_string_equal(files.items[0].path, ".env");
	assert_string_equal(files.items[0].fingerprint, hex64(f, "e"));
	assert_string_equal(files.items[1].path, "config/app.conf");
	assert_string_equal(out.digest, in.digest);
	assert_string_equal(out.deployment, in.deployment);
	assert_int_equal(config_entry_list(f->db, &f->arena, &out, &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].name, "A");
	assert_string_equal(list.items[0].scope, "web");
	assert_string_equal(list.items[0].version, "7");
	assert_string_equal(list.items[0].sealed, "c2VhbGVk");
	assert_true(list.items[0].secret && !list.items[0].text);
	assert_string_equal(list.items[1].text, "1");
	assert_null(list.items[1].sealed);
}

static void the_newest_comes_first_and_purging_removes_sealed_copies_only(void **state)
{
	struct fixture *f = *state;
	struct config_entry entry = {.name = "A",
				     .level = "environment",
				     .place = "a.env:1",
				     .fingerprint = hex64(f, "a"),
				     .sealed = "c2VhbGVk",
				     .secret = true};
	struct config_version one = version_of(f, "aaaaaaa", 1), two = version_of(f, "bbbbbbb", 2), out;
	struct config_version_list list;
	struct config_entry_list entries;
	size_t count;
	bool added, found;

	const struct config_entry_list put = {&entry, 1};
	const struct config_kept_file_list unknown = {0};
	one.file_count = two.file_count = -1;
	assert_int_equal(config_version_put(f->db, &one, &put, &unknown, &added, &f->err), 0);
	assert_int_equal(config_version_put(f->db, &two, &put, &unknown, &added, &f->err), 0);
	assert_int_equal(config_version_list(f->db, &f->arena, "shop", "staging", 0, &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].digest, two.digest);
	/* That it is not known which files there were is not the same as none. */
	assert_true(list.items[0].file_count == -1);
	assert_int_equal(config_version_purge(f->db, "shop", "production", "A", &count, &f->err), 0);
	assert_int_equal(count, 0);
	assert_int_equal(config_version_purge(f->db, "shop", NULL, "A", &count, &f->err), 0);
	assert_int_equal(count, 2);
	assert_int_equal(
		config_version_find(f->db, &f->arena, "shop", "staging", NULL, &found, &out, &f->err), 0);
	assert_int_equal(config_entry_list(f->db, &f->arena, &out, &entries, &f->err), 0);
	assert_null(entries.items[0].sealed);
	assert_string_equal(entries.items[0].fingerprint, entry.fingerprint);
}

static void a_digest_that_is_too_short_is_refused(void **state)
{
	struct fixture *f = *state;
	struct config_version out;
	bool found;

	assert_int_equal(
		config_version_find(f->db, &f->arena, "shop", "staging", "abc", &found, &out, &f->err), -1);
	assert_int_equal(f->err.code, ERR_USER);
	err_clear(&f->err);
	assert_int_equal(
		config_version_find(f->db, &f->arena, "shop", "staging", "abcdef", &found, &out, &f->err), 0);
	assert_false(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_version_is_kept_with_its_entries),
		CASE(the_newest_comes_first_and_purging_removes_sealed_copies_only),
		CASE(a_digest_that_is_too_short_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
