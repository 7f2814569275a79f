/* The servers of one environment at once: each step sends one request to every
 * chosen server in parallel and returns when all are done. Written so that a
 * deployment reads from top to bottom.
 *
 * A step is asked of the servers `which` says (one bool a server; NULL: all). It
 * returns 0 when it went well on all of them; otherwise -1, err naming the
 * servers that failed; fleet_failure has each server's own error, and
 * link_results(fleet_link(…)) the results of those where it went well. A server
 * whose line is lost fails every step at once until fleet_reopen.
 *
 * Interrupting (fleet_interrupt, or SIGINT and SIGTERM with handle_signals): the
 * step under way returns ERR_INTERRUPTED once every server has ended the request
 * it is in (a transfer is not waited for: its line is given up, use fleet_reopen).
 * The steps after that work again, so that the caller can go back. A second
 * interrupt makes the step under way and all later ones return at once. */
#pragma once

#include "target/link.h"

struct fleet;

struct fleet_options {
	bool observe;	   /* see link_options */
	const bool *push_agent; /* one a server, as in link_options; copied; NULL: none */
	bool scan_at_once; /* a SCAN travels with the start; it answers the first scan, if asked within 3 s */
	bool handle_signals;		  /* SIGINT and SIGTERM interrupt */
	int connect_max;		  /* handshakes under way at once; 0: 32 */
	int64_t silence_ms;		  /* 0: 30 s */
	const char *ssh;		  /* NULL: $LOCKSTEP_SSH, else "ssh" */
	const char *temp_dir;		  /* for compressed streams; NULL: $TMPDIR, else /var/tmp */
	const struct agent_image *images; /* see link_options */
	size_t image_count;
	/* A fleet_forecast made while the lines are set up; NULL store: none. */
	struct store *forecast_store;
	const struct digest *forecast_release, *forecast_base;
	struct target_events events;
};

/* Connects to all. Servers that could not be reached are failures like those of
 * any step: the fleet is there (fleet_out set) even when -1 is returned for them;
 * it is NULL only when nothing could be started at all. `addresses` is copied.
 * No servers is allowed. */
int fleet_open(const struct place_address *addresses, size_t count, const struct fleet_options *options,
	       struct fleet **fleet_out, struct err *err) CHECKED;
/* The same in two halves: `begin` starts the handshakes and returns at once, so that
 * something else can be done meanwhile; `connected` waits for them. Without the second
 * half only fleet_forecast, fleet_leave and fleet_close may be called. */
int fleet_begin(const struct place_address *addresses, size_t count, const struct fleet_options *options,
		struct fleet **fleet_out, struct err *err) CHECKED;
int fleet_connected(struct fleet *fleet, struct err *err) CHECKED;
/* Waits for the greetings alone, not for the scans that travelled with the start. True:
 * fleet_lease_prepare may be called. Before any other step fleet_connected must have waited
 * for the rest; it says what failed, too. */
bool fleet_greeted(struct fleet *fleet);
/* Says goodbye on idle lines, which releases the leases, without waiting for the
 * servers. What was read stays readable; the fleet can only be closed after it. */
void fleet_leave(struct fleet *fleet);
/* Says goodbye on idle lines, waits until it was heard, and ends the rest. */
void fleet_close(struct fleet **fleet); /* cleanup function */
/* Connects again where the line is lost or closed; a lease is not taken again. The
 * new line begins without results; what was read from the old one stays readable
 * until the fleet is closed. */
int fleet_reopen(struct fleet *fleet, const bool *which, struct err *err) CHECKED;

size_t fleet_count(const struct fleet *fleet);
struct link *fleet_link(struct fleet *fleet, size_t server);
/* Of the last step this server was in; NULL when it went well. */
const struct err *fleet_failure(const struct fleet *fleet, size_t server);
/* What link_state says; NULL when the server was never reached. */
const struct server_state *fleet_state(const struct fleet *fleet, size_t server);
const struct link_results *fleet_results(const struct fleet *fleet, size_t server);

/* May be called from a signal callback of the loop or from an event handler. */
void fleet_interrupt(struct fleet *fleet);
bool fleet_interrupted(const struct fleet *fleet); /* at least once since the fleet was opened */

/* Begins to compress what servers that have `base` will lack of `release`, while
 * the lines are still being set up or the plan is being confirmed. Only saves
 * time; a forecast that does not fit is thrown away. Both manifests must be in
 * the store, else nothing happens. The store must outlive the fleet or the next
 * fleet_prepare. */
void fleet_forecast(struct fleet *fleet, struct store *store, const struct digest *release,
		    const struct digest *base);

/* Something to do while servers work: called once, in the next step that waits, as soon as
 * all that the step has to send is on its way. It must not use the fleet. NULL: nothing any more. */
void fleet_meanwhile(struct fleet *fleet, void (*work)(void *context), void *context);

/* --- steps: changing. Arrays called `each` have one element a server. ------------- */

int fleet_lease(struct fleet *fleet, const bool *which, const struct lease_request *request,
		struct err *err) CHECKED;
/* Sends what is missing and waits until the new activation is complete and durable
 * everywhere. Elements with `from` set are restored (RESTORE) instead. */
int fleet_prepare(struct fleet *fleet, const bool *which, struct store *store,
		  const struct prepare_request *each, struct err *err) CHECKED;
/* fleet_lease and fleet_prepare without waiting in between, and what follows them where
 * `carry` (NULL, or one element a server) says so, as link_lease_prepare. */
int fleet_lease_prepare(struct fleet *fleet, const bool *which, const struct lease_request *lease,
			struct store *store, const struct prepare_request *each,
			const struct carry_request *carry, struct err *err) CHECKED;
/* One server: the decision is written where the plan says. */
int fleet_decide(struct fleet *fleet, size_t server, const struct decide_request *request,
		 struct err *err) CHECKED;
int fleet_activate(struct fleet *fleet, const bool *which, const struct activate_request *each,
		   struct err *err) CHECKED;
/* fleet_activate and fleet_record without waiting in between, as link_activate_record. */
int fleet_activate_record(struct fleet *fleet, const bool *which, const struct activate_request *each,
			  const struct record_request *records, bool leave, struct err *err) CHECKED;
int fleet_revert(struct fleet *fleet, const bool *which, const char *deployment, struct err *err) CHECKED;
int fleet_reload(struct fleet *fleet, const bool *which, const struct reload_request *each,
		 struct err *err) CHECKED;
int fleet_run(struct fleet *fleet, const bool *which, const struct run_request *request,
	      struct err *err) CHECKED;
int fleet_check_http(struct fleet *fleet, const bool *which, const struct http_request *request,
		     struct err *err) CHECKED;
int fleet_record(struct fleet *fleet, const bool *which, const struct record_request *each,
		 struct err *err) CHECKED;
int fleet_abandon(struct fleet *fleet, const bool *which, const char *deployment, struct err *err) CHECKED;
int fleet_prune(struct fleet *fleet, const bool *which, uint64_t keep, struct err *err) CHECKED;

/* --- steps: observing ----------------------------------------------------------- */

int fleet_scan(struct fleet *fleet, const bool *which, bool deep, struct err *err) CHECKED;
int fleet_journal(struct fleet *fleet, const bool *which, uint64_t last, struct err *err) CHECKED;
int fleet_check(struct fleet *fleet, const bool *which, const struct check_request *each,
		struct err *err) CHECKED;
int fleet_uses(struct fleet *fleet, const bool *which, struct err *err) CHECKED;
/* What can drift, one snapshot a server: link_results()->probe. */
int fleet_probe(struct fleet *fleet, const bool *which, const struct probe_order *each,
		struct err *err) CHECKED;
/* One server: brings a release it has into the store, verified. */
int fleet_fetch_release(struct fleet *fleet, size_t server, const struct digest *release, struct store *store,
			struct err *err) CHECKED;
/* Lets time pass (before a health check is tried again) while the lines are kept
 * alive; ERR_INTERRUPTED when interrupted. */
int fleet_wait(struct fleet *fleet, int64_t duration_ms, struct err *err) CHECKED;
