/* Writes a tree as YAML that reads back as the same tree (kinds, texts, order):
 * block style, two spaces a level, double quotes only where a plain word would be
 * something else. */
#pragma once

#include "base/buf.h"
#include "doc/node.h"

struct yaml_write_options {
	/* What stands behind a value as a comment, where it was written; NULL: no comments.
	 * `out` has room for it; control characters must not be put there. */
	void (*comment)(void *context, const struct node *node, struct buf *out);
	void *context;
};

/* `options` may be NULL. Check `out` for overflow. */
void yaml_write(const struct node *node, const struct yaml_write_options *options, struct buf *out);

/* One scalar as it would be written. */
void yaml_write_scalar(const struct node *node, struct buf *out);

/* Whether two trees say the same: kinds, texts and order, not positions or quotes. */
bool node_equal(const struct node *a, const struct node *b);
