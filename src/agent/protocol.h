/* The conversation between controller and agent. Pure: types, encoding, decoding
 * and which message may follow which. No I/O. Both ends are built from this
 * file, and a controller only ever talks to the agent with its own digest, so
 * the protocol has no versions; only the layout on the server has (place.h).
 *
 * Every message is one frame (codec/frame.h). All but the *_DATA messages carry
 * one record (codec/record.h) as payload; the keys are listed beside each type.
 * Digests are 64 hex digits, times milliseconds since 1970 UTC. Paths and
 * commands travel as record values, so they may hold any byte.
 *
 * Starting
 *	The agent is started as `agent-<digest> serve PLACE` or `... observe PLACE`
 *	with the conversation on standard input and output, and speaks first:
 *
 *	A → C  HELLO, one ACTIVATION for each kept activation (newest first),
 *	       at most one PENDING, then READY
 *
 * Observing (no lock, changes nothing; `observe` allows only these):
 *	C → A  SCAN         A → C  EDIT…, SCANNED
 *	C → A  JOURNAL      A → C  LINE…, DONE
 *	C → A  MANIFEST_GET A → C  MANIFEST_DATA…, DONE      (a release the place has)
 *	C → A  OBJECT_GET   A → C  OBJECT_DATA…, DONE        (fetching a release back)
 *	C → A  CHECK        A → C  PROBLEM…, DONE            (`server check`)
 *	C → A  USES         A → C  USE…, DONE
 *	C → A  PROBE        A → C  FACT_DATA…, PROBED        (what can drift: probe/probe.h)
 *
 * Changing (only after LEASE was granted):
 *	C → A  LEASE                       A → C  [WAITING…] LEASED, ACTIVATION…, PENDING?, READY | REFUSED
 *	C → A  PREPARE, (RENDER, RENDER_DATA…)…, MANIFEST_DATA…, OBJECT_DATA…, OFFERED
 *	                                   A → C  [PROGRESS…] NEED… LACKING | PREPARED | REFUSED
 *	C → A  OBJECT_DATA…, OFFERED       again, until PREPARED
 *	C → A  RESTORE, (RENDER, RENDER_DATA…)…, OFFERED
 *	                                   A → C  as PREPARE
 *	C → A  …, OFFERED_SWITCH           A → C  as OFFERED; behind PREPARED comes the answer of an ACTIVATE
 *	C → A  …, OFFERED_RECORD           A → C  the same, and behind it that of a RECORD;
 *	                                   then the conversation is over
 *	C → A  DECIDE                      A → C  DONE | REFUSED      decision server only
 *	C → A  ACTIVATE | REVERT           A → C  ACTIVATED | REFUSED
 *	C → A  RELOAD                      A → C  [OUTPUT…] RELOADED | REFUSED
 *	C → A  RUN                         A → C  [OUTPUT…] RAN | REFUSED
 *	C → A  RELAY_OPEN                  A → C  RELAY_OPENED | REFUSED
 *	       RELAY_DATA both ways, RELAY_CLOSE both ways
 *	C → A  RECORD | ABANDON            A → C  DONE | REFUSED (RECORD with keep=: PRUNED)
 *	C → A  PRUNE                       A → C  PRUNED | REFUSED
 *	C → A  PING                        A → C  PONG                at any time, also while busy
 *	C → A  BYE                         the agent releases the lock and exits
 *
 * One request is under way at a time; PING, PONG and relay data excepted. Some may be
 * sent behind another without waiting for its answer, so that they cost no round trip:
 *	SCAN       → LEASE
 *	LEASE      → PREPARE | RESTORE, with everything up to OFFERED
 *	ACTIVATE   → RECORD
 *	RECORD     → BYE
 * The agent takes them up one after the other, as if each had come only then, and reads
 * nothing before it. A RECORD that says behind=1 is refused when the request before it
 * was. A PREPARE carries the epoch that LEASE is expected to give: it is refused, behind
 * its OFFERED, when the lease was refused or gave another.
 * OFFERED_SWITCH and OFFERED_RECORD end an offer and say what follows when nothing lacks any
 * more: requests that are not sent. They follow PREPARED alone: after LACKING or REFUSED
 * nothing is left of them; where that ACTIVATE is refused, so is the RECORD behind it. What
 * OFFERED_RECORD says ends with BYE.
 * REFUSED ends a request, never the conversation; behind PREPARE and RESTORE it comes only after
 * OFFERED, so that data under way are never mistaken for something else. An agent that meets a frame it
 * cannot accept answers REFUSED code=2 and exits.
 *
 * Secrets travel in RENDER_DATA, secret_env=, config_key=, run_key= and kept_key=: both ends wipe what held
 * them, and neither logs or journals them. */
#pragma once

#include "base/arena.h"
#include "codec/digest.h"
#include "codec/frame.h"
#include "codec/record.h"

enum message_type {
	/* agent → controller */
	MSG_HELLO = 1,     /* layout= place_id= project= environment= epoch= next= live= (name of the
	                    * activation `current` shows; empty: none) foreign= (1: `current` shows
	                    * something that is not ours) shows= (where `current` points) fresh= (1: there is no .lockstep yet)
	                    * path= (absolute, resolved) user= uid= host= system= arch= ssh_address= (the
	                    * server's own address of this connection) free_bytes= free_files= config_key= (64
	                    * hex digits that config sets are named with; empty: none. A secret) */
	MSG_ACTIVATION,    /* number= name= release= config= own_config= deployment= commit= subject= by= at= plan=
	                    * kind= shape=
	                    * verdict= (prepared | activated | live | verified | failed | reverted)
	                    * receipt= (http | command | none; empty when not verified) verified_at= */
	MSG_PENDING,       /* deployment= name= number= release= config= plan= by= at= previous=
	                    * decision_place= (place_id of the decision server) decision_server= (its text)
	                    * servers= (repeated) decided= (commit | go-back | empty: as this server's journal
	                    * knows) phase= (begun | prepared | activated | reverted) */
	MSG_READY,         /* no keys */
	MSG_EDIT,          /* path= kind= (changed | added | removed | mode | type) seen= expected= (digests;
	                    * not of a rendered file, whose content may be guessed from them; `mode` stands
	                    * for its owner too) rendered= (1) owner= modified= activation= */
	MSG_SCANNED,       /* files= edits= hashed= (files that had to be hashed) live= */
	MSG_LINE,          /* line= (one journal line without its newline) */
	MSG_MANIFEST_DATA, /* both ways: bytes of one zstd frame whose prefix is the last
	                    * COMPRESS_PREFIX_MAX bytes at most of the manifest named by base= of PREPARE
	                    * or MANIFEST_GET (empty: no prefix); longer manifests are never a base */
	MSG_OBJECT_DATA,   /* both ways: bytes of the object stream, see below */
	MSG_DONE,          /* keys as the request says */
	MSG_PROBLEM,       /* severity= (ok | warn | bad) what= why= hint= */
	MSG_USE,           /* pid= name= (of the activation) what= (cwd | exe | root | map) command= */
	MSG_WAITING,       /* held_by= since= deployment=   while LEASE waits: once, then every 5 s */
	MSG_LEASED,        /* epoch= place_id= next= live= config_key= (as in HELLO, but now) */
	MSG_REFUSED,       /* code= (enum err_code) text= hint=   for LEASE also held_by= since= deployment= */
	MSG_PROGRESS,      /* files= files_total= bytes= bytes_total= step= (link | receive | hash | sync) */
	MSG_NEED,          /* digest= repeated (at most NEED_MAX a message) */
	MSG_LACKING,       /* count= bytes=    ends a list of NEED */
	MSG_PREPARED,      /* name= number= files= linked= copied= received= received_bytes= healed= edits=
	                    * rendered= */
	MSG_ACTIVATED,     /* name= (empty after a REVERT to nothing) previous= at= */
	MSG_OUTPUT,        /* stream= (out | err) text= */
	MSG_RELOADED,      /* kind= proved= (proved | draining | not_checked) why= processes= */
	MSG_RAN,           /* status= signal= timed_out= duration_ms= skipped= (1: it was not run again; the
	                    * status is that of the earlier run, 0 when its end is unknown) */
	MSG_RELAY_OPENED,  /* id= address= */
	MSG_PRUNED,        /* removed= (repeated) trashed= (repeated) in_use= (repeated) problem= */
	MSG_PONG,          /* no keys */
	MSG_FACT_DATA,     /* bytes of one zstd stream of one snapshot (fact/snapshot.h) */
	MSG_PROBED,        /* facts= bytes= (of the snapshot, decoded) now_ms= (the server's clock when this was
	                    * sent) duration_ms= (since PROBE came) */

	/* controller → agent */
	MSG_SCAN = 64,     /* deep= (1: hash every file, do not trust stat signatures) */
	MSG_JOURNAL,       /* last= (so many lines at most, oldest first; 0: all)   DONE lines= */
	MSG_MANIFEST_GET,  /* release= base=      DONE bytes=, or REFUSED code 5 */
	MSG_OBJECT_GET,    /* digest= repeated (≤ NEED_MAX)    DONE found= missing= (repeated digests) */
	MSG_CHECK,         /* user= reload= (repeated) shared_file= (repeated) link= owner= group= (repeated: of
	                    * rendered files)    DONE bad= warn= */
	MSG_USES,          /* no keys             DONE count= */
	MSG_LEASE,         /* project= environment= by= deployment= wait_ms= take_over= (1) */
	MSG_PREPARE,       /* epoch= deployment= plan= kind= (deploy | promote | rollback | hotfix | config) release=
	                    * base= config= (names the config set of the environment) own_config= (what of it this
	                    * server gets) commit= subject= by= reason= commit_time= (seconds) expect= (name of the
	                    * live activation the plan saw; empty: none) decision_place= (absent: this one)
	                    * decision_server=
	                    * servers= (repeated) link= (auto | copy) shared_dir= shared_file= generated= (all
	                    * repeated) tree= recipe= build_key= platform= shape= (digest of the lists
	                    * before, kept for who asks) manifest_bytes= (decoded size)
	                    * rendered= (so many RENDER follow) config_from= (without rendered=: name of the
	                    * kept activation whose rendered files it gets; absent: none) config_key= (kept) */
	MSG_OFFERED,       /* epoch=   everything the controller believes to be lacking has been sent */
	MSG_RESTORE,       /* as PREPARE, plus from= (name of a kept activation, also for config_from= where
	                    * neither that nor rendered= is there) hash= (deep: every file of it, the
	                    * default | signature: those whose stat signature does not hold); heals */
	MSG_DECIDE,        /* epoch= deployment= decision= (commit | go-back) why= */
	MSG_ACTIVATE,      /* epoch= deployment= expect= decide= (1: write the commit decision first; for a
	                    * deployment of one server) */
	MSG_REVERT,        /* epoch= deployment=   to what was live before it; idempotent */
	MSG_RELOAD,        /* epoch= deployment= spec= (as in lockstep.yml) timeout_ms= away_from= (name of the
	                    * activation no process may still use) env= secret_env= (as RUN; for `command`) */
	MSG_RUN,           /* epoch= deployment= point= (hook point or "health") index= command= as= timeout_ms=
	                    * dir= (live | prepared | place) env= (repeated NAME=VALUE) secret_env= (repeated NAME=VALUE: given
	                    * as shell assignments behind descriptor 3) on_retry= (run|skip|ask) */
	MSG_RECORD,        /* epoch= behind= event= (verified | live | failed | restored | note) and any other keys: the
	                    * journal line; verified, live, failed and restored also end the pending deployment; said
	                    * again after a lost answer, the same event is simply DONE */
	MSG_ABANDON,       /* epoch= deployment=   drops a prepared activation that was not activated */
	MSG_PRUNE,         /* epoch= keep= */
	MSG_PING,          /* no keys */
	MSG_BYE,           /* no keys */
	MSG_RELAY_OPEN,    /* epoch= id= host= (a literal address, "localhost", or empty: the server's own address)
	                    * port= timeout_ms= */
	MSG_RELAY_CLOSE,   /* both ways: id= */
	MSG_RELAY_DATA,    /* both ways: u32 id (little endian), then bytes */
	MSG_RENDER,        /* path= mode= (decimal) owner= group= (names; empty: ours) size= */
	MSG_RENDER_DATA,   /* bytes of the file named last, `size` of them in all */
	MSG_OFFERED_SWITCH, /* epoch= deployment= expect= decide= (as ACTIVATE) */
	MSG_OFFERED_RECORD, /* the same, and event= keep= and the other keys of RECORD */
	MSG_PROBE,         /* user= helper= now_ms= (the controller's clock) run_key= kept_key= (64 hex digits each,
	                    * secrets; kept_key may be absent) and lists, each one value of texts that end in NUL,
	                    * PROBE_LISTED_MAX of them at most: only= (dimensions; absent: all) reloads= paths=
	                    * env_files= names= generated= rendered= */
};

/* A snapshot on its way, decoded: more is refused at both ends. */
enum { SNAPSHOT_BYTES_MAX = 256 << 20 };

/* Config files of one activation. */
enum { RENDERED_FILES_MAX = 1000, RENDERED_BYTES_MAX = 16 << 20, RENDERED_MODE = 0640 };
enum { CONFIG_KEY_HEX_LEN = 64 };

/* The object stream: one zstd stream over the OBJECT_DATA payloads of one offer
 * (from PREPARE or LACKING up to OFFERED; for OBJECT_GET up to DONE), decoded to
 *
 *	 0      1                33                41           73
 *	+------+----------------+-----------------+------------+---------+
 *	| kind | sha256 (32)    | length (u64 le) | base (32)  | content |
 *	+------+----------------+-----------------+------------+---------+
 *
 * OBJECT_PLAIN: `length` bytes of content follow; there is no base field.
 * OBJECT_DELTA: `base` is an object the receiver has; content is `length` bytes of
 *	one zstd frame whose prefix is that object's content (which is at most
 *	COMPRESS_PREFIX_MAX long). The decoded size is the manifest's.
 * OBJECT_END: one byte, nothing follows. An offer without OBJECT_DATA is empty.
 * The receiver knows each object's size from the manifest and refuses others.
 * An object whose base is unusable is skipped and becomes a NEED. */
enum object_kind { OBJECT_PLAIN = 'p', OBJECT_DELTA = 'd', OBJECT_END = '.' };
enum { OBJECT_HEADER_MAX = 73, NEED_MAX = 256 };

struct message_kind {
	enum message_type type;
	const char *name;
	bool from_agent;
	bool from_controller;
	bool observing;   /* allowed to an agent started with `observe` */
	bool needs_lease;
	bool is_data;     /* the payload is bytes, not a record */
};
extern const struct message_kind message_kinds[];
extern const size_t message_kind_count;
const struct message_kind *message_kind_find(uint8_t type); /* NULL for an unknown type */

/* The order of messages, as seen from either end: feed it every message sent or
 * received; it refuses what may not come now. */
enum { TALK_BEHIND_MAX = 2 };
enum talk_state { TALK_GREETING, TALK_IDLE, TALK_ASKED, TALK_OFFERING, TALK_OVER };
struct talk {
	enum talk_state state;
	bool leased;
	bool observing;
	bool lease_asked;    /* so an offer may be behind it; only the answer says whether it was granted */
	bool leaving;        /* BYE was sent behind the last request */
	uint8_t request;     /* the type under way in TALK_ASKED and TALK_OFFERING */
	uint8_t behind[TALK_BEHIND_MAX]; /* what was sent behind it, in order */
	uint8_t behind_count;
	bool behind_offers;  /* the offer of the last of them is not ended */
	uint8_t carry;       /* what ended the offer under way, when more follows PREPARED; 0: nothing does */
	uint64_t data_bytes; /* of the offer under way, for limits */
};
void talk_init(struct talk *talk, bool observing);
int talk_from_controller(struct talk *talk, uint8_t type, size_t payload_len, struct err *err) CHECKED;
int talk_from_agent(struct talk *talk, uint8_t type, size_t payload_len, struct err *err) CHECKED;
/* Whether a message that has come waits until the request under way is answered. */
bool talk_waits(const struct talk *talk, uint8_t type);

/* The object stream decoder: pure, bounded memory, fed decompressed bytes. */
struct object_header {
	enum object_kind kind;
	struct digest digest;
	struct digest base;
	uint64_t length;
};
struct object_stream {
	uint8_t header[OBJECT_HEADER_MAX];
	size_t header_len;
	uint64_t remaining; /* of the content under way */
	bool in_content;
	bool ended;
};
struct object_sink {
	int (*begin)(void *context, const struct object_header *header, struct err *err);
	int (*content)(void *context, struct slice bytes, struct err *err);
	int (*end)(void *context, struct err *err);
	void *context;
};
void object_stream_init(struct object_stream *stream);
int object_stream_feed(struct object_stream *stream, struct slice bytes, const struct object_sink *sink,
		       struct err *err) CHECKED;
void object_header_put(struct buf *out, const struct object_header *header);
