/* AWS Signature Version 4: the header by which a request to AWS proves who sent it.
 * Pure: no clock, no I/O.
 *
 *	canonical request = METHOD \n path \n query \n headers \n \n names \n payload hash
 *	string to sign    = AWS4-HMAC-SHA256 \n time \n day/region/service/aws4_request \n hash
 *	key               = HMAC(HMAC(HMAC(HMAC("AWS4" secret, day), region), service), "aws4_request")
 *
 * (IAM user guide, "Create a signed AWS API request".) The path is signed with its dot
 * segments and empty segments taken out and encoded once more than it is sent, as all
 * services but S3 want it; the query sorted, with its parts decoded and encoded again. */
#pragma once

#include "net/http_client.h"
#include "seal/secret.h"

enum { SIGV4_HEADERS_MAX = 16 };

struct aws_keys {
	struct secret id; /* "AKIA…": no secret, but nobody else's business */
	struct secret secret;
	struct secret token; /* of a session; absent for lasting keys */
};

struct sigv4_request {
	const char *method;
	const char *url;		   /* http: or https:, as it will be sent */
	const struct http_header *headers; /* signed, all of them; host is added by us */
	size_t header_count;		   /* at most SIGV4_HEADERS_MAX */
	struct slice body;
	const char *service, *region; /* "ssm", "eu-west-1" */
	int64_t now_ms;
	bool no_payload_header; /* leaves x-amz-content-sha256 out: only for older test vectors */
};

/* The steps on the way, in hexadecimal, for tests. */
struct sigv4_steps {
	const char *payload_hash, *canonical_hash, *signature;
};

/* The request's headers and those of the signature (X-Amz-Date, X-Amz-Content-Sha256,
 * X-Amz-Security-Token, Authorization), in the arena; the token's value stays in its
 * safe. `steps` may be NULL. ERR_USER for a URL that is none, or too many headers. */
int sigv4_sign(struct arena *arena, const struct aws_keys *keys, const struct sigv4_request *request,
	       const struct http_header **headers_out, size_t *count_out, struct sigv4_steps *steps,
	       struct err *err) CHECKED;
