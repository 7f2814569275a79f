/* The line to one server: the process, the bootstrap, frames, heartbeat, and the
 * beginning and end of requests. What requests say is in ask.c, prepare.c, relay.c,
 * fetch.c and probe.c. */
#include "target/internal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "target/ssh.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- events -------------------------------------------------------------------- */

void link_event(struct link *link, const struct target_event *event)
{
	if (!link->options.events.handle)
		return;
	struct target_event filled = *event;
	filled.server = link->options.index;
	filled.step = link->step ? link->step : "connect";
	link->options.events.handle(link->options.events.context, &filled);
}

static void changed(struct link *link)
{
	if (link->options.changed)
		link->options.changed(link->options.context, link);
}

/* --- requests begin and end ------------------------------------------------------- */

bool link_fault(struct link *link, const char *name)
{
	struct err err = ERR_INIT;
	if (fault_point(name, &err) == 0)
		return false;
	link_lose(link, &err);
	return true;
}

/* "target.prepare.before" and the like. */
static bool step_fault(struct link *link, const char *when)
{
	char name[64];
	snprintf(name, sizeof(name), "target.%s.%s", link->step, when);
	return link_fault(link, name);
}

void link_begin(struct link *link, uint8_t request, const char *step)
{
	ASSERT(link->status == LINK_IDLE);
	link->status = LINK_BUSY;
	link->request = request;
	link->step = step;
	link->failed = false;
	link->list_count = link->list_cap = 0;
	link->bytes_sent_before = link->bytes_sent;
	link->progress_ms = 0;
	link->scan_fresh_until_ms = 0;
	if (link->early)
		return;
	link_event(link, &(struct target_event){.kind = TARGET_EVENT_STEP});
	step_fault(link, "before");
}

static void request_over(struct link *link)
{
	prepare_end(link);
	relay_end(link);
	fetch_end(link);
	probe_end(link);
	link->request = 0;
	link->behind_count = 0;
	link->behind_refused = false;
}

void link_begin_behind(struct link *link, uint8_t request, const char *step)
{
	ASSERT(link->status == LINK_BUSY && link->behind_count < LINK_BEHIND_MAX);
	link->behind[link->behind_count++] = (struct behind){request, step};
}

void link_begin_early(struct link *link, uint8_t request, const char *step)
{
	if (!link->early) {
		link_begin(link, request, step);
		return;
	}
	link->failed = false;
	link->bytes_sent_before = link->bytes_sent;
	link_begin_behind(link, request, step);
}

/* The request under way is answered, and the one sent behind it is under way. */
static void go_on(struct link *link)
{
	link->request = link->behind[0].request;
	link->step = link->behind[0].step;
	link->behind_count--;
	memmove(link->behind, link->behind + 1, link->behind_count * sizeof(*link->behind));
	link_event(link, &(struct target_event){.kind = TARGET_EVENT_STEP});
	step_fault(link, "before");
}

/* Good-bye was said with the last request: the agent has given its lease back. */
static void part(struct link *link)
{
	loop_timer_stop(&link->pulse);
	loop_process_leave(&link->process);
	link->status = LINK_CLOSED;
}

void link_finish(struct link *link)
{
	if (step_fault(link, "after"))
		return;
	if (!link->early)
		link_event(link, &(struct target_event){.kind = TARGET_EVENT_DONE});
	if (link->behind_count) {
		go_on(link);
		return;
	}
	request_over(link);
	link->status = LINK_IDLE;
	if (link->leaving)
		part(link);
	changed(link);
}

static void note_failure(struct link *link, const struct err *err)
{
	link->failed = true;
	link->failure = *err;
}

static void fail(struct link *link, const struct err *err)
{
	note_failure(link, err);
	link_event(link, &(struct target_event){.kind = TARGET_EVENT_FAILED, .text = slice_of(err->text)});
}

void link_refuse(struct link *link, const struct err *err)
{
	if (step_fault(link, "after"))
		return;
	if (link->request == MSG_PREPARE || link->request == MSG_RESTORE)
		prepare_carry_off(link);
	/* The refusal of what was sent behind a refused request says nothing new. Of a lease
	 * somebody else holds nothing is told yet: who wants to wait for it asks again. */
	if (!link->behind_refused && link->request == MSG_LEASE && link->behind_count)
		note_failure(link, err);
	else if (!link->behind_refused)
		fail(link, err);
	link->behind_refused = link->behind_count > 0;
	if (link->behind_count) {
		prepare_cut_short(link);
		go_on(link);
		return;
	}
	request_over(link);
	link->status = LINK_IDLE;
	if (link->leaving)
		part(link);
	changed(link);
}

void link_refuse_idle(struct link *link, const char *step, const struct err *err)
{
	link->step = step;
	fail(link, err);
	changed(link);
}

void link_lose(struct link *link, const struct err *err)
{
	if (link->status == LINK_LOST || link->status == LINK_CLOSED)
		return;
	bool told = link->status == LINK_IDLE;
	request_over(link);
	link->status = LINK_LOST;
	loop_timer_stop(&link->pulse);
	loop_process_stop(&link->process);
	if (told)
		note_failure(link, err);
	else
		fail(link, err);
	changed(link);
}

void link_drop(struct link *link, enum err_code code, const char *why)
{
	struct err err = ERR_INIT;
	err_set(&err, code, "%s", why);
	link_lose(link, &err);
}

bool link_is_droppable(const struct link *link)
{
	if (link->status == LINK_CONNECTING)
		return true;
	switch (link->request) {
	case MSG_DECIDE:
	case MSG_ACTIVATE:
	case MSG_REVERT:
	case MSG_RELOAD:
	case MSG_RECORD:
	case MSG_ABANDON:
	case MSG_PRUNE:
		return false;
	default:
		return link->status == LINK_BUSY;
	}
}

/* --- sending ----------------------------------------------------------------------- */

/* A link that was only made, not connected, speaks to nobody (tests). */
static void bytes_write(struct link *link, struct buf *bytes)
{
	if (link->process)
		loop_process_write(link->process, bytes);
	else
		buf_free(bytes);
}

bool link_send(struct link *link, enum message_type type, struct slice payload)
{
	struct err err = ERR_INIT;
	if (link->status == LINK_LOST)
		return false;
	if (talk_from_controller(&link->talk, type, payload.len, &err) < 0) {
		link_lose(link, &err);
		return false;
	}
	/* The queue wipes what it has written: config files, secrets for commands. */
	struct buf bytes = BUF_SECRET(FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX);
	frame_put(&bytes, type, payload);
	link->bytes_sent += bytes.len;
	bytes_write(link, &bytes);
	return true;
}

size_t link_queued(const struct link *link)
{
	return link->process ? loop_process_queued(link->process) : 0;
}

bool link_send_record(struct link *link, enum message_type type, struct buf *record)
{
	struct err err = ERR_INIT;
	if (link->status == LINK_LOST)
		return false;
	if (buf_check(record, "a request to a server", &err) < 0) {
		if (link->behind_count)
			link_lose(link, &err);
		else
			link_refuse(link, &err);
		return false;
	}
	return link_send(link, type, buf_slice(record));
}

static void drained(void *context)
{
	link_pump(context);
}

void link_pump(struct link *link)
{
	if (link->reader.offer)
		prepare_pump(link);
	if (link->relay_watch && link_queued(link) < LINK_QUEUE_HIGH)
		loop_watch_change(link->relay_watch, true, link->relay_out.len > 0);
}

/* --- heartbeat --------------------------------------------------------------------- */

static void pulse_fired(void *context)
{
	struct link *link = context;
	int64_t now = clock_mono_ms();
	/* When nobody turned the loop for a while, the silence was ours. */
	if (now - link->pulse_ms > link->silence_ms / 2)
		link->heard_ms = now;
	link->pulse_ms = now;
	if (now - link->heard_ms > (link->talking ? link->silence_ms : 2 * link->silence_ms)) {
		struct err err = ERR_INIT;
		err_set(&err, ERR_NETWORK, "no sign of life for %lld s",
			(long long)((now - link->heard_ms + 500) / 1000));
		link_lose(link, &err);
		return;
	}
	if (link->talking && link->greeted &&
	    now - link->pinged_ms >= MIN(LINK_PING_MS, link->silence_ms / 3)) {
		link->pinged_ms = now;
		link_send(link, MSG_PING, slice_make("ping", 4));
	}
}

/* --- receiving ------------------------------------------------------------------------ */

static int frame_take(struct link *link, const struct frame *frame, struct err *err)
{
	if (talk_from_agent(&link->talk, frame->type, frame->payload.len, err) < 0)
		return -1;
	const struct message_kind *kind = message_kind_find(frame->type);
	AUTO(arena_wipe_free) struct arena scratch = ARENA_INIT; /* of HELLO: the config key */
	struct record record = {0};
	if (!kind->is_data && record_parse(&scratch, frame->payload, &record, err) < 0)
		return -1;
	if (link->arena.used > LINK_ARENA_MAX)
		return err_set(err, ERR_INTERNAL, "the server sent more than fits in memory");
	if (frame->type == MSG_PONG)
		return 0;
	if (frame->type == MSG_RELAY_DATA || frame->type == MSG_RELAY_CLOSE ||
	    frame->type == MSG_RELAY_OPENED)
		return relay_take(link, frame->type, &record, frame->payload, err);
	if (!link->greeted)
		return link_take_greeting(link, frame->type, &record, err);
	if (link->behind_refused && frame->type != MSG_REFUSED && frame->type != MSG_PROGRESS)
		return err_set(err, ERR_INTERNAL, "the agent went on behind a request that it refused");
	if (link->request == 0)
		return err_set(err, ERR_INTERNAL, "the agent sent \"%s\" when nothing was asked", kind->name);
	if (link->request == MSG_MANIFEST_GET)
		return fetch_take(link, frame->type, &record, frame->payload, err);
	if (link->request == MSG_PROBE)
		return probe_take(link, frame->type, &record, frame->payload, err);
	if (link->request == MSG_PREPARE || link->request == MSG_RESTORE)
		return prepare_take(link, frame->type, &record, err);
	if (link->request == MSG_RELAY_OPEN)
		return relay_take(link, frame->type, &record, frame->payload, err);
	return link_take_answer(link, frame->type, &record, err);
}

static void frames_take(struct link *link, struct slice bytes)
{
	struct err err = ERR_INIT;
	struct frame frame;
	int got = frame_decoder_feed(&link->decoder, bytes, &err) < 0 ? -1 : 1;
	while (got > 0 && link->status != LINK_LOST) {
		got = frame_decoder_next(&link->decoder, &frame, &err);
		if (got > 0 && frame_take(link, &frame, &err) < 0)
			got = -1;
	}
	if (got < 0 && link->status != LINK_LOST) {
		err_wrap(&err, "the conversation with the agent broke off");
		link_lose(link, &err);
	}
}

/* A request that travels with the agent's start: its answer comes with the greeting
 * and costs no round trip of its own. */
static void early_put(const struct link *link, struct buf *out)
{
	if (link->options.scan_at_once)
		frame_put(out, MSG_SCAN, SLICE("scan"));
}

static const struct agent_image *image_find(const struct link *link, const char *arch)
{
	for (size_t i = 0; i < link->bootstrap.image_count; i++)
		if (strcmp(link->bootstrap.images[i].arch, arch) == 0)
			return &link->bootstrap.images[i];
	return NULL;
}

static void agent_send(struct link *link, const char *arch)
{
	const struct agent_image *image = image_find(link, arch);
	if (!image) {
		link_drop(link, ERR_INTERNAL, "the server asks for an agent that does not exist");
		return;
	}
	struct buf bytes = BUF_INIT(image->bytes.len + KIB(1));
	buf_put_slice(&bytes, image->bytes);
	early_put(link, &bytes);
	link->bytes_sent += bytes.len;
	bytes_write(link, &bytes);
}

static void warn_tampered(struct link *link, const char *path)
{
	AUTO(buf_free) struct buf text = BUF_INIT(8192);
	buf_puts(&text, "the agent's file on the server was not the one put there: ");
	buf_put_printable(&text, slice_of(path));
	buf_puts(&text, link->options.observe ? "; it was not used" : "; it was replaced");
	link_event(link, &(struct target_event){.kind = TARGET_EVENT_WARNING, .text = buf_slice(&text)});
}

/* Until the agent is started. */
static void bootstrap_take(struct link *link, struct slice bytes)
{
	struct err err = ERR_INIT;
	buf_put_slice(&link->seen, bytes);
	while (!link->talking && link->status == LINK_CONNECTING) {
		enum bootstrap_word word;
		const char *what, *text;
		if (bootstrap_read(&link->seen, link->bootstrap.mark, &link->arena, &word, &what, &text,
				   &err) < 0) {
			link_lose(link, &err);
			return;
		}
		switch (word) {
		case BOOTSTRAP_MORE:
			return;
		case BOOTSTRAP_NEED:
			if (link->agent_asked) {
				link_drop(link, ERR_NETWORK, "the server asks for the agent again and again");
				return;
			}
			link->agent_asked = true;
			agent_send(link, what);
			break;
		case BOOTSTRAP_WARN:
			warn_tampered(link, text);
			break;
		case BOOTSTRAP_FAIL:
			bootstrap_explain(what, text, &link->bootstrap, buf_str(&link->errors), &err);
			link_lose(link, &err);
			return;
		case BOOTSTRAP_START:
			link->talking = true;
			break;
		}
	}
	if (link->status != LINK_CONNECTING || link->seen.len == 0)
		return;
	frames_take(link, buf_slice(&link->seen));
	buf_free(&link->seen);
}

static void stdout_take(void *context, struct slice bytes)
{
	link_hear(context, bytes);
}

void link_hear(struct link *link, struct slice bytes)
{
	if (bytes.len == 0)
		return; /* the end of the process says why */
	link->heard_ms = clock_mono_ms();
	link->bytes_received += bytes.len;
	if (link->talking)
		frames_take(link, bytes);
	else
		bootstrap_take(link, bytes);
}

static void stderr_take(void *context, struct slice bytes)
{
	struct link *link = context;
	if (bytes.len > LINK_STDERR_MAX)
		bytes = slice_skip(bytes, bytes.len - LINK_STDERR_MAX);
	if (link->errors.len + bytes.len > LINK_STDERR_MAX)
		buf_consume(&link->errors, link->errors.len + bytes.len - LINK_STDERR_MAX);
	buf_put_slice(&link->errors, bytes);
}

/* --- the process ends -------------------------------------------------------------------- */

static void ended_explain(struct link *link, int status, struct err *err)
{
	AUTO(buf_free) struct buf said = BUF_INIT(512);
	struct slice last = slice_trim(slice_of(buf_str(&link->errors)));
	if (last.len > 160)
		last = slice_skip(last, last.len - 160);
	/* A shell without a name of its own begins its complaints with a colon. */
	if (slice_starts_with(last, ": "))
		last = slice_skip(last, 2);
	buf_put_printable(&said, last);
	if (!link->talking && link->options.address.kind == PLACE_SSH) {
		ssh_explain(&link->options.address, status, buf_str(&link->errors),
			    slice_make(buf_str(&link->seen), link->seen.len), err);
	} else if (!link->greeted && (status == 126 || status == 127)) {
		err_set(err, ERR_DENIED, "the agent cannot be run from %s/.lockstep%s%s",
			link->options.address.path, last.len ? ": " : "", buf_str(&said));
		err_hint(err, "is the file system mounted noexec?");
	} else if (link->options.address.kind == PLACE_SSH && status == 255) {
		ssh_explain(&link->options.address, status, buf_str(&link->errors), slice_make("", 0), err);
		err_wrap(err, "the line was lost");
	} else {
		err_set(err, ERR_NETWORK, "the agent ended unexpectedly (status %d)%s%s", status,
			last.len ? ": " : "", buf_str(&said));
	}
}

static void ended(void *context, int status)
{
	struct link *link = context;
	struct err err = ERR_INIT;
	if (link->status == LINK_LOST)
		return;
	ended_explain(link, status, &err);
	link_lose(link, &err);
}

/* --- connecting ----------------------------------------------------------------------------- */

/* Our own fault points are not the agent's. */
static const char *const *environment_make(struct arena *arena)
{
	extern char **environ;
	size_t count = 0, kept = 0;
	while (environ[count])
		count++;
	const char **list = ARENA_NEW_ARRAY(arena, count + 1, const char *);
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "LOCKSTEP_FAULT", strlen("LOCKSTEP_FAULT")) != 0)
			list[kept++] = environ[i];
	return list;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static void images_list(struct link *link)
{
	link->bootstrap.images = link->options.images;
	link->bootstrap.image_count = link->options.image_count;
	if (!link->options.images)
		link->bootstrap.image_count = images_embedded(&link->bootstrap.images);
}

struct link *link_make(struct loop *loop, const struct link_options *options)
{
	struct link *link = mem_alloc(sizeof(*link));
	struct place_address *address = &link->options.address;
	link->loop = loop;
	link->options = *options;
	address->user = arena_strdup(&link->arena, address->user);
	address->host = arena_strdup(&link->arena, address->host);
	address->path = arena_strdup(&link->arena, address->path);
	address->text = arena_strdup(&link->arena, address->text);
	link->options.ssh = arena_strdup(&link->arena, options->ssh);
	link->silence_ms = options->silence_ms ? options->silence_ms : LINK_SILENCE_MS;
	link->status = LINK_CONNECTING;
	link->step = "connect";
	link->relay_fd = -1;
	link->results.probe.fd = -1;
	link->seen = BUF_SECRET(BOOTSTRAP_NOISE_MAX * 4); /* may end with the greeting */
	link->errors = BUF_INIT(LINK_STDERR_MAX + 1);
	link->relay_out = BUF_INIT(LINK_RELAY_QUEUE_MAX);
	link->carry = BUF_INIT(RECORD_LEN_MAX);
	frame_decoder_init(&link->decoder);
	talk_init(&link->talk, options->observe);
	images_list(link);
	link->bootstrap.path = address->path;
	link->bootstrap.observe = options->observe;
	/* The likeliest comes first. */
	if (options->push_agent && link->bootstrap.image_count)
		link->bootstrap.pushed = &link->bootstrap.images[0];
	link->bootstrap.early_len = options->scan_at_once ? FRAME_HEADER_LEN + strlen("scan") : 0;
	link->bootstrap.fault = setting("LOCKSTEP_FAULT_AGENT");
	link->bootstrap.fault_list = setting("LOCKSTEP_FAULT_LIST");
	bootstrap_mark_make(link->bootstrap.mark);
	return link;
}

static int process_begin(struct link *link, struct err *err)
{
	static const char *const local[] = {"/bin/sh", "-c", "IFS= read -r s && eval \"$s\"", NULL};
	const struct place_address *address = &link->options.address;
	const char *words = link->options.ssh ? link->options.ssh : setting("LOCKSTEP_SSH");
	const char *const *argv =
		address->kind == PLACE_LOCAL
			? local
			: ssh_arguments(&link->arena, words ? words : "ssh", address, bootstrap_command);
	struct loop_process_spec spec = {
		.argv = argv,
		.env = environment_make(&link->arena),
		.on_stdout = stdout_take,
		.on_stderr = stderr_take,
		.on_drained = drained,
		.on_exit = ended,
		.context = link,
		.low_water = LINK_QUEUE_HIGH / 2,
	};
	if (loop_process_start(link->loop, &spec, &link->process, err) < 0) {
		if (address->kind == PLACE_SSH && err->code == ERR_NOT_FOUND)
			err_hint(err,
				 "install the OpenSSH client (package openssh-client), or set LOCKSTEP_SSH");
		return -1;
	}
	struct buf script = BUF_INIT(KIB(64));
	bootstrap_script_put(&script, &link->bootstrap);
	if (buf_check(&script, "the script that starts the agent", err) < 0) {
		buf_free(&script);
		return -1;
	}
	if (!link->bootstrap.pushed)
		early_put(link, &script);
	link->bytes_sent += script.len;
	loop_process_write(link->process, &script);
	if (link->bootstrap.pushed)
		agent_send(link, link->bootstrap.pushed->arch);
	return 0;
}

void link_connect(struct link *link)
{
	struct err err = ERR_INIT;
	link_event(link, &(struct target_event){.kind = TARGET_EVENT_STEP});
	link->heard_ms = link->pulse_ms = link->pinged_ms = clock_mono_ms();
	int64_t beat = MAX(MIN((int64_t)1000, link->silence_ms / 6), (int64_t)10);
	link->pulse = loop_timer_start(link->loop, beat, beat, pulse_fired, link);
	if (link_fault(link, "target.connect.before"))
		return;
	if (process_begin(link, &err) < 0)
		link_lose(link, &err);
}

struct link *link_open(struct loop *loop, const struct link_options *options)
{
	struct link *link = link_make(loop, options);
	link_connect(link);
	return link;
}

void link_leave(struct link *link)
{
	if (link->status != LINK_IDLE || !link_send(link, MSG_BYE, slice_make("bye", 3)))
		return;
	loop_timer_stop(&link->pulse);
	loop_process_leave(&link->process);
	link->status = LINK_CLOSED;
}

void link_close(struct link **link)
{
	struct link *old = *link;
	if (!old)
		return;
	*link = NULL;
	link_leave(old);
	request_over(old);
	loop_process_stop(&old->process);
	loop_timer_stop(&old->pulse);
	frame_decoder_free(&old->decoder);
	buf_free(&old->seen);
	buf_free(&old->errors);
	buf_free(&old->relay_out);
	buf_free(&old->carry);
	close_fd(&old->results.probe.fd);
	mem_free_ptr(&old->activations);
	mem_free_ptr(&old->needed);
	arena_free(&old->arena);
	explicit_bzero(&old->state.hello.config_key, sizeof(old->state.hello.config_key));
	mem_free_ptr(&old);
}

/* --- looking at it ---------------------------------------------------------------------------- */

enum link_status link_status(const struct link *link)
{
	return link->status;
}

bool link_takes_lease(const struct link *link)
{
	return link->status == LINK_IDLE || (link->status == LINK_BUSY && link->early);
}

const struct err *link_failure(const struct link *link)
{
	return link->failed ? &link->failure : NULL;
}

const struct server_state *link_state(const struct link *link)
{
	return link->greeted ? &link->state : NULL;
}

const struct link_results *link_results(const struct link *link)
{
	return &link->results;
}

const struct place_address *link_address(const struct link *link)
{
	return &link->options.address;
}

bool link_carried(const struct link *link)
{
	return link->carried;
}

bool link_leased(const struct link *link)
{
	return link->talk.leased && link->status != LINK_LOST;
}

const char *link_stderr(const struct link *link)
{
	return buf_str(&link->errors);
}

uint64_t link_bytes_sent(const struct link *link)
{
	return link->bytes_sent;
}

uint64_t link_bytes_received(const struct link *link)
{
	return link->bytes_received;
}
