/* A result of diff, parity or drift (JSON, as the operations give it), read: what its table
 * and its reports share. Not for: how anything looks. Pure. Private to this module. */
#pragma once

#include "base/arena.h"
#include "cli/page.h"

enum parity_class {		       /* of findings, in the order they are told */
		    PARITY_HAND = 1,   /* changed on a server */
		    PARITY_DIFFERENCE, /* between environments, or between servers of one */
		    PARITY_UNDEPLOYED, /* in the code, not deployed */
		    PARITY_RULE,       /* about a rule: lapsed, or no longer needed */
};
enum { PARITY_CLASSES = PARITY_RULE + 1 };

struct parity_gap_group {
	const char *why;
	const char *advice; /* what to do; "" when nobody knows */
	const json_t **gaps;
	size_t count;
	int64_t rows;
};

struct parity_view {
	struct arena *arena;
	const json_t *result;
	const json_t *findings;
	const char **environments; /* those asked for, then any other a finding's cell names */
	const char **labels;	   /* shorter where they stay apart: "stg" for "deploy@stg:/var/www/shop" */
	size_t *server_counts;	   /* 0: not known */
	size_t environment_count;
	size_t reference;		     /* index; environment_count: none */
	size_t class_count[PARITY_CLASSES];  /* findings by class */
	size_t differences;		     /* findings but those about rules */
	struct parity_gap_group *gap_groups; /* by reason, most rows first */
	size_t gap_group_count;
	const char **new_ids; /* sorted */
	size_t new_count;
};

/* All borrowed from `result` and the arena. */
void parity_view_open(struct arena *arena, const json_t *result, struct parity_view *out);

enum parity_class parity_class_of(const json_t *finding);
const char *parity_class_title(enum parity_class class);
/* "by hand", "not deployed", "within staging", "rule lapsed"; "" for an ordinary difference. */
const char *parity_kind_words(const struct parity_view *view, const json_t *finding);
/* 4 critical … 1 low, 0 unknown. */
int parity_severity_rank(const char *severity);

/* How a key is called in a table: "php" and "ext-intl" for runtime/php/ext/intl. */
const char *parity_name(const struct parity_view *view, const json_t *finding, const char **area_out);
/* The same of a bare key. */
const char *parity_key_name(const struct parity_view *view, const char *key, const char **area_out);
/* What a finding or row shows for an environment; servers that differ: "differs". NULL: nothing. */
const char *parity_cell(const struct parity_view *view, const json_t *finding, size_t environment,
			const char **state_out);
/* Cells that name their server: true when the finding has any. */
bool parity_names_servers(const json_t *finding);
/* "web1" of "deploy@web1:/var/www/shop"; the text itself where there is no host to see. */
const char *parity_host(struct arena *arena, const char *text);
/* A server as the texts of this finding can tell it apart. */
const char *parity_server(const struct parity_view *view, const json_t *finding, const char *server);
/* "deploy@stg:/x could not be looked at: why"; NULL when it could, and now. */
const char *parity_server_trouble(const struct parity_view *view, const json_t *environment,
				  const json_t *server, int64_t now_ms);
/* "4 differences, 212 same, 31 not checked" */
void parity_put_totals(const struct parity_view *view, struct buf *out);
/* The findings `--since` says are new. */
bool parity_is_new(const struct parity_view *view, const json_t *finding);
