/* Claims about the order of messages and about the object stream. */
#include "client.h"

enum who { A, C };
struct step {
	enum who who;
	uint8_t type;
};

struct talk_case {
	const char *claim;
	bool observing;
	bool allowed; /* the last step */
	struct step steps[14];
};

#define GREETING                                                                                             \
	{A, MSG_HELLO},                                                                                      \
	{                                                                                                    \
		A, MSG_READY                                                                                 \
	}
#define LEASED                                                                                               \
	GREETING, {C, MSG_LEASE}, {A, MSG_LEASED},                                                           \
	{                                                                                                    \
		A, MSG_READY                                                                                 \
	}

static const struct talk_case cases[] = {
	{"a greeting ends with ready", false, true, {GREETING}},
	{"a greeting begins with hello", false, false, {{A, MSG_READY}}},
	{"there is one hello", false, false, {{A, MSG_HELLO}, {A, MSG_HELLO}}},
	{"nobody asks before ready", false, false, {{A, MSG_HELLO}, {C, MSG_SCAN}}},
	{"an agent speaks only when asked", false, false, {GREETING, {A, MSG_SCANNED}}},
	{"a scan answers with edits",
	 false,
	 true,
	 {GREETING, {C, MSG_SCAN}, {A, MSG_EDIT}, {A, MSG_SCANNED}}},
	{"another request's answer is refused", false, false, {GREETING, {C, MSG_SCAN}, {A, MSG_DONE}}},
	{"one request at a time", false, false, {GREETING, {C, MSG_SCAN}, {C, MSG_SCAN}}},
	{"ping at any time", false, true, {GREETING, {C, MSG_SCAN}, {C, MSG_PING}}},
	{"changing needs a lease", false, false, {GREETING, {C, MSG_PREPARE}}},
	{"an observer may not lease", true, false, {GREETING, {C, MSG_LEASE}}},
	{"an observer may scan", true, true, {GREETING, {C, MSG_SCAN}}},
	{"an observer may probe",
	 true,
	 true,
	 {GREETING, {C, MSG_PROBE}, {A, MSG_PROGRESS}, {A, MSG_FACT_DATA}, {A, MSG_FACT_DATA}, {A, MSG_PROBED}}},
	{"a probe may be refused half way", true, true, {GREETING, {C, MSG_PROBE}, {A, MSG_FACT_DATA}, {A, MSG_REFUSED}, {C, MSG_SCAN}}},
	{"facts come when they are asked for", true, false, {GREETING, {C, MSG_SCAN}, {A, MSG_FACT_DATA}}},
	{"the controller has no facts to give", false, false, {GREETING, {C, MSG_PROBE}, {C, MSG_FACT_DATA}}},
	{"a lease does not come between", false, false, {GREETING, {C, MSG_PROBE}, {C, MSG_LEASE}}},
	{"one lease a conversation", false, false, {LEASED, {C, MSG_LEASE}}},
	{"a refused lease is none",
	 false,
	 false,
	 {GREETING, {C, MSG_LEASE}, {A, MSG_REFUSED}, {C, MSG_ACTIVATE}}},
	{"an offer that was on its way behind it is read away",
	 false,
	 true,
	 {GREETING, {C, MSG_LEASE}, {A, MSG_REFUSED}, {C, MSG_PREPARE}, {C, MSG_OBJECT_DATA}, {C, MSG_OFFERED},
	  {A, MSG_REFUSED}}},
	{"a preparation may be sent behind its lease",
	 false,
	 true,
	 {GREETING, {C, MSG_LEASE}, {C, MSG_PREPARE}, {C, MSG_MANIFEST_DATA}, {A, MSG_LEASED}, {C, MSG_OFFERED},
	  {A, MSG_READY}, {A, MSG_PREPARED}}},
	{"it is answered after its lease", false, false, {GREETING, {C, MSG_LEASE}, {C, MSG_PREPARE}, {C, MSG_OFFERED}, {A, MSG_PREPARED}}},
	{"and once all of it is offered",
	 false,
	 false,
	 {GREETING, {C, MSG_LEASE}, {C, MSG_PREPARE}, {A, MSG_LEASED}, {A, MSG_READY}, {A, MSG_PREPARED}}},
	{"a restore, too",
	 false,
	 true,
	 {GREETING, {C, MSG_LEASE}, {C, MSG_RESTORE}, {C, MSG_OFFERED}, {A, MSG_REFUSED}, {A, MSG_REFUSED}, {C, MSG_SCAN}}},
	{"nothing else goes behind a lease", false, false, {GREETING, {C, MSG_LEASE}, {C, MSG_RECORD}}},
	{"not two requests", false, false, {GREETING, {C, MSG_LEASE}, {C, MSG_PREPARE}, {C, MSG_OFFERED}, {C, MSG_PREPARE}}},
	{"no offer behind a lease that was not asked for", false, false, {GREETING, {C, MSG_SCAN}, {C, MSG_PREPARE}}},
	{"a lease may be sent behind a scan, and all that goes behind a lease",
	 false,
	 true,
	 {GREETING, {C, MSG_SCAN}, {C, MSG_LEASE}, {C, MSG_PREPARE}, {C, MSG_OFFERED}, {A, MSG_EDIT}, {A, MSG_SCANNED},
	  {A, MSG_LEASED}, {A, MSG_READY}, {A, MSG_PREPARED}}},
	{"the scan is answered first", false, false, {GREETING, {C, MSG_SCAN}, {C, MSG_LEASE}, {A, MSG_LEASED}}},
	{"no preparation goes behind a scan", false, false, {LEASED, {C, MSG_SCAN}, {C, MSG_PREPARE}}},
	{"an offer may end with the switch",
	 false,
	 true,
	 {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_SWITCH}, {A, MSG_PREPARED}, {A, MSG_ACTIVATED}, {C, MSG_RELOAD}}},
	{"and with the receipt",
	 false,
	 true,
	 {LEASED, {C, MSG_RESTORE}, {C, MSG_OFFERED_RECORD}, {A, MSG_PREPARED}, {A, MSG_ACTIVATED}, {A, MSG_PRUNED}}},
	{"which ends the conversation",
	 false,
	 false,
	 {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_RECORD}, {A, MSG_PREPARED}, {A, MSG_ACTIVATED}, {A, MSG_PRUNED}, {C, MSG_SCAN}}},
	{"nothing is switched that is not prepared",
	 false,
	 false,
	 {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_SWITCH}, {A, MSG_ACTIVATED}}},
	{"what follows is not sent, too", false, false, {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_RECORD}, {C, MSG_RECORD}}},
	{"where something lacks, nothing follows",
	 false,
	 false,
	 {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_SWITCH}, {A, MSG_LACKING}, {C, MSG_OBJECT_DATA}, {C, MSG_OFFERED},
	  {A, MSG_PREPARED}, {A, MSG_ACTIVATED}}},
	{"nor where the preparation is refused",
	 false,
	 true,
	 {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_RECORD}, {A, MSG_REFUSED}, {C, MSG_SCAN}}},
	{"nor where its lease is",
	 false,
	 true,
	 {GREETING, {C, MSG_LEASE}, {C, MSG_PREPARE}, {C, MSG_OFFERED_RECORD}, {A, MSG_REFUSED}, {A, MSG_REFUSED}, {C, MSG_SCAN}}},
	{"a refused switch refuses its receipt, and then it is over",
	 false,
	 false,
	 {LEASED, {C, MSG_PREPARE}, {C, MSG_OFFERED_RECORD}, {A, MSG_PREPARED}, {A, MSG_REFUSED}, {A, MSG_REFUSED}, {C, MSG_PING}}},
	{"a receipt and good-bye may be sent behind an activation",
	 false,
	 true,
	 {LEASED, {C, MSG_ACTIVATE}, {C, MSG_RECORD}, {C, MSG_BYE}, {A, MSG_ACTIVATED}, {A, MSG_PRUNED}}},
	{"the receipt is answered last", false, false, {LEASED, {C, MSG_ACTIVATE}, {C, MSG_RECORD}, {A, MSG_DONE}}},
	{"nothing is asked after good-bye",
	 false,
	 false,
	 {LEASED, {C, MSG_RECORD}, {C, MSG_BYE}, {A, MSG_DONE}, {C, MSG_SCAN}}},
	{"nor while the last answer is awaited", false, false, {LEASED, {C, MSG_RECORD}, {C, MSG_BYE}, {C, MSG_RECORD}}},
	{"good-bye is said once", false, false, {LEASED, {C, MSG_RECORD}, {C, MSG_BYE}, {C, MSG_BYE}}},
	{"good-bye while something else is under way ends the talk",
	 false,
	 false,
	 {LEASED, {C, MSG_DECIDE}, {C, MSG_BYE}, {A, MSG_DONE}}},
	{"data need an offer", false, false, {LEASED, {C, MSG_OBJECT_DATA}}},
	{"an offer takes data", false, true, {LEASED, {C, MSG_PREPARE}, {C, MSG_MANIFEST_DATA}}},
	{"nothing else in an offer", false, false, {LEASED, {C, MSG_PREPARE}, {C, MSG_ACTIVATE}}},
	{"an offer ends before its answer", false, false, {LEASED, {C, MSG_PREPARE}, {A, MSG_PREPARED}}},
	{"lacking opens another offer",
	 false,
	 true,
	 {LEASED, {C, MSG_RESTORE}, {C, MSG_OFFERED}, {A, MSG_NEED}, {A, MSG_LACKING}, {C, MSG_OBJECT_DATA}}},
	{"rendered files follow a restore", false, true, {LEASED, {C, MSG_RESTORE}, {C, MSG_RENDER}, {C, MSG_RENDER_DATA}}},
	{"rendered files follow a prepare", false, true, {LEASED, {C, MSG_PREPARE}, {C, MSG_RENDER}, {C, MSG_MANIFEST_DATA}}},
	{"rendered files need an offer", false, false, {LEASED, {C, MSG_RENDER}}},
	{"their bytes, too", false, false, {LEASED, {C, MSG_RUN}, {C, MSG_RENDER_DATA}}},
	{"a restore is answered once it is offered", false, false, {LEASED, {C, MSG_RESTORE}, {A, MSG_PREPARED}}},
	{"relays need a lease", false, false, {GREETING, {C, MSG_RELAY_DATA}}},
	{"nothing after bye", false, false, {GREETING, {C, MSG_BYE}, {C, MSG_PING}}},
	{"types have a side", false, false, {GREETING, {C, MSG_HELLO}}},
	{"unknown types are refused", false, false, {GREETING, {C, 250}}},
};

static void messages_come_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct talk_case *c = &cases[i];
		struct talk talk;
		struct err err = ERR_INIT;
		size_t count = 0;
		talk_init(&talk, c->observing);
		while (count < ARRAY_LEN(c->steps) && c->steps[count].type)
			count++;
		for (size_t s = 0; s < count; s++) {
			const struct step *step = &c->steps[s];
			int result = step->who == A ? talk_from_agent(&talk, step->type, 1, &err)
						    : talk_from_controller(&talk, step->type, 1, &err);
			bool last = s + 1 == count;
			if ((result == 0) != (last ? c->allowed : true))
				fail_msg("%s: step %zu: %s", c->claim, s, result ? err.text : "was allowed");
			if (result && (talk.state != TALK_OVER || !err.text[0]))
				fail_msg("%s: a refusal ends the talk and says why", c->claim);
		}
	}
}

static void every_message_has_one_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < message_kind_count; i++) {
		assert_ptr_equal(message_kind_find((uint8_t)message_kinds[i].type), &message_kinds[i]);
		assert_true(message_kinds[i].from_agent || message_kinds[i].from_controller);
	}
	assert_null(message_kind_find(0));
}

struct seen {
	struct buf text;
};

static int on_begin(void *context, const struct object_header *header, struct err *err)
{
	struct seen *seen = context;

	(void)err;
	buf_printf(&seen->text, "[%c%02x/%02x:%llu ", header->kind, header->digest.bytes[0],
		   header->base.bytes[0], (unsigned long long)header->length);
	return 0;
}

static int on_content(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	buf_put_slice(&((struct seen *)context)->text, bytes);
	return 0;
}

static int on_end(void *context, struct err *err)
{
	(void)err;
	buf_puts(&((struct seen *)context)->text, "]");
	return 0;
}

static void objects_survive_every_cut(void **state)
{
	struct object_header plain = {.kind = OBJECT_PLAIN, .digest.bytes = {0xAA}, .length = 5};
	struct object_header empty = {.kind = OBJECT_PLAIN, .digest.bytes = {0xBB}};
	struct object_header delta = {
		.kind = OBJECT_DELTA, .digest.bytes = {0xCC}, .base.bytes = {0xDD}, .length = 2};
	AUTO(buf_free) struct buf bytes = BUF_INIT(4096);

	(void)state;
	object_header_put(&bytes, &plain);
	buf_puts(&bytes, "hello");
	object_header_put(&bytes, &empty);
	object_header_put(&bytes, &delta);
	buf_puts(&bytes, "xy.");
	for (size_t cut = 0; cut <= bytes.len; cut++) {
		struct seen seen = {BUF_INIT(4096)};
		const struct object_sink sink = {on_begin, on_content, on_end, &seen};
		struct object_stream stream;
		struct err err = ERR_INIT;
		object_stream_init(&stream);
		assert_int_equal(object_stream_feed(&stream, slice_make(bytes.ptr, cut), &sink, &err), 0);
		assert_int_equal(object_stream_feed(&stream, slice_skip(buf_slice(&bytes), cut), &sink, &err),
				 0);
		assert_string_equal(buf_str(&seen.text), "[paa/00:5 hello][pbb/00:0 ][dcc/dd:2 xy]");
		assert_true(stream.ended);
		assert_int_equal(object_stream_feed(&stream, SLICE("p"), &sink, &err), -1);
		buf_free(&seen.text);
	}
}

static void unknown_kinds_of_objects_are_refused(void **state)
{
	struct seen seen = {BUF_INIT(64)};
	const struct object_sink sink = {on_begin, on_content, on_end, &seen};

	(void)state;
	for (int kind = 0; kind < 256; kind++) {
		struct object_stream stream;
		struct err err = ERR_INIT;
		char byte = (char)kind;
		object_stream_init(&stream);
		bool known = kind == OBJECT_PLAIN || kind == OBJECT_DELTA || kind == OBJECT_END;
		assert_int_equal(object_stream_feed(&stream, slice_make(&byte, 1), &sink, &err),
				 known ? 0 : -1);
	}
	buf_free(&seen.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_in_order),
		cmocka_unit_test(every_message_has_one_row),
		cmocka_unit_test(objects_survive_every_cut),
		cmocka_unit_test(unknown_kinds_of_objects_are_refused),
	};
	return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
