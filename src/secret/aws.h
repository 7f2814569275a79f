/* Calls of AWS services that speak JSON 1.1 over POST (Parameter Store, Secrets
 * Manager): where the service is, signing, throttling, and what its refusals mean.
 * Nobody outside this folder includes this. */
#pragma once

#include "doc/json.h"
#include "secret/aws_credentials.h"

struct aws_service {
	const char *name;	       /* "AWS Parameter Store" */
	const char *host;	       /* "ssm", also what is signed and the prefix of its permissions */
	const char *target;	       /* "AmazonSSM" */
	const char *endpoint_variable; /* "AWS_ENDPOINT_URL_SSM" */
};

struct aws_session {
	const struct provider_call *call;
	const struct aws_service *service;
	struct aws_identity identity;
	struct http_client *client;
	const char *url, *what;
	int64_t until_ms;
};

/* `region`: from the address; NULL lets it be found. */
int aws_session_open(struct aws_session *session, const struct provider_call *call,
		     const struct aws_service *service, const char *region, struct err *err) CHECKED;
void aws_session_close(struct aws_session *session); /* cleanup function */

/* `subject`, for errors, is what is read: "/shop/production/"; `needed` the permissions
 * that a refusal should name. The answer is an object whose memory is wiped when it is
 * freed. ERR_DENIED, ERR_NOT_FOUND, ERR_NETWORK, ERR_USER as the service says. */
int aws_send(struct aws_session *session, const char *action, const json_t *input, const char *subject,
	     const char *needed, json_t **out, struct err *err) CHECKED;

/* The part of an address behind "SCHEME://", without its query; the query may only hold
 * `region=`, which goes to *region_out (NULL when absent). False when malformed. */
bool aws_address_split(struct slice url, struct slice *rest_out, struct slice *region_out);
/* Seconds since 1970, as such services write times; 0 when it is none. */
int64_t aws_time(const json_t *json);
