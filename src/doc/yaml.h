/* Reads one YAML document into our tree. The only user of libfyaml, and only of
 * its events: its document calls took 9.4 s for 20,000 keys, and filled 4 GB
 * from 300 bytes of aliases.
 *
 * Plain scalars are typed by the core schema of YAML 1.2 and nothing else: `on`,
 * `yes` and `1_000` are text. Anchors, aliases and `<<` work within a budget.
 * Refused, with their positions: several documents, a key twice, keys that are
 * not scalars, tags other than !!str !!int !!bool !!null !!float !!map !!seq,
 * bytes that are not UTF-8, NUL in a text, what exceeds a limit. */
#pragma once

#include "doc/node.h"

struct yaml_limits {
	size_t bytes; /* of the text */
	size_t depth; /* maps and lists inside each other */
	size_t nodes; /* values, aliases counted as what they stand for */
};

#define YAML_LIMITS ((struct yaml_limits){.bytes = MIB(4), .depth = 48, .nodes = 400000})

/* 0 and the root (NODE_NULL for an empty text), or -1 with at least one error in
 * `diags`. Then the root is NULL, or, when keys stand twice and nothing else is
 * wrong, a tree good for finding further mistakes. Name and text are copied to
 * the arena. */
int yaml_parse(struct arena *arena, const char *file_name, struct slice text,
	       const struct yaml_limits *limits, const struct node **node_out, struct diags *diags) CHECKED;

/* The same for a file that another one names at `named_at`. */
int yaml_parse_named(struct arena *arena, const char *file_name, struct origin named_at, struct slice text,
		     const struct yaml_limits *limits, const struct node **node_out,
		     struct diags *diags) CHECKED;

/* The types of the core schema, for one plain scalar. */
enum node_kind yaml_core_kind(struct slice plain, bool *boolean_out, int64_t *integer_out);
