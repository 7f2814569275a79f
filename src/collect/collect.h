/* Collectors: what is seen of an environment from beside it, not from its servers: answers
 * over HTTP, certificates, names, third-party endpoints, what stands before the servers.
 * One row a dimension. They only look: GET and HEAD, handshakes, look-ups, connects.
 *
 *	http/URL/status | protocol | server | cdn | proxy | location | redirects
 *	http/URL/header/NAME | cookie/NAME                          evidence: address
 *	tls/HOST:PORT/subject | issuer | issuers | names | days_left | expires_soon | not_after |
 *	              protocol | chain | trusted | fingerprint      evidence: trusted_why
 *	dns/NAME/addresses | cname                 (a name that does not exist has no fact)
 *	endpoint/VARIABLE/host | service | mode | reachable | tls | trusted | rate_limit/HEADER
 *	                                                            evidence: reachable_why
 *	shape/GROUP/servers     shape/front/balancer | cdn | direct | addresses
 *	shape/port/HOST:PORT/open                  open | closed | filtered | mixed
 *
 * URLs are made comparable: the environment's own host is written as "{host}" (a second
 * one as "{host2}"), a server's as "{server}", so that https://stg.acme.io/up and
 * https://www.acme.io/up are one fact. Users, passwords, the values of queries, nonces and
 * long random parts of URLs and headers are never written. */
#pragma once

#include "fact/snapshot.h"

enum { COLLECT_TIME_MS = 10000, COLLECT_LISTED_MAX = 200, COLLECT_FACTS_BYTES_MAX = 8 << 20 };

struct collect_endpoint {
	const char *variable; /* "STRIPE_SECRET", "MAIL_HOST" */
	struct slice value;   /* a secret, perhaps: only its format, host and mode become facts */
	bool secret;
};

struct collect_request {
	const char *const *urls; /* full; http: and https: */
	size_t url_count;
	/* "shop.acme.io" or "127.0.0.1:8080"; in an order that is alike in all environments,
	 * as the first is written "{host}", the second "{host2}". A host that is listed with a
	 * port and without one has one number. */
	const char *const *own_hosts;
	size_t own_host_count;
	const char *const *server_hosts; /* as they are connected to; written "{server}" */
	size_t server_host_count;
	const char *const *tls; /* "host:port" that speak TLS at once; those of `urls` need no saying */
	size_t tls_count;
	const char *const *names; /* DNS */
	size_t name_count;
	const struct collect_endpoint *endpoints;
	size_t endpoint_count;
	const struct collect_group {
		const char *name;
		size_t servers;
	} * groups;
	size_t group_count;
	const char *const *ports; /* "host:port": whether they take a connection from here */
	size_t port_count;
	const char *ca_file; /* NULL: the system's */
	int64_t now_ms;
	int64_t time_ms; /* 0: COLLECT_TIME_MS, for each look */
	bool offline;	 /* makes no connection: all that needs one is not checked */
};

struct collect_sight; /* what several of them look at, looked at once (internal.h) */

struct collector {
	const char *dimension;
	const char *text;
	const struct collect_fact {
		const char *key, *kind, *text;
	} * facts; /* ends with a NULL key */
	/* Called from a thread of its own. */
	int (*run)(struct collect_sight *sight, struct fact_list *out, struct err *err);
};
extern const struct collector *const collectors[]; /* sorted by dimension, ends with NULL */

/* All of them, side by side where that saves time. A dimension that fails becomes
 * FACT_NOT_CHECKED with the reason. -1 only when the list is full. */
int collect_all(const struct collect_request *request, struct fact_list *out, struct err *err) CHECKED;

/* "live" | "test" | "sandbox" of a credential or address, by its form or host: the table of
 * value_key_mode, and hosts with a part "sandbox". "unknown": of a service known by its
 * host, which does not say which. NULL: no such service's; *service_out may be NULL even where
 * the mode is known. */
const char *endpoint_mode(struct slice value, const char **service_out);

/* The rows for docs/reference/facts.md: a heading and a table a dimension. */
void collect_print_reference(struct buf *out);
