/* What the files of a link share. */
#pragma once

#include "net/http_check.h"
#include "target/bootstrap.h"
#include "target/link.h"
#include "target/offer.h"

enum {
	LINK_QUEUE_HIGH = 256 << 10, /* what waits to be written to one line */
	LINK_SEND_PIECE = 64 << 10,
	LINK_STDERR_MAX = 4 << 10,
	LINK_ARENA_MAX = 64 << 20, /* what one server may make us remember */
	LINK_ACTIVATIONS_MAX = 4096,
	LINK_ROUNDS_MAX = 6,
	LINK_RELAY_QUEUE_MAX = 8 << 20,
	LINK_SILENCE_MS = 30000,
	LINK_PING_MS = 5000,
	LINK_SCAN_FRESH_MS = 3000,
	LINK_BEHIND_MAX = 4,
};

struct fetching; /* fetch.c */
struct probing;	 /* probe.c */

struct link {
	struct loop *loop;
	struct link_options options;
	int64_t silence_ms;
	struct arena arena;
	struct server_state state;
	bool greeted;
	struct link_results results;
	enum link_status status;
	bool failed;
	struct err failure;

	/* The process, and what it says before the agent does. */
	struct loop_process *process;
	struct bootstrap bootstrap;
	bool agent_asked; /* its bytes were asked for, which may be once */
	bool talking;	  /* the agent has been started */
	struct buf seen;
	struct buf errors; /* the end of standard error */
	struct frame_decoder decoder;
	struct talk talk;
	struct loop_timer *pulse;
	int64_t heard_ms, pulse_ms, pinged_ms;
	uint64_t bytes_sent, bytes_received;

	/* The request under way. */
	uint8_t request; /* its type; 0: none */
	const char *step;
	struct behind {
		uint8_t request;
		const char *step;
	} behind[LINK_BEHIND_MAX]; /* what follows it without waiting for its answer */
	size_t behind_count;
	bool behind_refused; /* what came before the request was refused: so must it be */
	bool leaving;	     /* BYE was sent behind the last request */
	bool early;		     /* it is the scan that travelled with the start */
	int64_t scan_fresh_until_ms; /* monotonic; its result answers the next link_scan */
	uint64_t bytes_sent_before;
	int64_t progress_ms; /* when progress was last told */

	/* Lists that grow while they are received. */
	struct server_activation *activations;
	size_t activation_count, activation_cap;
	struct server_edit *edits;
	const char **lines;
	struct server_problem *problems;
	struct server_use *uses;
	size_t list_count, list_cap;

	/* PREPARE and RESTORE (prepare.c). */
	struct offers *offers;
	struct offer_reader reader;
	struct digest release;
	const char *deployment;
	struct digest base;
	bool has_base;
	bool objects_sent; /* deltas may have failed: the rest goes plain */
	struct digest *needed;
	size_t needed_count, needed_cap;
	struct buf carry;   /* the record that ends an offer and says what follows; empty: nothing does */
	bool carry_records; /* a receipt, too */
	bool carried;	    /* it was sent */
	bool lacking; /* nothing more can be offered; lacking_failure says why */
	struct err lacking_failure;

	/* Health checks (relay.c). */
	struct http_check *check;
	int relay_fd; /* -1: none */
	uint32_t relay_id;
	struct loop_watch *relay_watch;
	struct buf relay_out; /* from the server to the check */
	bool relay_server_closed;
	struct http_request http; /* strings in the arena */

	struct fetching *fetching;
	struct probing *probing;
};

/* Sets a link up without connecting (the fleet limits handshakes at once). */
struct link *link_make(struct loop *loop, const struct link_options *options);
void link_connect(struct link *link);
/* Whether an interrupt gives up this line rather than wait for the request. */
bool link_is_droppable(const struct link *link);
/* What the server says; from the process, or from a test. */
void link_hear(struct link *link, struct slice bytes);
size_t link_queued(const struct link *link); /* bytes that wait to be written */
/* More of a stream is there: goes on sending. */
void link_pump(struct link *link);

/* --- between the files: link.c --- */
void link_begin(struct link *link, uint8_t request, const char *step);
/* The request is sent behind the one under way: it begins when those before it are answered. */
void link_begin_behind(struct link *link, uint8_t request, const char *step);
/* The same behind the scan that travelled with the start, else at once on an idle link. */
void link_begin_early(struct link *link, uint8_t request, const char *step);
void link_finish(struct link *link);			    /* the request went well */
void link_refuse(struct link *link, const struct err *err); /* the request failed, the line is good */
/* The same for a request that could not even be sent; the line is idle or about to be. */
void link_refuse_idle(struct link *link, const char *step, const struct err *err);
void link_lose(struct link *link, const struct err *err); /* the line is of no use any more */
bool link_send(struct link *link, enum message_type type, struct slice payload);
/* Sends a record that was built; one that is too long refuses the request. */
bool link_send_record(struct link *link, enum message_type type, struct buf *record);
void link_event(struct link *link, const struct target_event *event);
bool link_fault(struct link *link, const char *name); /* true: the line was lost by a fault point */

/* --- a frame for the request under way; -1 means the line must be given up --- */
int link_take_greeting(struct link *link, uint8_t type, const struct record *record, struct err *err);
int link_take_answer(struct link *link, uint8_t type, const struct record *record, struct err *err);
void lease_send(struct link *link, const struct lease_request *request);
void carry_put(struct buf *record, const struct carry_request *request, uint64_t epoch);
int prepare_take(struct link *link, uint8_t type, const struct record *record, struct err *err);
void prepare_pump(struct link *link);
void prepare_end(struct link *link);
void prepare_cut_short(struct link *link); /* it will be refused: ends what is being offered */
void prepare_carry_off(struct link *link); /* it was refused, or lacks something: nothing follows */
int relay_take(struct link *link, uint8_t type, const struct record *record, struct slice payload,
	       struct err *err);
void relay_end(struct link *link);
int fetch_take(struct link *link, uint8_t type, const struct record *record, struct slice payload,
	       struct err *err);
void fetch_end(struct link *link);
int probe_take(struct link *link, uint8_t type, const struct record *record, struct slice payload,
	       struct err *err);
void probe_end(struct link *link);

/* The activation that was prepared shows in link_state like any other. */
void link_note_prepared(struct link *link);
/* Text of a record's value for the link's arena: "" when absent, cut at a NUL. */
const char *link_text(struct link *link, const struct record *record, const char *key);
struct text_list link_texts(struct link *link, const struct record *record, const char *key);
/* What the server says in text, safe for a terminal, as an error. */
int link_refusal(const struct record *record, struct err *err);
