/* What providers that ask a service over HTTP share: where the service is, one
 * connection and one time limit for all requests of a call, credentials from the
 * environment, values out of JSON. Nobody outside this folder includes this. */
#pragma once

#include "doc/json.h"
#include "net/http_client.h"
#include "secret/list.h"

enum { REMOTE_HEADERS_MAX = 6, CREDENTIAL_MAX = 16 << 10 };

struct remote {
	const struct provider_call *call;
	struct http_client *client;
	const char *base; /* "https://vault.acme.io", no slash at its end */
	const char *what; /* "Vault at https://vault.acme.io" */
	const char *ca_file;
	struct http_header headers[REMOTE_HEADERS_MAX];
	size_t header_count;
	int64_t until_ms;
	bool (*again)(void *context, int status, struct slice body);
};

/* `service` for errors: "Vault". The endpoint is the call's, else `usual` (a variable's
 * value or the vendor's own; NULL: it must be said, in `variable`). */
int remote_open(struct remote *remote, const struct provider_call *call, const char *service,
		const char *variable, const char *usual, struct err *err) CHECKED;
void remote_close(struct remote *remote); /* cleanup function */
/* Sent with every request from now on. The value may live in the safe. */
void remote_add_header(struct remote *remote, const char *name, const char *value);
/* "Bearer TOKEN", in the safe. */
int remote_add_bearer(struct remote *remote, struct secret token, struct err *err) CHECKED;

/* `path` begins with "/" and is escaped. `body` empty: a GET (or `method`). */
int remote_send(struct remote *remote, const char *method, const char *path, struct slice body,
		struct http_answer *answer, struct err *err) CHECKED;
/* An answer's body, which must be a JSON object. */
int answer_parse(const char *what, struct slice body, json_t **out, struct err *err) CHECKED;
int remote_parse(const struct remote *remote, const struct http_answer *answer, json_t **out,
		 struct err *err) CHECKED;
/* For statuses that mean the same everywhere (429, 5xx, redirects, anything not thought
 * of): the error and what to do. `about` says what was read. */
int remote_refuse(const struct remote *remote, const struct http_answer *answer, const char *about,
		  struct err *err);

/* The variable's value, else the content of the file that VARIABLE_FILE names, without
 * white space at its ends; absent when neither is set. */
int credential_find(const struct provider_call *call, const char *variable, struct secret *out,
		    struct err *err) CHECKED;
int credential_read_file(const struct provider_call *call, const char *path, struct secret *out,
			 struct err *err) CHECKED;
/* {"first": …, "second": …} of secrets, for a login; absent ones are left out. */
void credential_put_json(struct buf *out, const char *first, struct secret first_value, const char *second,
			 struct secret second_value);

/* A JSON value as a variable's text: text as it is, numbers and booleans as written,
 * maps and lists as JSON; null, and NULL, are errors. `place` for errors. */
int value_from_json(const struct provider_call *call, const json_t *json, const char *place,
		    struct secret *out, struct err *err) CHECKED;
/* "2018-03-22T02:24:06.945319214Z", with or without the fraction; 0 when it is no such text. */
int64_t time_from_json(const json_t *json);

/* An address's part with its %XX decoded; NULL when they are malformed or decode to a
 * control character. */
const char *address_decode(struct arena *arena, struct slice part);
/* The same for a check without an arena. */
bool address_part_is_fine(struct slice part);
