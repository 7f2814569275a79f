/* `lockstep.yml`, read, checked and resolved: what the engine works on. A struct
 * project exists only when the whole file is right; nothing of a refused file
 * takes effect. Everything lives in the caller's arena.
 *
 * Rows: project_keys.c (the top), build_keys.c, delivery_keys.c (what stands under
 * `deploy` and may be replaced by an environment), environment_keys.c, configuration_keys.c (env, values_from, files),
 * parity_keys.c (parity, require.parity_with). */
#pragma once

#include "codec/digest.h"
#include "codec/reload_spec.h"
#include "doc/key.h"
#include "fact/rule.h"
#include "project/place.h"
#include "values/contract.h"
#include "values/env_file.h"

#define PROJECT_FILE "lockstep.yml"

/* ---- build ---- */

enum project_sandbox { PROJECT_SANDBOX_AUTO = 1, PROJECT_SANDBOX_NONE };

struct project_build {
	const struct node *node; /* NULL: no `build` in the file */
	struct str_list run;	 /* shell commands, in order */
	const char *image;	 /* NULL: no container */
	struct str_list secrets; /* names of variables */
	struct str_list
		cache;	    /* folders kept between builds: relative and clean, or "~/x" in the home folder */
	const char *output; /* folder of the tree that becomes the release; "." */
	struct str_list exclude; /* patterns in git's dialect (project/ignore.h) */
	int64_t timeout_ms;
	uint64_t memory;     /* bytes; 0: no limit */
	uint64_t output_max; /* bytes of log */
	int sandbox;	     /* enum project_sandbox */
	bool network;
	LIST_OF(struct value) env; /* plain variables of the build, in file order */
};

/* ---- delivery: under `deploy`, and under an environment ---- */

enum health_kind { HEALTH_UNSET = 0, HEALTH_NONE, HEALTH_URL, HEALTH_COMMAND };

struct health {
	const struct node *node;
	enum health_kind kind;
	/* Url and address: in an environment interpolated, unless a variable in them is only
	 * known once its provider is asked: then as written, with `late`. */
	const char *url;
	bool late;
	int64_t status;	  /* 0: any of 200..399 */
	const char *body; /* a part of the body; NULL: not looked at */
	int64_t within_ms;
	const char *address; /* host:port to connect to instead of the server itself; or NULL */
	const char *command; /* shell command, run in the activation on each server */
	bool none;	     /* for decoding only: see kind */
};


struct reload {
	const char *group; /* NULL: all servers */
	enum reload_spec_kind kind;
	const char *subject; /* unit, program, path of the pid file, shell command; NULL for none */
	int signal;	     /* RELOAD_PIDFILE; SIGHUP unless given */
	const char *text;    /* as written */
	struct origin origin;
};

enum hook_point {
	HOOK_BEFORE_BUILD,
	HOOK_AFTER_BUILD,
	HOOK_BEFORE_PREPARE,
	HOOK_AFTER_PREPARE,
	HOOK_BEFORE_ACTIVATE,
	HOOK_AFTER_ACTIVATE,
	HOOK_AFTER_LIVE,
	HOOK_ON_FAILURE,
	HOOK_ON_GO_BACK,
	HOOK_POINTS,
};
const char *hook_point_name(enum hook_point point);

enum hook_where { HOOK_EACH = 1, HOOK_ONCE };
enum hook_retry { HOOK_RETRY_ASK = 1, HOOK_RETRY_RUN, HOOK_RETRY_SKIP };

struct hook {
	const struct node *node;
	const char *run;   /* shell command */
	int where;	   /* enum hook_where */
	const char *group; /* NULL: all */
	const char *as;	   /* user; NULL: the one we log in as */
	int64_t timeout_ms;
	int on_retry;		/* enum hook_retry */
	const char *on_go_back; /* shell command; NULL: nothing */
};

struct hook_list {
	struct hook *items;
	size_t count;
};

enum link_mode { LINK_AUTO = 1, LINK_COPY };

struct delivery {
	const struct node *node; /* the map it stands in; NULL: absent */
	const char *path;	 /* for servers without one of their own; NULL: none */
	struct str_list shared_dirs;
	struct str_list shared_files;
	struct str_list generated;
	const char *user;	       /* who runs the application; NULL: not said */
	LIST_OF(struct reload) reload; /* empty: not said; each that server_in_group() applies */
	struct health health;
	int64_t keep;
	int link; /* enum link_mode */
	struct {
		const struct node *node;
		struct hook_list points[HOOK_POINTS];
	} hooks;
};

/* ---- configuration ---- */

struct value_mapping {
	const char *name, *path;
};

/* Under `values_from`: a provider's address (secret/provider.h). */
struct value_source {
	const struct node *node;
	const char *from;
	const char *endpoint; /* NULL: the provider's own */
	const char *scope;    /* `for`: a group or a server; NULL: the level it stands in */
	LIST_OF(struct value_mapping) keys;
};

/* Under `values_for`. */
struct scoped_values {
	const char *scope; /* a group or a server */
	LIST_OF(struct value) written;
	struct value_list values;
};

/* Under `secret_scan`. */
struct allowed_secret {
	const struct node *node;
	const char *path, *rule, *owner, *reason, *until; /* rule: NULL for any */
	int64_t until_ms;				   /* the end of that day */
};
struct secret_scan {
	const struct node *node;
	LIST_OF(struct allowed_secret) allow;
	bool off;
};

enum config_file_kind { FILE_TEMPLATE = 1, FILE_COPY, FILE_ENV, FILE_SUBSTITUTE };

/* Under `files`: what is rendered into each activation. */
struct config_file {
	const struct node *node;
	enum config_file_kind kind;
	const char *from;	 /* FILE_TEMPLATE, FILE_COPY: path relative to this file's folder; FILE_SUBSTITUTE: pattern */
	enum env_grammar grammar; /* FILE_ENV */
	const char *path;	 /* in the activation; NULL for FILE_SUBSTITUTE */
	uint32_t mode;		 /* 0: 0640; FILE_SUBSTITUTE: as in the release */
	const char *owner, *group; /* NULL: whoever deploys */
	const char *scope;	 /* `for`: a group or a server; NULL: all */
	unsigned syntax;	 /* enum template_syntax; 0: all */
	const char *quote;	 /* NULL: raw */
	struct str_list only;	 /* FILE_ENV: patterns of names; empty: all */
	/* As written. For decoding only. */
	const char *template, *copy, *env, *substitute, *permissions;
	struct str_list written_syntax;
};

/* ---- parity ---- */

/* What is looked at beside what is known anyway. Texts as written: ${NAME} stands for a
 * value of the environment. */
struct parity_looks {
	struct str_list paths; /* on servers: absolute, clean */
	struct str_list env_files; /* in the activation */
	struct str_list urls, names, ports;
	LIST_OF(struct parity_database) databases;
	struct str_list skip; /* dimensions */
};

struct parity_database {
	const char *name;
	const char *address; /* a secret stands in it only as ${NAME} */
};

/* Under `parity.allow`. */
struct parity_allow_key {
	const struct node *node;
	const char *fact;
	bool same, unique, minor, major, present, ignore;
	const char *ratio; /* as written; NULL */
	struct str_list one_of, live_only_in, environments;
	const char *owner, *reason, *until; /* NULL */
	int64_t until_ms;		    /* the end of that day; 0: no end */
	int severity;			    /* enum severity */
};

struct project_parity {
	const struct node *node;
	struct parity_looks looks;
	const char *reference; /* resolved: the environment all others are held against */
	struct str_list only;  /* dimensions; empty: all */
	LIST_OF(struct parity_allow_key) allow;
	/* Resolved: what `env` says of its variables, then `allow`; a later one counts over an
	 * earlier one. */
	LIST_OF(struct rule) rules;
};

/* A text of `parity` for one environment. */
struct parity_text {
	const char *name; /* of a database; else NULL */
	const char *text; /* interpolated, unless `late` */
	bool late;	  /* as written: a value in it is only known once its provider is asked */
	struct origin origin;
};
struct parity_texts {
	struct parity_text *items;
	size_t count;
};

/* What an environment is looked at for: the project's and its own. */
struct environment_parity {
	const struct node *node;
	struct parity_looks looks; /* paths, env_files, skip: resolved; the others as written */
	struct parity_texts urls, names, ports, databases;
};

/* Under `require.parity_with`. */
struct require_parity {
	const struct node *node; /* NULL: not required */
	const char *environment;
	int severity;	  /* enum severity: the worst that is let through */
	int64_t coverage; /* per cent of what was to be looked at */
	int64_t max_age_ms;
};
struct environment_require {
	const struct node *node;
	struct require_parity parity_with;
};

/* The dimensions `only` and `skip` may name; sorted, ends with NULL. */
extern const char *const parity_dimensions[];

/* ---- environments ---- */

enum trigger_kind { TRIGGER_MANUAL = 1, TRIGGER_PUSH, TRIGGER_TAG };

struct deploy_on {
	const struct node *node;
	enum trigger_kind kind; /* TRIGGER_MANUAL when `deploy_on` is absent */
	const char *push;	/* branch pattern (fnmatch); NULL unless TRIGGER_PUSH */
	const char *tag;	/* tag pattern (fnmatch); NULL unless TRIGGER_TAG */
	bool manual;		/* for decoding only: see kind */
};

struct server {
	struct place place; /* complete: its path is resolved */
	const char *group;  /* NULL: belongs to every group */
};

struct environment {
	const struct node *node;
	const char *name;
	struct deploy_on deploy_on;
	struct str_list promote_from; /* names of environments; empty: none */
	const char *ref; /* what `deploy` takes when no ref is given; NULL: see environment_default_ref */
	LIST_OF(struct server) servers; /* in file order; at least one */
	struct str_list groups;		/* names used in `servers`; empty for a flat list */
	struct value_list values; /* plain, level ENVIRONMENT */
	LIST_OF(struct value_source) values_from;
	LIST_OF(struct scoped_values) values_for;
	/* Resolved: the project's, those with a path of the environment's own replaced. */
	LIST_OF(struct config_file) files;
	struct environment_parity parity;
	struct environment_require require;
	/* Resolved: the environment's own keys, the others from `deploy`;
	 * health.url and health.address interpolated. */
	struct delivery delivery;
	/* As written, before resolving. For decoding only. */
	LIST_OF(struct server_group) written_servers;
	LIST_OF(struct value) written_values;
	LIST_OF(struct config_file) written_files;
};

struct server_group {
	const char *name;
	struct str_list servers;
};

/* A file that `extends` names, at any depth. */
struct project_template {
	/* What it is called everywhere: "lockstep:node", "deploy/common.yml" (from the folder of
	 * lockstep.yml), "git+URL//PATH@COMMIT" (without a password). */
	const char *address;
	const char *shown; /* as messages call it */
	bool local;	   /* a file of the project's own repository */
	char digest[DIGEST_HEX_LEN + 1];
	struct origin named_at;
	const struct doc_file *file; /* the origin of what it says */
};

struct project {
	const struct node *node; /* with its templates merged in */
	const char *file; /* as opened, for messages */
	const char *dir;  /* folder of the file, absolute; NULL when the text came from elsewhere */
	struct str_list extends; /* as written */
	LIST_OF(struct project_template) templates; /* in the order they apply: later ones win */
	int64_t version;
	const char *name;
	const char *source; /* URL or path; relative paths are relative to dir */
	struct project_build build;
	struct contract env;
	LIST_OF(struct value_source) values_from; /* level PROJECT */
	LIST_OF(struct config_file) files;
	struct secret_scan secret_scan;
	struct project_parity parity;
	struct delivery deploy;			  /* project-wide defaults, not interpolated */
	LIST_OF(struct environment) environments; /* in file order; at least one */
};

/* Where what `extends` names is read from. Without any of it: built-ins alone. */
struct project_reading {
	const char *home; /* $LOCKSTEP_HOME, whose mirrors hold other repositories; NULL: none are read */
	const char *dir;  /* base of paths; project_load sets it to the file's folder */
	/* Reads a local template, its path relative to lockstep.yml and clean; NULL: from dir. */
	int (*read)(void *context, const char *path, struct buf *out, struct err *err);
	void *context;
	/* "git+URL//PATH" that is read at another commit than is written; NULL: none. */
	const char *replace, *replace_commit;
};

/* `path`: a folder (its lockstep.yml), a file, or NULL: the current folder and
 * those above it. -1: err says what and where in short; every mistake stands in
 * `diags`, sorted. */
int project_load(struct arena *arena, const char *path, struct project **out, struct diags *diags,
		 struct err *err) CHECKED;
/* The same for a text that was read elsewhere, such as a file of a commit. */
int project_parse(struct arena *arena, const char *file_name, struct slice text, struct project **out,
		  struct diags *diags, struct err *err) CHECKED;

/* The same with templates that are not built in. `reading` is borrowed for the call. */
int project_load_with(struct arena *arena, const char *path, const struct project_reading *reading,
		      struct project **out, struct diags *diags, struct err *err) CHECKED;
int project_parse_with(struct arena *arena, const char *file_name, struct slice text,
		       const struct project_reading *reading, struct project **out, struct diags *diags,
		       struct err *err) CHECKED;

/* NULL when there is none of that name. */
const struct environment *project_environment(const struct project *project, const char *name);
/* The same, with an error that names the nearest (ERR_NOT_FOUND). */
int project_find_environment(const struct project *project, const char *name, const struct environment **out,
			     struct err *err) CHECKED;
/* Whether a path of its live activation is a config file's: written by a deployment from values,
 * in place of the release's own or beside it. */
bool environment_renders(const struct environment *environment, struct slice path);
/* Environments such that each stands after those it is promoted from; otherwise
 * in file order. Array of project->environments.count pointers in the arena. */
const struct environment **project_order(struct arena *arena, const struct project *project);

/* The ref a deployment takes when none is named: `ref`; else the branch of
 * `deploy_on.push` when it is not a pattern; else "HEAD". */
const char *environment_default_ref(const struct environment *environment);
/* Whether a push to this full ref (refs/heads/…, refs/tags/…) deploys here. */
bool environment_triggered_by(const struct environment *environment, const char *full_ref);
/* Health with the values of one server put in and judged, where `late` says that they
 * were not known before; else as it is. A secret in it is refused: addresses are logged. */
int health_fill(struct arena *arena, const struct health *health, const struct config_set *set, struct health *out,
		struct err *err) CHECKED;
/* Whether the server belongs to the group (NULL: all). */
bool server_in_group(const struct server *server, const char *group);

/* A late text with the values of a config set put in, and judged as its kind. In urls, names and ports a secret is
 * refused: they stand in reports. In a database's address it is allowed, and the arena then
 * holds it: arena_wipe_free. Errors never quote a value. */
enum parity_text_kind { PARITY_URL = 1, PARITY_NAME, PARITY_PORT, PARITY_DATABASE };
int parity_text_fill(struct arena *arena, enum parity_text_kind kind, const struct parity_text *text,
		     const struct config_set *set, const char **out, struct err *err) CHECKED;

/* Printed from the rows. */
void project_print_schema(struct buf *out);
void project_print_reference(struct buf *out);
