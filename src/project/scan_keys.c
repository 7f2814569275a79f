/* The keys of `secret_scan`: which findings somebody answers for. */
#include "project/keys.h"

static void check_until(struct key_decoder *decoder, const struct key *key, const struct node *node, void *base)
{
	struct allowed_secret *allowed = base;
	(void)key;

	if (!day_parse(allowed->until, &allowed->until_ms))
		diags_error(decoder->diags, node->origin, "`%.100s` is no day such as 2027-01-31", allowed->until);
}

static const struct key allowed_keys[] = {
	KEY_NODE(struct allowed_secret, node),
	KEY(struct allowed_secret, path, STR, .required = true, .max = 1024,
	    .text = "pattern of the path; `*` and `?` stand for any characters", .example = "\"tests/fixtures/*\""),
	KEY(struct allowed_secret, rule, STR, .max = 100, .text = "the finding's rule; any when absent", .example = "stripe-test"),
	KEY(struct allowed_secret, owner, STR, .required = true, .max = 255, .text = "who answers for it"),
	KEY(struct allowed_secret, reason, STR, .required = true, .max = 1000, .text = "why it may stand there"),
	KEY(struct allowed_secret, until, TEXT, .required = true, .check = check_until, .max = 32,
	    .text = "the last day it holds", .example = "2027-01-31"),
	KEY_END,
};

static const struct key allowed_item = KEY_ITEM(OBJECT, .keys = allowed_keys, .struct_size = sizeof(struct allowed_secret),
						.type_name = "allowed secret");

const struct node *expand_secret_scan(struct key_decoder *decoder, const struct key *key, const struct node *node)
{
	(void)key;
	if (node->kind == NODE_STR && slice_is(node->text, "none"))
		return node_map_of(decoder->arena, "off", node_bool_at(decoder->arena, true, node->origin));
	diags_error(decoder->diags, node->origin, "`secret_scan` must be a map or `none`");
	return NULL;
}

const struct key secret_scan_keys[] = {
	KEY_NODE(struct secret_scan, node),
	KEY(struct secret_scan, allow, LIST, .item = &allowed_item, .item_size = sizeof(struct allowed_secret),
	    .one_is_list = true, .max = 1000, .text = "findings somebody answers for, each until a day"),
	KEY(struct secret_scan, off, BOOL, .internal = true),
	KEY_END,
};
