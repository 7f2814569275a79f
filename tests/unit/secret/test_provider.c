/* Addresses, order, names, mappings, several at once, with .env files as the provider. */
#include "../cmocka_base.h"

#include "../temp.h"
#include "secret/provider.h"

static void write_file(const struct temp *temp, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", temp->path, name);
	if (file_replace_at(AT_FDCWD, path, slice_of(text), 0600, &err))
		fail_msg("%s", err.text);
}

static void addresses_find_their_provider(void **state)
{
	static const struct {
		const char *url, *text, *hint;
	} rows[] = {
		{"dotenv:x.env", NULL, NULL},
		{"dotenb:x.env", "there is no provider \"dotenb:\"", "did you mean dotenv:PATH?"},
		{"deploy/x.env", "\"deploy/x.env\" does not say which provider it is for",
		 "an address begins with a scheme: dotenv:deploy/x.env for a .env file"},
		{"quite-another://user:hunter2@x", "there is no provider \"quite-another:\"", NULL},
		{"", "\"\" does not say which provider it is for", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct provider *provider = NULL;
		struct err err = ERR_INIT;
		int failed = provider_find(slice_of(rows[i].url), &provider, &err);
		assert_int_equal(failed, rows[i].text ? -1 : 0);
		if (!failed) {
			assert_string_equal(provider->scheme, "dotenv");
			continue;
		}
		assert_int_equal(err.code, ERR_USER);
		assert_string_equal(err.text, rows[i].text);
		if (rows[i].hint)
			assert_string_equal(err.hint, rows[i].hint);
	}
}

static void entries_are_sorted_and_placed(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct provider_call call = {.arena = &arena, .safe = safe, .url = "dotenv:a.env", .folder = temp.path};
	struct provider_entries out;
	struct err err = ERR_INIT;

	(void)state;
	write_file(&temp, "a.env", "ZED=1\nABLE=2\n\nMID=3\n");
	assert_int_equal(provider_read(&call, &out, &err), 0);
	assert_int_equal(out.count, 3);
	assert_string_equal(out.items[0].name, "ABLE");
	assert_string_equal(out.items[0].place, "a.env:2");
	assert_string_equal(out.items[1].place, "a.env:4");
	assert_string_equal(out.items[2].name, "ZED");
	assert_true(slice_is(secret_reveal(out.items[2].value), "1"));
	call.names_only = true;
	assert_int_equal(provider_read(&call, &out, &err), 0);
	assert_int_equal(out.count, 3);
	assert_false(secret_present(out.items[0].value));
}

static void mappings_choose_and_rename(void **state)
{
	static const struct provider_mapping mappings[] = {{"DB_PASSWORD", "db.password"}, {"TOKEN", "token"}};
	AUTO(temp_remove) struct temp temp = temp_make();
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct provider_call call = {.arena = &arena, .safe = safe, .url = "dotenv:a.env", .folder = temp.path,
				     .mappings = mappings, .mapping_count = 2};
	struct provider_entries out;
	struct err err = ERR_INIT;

	(void)state;
	write_file(&temp, "a.env", "db.password=x\nother=y\n");
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.text, "dotenv:a.env does not hold token (for TOKEN)");
	write_file(&temp, "a.env", "db.password=x\nother=y\ntoken=z\n");
	assert_int_equal(provider_read(&call, &out, &err), 0);
	assert_int_equal(out.count, 2);
	assert_string_equal(out.items[0].name, "DB_PASSWORD");
	assert_true(slice_is(secret_reveal(out.items[1].value), "z"));
	call.mapping_count = 0;
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_string_equal(err.text, "a.env:1: \"db.password\" cannot be the name of a variable");
}

static void errors_name_provider_and_path(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct provider_call call = {.arena = &arena, .safe = safe, .url = "dotenv:no.env", .folder = temp.path};
	struct provider_entries out;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.text, ".env file: no.env: No such file or directory");
	call.url = "dotenv:.";
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_string_equal(err.text, ".env file: . is a folder");
	call.url = "dotenv:";
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_string_equal(err.text, "an address of .env file is wrong: it names no file");
	write_file(&temp, "bad.env", "A=canary#1\nB='canary\n");
	call.url = "dotenv:bad.env";
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_non_null(strstr(err.text, "bad.env:1:9: `#` without a blank"));
	assert_non_null(strstr(err.text, "bad.env:2:3: this quote is never closed"));
	assert_null(strstr(err.text, "canary"));
}

static void several_are_read_and_all_errors_told(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();
	struct arena arenas[3] = {{0}};
	struct provider_call calls[3] = {{0}};
	struct provider_entries out[3];
	struct err err = ERR_INIT;
	static const char *const urls[] = {"dotenv:a.env", "dotenv:b.env", "dotenv:c.env"};

	(void)state;
	write_file(&temp, "b.env", "B=1\n");
	for (size_t i = 0; i < 3; i++)
		calls[i] = (struct provider_call){.arena = &arenas[i], .safe = safe_open(), .url = urls[i], .folder = temp.path};
	assert_int_equal(providers_read(calls, 3, out, &err), -1);
	assert_string_equal(err.text, ".env file: a.env: No such file or directory\n"
				      ".env file: c.env: No such file or directory");
	write_file(&temp, "a.env", "A=1\n");
	write_file(&temp, "c.env", "C=1\n");
	assert_int_equal(providers_read(calls, 3, out, &err), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(out[i].count, 1);
		assert_int_equal(out[i].items[0].name[0], 'A' + (int)i);
		safe_close(&calls[i].safe);
		arena_free(&arenas[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_find_their_provider),
		cmocka_unit_test(entries_are_sorted_and_placed),
		cmocka_unit_test(mappings_choose_and_rename),
		cmocka_unit_test(errors_name_provider_and_path),
		cmocka_unit_test(several_are_read_and_all_errors_told),
	};
	return cmocka_run_group_tests_name("provider", tests, NULL, NULL);
}
