/* Where keys are kept: below the state folder, which is the caller's to say, or in a
 * place that a variable names, for machines that only borrow a key.
 *
 *	$LOCKSTEP_HOME/keys/shop/production.key         the current one
 *	$LOCKSTEP_HOME/keys/shop/production.ID.key      earlier ones, by id: other branches
 *	                                                and older commits are sealed with them
 *	$LOCKSTEP_HOME/keys/machine.key                 of this machine (history, sealed copies)
 *
 *	LOCKSTEP_KEY_PRODUCTION=/run/secrets/key        a file
 *	LOCKSTEP_KEY_PRODUCTION=fd:3                    a descriptor, read once
 *	LOCKSTEP_KEY_PRODUCTION=lockstep-key-1.…        the key itself: other processes of the
 *	                                                same user can read it until we have
 *
 * A file that anybody but its owner can read is refused. */
#pragma once

#include "seal/sealing.h"

enum { KEY_PATH_MAX = 4096 };

/* The key of an environment: of the variable when it is set, else of the state folder.
 * `id`: that very key, NULL: the current one. ERR_NOT_FOUND when there is none. */
int key_file_load(const char *home, const char *project, const char *environment, const char *id,
		  struct safe *safe, struct seal_key *out, struct err *err) CHECKED;
/* Makes `key` the current one; an earlier one is kept under its id. A crash leaves the
 * one or the other current, and never loses either. */
int key_file_save(const char *home, const char *project, const char *environment, const struct seal_key *key,
		  struct err *err) CHECKED;
/* This machine's own key, made when there is none. */
int key_file_machine(const char *home, struct safe *safe, struct seal_key *out, struct err *err) CHECKED;

/* Takes the keys that stand in variables themselves out of the environment, and closes
 * descriptors that variables name to the programs we start (ssh, git, an editor). Called
 * once, by main, before there are threads; what is wrong is said when it is needed. */
void key_file_take_variables(void);

/* "LOCKSTEP_KEY_PRODUCTION"; `out` holds KEY_PATH_MAX bytes. */
void key_file_variable(const char *environment, char *out);
/* Where the current key of an environment is or would be. */
void key_file_path(const char *home, const char *project, const char *environment, char *out);
