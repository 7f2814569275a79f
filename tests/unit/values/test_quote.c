/* What is quoted for a format is read back as the same bytes by readers of that format
 * that are not ours: PHP, Python, shells, systemd. */
#include "base/child.h"
#include "base/fd.h"
#include "support.h"
#include "values/env_file.h"
#include "values/template.h"

#include "../temp.h"

#define BYTES(literal)                                                                                       \
	{                                                                                                    \
		"" literal, sizeof(literal) - 1                                                              \
	}

static const struct slice values[] = {
	BYTES(""),
	BYTES("plain"),
	BYTES("08"),
	BYTES("1e3"),
	BYTES("null"),
	BYTES("true"),
	BYTES("no"),
	BYTES("off"),
	BYTES("~"),
	BYTES("- a: b"),
	BYTES("#comment"),
	BYTES("a #b ;c"),
	BYTES("with blanks"),
	BYTES(" front and back "),
	BYTES("\ttab\t"),
	BYTES("it's"),
	BYTES("say \"hi\""),
	BYTES("both ' and \""),
	BYTES("'"),
	BYTES("\""),
	BYTES("''"),
	BYTES("\\"),
	BYTES("\\\\"),
	BYTES("a\\nb"),
	BYTES("a\\'b"),
	BYTES("a\\\"b"),
	BYTES("ends in \\"),
	BYTES("$HOME ${HOME} $(id) `id`"),
	BYTES("${HOME}"),
	BYTES("it's ${HOME}"),
	BYTES("$5 \\$5 $$"),
	BYTES("100% %HOME% %(x)s %%"),
	BYTES("line\nbreak"),
	BYTES("\n"),
	BYTES("ends in\n"),
	BYTES("cr\rcrlf\r\n"),
	BYTES("\x01\x02\x1b[31m\x7f"),
	BYTES("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91"),
	BYTES("\xc2\x85\xe2\x80\xa8\xef\xbb\xbf"),
	BYTES("\xff\xfe latin \xe9"),
	BYTES("nul\0inside"),
	BYTES("https://u:p%40ss@h/x?a=b&c=d#e"),
	BYTES("{\"a\": [1, 2]}"),
	BYTES("<?php ?> </script> <!--"),
	BYTES("a=b;c|d&e<f>g!h*i?j[k]{l}(m)"),
	BYTES("-----BEGIN KEY-----\nMIIB+/=\n-----END KEY-----\n"),
};

static const char *const formats[] = {"json", "yaml",	      "shell", "dotenv", "php",
				      "ini",  "configparser", "url",   "base64", "raw"};

/* How a file of one format is written around the values. */
static const struct reading {
	const char *reader, *format, *before, *entry, *between, *after;
} readings[] = {
	{"json", "json", "{", "\"K%zu\": ", ", ", "}"},
	{"yaml", "yaml", "# all\n", "K%zu: ", "\n", "\n"},
	{"yaml", "json", "", "K%zu: ", "\n", "\n"},
	{"sh", "shell", "", "K%zu=", "\n", "\n"},
	{"bash", "shell", "", "K%zu=", "\n", "\n"},
	{"shlex", "shell", "", "K%zu=", "\n", "\n"},
	{"php", "php", "<?php return [", "'K%zu' => ", ", ", "];"},
	{"ini", "ini", "[s]\n", "K%zu = ", "\n", "\n"},
	{"configparser", "configparser", "[s]\n", "K%zu = ", "\n", "\n"},
	{"url", "url", "", "K%zu=", "\n", "\n"},
	{"base64", "base64", "", "K%zu=", "\n", "\n"},
};

static void read_back(const char *reader, struct slice file, const struct slice *expected, size_t count)
{
	struct temp temp = temp_make();
	AUTO(buf_free) struct buf out = BUF_INIT(MIB(1)), errors = BUF_INIT(MIB(1)), hex = BUF_INIT(MIB(1));
	char path[128], script[4096], number[24];
	struct err err = ERR_INIT;
	int status = -1;

	snprintf(path, sizeof(path), "%s/file", temp.path);
	snprintf(number, sizeof(number), "%zu", count);
	const char *slash = strrchr(__FILE__, '/');
	snprintf(script, sizeof(script), "%.*s/readers.py", (int)(slash - __FILE__), __FILE__);
	if (file_replace_at(AT_FDCWD, path, file, 0600, &err))
		fail_msg("%s", err.text);
	const char *const argv[] = {"/usr/bin/python3", script, reader, path, number, NULL};
	const struct child_spec spec = {.argv = argv, .stdin_fd = -1};
	if (child_run(&spec, SLICE(""), &out, &errors, 30000, &status, &err))
		fail_msg("%s", err.text);
	if (status)
		fail_msg("%s: %s", reader, buf_str(&errors));
	for (size_t i = 0; i < count; i++) {
		for (size_t at = 0; at < expected[i].len; at++)
			buf_printf(&hex, "%02x", (unsigned)(unsigned char)expected[i].ptr[at]);
		buf_putc(&hex, '\n');
	}
	if (strcmp(buf_str(&out), buf_str(&hex)) != 0)
		print_message("# %s differs\n", reader);
	assert_string_equal(buf_str(&out), buf_str(&hex));
	temp_remove(&temp);
}

static void readers_get_the_same_bytes(void **state)
{
	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(readings); r++) {
		const struct reading *reading = &readings[r];
		AUTO(buf_free) struct buf file = BUF_INIT(MIB(1));
		struct slice taken[ARRAY_LEN(values)];
		size_t count = 0;
		buf_puts(&file, reading->before);
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			AUTO(buf_free) struct buf quoted = BUF_INIT(MIB(1));
			struct err err = ERR_INIT;
			if (quote_value(reading->format, values[i], &quoted, &err)) {
				assert_int_equal(quoted.len, 0);
				assert_int_equal(err.code, ERR_USER);
				continue;
			}
			char entry[32];
			snprintf(entry, sizeof(entry), reading->entry, count);
			buf_printf(&file, "%s%s", count ? reading->between : "", entry);
			buf_put_slice(&file, buf_slice(&quoted));
			taken[count++] = values[i];
		}
		buf_puts(&file, reading->after);
		assert_true(count >= 25);
		read_back(reading->reader, buf_slice(&file), taken, count);
	}
}

/* Bytes nobody thought of, 400 at a time. */
static void random_bytes_survive_shells(void **state)
{
	(void)state;
	enum { COUNT = 400 };
	AUTO(buf_free) struct buf file = BUF_INIT(MIB(1));
	struct slice all[COUNT];
	uint32_t random = 20240601;
	for (size_t i = 0; i < COUNT; i++) {
		size_t len = i % 40;
		char *bytes = arena_alloc(&arena, len + 1);
		struct err err = ERR_INIT;
		for (size_t at = 0; at < len; at++) {
			random = random * 1664525 + 1013904223;
			bytes[at] = (char)(random >> 24 ? random >> 24 : 1);
			if (random >> 22 & 1) /* what a shell looks at, more often */
				bytes[at] = "'\"\\$`\n !#&*?~;|<>(){}[]="[(random >> 16) % 24];
		}
		all[i] = slice_make(bytes, len);
		buf_printf(&file, "K%zu=", i);
		assert_int_equal(quote_value("shell", all[i], &file, &err), 0);
		buf_putc(&file, '\n');
	}
	read_back("sh", buf_slice(&file), all, COUNT);
	read_back("bash", buf_slice(&file), all, COUNT);
}

/* Refusing is a last resort: what each format cannot say is listed here. */
static void only_what_cannot_be_said_is_refused(void **state)
{
	static const struct {
		const char *format, *text;
		size_t len;
		const char *error;
	} cases[] = {
#define CASE(format, literal, error) {format, "" literal, sizeof(literal) - 1, error}
		CASE("json", "\xff", "is not UTF-8, which JSON must be; `base64` can say any bytes"),
		CASE("yaml", "\xc0\x80", "is not UTF-8, which YAML must be; `base64` can say any bytes"),
		CASE("shell", "a\0b", "holds a NUL byte, which a shell cannot say"),
		CASE("dotenv", "a\0b", "holds a NUL byte, which a .env file cannot say"),
		CASE("ini", "a\nb", "holds a line break, which an ini file cannot say"),
		CASE("ini", "a'${b}", "holds both `${` and a single quote, which an ini file cannot say"),
		CASE("configparser", "a\nb", "holds a line break, which configparser cannot say"),
		CASE("configparser", " a", "holds blanks at an end, which configparser cannot say"),
	};
	(void)state;
	size_t refused = 0;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(100);
		struct err err = ERR_INIT;
		buf_puts(&out, "kept");
		assert_int_equal(
			quote_value(cases[i].format, slice_make(cases[i].text, cases[i].len), &out, &err),
			-1);
		assert_string_equal(err.text, cases[i].error);
		assert_string_equal(buf_str(&out), "kept");
	}
	for (size_t f = 0; f < ARRAY_LEN(formats); f++)
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			AUTO(buf_free) struct buf out = BUF_INIT(KIB(4));
			struct err err = ERR_INIT;
			assert_true(quote_format_known(slice_of(formats[f])));
			refused += quote_value(formats[f], values[i], &out, &err) != 0;
		}
	assert_int_equal(refused, 22);
	assert_false(quote_format_known(SLICE("xml")));
	assert_false(quote_format_known(SLICE("")));
}

/* ---- files of variables ---- */

static bool has_any(struct slice value, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (memchr(value.ptr, bytes[i], value.len))
			return true;
	return false;
}

static void write_and_read(enum env_grammar grammar, const char *reader, bool (*left_out)(struct slice))
{
	AUTO(buf_wipe_free) struct buf file = BUF_SECRET(MIB(1));
	struct config_set set = {ARENA_NEW_ARRAY(&arena, ARRAY_LEN(values), struct config_value), 0};
	struct slice taken[ARRAY_LEN(values)];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (left_out(values[i]))
			continue;
		taken[set.count] = values[i];
		set.values[set.count] = (struct config_value){.name = arena_printf(&arena, "K%zu", set.count),
							      .value = secret_of(values[i])};
		set.count++;
	}
	assert_true(set.count >= 20);
	if (env_file_write(grammar, &set, &file, &err))
		fail_msg("%s", err.text);
	read_back(reader, buf_slice(&file), taken, set.count);
}

static bool holds_nul(struct slice value)
{
	return has_any(value, "", 1);
}

static bool not_for_docker(struct slice value)
{
	return has_any(value, "\0\n\r", 3) || !slice_is_utf8(value);
}

/* The generator we ask expands `$` and drops empty values, which EnvironmentFile= does
 * not: those cases are held against systemd.exec(5) below. */
static bool not_for_generator(struct slice value)
{
	return has_any(value, "\0$", 2) || !value.len || !slice_is_utf8(value);
}

static void files_of_variables_are_read_back(void **state)
{
	(void)state;
	write_and_read(ENV_SHELL, "sh", holds_nul);
	write_and_read(ENV_SHELL, "bash", holds_nul);
	write_and_read(ENV_DOCKER, "docker", not_for_docker);
	write_and_read(ENV_SYSTEMD, "systemd", not_for_generator);
}

static void grammars_differ(void **state)
{
	static const struct {
		enum env_grammar grammar;
		const char *expected;
	} cases[] = {
		{ENV_DOTENV, "A=x\nB='a b'\nC='$1'\nD=\"it's \\$x\"\nE=''\n"},
		{ENV_SYSTEMD, "A=\"x\"\nB=\"a b\"\nC=\"\\$1\"\nD=\"it's \\$x\"\nE=\"\"\n"},
		{ENV_DOCKER, "A=x\nB=a b\nC=$1\nD=it's $x\nE=\n"},
		{ENV_SHELL,
		 "export A='x'\nexport B='a b'\nexport C='$1'\nexport D='it'\\''s $x'\nexport E=''\n"},
	};
	(void)state;
	struct config_set set = SET({"A", "x"}, {"B", "a b"}, {"C", "$1"}, {"D", "it's $x"}, {"E", ""});
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(4));
		struct err err = ERR_INIT;
		assert_int_equal(env_file_write(cases[i].grammar, &set, &out, &err), 0);
		struct slice rest = buf_slice(&out), first = slice_cut(&rest, '\n');
		assert_true(slice_starts_with(first, "# Written by lockstep"));
		assert_string_equal(rest.ptr, cases[i].expected);
	}
	enum env_grammar grammar;
	assert_true(env_grammar_find(SLICE("systemd"), &grammar));
	assert_int_equal(grammar, ENV_SYSTEMD);
	assert_false(env_grammar_find(SLICE("fish"), &grammar));
	assert_false(env_grammar_find(SLICE(""), &grammar));
}

static void what_a_grammar_cannot_say_is_refused_by_name(void **state)
{
	(void)state;
	struct config_set set = SET({"A", "x"}, {"KEY", "canary-1\ncanary-2"}, {"L1", "\xff"});
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(KIB(4));
	struct err err = ERR_INIT;
	assert_int_equal(env_file_write(ENV_DOCKER, &set, &out, &err), -1);
	assert_string_equal(err.text, "2 values cannot be written to a file for docker:\n"
				      "  `KEY` holds a line break, which docker's env files cannot say\n"
				      "  `L1` is not UTF-8, which docker needs");
	assert_null(strstr(err.text, "canary"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_get_the_same_bytes),
		TEST(random_bytes_survive_shells),
		TEST(only_what_cannot_be_said_is_refused),
		TEST(files_of_variables_are_read_back),
		TEST(grammars_differ),
		TEST(what_a_grammar_cannot_say_is_refused_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
