#include "agent/session.h"

#include "agent/preparation.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 200 };

/* --- out ------------------------------------------------------------------------ */

static int lost(struct session *session, const char *why, struct err *err)
{
	session->lost = true;
	return err_set(err, ERR_NETWORK, "the controller is gone: %s", why);
}

static int check_silence(struct session *session, struct err *err)
{
	if (clock_mono_ms() - session->heard_ms < session->silence_max_ms)
		return 0;
	return lost(session, "it has been silent for too long", err);
}

int session_send(struct session *session, enum message_type type, struct slice payload, struct err *err)
{
	AUTO(buf_free) struct buf frame = BUF_SECRET(FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN);
	size_t sent = 0;

	if (session->lost)
		return err_set(err, ERR_NETWORK, "the controller is gone");
	if (talk_from_agent(&session->talk, (uint8_t)type, payload.len, err))
		return -1;
	frame_put(&frame, (uint8_t)type, payload);
	while (sent < frame.len) {
		ssize_t written = write(STDOUT_FILENO, frame.ptr + sent, frame.len - sent);
		if (written > 0) {
			sent += (size_t)written;
			continue;
		}
		if (written < 0 && errno != EAGAIN && errno != EINTR)
			return lost(session, strerror(errno), err);
		/* Our end does not block (session_run), so that a line nobody reads any more
		 * cannot hold the lease for ever. */
		struct pollfd ready = { STDOUT_FILENO, POLLOUT, 0 };
		if (poll(&ready, 1, (int)session->silence_max_ms) == 0)
			return lost(session, "it reads nothing", err);
	}
	return 0;
}

int session_send_record(struct session *session, enum message_type type, struct buf *record, struct err *err)
{
	if (buf_check(record, "a message", err))
		return -1;
	return session_send(session, type, buf_slice(record), err);
}

/* Long work must not look like death, nor outlive its controller. While an offer is
 * coming, what waits to be read are its data, which cannot be taken out of turn: that
 * something came is enough. So it is when the next request has come. */
static int look_at_line(struct session *session, struct err *err)
{
	struct pollfd line = { STDIN_FILENO, POLLIN, 0 };

	if (poll(&line, 1, 0) > 0) {
		if (line.revents & (POLLHUP | POLLERR))
			return lost(session, "the line was cut", err);
		if (session->talk.state == TALK_ASKED && !session->waiting)
			return session_listen(session, 0, err);
		session->heard_ms = clock_mono_ms();
	}
	return check_silence(session, err);
}

int session_breathe(struct session *session, const char *step, uint64_t files, uint64_t files_total, uint64_t bytes,
		    uint64_t bytes_total, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(512);
	int64_t now = clock_mono_ms();

	if (now - session->progress_ms < PROGRESS_EVERY_MS)
		return 0;
	session->progress_ms = now;
	if (look_at_line(session, err))
		return -1;
	/* Scanning for edits says nothing on the way; only long requests do. */
	if (session->talk.state != TALK_ASKED && session->talk.state != TALK_OFFERING)
		return 0;
	record_begin(&text, "progress");
	record_put_str(&text, "step", step);
	record_put_u64(&text, "files", files);
	record_put_u64(&text, "files_total", files_total);
	record_put_u64(&text, "bytes", bytes);
	record_put_u64(&text, "bytes_total", bytes_total);
	return session_send_record(session, MSG_PROGRESS, &text, err);
}

int session_apart_begin(int (*work)(void *context, struct err *err), void *context, struct apart *out,
			struct err *err)
{
	int ends[2];

	if (pipe(ends) != 0)
		return err_errno(err, "pipe");
	out->pid = fork();
	if (out->pid == 0) {
		struct err failure = ERR_INIT;
		close(ends[0]);
		int failed = work(context, &failure);
		if (failed && write(ends[1], &failure, sizeof(failure)) != sizeof(failure))
			_exit(2);
		_exit(failed ? 1 : 0);
	}
	close(ends[1]);
	out->done_fd = ends[0];
	if (out->pid > 0)
		return 0;
	err_errno(err, "fork");
	close_fd(&out->done_fd);
	return -1;
}

int session_apart_end(struct session *session, const char *step, struct apart *apart, struct err *err)
{
	struct pollfd done = { apart->done_fd, POLLIN, 0 };
	struct err failure = ERR_INIT, unread = ERR_INIT;
	size_t got = 0;
	int raw = 0, result = 0;

	while (result == 0 && poll(&done, 1, PROGRESS_EVERY_MS) <= 0)
		result = session_breathe(session, step, 0, 0, 0, 0, err);
	/* Less than a pipe holds at once, so it comes whole or not at all. */
	if (fd_read_full(apart->done_fd, &failure, sizeof(failure), &got, &unread))
		got = 0;
	close_fd(&apart->done_fd);
	while (waitpid(apart->pid, &raw, 0) < 0 && errno == EINTR)
		;
	if (result || (WIFEXITED(raw) && WEXITSTATUS(raw) == 0))
		return result;
	*err = failure;
	return got == sizeof(failure) ? -1 : err_set(err, ERR_INTERNAL, "%s: a helping process died", step);
}

int session_apart(struct session *session, const char *step, int (*work)(void *context, struct err *err),
		  void *context, struct err *err)
{
	struct apart apart;

	return session_apart_begin(work, context, &apart, err) || session_apart_end(session, step, &apart, err) ? -1 : 0;
}

struct sync_work {
	struct session *session;
	int fd;
};

static int sync_work(void *context, struct err *err)
{
	struct sync_work *work = context;

	/* A slow disk must not hold the lock of an agent that was killed. */
	close_fd(&work->session->lock_fd);
#ifdef __linux__
	if (syncfs(work->fd) == 0)
		return 0;
	err_errno(err, "%s: writing to the disk failed", work->session->place.path);
	err->code = ERR_INTERNAL;
	return -1;
#else
	(void)work, (void)err;
	sync();
	return 0;
#endif
}

int session_sync_fs(struct session *session, int fd, struct err *err)
{
	struct apart apart;

	return session_sync_begin(session, fd, &apart, err) || session_apart_end(session, "sync", &apart, err) ? -1 : 0;
}

int session_sync_begin(struct session *session, int fd, struct apart *out, struct err *err)
{
	struct sync_work work = { session, fd };

	return session_apart_begin(sync_work, &work, out, err);
}

struct removal {
	int dir_fd;
	const char *path;
};

static int removal_work(void *context, struct err *err)
{
	struct removal *removal = context;

	return tree_remove_at(removal->dir_fd, removal->path, err);
}

int session_remove_tree(struct session *session, int dir_fd, const char *path, struct err *err)
{
	struct removal removal = { dir_fd, path };
	struct stat st;

	/* Nothing there is the ordinary case, and not worth a process. */
	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return 0;
	return session_apart(session, "remove", removal_work, &removal, err);
}

/* --- what is true here --------------------------------------------------------------- */

static int send_hello(struct session *session, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_SECRET(RECORD_LEN_MAX);
	struct utsname system = { 0 };
	struct statvfs fs = { 0 };
	struct live live;
	const char *connection = getenv("SSH_CONNECTION");
	const char *user = getenv("USER");
	char uid[24];

	if (place_live(&session->place, &live, err))
		return -1;
	uname(&system);
	if (session->place.dir_fd >= 0)
		(void)!fstatvfs(session->place.dir_fd, &fs);
	snprintf(uid, sizeof(uid), "%ju", (uintmax_t)geteuid());
	record_begin(&text, "hello");
	record_put_u64(&text, "layout", session->state.layout);
	record_put_str(&text, "place_id", session->state.place_id);
	record_put_str(&text, "project", session->state.project);
	record_put_str(&text, "environment", session->state.environment);
	record_put_u64(&text, "epoch", session->state.epoch);
	record_put_u64(&text, "next", session->state.next);
	record_put_str(&text, "live", live.name);
	record_put_u64(&text, "foreign", live.foreign);
	record_put_str(&text, "shows", live.target);
	record_put_u64(&text, "fresh", session->place.private_fd < 0);
	record_put_u64(&text, "missing", session->place.dir_fd < 0);
	record_put_str(&text, "path", session->place.path);
	record_put_str(&text, "user", user ? user : uid);
	record_put_str(&text, "uid", uid);
	record_put_str(&text, "host", system.nodename);
	record_put_str(&text, "system", system.sysname);
	record_put_str(&text, "arch", system.machine);
	if (connection) {
		struct slice rest = slice_of(connection);
		slice_cut(&rest, ' ');
		slice_cut(&rest, ' ');
		record_put(&text, "ssh_address", slice_cut(&rest, ' '));
	}
	record_put_u64(&text, "free_bytes", (uint64_t)fs.f_bavail * fs.f_frsize);
	record_put_u64(&text, "free_files", (uint64_t)fs.f_favail);
	char key[CONFIG_KEY_HEX_LEN + 1];
	config_key_load(&session->place, key);
	record_put_opt(&text, "config_key", key);
	explicit_bzero(key, sizeof(key));
	return session_send_record(session, MSG_HELLO, &text, err);
}

static void put_account(struct buf *text, const char *name, const struct account *account)
{
	uint64_t number = 0;

	place_parse_name(slice_of(name), &number);
	record_begin(text, "activation");
	record_put_u64(text, "number", number);
	record_put_str(text, "name", name);
	if (!account)
		return;
	record_put_str(text, "release", account->release);
	record_put_opt(text, "config", account->config);
	record_put_opt(text, "own_config", account->own_config);
	record_put_str(text, "deployment", account->deployment);
	record_put_opt(text, "commit", account->commit);
	record_put_opt(text, "subject", account->subject);
	record_put_opt(text, "by", account->by);
	record_put_opt(text, "plan", account->plan);
	record_put_opt(text, "kind", account->kind);
	record_put_opt(text, "shape", account->shape);
	record_put_i64(text, "at", account->at);
	record_put_str(text, "verdict", account->verdict);
	record_put_opt(text, "receipt", account->receipt);
	record_put_i64(text, "verified_at", account->verified_at);
}

static int send_activations(struct session *session, struct arena *arena, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);
	struct account *accounts;
	const char **names;
	size_t account_count, count;

	if (place_activations(&session->place, arena, &names, &count, err) ||
	    journal_accounts(&session->place, arena, &accounts, &account_count, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		buf_clear(&text);
		put_account(&text, names[i], account_find(accounts, account_count, names[i]));
		if (session_send_record(session, MSG_ACTIVATION, &text, err))
			return -1;
	}
	return 0;
}

static int send_pending(struct session *session, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);
	struct state *state = &session->state;
	const char *decided;

	if (!state_has_pending(state))
		return 0;
	/* Whoever only looks is told of the rest; LEASE refuses. */
	if (journal_decision(&session->place, state_pending(state, "deployment"), &decided, err)) {
		if (session->leased)
			return -1;
		log_warn("%s", err->text);
		err_clear(err);
	}
	record_begin(&text, "pending");
	for (size_t i = 0; i < state->pending.field_count; i++) {
		char key[64];
		snprintf(key, sizeof(key), "%.*s", SLICE_ARG(state->pending.fields[i].key));
		record_put(&text, key, state->pending.fields[i].value);
	}
	record_put_str(&text, "decided", decided);
	return session_send_record(session, MSG_PENDING, &text, err);
}

int session_send_state(struct session *session, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	if (send_activations(session, &arena, err) || send_pending(session, err))
		return -1;
	return session_send(session, MSG_READY, SLICE("ready"), err);
}

/* --- in -------------------------------------------------------------------------------- */

static const struct {
	uint8_t type;
	request_handler *handle;
} handlers[] = {
	{ MSG_SCAN, handle_scan },
	{ MSG_JOURNAL, handle_journal },
	{ MSG_MANIFEST_GET, handle_manifest_get },
	{ MSG_OBJECT_GET, handle_object_get },
	{ MSG_CHECK, handle_check },
	{ MSG_USES, handle_uses },
	{ MSG_PROBE, handle_probe },
	{ MSG_LEASE, handle_lease },
	{ MSG_PREPARE, handle_prepare },
	{ MSG_RESTORE, handle_restore },
	{ MSG_DECIDE, handle_decide },
	{ MSG_ACTIVATE, handle_activate },
	{ MSG_REVERT, handle_revert },
	{ MSG_RELOAD, handle_reload },
	{ MSG_RUN, handle_run },
	{ MSG_RECORD, handle_record },
	{ MSG_ABANDON, handle_abandon },
	{ MSG_PRUNE, handle_prune },
	{ MSG_RELAY_OPEN, handle_relay_open },
	{ MSG_RELAY_CLOSE, handle_relay_close },
};

static int send_refused(struct session *session, const struct err *why, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);

	record_begin(&text, "refused");
	record_put_i64(&text, "code", why->code);
	record_put_str(&text, "text", why->text);
	record_put_opt(&text, "hint", why->hint);
	session->refused = true;
	return session_send_record(session, MSG_REFUSED, &text, err);
}

/* Values that came are not left behind in memory that others get. */
static void wipe_values(struct record *record)
{
	for (size_t i = 0; i < record->field_count; i++)
		explicit_bzero((char *)(uintptr_t)record->fields[i].value.ptr, record->fields[i].value.len);
	*record = (struct record){0};
}

/* It was sent before anybody could know. */
static const struct err *refuse_behind(struct err *why)
{
	(void)err_set(why, ERR_CONFLICT, "not done: the request before it was refused");
	return why;
}

static int handle_request(struct session *session, const struct frame *frame, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(wipe_values) struct record record = {0};

	if (record_parse(&arena, frame->payload, &record, err))
		return -1;
	log_debug("%.*s", SLICE_ARG(record.kind));
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
		struct err why = ERR_INIT;
		if (handlers[i].type != frame->type)
			continue;
		if (record_get_u64(&record, "behind", 0) && session->refused)
			return send_refused(session, refuse_behind(&why), err);
		session->refused = false;
		if (handlers[i].handle(session, &record, &why) == 0)
			return 0;
		if (session->lost)
			*err = why;
		return session->lost ? -1 : send_refused(session, &why, err);
	}
	return err_set(err, ERR_INTERNAL, "message type %u has no handler", frame->type);
}

/* The last word before an activation is put among the others: is the lease ours still? */
static int check_offered(struct session *session, const struct record *request, struct err *err)
{
	if (session_check_lease(session, request, err) == 0)
		return 0;
	preparation_free(&session->preparation);
	session->offer_failed = false;
	return -1;
}

/* What follows when everything is there: as if the requests had come behind the offer. */
static int carry_on(struct session *session, uint8_t type, const struct record *request, struct err *err)
{
	struct err why = ERR_INIT;

	if (handle_activate(session, request, &why) == 0) {
		if (type != MSG_OFFERED_RECORD || handle_record(session, request, &why) == 0)
			return 0;
	} else if (!session->lost && type == MSG_OFFERED_RECORD) {
		if (send_refused(session, &why, err))
			return -1;
		(void)!refuse_behind(&why);
	}
	if (session->lost)
		*err = why;
	return session->lost ? -1 : send_refused(session, &why, err);
}

static int take_offered(struct session *session, const struct frame *frame, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct record request;
	struct err why = ERR_INIT;

	if (record_parse(&arena, frame->payload, &request, err))
		return -1;
	if (check_offered(session, &request, &why) || prepare_offered(session, &why)) {
		*err = why;
		return session->lost ? -1 : send_refused(session, &why, err);
	}
	/* A preparation that lacks something lives on. */
	bool carries = frame->type != MSG_OFFERED && !session->preparation;
	return carries ? carry_on(session, frame->type, &request, err) : 0;
}

static int take_render(struct session *session, const struct frame *frame, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct record record;

	return record_parse(&arena, frame->payload, &record, err) ||
	       prepare_render(session, &record, err);
}

static int handle_frame(struct session *session, const struct frame *frame, struct err *err)
{
	session->waiting = false;
	if (talk_from_controller(&session->talk, frame->type, frame->payload.len, err))
		return -1;
	switch (frame->type) {
	case MSG_PING:
		return session_send(session, MSG_PONG, SLICE("pong"), err);
	case MSG_BYE:
		return 0;
	case MSG_RELAY_DATA:
		relay_data(session, frame->payload);
		return 0;
	case MSG_RENDER:
		return take_render(session, frame, err) ? -1 : 0;
	case MSG_RENDER_DATA:
		return prepare_render_data(session, frame->payload, err);
	case MSG_MANIFEST_DATA:
		return prepare_manifest_data(session, frame->payload, err);
	case MSG_OBJECT_DATA:
		return prepare_object_data(session, frame->payload, err);
	case MSG_OFFERED:
	case MSG_OFFERED_SWITCH:
	case MSG_OFFERED_RECORD:
		return take_offered(session, frame, err);
	default:
		return handle_request(session, frame, err);
	}
}

static int read_some(struct session *session, struct err *err)
{
	static char piece[64 << 10];
	ssize_t got = read(STDIN_FILENO, piece, sizeof(piece));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0)
		return lost(session, "the line was cut", err);
	session->heard_ms = clock_mono_ms();
	int result = frame_decoder_feed(&session->in, slice_make(piece, (size_t)got), err);
	explicit_bzero(piece, (size_t)got);
	return result;
}

static int close_relay(struct session *session, struct slice payload, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct record record;

	return record_parse(&arena, payload, &record, err) ? -1 : handle_relay_close(session, &record, err);
}

static int hear(struct session *session, struct err *err)
{
	struct frame frame;
	int more;

	if (read_some(session, err))
		return -1;
	while ((more = frame_decoder_peek(&session->in, &frame.type, err)) > 0) {
		session->waiting = talk_waits(&session->talk, frame.type);
		if (session->waiting)
			return 0;
		more = frame_decoder_next(&session->in, &frame, err);
		if (talk_from_controller(&session->talk, frame.type, frame.payload.len, err))
			return -1;
		if (frame.type == MSG_PING && session_send(session, MSG_PONG, SLICE("pong"), err))
			return -1;
		if (frame.type == MSG_RELAY_DATA)
			relay_data(session, frame.payload);
		if (frame.type == MSG_RELAY_CLOSE && close_relay(session, frame.payload, err))
			return -1;
		if (frame.type == MSG_BYE)
			return lost(session, "it said good-bye", err);
	}
	return more;
}

int session_listen(struct session *session, int wait_ms, struct err *err)
{
	struct pollfd line = { STDIN_FILENO, session->waiting ? 0 : POLLIN, 0 };

	if (poll(&line, 1, wait_ms) > 0)
		return session->waiting ? lost(session, "the line was cut", err) : hear(session, err);
	return session->waiting ? 0 : check_silence(session, err);
}

int session_hash_fd(struct session *session, int fd, uint64_t size, struct digest *out, struct err *err)
{
	struct digest_stream hash;
	char piece[64 << 10];
	uint64_t total = 0, breath = MIB(4);
	ssize_t got;

	digest_init(&hash);
	/* A read that came short where the file should end has seen the end; one that has grown or
	 * was cut meanwhile is read on until nothing comes. */
	do {
		do
			got = read(fd, piece, sizeof(piece));
		while (got < 0 && errno == EINTR);
		if (got < 0)
			return err_errno(err, "read");
		digest_update(&hash, piece, (size_t)got);
		total += (uint64_t)got;
		if (total >= breath) {
			breath += MIB(4);
			if (session_breathe(session, "hash", 0, 0, total, 0, err))
				return -1;
		}
	} while (got > 0 && (total != size || got == sizeof(piece)));
	digest_finish(&hash, out);
	return 0;
}

static int wait_for_input(struct session *session, struct err *err)
{
	struct pollfd fds[1 + RELAYS_MAX] = { { STDIN_FILENO, POLLIN, 0 } };

	for (size_t i = 0; i < RELAYS_MAX; i++)
		fds[1 + i] = (struct pollfd){ session->relays[i].fd, POLLIN, 0 };
	int64_t left = session->heard_ms + session->silence_max_ms - clock_mono_ms();
	int ready = poll(fds, ARRAY_LEN(fds), (int)MAX(MIN(left, (int64_t)60000), (int64_t)0));
	if (ready < 0 && errno != EINTR)
		return err_errno(err, "poll");
	for (size_t i = 0; i < RELAYS_MAX && ready > 0; i++)
		if (fds[1 + i].revents && session->relays[i].fd >= 0)
			relay_ready(session, i);
	if (ready > 0 && fds[0].revents)
		return read_some(session, err);
	return check_silence(session, err);
}

static int converse(struct session *session, struct err *err)
{
	if (send_hello(session, err) || session_send_state(session, err))
		return -1;
	while (session->talk.state != TALK_OVER) {
		struct frame frame;
		int more = frame_decoder_next(&session->in, &frame, err);
		if (more < 0)
			return -1;
		if (more == 0 && wait_for_input(session, err))
			return -1;
		if (more <= 0)
			continue;
		int handled = handle_frame(session, &frame, err);
		/* It lies in our own buffer, and may have held secrets. A handler that listened has
		 * moved it, over itself. */
		frame_decoder_wipe(&session->in);
		if (handled)
			return -1;
	}
	return 0;
}

int session_run(const char *path, bool observing, struct err *err)
{
	AUTO(mem_free_ptr) struct session *session = mem_alloc(sizeof(*session));
	const char *silence = getenv("LOCKSTEP_AGENT_SILENCE_MS");
	uint64_t silence_ms;
	int result = -1;

	session->observing = observing;
	session->lock_fd = session->place.dir_fd = session->place.private_fd = -1;
	session->silence_max_ms = silence && slice_to_u64(slice_of(silence), &silence_ms) ? (int64_t)silence_ms : 30000;
	session->heard_ms = clock_mono_ms();
	if (fd_set_nonblocking(STDOUT_FILENO, true, err))
		log_debug("%s", err->text); /* a file, perhaps: that never blocks */
	err_clear(err);
	for (size_t i = 0; i < RELAYS_MAX; i++)
		session->relays[i].fd = -1;
	talk_init(&session->talk, observing);
	frame_decoder_init(&session->in);
	if (place_open(path, false, &session->place, err) == 0 &&
	    state_load(&session->place, &session->state, err) == 0 &&
	    state_follow_journal(&session->place, &session->state, err) == 0)
		result = converse(session, err);
	/* What cannot be gone on with is said, where anybody still listens. */
	if (result && !session->lost) {
		struct err ignored = ERR_INIT;
		if (send_refused(session, err, &ignored))
			log_warn("%s", ignored.text);
	}
	looked_free(&session->looked);
	preparation_free(&session->preparation);
	relay_close_all(session);
	frame_decoder_free(&session->in);
	state_free(&session->state);
	place_close(&session->place);
	close_fd(&session->lock_fd);
	return result;
}
