/* The tables of keys, one file each. Private to this module: everybody else sees
 * struct project, the schema and the page. */
#pragma once

#include "project/project.h"

extern const struct key project_keys[];	    /* struct project */
extern const struct key build_keys[];	    /* struct project_build */
extern const struct key delivery_keys[];    /* struct delivery */
extern const struct key environment_keys[]; /* struct environment */
extern const struct key contract_item;	    /* struct contract_key */
extern const struct key value_source_item;  /* struct value_source */
extern const struct key scoped_values_item; /* struct scoped_values */
extern const struct key config_file_item;   /* struct config_file */
extern const struct key secret_scan_keys[]; /* struct secret_scan */
extern const struct key parity_keys[];		   /* struct project_parity */
extern const struct key environment_parity_keys[]; /* struct environment_parity */
extern const struct key require_keys[];		   /* struct environment_require */
const struct node *expand_secret_scan(struct key_decoder *decoder, const struct key *key, const struct node *node);
extern const struct key value_item;	    /* struct value */

/* Checks used by several tables; all are `check` functions of rows of kind STR. */
void check_release_path(struct key_decoder *decoder, const struct key *key, const struct node *node,
			void *base);
void check_word(struct key_decoder *decoder, const struct key *key, const struct node *node, void *base);
/* check_name functions. */
void check_value_name(struct key_decoder *decoder, const struct key *key, const struct node_entry *entry);
void check_group_name(struct key_decoder *decoder, const struct key *key, const struct node_entry *entry);

/* `all` is how people write "no particular group". */
#define GROUP_ALL "all"

/* "2027-01-31" → that day's end in UTC, so that an exception holds on the day it names. */
bool day_parse(const char *text, int64_t *end_ms_out);

/* NULL when a health URL without `${` in it can be asked; else what is wrong. */
const char *url_fault(struct slice url);
/* NULL for "host:port"; else what is wrong. */
const char *address_fault(struct slice address);
/* The same for a DNS name, and for a database's address; no fault quotes the text. */
const char *dns_name_fault(struct slice name);
const char *database_fault(struct slice address);
/* `text` with the values of a set put in; `secrets`: those too, and the arena holds them then. */
int text_fill(struct arena *arena, const char *text, const struct config_set *set, bool secrets,
	      const char **out, struct err *err) CHECKED;
/* Refuses names that no environment has; `key` is where they stand. */
void check_environment_names(const struct project *project, struct diags *diags, const struct str_list *names,
			     struct origin origin, const char *key);
/* "0.25": above 0 and up to 1. */
bool parity_ratio(const char *text, double *out);

/* What is right in each row but wrong together (checks.c). Reports to diags;
 * fills what of `project` is derived. */
/* Fills an environment's plain values, and those of its groups and servers. */
void configuration_values(struct arena *arena, struct environment *environment, struct diags *diags);
/* Checks env, values_from, values_for and files; fills the files of each environment. */
void configuration_resolve(struct arena *arena, struct project *project, struct diags *diags);
/* Checks parity and require.parity_with; compiles the rules, joins what is looked at. */
void parity_resolve(struct arena *arena, struct project *project, struct diags *diags);
void project_resolve(struct arena *arena, struct project *project, struct diags *diags);
