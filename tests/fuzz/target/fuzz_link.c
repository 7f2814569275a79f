/* The controller's end of a conversation with an agent that may say anything.
 *
 * The first byte chooses what is asked (again each time the line is idle):
 *	? raw bytes before the agent is started    ! raw bytes after it
 *	l s j c u f p a h r g   lease scan journal check uses fetch restore activate http run go
 *	o                       probe
 *	L A   lease and restore, activate and record and leave, without waiting in between
 * Otherwise the rest are lines, each of them one message: the line is the payload,
 * its first word names the type; behind a data message's name the bytes follow, %XX
 * for what is not text. */
#include "target/internal.h"

#include "base/fd.h"
#include "base/random.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct store *store;
static char folder[64];

static void clean_up(void)
{
	struct err err = ERR_INIT;
	store_close(&store);
	loop_close(&loop);
	if (tree_remove_at(AT_FDCWD, folder, &err))
		fprintf(stderr, "%s\n", err.text);
}

static void set_up(void)
{
	struct err err = ERR_INIT;
	snprintf(folder, sizeof(folder), "/tmp/lockstep-fuzz-XXXXXX");
	ASSERT(mkdtemp(folder));
	ASSERT(loop_open(&loop, &err) == 0);
	ASSERT(store_open(folder, &store, &err) == 0);
	atexit(clean_up);
}

static void ask(struct link *link, char what)
{
	static const struct lease_request lease = {
		.project = "p", .environment = "e", .by = "b", .deployment = "d"};
	static const struct check_request check = {.user = "u"};
	static const struct activate_request activate = {.deployment = "d"};
	static const struct http_request http = {.url = "http://h/", .timeout_ms = 1000};
	static const struct secret_variable secret = {"S", {"value", 5}};
	static const struct run_request run = {
		.deployment = "d", .command = "c", .secret_env = &secret, .secret_env_count = 1};
	static const struct rendered_file file = {.path = ".env", .content = {"A=1", 3}};
	static const struct prepare_request restore = {.deployment = "d",
						       .from = "000001-000000000000",
						       .rendered = &file,
						       .rendered_count = 1,
						       .config_key = "0011"};
	static const struct record_request record = {.event = "verified", .keep = 3};
	static const struct digest release;
	static const char *const listed[] = {".env", "/etc/hosts"};
	static const struct probe_order order = {
		.user = "u", .paths = {listed, 2}, .run_key = {1}, .kept_key = {2}, .has_kept_key = true};
	/* What changes something is asked only with a lease, as an engine would. */
	if (strchr("pahrgA", what) && !link_leased(link))
		what = 'l';
	switch (what) {
	case 'l':
		if (!link_leased(link))
			link_lease(link, &lease);
		break;
	case 'L':
		if (!link_leased(link))
			link_lease_prepare(link, &lease, &restore, NULL, NULL);
		break;
	case 'A':
		link_activate_record(link, &activate, &record, true);
		break;
	case 's':
		link_scan(link, true);
		break;
	case 'j':
		link_journal(link, 0);
		break;
	case 'c':
		link_check(link, &check);
		break;
	case 'u':
		link_uses(link);
		break;
	case 'f':
		link_fetch_release(link, &release, store);
		break;
	case 'p':
		link_prepare(link, &restore, NULL);
		break;
	case 'a':
		link_activate(link, &activate);
		break;
	case 'h':
		link_check_http(link, &http);
		break;
	case 'r':
		link_run(link, &run);
		break;
	case 'g':
		link_prune(link, 5);
		break;
	case 'o':
		link_probe(link, &order, folder);
		break;
	default:
		break;
	}
}

static void decode_escapes(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte;
		if (text.ptr[i] == '%' && text.len - i > 2 &&
		    hex_decode(slice_make(text.ptr + i + 1, 2), &byte, 1)) {
			buf_putc(out, (char)byte);
			i += 2;
		} else {
			buf_putc(out, text.ptr[i]);
		}
	}
}

static void message_put(struct buf *out, struct slice line)
{
	AUTO(buf_free) struct buf payload = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct slice rest = line;
	struct slice name = slice_cut(&rest, ' ');
	for (size_t i = 0; i < message_kind_count; i++) {
		if (!slice_is(name, message_kinds[i].name))
			continue;
		if (message_kinds[i].is_data && rest.ptr)
			decode_escapes(rest, &payload);
		else
			buf_put_slice(&payload, line);
		frame_put(out, message_kinds[i].type, buf_slice(&payload));
		return;
	}
}

static void converse(struct link *link, char what, struct slice text)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(MIB(8));
	while (text.ptr && link_status(link) != LINK_LOST) {
		struct slice line = slice_cut(&text, '\n');
		buf_clear(&bytes);
		message_put(&bytes, slice_make(line.ptr, MIN(line.len, (size_t)FRAME_PAYLOAD_MAX)));
		if (bytes.len)
			link_hear(link, buf_slice(&bytes));
		loop_turn(loop, false);
		if (link_status(link) == LINK_IDLE)
			ask(link, what);
	}
}

static const struct agent_image image = {.arch = "x86_64", .bytes = {"agent", 5}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!loop)
		set_up();
	if (size == 0)
		return 0;
	struct link_options options = {
		.address = {.kind = PLACE_SSH, .host = "h", .path = "p", .text = "h:p"},
		.images = &image,
		.image_count = 1,
	};
	struct link *link = link_make(loop, &options);
	struct slice rest = slice_make(data + 1, size - 1);
	char what = (char)data[0];
	/* A mark that inputs can name. */
	memset(link->bootstrap.mark, 'm', BOOTSTRAP_MARK_LEN);
	link->talking = what != '?';
	if (what == '?' || what == '!') {
		while (rest.len && link_status(link) != LINK_LOST) {
			size_t piece = MIN(rest.len, (size_t)100);
			link_hear(link, slice_make(rest.ptr, piece));
			rest = slice_skip(rest, piece);
		}
	} else {
		converse(link, what, rest);
	}
	ASSERT(link_status(link) != LINK_LOST || link_failure(link));
	link_close(&link);
	loop_turn(loop, false);
	loop_turn(loop, false);
	return 0;
}
