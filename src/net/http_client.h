/* Requests over HTTP and HTTPS to services (secret stores, later forges): blocking,
 * with time limits, a size limit and retries; may be used by several threads, each
 * with clients of its own. The only user of libcurl together with http_check.c.
 * Redirects are not followed: credentials go to one host only. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { HTTP_HEADERS_MAX = 32, HTTP_ANSWER_MAX = 8 << 20 };

struct http_header {
	const char *name, *value; /* a value may live in a safe; it is not kept */
};

/* Connections kept between the requests of one thread, so that a hundred pages cost
 * one handshake. */
struct http_client;
struct http_client *http_client_open(void);
void http_client_close(struct http_client **client); /* cleanup function; NULL is fine */

struct http_request_spec {
	struct http_client *client; /* NULL: a connection for this request alone */
	const char *method;	    /* "GET", "POST", "LIST" */
	const char *url; /* no user or password in it; http: only to loopback, unless `allow_plain` */
	const struct http_header *headers;
	size_t header_count;
	struct slice body; /* not sent when empty and the method is GET */
	/* Called before each attempt, so that a signature carries the time of the attempt;
	 * sets *headers_out (in the arena). NULL: `headers` as they are. */
	int (*sign)(void *context, const struct http_request_spec *spec, struct arena *arena,
		    const struct http_header **headers_out, size_t *count_out, struct err *err);
	void *context;
	int64_t timeout_ms; /* of all attempts together; 0: 20 s */
	int attempts; /* 0: 4. Tried again: connection errors, 408, 429, 500, 502, 503, 504, cut answers,
		       * and what `again` says; waits double from 200 ms, with jitter, Retry-After honoured */
	bool (*again)(void *context, int status, struct slice body);
	size_t answer_max; /* 0: HTTP_ANSWER_MAX */
	bool allow_plain;
	const char *ca_file; /* NULL: SSL_CERT_FILE, else the system's authorities */
	const char *what;    /* for errors: "Vault at https://vault.acme.io" */
};

struct http_answer {
	int status;
	struct buf body;		 /* wiped by http_answer_free, as it may hold secrets */
	const char *etag, *content_type; /* in the arena; NULL */
	int64_t retry_after_ms;		 /* as the last answer asked; 0: it did not */
	int attempts;			 /* how many it took */
};

/* -1 when there is no whole answer in time (ERR_NETWORK), it is too long
 * (ERR_NETWORK too) or its certificate is not to be trusted (ERR_DENIED). Any status is
 * an answer, also one that was tried again to no avail or for whose Retry-After there
 * was no time. Errors never hold headers, queries or bodies. */
int http_send(struct arena *arena, const struct http_request_spec *spec, struct http_answer *answer,
	      struct err *err) CHECKED;
void http_answer_free(struct http_answer *answer); /* cleanup function */

/* Appends `text` as one part of a URL's path or query: everything but letters, digits
 * and -._~ as %XX. */
void http_put_escaped(struct buf *out, struct slice text);
/* True when a plain http: request to this URL stays on this machine. False without libcurl,
 * without which there are no requests. */
bool http_url_is_loopback(const char *url);
