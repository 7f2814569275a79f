/* A sealed file comes back as it was, opens in its own place, and whatever was done to
 * it is said with its line. */
#include "../cmocka_base.h"

#include "../temp.h"
#include "base/clock.h"
#include "seal/key_file.h"
#include "secret/provider.h"
#include "secret/sealed_file.h"

enum { NOW = 1764000000 };

struct fixture {
	struct arena arena;
	struct safe *safe;
	struct seal_key key;
	struct sealed_file file;
	struct buf text;
};

static void put(struct fixture *f, const char *name, const char *value)
{
	struct err err = ERR_INIT;
	assert_int_equal(sealed_file_put(&f->arena, &f->file, &f->key, name, slice_of(value), NOW * 1000LL, &err), 0);
}

static void print(struct fixture *f)
{
	buf_clear(&f->text);
	sealed_file_print(&f->file, &f->text);
}

static struct fixture make(void)
{
	struct fixture f = {.text = BUF_INIT(1 << 20), .safe = safe_open()};

	seal_key_generate(f.safe, &f.key);
	sealed_file_init(&f.arena, "shop", "production", f.key.id, &f.file);
	put(&f, "STRIPE_SECRET", "sk_live_x");
	put(&f, "DB_PASSWORD", "old");
	put(&f, "DB_PASSWORD", "hunter2");
	put(&f, "EMPTY", "");
	print(&f);
	return f;
}

static void drop(struct fixture *f)
{
	safe_close(&f->safe);
	buf_free(&f->text);
	arena_free(&f->arena);
}

/* Reads `text` and opens all; the error or "". */
static const char *read_back(struct fixture *f, const char *text)
{
	struct diags *diags = ARENA_NEW(&f->arena, struct diags);
	struct sealed_file file;
	struct secret values[10] = {{NULL}};
	struct err err = ERR_INIT;

	*diags = DIAGS_INIT(&f->arena);
	if (sealed_file_parse(&f->arena, "p.sealed", slice_of(text), &file, diags)) {
		AUTO(buf_free) struct buf shown = BUF_INIT(10000);
		diags_print(diags, &shown);
		return arena_strdup(&f->arena, buf_str(&shown));
	}
	if (sealed_file_open(&file, "p.sealed", &f->key, f->safe, values, &err)) {
		assert_int_equal(err.code, ERR_DENIED);
		return arena_strdup(&f->arena, err.text);
	}
	return "";
}

/* The text with the first `from` replaced. */
static const char *with(struct fixture *f, const char *from, const char *to)
{
	const char *text = buf_str(&f->text), *at = strstr(text, from);

	assert_non_null(at);
	return arena_printf(&f->arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static const char *line_of(struct fixture *f, const char *name)
{
	const char *at = strstr(buf_str(&f->text), arena_printf(&f->arena, "\n%s ", name)) + 1;
	return arena_str(&f->arena, slice_make(at, strcspn(at, "\n")));
}

static const char *sealed_of(struct fixture *f, const char *name) { return strrchr(line_of(f, name), ' ') + 1; }

static void comes_back_as_it_was(void **state)
{
	struct fixture f = make();
	AUTO(buf_free) struct buf again = BUF_INIT(1 << 20);
	struct diags diags = DIAGS_INIT(&f.arena);
	struct sealed_file file;
	struct secret values[3];
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(strstr(buf_str(&f.text), "\nDB_PASSWORD 2 2025-11-24T16:00:00Z "));
	assert_int_equal(sealed_file_parse(&f.arena, "p", buf_slice(&f.text), &file, &diags), 0);
	assert_int_equal(file.count, 3);
	assert_string_equal(file.items[0].name, "DB_PASSWORD");
	assert_int_equal(sealed_file_open(&file, "p", &f.key, f.safe, values, &err), 0);
	assert_true(slice_is(secret_reveal(values[0]), "hunter2"));
	assert_true(slice_is(secret_reveal(values[1]), ""));
	assert_true(slice_is(secret_reveal(values[2]), "sk_live_x"));
	sealed_file_print(&file, &again);
	assert_string_equal(buf_str(&again), buf_str(&f.text));
	drop(&f);
}

static void comments_stay_where_they_are(void **state)
{
	struct fixture f = make();
	AUTO(buf_free) struct buf again = BUF_INIT(1 << 20);
	struct diags diags = DIAGS_INIT(&f.arena);
	struct sealed_file file;

	(void)state;
	const char *text = arena_printf(&f.arena, "%s\n# the end\n", with(&f, "\nEMPTY ", "\n# why it is empty\nEMPTY "));
	assert_int_equal(sealed_file_parse(&f.arena, "p", slice_of(text), &file, &diags), 0);
	sealed_file_print(&file, &again);
	assert_string_equal(buf_str(&again), text);
	drop(&f);
}

static void what_was_done_to_it_is_said(void **state)
{
	struct fixture f = make();

	(void)state;
	assert_string_equal(read_back(&f, buf_str(&f.text)), "");
	/* Two values swapped. */
	const char *swapped = with(&f, sealed_of(&f, "DB_PASSWORD"), sealed_of(&f, "STRIPE_SECRET"));
	assert_string_equal(read_back(&f, swapped),
			    "p.sealed:8: the value of DB_PASSWORD does not open: it was sealed for STRIPE_SECRET version 1: "
			    "lines were swapped or a name was changed");
	assert_string_equal(read_back(&f, with(&f, "DB_PASSWORD 2 ", "DB_PASSWORD 3 ")),
			    "p.sealed:8: the value of DB_PASSWORD does not open: it was sealed as version 2: the number in this "
			    "line was changed, or the value is that of another commit");
	assert_string_equal(read_back(&f, with(&f, "\nEMPTY ", "\nOTHER ")),
			    "p.sealed:10: the value of OTHER does not open: it was not sealed for shop/production, OTHER version "
			    "1 with this key: changed by hand, renamed, or copied from elsewhere");
	assert_non_null(strstr(read_back(&f, with(&f, "environment production", "environment staging")),
			       "p.sealed:8: the value of DB_PASSWORD does not open: it was not sealed for shop/staging"));
	assert_non_null(strstr(read_back(&f, with(&f, "project shop", "project shop2")), "not sealed for shop2/production"));
	drop(&f);
}

static void malformed_files_are_refused_with_their_place(void **state)
{
	struct fixture f = make();
	const char *rows[][3] = {
		{"lockstep-sealed 1", "lockstep-sealed 2", "p.sealed:3:1: not a sealed file: the first line is"},
		{"project shop", "projekt shop", "p.sealed:4:1: the line \"project …\" has to stand here"},
		{"key ", "key x", "p.sealed:6:5: the id of a key has 16 digits"},
		{"DB_PASSWORD 2", "DB_PASSWORD 0", "p.sealed:8:1: DB_PASSWORD has no version"},
		{"T16:00:00Z", "", "p.sealed:8:1: DB_PASSWORD has no date"},
		{"\nEMPTY", "\n=EMPTY", "p.sealed:10:1: not of the form NAME VERSION DATE SEALED"},
		{"\nEMPTY", "\n<<<<<<< ours\nEMPTY", "p.sealed:10:1: a merge conflict that nobody resolved"},
		{"\nEMPTY", "\nDB_PASSWORD 1 2025-11-24T16:00:00Z abc\nEMPTY", "p.sealed:10:1: DB_PASSWORD stands in line 8 already"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *error = read_back(&f, with(&f, rows[i][0], rows[i][1]));
		if (!slice_starts_with(slice_of(error), rows[i][2]))
			fail_msg("row %zu: `%s`", i, error);
	}
	const char *pasted = read_back(&f, with(&f, sealed_of(&f, "EMPTY"), "canary!"));
	assert_string_equal(pasted, "p.sealed:10:1: EMPTY has no sealed value\n");
	assert_string_equal(read_back(&f, ""), "p.sealed:1:1: not a sealed file: the first line is \"lockstep-sealed 1\"\n");
	drop(&f);
}

static void reads_windows_line_ends(void **state)
{
	struct fixture f = make();
	AUTO(buf_free) struct buf crlf = BUF_INIT(1 << 20);

	(void)state;
	for (size_t i = 0; i < f.text.len; i++) {
		if (f.text.ptr[i] == '\n')
			buf_putc(&crlf, '\r');
		buf_putc(&crlf, f.text.ptr[i]);
	}
	assert_string_equal(read_back(&f, buf_str(&crlf)), "");
	drop(&f);
}

static void another_key_seals_the_same_values(void **state)
{
	struct fixture f = make();
	struct seal_key other;
	struct err err = ERR_INIT;

	(void)state;
	seal_key_generate(f.safe, &other);
	assert_int_equal(sealed_file_reseal(&f.arena, &f.file, "p", &f.key, &other, &err), 0);
	print(&f);
	assert_non_null(strstr(read_back(&f, buf_str(&f.text)), "does not open"));
	f.key = other;
	assert_string_equal(read_back(&f, buf_str(&f.text)), "");
	drop(&f);
}

static void provider_gives_names_without_and_values_with_the_key(void **state)
{
	struct fixture f = make();
	AUTO(temp_remove) struct temp temp = temp_make();
	struct provider_call call = {.arena = &f.arena, .safe = f.safe, .url = "sealed:p.sealed", .folder = temp.path,
				     .project = "shop", .environment = "production", .names_only = true};
	struct provider_entries out;
	struct err err = ERR_INIT;

	(void)state;
	setenv("LOCKSTEP_HOME", temp.path, 1);
	const char *path = arena_printf(&f.arena, "%s/p.sealed", temp.path);
	assert_int_equal(file_replace_at(AT_FDCWD, path, buf_slice(&f.text), 0644, &err), 0);
	assert_int_equal(provider_read(&call, &out, &err), 0);
	assert_int_equal(out.count, 3);
	assert_false(secret_present(out.items[0].value));
	assert_string_equal(out.items[0].version, "2");
	assert_string_equal(out.items[0].place, "p.sealed:8");
	call.names_only = false;
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.text, "p.sealed: there is no key of shop/production here");
	assert_int_equal(key_file_save(temp.path, "shop", "production", &f.key, &err), 0);
	assert_int_equal(provider_read(&call, &out, &err), 0);
	assert_true(slice_is(secret_reveal(out.items[0].value), "hunter2"));
	call.environment = "staging";
	assert_int_equal(provider_read(&call, &out, &err), -1);
	assert_string_equal(err.text, "p.sealed holds the values of shop/production, not of shop/staging");
	drop(&f);
}

static void ten_thousand_are_opened_quickly(void **state)
{
	enum { COUNT = 10000 };
	struct fixture f = make();
	struct diags *diags = ARENA_NEW(&f.arena, struct diags);
	AUTO(buf_free) struct buf text = BUF_INIT(16 << 20);
	AUTO(mem_free_ptr) struct secret *values = mem_array(COUNT, sizeof(*values));
	struct sealed_file file;
	struct err err = ERR_INIT;

	(void)state;
	*diags = DIAGS_INIT(&f.arena);
	f.file.count = 0;
	for (int i = 0; i < COUNT; i++)
		put(&f, arena_printf(&f.arena, "KEY_%05d", i), "0123456789abcdef0123456789abcdef");
	sealed_file_print(&f.file, &text);
	int64_t start = clock_mono_us();
	assert_int_equal(sealed_file_parse(&f.arena, "p", buf_slice(&text), &file, diags), 0);
	int64_t parsed = clock_mono_us();
	assert_int_equal(sealed_file_open(&file, "p", &f.key, f.safe, values, &err), 0);
	int64_t opened = clock_mono_us();
	print_message("# %d values: parsed in %lld ms, opened in %lld ms\n", COUNT, (long long)(parsed - start) / 1000,
		      (long long)(opened - parsed) / 1000);
	assert_int_equal(file.count, COUNT);
	drop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(comments_stay_where_they_are),
		cmocka_unit_test(what_was_done_to_it_is_said),
		cmocka_unit_test(malformed_files_are_refused_with_their_place),
		cmocka_unit_test(reads_windows_line_ends),
		cmocka_unit_test(another_key_seals_the_same_values),
		cmocka_unit_test(provider_gives_names_without_and_values_with_the_key),
		cmocka_unit_test(ten_thousand_are_opened_quickly),
	};
	return cmocka_run_group_tests_name("sealed_file", tests, NULL, NULL);
}
