/* The plan: what a deployment would do, in full, before it does anything. It has a
 * digest; a deployment starts only while what it expects still holds (each server
 * checks its own part under its lease). */
#pragma once

#include "engine/artifact.h"
#include "engine/configuration.h"
#include "gate/gate.h"
#include "model/deployment.h"
#include "model/deployment_server.h"

struct plan_server {
	const struct server *server;
	const char *label, *key;
	const char *expect;               /* live activation now; "" for none */
	const char *from;                 /* the kept activation its files come from; NULL: sent */
	const char *config_from;          /* the kept activation its rendered files come from; NULL */
	const struct server_activation *live; /* NULL: none of ours */
	const struct server_edit *edits;  /* hand edits in the live activation */
	size_t edits_kept;
	uint64_t edit_count;
	const char *own_config; /* digest of what this server gets of the configuration; "": unknown */
	bool shape_same;
	bool current;                     /* has release and config live and good already */
	uint64_t files_changed, bytes_changed; /* against what is live; everything when nothing is */
};

struct plan_change {
	const char *what; /* added | removed | changed */
	struct slice path;
};

struct plan {
	char id[DEPLOYMENT_ID_LEN + 1];
	enum deployment_kind kind;
	bool hotfix;
	bool again;                       /* a new activation also where nothing would change */
	const char *reason;
	const struct environment *environment;
	struct artifact artifact;
	struct configuration *configuration; /* NULL: that of kept activations */
	const char *config_key;              /* 64 hex digits; a secret */
	char config_hex[DIGEST_HEX_LEN + 1]; /* of the environment, all servers together */
	struct plan_server *servers;
	size_t server_count;
	struct gate_verdicts gates;       /* count 0 for a rollback */
	bool current;                     /* nothing to do on any server */
	bool foreign;                     /* `current` of some server shows something not ours */
	bool described;                   /* plan_describe has filled in what follows, and files_changed */
	/* Against the release that is live on the first server. */
	struct commit *commits;           /* newest first, at most 20 */
	size_t commits_shown;
	uint64_t commits_total;
	uint64_t commits_back;            /* commits that are live and would go */
	struct plan_change *changes;      /* files and links, the first PLAN_CHANGES_SHOWN in path order */
	size_t changes_shown;
	size_t change_count;              /* all, folders counted */
	char shape_hex[DIGEST_HEX_LEN + 1];    /* of what an activation holds besides: shared, generated, copied */
	char delivery_hex[DIGEST_HEX_LEN + 1]; /* of how it is built and delivered, templates merged in */
	char digest_hex[DIGEST_HEX_LEN + 1];
};

enum { PLAN_COMMITS_MAX = 20, PLAN_CHANGES_SHOWN = 200 };

/* Commits and changed files, for people: nothing is decided by them, so a deployment
 * asks when it is over. Once. */
void plan_describe(struct engine *engine, struct plan *plan);
/* Looks for hand edits and for what is live now: before plan_make, or with plan_note_edits
 * behind it where it is another release that goes there, which they do not change. */
int plan_look(struct fleet *fleet, struct err *err) CHECKED;
void plan_note_edits(struct plan_server *server, const struct scan_result *scan);
/* `fleet` is connected to all servers of the environment. *plan keeps its id, hotfix, again, reason, gates and configuration.
 * DEPLOYMENT_DEPLOY becomes DEPLOYMENT_CONFIG when only the configuration would change. */
int plan_make(struct engine *engine, const struct environment *environment, enum deployment_kind kind,
	      const struct artifact *artifact, struct fleet *fleet, struct plan *plan, struct err *err) CHECKED;
/* Gathers the evidence and asks all gates; plan->gates holds the verdicts. */
int plan_judge(struct engine *engine, struct plan *plan, struct fleet *const *upstreams, struct err *err) CHECKED;
/* As --json and `plan` show it. A new reference. */
json_t *plan_json(struct engine *engine, const struct plan *plan);
/* Every server must have been reached; err names those that were not. */
int plan_need_all(const struct environment *environment, struct fleet *fleet, struct err *err) CHECKED;
