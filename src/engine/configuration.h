/* The configuration of one environment: its providers asked, precedence and the
 * contract applied for each of its servers, and files rendered from it. Values live
 * in safes of the configuration. Nothing here is sent, or written anywhere. */
#pragma once

#include "engine/engine.h"
#include "model/config_version.h"
#include "seal/sealing.h"
#include "target/link.h"
#include "values/resolve.h"
#include "values/template.h"

struct configuration {
	struct engine *engine;
	const struct environment *environment; /* NULL: nothing was read yet */
	bool names_only;
	struct candidate *candidates; /* sorted */
	size_t candidate_count;
	struct config_set *sets; /* one a server, in the environment's order */
	size_t set_count;
	struct config_set whole; /* of no particular group or server */
	struct contract_problems problems;
	char digest_hex[DIGEST_HEX_LEN + 1];   /* names all of it; set by configuration_name */
	const char **own_hex;		       /* one a server: what that one gets */
	struct safe *pinned;		       /* values of an earlier version; NULL */
	struct configuration_reading *reading; /* the sources, and what they gave */
};

/* Begins to ask the providers in a thread of its own, so that it is done while the
 * servers are being connected to. `names_only`: no values where names are enough. */
void configuration_begin(struct engine *engine, const struct environment *environment, bool names_only,
			 struct configuration *out);
/* Waits for the providers and resolves. What is secret is masked in the engine's
 * events from here on. */
int configuration_finish(struct configuration *configuration, struct err *err) CHECKED;
/* Both. */
int configuration_read(struct engine *engine, const struct environment *environment, bool names_only,
		       struct configuration *out, struct err *err) CHECKED;
void configuration_close(struct configuration *configuration); /* cleanup function; wipes */
/* Candidates into sets; done by configuration_finish, and again when candidates change. */
int configuration_resolve_sets(struct configuration *configuration, struct err *err) CHECKED;
/* For a rollback to the configuration with this digest: its values, but those of today
 * for secrets that say `on_rollback: latest`. *needed_out is false, and nothing is
 * changed, when no such secret is another today: then what the servers kept is right. A
 * pinned value that is kept nowhere any more is an error that names it. */
int configuration_pin(struct configuration *configuration, const char *digest, bool *needed_out,
		      struct err *err) CHECKED;

/* Judges it by the contract. Where `same` or `unique` speak of other environments those
 * are read too; one that cannot be read is told of, not passed over. -1 when a problem
 * refuses the deployment; warnings go to the events. */
int configuration_check(struct configuration *configuration, struct err *err) CHECKED;
/* Tells of values that are of an earlier version than those deployed last from here: a
 * line of a sealed file that somebody put back opens like any other. */
void configuration_warn_earlier(struct configuration *configuration);
/* Names it under the environment's own key, which its servers keep: variables and config
 * files, for which the files are rendered. ERR_USER where one cannot be. */
int configuration_name(struct configuration *configuration, struct slice key, struct err *err) CHECKED;

/* The files of one server, rendered from files beside lockstep.yml and from `release`
 * (NULL: none has to be looked into). They live as long as the configuration. */
int configuration_render(struct configuration *configuration, size_t server, const struct digest *release,
			 struct rendered_file **files_out, size_t *count_out, struct err *err) CHECKED;
/* What one server gets besides its variables, files of the release into which only values are
 * put by their pattern; sorted. The content is good until configuration_wipe_files. */
int configuration_files(struct configuration *configuration, size_t server,
			struct config_set_file **files_out, size_t *count_out, struct err *err) CHECKED;
/* Wipes all that was rendered until now. */
void configuration_wipe_files(struct configuration *configuration);
/* For the commands of one server: NAME=VALUE of those that are no secrets, and the secrets. */
struct variables {
	struct text_list plain;
	const struct secret_variable *secret;
	size_t secret_count;
};
void configuration_variables(const struct configuration *configuration, size_t server, struct variables *out);
/* Whether all servers have the same variables. */
bool configuration_uniform(const struct configuration *configuration);

/* For the history of this machine: fingerprints under a key of its own, and sealed
 * copies of secrets whose provider keeps no versions. */
int configuration_entries(const struct configuration *configuration, struct config_entry **entries_out,
			  size_t *count_out, struct err *err) CHECKED;
/* And of its config files, one row a path: HMACs under `key`, over all servers. ERR_USER
 * where one cannot be rendered. Wipes what was rendered until now. */
int configuration_kept_files(struct configuration *configuration, struct slice key,
			     struct config_kept_file_list *out, struct err *err) CHECKED;
/* Keys of this machine for its history. */
struct history_keys {
	struct seal_key seal;
	struct secret fingerprint;
};
int configuration_history_keys(struct engine *engine, struct safe *safe, struct history_keys *out,
			       struct err *err) CHECKED;
/* Also masks values of earlier versions, as far as this machine keeps them: a rollback
 * brings them back. */
void configuration_mask_earlier(struct engine *engine, const struct environment *environment);
