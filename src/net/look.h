/* Looks at addresses from here: what answers over HTTP, with which certificate, where names
 * point, which ports take a connection. Many side by side, each within its time. Nothing
 * secret is sent: requests carry no credentials, bodies are not read, redirects are told
 * and not followed. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "codec/digest.h"

enum {
	LOOK_HEADERS_MAX = 200,
	LOOK_HEADERS_BYTES_MAX = 256 << 10,
	LOOK_CHAIN_MAX = 10,
	LOOK_SIDE_BY_SIDE = 32,
	LOOK_ADDRESSES_MAX = 64,
};

/* How it went: words that are the same for the same cause, whoever is asked. */
enum look_result {
	LOOK_ANSWERED = 1,
	LOOK_NO_NAME,	  /* the name does not exist */
	LOOK_NAME_FAILED, /* no name server could tell */
	LOOK_REFUSED,
	LOOK_UNREACHABLE, /* no way there */
	LOOK_TIMED_OUT,
	LOOK_TLS_FAILED, /* no handshake */
	LOOK_CLOSED,	 /* connected, then no whole answer */
	LOOK_TOO_LONG,	 /* headers over the limit */
	LOOK_MALFORMED,	 /* of the address or the answer */
};
const char *look_result_words(enum look_result result); /* "the connection was refused" */

enum look_how {
	LOOK_GET = 1,
	LOOK_HEAD,
	LOOK_TLS, /* a handshake, no request */
};

struct look_spec {
	const char *url; /* http: or https:; for LOOK_TLS https: */
	enum look_how how;
	const char *ca_file; /* NULL: SSL_CERT_FILE, else the system's */
	int64_t time_ms;     /* > 0 */
};

struct look_header {
	struct slice name; /* in small letters */
	struct slice value;
};

struct look_certificate {
	const char *subject, *issuer; /* "CN = shop.acme.io" */
	const char *const *names;     /* "shop.acme.io", "*.acme.io", addresses */
	size_t name_count;
	const char *not_after; /* "2026-11-22T09:41:07Z"; NULL: unreadable */
	int64_t not_after_ms;
	struct digest fingerprint;
	bool has_fingerprint;
};

struct look {
	enum look_result result;
	const char *why;      /* for people, when nothing answered; NULL */
	int status;	      /* 0: no answer over HTTP */
	const char *protocol; /* "HTTP/1.1", "HTTP/2"; NULL */
	const char *location; /* where a redirect leads, absolute where it can be read; NULL */
	const char *address;  /* that was connected to; NULL */
	const struct look_header *headers;
	size_t header_count;
	/* The handshake, with https: only. Where trust is missing it is made once more without. */
	bool tls, trusted;
	const char *untrusted_why;
	const char *tls_version;		     /* "TLSv1.3" */
	const struct look_certificate *certificates; /* the server's own first */
	size_t certificate_count;
};

/* All of them; outs[i] belongs to specs[i] and lives in the arena. -1 only when libcurl
 * cannot be started. */
int look_all(struct arena *arena, const struct look_spec *specs, size_t count, struct look *outs,
	     struct err *err) CHECKED;

/* The address a name stands for, as this machine resolves it. */
struct look_name {
	enum look_result result; /* ANSWERED, NO_NAME, NAME_FAILED, TIMED_OUT */
	const char *canonical;	 /* where it is an alias; NULL */
	const char *const *addresses;
	size_t address_count;
};
/* Names of at most 255 bytes. A look-up that does not end in time is left behind in a thread
 * of its own. */
void look_names(struct arena *arena, const char *const *names, size_t count, int64_t time_ms,
		struct look_name *outs);

struct look_port {
	const char *host; /* a name or address */
	uint16_t port;
	enum look_result result; /* out: ANSWERED (open), REFUSED (closed), TIMED_OUT or UNREACHABLE, … */
};
/* Connects, and closes at once. Open when one of the host's addresses takes it. */
void look_ports(struct look_port *ports, size_t count, int64_t time_ms);

/* "host:port", "[::1]:443"; false when it is none. `port` may be missing when `fallback` is
 * not 0. */
bool look_split(struct slice text, uint16_t fallback, char host[256], uint16_t *port_out);
/* Whether it is an address (or localhost) that means another machine elsewhere: loopback,
 * and with `private` also RFC 1918, link-local and fc00::/7. */
bool look_is_local(const char *host, bool private);
