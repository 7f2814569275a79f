/* The contract: every variable of a project, declared once for all environments. */
#pragma once

#include "doc/key.h"
#include "values/value_list.h"

enum { CONTRACT_MAX = 20000 /* variables */ };

enum value_type {
	VALUE_STRING = 1,
	VALUE_INT,
	VALUE_BOOL,
	VALUE_URL,
	VALUE_ENUM,
	VALUE_DURATION,
	VALUE_JSON
};
enum on_rollback { ROLLBACK_PINNED = 1, ROLLBACK_LATEST };

/* Unless said otherwise, what has no default is required everywhere. */
struct requirement {
	const struct node *node;
	bool everywhere;
	struct str_list in; /* else in these environments */
};

struct contract_key {
	const struct node *node;
	const char *name;
	const char *description; /* NULL */
	int type;		 /* enum value_type */
	struct str_list one_of;	 /* VALUE_ENUM */
	bool secret;
	struct requirement required;
	const char *fallback; /* `default`; NULL: none */
	bool same;	      /* equal in all environments */
	bool unique;	      /* different in each */
	struct str_list
		live_only_in; /* the live key only in these, test keys only elsewhere; empty: not said */
	int on_rollback;      /* enum on_rollback; secrets only */
};

struct contract {
	LIST_OF(struct contract_key) keys; /* sorted by name once contract_index was called */
};

/* Sorts; called once by whoever decoded it. */
void contract_index(struct contract *contract);
const struct contract_key *contract_find(const struct contract *contract, struct slice name); /* or NULL */
bool contract_requires(const struct contract_key *key, const char *environment);

/* What is wrong with a value for its type, in words that do not hold the value; NULL when fine. */
const char *value_type_fault(const struct contract_key *key, struct slice value);

/* Names that a build bakes into its result (VITE_*, NEXT_PUBLIC_*, REACT_APP_*, …). */
bool value_name_baked(struct slice name);

/* Whether a value is a live or a test credential by its form (key prefixes of payment
 * and other services, src/values/key_forms.c). `service_out`: whose, for messages; may be NULL; set
 * too where an address is a known service's and does not say which mode it is. */
enum key_mode { KEY_MODE_UNKNOWN, KEY_MODE_LIVE, KEY_MODE_TEST };
enum key_mode value_key_mode(struct slice value, const char **service_out);
/* Where a service, as named by value_key_mode, is reached in that mode; NULL: not known. */
const char *service_host(const char *service, enum key_mode mode);
