/* The keys of configuration: the contract (`env`), where values come from
 * (`values_from`, `values_for`) and what is rendered from them (`files`). */
#include "project/keys.h"
#include "project/path.h"
#include "secret/provider.h"
#include "values/template.h"

const struct key value_item = KEY_ITEM_IN(struct value, text, TEXT, .max = VALUE_MAX);

static const struct key word_item = KEY_ITEM(STR, .max = 255);

/* ---- env ---- */

static const struct node *expand_required(struct key_decoder *decoder, const struct key *key,
					  const struct node *node)
{
	(void)key;
	if (node->kind == NODE_BOOL)
		return node_map_of(decoder->arena, "everywhere", node);
	if (node->kind == NODE_LIST || node->kind == NODE_STR)
		return node_map_of(decoder->arena, "in", node);
	diags_error(decoder->diags, node->origin, "`required` must be true, false or a list of environments");
	return NULL;
}

static const struct key requirement_keys[] = {
	KEY_NODE(struct requirement, node),
	KEY(struct requirement, everywhere, BOOL, .internal = true),
	KEY(struct requirement, in, LIST, .item = &word_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 100, .internal = true),
	KEY_END,
};

static const struct key_word types[] = {
	{"string", VALUE_STRING, "any text"},
	{"int", VALUE_INT, "a whole number"},
	{"bool", VALUE_BOOL, "true, false, 1, 0, yes, no, on or off"},
	{"url", VALUE_URL, "scheme://…"},
	{"enum", VALUE_ENUM, "one of the words in `one_of`"},
	{"duration", VALUE_DURATION, "a number with ms, s, m, h, d or w"},
	{"json", VALUE_JSON, "any JSON value"},
	{NULL, 0, NULL},
};

static const struct key_word rollbacks[] = {
	{"pinned", ROLLBACK_PINNED, "the value the earlier deployment had"},
	{"latest", ROLLBACK_LATEST, "the value of today: for credentials that were revoked since"},
	{NULL, 0, NULL},
};

static const struct key contract_key_keys[] = {
	KEY_NODE(struct contract_key, node),
	KEY(struct contract_key, description, STR, .max = 1000, .text = "for people"),
	KEY(struct contract_key, type, ENUM, .fallback = "string", .words = types,
	    .text = "what a value must look like"),
	KEY(struct contract_key, one_of, LIST, .item = &word_item, .item_size = sizeof(char *), .max = 1000,
	    .text = "the words of type `enum`"),
	KEY(struct contract_key, secret, BOOL,
	    .text = "never shown, never plain in this file, masked in output and logs"),
	KEY(struct contract_key, required, OBJECT, .keys = requirement_keys,
	    .struct_size = sizeof(struct requirement), .type_name = "required", .expand = expand_required,
	    .short_schema = "{\"type\": [\"boolean\", \"array\", \"string\"]}",
	    .short_text = "`true`, `false`, or the environments it is required in",
	    .text = "whether there must be a value; true when there is no `default`"),
	KEY_AS("default", struct contract_key, fallback, TEXT, .max = VALUE_MAX,
	       .text = "the value where nothing else gives one; never of a secret"),
	KEY(struct contract_key, same, BOOL, .text = "must be equal in all environments"),
	KEY(struct contract_key, unique, BOOL, .text = "must be different in each environment"),
	KEY(struct contract_key, live_only_in, LIST, .item = &word_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 100,
	    .text = "a live credential belongs into these environments only, a test credential into the "
		    "others",
	    .example = "production"),
	KEY(struct contract_key, on_rollback, ENUM, .words = rollbacks, .fallback = "pinned",
	    .text = "which value a rollback brings; of secrets only"),
	KEY_END,
};

static const struct node *expand_contract_key(struct key_decoder *decoder, const struct key *key,
					      const struct node *node)
{
	(void)key;
	if (node->kind == NODE_NULL) {
		struct node *empty = ARENA_NEW(decoder->arena, struct node);
		*empty = (struct node){.kind = NODE_MAP, .origin = node->origin, .synthetic = true};
		return empty;
	}
	diags_error(decoder->diags, node->origin,
		    "a variable of `env` is declared by a map, such as {type: url}");
	diags_hint(decoder->diags, "its value belongs under `values` of an environment, or is its `default`");
	return NULL;
}

/* What one declaration can be wrong in by itself. */
static void check_contract_key(struct key_decoder *decoder, const struct key *key, const struct node *node,
			       void *base)
{
	struct contract_key *declared = base;
	(void)key;

	if (declared->secret && declared->fallback)
		diags_hide_line(decoder->diags, node_key_origin(node, "default"));
	if (!declared->required.node && !declared->fallback)
		declared->required.everywhere = true;
	if ((declared->type == VALUE_ENUM) != (declared->one_of.count > 0)) {
		diags_error(decoder->diags, node_key_origin(node, declared->one_of.count ? "one_of" : "type"),
			    "`one_of` and `type: enum` go together");
		return;
	}
	if (declared->same && declared->unique)
		diags_error(decoder->diags, node_key_origin(node, "unique"),
			    "a variable cannot be `same` and `unique` at once");
	if (declared->secret && declared->fallback) {
		diags_error(decoder->diags, node_key_origin(node, "default"),
			    "a secret has no `default`: this file is read by everybody");
		diags_hint(decoder->diags, "`lockstep secret set ENV %s` seals a value for one environment",
			   declared->name);
	} else if (declared->fallback) {
		const char *fault = value_type_fault(declared, slice_of(declared->fallback));
		if (fault)
			diags_error(decoder->diags, node_key_origin(node, "default"),
				    "the default `%.100s` %s", declared->fallback, fault);
	}
	if (!declared->secret && node_find(node, "on_rollback"))
		diags_error(decoder->diags, node_key_origin(node, "on_rollback"),
			    "`on_rollback` only goes with `secret`");
}

const struct key contract_item =
	KEY_ITEM(OBJECT, .keys = contract_key_keys, .struct_size = sizeof(struct contract_key),
		 .type_name = "variable", .expand = expand_contract_key, .check = check_contract_key,
		 .short_schema = "{\"type\": \"null\"}", .short_text = "nothing: a required string");

/* ---- values_from, values_for ---- */

static const struct key mapping_item = KEY_ITEM_IN(struct value_mapping, path, STR, .max = 1000);

static const struct key value_source_keys[] = {
	KEY_NODE(struct value_source, node),
	KEY(struct value_source, from, STR, .required = true, .max = 4096, .text = "address of a provider",
	    .more = "Providers: `dotenv:`, `sealed:`, `vault://`, `ssm://`, …",
	    .example = "\"vault://kv/shop/production\""),
	KEY(struct value_source, endpoint, STR, .max = 2048,
	    .text = "where the provider's server is, when not where it usually is",
	    .example = "\"https://vault.acme.io:8200\""),
	KEY_AS("for", struct value_source, scope, STR, .max = PLACE_TEXT_MAX,
	       .text = "the group or the server these values are for", .example = "web"),
	KEY(struct value_source, keys, MAP, .item = &mapping_item, .item_size = sizeof(struct value_mapping),
	    .name_offset = offsetof(struct value_mapping, name), .name_word = "variable",
	    .check_name = check_value_name, .max = CONFIG_SET_MAX,
	    .text = "variables and where each stands under the address; all of it when absent",
	    .example = "{DB_PASSWORD: db/password}"),
	KEY_END,
};

static void check_value_source(struct key_decoder *decoder, const struct key *key, const struct node *node,
			       void *base)
{
	const struct value_source *source = base;
	(void)key;

	const struct provider *provider;
	struct slice url = slice_of(source->from);
	const struct node *from = node_get(node, "from");
	struct origin origin = from ? from->origin : node->origin;
	struct err err = ERR_INIT;

	if (has_control(url)) {
		diags_error(decoder->diags, origin, "an address must not hold control characters");
		return;
	}
	if (provider_find(url, &provider, &err)) {
		diags_error(decoder->diags, origin, "%s", err.text);
		diags_hint(decoder->diags, "%s", err.hint);
		return;
	}
	const char *fault = provider->check(url);
	if (fault) {
		diags_error(decoder->diags, origin, "an address of %s is wrong: %s", provider->name, fault);
		diags_hint(decoder->diags, "it is written %s, such as %s", provider->form, provider->example);
	}
}

const struct key value_source_item =
	KEY_ITEM(OBJECT, .keys = value_source_keys, .struct_size = sizeof(struct value_source),
		 .type_name = "values_from", .short_key = "from", .short_text = "a text is the address",
		 .check = check_value_source);

const struct key scoped_values_item = KEY_ITEM_IN(
	struct scoped_values, written, MAP, .item = &value_item, .item_size = sizeof(struct value),
	.name_offset = offsetof(struct value, name), .name_word = "name", .check_name = check_value_name,
	.pattern = "^[A-Za-z_][A-Za-z0-9_]*$", .max = CONFIG_SET_MAX);

/* ---- files ---- */

static const struct key config_file_keys[] = {
	KEY_NODE(struct config_file, node),
	KEY(struct config_file, template, STR, .check = check_release_path, .max = 1024,
	    .text = "a file beside lockstep.yml in which ${NAME}, %NAME% and {{NAME}} stand for values",
	    .example = "deploy/env.tpl"),
	KEY(struct config_file, copy, STR, .check = check_release_path, .max = 1024,
	    .text = "a file beside lockstep.yml, taken as it is", .example = "deploy/licence.bin"),
	KEY(struct config_file, env, STR, .max = 16,
	    .text = "a file of all variables, in the grammar of `dotenv`, `systemd`, `docker` or `shell`",
	    .example = "dotenv"),
	KEY(struct config_file, substitute, STR, .max = 1024,
	    .text = "files of the release (a pattern) in which `__NAME__` stands for values a build would "
		    "bake in",
	    .example = "\"public/assets/*.js\""),
	KEY(struct config_file, path, STR, .check = check_release_path, .max = 1024,
	    .text = "where it lies in the activation", .example = ".env"),
	KEY(struct config_file, permissions, STR, .max = 5, .text = "octal; \"0640\" when absent",
	    .example = "\"0640\""),
	KEY(struct config_file, owner, STR, .check = check_word, .max = 64,
	    .text = "needs root on the server"),
	KEY(struct config_file, group, STR, .check = check_word, .max = 64,
	    .text = "of the file; the user who deploys must belong to it", .example = "www-data"),
	KEY_AS("for", struct config_file, scope, STR, .max = PLACE_TEXT_MAX,
	       .text = "the group or the server it is for; all when absent"),
	KEY_AS("syntax", struct config_file, written_syntax, LIST, .item = &word_item,
	       .item_size = sizeof(char *), .one_is_list = true, .min = 1, .max = 3,
	       .text = "which of `dollar`, `percent` and `braces` stand for values in a template; all when "
		       "absent",
	       .example = "[braces]"),
	KEY(struct config_file, quote, STR, .max = 16,
	    .text = "how values in a template are quoted that say nothing themselves: " QUOTE_FORMATS,
	    .more = "See `docs/configuration.md`.", .example = "json"),
	KEY(struct config_file, only, LIST, .item = &word_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 100, .text = "with `env`: patterns of the names to write",
	    .example = "[\"APP_*\", DB_PASSWORD]"),
	KEY_END,
};

static bool parse_mode(const char *text, uint32_t *out)
{
	uint32_t mode = 0;

	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '7')
			return false;
		mode = mode << 3 | (uint32_t)(*c - '0');
	}
	*out = mode;
	/* Not for everybody to write, and nothing that gives rights away. */
	return mode && mode <= 0777 && !(mode & 0002);
}

static void check_syntax(struct key_decoder *decoder, struct config_file *file)
{
	static const struct {
		const char *name;
		unsigned bit;
	} words[] = {{"dollar", TEMPLATE_DOLLAR}, {"percent", TEMPLATE_PERCENT}, {"braces", TEMPLATE_BRACES}};

	for (size_t i = 0; i < file->written_syntax.count; i++) {
		unsigned bit = 0;
		for (size_t j = 0; j < ARRAY_LEN(words); j++)
			if (strcmp(file->written_syntax.items[i], words[j].name) == 0)
				bit = words[j].bit;
		if (!bit)
			diags_error(decoder->diags, node_key_origin(file->node, "syntax"),
				    "`%.100s` is none of dollar, percent and braces",
				    file->written_syntax.items[i]);
		file->syntax |= bit;
	}
}

static void check_config_file(struct key_decoder *decoder, const struct key *key, const struct node *node,
			      void *base)
{
	struct config_file *file = base;
	const char *const sources[] = {file->template, file->copy, file->env, file->substitute};
	static const enum config_file_kind kinds[] = {FILE_TEMPLATE, FILE_COPY, FILE_ENV, FILE_SUBSTITUTE};
	size_t said = 0;
	(void)key;

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		if (!sources[i])
			continue;
		said++;
		file->kind = kinds[i];
		file->from = sources[i];
	}
	if (said != 1) {
		diags_error(decoder->diags, node->origin,
			    "a file takes one of `template`, `copy`, `env` and `substitute`");
		return;
	}
	if (file->kind == FILE_ENV && !env_grammar_find(slice_of(file->env), &file->grammar))
		diags_error(decoder->diags, node_key_origin(node, "env"),
			    "`%s` is none of dotenv, systemd, docker and shell", file->env);
	if (file->kind == FILE_SUBSTITUTE && file->path)
		diags_error(decoder->diags, node_key_origin(node, "path"),
			    "`substitute` changes files where they are: it takes no `path`");
	if (file->kind != FILE_SUBSTITUTE && !file->path)
		diags_error(decoder->diags, node->origin, "a file needs the `path` it has in the activation");
	if (file->permissions && !parse_mode(file->permissions, &file->mode)) {
		diags_error(decoder->diags, node_key_origin(node, "permissions"),
			    "`%s` are no permissions a config file may have", file->permissions);
		diags_hint(decoder->diags, "octal, such as \"0640\"; never writable by everybody");
	}
	if (file->kind != FILE_TEMPLATE && (file->written_syntax.count || file->quote))
		diags_error(decoder->diags, node->origin, "`syntax` and `quote` only go with `template`");
	if (file->quote && !quote_format_known(slice_of(file->quote)))
		diags_error(decoder->diags, node_key_origin(node, "quote"),
			    "`%s` is no format values can be quoted for", file->quote);
	if (file->kind != FILE_ENV && file->only.count)
		diags_error(decoder->diags, node_key_origin(node, "only"), "`only` only goes with `env`");
	check_syntax(decoder, file);
}

const struct key config_file_item =
	KEY_ITEM(OBJECT, .keys = config_file_keys, .struct_size = sizeof(struct config_file),
		 .type_name = "file", .check = check_config_file);
