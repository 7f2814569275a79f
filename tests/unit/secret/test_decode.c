/* What services answer, as entries: the good answers of the fuzzers' corpus are taken,
 * the others refused with whose they are. */
#include "../cmocka_base.h"

#include "base/fd.h"
#include "secret/decode.h"

#include <fcntl.h>
#include <stdio.h>

typedef int (*decode_fn)(const struct provider_call *call, const char *what, struct slice body,
			 struct provider_entries *out, struct err *err);

static int decode_sops(const struct provider_call *call, const char *what, struct slice body,
		       struct provider_entries *out, struct err *err)
{
	static const uint8_t key[AES_GCM_KEY_LEN];

	(void)what;
	return sops_decode(call, key, body, out, err);
}

static const struct {
	const char *file;
	decode_fn decode;
	bool names_only;
	const char *entries; /* "NAME=value …" in order, or the names; NULL: refused */
	const char *error;
} rows[] = {
	{"vault/values", vault_decode, false, "DB=x N=3 F=1.5 B=true L=[1,{\"a\":null}]", NULL},
	{"vault/names", vault_decode, true, "DB N", NULL},
	{"vault/names-bare", vault_decode, true, "DB", NULL},
	{"vault/null-value", vault_decode, false, NULL,
	 "vault://kv/shop/production#DB has no value there (null)"},
	{"vault/version-1", vault_decode, false, NULL,
	 "it: shop/production: its answer is not that of a key-value engine, version 2"},
	{"vault/a-list", vault_decode, false, NULL, "it: its answer is not a JSON object"},
	{"doppler/values", doppler_decode, false, "DB=x N=1 E=", NULL},
	{"doppler/names", doppler_decode, true, "DB X", NULL},
	{"doppler/odd-names", doppler_decode, true, NULL, "it: its list holds something that is no name"},
	{"infisical/values", infisical_decode, false, "DB=x B=x C=x", NULL},
	{"infisical/values", infisical_decode, true, "DB B C", NULL},
	{"infisical/hidden", infisical_decode, false, NULL,
	 "it: infisical://6f1c/production/web#DB: the identity of INFISICAL_TOKEN may see its name, but "
	 "lacks "
	 "`Read Value`"},
	{"infisical/hidden", infisical_decode, true, "DB", NULL},
	{"infisical/no-value", infisical_decode, false, NULL,
	 "infisical://6f1c/production/#DB: the answer holds no value for it"},
	{"infisical/no-list", infisical_decode, false, NULL, "it: its answer holds no list of secrets"},
	{"ssm/page", ssm_decode, false, "DB=x db/KEY=x", NULL},
	{"ssm/page", ssm_decode, true, "DB db/KEY", NULL},
	{"ssm/elsewhere", ssm_decode, false, NULL,
	 "it: a parameter that does not stand below /shop/production/"},
	{"secretsmanager/object", secretsmanager_decode, false, "DB=x N=[1] B=true", NULL},
	{"secretsmanager/whole", secretsmanager_decode, false, "production={not json", NULL},
	{"secretsmanager/bytes", secretsmanager_decode, false, NULL,
	 "secretsmanager://shop/production holds bytes, not text"},
	{"sops/good-yaml", decode_sops, false, "DB=secret db/KEY=3 plain=text", NULL},
	{"sops/good-yaml", decode_sops, true, "DB db/KEY plain", NULL},
	{"sops/good-json", decode_sops, false, "DB=v", NULL},
	{"sops/good-env", decode_sops, false, "DB=line PLAIN=x\ny", NULL},
	{"sops/changed-yaml", decode_sops, false, NULL,
	 "SOPS: a.enc.yaml: its checksum does not fit: a value was changed, added or taken away by hand"},
	{"sops/kms", decode_sops, false, NULL, "SOPS: a.json is encrypted with kms; only age is read here"},
};

/* Tests run in the build folder, and the compiler was given paths relative to it. */
static void read_corpus(const char *name, struct buf *out)
{
	char path[4096];
	struct err err = ERR_INIT;
	const char *slash = strrchr(__FILE__, '/');

	snprintf(path, sizeof(path), "%.*s/../../fuzz/secret/corpus/%s", (int)(slash - __FILE__), __FILE__,
		 name);
	if (file_read_at(AT_FDCWD, path, out, &err))
		fail_msg("%s", err.text);
}

static void answers_become_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(safe_close) struct safe *safe = safe_open();
		AUTO(buf_free) struct buf input = BUF_INIT(64 << 10), shown = BUF_INIT(4096);
		struct provider_entries out = {0};
		struct err err = ERR_INIT;
		print_message("# %s\n", rows[i].file);
		read_corpus(rows[i].file, &input);
		struct slice body = buf_slice(&input), url = slice_cut(&body, '\n');
		struct provider_call call = {.arena = &arena,
					     .safe = safe,
					     .url = arena_str(&arena, url),
					     .names_only = rows[i].names_only};
		int failed = rows[i].decode(&call, "it", body, &out, &err);
		assert_string_equal(err.text, rows[i].error ? rows[i].error : "");
		assert_int_equal(failed, rows[i].error ? -1 : 0);
		if (failed)
			continue;
		for (size_t j = 0; j < out.count; j++) {
			buf_printf(&shown, "%s%s", j ? " " : "", out.items[j].name);
			assert_int_equal(secret_present(out.items[j].value), !call.names_only);
			if (!call.names_only)
				buf_printf(&shown, "=%.*s", SLICE_ARG(secret_reveal(out.items[j].value)));
		}
		assert_string_equal(buf_str(&shown), rows[i].entries);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_become_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
