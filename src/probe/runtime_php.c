/* PHP by its kinds of server, which have settings and extensions of their own: the command
 * line and FPM are asked, Apache's module is known by its folder of ini files. */
#include "probe/pins.h"
#include "probe/runtime.h"

#include "base/fd.h"
#include "codec/reload_spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INI_MAX = 1 << 20, INI_FILES_MAX = 4000, INI_DEPTH_MAX = 5 };

/* Not those that hold paths, hosts or keys: only how code behaves. */
static bool is_of_interest(struct slice name)
{
	static const char *const names[] = {
		"allow_url_fopen",
		"assert.exception",
		"date.timezone",
		"default_charset",
		"default_socket_timeout",
		"disable_functions",
		"display_errors",
		"error_reporting",
		"expose_php",
		"file_uploads",
		"intl.default_locale",
		"log_errors",
		"max_execution_time",
		"max_file_uploads",
		"max_input_time",
		"max_input_vars",
		"mbstring.language",
		"memory_limit",
		"opcache.enable",
		"opcache.enable_cli",
		"opcache.interned_strings_buffer",
		"opcache.jit",
		"opcache.jit_buffer_size",
		"opcache.max_accelerated_files",
		"opcache.memory_consumption",
		"opcache.preload_user",
		"opcache.revalidate_freq",
		"opcache.save_comments",
		"opcache.validate_timestamps",
		"output_buffering",
		"pcre.backtrack_limit",
		"pcre.jit",
		"post_max_size",
		"precision",
		"realpath_cache_size",
		"realpath_cache_ttl",
		"serialize_precision",
		"session.cookie_httponly",
		"session.cookie_samesite",
		"session.cookie_secure",
		"session.gc_maxlifetime",
		"session.gc_probability",
		"session.save_handler",
		"session.use_strict_mode",
		"short_open_tag",
		"upload_max_filesize",
		"variables_order",
		"zend.assertions",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_is(name, names[i]))
			return true;
	return false;
}

static void put_ini(struct probe_sink *sink, const char *server, struct slice name, struct slice value)
{
	if (is_of_interest(name))
		probe_text(sink, probe_key(sink, "runtime/%s/ini/%.*s", server, SLICE_ARG(name)), value);
}

/* Names as Composer writes them: "ext-zend-opcache" is asked for by small letters. */
static const char *extension_key(struct probe_sink *sink, const char *server, struct slice name)
{
	char *key = arena_printf(&sink->arena, "runtime/%s/ext/%.*s", server, SLICE_ARG(name));

	for (char *c = key + strlen("runtime/") + strlen(server) + strlen("/ext/"); *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c == ' ' || *c == '/' ? '-' : *c;
	return key;
}

/* --- which settings there are ----------------------------------------------------------- */

struct signing {
	struct digest_stream digest;
	const char *folder;
	size_t files;
	int depth;
};

static int sign_entry(void *context, const char *name, struct err *err)
{
	struct signing *signing = context, below = *signing;
	char path[4096], text[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", signing->folder, name);
	if (signing->files++ > INI_FILES_MAX || stat(path, &st) != 0)
		return 0;
	snprintf(text, sizeof(text), " %llu %lld %lld.%09ld\n", (unsigned long long)st.st_ino,
		 (long long)st.st_size, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	digest_update(&signing->digest, path, strlen(path));
	digest_update(&signing->digest, text, strlen(text));
	if (!S_ISDIR(st.st_mode) || signing->depth >= INI_DEPTH_MAX)
		return 0;
	below = *signing;
	below.folder = path;
	below.depth++;
	if (dir_each_at(AT_FDCWD, path, sign_entry, &below, err))
		err->code = ERR_NONE; /* closed to us as to PHP */
	signing->digest = below.digest;
	signing->files = below.files;
	return 0;
}

/* All ini files there could be: an answer is kept until one of them changes. */
static struct slice sign_settings(struct probe_sink *sink)
{
	static const char *const folders[] = {"/etc/php",      "/etc/php.d",	     "/etc/php81",
					      "/etc/php82",    "/etc/php83",	     "/etc/php84",
					      "/etc/opt/remi", "/usr/local/etc/php", "/usr/local/lib/php.ini",
					      "/usr/lib/php",  "/etc/php.ini"};
	struct signing signing = {0};
	struct digest *digest = ARENA_NEW(&sink->arena, struct digest);

	digest_init(&signing.digest);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct err none = ERR_INIT;
		signing.folder = "";
		signing.depth = 0;
		(void)!sign_entry(&signing, folders[i] + 1, &none);
	}
	digest_finish(&signing.digest, digest);
	return slice_make(digest->bytes, DIGEST_LEN);
}

/* --- the command line --------------------------------------------------------------------- */

static struct slice command_line(struct probe_sink *sink, struct slice settings)
{
	static const char script[] = "echo 'v',\"\\t\",PHP_VERSION,\"\\n\";"
				     "foreach(get_loaded_extensions() as $e)"
				     "echo 'e',\"\\t\",$e,\"\\t\",phpversion($e),\"\\n\";"
				     "foreach(ini_get_all(null,false) as $k=>$v)"
				     "echo 'i',\"\\t\",$k,\"\\t\",strtr((string)$v,\"\\r\\n\",'  '),\"\\n\";";
	const char *program = runtime_program(sink, "php"), *why;
	const char *const argv[] = {program, "-r", script, NULL};
	struct slice version = {0};

	if (!program)
		return version;
	probe_str(sink, SLICE("runtime/php/path"), program);
	struct slice said = command_kept(sink, argv, settings, RUNTIME_TIME_MS, RUNTIME_OUTPUT_MAX, &why);
	for (struct slice rest = said; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n'), kind = slice_cut(&line, '\t'),
			     name = slice_cut(&line, '\t');
		if (slice_is(kind, "v"))
			version = name;
		else if (slice_is(kind, "e") && name.len)
			probe_version(sink, slice_of(extension_key(sink, "php", name)),
				      line.len ? line : version);
		else if (slice_is(kind, "i"))
			put_ini(sink, "php", name, line.ptr ? line : SLICE(""));
	}
	if (version.len)
		probe_version(sink, SLICE("runtime/php/version"), version);
	else
		probe_skip(sink, SLICE("runtime/php/"), "%s: %s", program, why ? why : "it says no version");
	return version;
}

/* --- FPM ---------------------------------------------------------------------------------- */

struct newest {
	const char *folder;
	char path[4096];
	char name[64];
};

static int note_fpm(void *context, const char *name, struct err *err)
{
	struct newest *newest = context;

	(void)err;
	if (strncmp(name, "php-fpm", 7) != 0 || strlen(name) >= sizeof(newest->name) ||
	    strspn(name + 7, "0123456789.") != strlen(name + 7))
		return 0;
	if (!*newest->name || fact_version_compare(slice_of(newest->name + 7), slice_of(name + 7)) < 0) {
		snprintf(newest->name, sizeof(newest->name), "%s", name);
		snprintf(newest->path, sizeof(newest->path), "%s/%s", newest->folder, name);
	}
	return 0;
}

/* The one the application reloads, else the newest. */
static const char *fpm_program(struct probe_sink *sink, struct newest *newest)
{
	static const char *const folders[] = {"/usr/sbin", "/usr/local/sbin"};
	const struct probe_request *request = sink->request;

	for (size_t i = 0; i < request->reload_count; i++) {
		struct slice unit;
		if (!reload_spec_is(slice_of(request->reloads[i]), RELOAD_SYSTEMD, &unit) ||
		    !slice_starts_with(unit, "php") || !memmem(unit.ptr, unit.len, "-fpm", 4))
			continue;
		unit = slice_skip(unit, strlen("php"));
		unit.len = strspn(unit.ptr, "0123456789.");
		const char *program =
			probe_program(sink, arena_printf(&sink->arena, "php-fpm%.*s", SLICE_ARG(unit)));
		if (program)
			return program;
	}
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct err none = ERR_INIT;
		newest->folder = folders[i];
		if (dir_each_at(AT_FDCWD, folders[i], note_fpm, newest, &none))
			continue;
	}
	return *newest->name ? newest->path : NULL;
}

static void fpm(struct probe_sink *sink, struct slice settings)
{
	struct newest newest = {0};
	const char *program = fpm_program(sink, &newest), *why;
	const char *const all[] = {program, "-i", NULL}, *const modules[] = {program, "-m", NULL};
	struct slice version = {0};

	if (!program)
		return;
	probe_str(sink, SLICE("runtime/php-fpm/path"), program);
	for (struct slice rest = command_kept(sink, all, settings, RUNTIME_TIME_MS, RUNTIME_OUTPUT_MAX, &why);
	     rest.ptr;) {
		/* "memory_limit => 128M => 128M": ours, then everybody's. */
		struct slice line = slice_cut(&rest, '\n'), value = line;
		const char *arrow = line.len ? memmem(line.ptr, line.len, " => ", 4) : NULL;
		if (!arrow)
			continue;
		struct slice name = slice_make(line.ptr, (size_t)(arrow - line.ptr));
		value = slice_skip(line, name.len + 4);
		const char *second = memmem(value.ptr, value.len, " => ", 4);
		if (!version.len && slice_is(name, "PHP Version"))
			version = value;
		if (second)
			put_ini(sink, "php-fpm", name, slice_skip(value, (size_t)(second - value.ptr) + 4));
	}
	if (!version.len) {
		probe_skip(sink, SLICE("runtime/php-fpm/"), "%s -i: %s", program,
			   why ? why : "it says no version");
		return;
	}
	probe_version(sink, SLICE("runtime/php-fpm/version"), version);
	struct slice loaded =
		command_kept(sink, modules, settings, RUNTIME_TIME_MS, RUNTIME_OUTPUT_MAX, &why);
	if (!loaded.ptr)
		probe_skip(sink, SLICE("runtime/php-fpm/ext/"), "%s -m: %s", program, why);
	while (loaded.ptr) {
		struct slice name = slice_trim(slice_cut(&loaded, '\n'));
		if (name.len && name.ptr[0] != '[')
			probe_str(sink, slice_of(extension_key(sink, "php-fpm", name)), "loaded");
	}
}

/* --- Apache ------------------------------------------------------------------------------- */

struct folder {
	struct probe_sink *sink;
	const char *path;
};

static int read_ini(void *context, const char *name, struct err *err)
{
	const struct folder *folder = context;
	struct probe_sink *sink = folder->sink;
	struct slice key, value;
	const char *why;

	(void)err;
	const char *path = arena_printf(&sink->arena, "%s/%s", folder->path, name);
	if (!slice_ends_with(slice_of(name), ".ini"))
		return 0;
	struct slice text = probe_file(sink, path, INI_MAX, &why);
	if (!text.ptr)
		probe_skip(sink, probe_key(sink, "runtime/php-apache/ini/%s", name), "%s: %s", path, why);
	while (text.ptr) {
		if (!pin_ini(slice_cut(&text, '\n'), &key, &value))
			continue;
		if (!slice_is(key, "extension") && !slice_is(key, "zend_extension")) {
			put_ini(sink, "php-apache", key, value);
			continue;
		}
		if (slice_ends_with(value, ".so"))
			value.len -= strlen(".so");
		probe_str(sink, slice_of(extension_key(sink, "php-apache", value)), "loaded");
	}
	return 0;
}

/* mods-enabled/php8.2.load: that version's module answers. */
static int note_module(void *context, const char *name, struct err *err)
{
	struct probe_sink *sink = context;
	struct slice version = slice_of(name);
	struct folder folder = {sink, NULL};

	if (!slice_starts_with(version, "php") || !slice_ends_with(version, ".load"))
		return 0;
	version = slice_make(name + 3, version.len - strlen("php.load"));
	probe_version(sink, SLICE("runtime/php-apache/version"), version);
	folder.path = arena_printf(&sink->arena, "/etc/php/%.*s/apache2", SLICE_ARG(version));
	if (read_ini(&folder, "php.ini", err))
		return -1;
	folder.path = arena_printf(&sink->arena, "%s/conf.d", folder.path);
	return dir_each_at(AT_FDCWD, folder.path, read_ini, &folder, err);
}

void runtime_php(struct probe_sink *sink, struct slice *version_out)
{
	struct slice settings = sign_settings(sink);
	struct err err = ERR_INIT;

	*version_out = command_line(sink, settings);
	fpm(sink, settings);
	if (dir_each_at(AT_FDCWD, "/etc/apache2/mods-enabled", note_module, sink, &err) &&
	    err.code != ERR_NOT_FOUND)
		probe_skip(sink, SLICE("runtime/php-apache/"), "%s", err.text);
}
