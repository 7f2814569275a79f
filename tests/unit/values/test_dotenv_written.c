/* What we write as a .env file is what we read from one. */
#include "secret/dotenv_parse.h"
#include "support.h"
#include "values/env_file.h"

static void what_is_written_is_read_back(void **state)
{
	static const char *const texts[] = {
		"",
		"plain",
		"a b",
		"it's",
		"say \"hi\"",
		"both ' and \"",
		"a\\nb",
		"$HOME",
		"it's $x",
		"`id`",
		"it's `id`",
		"line\nbreak",
		"it's\ntwo lines\n",
		"cr\r\n",
		"#no comment",
		"a #b",
		" blanks ",
		"\\",
		"'\\",
		"gr\xc3\xbc\xc3\x9f",
		"tab\t",
		"a=b",
		"https://u:p@h/x?a=b",
	};
	(void)state;
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(64));
	struct config_set set = {ARENA_NEW_ARRAY(&arena, ARRAY_LEN(texts), struct config_value),
				 ARRAY_LEN(texts)};
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		set.values[i] = (struct config_value){.name = arena_printf(&arena, "K%02zu", i),
						      .value = secret_of(slice_of(texts[i]))};
	if (env_file_write(ENV_DOTENV, &set, &out, &err))
		fail_msg("%s", err.text);

	struct diags *diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	struct dotenv_options options = {0};
	struct dotenv_file file;
	if (dotenv_parse(&arena, safe, ".env", buf_slice(&out), &options, &file, diags))
		fail_msg("%s\n%s", diags->items[0].text, buf_str(&out));
	assert_int_equal(file.count, ARRAY_LEN(texts));
	for (size_t i = 0; i < file.count; i++) {
		assert_string_equal(file.items[i].name, set.values[i].name);
		assert_string_equal(secret_reveal(file.items[i].value).ptr, texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(what_is_written_is_read_back)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
