#include "client.h"

#include "codec/compress.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

/* --- releases ------------------------------------------------------------------ */

static struct slice content_of(const struct item *item)
{
	return slice_of(item->link ? item->link : item->content);
}

struct manifest release_of(struct arena *arena, const struct item *items)
{
	struct manifest manifest;
	struct err err = ERR_INIT;
	size_t count = 0, cap = 0;
	struct entry *entries = NULL;

	for (const struct item *item = items; item->path; item++) {
		struct slice path = slice_of(item->path);
		for (size_t at = 0; at <= path.len; at++) {
			if (at < path.len && path.ptr[at] != '/')
				continue;
			struct entry entry = {
				.type = ENTRY_DIR, .mode = 0755, .path = slice_make(path.ptr, at)};
			bool known = false;
			/* Items come with equal folders together; look back a little. */
			if (at == path.len && (item->content || item->link))
				; /* a file is listed once */
			else if (item > items && strncmp(item[-1].path, path.ptr, at + 1) == 0)
				known = true;
			else
				for (size_t i = count; i > 0 && !known; i--)
					known = slice_equal(entries[i - 1].path, entry.path);
			if (known)
				continue;
			if (at == path.len && (item->content || item->link)) {
				entry.type = item->link ? ENTRY_LINK : ENTRY_FILE;
				entry.mode = item->link ? 0777 : item->executable ? 0755 : 0644;
				entry.size = content_of(item).len;
				digest_of(content_of(item), &entry.digest);
			}
			if (count == cap) {
				cap = MAX(cap * 2, (size_t)64);
				entries = mem_grow(entries, cap, sizeof(*entries));
			}
			entries[count++] = entry;
		}
	}
	if (manifest_build(arena, entries, count, &manifest, &err))
		fail_msg("%s", err.text);
	free(entries);
	return manifest;
}

/* --- the line -------------------------------------------------------------------- */

static void start(struct client *c, const char *place, const char *verb, const char *fault)
{
	const char *program = getenv("LOCKSTEP_TEST_AGENT");
	char words[512], *argv[8] = {0};
	int in[2], out[2], count = 0;

	assert_non_null(program);
	signal(SIGPIPE, SIG_IGN);
	*c = (struct client){.inbox = BUF_INIT(MIB(512)), .output = BUF_INIT(MIB(4)), .place = place};
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	snprintf(words, sizeof(words), "%s", program);
	for (char *word = strtok(words, " "); word && count < 4; word = strtok(NULL, " "))
		argv[count++] = word;
	argv[count++] = (char *)(uintptr_t)verb;
	argv[count++] = (char *)(uintptr_t)place;
	c->pid = fork();
	if (c->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		if (fault)
			setenv("LOCKSTEP_FAULT", fault, 1);
		else
			unsetenv("LOCKSTEP_FAULT");
		execvp(argv[0], argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c->to = in[1];
	c->from = out[0];
	talk_init(&c->talk, strcmp(verb, "observe") == 0);
	if (client_take(c) == MSG_HELLO) {
		snprintf(c->live, sizeof(c->live), "%s", client_get(c, "live"));
		snprintf(c->config_key, sizeof(c->config_key), "%s", client_get(c, "config_key"));
		c->fresh = client_get_u64(c, "fresh");
		client_take(c);
	}
}

void client_start(struct client *c, const char *place, const char *fault)
{
	start(c, place, "serve", fault);
}
void client_observe(struct client *c, const char *place)
{
	start(c, place, "observe", NULL);
}

static int close_line(struct client *c)
{
	if (c->to >= 0)
		close(c->to);
	int status = wait_for(c->pid);
	close(c->from);
	buf_free(&c->inbox);
	buf_free(&c->output);
	arena_free(&c->arena);
	return status;
}

int client_cut(struct client *c)
{
	return close_line(c);
}

int client_end(struct client *c)
{
	client_send(c, MSG_BYE, "bye=1");
	return close_line(c);
}

static bool read_more(struct client *c)
{
	char *room = buf_reserve(&c->inbox, KIB(64));
	ssize_t got;

	assert_non_null(room);
	do
		got = read(c->from, room, KIB(64));
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	c->inbox.len += (size_t)got;
	return true;
}

/* Reads while it writes, as a controller does: neither side ever waits for the other. */
static void push(struct client *c, const char *bytes, size_t len)
{
	c->bytes_sent += len;
	while (len) {
		struct pollfd fds[2] = {{c->to, POLLOUT, 0}, {c->from, POLLIN, 0}};
		poll(fds, 2, -1);
		if ((fds[1].revents & POLLIN) && !read_more(c))
			return;
		if (!fds[0].revents)
			continue;
		ssize_t put = write(c->to, bytes, MIN(len, (size_t)4096));
		if (put < 0)
			return; /* it is gone: client_take says so */
		bytes += put;
		len -= (size_t)put;
	}
}

void client_send_bytes(struct client *c, enum message_type type, struct slice bytes)
{
	AUTO(buf_free) struct buf frame = BUF_INIT(FRAME_PAYLOAD_MAX + FRAME_HEADER_LEN);
	struct err err = ERR_INIT;

	if (talk_from_controller(&c->talk, (uint8_t)type, bytes.len, &err))
		fail_msg("%s", err.text);
	frame_put(&frame, (uint8_t)type, bytes);
	push(c, frame.ptr, frame.len);
}

static void send_request(struct client *c, enum message_type type, const char *format, va_list args)
{
	char *fields = arena_vprintf(&c->arena, format, args);
	const char *epoch =
		c->epoch ? arena_printf(&c->arena, " epoch=%llu", (unsigned long long)c->epoch) : "";

	client_send_bytes(
		c, type,
		slice_of(arena_printf(&c->arena, "request%s%s%s", strstr(fields, "epoch=") ? "" : epoch,
				      *fields ? " " : "", fields)));
}

void client_send(struct client *c, enum message_type type, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_request(c, type, format, args);
	va_end(args);
}

static bool next_frame(struct client *c, struct frame *frame)
{
	for (;;) {
		const unsigned char *at = (const unsigned char *)buf_str(&c->inbox) + c->taken;
		size_t left = c->inbox.len - c->taken;
		if (left >= FRAME_HEADER_LEN) {
			size_t len = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
			assert_true(len <= FRAME_PAYLOAD_MAX);
			if (left >= FRAME_HEADER_LEN + len) {
				*frame = (struct frame){at[4], slice_make(at + FRAME_HEADER_LEN, len)};
				c->taken += FRAME_HEADER_LEN + len;
				return true;
			}
		}
		if (c->taken > MIB(1)) {
			buf_consume(&c->inbox, c->taken);
			c->taken = 0;
		}
		if (!read_more(c))
			return false;
	}
}

static void count_message(struct client *c)
{
	if (c->type == MSG_EDIT) {
		c->edits++;
		snprintf(c->edit_kind, sizeof(c->edit_kind), "%s", client_get(c, "kind"));
		c->edit_rendered = client_get_u64(c, "rendered");
		snprintf(c->edit_digests, sizeof(c->edit_digests), "%s%s", client_get(c, "seen"),
			 client_get(c, "expected"));
		snprintf(c->edit_path, sizeof(c->edit_path), "%s", client_get(c, "path"));
	} else if (c->type == MSG_ACTIVATION) {
		c->activations++;
	} else if (c->type == MSG_PENDING) {
		c->pending = true;
		c->pending_record = c->answer;
	} else if (c->type == MSG_LEASED) {
		c->epoch = client_get_u64(c, "epoch");
		snprintf(c->place_id, sizeof(c->place_id), "%s", client_get(c, "place_id"));
		snprintf(c->config_key, sizeof(c->config_key), "%s", client_get(c, "config_key"));
		c->activations = 0;
		c->pending = false;
	} else if (c->type == MSG_OUTPUT) {
		buf_puts(&c->output, client_get(c, "text"));
	}
}

uint8_t client_take(struct client *c)
{
	static const uint8_t passed[] = {MSG_EDIT,   MSG_PROGRESS, MSG_ACTIVATION,    MSG_PENDING,
					 MSG_LEASED, MSG_OUTPUT,   MSG_LINE,	      MSG_PROBLEM,
					 MSG_USE,    MSG_WAITING,  MSG_MANIFEST_DATA, MSG_OBJECT_DATA};
	struct err err = ERR_INIT;
	struct frame frame;

	while (next_frame(c, &frame)) {
		c->type = frame.type;
		if (talk_from_agent(&c->talk, frame.type, frame.payload.len, &err))
			fail_msg("%s", err.text);
		if (!message_kind_find(frame.type)->is_data &&
		    record_parse(&c->arena, frame.payload, &c->answer, &err))
			fail_msg("%s", err.text);
		count_message(c);
		if (!memchr(passed, frame.type, sizeof(passed)))
			return frame.type;
	}
	c->type = 0;
	return 0;
}

const char *client_get(struct client *c, const char *key)
{
	return record_get_str(&c->arena, &c->answer, key);
}
uint64_t client_get_u64(struct client *c, const char *key)
{
	return record_get_u64(&c->answer, key, 0);
}

uint8_t client_ask(struct client *c, enum message_type type, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_request(c, type, format, args);
	va_end(args);
	return client_take(c);
}

/* --- requests ---------------------------------------------------------------------- */

uint8_t client_lease(struct client *c, const char *more)
{
	return client_ask(c, MSG_LEASE, "project=shop environment=test by=ada@laptop deployment=d%s%s",
			  more ? " " : "", more ? more : "");
}

static void send_data(struct client *c, enum message_type type, struct slice bytes)
{
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(256));
	struct err err = ERR_INIT;

	if (compress_all(1, slice_make(NULL, 0), bytes, &packed, &err))
		fail_msg("%s", err.text);
	for (struct slice rest = buf_slice(&packed); rest.len;) {
		size_t piece = MIN(rest.len, KIB(200));
		client_send_bytes(c, type, slice_make(rest.ptr, piece));
		rest = slice_skip(rest, piece);
	}
}

static void put_object(struct buf *out, struct slice content)
{
	struct object_header header = {.kind = OBJECT_PLAIN, .length = content.len};

	digest_of(content, &header.digest);
	object_header_put(out, &header);
	buf_put_slice(out, content);
}

static bool is_needed(const struct digest *needs, size_t count, const struct digest *digest)
{
	for (size_t i = 0; i < count; i++)
		if (digest_equal(&needs[i], digest))
			return true;
	return false;
}

/* Answers NEED until something else ends the request. */
static uint8_t answer_needs(struct client *c, const struct item *items)
{
	AUTO(mem_free_ptr) struct digest *needs = NULL;
	size_t count = 0;

	for (;;) {
		uint8_t type = client_take(c);
		if (type == MSG_NEED) {
			size_t cursor = 0;
			struct slice hex;
			needs = mem_grow(needs, count + NEED_MAX, sizeof(*needs));
			while (record_next(&c->answer, "digest", &cursor, &hex))
				assert_true(digest_from_hex(hex, &needs[count++]));
			continue;
		}
		if (type != MSG_LACKING)
			return type;
		assert_int_equal(client_get_u64(c, "count"), count);
		c->needs += count;
		AUTO(buf_free) struct buf objects = BUF_INIT(MIB(256));
		/* All of them, or each: quadratic only for small releases. */
		for (const struct item *item = items; item->path; item++) {
			struct digest digest;
			if (!item->content && !item->link)
				continue;
			digest_of(content_of(item), &digest);
			if (count > 5000 || is_needed(needs, count, &digest))
				put_object(&objects, content_of(item));
		}
		buf_putc(&objects, OBJECT_END);
		send_data(c, MSG_OBJECT_DATA, buf_slice(&objects));
		client_send(c, MSG_OFFERED, "offered=1");
		count = 0;
	}
}

static void send_config(struct client *c)
{
	for (const struct config_file *file = c->config; file && file->path; file++) {
		struct slice content = slice_of(file->content);
		/* The first of a key counts. */
		client_send(c, MSG_RENDER, "path=%s %s size=%zu", file->path, file->more ? file->more : "mode=416",
			    content.len);
		while (content.len) {
			size_t piece = MIN(content.len, KIB(100));
			client_send_bytes(c, MSG_RENDER_DATA, slice_make(content.ptr, piece));
			content = slice_skip(content, piece);
		}
	}
}

uint8_t client_prepare(struct client *c, const char *deployment, const struct item *items, const char *more)
{
	struct manifest manifest = release_of(&c->arena, items);
	char hex[DIGEST_HEX_LEN + 1];
	bool restoring = more && strstr(more, "from=");

	digest_to_hex(&manifest.digest, hex);
	size_t config_count = 0;
	while (c->config && c->config[config_count].path)
		config_count++;
	if (c->config)
		more = arena_printf(&c->arena, "%s%srendered=%zu", more ? more : "", more ? " " : "", config_count);
	client_send(c, restoring ? MSG_RESTORE : MSG_PREPARE,
		    "deployment=%s plan=p kind=deploy release=%s commit=c by=ada commit_time=1700000000 "
		    "decision_place=%s manifest_bytes=%zu%s%s%s%s",
		    deployment, hex, c->place_id, manifest.bytes.len,
		    more && strstr(more, "expect=") ? "" : " expect=",
		    more && strstr(more, "expect=") ? "" : c->live, more ? " " : "", more ? more : "");
	send_config(c);
	if (!restoring) {
		send_data(c, MSG_MANIFEST_DATA, manifest.bytes);
	}
	client_send(c, MSG_OFFERED, "offered=1");
	return answer_needs(c, items);
}

static void must_be(struct client *c, uint8_t got, uint8_t wanted)
{
	if (got != wanted)
		fail_msg("message %u instead of %u: %s", got, wanted,
			 got ? client_get(c, "text") : "the line was cut");
}

void client_deploy(struct client *c, const char *deployment, const struct item *items, const char *more)
{
	char before[64];

	if (!c->epoch)
		must_be(c, client_lease(c, NULL), MSG_READY);
	snprintf(before, sizeof(before), "%s", c->live);
	must_be(c, client_prepare(c, deployment, items, more), MSG_PREPARED);
	must_be(c, client_ask(c, MSG_DECIDE, "deployment=%s decision=commit", deployment), MSG_DONE);
	must_be(c, client_ask(c, MSG_ACTIVATE, "deployment=%s expect=%s", deployment, before), MSG_ACTIVATED);
	snprintf(c->live, sizeof(c->live), "%s", client_get(c, "name"));
	must_be(c, client_ask(c, MSG_RECORD, "event=verified deployment=%s receipt=none", deployment),
		MSG_DONE);
}

/* --- files ----------------------------------------------------------------------------- */

const char *path_at(struct arena *arena, const char *folder, const char *path)
{
	return arena_printf(arena, "%s/%s", folder, path);
}

const char *text_at(struct arena *arena, const char *folder, const char *path)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(64));
	struct err err = ERR_INIT;

	if (file_read_at(AT_FDCWD, path_at(arena, folder, path), &text, &err))
		return NULL;
	return arena_str(arena, buf_slice(&text));
}

void write_at(const char *folder, const char *path, const char *text)
{
	char full[4096];
	struct err err = ERR_INIT;

	snprintf(full, sizeof(full), "%s/%s", folder, path);
	char *slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(dir_make_at(AT_FDCWD, full, 0755, &err), 0);
	*slash = '/';
	/* In place, as an editor that keeps the inode would. */
	AUTO(close_fd) int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text), &err), 0);
}

const char *current_of(struct arena *arena, const char *place)
{
	char target[4096];
	ssize_t len = readlink(path_at(arena, place, "current"), target, sizeof(target) - 1);

	if (len < 0)
		return "";
	target[len] = '\0';
	return arena_strdup(arena, target);
}
