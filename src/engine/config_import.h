/* Taking in the scattered .env files of existing servers, or one file: what is secret is
 * sealed, what is not and the contract that can be inferred come as YAML to be put into
 * lockstep.yml, and differences in keys are shown. */
#pragma once

#include "engine/engine.h"

struct import_request {
	const char *environment;
	const char *file;	  /* NULL: from its servers */
	const char *const *names; /* on the servers; none: ".env" */
	size_t name_count;
	const char *sealed; /* the sealed file; NULL: see sealed_place_open */
	bool dry_run;	    /* nothing is sealed */
};

int config_import(struct engine *engine, const struct import_request *request, json_t **out,
		  struct err *err) CHECKED;
