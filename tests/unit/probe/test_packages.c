/* Claims about what package managers and releases write down, taken apart. */
#include "probe/md5.h"
#include "probe/packages.h"
#include "probe/pins.h"

#include <stdio.h>

static void assert_slice(struct slice seen, const char *expected)
{
	if (!slice_is(seen, expected))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(seen), expected);
}

static void md5_is_as_in_its_rfc(void **state)
{
	static const char *const rows[][2] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
		{"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
		 "57edf4a22be3c955ac49da2e2107b67a"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t piece = 1; piece < 80; piece += 13) {
			char hex[MD5_HEX_LEN + 1];
			struct md5 md5;
			md5_init(&md5);
			for (size_t at = 0; at < strlen(rows[i][0]); at += piece)
				md5_update(&md5, rows[i][0] + at, MIN(piece, strlen(rows[i][0]) - at));
			md5_finish(&md5, hex);
			assert_string_equal(hex, rows[i][1]);
		}
}

static void dpkg_says_what_is_installed(void **state)
{
	static const char text[] = "Package: nginx\n"
				   "Status: hold ok installed\n"
				   "Architecture: amd64\n"
				   "Multi-Arch: same\n"
				   "Version: 1.22.1-9+deb12u1\n"
				   "Conffiles:\n"
				   " /etc/nginx/nginx.conf 0123456789abcdef0123456789abcdef\n"
				   " /etc/nginx/old.conf 0123456789abcdef0123456789abcdee obsolete\n"
				   " /etc/nginx/new.conf newconffile\n"
				   " /etc/nginx/mime.types ffffffffffffffffffffffffffffffff\n"
				   "Description: small, powerful\n"
				   " Version: 9 stands in a description\n"
				   "\n\n"
				   "Version: 1\n"
				   "\n"
				   "Package: gone\n"
				   "Status: deinstall ok config-files\n"
				   "Version: 2:3~rc1";
	struct parsed_package package;
	struct slice rest = slice_of(text), path, md5;

	(void)state;
	assert_true(parse_dpkg_next(&rest, &package));
	assert_slice(package.name, "nginx");
	assert_slice(package.version, "1.22.1-9+deb12u1");
	assert_slice(package.arch, "amd64");
	assert_slice(package.state, "installed");
	assert_true(package.hold && package.multi_arch);
	struct slice conffiles = package.conffiles;
	assert_true(parse_conffile(&conffiles, &path, &md5));
	assert_slice(path, "/etc/nginx/nginx.conf");
	assert_slice(md5, "0123456789abcdef0123456789abcdef");
	assert_true(parse_conffile(&conffiles, &path, &md5));
	assert_slice(path, "/etc/nginx/mime.types");
	assert_false(parse_conffile(&conffiles, &path, &md5));
	/* What has no name is stepped over. */
	assert_true(parse_dpkg_next(&rest, &package));
	assert_slice(package.name, "gone");
	assert_slice(package.version, "2:3~rc1");
	assert_slice(package.state, "config-files");
	assert_false(package.hold || package.multi_arch);
	assert_int_equal(package.conffiles.len, 0);
	assert_false(parse_dpkg_next(&rest, &package));
}

static void dpkg_log_says_what_came_when(void **state)
{
	struct parsed_upgrade upgrade;

	(void)state;
	assert_true(parse_dpkg_log(SLICE("2026-11-20 06:12:01 upgrade libssl3:amd64 3.0.14-1 3.0.15-1"), &upgrade));
	assert_slice(upgrade.when, "2026-11-20 06:12:01");
	assert_slice(upgrade.name, "libssl3");
	assert_slice(upgrade.arch, "amd64");
	assert_slice(upgrade.from, "3.0.14-1");
	assert_slice(upgrade.to, "3.0.15-1");
	assert_true(parse_dpkg_log(SLICE("2026-11-20 06:12:01 install nginx:all <none> 1.22"), &upgrade));
	assert_int_equal(upgrade.from.len, 0);
	assert_false(parse_dpkg_log(SLICE("2026-11-20 06:12:01 status installed nginx:all 1.22"), &upgrade));
	assert_false(parse_dpkg_log(SLICE("2026-11-20 06:12:01 upgrade"), &upgrade));
	assert_false(parse_dpkg_log(SLICE("2026-11-20"), &upgrade));
	assert_false(parse_dpkg_log(SLICE(""), &upgrade));
}

static void sums_apk_and_rpm_are_read(void **state)
{
	struct slice md5, path, epoch,
		rest = SLICE("C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:x\n\nV:1\n\nP:zlib\nV:1.3\n");
	struct parsed_package package;

	(void)state;
	assert_true(parse_md5sum(SLICE("0123456789abcdef0123456789abcdef  usr/bin/a b"), &md5, &path));
	assert_slice(path, "usr/bin/a b");
	assert_false(parse_md5sum(SLICE("0123456789abcdef0123456789abcdef  /usr/bin/a"), &md5, &path));
	assert_false(parse_md5sum(SLICE("0123  usr/bin/a"), &md5, &path));
	assert_false(parse_md5sum(SLICE("0123456789abcdef0123456789abcdef "), &md5, &path));
	assert_true(parse_apk_next(&rest, &package));
	assert_slice(package.name, "musl");
	assert_slice(package.version, "1.2.4-r2");
	assert_true(parse_apk_next(&rest, &package));
	assert_slice(package.name, "zlib");
	assert_false(parse_apk_next(&rest, &package));
	assert_true(parse_rpm(SLICE("bash\tx86_64\t(none)\t5.1.8-6.el9"), &epoch, &package));
	assert_slice(package.version, "5.1.8-6.el9");
	assert_int_equal(epoch.len, 0);
	assert_true(parse_rpm(SLICE("openssl\tx86_64\t1\t3.0.7-27"), &epoch, &package));
	assert_slice(epoch, "1");
	assert_false(parse_rpm(SLICE("openssl\tx86_64"), &epoch, &package));
}

static void json_is_asked_for_one_text(void **state)
{
	static const char *const node[] = {"engines", "node"};
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{"{\"engines\": {\"node\": \">=20\"}}", ">=20"},
		{"{\"a\": [1, {\"engines\": {\"node\": \"no\"}}, \"]}\"], \"b\": -1.5e3, \"c\": null,"
		 " \"engines\" : { \"npm\":\"9\" , \"node\" : \"18\\\"x\" } }",
		 "18\\\"x"},
		{"{\"engines\": {\"npm\": \"9\"}, \"node\": \"no\"}", NULL},
		{"{\"engines\": \"node\"}", NULL},
		{"{\"engines\": {\"node\": 20}}", NULL},
		{"{\"engines\": {\"node\": \"20", NULL},
		{"{\"x\": }, \"engines\": {\"node\": \"20\"}}", NULL},
		{"[]", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice seen = pin_json(slice_of(rows[i].text), node, 2);
		if (rows[i].expected)
			assert_slice(seen, rows[i].expected);
		else if (seen.ptr)
			fail_msg("%s: \"%.*s\"", rows[i].text, SLICE_ARG(seen));
	}
	/* Deeper than anybody means. */
	char deep[300] = "{\"a\":";
	memset(deep + 5, '[', 200);
	assert_null(pin_json(slice_of(deep), node, 2).ptr);
}

static void pins_say_which_version(void **state)
{
	struct slice rest = SLICE("# tools\nnodejs  20.11.1 # why\n\nruby ruby-3.2\npython\ngolang 1.22\n"), name,
		     version;

	(void)state;
	assert_slice(pin_plain(SLICE("v20.11.1\n")), "20.11.1");
	assert_slice(pin_plain(SLICE("# c\n\n ruby-3.2.2\n")), "3.2.2");
	assert_slice(pin_plain(SLICE("lts/iron")), "lts/iron");
	assert_null(pin_plain(SLICE("")).ptr);
	assert_true(pin_tool_next(&rest, &name, &version));
	assert_slice(name, "node");
	assert_slice(version, "20.11.1");
	assert_true(pin_tool_next(&rest, &name, &version));
	assert_slice(version, "3.2");
	assert_true(pin_tool_next(&rest, &name, &version));
	assert_slice(name, "go");
	assert_false(pin_tool_next(&rest, &name, &version));
	assert_slice(pin_gemfile(SLICE("GEM\n  rake\n\nRUBY VERSION\n   ruby 3.2.2p53\n\nBUNDLED WITH\n")), "3.2.2");
	assert_slice(pin_gemfile(SLICE("GEM\n  ruby 1\n")), "");
	assert_slice(pin_go(SLICE("module x\n\ngo 1.22\n")), "1.22");
	assert_slice(pin_toml(SLICE("[a]\nk = \"1\"\n[metadata]\nk = '2' # c\n"), "metadata", "k"), "2");
	assert_slice(pin_toml(SLICE("version = 1\nrequires-python = \">=3.12\"\n[x]\n"), "", "requires-python"), ">=3.12");
	assert_null(pin_toml(SLICE("[a]\nk = \"1\"\n"), "b", "k").ptr);
	assert_slice(pin_assignment(SLICE("IDX=1\nID=debian\nVERSION_ID=\"12\"\n"), "ID"), "debian");
	assert_slice(pin_assignment(SLICE("IDX=1\nID=debian\nVERSION_ID=\"12\"\n"), "VERSION_ID"), "12");
	assert_slice(pin_said_version(SLICE("Python 3.11.2\n")), "3.11.2");
	assert_slice(pin_said_version(SLICE("openjdk version \"17.0.1\" 2021")), "17.0.1");
	assert_slice(pin_said_version(SLICE("go version go1.22.1 linux/amd64")), "1.22.1");
	assert_int_equal(pin_said_version(SLICE("no such thing")).len, 0);
}

static void plain_pins_are_met_by_versions_that_go_on(void **state)
{
	static const struct {
		const char *pin, *version;
		bool known, met;
	} rows[] = {
		{"20", "20.11.1", true, true},	   {"20.1", "20.11.1", true, false}, {"v20.11.1", "20.11.1", true, true},
		{"20.x", "20.11.1", true, true},   {"18", "20.11.1", true, false},   {"3.2.2", "3.2.2p53", true, true},
		{"3.2.2", "3.2", true, false},	   {">=18", "20.11.1", false, false}, {"lts/iron", "20.11.1", false, false},
		{"", "20", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool known, met = pin_is_met(slice_of(rows[i].pin), slice_of(rows[i].version), &known);
		if (known != rows[i].known || met != rows[i].met)
			fail_msg("%s by %s: known %d, met %d", rows[i].pin, rows[i].version, known, met);
	}
}

static void ini_lines_lose_their_comments(void **state)
{
	struct slice name, value;

	(void)state;
	assert_true(pin_ini(SLICE("memory_limit = 128M ; much"), &name, &value));
	assert_slice(name, "memory_limit");
	assert_slice(value, "128M");
	assert_true(pin_ini(SLICE("a=\"x;y\""), &name, &value));
	assert_slice(value, "x;y");
	assert_true(pin_ini(SLICE("a ="), &name, &value));
	assert_int_equal(value.len, 0);
	assert_false(pin_ini(SLICE("; a = b"), &name, &value));
	assert_false(pin_ini(SLICE("[PHP]"), &name, &value));
	assert_false(pin_ini(SLICE("word"), &name, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5_is_as_in_its_rfc),
		cmocka_unit_test(dpkg_says_what_is_installed),
		cmocka_unit_test(dpkg_log_says_what_came_when),
		cmocka_unit_test(sums_apk_and_rpm_are_read),
		cmocka_unit_test(json_is_asked_for_one_text),
		cmocka_unit_test(pins_say_which_version),
		cmocka_unit_test(plain_pins_are_met_by_versions_that_go_on),
		cmocka_unit_test(ini_lines_lose_their_comments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
