/* What services answer, as entries: what a provider does after asking, apart from the
 * asking, so that tests and fuzzers can do it with any bytes. Nobody outside this folder
 * (and its tests) includes this.
 *
 * Each takes the body of a good answer (status 200) to a reading of call->url, an address
 * that the row's check() has taken; `what` is whose answer it is, for errors. Neither order
 * nor names are checked, which provider_read does for all. */
#pragma once

#include "codec/aes_gcm.h"
#include "secret/provider.h"

/* With names_only a body of `subkeys`, otherwise of `data`. */
int vault_decode(const struct provider_call *call, const char *what, struct slice body,
		 struct provider_entries *out, struct err *err) CHECKED;
/* With names_only a list of names, otherwise the download. */
int doppler_decode(const struct provider_call *call, const char *what, struct slice body,
		   struct provider_entries *out, struct err *err) CHECKED;
int infisical_decode(const struct provider_call *call, const char *what, struct slice body,
		     struct provider_entries *out, struct err *err) CHECKED;
/* One page of GetParametersByPath. */
int ssm_decode(const struct provider_call *call, const char *what, struct slice body,
	       struct provider_entries *out, struct err *err) CHECKED;
/* GetSecretValue; with names_only and mappings, DescribeSecret. */
int secretsmanager_decode(const struct provider_call *call, const char *what, struct slice body,
			  struct provider_entries *out, struct err *err) CHECKED;
/* A whole file, `key` its data key. */
int sops_decode(const struct provider_call *call, const uint8_t key[AES_GCM_KEY_LEN], struct slice text,
		struct provider_entries *out, struct err *err) CHECKED;
