/* One conversation: its input and output, the place it is about, and the lease it
 * holds. Requests are handled one at a time by functions in files of their own. */
#pragma once

#include "agent/journal.h"
#include "agent/place.h"
#include "agent/protocol.h"
#include "agent/state.h"

#include <sys/types.h>

struct preparation;
struct looked;

enum { RELAYS_MAX = 16 };
/* What the agent compresses at; above it zstd_strategies.c finds nothing. */
enum { AGENT_LEVEL = 3 };

struct relay {
	uint32_t id;
	int fd; /* -1: free */
};

struct session {
	struct place place;
	struct state state;
	bool observing;
	bool leased;
	int lock_fd;
	uint64_t epoch;

	struct talk talk;
	struct frame_decoder in;
	bool waiting;          /* the next request has come already: nothing more is read before it */
	bool refused;          /* the last request was */
	bool lost;             /* the line is gone, or the controller fell silent */
	int64_t heard_ms;      /* when the last byte came (monotonic) */
	int64_t progress_ms;   /* when PROGRESS was last sent */
	int64_t silence_max_ms;

	struct relay relays[RELAYS_MAX];
	struct looked *looked;           /* by the last SCAN; NULL: nothing that can be used again */
	struct preparation *preparation; /* between PREPARE and PREPARED */
	bool offer_failed;               /* an offer is being read away; offer_failure says why */
	struct err offer_failure;
};

/* Holds a whole conversation on standard input and output. */
int session_run(const char *path, bool observing, struct err *err) CHECKED;

/* --- talking --------------------------------------------------------------- */

/* Sends one message; `text` is a record or data. A lost line is ERR_NETWORK. */
int session_send(struct session *session, enum message_type type, struct slice payload, struct err *err) CHECKED;
int session_send_record(struct session *session, enum message_type type, struct buf *record, struct err *err) CHECKED;
/* During long work, every file or so: answers PING, notices a lost line and a
 * silent controller (ERR_NETWORK), and tells how far it is, at most five times a second. */
int session_breathe(struct session *session, const char *step, uint64_t files, uint64_t files_total, uint64_t bytes,
		    uint64_t bytes_total, struct err *err) CHECKED;
/* Does `work` in a child process, breathing meanwhile: for single calls that may take
 * longer than the controller's patience. Only what it does to files remains. */
int session_apart(struct session *session, const char *step, int (*work)(void *context, struct err *err),
		  void *context, struct err *err) CHECKED;
/* The same in two steps, with something else to do in between. Whatever begun well must
 * be ended, also after an error: _end waits for it. */
struct apart {
	pid_t pid;
	int done_fd;
};
int session_apart_begin(int (*work)(void *context, struct err *err), void *context, struct apart *out,
			struct err *err) CHECKED;
int session_apart_end(struct session *session, const char *step, struct apart *apart, struct err *err) CHECKED;
/* syncfs(2): one call covers thousands of files and their folders. */
int session_sync_fs(struct session *session, int fd, struct err *err) CHECKED;
/* The same begun only; session_apart_end ends it. */
int session_sync_begin(struct session *session, int fd, struct apart *out, struct err *err) CHECKED;
/* tree_remove_at for trees of any size. */
int session_remove_tree(struct session *session, int dir_fd, const char *path, struct err *err) CHECKED;
/* HELLO's followers: each kept activation, the pending deployment, READY. */
int session_send_state(struct session *session, struct err *err) CHECKED;
/* While something else is waited for: waits so long (0: not at all), answers PING and
 * notices a lost line and a controller that fell silent. What may be sent behind the
 * request under way (protocol.h) stays unread; anything else is out of turn. */
int session_listen(struct session *session, int wait_ms, struct err *err) CHECKED;
/* SHA-256 of a regular file from its beginning to its end, breathing meanwhile. `size` is what
 * it was when it was opened, and only saves a read: all that is read counts. */
int session_hash_fd(struct session *session, int fd, uint64_t size, struct digest *out, struct err *err) CHECKED;

/* --- leave to change something --------------------------------------------- */

/* Every changing request begins here: the lease is ours still, by the frame's
 * epoch, by the state on disk and by the lock file. */
int session_check_lease(struct session *session, const struct record *request, struct err *err) CHECKED;
/* The same, and `deployment` is the pending one. */
int session_check_pending(struct session *session, const struct record *request, struct err *err) CHECKED;

/* --- handlers: one a request; -1 becomes REFUSED ---------------------------- */

typedef int request_handler(struct session *session, const struct record *request, struct err *err);
request_handler handle_scan, handle_journal, handle_manifest_get, handle_object_get, handle_check, handle_uses;
request_handler handle_probe;
request_handler handle_lease, handle_prepare, handle_restore, handle_decide, handle_activate, handle_revert;
request_handler handle_reload, handle_run, handle_record, handle_abandon, handle_prune, handle_relay_open;
request_handler handle_relay_close;

/* PRUNE in one request with RECORD: answers PRUNED. */
int prune_after_record(struct session *session, uint64_t keep, struct err *err) CHECKED;

/* Data that follow a request. */
int prepare_render(struct session *session, const struct record *record, struct err *err) CHECKED;
int prepare_render_data(struct session *session, struct slice bytes, struct err *err) CHECKED;
int prepare_manifest_data(struct session *session, struct slice bytes, struct err *err) CHECKED;
int prepare_object_data(struct session *session, struct slice bytes, struct err *err) CHECKED;
int prepare_offered(struct session *session, struct err *err) CHECKED;
void preparation_free(struct preparation **preparation);

void relay_data(struct session *session, struct slice payload);
void relay_ready(struct session *session, size_t index);
void relay_close_all(struct session *session);

/* Hooks of an earlier agent that are still running are ended. */
void hook_end_survivors(struct session *session);
