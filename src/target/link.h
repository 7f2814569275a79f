/* One connection to one server: starts the agent there (over the user's `ssh`, or
 * as a child for local places) and speaks the conversation of agent/protocol.h
 * with it. Asynchronous over a loop: a request is begun, and while the loop turns
 * it ends in a result or an error. Most callers want fleet.h, which does this for
 * all servers of an environment and waits.
 *
 * Results and everything they point to live in the link until it is closed; links
 * of a fleet, until the fleet is closed. */
#pragma once

#include "agent/protocol.h"
#include "net/loop.h"
#include "store/store.h"
#include "target/address.h"
#include "target/events.h"

struct link;

enum link_status {
	LINK_CONNECTING = 1, /* up to READY */
	LINK_IDLE,	     /* a request may be begun */
	LINK_BUSY,	     /* one is under way */
	LINK_LOST,	     /* never connected, or the line was lost: link_failure says why */
	LINK_CLOSED,	     /* BYE was sent */
};

/* --- what a server says ------------------------------------------------------ */

/* As MSG_HELLO; texts are "" when absent. */
struct server_hello {
	uint64_t layout, epoch, next, uid, free_bytes, free_files;
	const char *place_id, *project, *environment;
	const char *live; /* name of the live activation, "" for none */
	bool foreign;	  /* `current` shows something that is not ours */
	const char *shows; /* where `current` points; "" when there is none or it is no link */
	bool fresh;	  /* there is no .lockstep yet */
	bool missing;	  /* there is not even the folder */
	const char *path; /* absolute, resolved */
	const char *user, *host, *system, *arch, *ssh_address;
	/* The key config sets of this environment are named with, 64 hex digits; "" when the
	 * server has none. A secret: never in logs, events, pages or --json. */
	char config_key[CONFIG_KEY_HEX_LEN + 1];
};

/* As MSG_ACTIVATION. */
struct server_activation {
	uint64_t number;
	const char *name;
	struct digest release;
	char release_hex[DIGEST_HEX_LEN + 1]; /* "" when the server's journal does not know */
	const char *config;		      /* the config set of the environment */
	const char *own_config;		      /* what of it this server got; "" of an earlier lockstep */
	const char *deployment, *commit, *subject, *by, *plan, *kind;
	const char *shape; /* as its deployment asked for; "" of an earlier lockstep */
	const char *verdict; /* prepared | activated | live | verified | failed | reverted */
	const char *receipt; /* http | command | none; "" when not verified */
	int64_t at, verified_at;
};

/* As MSG_PENDING. */
struct server_pending {
	const char *deployment, *name, *release, *config, *plan, *by, *previous;
	const char *decision_place, *decision_server;
	const char *decided; /* commit | go-back | "" as this server's journal knows */
	const char *phase;   /* begun | prepared | activated | reverted */
	const char *const *servers;
	size_t server_count;
	uint64_t number;
	int64_t at;
};

/* What is true on the server, as of the greeting or of the last LEASE. */
struct server_state {
	struct server_hello hello;
	const struct server_activation *activations; /* newest first */
	size_t activation_count;
	const struct server_pending *pending; /* NULL: none */
};

struct server_edit {
	const char *path; /* may hold any byte but NUL */
	const char *kind; /* changed | added | removed | mode (permissions or owner) | type */
	const char *seen, *expected, *owner, *activation; /* no digests of a rendered file */
	bool rendered;
	int64_t modified;
};

struct server_problem {
	const char *severity; /* ok | warn | bad */
	const char *what, *why, *hint;
};

struct server_use {
	uint64_t pid;
	const char *name, *what, *command;
};

/* --- requests and results ----------------------------------------------------- */

struct text_list {
	const char *const *items;
	size_t count;
};

struct lease_request {
	const char *project, *environment, *by, *deployment;
	int64_t wait_ms; /* 0: do not wait for somebody else's deployment */
	bool take_over;
};
struct lease_result {
	uint64_t epoch, next;
	const char *place_id;
	/* When refused (ERR_CONFLICT) by a holder: */
	const char *held_by, *held_deployment;
	int64_t held_since;
};

/* A config file as it is to stand in an activation. */
struct rendered_file {
	const char *path;	   /* relative, clean, inside the release; its folders are made */
	unsigned mode;		   /* permission bits; 0: 0640 */
	const char *owner, *group; /* names; NULL or "": whoever deploys */
	struct slice content;	   /* any bytes */
};

/* PREPARE, and RESTORE when `from` is set. Texts may be NULL: left out.
 *
 * Rendered files: those given; where none are, those of the kept activation
 * `config_from`, which for a RESTORE is `from` unless said. RESTORE from the live
 * activation with new ones is a config-only deployment: nothing else is sent. */
struct prepare_request {
	const char *deployment, *plan, *kind; /* deploy | promote | rollback | hotfix | config */
	struct digest release;
	const char *config, *own_config; /* as in struct server_activation */
	const char *commit, *subject, *by, *reason;
	int64_t commit_time; /* seconds */
	const char *expect;  /* name of the live activation the plan saw; NULL or "": none */
	const char *decision_place, *decision_server;
	struct text_list servers;
	const char *link_mode; /* auto | copy */
	struct text_list shared_dirs, shared_files, generated;
	const char *tree, *recipe, *build_key, *platform;
	const char *shape; /* digest of the lists of paths and link_mode; NULL */
	const char *from; /* RESTORE: name of a kept activation */
	const struct rendered_file *rendered;
	size_t rendered_count;
	bool no_rendered;	 /* none, and not those of `from` either */
	const char *config_from; /* name of a kept activation; only without rendered files */
	const char *config_key;	 /* 64 hex digits: what the server keeps from now on */
	bool trust_signatures;	 /* RESTORE: files whose stat signature holds are not hashed again */
};
struct prepare_result {
	const char *name;
	uint64_t number, files, linked, copied, received, received_bytes, healed, edits, rendered;
	uint64_t sent_bytes; /* written to the line for this step, frames included */
	unsigned rounds;     /* offers made: 1 when the first one was enough */
};

struct decide_request {
	const char *deployment;
	const char *decision; /* commit | go-back */
	const char *why;
};
struct activate_request {
	const char *deployment;
	const char *expect; /* ACTIVATE only */
	bool decide;	    /* ACTIVATE only: commit first, in the same request; for a fleet of one */
};
struct record_request;
/* What follows a preparation without being asked for again: the switch and, where `record`
 * is set, the receipt, which is the last of all: then the link is closed. */
struct carry_request {
	struct activate_request activate;
	const struct record_request *record;
};
struct activate_result {
	const char *name, *previous; /* name: "" after a REVERT to nothing */
	int64_t at;
};
/* A value that goes to a command by descriptor: the command finds shell assignments
 * for all of them behind the number in LOCKSTEP_SECRETS_FD, and says `. /dev/fd/3`. */
struct secret_variable {
	const char *name;   /* [A-Za-z_][A-Za-z0-9_]* */
	struct slice value; /* no NUL */
};
struct reload_request {
	const char *deployment, *spec, *away_from;
	int64_t timeout_ms;
	struct text_list env; /* as in run_request; for what a reload runs itself */
	const struct secret_variable *secret_env;
	size_t secret_env_count;
};
struct reload_result {
	const char *kind;
	const char *proved; /* proved | draining | not_checked */
	const char *why;
	uint64_t processes;
};
struct run_request {
	const char *deployment, *point, *command, *as;
	uint64_t index;
	const char *dir;      /* live | prepared | place */
	struct text_list env; /* NAME=VALUE, in the process's environment; never logged */
	const struct secret_variable *secret_env;
	size_t secret_env_count;
	const char *on_retry; /* run | skip | ask */
	int64_t timeout_ms;
};
/* A command that exits non-zero is a result, not an error of the step. */
struct run_result {
	int status, signal;
	bool timed_out;
	int64_t duration_ms;
};
struct http_request {
	const char *url;	   /* http: or https:, with the site's own name */
	const char *connect_host;  /* as seen from the server; NULL or "": its own address */
	uint16_t connect_port;	   /* 0: the URL's */
	const char *body_contains; /* NULL: any body */
	const char *header_name;   /* further proof; NULL: none asked */
	const char *header_value;
	int status; /* expected; 0: any 200–299 */
	int64_t timeout_ms;
	bool insecure;	     /* do not verify the certificate */
	const char *ca_file; /* NULL: the system's */
};
/* An answer that is not what was asked for is a result, not an error of the step. */
struct http_result {
	bool passed;
	int status;	 /* 0: no answer */
	const char *why; /* when not passed */
	int64_t duration_ms;
};
struct record_request {
	const char *event; /* verified | live | failed | restored | note */
	const char *const *keys;
	const char *const *values; /* NULL or "" values are left out */
	size_t count;
	uint64_t keep; /* not 0: also prunes; the result is in link_results()->prune */
};
struct check_request {
	const char *user, *link_mode;
	struct text_list reloads, shared_files;
	struct text_list owners, groups; /* of rendered files */
};
struct scan_result {
	uint64_t files, hashed, edit_count;
	const char *live;
	const struct server_edit *edits; /* at most LINK_LIST_MAX are kept; edit_count counts all */
	size_t edits_kept;
};
struct prune_result {
	struct text_list removed, trashed, in_use;
	const char *problem;
};
struct journal_result {
	const char *const *lines; /* oldest first; the last LINK_LIST_MAX at most */
	size_t count;
};
struct check_result {
	const struct server_problem *problems;
	size_t count;
	uint64_t bad, warn;
};
struct uses_result {
	const struct server_use *uses;
	size_t count;
};
/* What is asked of the probes (probe/probe.h): texts mirror struct probe_request's. Lists
 * hold PROBE_ORDER_LISTED_MAX texts at most, without empty ones. */
enum { PROBE_ORDER_LISTED_MAX = 1000 };
struct probe_order {
	const char *user;      /* who runs the application; NULL: not said */
	struct text_list only; /* dimensions; count 0: all */
	struct text_list reloads, paths, env_files, names, generated, rendered;
	const char *helper; /* the root-owned read-only helper; NULL: none */
	/* Secrets: of this run (comparable between servers), of this server (comparable in time). */
	uint8_t run_key[DIGEST_LEN], kept_key[DIGEST_LEN];
	bool has_kept_key;
};
struct probe_result {
	int fd; /* -1: none. A file without a name that holds one snapshot (fact/snapshot.h), read to
		 * its end and found whole. Lives as long as the link, or until it is asked again */
	uint64_t facts, bytes;
	int64_t clock_offset_ms; /* the server's clock minus ours, half the round trip considered */
	int64_t duration_ms;	 /* on the server */
};
struct fetch_result {
	struct manifest manifest; /* of the release that is now in the store, whole and durable */
	uint64_t objects, bytes;  /* received */
};

enum { LINK_LIST_MAX = 20000 };

/* The latest result of each kind; zero when there was none. */
struct link_results {
	struct lease_result lease;
	struct prepare_result prepare;
	struct activate_result activate; /* of ACTIVATE and REVERT */
	struct reload_result reload;
	struct run_result run;
	struct http_result http;
	struct scan_result scan;
	struct prune_result prune;
	struct journal_result journal;
	struct check_result check;
	struct uses_result uses;
	struct fetch_result fetch;
	struct probe_result probe;
};

/* --- the connection ------------------------------------------------------------ */

struct agent_image;
struct offers; /* compressed object streams shared by links: target/offer.h */

struct link_options {
	struct place_address address; /* copied */
	size_t index;		      /* for events */
	bool observe;		      /* changes nothing on the server, leaves nothing behind */
	bool scan_at_once; /* a SCAN travels with the start; it answers the first scan, if asked within 3 s */
	bool push_agent;   /* it is not there, as far as we know: it travels with the start, unasked */
	int64_t silence_ms;		  /* the line is lost after so much silence; 0: 30 s */
	const char *ssh;		  /* program and first words; NULL: $LOCKSTEP_SSH, else "ssh" */
	const struct agent_image *images; /* target/bootstrap.h; NULL: the agents this program holds */
	size_t image_count;
	struct target_events events;
	void (*changed)(void *context, struct link *link); /* a request ended, or the line was lost */
	void *context;
};

/* Begins to connect. Whatever goes wrong shows in the status and link_failure. */
struct link *link_open(struct loop *loop, const struct link_options *options);
/* Sends BYE when the line is idle and lets the child process end by itself. */
void link_leave(struct link *link);
/* The same, and ends the child process of a line that was not idle. */
void link_close(struct link **link);

enum link_status link_status(const struct link *link);
/* Connected, and idle but for the scan that travelled with the start: link_lease_prepare
 * may be called. */
bool link_takes_lease(const struct link *link);
/* Of the last request, or of the line; NULL when it went well. */
const struct err *link_failure(const struct link *link);
/* NULL until connected; stays readable after the line is lost. */
const struct server_state *link_state(const struct link *link);
const struct link_results *link_results(const struct link *link);
const struct place_address *link_address(const struct link *link);
bool link_leased(const struct link *link);
/* The last 4 KB the ssh program, the remote shell or the agent wrote to standard error. */
const char *link_stderr(const struct link *link);
uint64_t link_bytes_sent(const struct link *link);
uint64_t link_bytes_received(const struct link *link);

/* Each begins one request on an idle link (asserted). The request's values are
 * copied or encoded before the call returns. */
void link_lease(struct link *link, const struct lease_request *request);
void link_scan(struct link *link, bool deep);
/* `offers` and the store behind it must outlive the request. */
void link_prepare(struct link *link, const struct prepare_request *request, struct offers *offers);
/* Both without waiting for the lease, whose epoch is guessed: when somebody else had one
 * since the server greeted us, the lease is granted and the preparation refused
 * (ERR_CONFLICT). A lease that is refused prepares nothing.
 *
 * They may also be sent while that scan is under way: its result is there before theirs.
 *
 * With `carry` (NULL: none), the server goes on by itself once nothing is lacking, and the
 * request ends with the last of it; what was not prepared is not activated. A line that is
 * lost on the way may have got as far as that: link_carried. */
void link_lease_prepare(struct link *link, const struct lease_request *lease,
			const struct prepare_request *request, const struct carry_request *carry,
			struct offers *offers);
/* The server was told to go on, and has not said that it did not. */
bool link_carried(const struct link *link);
void link_decide(struct link *link, const struct decide_request *request);
void link_activate(struct link *link, const struct activate_request *request);
/* Both without waiting: what could not be activated is not recorded. `leave`: these were
 * the last requests, the link is closed when they are answered. */
void link_activate_record(struct link *link, const struct activate_request *activate,
			  const struct record_request *record, bool leave);
void link_revert(struct link *link, const char *deployment);
void link_reload(struct link *link, const struct reload_request *request);
void link_run(struct link *link, const struct run_request *request);
void link_check_http(struct link *link, const struct http_request *request);
void link_record(struct link *link, const struct record_request *request);
void link_abandon(struct link *link, const char *deployment);
void link_prune(struct link *link, uint64_t keep);
void link_journal(struct link *link, uint64_t last);
void link_check(struct link *link, const struct check_request *request);
void link_uses(struct link *link);
/* `temp_dir`: for the snapshot; NULL: $TMPDIR, else /var/tmp. */
void link_probe(struct link *link, const struct probe_order *order, const char *temp_dir);
/* Brings the release and every object of it that is missing into the store. */
void link_fetch_release(struct link *link, const struct digest *release, struct store *store);

/* Gives the line up at once: the request under way fails with `code`. */
void link_drop(struct link *link, enum err_code code, const char *why);
