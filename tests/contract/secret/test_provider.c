/* What every provider must keep, whatever it reads (docs/adding-a-provider.md). */
#include "../../unit/cmocka_base.h"

#include "../../unit/temp.h"
#include "secret/provider.h"

#define CANARY "canary-2b81f0"

static const char *const credentials[] = {
	"VAULT_TOKEN",	     "VAULT_ROLE_ID",	      "VAULT_SECRET_ID",
	"DOPPLER_TOKEN",     "INFISICAL_CLIENT_ID",   "INFISICAL_CLIENT_SECRET",
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SOPS_AGE_KEY",
};

/* Tests run in the build folder, and the compiler was given paths relative to it. */
static void read_source(const char *name, struct buf *out)
{
	char path[4096];
	struct err err = ERR_INIT;
	const char *slash = strrchr(__FILE__, '/');

	snprintf(path, sizeof(path), "%.*s/../../../%s", (int)(slash - __FILE__), __FILE__, name);
	buf_clear(out);
	if (file_read_at(AT_FDCWD, path, out, &err))
		fail_msg("%s", err.text);
}

static bool is_line(const char *text)
{
	return text && *text && !strchr(text, '\n');
}

static void rows_are_complete(void **state)
{
	(void)state;
	assert_true(provider_count > 0);
	for (size_t i = 0; i < provider_count; i++) {
		const struct provider *provider = providers[i];
		print_message("# %s\n", provider->scheme);
		assert_true(is_line(provider->scheme) && is_line(provider->name));
		assert_true(is_line(provider->summary) && is_line(provider->form) &&
			    is_line(provider->example));
		assert_non_null(provider->more);
		assert_true(provider->more[0] != '\0');
		assert_true(provider->check != NULL && provider->read != NULL);
		size_t len = strspn(provider->scheme, "abcdefghijklmnopqrstuvwxyz0123456789");
		assert_int_equal(provider->scheme[len], '\0');
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(provider->scheme, providers[j]->scheme);
			assert_string_not_equal(provider->name, providers[j]->name);
		}
	}
}

static void addresses_have_the_form_they_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < provider_count; i++) {
		const struct provider *provider = providers[i], *found = NULL;
		struct err err = ERR_INIT;
		char scheme[64];
		snprintf(scheme, sizeof(scheme), "%s:", provider->scheme);
		assert_true(slice_starts_with(slice_of(provider->form), scheme));
		assert_true(slice_starts_with(slice_of(provider->example), scheme));
		const char *fault = provider->check(slice_of(provider->example));
		if (fault)
			fail_msg("%s: %s", provider->example, fault);
		assert_int_equal(provider_find(slice_of(provider->example), &found, &err), 0);
		assert_ptr_equal(found, provider);
	}
}

static void refuse(const struct provider *provider, struct slice url)
{
	const char *fault = provider->check(url);

	if (!fault)
		fail_msg("%s takes \"%.*s\"", provider->name, SLICE_ARG(url));
	assert_true(is_line(fault));
}

static void nonsense_is_refused(void **state)
{
	static const char *const behind[] = {"", "//", "//\x01", "//a/\0b", "?region=x"};
	static const size_t lens[] = {0, 2, 3, 6, 9};

	(void)state;
	for (size_t i = 0; i < provider_count; i++) {
		const struct provider *provider = providers[i];
		char url[300];
		for (size_t j = 0; j < ARRAY_LEN(behind); j++) {
			size_t len = (size_t)snprintf(url, sizeof(url), "%s:", provider->scheme);
			/* To a shell, all of this but the NUL is a command. */
			if (provider->runs_code && lens[j] && !memchr(behind[j], '\0', lens[j]))
				continue;
			memcpy(url + len, behind[j], lens[j]);
			refuse(provider, slice_make(url, len + lens[j]));
		}
		refuse(provider, slice_of(provider->scheme));
		refuse(provider, SLICE(""));
		/* Nothing of an address is looked at beyond its end. */
		size_t size = strlen(provider->example);
		for (size_t len = 0; len <= size; len++) {
			AUTO(mem_free_ptr) char *exact = mem_alloc(len ? len : 1);
			memcpy(exact, provider->example, len);
			(void)provider->check(slice_make(exact, len));
		}
	}
}

/* One of its words that means something: "Vault", "SOPS", ".env". */
static bool names(const struct err *err, const struct provider *provider)
{
	struct slice rest = slice_of(provider->name);

	while (rest.ptr) {
		struct slice word = slice_cut(&rest, ' ');
		if (word.len >= 4 && word.ptr[0] != '(' &&
		    memmem(err->text, strlen(err->text), word.ptr, word.len))
			return true;
	}
	return strstr(err->text, provider->example) != NULL;
}

static void set_credentials(const struct temp *temp, bool given)
{
	for (size_t i = 0; i < ARRAY_LEN(credentials); i++)
		given ? setenv(credentials[i], CANARY, 1) : unsetenv(credentials[i]);
	setenv("HOME", temp->path, 1);
	setenv("LOCKSTEP_HOME", temp->path, 1);
	setenv("AWS_REGION", "eu-west-1", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("AWS_PROFILE");
}

static void fails(const struct temp *temp, const struct provider *provider, const char *url, bool names_only)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct provider_call call = {
		.arena = &arena,
		.safe = safe,
		.url = url,
		.endpoint = provider->local || provider->runs_code ? NULL : "http://127.0.0.1:1",
		.folder = temp->path,
		.project = "shop",
		.environment = "production",
		.names_only = names_only,
		.timeout_ms = 300,
	};
	struct provider_entries out;
	struct err err = ERR_INIT;

	print_message("# %s\n", url);
	assert_int_equal(provider_read(&call, &out, &err), -1);
	print_message("#   %s\n", err.text);
	assert_int_not_equal(err.code, ERR_NONE);
	assert_int_not_equal(err.code, ERR_INTERNAL);
	assert_true(names(&err, provider));
	assert_null(strstr(err.text, CANARY));
	assert_null(strstr(err.hint, CANARY));
}

/* Nobody answers, no file is there, no credential fits: an error, and whose it is. */
static void what_cannot_be_read_is_an_error(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();

	(void)state;
	for (size_t i = 0; i < provider_count; i++) {
		const struct provider *provider = providers[i];
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		const char *url = provider->runs_code ? arena_printf(&arena, "%s:exit 3", provider->scheme)
						      : provider->example;
		for (int given = 0; given < 2; given++)
			for (int names_only = 0; names_only < 2; names_only++) {
				set_credentials(&temp, given);
				fails(&temp, provider, url, names_only);
			}
		fails(&temp, provider, arena_printf(&arena, "%s:", provider->scheme), false);
	}
	set_credentials(&temp, false);
}

/* A section whose text begins with an address of the row. */
static void each_is_described(void **state)
{
	AUTO(buf_free) struct buf page = BUF_INIT(MIB(1));

	(void)state;
	read_source("docs/providers.md", &page);
	for (size_t i = 0; i < provider_count; i++) {
		char wanted[80];
		snprintf(wanted, sizeof(wanted), "\n\n`%s:", providers[i]->scheme);
		const char *found = strstr(buf_str(&page), wanted);
		if (!found)
			fail_msg("docs/providers.md has no section that begins with an address of %s",
				 providers[i]->name);
		const char *line = found;
		while (line > page.ptr && line[-1] != '\n')
			line--;
		assert_memory_equal(line, "## ", 3);
	}
}

static bool is_variable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", text.ptr[i]) || !text.ptr[i])
			return false;
	return text.len > 3 && slice_find(text, '_') > 0;
}

static int check_variables(void *context, const char *name, struct err *err)
{
	AUTO(buf_free) struct buf source = BUF_INIT(MIB(1));
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct buf *page = context;
	size_t len = strlen(name);

	(void)err;
	if (len < 3 || strcmp(name + len - 2, ".c") != 0)
		return 0;
	read_source(arena_printf(&arena, "src/secret/%s", name), &source);
	struct slice rest = buf_slice(&source);
	while (rest.ptr) {
		struct slice text = slice_cut(&rest, '"');
		if (!is_variable(text) || slice_is(text, "AES256_GCM"))
			continue;
		const char *alone = arena_printf(&arena, "`%.*s`", SLICE_ARG(text));
		const char *with_value = arena_printf(&arena, "`%.*s=", SLICE_ARG(text));
		if (!strstr(buf_str(page), alone) && !strstr(buf_str(page), with_value))
			fail_msg("%s reads %s, of which docs/providers.md says nothing", name, alone);
	}
	return 0;
}

static void each_variable_is_described(void **state)
{
	AUTO(buf_free) struct buf page = BUF_INIT(MIB(1));
	char path[4096];
	struct err err = ERR_INIT;
	const char *slash = strrchr(__FILE__, '/');

	(void)state;
	read_source("docs/providers.md", &page);
	snprintf(path, sizeof(path), "%.*s/../../../src/secret", (int)(slash - __FILE__), __FILE__);
	assert_int_equal(dir_each_at(AT_FDCWD, path, check_variables, &page, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_complete),   cmocka_unit_test(addresses_have_the_form_they_say),
		cmocka_unit_test(nonsense_is_refused), cmocka_unit_test(what_cannot_be_read_is_an_error),
		cmocka_unit_test(each_is_described),   cmocka_unit_test(each_variable_is_described),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
