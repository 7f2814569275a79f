/* One HTTP or HTTPS request over a stream the caller carries to where it should go:
 * how a server is asked for its health through the agent's relay. HTTP and TLS are spoken
 * here, so certificates are judged by this machine. Redirects are answers, not
 * followed. The only user of libcurl for this purpose. */
#pragma once

#include "net/loop.h"

enum { HTTP_BODY_MAX = 1 << 20 };

struct http_check_spec {
	const char *url; /* its host is the Host header, the SNI and what the certificate must say */
	const char *body_contains; /* NULL: any */
	const char *header_name;   /* NULL: none asked */
	const char *header_value;
	int status; /* expected; 0: any 200–299 */
	int64_t timeout_ms;
	bool insecure;
	const char *ca_file; /* NULL: the system's */
};

struct http_check_outcome {
	bool passed;
	int status;    /* 0: no answer */
	char why[512]; /* when not passed, in plain words */
	int64_t duration_ms;
};

struct http_check;
/* *stream_out is the far end of the request's stream, a socket that is the
 * caller's: what is read from it belongs to the server, what the server says is
 * written to it. `done` is called once, from the loop; the check is then over and
 * must be freed with http_check_stop. A URL that is not http: or https: is an
 * error. */
int http_check_start(struct loop *loop, const struct http_check_spec *spec,
		     void (*done)(void *context, const struct http_check_outcome *outcome), void *context,
		     struct http_check **check_out, int *stream_out, struct err *err) CHECKED;
void http_check_stop(struct http_check **check); /* NULL is fine; not from within `done` */

/* Host and port of an http: or https: URL (the scheme's port when none is written). */
int http_url_split(const char *url, char *host, size_t host_size, uint16_t *port_out,
		   struct err *err) CHECKED;
