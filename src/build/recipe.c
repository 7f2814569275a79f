/* What makes two builds the same: the recipe's canonical text, the platform it
 * runs on, and the key made of both and the tree. */
#include "build/internal.h"

#include "codec/record.h"

#include "base/fd.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/utsname.h>

enum { RECIPE_TEXT_MAX = 8 << 20, COMMAND_LEN_MAX = 64 << 10 };

/* ---- checks ---- */

static bool is_variable_name(const char *name)
{
	if (!isalpha((unsigned char)name[0]) && name[0] != '_')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

/* Relative, and staying where it is. */
static bool is_inner_path(const char *path)
{
	struct slice rest = slice_of(path);

	if (path[0] == '/' || path[0] == '\0')
		return false;
	while (rest.ptr) {
		struct slice part = slice_cut(&rest, '/');
		if (slice_is(part, "..") || slice_is(part, ".git"))
			return false;
	}
	return true;
}

static int check_counts(const struct build_recipe *recipe, struct err *err)
{
	const struct {
		const char *what;
		size_t count, max;
	} rows[] = {
		{"commands", recipe->command_count, BUILD_COMMANDS_MAX},
		{"variables", recipe->env_count, BUILD_ENV_MAX},
		{"secrets", recipe->secret_count, BUILD_SECRETS_MAX},
		{"caches", recipe->cache_count, BUILD_CACHES_MAX},
		{"texts", recipe->text_count, BUILD_TEXTS_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].count > rows[i].max)
			return err_set(err, ERR_USER, "build: %zu %s, more than %zu", rows[i].count,
				       rows[i].what, rows[i].max);
	return 0;
}

int recipe_check(const struct build_recipe *recipe, struct err *err)
{
	if (check_counts(recipe, err))
		return -1;
	for (size_t i = 0; i < recipe->command_count; i++)
		if (strlen(recipe->commands[i]) > COMMAND_LEN_MAX)
			return err_set(err, ERR_USER, "build: command %zu is longer than %d bytes", i + 1,
				       COMMAND_LEN_MAX);
	for (size_t i = 0; i < recipe->env_count; i++)
		if (!is_variable_name(recipe->env[i].name))
			return err_set(err, ERR_USER, "build: `%.80s` is no name of a variable",
				       recipe->env[i].name);
	for (size_t i = 0; i < recipe->secret_count; i++)
		if (!is_variable_name(recipe->secrets[i]))
			return err_set(err, ERR_USER, "build: `%.80s` is no name of a secret",
				       recipe->secrets[i]);
	for (size_t i = 0; i < recipe->cache_count; i++) {
		const char *path = recipe->caches[i];
		if (is_inner_path(strncmp(path, "~/", 2) == 0 ? path + 2 : path))
			continue;
		err_set(err, ERR_USER, "build: cache `%.200s` is no folder of the tree or the home folder",
			path);
		return err_hint(
			err,
			"write node_modules for a folder of the tree, ~/.npm for one of the home folder");
	}
	if (recipe->output && *recipe->output && !is_inner_path(recipe->output))
		return err_set(err, ERR_USER, "build: output `%.200s` is no folder of the tree",
			       recipe->output);
	if (recipe->image && recipe->image[0] == '-')
		return err_set(err, ERR_USER, "build: `%.200s` is no name of an image", recipe->image);
	return 0;
}

/* ---- text, digest, key ---- */

static void put_line(struct buf *out, const char *kind, const char *name, struct slice value)
{
	record_begin(out, kind);
	if (name)
		record_put_str(out, "name", name);
	record_put(out, "value", value);
	buf_putc(out, '\n');
}

static int compare_variables(const void *a, const void *b)
{
	const struct build_variable *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* Order means something for commands only. */
static void put_names(struct buf *out, const char *kind, const char *const *names, size_t count)
{
	AUTO(mem_free_ptr) const char **sorted = mem_array(count + 1, sizeof(*sorted));

	memcpy(sorted, names ? names : (const char *const *)sorted, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < count; i++)
		put_line(out, kind, NULL, slice_of(sorted[i]));
}

static void put_env(struct buf *out, const struct build_recipe *recipe)
{
	AUTO(mem_free_ptr) struct build_variable *sorted = mem_array(recipe->env_count + 1, sizeof(*sorted));

	if (recipe->env_count)
		memcpy(sorted, recipe->env, recipe->env_count * sizeof(*sorted));
	qsort(sorted, recipe->env_count, sizeof(*sorted), compare_variables);
	for (size_t i = 0; i < recipe->env_count; i++)
		put_line(out, "env", sorted[i].name, slice_of(sorted[i].value));
}

int build_recipe_text(const struct build_recipe *recipe, struct buf *out, struct err *err)
{
	if (recipe_check(recipe, err))
		return -1;
	buf_puts(out, "lockstep-recipe 1\n");
	for (size_t i = 0; i < recipe->command_count; i++)
		put_line(out, "command", NULL, slice_of(recipe->commands[i]));
	put_env(out, recipe);
	put_names(out, "secret", recipe->secrets, recipe->secret_count);
	put_names(out, "cache", recipe->caches, recipe->cache_count);
	if (recipe->image)
		put_line(out, "image", NULL, slice_of(recipe->image));
	if (recipe->output && *recipe->output)
		put_line(out, "output", NULL, slice_of(recipe->output));
	for (size_t i = 0; i < recipe->text_count; i++)
		put_line(out, "text", recipe->texts[i].name, recipe->texts[i].content);
	/* Where nothing runs, how it would be run makes no difference. */
	if (recipe->command_count) {
		put_line(out, "sandbox", NULL, slice_of(recipe->sandbox == SANDBOX_NONE ? "none" : "yes"));
		put_line(out, "network", NULL, slice_of(recipe->offline ? "no" : "yes"));
	}
	return buf_check(out, "the recipe of the build", err);
}

int build_recipe_digest(const struct build_recipe *recipe, struct digest *out, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECIPE_TEXT_MAX);

	if (build_recipe_text(recipe, &text, err))
		return -1;
	digest_of(buf_slice(&text), out);
	return 0;
}

void build_key(const char *tree, const struct digest *recipe, const char *platform, struct digest *key_out)
{
	struct digest_stream stream;
	char hex[DIGEST_HEX_LEN + 1];
	const char *parts[] = {"lockstep-build 1\n", tree, "\n", hex, "\n", platform, "\n"};

	digest_to_hex(recipe, hex);
	digest_init(&stream);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		digest_update(&stream, parts[i], strlen(parts[i]));
	digest_finish(&stream, key_out);
}

/* ---- platform ---- */

/* A value of os-release(5): NAME=value or NAME="value". */
static const char *os_release(struct arena *arena, struct slice text, const char *name)
{
	while (text.ptr) {
		struct slice value = slice_trim(slice_cut(&text, '\n'));
		struct slice key = slice_cut(&value, '=');
		if (!value.ptr || !slice_is(key, name))
			continue;
		if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\''))
			value = slice_make(value.ptr + 1, value.len - 2);
		return arena_str(arena, value);
	}
	return "";
}

int build_platform(const struct build_recipe *recipe, struct arena *arena, const char **platform_out,
		   struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64 << 10);
	struct err ignored = ERR_INIT;
	struct utsname system;
	const char *tool, *image;

	if (recipe->command_count == 0) {
		*platform_out = "export";
		return 0;
	}
	if (recipe->image) {
		if (container_resolve(recipe->image, arena, &tool, &image, err))
			return -1;
		*platform_out = arena_printf(arena, "image %s", image);
		return 0;
	}
	if (uname(&system) != 0)
		return err_errno(err, "uname");
	for (char *c = system.sysname; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (file_read_at(AT_FDCWD, "/etc/os-release", &text, &ignored) != 0)
		buf_clear(&text);
	const char *id = os_release(arena, buf_slice(&text), "ID");
	const char *version = os_release(arena, buf_slice(&text), "VERSION_ID");
	*platform_out =
		arena_str(arena, slice_trim(slice_of(arena_printf(arena, "%s %s %s %s", system.sysname,
								  system.machine, id, version))));
	return 0;
}
