/* Text found on a server taken apart, for the probes env, net, unit and container.
 * Pure. All of it is foreign: any bytes are taken, what cannot be understood is skipped or
 * said. What comes out points into what went in, unless said otherwise. */
#pragma once

#include "base/buf.h"

/* The next word (no blanks, tabs) off the front; empty at the end. */
struct slice parse_word(struct slice *rest);

/* --- files of variables: what dotenv libraries and EnvironmentFile= agree on --------- */

struct parse_env {
	struct slice rest;
	size_t line; /* of what was returned last, from 1 */
	size_t next_line;
	struct buf value; /* what `value` points into; the caller frees it */
};
struct parsed_variable {
	struct slice name, value;
	bool refers; /* `$` outside of single quotes: readers may put something else in its place */
};
void parse_env_begin(struct parse_env *parser, struct slice text);
/* 1; 0 at the end; -1: the line cannot be understood, the next call goes on behind it. */
int parse_env_next(struct parse_env *parser, struct parsed_variable *out);

/* --- /proc/net ----------------------------------------------------------------------- */

enum parsed_scope { SCOPE_LOOPBACK = 1, SCOPE_ANY, SCOPE_HOST };
struct parsed_socket {
	unsigned port;
	enum parsed_scope scope;
	uint64_t uid, inode;
};
/* A line of tcp, tcp6, udp, udp6; false: no socket that waits for others. */
bool parse_socket(struct slice line, bool is_udp, struct parsed_socket *out);
/* A line of tcp or tcp6 that stands behind all that listen (0A) and what is being accepted (03). */
bool parse_is_connection(struct slice line);

enum { PARSED_ADDRESS_MAX = 64 };
struct parsed_route {
	bool is_default, via_gateway;
	char destination[PARSED_ADDRESS_MAX]; /* "10.8.0.0/16" */
	char gateway[PARSED_ADDRESS_MAX];
	struct slice interface;
};
/* A line of route or ipv6_route; false: none that leads anywhere. */
bool parse_route(struct slice line, struct parsed_route *out);
bool parse_route6(struct slice line, struct parsed_route *out);

/* --- resolv.conf, hosts -------------------------------------------------------------- */

/* A line without its comment: the keyword, and in *rest its words; empty: nothing there. */
struct slice parse_keyword(struct slice line, struct slice *rest);

/* --- firewalls ----------------------------------------------------------------------- */

struct parse_firewall {
	struct slice rest;
	struct buf name, rules; /* the caller frees both */
	struct buf table;	/* nft: "inet filter"; iptables: unused */
};
/* The next chain of `nft list ruleset`: name "inet filter input", rules joined with "; ", without
 * counters, handles and what is counted up. False at the end. */
bool parse_nft_next(struct parse_firewall *parser);
void parse_firewall_free(struct parse_firewall *parser); /* cleanup function */
/* Chains of iptables-save come interleaved: calls `each` with ("filter INPUT", "policy DROP")
 * and ("filter INPUT", "-s 10.0.0.0/8 -j ACCEPT") in order. */
void parse_iptables(struct slice text,
		    void (*each)(void *context, struct slice table, struct slice chain, struct slice rule),
		    void *context);

/* --- systemd ------------------------------------------------------------------------- */

struct parsed_unit {
	struct slice id, active, type, exec; /* exec: the program of ExecStart */
	uint64_t main_pid;
};
/* The next block of `systemctl show`; false at the end. */
bool parse_unit_next(struct slice *rest, struct parsed_unit *out);

/* --- cron ---------------------------------------------------------------------------- */

struct parsed_cron {
	struct slice name, value; /* a variable; name.len 0: a job */
	struct slice schedule, user, command;
};
/* `has_user`: crontab(5) of /etc, which names one. False: a comment, or nothing. */
bool parse_cron(struct slice line, bool has_user, struct parsed_cron *out);
/* A command without what may be secret in it: values behind '=', passwords in URLs, the
 * word behind -p, -u and the like. */
void parse_cron_redact(struct slice command, struct buf *out);

/* --- compose ------------------------------------------------------------------------- */

struct parse_compose {
	struct slice rest;
	bool in_services;
	size_t service_indent, item_indent; /* SIZE_MAX: not known yet */
	struct slice service;
};
void parse_compose_begin(struct parse_compose *parser, struct slice text);
/* The next service that names an image, in block style; false at the end. */
bool parse_compose_next(struct parse_compose *parser, struct slice *service, struct slice *image);
