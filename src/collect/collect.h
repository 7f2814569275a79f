/* Collectors: what is seen of an environment from beside it, not from its servers: answers
 * over HTTP, certificates, names, third-party endpoints, what stands before the servers.
 * One row a dimension. They only look: GET and HEAD, handshakes, look-ups, connects.
 *
 *	http/URL/status | location | header/NAME | protocol | cdn | server
 *	tls/HOST:PORT/subject | issuer | names | days_left | not_after | protocol | chain | fingerprint
 *	dns/NAME/addresses | cname
 *	endpoint/VARIABLE/host | mode | reachable | tls | rate_limit/HEADER
 *	shape/GROUP/servers     shape/front/balancer | cdn     shape/port/HOST:PORT/open
 *
 * URLs in keys are made comparable: the environment's own host is written as "{host}", so
 * that https://stg.acme.io/up and https://www.acme.io/up are one fact. */
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
	const char *const *own_hosts; /* written as "{host}" in keys */
	size_t own_host_count;
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

struct collector {
	const char *dimension;
	const char *text;
	const struct collect_fact {
		const char *key, *kind, *text;
	} * facts; /* ends with a NULL key */
	int (*run)(const struct collect_request *request, struct fact_list *out, struct err *err);
};
extern const struct collector *const collectors[]; /* sorted by dimension, ends with NULL */

/* All of them, side by side where that saves time. A dimension that fails becomes
 * FACT_NOT_CHECKED with the reason. -1 only when the list is full. */
int collect_all(const struct collect_request *request, struct fact_list *out, struct err *err) CHECKED;

/* "live" | "test" | "sandbox" | "unknown" of a credential or address by its format or host
 * (Stripe, GoCardless, Lob, Shippo, Duffel, EasyPost, Flutterwave, Plaid, Razorpay,
 * Braintree, Square, PayPal); NULL: no such service's. */
const char *endpoint_mode(struct slice value, const char **service_out);
