/* The keys of `build`: how a release is made. */
#include "project/ignore.h"
#include "project/keys.h"
#include "project/path.h"

static void check_secret(struct key_decoder *decoder, const struct key *key, const struct node *node,
			 void *base)
{
	(void)base;
	struct node_entry entry = {.key = node->text, .origin = node->origin};
	check_value_name(decoder, key, &entry);
}

/* "~/x" lies in the home folder of the build, everything else in the tree. */
static void check_cache(struct key_decoder *decoder, const struct key *key, const struct node *node,
			void *base)
{
	(void)key;
	const char **member = base;
	struct slice path = slice_of(*member);
	bool home = slice_starts_with(path, "~/");
	if (home)
		path = slice_skip(path, 2);
	if (path.len > 1 && slice_ends_with(path, "/"))
		path.len--;
	const char *fault = path_fault(path);
	if (fault)
		diags_error(decoder->diags, node->origin, "the path `%s` %s", *member, fault);
	else
		*member = arena_printf(decoder->arena, "%s%.*s", home ? "~/" : "", SLICE_ARG(path));
}

static void check_output(struct key_decoder *decoder, const struct key *key, const struct node *node,
			 void *base)
{
	const struct project_build *build = base;
	if (strcmp(build->output, ".") != 0 && strcmp(build->output, "./") != 0)
		check_release_path(decoder, key, node, base);
	else
		((struct project_build *)base)->output = ".";
}

static void check_pattern(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  void *base)
{
	(void)key;
	struct ignore_rules rules;
	struct err err = ERR_INIT;
	if (ignore_from_list(decoder->arena, base, 1, &rules, &err))
		diags_error(decoder->diags, node->origin, "%s", err.text);
}

static void check_positive(struct key_decoder *decoder, const struct key *key, const struct node *node,
			   void *base)
{
	int64_t value = *(const int64_t *)(const void *)((const char *)base + key->offset);
	if (value <= 0)
		diags_error(decoder->diags, node->origin, "`%s` must be more than 0", key->name);
}

static const struct key command_item = KEY_ITEM(STR, .max = 16 << 10);
static const struct key secret_item =
	KEY_ITEM(STR, .check = check_secret, .pattern = "^[A-Za-z_][A-Za-z0-9_]*$");
static const struct key cache_item = KEY_ITEM(STR, .check = check_cache);
static const struct key pattern_item = KEY_ITEM(STR, .check = check_pattern, .max = IGNORE_RULE_MAX);
static const struct key env_item = KEY_ITEM_IN(struct value, text, TEXT, .max = VALUE_MAX);

static const struct key_word sandboxes[] = {
	{"auto", PROJECT_SANDBOX_AUTO,
	 "a container when `image` is set, else bubblewrap; commands see neither our state, nor keys, nor "
	 "agent "
	 "sockets"},
	{"none", PROJECT_SANDBOX_NONE, "directly on this machine: only for commands one trusts"},
	{NULL, 0, NULL},
};

const struct key build_keys[] = {
	KEY_NODE(struct project_build, node),
	KEY(struct project_build, run, LIST, .item = &command_item, .item_size = sizeof(char *), .max = 256,
	    .one_is_list = true, .text = "shell commands, run in order in a clean export of the commit",
	    .more = "Each is run by `/bin/sh -ec`. Without any, the tree itself is the release.",
	    .example = "[composer install --no-dev, npm ci, npm run build]"),
	KEY(struct project_build, image, STR, .check = check_word, .max = 512,
	    .text = "container image the commands run in", .example = "\"php:8.3\""),
	KEY(struct project_build, secrets, LIST, .item = &secret_item, .item_size = sizeof(char *), .max = 64,
	    .one_is_list = true, .text = "names of variables the commands may read from files",
	    .more = "Taken from the environment of whoever builds; never part of the release or the log."),
	KEY(struct project_build, cache, LIST, .item = &cache_item, .item_size = sizeof(char *), .max = 32,
	    .one_is_list = true,
	    .text = "folders kept between builds, of the tree or, with `~/`, of the home folder",
	    .example = "[node_modules, ~/.npm]"),
	KEY(struct project_build, output, STR, .fallback = ".", .check = check_output,
	    .text = "folder of the tree that becomes the release"),
	KEY(struct project_build, exclude, LIST, .item = &pattern_item, .item_size = sizeof(char *),
	    .max = 10000, .one_is_list = true, .text = "what stays out of the release, as in .gitignore",
	    .example = "[tests/, \"*.md\"]"),
	KEY_AS("timeout", struct project_build, timeout_ms, DURATION, .fallback = "30m",
	       .check = check_positive, .text = "how long all commands together may take"),
	KEY(struct project_build, memory, SIZE,
	    .text = "how much memory a command may use; no limit when absent"),
	KEY(struct project_build, output_max, SIZE, .fallback = "64M",
	    .text = "how much the commands may print before the build fails"),
	KEY(struct project_build, sandbox, ENUM, .fallback = "auto", .words = sandboxes,
	    .text = "what the commands are kept in"),
	KEY(struct project_build, network, BOOL, .fallback = "true",
	    .text = "whether the commands reach the network"),
	KEY(struct project_build, env, MAP, .item = &env_item, .item_size = sizeof(struct value),
	    .name_offset = offsetof(struct value, name), .name_word = "variable",
	    .check_name = check_value_name, .pattern = "^[A-Za-z_][A-Za-z0-9_]*$", .max = 256,
	    .text = "plain variables of the commands",
	    .more = "The same for all environments, since a release is built once for all of them.",
	    .example = "{NODE_ENV: production}"),
	KEY_END,
};
