/* The keys at the top of lockstep.yml. */
#include "project/keys.h"
#include "project/path.h"

static void check_environment_name(struct key_decoder *decoder, const struct key *key,
				   const struct node_entry *entry)
{
	(void)key;
	struct slice name = entry->key;
	bool valid = name.len > 0 && name.len <= 63 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z';
	for (size_t i = 0; i < name.len && valid; i++) {
		char c = name.ptr[i];
		valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
	}
	if (valid)
		return;
	diags_error(decoder->diags, entry->origin, "`%.*s` cannot be the name of an environment",
		    (int)MIN(name.len, (size_t)100), name.ptr);
	diags_hint(decoder->diags, "small letters, digits and `-`, beginning with a letter");
}

static const struct key environment_item =
	KEY_ITEM(OBJECT, .keys = environment_keys, .struct_size = sizeof(struct environment));

static void check_version(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  void *base)
{
	(void)key;
	const struct project *project = base;
	if (project->version == 1)
		return;
	diags_error(decoder->diags, node->origin, "`version` is %s, but this program reads version 1",
		    node->text.ptr);
	if (project->version > 1)
		diags_hint(decoder->diags, "a newer lockstep may be needed");
}

static void check_project_name(struct key_decoder *decoder, const struct key *key, const struct node *node,
			       void *base)
{
	(void)key;
	struct slice name = slice_of(((const struct project *)base)->name);
	bool valid = name.len <= 63 && name.ptr[0] != '-';
	for (size_t i = 0; i < name.len && valid; i++) {
		char c = name.ptr[i];
		valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
	}
	if (valid)
		return;
	diags_error(decoder->diags, node->origin, "`%.*s` cannot be the name of a project",
		    (int)MIN(name.len, (size_t)100), name.ptr);
	diags_hint(decoder->diags, "small letters, digits and `-`, not beginning with `-`, at most 63");
}

/* git runs programs for these two. */
static void check_source(struct key_decoder *decoder, const struct key *key, const struct node *node,
			 void *base)
{
	const char *source = ((const struct project *)base)->source;
	if (strncmp(source, "ext::", 5) == 0 || strncmp(source, "fd::", 4) == 0)
		diags_error(decoder->diags, node->origin, "`%s` would have git run a program", source);
	else if (source[0] == '-' || has_control(slice_of(source)))
		diags_error(decoder->diags, node->origin, "`%s` is neither a URL nor a path", source);
	(void)key;
}

static const struct key template_item = KEY_ITEM(STR, .max = 2048);

const struct key project_keys[] = {
	KEY_NODE(struct project, node),
	KEY(struct project, version, INT, .required = true, .check = check_version, .min = 0,
	    .max = INT32_MAX, .text = "of this file's format", .example = "1"),
	KEY_AS("project", struct project, name, STR, .required = true, .check = check_project_name,
	       .pattern = "^[a-z0-9][a-z0-9-]{0,62}$", .text = "name: small letters, digits and `-`",
	       .example = "shop"),
	KEY(struct project, source, STR, .fallback = ".", .check = check_source, .max = 2048,
	    .text = "the git repository: any URL git knows, or a path relative to this file",
	    .example = "git@github.com:acme/shop.git"),
	KEY(struct project, extends, LIST, .item = &template_item, .item_size = sizeof(char *), .max = 32,
	    .one_is_list = true, .text = "templates this file is merged over, later ones over earlier ones",
	    .more = "`lockstep:NAME` is part of the program (static, node, php, laravel, rails, django, "
		    "compose); a path is relative to the file that names it and stays in the repository; "
		    "`git+URL//PATH@COMMIT` is a file of another repository at a full commit. Maps merge key by "
		    "key, everything else replaces; `{append: [...]}` and `{prepend: [...]}` add to a list, "
		    "`null` takes a key away. See `docs/templates.md`.",
	    .example = "[\"lockstep:laravel\", ./deploy/common.yml]"),
	KEY(struct project, build, OBJECT, .keys = build_keys, .struct_size = sizeof(struct project_build),
	    .short_key = "run", .short_text = "a text or a list is `run`",
	    .text = "how a commit becomes a release",
	    .more = "A tree is built once; every environment receives that very result."),
	KEY(struct project, deploy, OBJECT, .keys = delivery_keys, .struct_size = sizeof(struct delivery),
	    .text = "how a release is delivered, in all environments that do not say otherwise"),
	KEY(struct project, environments, MAP, .item = &environment_item,
	    .item_size = sizeof(struct environment), .name_offset = offsetof(struct environment, name),
	    .name_word = "name", .check_name = check_environment_name, .pattern = "^[a-z][a-z0-9-]{0,62}$",
	    .required = true, .min = 1, .max = 100,
	    .text = "the places the project runs in, in the order in which they are shown"),
	KEY_AS("env", struct project, env.keys, MAP, .item = &contract_item, .item_size = sizeof(struct contract_key),
	       .name_offset = offsetof(struct contract_key, name), .name_word = "variable",
	       .check_name = check_value_name, .pattern = "^[A-Za-z_][A-Za-z0-9_]*$", .max = CONTRACT_MAX,
	       .text = "the contract: every variable declared once, for all environments",
	       .more = "A deployment is refused, before anything is sent, when a required value is missing or is not "
		       "what is declared here."),
	KEY(struct project, values_from, LIST, .item = &value_source_item, .item_size = sizeof(struct value_source),
	    .one_is_list = true, .max = 100,
	    .text = "where values common to all environments are read from; those of an environment go before"),
	KEY(struct project, files, LIST, .item = &config_file_item, .item_size = sizeof(struct config_file),
	    .one_is_list = true, .max = 1000,
	    .text = "config files, rendered into each activation with the values of its environment and server"),
	KEY(struct project, secret_scan, OBJECT, .keys = secret_scan_keys, .struct_size = sizeof(struct secret_scan),
	    .type_name = "secret_scan", .expand = expand_secret_scan, .short_schema = "{\"const\": \"none\"}",
	    .short_text = "`none` looks for nothing", .text = "exceptions from the search for committed secrets",
	    .more = "A release in which a secret is found is not deployed; `lockstep secret scan` shows what is found."),
	KEY(struct project, parity, OBJECT, .keys = parity_keys, .struct_size = sizeof(struct project_parity),
	    .type_name = "parity", .text = "what is looked at when environments are compared, and what may differ",
	    .more = "Much is looked at without it, and a shipped policy says what must be the same; see "
		    "`docs/parity.md`."),
	KEY_END,
};
