#include "agent/protocol.h"

/* Flags of a row, so that the table stays one line a message. */
enum { A = 1, C = 2, OBSERVE = 4, LEASE = 8, DATA = 16 };
#define ROW(message, label, flags)                                                                   \
	{                                                                                            \
		.type = message, .name = label, .from_agent = ((flags)&A) != 0,                      \
		.from_controller = ((flags)&C) != 0, .observing = ((flags)&OBSERVE) != 0,            \
		.needs_lease = ((flags)&LEASE) != 0, .is_data = ((flags)&DATA) != 0                  \
	}

const struct message_kind message_kinds[] = {
	ROW(MSG_HELLO, "hello", A),
	ROW(MSG_ACTIVATION, "activation", A),
	ROW(MSG_PENDING, "pending", A),
	ROW(MSG_READY, "ready", A),
	ROW(MSG_EDIT, "edit", A),
	ROW(MSG_SCANNED, "scanned", A),
	ROW(MSG_LINE, "line", A),
	ROW(MSG_MANIFEST_DATA, "manifest-data", A | C | LEASE | DATA),
	ROW(MSG_OBJECT_DATA, "object-data", A | C | LEASE | DATA),
	ROW(MSG_DONE, "done", A),
	ROW(MSG_PROBLEM, "problem", A),
	ROW(MSG_USE, "use", A),
	ROW(MSG_WAITING, "waiting", A),
	ROW(MSG_LEASED, "leased", A),
	ROW(MSG_REFUSED, "refused", A),
	ROW(MSG_PROGRESS, "progress", A),
	ROW(MSG_NEED, "need", A),
	ROW(MSG_LACKING, "lacking", A),
	ROW(MSG_PREPARED, "prepared", A),
	ROW(MSG_ACTIVATED, "activated", A),
	ROW(MSG_OUTPUT, "output", A),
	ROW(MSG_RELOADED, "reloaded", A),
	ROW(MSG_RAN, "ran", A),
	ROW(MSG_RELAY_OPENED, "relay-opened", A),
	ROW(MSG_PRUNED, "pruned", A),
	ROW(MSG_PONG, "pong", A),
	ROW(MSG_FACT_DATA, "fact-data", A | DATA),
	ROW(MSG_PROBED, "probed", A),
	ROW(MSG_SCAN, "scan", C | OBSERVE),
	ROW(MSG_JOURNAL, "journal", C | OBSERVE),
	ROW(MSG_MANIFEST_GET, "manifest-get", C | OBSERVE),
	ROW(MSG_OBJECT_GET, "object-get", C | OBSERVE),
	ROW(MSG_CHECK, "check", C | OBSERVE),
	ROW(MSG_USES, "uses", C | OBSERVE),
	ROW(MSG_LEASE, "lease", C),
	ROW(MSG_PREPARE, "prepare", C | LEASE),
	ROW(MSG_OFFERED, "offered", C | LEASE),
	ROW(MSG_RESTORE, "restore", C | LEASE),
	ROW(MSG_DECIDE, "decide", C | LEASE),
	ROW(MSG_ACTIVATE, "activate", C | LEASE),
	ROW(MSG_REVERT, "revert", C | LEASE),
	ROW(MSG_RELOAD, "reload", C | LEASE),
	ROW(MSG_RUN, "run", C | LEASE),
	ROW(MSG_RECORD, "record", C | LEASE),
	ROW(MSG_ABANDON, "abandon", C | LEASE),
	ROW(MSG_PRUNE, "prune", C | LEASE),
	ROW(MSG_PING, "ping", C | OBSERVE),
	ROW(MSG_BYE, "bye", C | OBSERVE),
	ROW(MSG_RELAY_OPEN, "relay-open", C | LEASE),
	ROW(MSG_RELAY_CLOSE, "relay-close", A | C | LEASE),
	ROW(MSG_RELAY_DATA, "relay-data", A | C | LEASE | DATA),
	ROW(MSG_RENDER, "render", C | LEASE),
	ROW(MSG_RENDER_DATA, "render-data", C | LEASE | DATA),
	ROW(MSG_OFFERED_SWITCH, "offered-switch", C | LEASE),
	ROW(MSG_OFFERED_RECORD, "offered-record", C | LEASE),
	ROW(MSG_PROBE, "probe", C | OBSERVE),
};
const size_t message_kind_count = ARRAY_LEN(message_kinds);

const struct message_kind *message_kind_find(uint8_t type)
{
	for (size_t i = 0; i < message_kind_count; i++)
		if (message_kinds[i].type == type)
			return &message_kinds[i];
	return NULL;
}

/* What may answer a request: `during` any number of times, then one of `final`. */
static const struct answer {
	uint8_t request;
	uint8_t during[4];
	uint8_t final[3];
} answers[] = {
	{ MSG_SCAN, { MSG_EDIT }, { MSG_SCANNED } },
	{ MSG_JOURNAL, { MSG_LINE }, { MSG_DONE } },
	{ MSG_MANIFEST_GET, { MSG_MANIFEST_DATA }, { MSG_DONE } },
	{ MSG_OBJECT_GET, { MSG_OBJECT_DATA }, { MSG_DONE } },
	{ MSG_CHECK, { MSG_PROBLEM }, { MSG_DONE } },
	{ MSG_USES, { MSG_USE }, { MSG_DONE } },
	{ MSG_LEASE, { MSG_WAITING, MSG_LEASED, MSG_ACTIVATION, MSG_PENDING }, { MSG_READY } },
	{ MSG_PREPARE, { MSG_EDIT, MSG_NEED }, { MSG_LACKING, MSG_PREPARED } },
	{ MSG_RESTORE, { MSG_EDIT, MSG_NEED }, { MSG_LACKING, MSG_PREPARED } },
	{ MSG_DECIDE, { 0 }, { MSG_DONE } },
	{ MSG_ACTIVATE, { 0 }, { MSG_ACTIVATED } },
	{ MSG_REVERT, { 0 }, { MSG_ACTIVATED } },
	{ MSG_RELOAD, { MSG_OUTPUT }, { MSG_RELOADED } },
	{ MSG_RUN, { MSG_OUTPUT }, { MSG_RAN } },
	{MSG_RECORD, {0}, {MSG_DONE, MSG_PRUNED}},
	{ MSG_ABANDON, { 0 }, { MSG_DONE } },
	{ MSG_PRUNE, { 0 }, { MSG_PRUNED } },
	{ MSG_RELAY_OPEN, { 0 }, { MSG_RELAY_OPENED } },
	{ MSG_PROBE, { MSG_FACT_DATA }, { MSG_PROBED } },
};

static bool listed(const uint8_t *types, size_t count, uint8_t type)
{
	for (size_t i = 0; i < count; i++)
		if (types[i] == type)
			return true;
	return false;
}

void talk_init(struct talk *talk, bool observing)
{
	*talk = (struct talk){ .state = TALK_GREETING, .observing = observing };
}

static int out_of_turn(struct talk *talk, const char *who, uint8_t type, struct err *err)
{
	const struct message_kind *kind = message_kind_find(type);

	talk->state = TALK_OVER;
	if (!kind)
		return err_set(err, ERR_INTERNAL, "%s sent a message of unknown type %u", who, type);
	return err_set(err, ERR_INTERNAL, "%s sent \"%s\" when it may not", who, kind->name);
}

static bool is_answerable(uint8_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i].request == type)
			return true;
	return false;
}

static bool is_offering(uint8_t type)
{
	return type == MSG_PREPARE || type == MSG_RESTORE;
}

/* What may be sent behind a request that has no answer yet. */
static bool follows(uint8_t request, uint8_t type)
{
	return (request == MSG_SCAN && type == MSG_LEASE) || (request == MSG_LEASE && is_offering(type)) ||
	       (request == MSG_ACTIVATE && type == MSG_RECORD) ||
	       (request == MSG_RECORD && type == MSG_BYE);
}

static uint8_t last_asked(const struct talk *talk)
{
	return talk->behind_count ? talk->behind[talk->behind_count - 1] : talk->request;
}

bool talk_waits(const struct talk *talk, uint8_t type)
{
	return talk->state == TALK_ASKED && follows(talk->request, type);
}

/* An offer may come before its lease is known to be granted: without one it is read away
 * and refused. */
static bool has_leave(const struct talk *talk, const struct message_kind *kind)
{
	static const uint8_t early[] = { MSG_PREPARE,	    MSG_RESTORE,     MSG_RENDER, MSG_RENDER_DATA,
					 MSG_MANIFEST_DATA, MSG_OBJECT_DATA, MSG_OFFERED, MSG_OFFERED_SWITCH,
					 MSG_OFFERED_RECORD };

	return !kind->needs_lease || talk->leased ||
	       (talk->lease_asked && listed(early, ARRAY_LEN(early), (uint8_t)kind->type));
}

static int take_good_bye(struct talk *talk, const char *who, struct err *err)
{
	if (talk->leaving)
		return out_of_turn(talk, who, MSG_BYE, err);
	if (talk->state == TALK_ASKED && follows(last_asked(talk), MSG_BYE))
		talk->leaving = true;
	else
		talk->state = TALK_OVER;
	return 0;
}

static int take_offer(struct talk *talk, const char *who, uint8_t type, size_t payload_len, struct err *err)
{
	if (talk->state != TALK_OFFERING && !talk->behind_offers)
		return out_of_turn(talk, who, type, err);
	talk->data_bytes += payload_len;
	return 0;
}

static int take_offered(struct talk *talk, const char *who, uint8_t type, struct err *err)
{
	if (take_offer(talk, who, type, 0, err))
		return -1;
	if (talk->state == TALK_OFFERING)
		talk->state = TALK_ASKED;
	else
		talk->behind_offers = false;
	talk->carry = type == MSG_OFFERED ? 0 : type;
	return 0;
}

static int take_request(struct talk *talk, const char *who, uint8_t type, struct err *err)
{
	bool behind = talk->state == TALK_ASKED && follows(last_asked(talk), type) &&
		      talk->behind_count < TALK_BEHIND_MAX;

	if ((talk->state != TALK_IDLE && !behind) || talk->leaving || !is_answerable(type))
		return out_of_turn(talk, who, type, err);
	/* A second lease would take the first one's epoch away under our feet. */
	if (type == MSG_LEASE && talk->leased)
		return out_of_turn(talk, who, type, err);
	talk->data_bytes = 0;
	talk->lease_asked = talk->lease_asked || type == MSG_LEASE;
	if (behind) {
		talk->behind[talk->behind_count++] = type;
		talk->behind_offers = is_offering(type);
		return 0;
	}
	talk->request = type;
	talk->state = is_offering(type) ? TALK_OFFERING : TALK_ASKED;
	return 0;
}

int talk_from_controller(struct talk *talk, uint8_t type, size_t payload_len, struct err *err)
{
	static const char who[] = "the controller";
	const struct message_kind *kind = message_kind_find(type);

	if (!kind || !kind->from_controller || talk->state == TALK_OVER || talk->state == TALK_GREETING)
		return out_of_turn(talk, who, type, err);
	if (talk->observing && !kind->observing)
		return out_of_turn(talk, who, type, err);
	if (!has_leave(talk, kind))
		return out_of_turn(talk, who, type, err);
	switch (type) {
	case MSG_PING:
	case MSG_RELAY_DATA:
	case MSG_RELAY_CLOSE:
		return 0;
	case MSG_BYE:
		return take_good_bye(talk, who, err);
	case MSG_RENDER:
	case MSG_RENDER_DATA:
	case MSG_MANIFEST_DATA:
	case MSG_OBJECT_DATA:
		return take_offer(talk, who, type, payload_len, err);
	case MSG_OFFERED:
	case MSG_OFFERED_SWITCH:
	case MSG_OFFERED_RECORD:
		return take_offered(talk, who, type, err);
	default:
		return take_request(talk, who, type, err);
	}
}

static int greeting_from_agent(struct talk *talk, uint8_t type, struct err *err)
{
	/* `request` holds what came last. */
	bool first = talk->request == 0;

	if (first != (type == MSG_HELLO))
		return out_of_turn(talk, "the agent", type, err);
	if (!listed((const uint8_t[]){ MSG_HELLO, MSG_ACTIVATION, MSG_PENDING, MSG_READY }, 4, type))
		return out_of_turn(talk, "the agent", type, err);
	talk->request = type;
	if (type == MSG_READY)
		talk->state = TALK_IDLE;
	return 0;
}

/* The request is answered: what was sent behind it is under way now. */
static void go_on(struct talk *talk)
{
	talk->state = talk->leaving ? TALK_OVER : TALK_IDLE;
	talk->request = 0;
	if (!talk->behind_count)
		return;
	talk->request = talk->behind[0];
	talk->behind_count--;
	memmove(talk->behind, talk->behind + 1, talk->behind_count);
	talk->state = TALK_ASKED;
	if (is_offering(talk->request) && talk->behind_offers) {
		talk->state = TALK_OFFERING;
		talk->behind_offers = false;
	}
}

/* The offer's end said what follows when it is prepared. */
static void carry_on(struct talk *talk)
{
	talk->request = MSG_ACTIVATE;
	talk->leaving = talk->carry == MSG_OFFERED_RECORD;
	if (talk->leaving)
		talk->behind[talk->behind_count++] = MSG_RECORD;
	talk->carry = 0;
}

int talk_from_agent(struct talk *talk, uint8_t type, size_t payload_len, struct err *err)
{
	static const char who[] = "the agent";
	const struct message_kind *kind = message_kind_find(type);
	const struct answer *answer = NULL;

	if (!kind || !kind->from_agent || talk->state == TALK_OVER)
		return out_of_turn(talk, who, type, err);
	/* Whatever the agent cannot go on with, it may say at any time. */
	if (type == MSG_REFUSED) {
		if (is_offering(talk->request))
			talk->carry = 0;
		if (talk->state == TALK_GREETING)
			talk->state = TALK_OVER;
		else
			go_on(talk);
		return 0;
	}
	if (talk->state == TALK_GREETING)
		return greeting_from_agent(talk, type, err);
	if (type == MSG_PONG)
		return 0;
	if (type == MSG_RELAY_DATA || type == MSG_RELAY_CLOSE)
		return talk->leased ? 0 : out_of_turn(talk, who, type, err);
	if (talk->state == TALK_OFFERING)
		return type == MSG_PROGRESS || type == MSG_EDIT ? 0 : out_of_turn(talk, who, type, err);
	if (talk->state != TALK_ASKED)
		return out_of_turn(talk, who, type, err);
	if (type == MSG_PROGRESS)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (answers[i].request == talk->request)
			answer = &answers[i];
	if (!answer)
		return out_of_turn(talk, who, type, err);
	if (listed(answer->during, ARRAY_LEN(answer->during), type)) {
		if (kind->is_data)
			talk->data_bytes += payload_len;
		if (type == MSG_LEASED)
			talk->leased = true;
		return 0;
	}
	if (!listed(answer->final, ARRAY_LEN(answer->final), type))
		return out_of_turn(talk, who, type, err);
	/* After LACKING the controller offers more, also behind a RESTORE. */
	if (type == MSG_LACKING) {
		talk->state = TALK_OFFERING;
		talk->carry = 0;
	} else if (talk->carry && is_offering(talk->request)) {
		carry_on(talk);
	} else {
		go_on(talk);
	}
	return 0;
}

void object_stream_init(struct object_stream *stream) { *stream = (struct object_stream){ 0 }; }

static uint64_t read_u64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

static size_t header_wanted(uint8_t kind)
{
	switch (kind) {
	case OBJECT_PLAIN:
		return OBJECT_HEADER_MAX - DIGEST_LEN;
	case OBJECT_DELTA:
		return OBJECT_HEADER_MAX;
	case OBJECT_END:
		return 1;
	default:
		return 0;
	}
}

static int begin_object(struct object_stream *stream, const struct object_sink *sink, struct err *err)
{
	struct object_header header = { .kind = (enum object_kind)stream->header[0] };

	memcpy(header.digest.bytes, stream->header + 1, DIGEST_LEN);
	header.length = read_u64(stream->header + 1 + DIGEST_LEN);
	if (header.kind == OBJECT_DELTA)
		memcpy(header.base.bytes, stream->header + 1 + DIGEST_LEN + 8, DIGEST_LEN);
	stream->header_len = 0;
	stream->remaining = header.length;
	if (sink->begin(sink->context, &header, err))
		return -1;
	stream->in_content = header.length > 0;
	return stream->in_content ? 0 : sink->end(sink->context, err);
}

int object_stream_feed(struct object_stream *stream, struct slice bytes, const struct object_sink *sink,
		       struct err *err)
{
	while (bytes.len) {
		if (stream->ended)
			return err_set(err, ERR_INTERNAL, "object stream: bytes after its end");
		if (stream->in_content) {
			size_t piece = (size_t)MIN((uint64_t)bytes.len, stream->remaining);
			if (sink->content(sink->context, slice_make(bytes.ptr, piece), err))
				return -1;
			stream->remaining -= piece;
			bytes = slice_skip(bytes, piece);
			if (stream->remaining == 0) {
				stream->in_content = false;
				if (sink->end(sink->context, err))
					return -1;
			}
			continue;
		}
		stream->header[stream->header_len++] = (uint8_t)bytes.ptr[0];
		bytes = slice_skip(bytes, 1);
		size_t wanted = header_wanted(stream->header[0]);
		if (wanted == 0)
			return err_set(err, ERR_INTERNAL, "object stream: unknown kind 0x%02x", stream->header[0]);
		if (stream->header_len < wanted)
			continue;
		if (wanted == 1)
			stream->ended = true;
		else if (begin_object(stream, sink, err))
			return -1;
	}
	return 0;
}

void object_header_put(struct buf *out, const struct object_header *header)
{
	buf_putc(out, (char)header->kind);
	if (header->kind == OBJECT_END)
		return;
	buf_put(out, header->digest.bytes, DIGEST_LEN);
	buf_put_u64(out, header->length);
	if (header->kind == OBJECT_DELTA)
		buf_put(out, header->base.bytes, DIGEST_LEN);
}
