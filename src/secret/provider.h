/* Where values come from: one row a provider, one file a row (docs/adding-a-provider.md).
 * A provider reads the names, or the names and values, that stand under one address,
 * and knows nothing of environments, contracts or precedence (values/resolve.h).
 *
 * An address is a URL whose scheme chooses the row:
 *
 *	dotenv:deploy/staging.env              a .env file
 *	sealed:deploy/staging.sealed           a sealed file of this repository
 *	vault://MOUNT/PATH                     HashiCorp Vault, KV version 2
 *	ssm:///shop/production/                AWS Systems Manager Parameter Store
 *	secretsmanager://NAME                  AWS Secrets Manager
 *	doppler://PROJECT/CONFIG
 *	infisical://PROJECT-ID/ENVIRONMENT/PATH
 *	sops:deploy/staging.enc.yaml
 *	command:COMMAND                        prints .env or JSON
 *
 * Relative paths are relative to the folder of lockstep.yml. */
#pragma once

#include "base/arena.h"
#include "doc/diag.h"
#include "seal/secret.h"

enum {
	PROVIDER_ENTRIES_MAX = 20000,
	PROVIDER_BODY_MAX = 8 << 20, /* of one answer */
};

struct provider_entry {
	const char *name;     /* as the variable is called: [A-Za-z_][A-Za-z0-9_]* */
	struct secret value;  /* absent when only names were asked for */
	const char *place;    /* where exactly: "deploy/staging.env:4", "vault://kv/shop#DB_PASSWORD" */
	const char *version;  /* as the provider counts; NULL where it keeps none */
	int64_t changed_ms;   /* 0: not known */
	bool plain;           /* the provider says that it is no secret */
};

struct provider_entries {
	struct provider_entry *items; /* sorted by name, no name twice */
	size_t count;
	const char *version; /* of the whole, where the provider counts it; NULL */
};

struct provider_call {
	struct arena *arena; /* names, places, versions */
	struct safe *safe;   /* values */
	const char *url;
	const char *endpoint;     /* where its server is; NULL: the provider's own, or its usual variable */
	const char *folder;       /* of lockstep.yml, absolute; NULL: the current one */
	const char *project, *environment;
	bool names_only;          /* never asks for values, where the provider can do that */
	const char *version;      /* a version to read instead of the latest; NULL */
	/* Variable → where it stands under the address ("db/password", "DATABASE#password");
	 * none: every entry goes by its own name. */
	const struct provider_mapping {
		const char *name, *path;
	} *mappings;
	size_t mapping_count;
	int64_t timeout_ms;       /* for all of it, retries included; 0: 20 s */
};

struct provider {
	const char *scheme;  /* "vault" */
	const char *name;    /* "HashiCorp Vault (KV version 2)" */
	const char *summary; /* one line for the reference page */
	const char *form;    /* of its address: "vault://MOUNT/PATH" */
	const char *example; /* an address that could be: "vault://kv/shop/production" */
	const char *more;    /* Markdown for the reference page: variables read, permissions needed */
	bool keeps_versions; /* an earlier value can be had again by its version */
	bool runs_code;      /* needs an administrator's leave in a server */
	bool local;          /* only reads files here: not worth a thread (providers_read) */
	/* What is wrong with an address, without asking anybody; NULL when fine. */
	const char *(*check)(struct slice url);
	/* Errors say which provider, which path, and what permission or credential is
	 * missing, and never hold a value or a credential. */
	int (*read)(const struct provider_call *call, struct provider_entries *out, struct err *err);
};

extern const struct provider *const providers[];
extern const size_t provider_count;

/* By an address's scheme; ERR_USER with the nearest when there is none. */
int provider_find(struct slice url, const struct provider **out, struct err *err) CHECKED;
/* Finds the row, reads, sorts, and checks what it gave: valid names, none twice. */
int provider_read(const struct provider_call *call, struct provider_entries *out, struct err *err) CHECKED;
/* Several at once, those over the network in parallel; results[i] belongs to
 * calls[i]. All errors in one. Each call needs an arena and a safe of its own. */
int providers_read(const struct provider_call *calls, size_t count, struct provider_entries *results,
		   struct err *err) CHECKED;
