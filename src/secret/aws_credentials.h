/* Who we are to AWS, found where its own tools look, in their order:
 *
 *	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	[AWS_PROFILE] of ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE), then of
 *	    ~/.aws/config (AWS_CONFIG_FILE)
 *	a container's credentials (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI)
 *	an instance's metadata, version 2 (AWS_EC2_METADATA_SERVICE_ENDPOINT,
 *	    AWS_EC2_METADATA_DISABLED)
 *
 * The region: AWS_REGION, AWS_DEFAULT_REGION, the profile's, the instance's. Roles to be
 * assumed, single sign-on and credential processes are not followed: the error says how
 * the aws program gives keys for them. */
#pragma once

#include "secret/provider.h"
#include "secret/sigv4.h"

struct aws_identity {
	struct aws_keys keys; /* in call->safe */
	const char *region;   /* NULL when nothing says it */
	const char *source;   /* for errors: "the profile shop of /home/ada/.aws/credentials" */
};

/* ERR_DENIED when there are none, with the places looked at. Files and the metadata
 * service are asked only when what comes before them gives nothing. `region`: what is
 * already known; NULL lets it be looked for. */
int aws_identity_find(const struct provider_call *call, const char *region, struct aws_identity *out,
		      struct err *err) CHECKED;

/* One section of such a file, for tests: [default], [name] and [profile name]. Keys not
 * there stay NULL. ERR_USER with the line when it is malformed. */
struct aws_profile {
	bool found;
	struct slice id, secret, token, region; /* point into the text */
	const char *indirect; /* "role_arn", "sso_session", …: how its keys are had; NULL */
};
int aws_profile_parse(struct slice text, const char *file, const char *name, struct aws_profile *out,
		      struct err *err) CHECKED;
