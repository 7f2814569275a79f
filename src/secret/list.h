/* The providers there are, one file each (docs/adding-a-provider.md). Nobody outside
 * this folder includes this. */
#pragma once

#include "secret/provider.h"

extern const struct provider provider_command;
extern const struct provider provider_doppler;
extern const struct provider provider_dotenv;
extern const struct provider provider_infisical;
extern const struct provider provider_sealed;
extern const struct provider provider_secretsmanager;
extern const struct provider provider_sops;
extern const struct provider provider_ssm;
extern const struct provider provider_vault;

/* Shared by providers that read files: the path of an address ("dotenv:PATH"), and the
 * path to open, relative paths below call->folder. */
const char *provider_file_of(const struct provider_call *call, const char **shown_out);
/* Reads it whole into `out` (a BUF_SECRET); errors name the provider and the path. */
int provider_read_file(const struct provider_call *call, const char *provider, struct buf *out,
		       struct err *err) CHECKED;
/* What is wrong with an address of the form SCHEME:PATH; NULL when fine. */
const char *provider_check_file(struct slice url);
/* For providers whose entries stand in one flat list: keeps those the call maps, under
 * their new names. A path that is not there is ERR_NOT_FOUND, all of them in one error.
 * Without mappings it changes nothing. */
int provider_map_entries(const struct provider_call *call, struct provider_entries *entries,
			 struct err *err) CHECKED;
