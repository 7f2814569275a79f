/* A small controller for tests: drives the real agent over pipes. It keeps to the
 * conversation of agent/protocol.h, and fails the test when the agent does not. */
#pragma once

#include "agent/protocol.h"
#include "base/arena.h"
#include "base/buf.h"
#include "store/manifest.h"

#include "../cmocka_base.h"

#include "../temp.h"

/* One file of a release; a `link` is a symlink's target instead. */
struct item {
	const char *path;
	const char *content;
	const char *link;
	bool executable;
};

/* Items become a manifest, with the folders they need; ends with { 0 }. */
struct manifest release_of(struct arena *arena, const struct item *items);

/* A rendered file that PREPARE or RESTORE carries; `more` is further fields of RENDER. */
struct config_file {
	const char *path, *content, *more;
};

struct client {
	struct arena arena;
	pid_t pid;
	int to, from;
	struct buf inbox;
	size_t taken;
	struct talk talk;
	struct record answer; /* the last message taken */
	uint8_t type;
	uint64_t epoch;
	char place_id[32];
	const char *place;
	char live[64];
	bool fresh;
	bool pending; /* a PENDING came with the state */
	struct record pending_record;
	size_t activations, edits, needs, bytes_sent;
	char edit_kind[16], edit_path[256];
	bool edit_rendered;
	char config_key[65];
	char edit_digests[130]; /* seen and expected */
	const struct config_file *config; /* ends with { 0 }; NULL: no rendered= is sent */
	struct buf output; /* of hooks */
};

/* Starts the agent and takes its greeting. `fault` is LOCKSTEP_FAULT or NULL.
 * LOCKSTEP_TEST_AGENT names the program (words separated by blanks). */
void client_start(struct client *c, const char *place, const char *fault);
void client_observe(struct client *c, const char *place);
/* Ends the line; the exit status (128 + signal), 0 after a BYE. */
int client_end(struct client *c);
int client_cut(struct client *c); /* without a BYE */

/* Sends a request of "key=value …", printf-style; `%s` values need to be clean words. */
void client_send(struct client *c, enum message_type type, const char *format, ...) PRINTF(3, 4);
void client_send_bytes(struct client *c, enum message_type type, struct slice bytes);
/* The next message, edits, progress and needs counted and passed over; 0 when the line is cut. */
uint8_t client_take(struct client *c);
const char *client_get(struct client *c, const char *key); /* of the last message */
uint64_t client_get_u64(struct client *c, const char *key);
/* Sends and takes the last answer's type. */
uint8_t client_ask(struct client *c, enum message_type type, const char *format, ...) PRINTF(3, 4);

uint8_t client_lease(struct client *c, const char *more);
/* PREPARE or RESTORE of a release whose contents are `items`; the last answer's type. */
uint8_t client_prepare(struct client *c, const char *deployment, const struct item *items, const char *more);
/* Lease (unless held), prepare, decide, activate, record verified: all of it must work. */
void client_deploy(struct client *c, const char *deployment, const struct item *items, const char *more);

const char *text_at(struct arena *arena, const char *folder, const char *path); /* NULL when not there */
void write_at(const char *folder, const char *path, const char *text);
const char *path_at(struct arena *arena, const char *folder, const char *path);
/* The text of the link `current`; "" when there is none. */
const char *current_of(struct arena *arena, const char *place);
