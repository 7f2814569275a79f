/* The journal of a place: one sealed record a line, only ever appended. What a
 * deployment did, in the order it did it; with `current` the truth about a server.
 *
 *	bound      place_id project environment by at
 *	prepared   at by deployment number name release config own_config plan kind commit subject reason
 *	           tree recipe build_key platform decision_place decision_server shape servers…
 *	commit     at deployment by            on the decision server only
 *	go-back    at deployment by why        on the decision server only
 *	activated  at deployment name previous
 *	reverted   at deployment name previous
 *	verified   at deployment name receipt … (the receipt)
 *	live       at deployment name            (live without verification)
 *	failed, restored, abandoned, hook, pruned, note
 */
#pragma once

#include "agent/place.h"

/* Appends the record in `text` (built with record_begin/put) as one durable line. */
int journal_append(const struct place *place, struct buf *text, struct err *err) CHECKED;

/* Cuts off a last line that a crash left torn; true in *cut_out when it did. */
int journal_mend(const struct place *place, bool *cut_out, struct err *err) CHECKED;

/* Calls `visit` for each line, oldest first, without its newline; at most the
 * last JOURNAL_READ_MAX bytes are looked at. A missing journal has no lines. */
enum { JOURNAL_READ_MAX = 8 << 20 };
typedef int journal_visit(void *context, struct slice line, struct err *err);
int journal_each(const struct place *place, journal_visit *visit, void *context, struct err *err) CHECKED;

/* What the journal says of one activation. Fields are "" when it says nothing. */
struct account {
	const char *name, *release, *config, *own_config, *deployment, *commit, *subject, *by, *plan, *kind,
		*shape;
	const char *verdict, *receipt;
	int64_t at, verified_at;
};
/* Accounts of all deployments in the journal, keyed by activation name; *count_out of them, oldest first. */
int journal_accounts(const struct place *place, struct arena *arena, struct account **accounts_out, size_t *count_out,
		     struct err *err) CHECKED;
const struct account *account_find(const struct account *accounts, size_t count, const char *name);

/* "commit", "go-back" or "": the last decision about this deployment here. An error
 * that names the line when one behind its `prepared` is damaged: it may have been the decision. */
int journal_decision(const struct place *place, const char *deployment, const char **out, struct err *err) CHECKED;

/* Whether the journal closed the deployment of this activation: verified, live, failed,
 * restored or abandoned. */
int journal_is_closed(const struct place *place, const char *name, bool *out, struct err *err) CHECKED;

/* Who the place belongs to and the highest number given, for a state that was lost. Texts
 * go to the arena; "" and 0 when the journal does not know. */
struct journal_place {
	const char *place_id, *project, *environment;
	uint64_t number;
};
int journal_place(const struct place *place, struct arena *arena, struct journal_place *out, struct err *err) CHECKED;
