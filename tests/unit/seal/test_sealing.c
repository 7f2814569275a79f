/* A sealed value opens with its key, in its own place, unchanged; nothing else does. */
#include "../cmocka_base.h"

#include "../temp.h"
#include "base/arena.h"
#include "seal/key_file.h"

#include <errno.h>

static const struct seal_context here = {"shop", "production", "DB_PASSWORD", 3};

static void seal(const struct seal_key *key, const struct seal_context *context, struct slice value, struct buf *out)
{
	seal_value(key, context, value, out);
	assert_false(out->overflow);
}

static bool opens(const struct seal_key *key, const struct seal_context *context, struct slice sealed,
		  struct slice value)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct err err = ERR_INIT;
	struct secret opened;

	if (seal_open(key, context, sealed, safe, &opened, &err)) {
		assert_true(err.code == ERR_DENIED || err.code == ERR_USER);
		return false;
	}
	assert_true(slice_equal(secret_reveal(opened), value));
	return true;
}

static void opens_in_its_own_place_only(void **state)
{
	static const struct seal_context others[] = {
		{"shop", "production", "DB_PASSWORD", 4},  {"shop", "production", "DB_USER", 3},
		{"shop", "staging", "DB_PASSWORD", 3},	   {"shop2", "production", "DB_PASSWORD", 3},
		{"shopp", "roduction", "DB_PASSWORD", 3},
	};
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf sealed = BUF_INIT(10000);
	struct seal_key key, other;

	(void)state;
	seal_key_generate(safe, &key);
	seal_key_generate(safe, &other);
	seal(&key, &here, SLICE("hunter2"), &sealed);
	assert_true(opens(&key, &here, buf_slice(&sealed), SLICE("hunter2")));
	assert_false(opens(&other, &here, buf_slice(&sealed), SLICE("hunter2")));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(opens(&key, &others[i], buf_slice(&sealed), SLICE("hunter2")));
}

static void one_changed_letter_is_noticed(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf sealed = BUF_INIT(10000);
	struct seal_key key;

	(void)state;
	seal_key_generate(safe, &key);
	seal(&key, &here, SLICE("hunter2"), &sealed);
	for (size_t i = 0; i < sealed.len; i++) {
		char was = sealed.ptr[i];
		sealed.ptr[i] = was == 'A' ? 'B' : 'A';
		assert_false(opens(&key, &here, buf_slice(&sealed), SLICE("hunter2")));
		sealed.ptr[i] = was;
		assert_false(opens(&key, &here, slice_make(sealed.ptr, i), SLICE("hunter2")));
	}
	buf_putc(&sealed, 'A');
	assert_false(opens(&key, &here, buf_slice(&sealed), SLICE("hunter2")));
}

static void any_value_comes_back(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(mem_free_ptr) char *large = mem_alloc(SECRET_MAX);
	static const size_t sizes[] = {0, 1, 31, 32, 33, 1000, SECRET_MAX - 1, SECRET_MAX};
	struct seal_key key;

	(void)state;
	seal_key_generate(safe, &key);
	for (size_t i = 0; i < SECRET_MAX; i++)
		large[i] = (char)(i * 7);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO(buf_free) struct buf sealed = BUF_INIT(SEALED_MAX);
		seal(&key, &here, slice_make(large, sizes[i]), &sealed);
		assert_true(opens(&key, &here, buf_slice(&sealed), slice_make(large, sizes[i])));
	}
}

static void equal_values_look_different_and_lengths_are_hidden(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf one = BUF_INIT(1000), two = BUF_INIT(1000), longer = BUF_INIT(1000);
	struct seal_key key;

	(void)state;
	seal_key_generate(safe, &key);
	seal(&key, &here, SLICE("hunter2"), &one);
	seal(&key, &here, SLICE("hunter2"), &two);
	seal(&key, &here, SLICE("0123456789012345678901234567890"), &longer);
	assert_false(slice_equal(buf_slice(&one), buf_slice(&two)));
	assert_int_equal(one.len, longer.len);
}

static void keys_have_a_text(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(1000);
	struct seal_key key, again;
	struct err err = ERR_INIT;

	(void)state;
	seal_key_generate(safe, &key);
	buf_puts(&text, "# a comment\n  ");
	size_t start = text.len;
	seal_key_put(&text, &key);
	buf_puts(&text, "\n");
	assert_int_equal(seal_key_parse(safe, buf_slice(&text), &again, &err), 0);
	assert_true(secret_equal(key.bytes, again.bytes));
	assert_string_equal(key.id, again.id);
	assert_int_equal(strlen(key.id), SEAL_ID_LEN);
	char *at = text.ptr + start + strlen("lockstep-key-1.") + 5;
	*at = *at == 'x' ? 'y' : 'x';
	assert_int_equal(seal_key_parse(safe, buf_slice(&text), &again, &err), -1);
	assert_string_equal(err.text, "not a key: a letter of it is wrong");
	assert_int_equal(seal_key_parse(safe, SLICE("lockstep-key-1.abc"), &again, &err), -1);
	assert_null(strstr(err.text, "abc"));
	assert_int_equal(seal_key_parse(safe, SLICE("hunter2"), &again, &err), -1);
	assert_null(strstr(err.text, "hunter2"));
}

static void fingerprints_compare_and_tell_nothing_else(void **state)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct seal_context later = here, elsewhere = here;
	char a[SEAL_FINGERPRINT_LEN + 1], b[SEAL_FINGERPRINT_LEN + 1];
	struct seal_key key, other;

	(void)state;
	later.version = 9;
	elsewhere.environment = "staging";
	seal_key_generate(safe, &key);
	seal_key_generate(safe, &other);
	seal_fingerprint(&key, &here, SLICE("hunter2"), a);
	seal_fingerprint(&key, &later, SLICE("hunter2"), b);
	assert_string_equal(a, b);
	seal_fingerprint(&key, &here, SLICE("hunter3"), b);
	assert_string_not_equal(a, b);
	seal_fingerprint(&key, &elsewhere, SLICE("hunter2"), b);
	assert_string_not_equal(a, b);
	seal_fingerprint(&other, &here, SLICE("hunter2"), b);
	assert_string_not_equal(a, b);

	struct secret one, two;
	seal_key_derive(safe, &key, "one", &one);
	seal_key_derive(safe, &key, "two", &two);
	assert_false(secret_equal(one, two));
	assert_false(secret_equal(one, key.bytes));
}

static void key_files_are_kept_by_id_and_private(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();
	AUTO(safe_close) struct safe *safe = safe_open();
	struct seal_key first, second, loaded;
	struct err err = ERR_INIT;
	char path[KEY_PATH_MAX];
	struct stat status;

	(void)state;
	assert_int_equal(key_file_load(temp.path, "shop", "staging", NULL, safe, &loaded, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	seal_key_generate(safe, &first);
	seal_key_generate(safe, &second);
	assert_int_equal(key_file_save(temp.path, "shop", "staging", &first, &err), 0);
	assert_int_equal(key_file_save(temp.path, "shop", "staging", &first, &err), 0);
	assert_int_equal(key_file_save(temp.path, "shop", "staging", &second, &err), 0);
	assert_int_equal(key_file_load(temp.path, "shop", "staging", NULL, safe, &loaded, &err), 0);
	assert_true(secret_equal(loaded.bytes, second.bytes));
	assert_int_equal(key_file_load(temp.path, "shop", "staging", first.id, safe, &loaded, &err), 0);
	assert_true(secret_equal(loaded.bytes, first.bytes));
	assert_int_equal(key_file_load(temp.path, "shop", "staging", "0123456789abcdef", safe, &loaded, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, second.id));

	key_file_path(temp.path, "shop", "staging", path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(key_file_load(temp.path, "shop", "staging", NULL, safe, &loaded, &err), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_non_null(strstr(err.text, "others can read"));
}

static void machine_key_is_made_once(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();
	AUTO(safe_close) struct safe *safe = safe_open();
	struct seal_key first, again;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(key_file_machine(temp.path, safe, &first, &err), 0);
	assert_int_equal(key_file_machine(temp.path, safe, &again, &err), 0);
	assert_true(secret_equal(first.bytes, again.bytes));
}

static void variables_give_keys_by_value_file_and_descriptor(void **state)
{
	AUTO(temp_remove) struct temp temp = temp_make();
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(1000);
	struct seal_key key, loaded;
	struct err err = ERR_INIT;
	char path[KEY_PATH_MAX], number[32];
	int ends[2];

	(void)state;
	seal_key_generate(safe, &key);
	seal_key_put(&text, &key);
	assert_int_equal(setenv("LOCKSTEP_KEY_CI_ONE", buf_str(&text), 1), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(key_file_load(temp.path, "shop", "ci-one", NULL, safe, &loaded, &err), 0);
		assert_true(secret_equal(key.bytes, loaded.bytes));
		assert_string_equal(getenv("LOCKSTEP_KEY_CI_ONE"), ""); /* children shall not inherit it */
	}
	snprintf(path, sizeof(path), "%s/key", temp.path);
	assert_int_equal(file_replace_at(AT_FDCWD, path, buf_slice(&text), 0600, &err), 0);
	assert_int_equal(setenv("LOCKSTEP_KEY_TWO", path, 1), 0);
	assert_int_equal(key_file_load(temp.path, "shop", "two", key.id, safe, &loaded, &err), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text.ptr, text.len), text.len);
	close(ends[1]);
	snprintf(number, sizeof(number), "fd:%d", ends[0]);
	assert_int_equal(setenv("LOCKSTEP_KEY_THREE", number, 1), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(key_file_load(temp.path, "shop", "three", key.id, safe, &loaded, &err), 0);
	assert_int_equal(setenv("LOCKSTEP_KEY_FOUR", "hunter2", 1), 0);
	assert_int_equal(key_file_load(temp.path, "shop", "four", NULL, safe, &loaded, &err), -1);
	assert_string_equal(err.text, "LOCKSTEP_KEY_FOUR holds no key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_in_its_own_place_only),
		cmocka_unit_test(one_changed_letter_is_noticed),
		cmocka_unit_test(any_value_comes_back),
		cmocka_unit_test(equal_values_look_different_and_lengths_are_hidden),
		cmocka_unit_test(keys_have_a_text),
		cmocka_unit_test(fingerprints_compare_and_tell_nothing_else),
		cmocka_unit_test(key_files_are_kept_by_id_and_private),
		cmocka_unit_test(machine_key_is_made_once),
		cmocka_unit_test(variables_give_keys_by_value_file_and_descriptor),
	};
	return cmocka_run_group_tests_name("sealing", tests, NULL, NULL);
}
