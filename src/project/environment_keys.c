/* The keys of one environment. */
#include "project/keys.h"

static const struct node *expand_deploy_on(struct key_decoder *decoder, const struct key *key,
					   const struct node *node)
{
	(void)key;
	if (node->kind == NODE_STR && slice_is(node->text, "manual"))
		return node_map_of(decoder->arena, "manual",
				   node_bool_at(decoder->arena, true, node->origin));
	diags_error(decoder->diags, node->origin,
		    "`deploy_on` must be {push: BRANCH}, {tag: PATTERN} or manual");
	if (node->kind == NODE_STR)
		diags_hint(decoder->diags, "did you mean {push: %s}?", node->text.ptr);
	return NULL;
}

static void check_deploy_on(struct key_decoder *decoder, const struct key *key, const struct node *node,
			    void *base)
{
	(void)key;
	struct deploy_on *on = &((struct environment *)base)->deploy_on;
	if (on->manual)
		return;
	if (!on->push == !on->tag) {
		diags_error(decoder->diags, node->origin, "`deploy_on` takes one of `push` and `tag`");
		return;
	}
	on->kind = on->push ? TRIGGER_PUSH : TRIGGER_TAG;
}

static void check_pattern(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  void *base)
{
	const char *text = *(const char **)(void *)((char *)base + key->offset);
	if (strncmp(text, "refs/", 5) == 0) {
		diags_error(decoder->diags, node->origin, "`%s` must be written without refs/", text);
		diags_hint(decoder->diags, "such as main, release/* or v*");
		return;
	}
	check_word(decoder, key, node, base);
}

static const struct key deploy_on_keys[] = {
	KEY_NODE(struct deploy_on, node),
	KEY(struct deploy_on, push, STR, .check = check_pattern, .max = 255,
	    .text = "a push to this branch; `*` and `?` stand for any characters", .example = "main"),
	KEY(struct deploy_on, tag, STR, .check = check_pattern, .max = 255,
	    .text = "a new tag that matches this pattern", .example = "\"v*\""),
	KEY(struct deploy_on, manual, BOOL, .internal = true),
	KEY_END,
};

static const struct key text_item = KEY_ITEM(STR, .max = 255);
static const struct key server_item = KEY_ITEM(STR, .max = PLACE_TEXT_MAX);
static const struct key servers_item =
	KEY_ITEM_IN(struct server_group, servers, LIST, .item = &server_item, .item_size = sizeof(char *),
		    .one_is_list = true, .min = 1, .max = 1000);
const struct key environment_keys[] = {
	KEY_NODE(struct environment, node),
	KEY(struct environment, deploy_on, OBJECT, .keys = deploy_on_keys,
	    .struct_size = sizeof(struct deploy_on), .type_name = "deploy_on", .expand = expand_deploy_on,
	    .check = check_deploy_on, .short_schema = "{\"const\": \"manual\"}",
	    .short_text = "`manual`, which is also the default", .text = "what deploys here by itself"),
	KEY(struct environment, promote_from, LIST, .item = &text_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 32,
	    .text = "the environment a release must have been live and verified in before it may come here",
	    .example = "staging"),
	KEY(struct environment, ref, STR, .check = check_word, .max = 255,
	    .text = "what `deploy` takes when no ref is named: branch, tag or commit",
	    .more = "When absent, the branch of `deploy_on.push`, else HEAD."),
	KEY_AS("servers", struct environment, written_servers, MAP, .item = &servers_item,
	       .item_size = sizeof(struct server_group), .name_offset = offsetof(struct server_group, name),
	       .name_word = "group", .check_name = check_group_name, .required = true, .min = 1, .max = 100,
	       .short_key = GROUP_ALL, .short_text = "a list; its servers belong to every group",
	       .text = "where releases go",
	       .more = "A server is `[user@]host[:path]`, whose path is relative to the home folder unless "
		       "it begins "
		       "with `/`; or `ssh://[user@]host[:port][/path]`; or `local:///path` for this machine.",
	       .example = "[deploy@stg.acme.io]"),
	KEY_AS("values", struct environment, written_values, MAP, .item = &value_item,
	       .item_size = sizeof(struct value), .name_offset = offsetof(struct value, name),
	       .name_word = "name", .check_name = check_value_name, .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",
	       .max = CONFIG_SET_MAX,
	       .text = "what is different here on purpose: plain values, never secrets",
	       .more = "Kept exactly as written: `1.0` stays `1.0`.",
	       .example = "{APP_URL: \"https://shop.acme.io\"}"),
	KEY(struct environment, values_from, LIST, .item = &value_source_item, .item_size = sizeof(struct value_source),
	    .one_is_list = true, .max = 100, .text = "where this environment's values and secrets are read from",
	    .example = "[\"vault://kv/shop/production\"]"),
	KEY(struct environment, values_for, MAP, .item = &scoped_values_item, .item_size = sizeof(struct scoped_values),
	    .name_offset = offsetof(struct scoped_values, scope), .name_word = "group or server", .max = 1000,
	    .text = "plain values of one group or one server; they go before those of the environment",
	    .example = "{web: {WORKERS: 8}}"),
	KEY_AS("files", struct environment, written_files, LIST, .item = &config_file_item,
	       .item_size = sizeof(struct config_file), .one_is_list = true, .max = 1000,
	       .text = "config files of this environment, beside those of the project",
	       .more = "One with the `path` of a project's replaces it."),
	KEY(struct environment, parity, OBJECT, .keys = environment_parity_keys,
	    .struct_size = sizeof(struct environment_parity), .type_name = "parity of an environment",
	    .text = "what is looked at here beside what the project's `parity` says",
	    .more = "Lists are added to the project's; a database of the same name replaces the project's."),
	KEY(struct environment, require, OBJECT, .keys = require_keys,
	    .struct_size = sizeof(struct environment_require), .type_name = "require",
	    .text = "what must hold before a release may come here, beside the order of `promote_from`"),
	KEY_INCLUDE(struct environment, delivery, delivery_keys),
	KEY_END,
};
