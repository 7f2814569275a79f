/* Health checks: the agent opens a TCP connection on the server and carries its
 * bytes; HTTP and TLS are spoken here (net/http_check.h). */
#include "target/internal.h"

#include "base/fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

void relay_end(struct link *link)
{
	loop_watch_stop(&link->relay_watch);
	http_check_stop(&link->check);
	close_fd(&link->relay_fd);
	buf_clear(&link->relay_out);
	link->relay_server_closed = false;
}

static void close_send(struct link *link)
{
	AUTO(buf_free) struct buf record = BUF_INIT(256);
	record_begin(&record, "relay-close");
	record_put_u64(&record, "id", link->relay_id);
	link_send_record(link, MSG_RELAY_CLOSE, &record);
}

static void outcome_store(struct link *link, bool passed, int status, const char *why, int64_t duration_ms)
{
	link->results.http = (struct http_result){
		.passed = passed,
		.status = status,
		.why = arena_strdup(&link->arena, why),
		.duration_ms = duration_ms,
	};
}

static void checked(void *context, const struct http_check_outcome *outcome)
{
	struct link *link = context;
	outcome_store(link, outcome->passed, outcome->status, outcome->why, outcome->duration_ms);
	if (!link->relay_server_closed)
		close_send(link);
	if (link->status == LINK_BUSY)
		link_finish(link);
}

/* --- bytes both ways ------------------------------------------------------------- */

static void watch_set(struct link *link)
{
	if (link->relay_watch)
		loop_watch_change(link->relay_watch, link_queued(link) < LINK_QUEUE_HIGH,
				  link->relay_out.len > 0);
}

static void to_server(struct link *link)
{
	char bytes[4 + LINK_SEND_PIECE];
	ssize_t got = read(link->relay_fd, bytes + 4, LINK_SEND_PIECE);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		/* The check has hung up; its outcome follows. */
		loop_watch_stop(&link->relay_watch);
		return;
	}
	for (int i = 0; i < 4; i++)
		bytes[i] = (char)(link->relay_id >> (8 * i));
	link_send(link, MSG_RELAY_DATA, slice_make(bytes, 4 + (size_t)got));
}

static void to_check(struct link *link)
{
	while (link->relay_out.len) {
		ssize_t put = send(link->relay_fd, link->relay_out.ptr, link->relay_out.len, MSG_NOSIGNAL);
		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (put < 0) {
			buf_clear(&link->relay_out);
			return;
		}
		buf_consume(&link->relay_out, (size_t)put);
	}
	if (link->relay_server_closed)
		shutdown(link->relay_fd, SHUT_WR);
}

static void stream_ready(void *context, bool readable, bool writable)
{
	struct link *link = context;
	if (writable)
		to_check(link);
	if (readable)
		to_server(link);
	watch_set(link);
}

static void opened(struct link *link)
{
	struct err err = ERR_INIT;
	const struct http_request *http = &link->http;
	struct http_check_spec spec = {
		.url = http->url,
		.body_contains = http->body_contains,
		.header_name = http->header_name,
		.header_value = http->header_value,
		.status = http->status,
		.timeout_ms = http->timeout_ms,
		.insecure = http->insecure,
		.ca_file = http->ca_file,
	};
	if (http_check_start(link->loop, &spec, checked, link, &link->check, &link->relay_fd, &err) < 0 ||
	    fd_set_nonblocking(link->relay_fd, true, &err) < 0) {
		close_send(link);
		link_refuse(link, &err);
		return;
	}
	link->relay_watch = loop_watch_start(link->loop, link->relay_fd, true, false, stream_ready, link);
}

int relay_take(struct link *link, uint8_t type, const struct record *record, struct slice payload,
	       struct err *err)
{
	struct err refusal = ERR_INIT;
	bool current = link->request == MSG_RELAY_OPEN;
	if (type == MSG_RELAY_DATA) {
		if (payload.len < 4)
			return err_set(err, ERR_INTERNAL, "relay data without an id");
		const unsigned char *id = (const unsigned char *)payload.ptr;
		uint32_t number = (uint32_t)id[0] | (uint32_t)id[1] << 8 | (uint32_t)id[2] << 16 |
				  (uint32_t)id[3] << 24;
		/* What comes late, for a check that is over, is dropped. */
		if (!current || number != link->relay_id || link->relay_fd < 0)
			return 0;
		buf_put_slice(&link->relay_out, slice_skip(payload, 4));
		if (buf_check(&link->relay_out, "what the health check has not read yet", err) < 0)
			return -1;
		to_check(link);
		watch_set(link);
		return 0;
	}
	if (type == MSG_RELAY_CLOSE) {
		if (!current || record_get_u64(record, "id", 0) != link->relay_id || link->relay_fd < 0)
			return 0;
		link->relay_server_closed = true;
		to_check(link);
		return 0;
	}
	if (type == MSG_RELAY_OPENED && current) {
		opened(link);
		return 0;
	}
	if (type != MSG_REFUSED)
		return link_take_answer(link, type, record, err);
	link_refusal(record, &refusal);
	if (refusal.code != ERR_NETWORK) {
		link_refuse(link, &refusal);
		return 0;
	}
	/* Nobody listens there: an answer about the application, not about the line. */
	outcome_store(link, false, 0, refusal.text, 0);
	link_finish(link);
	return 0;
}

/* --- asking ------------------------------------------------------------------------- */

void link_check_http(struct link *link, const struct http_request *request)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	struct err err = ERR_INIT;
	char host[256];
	uint16_t port = 0;
	link_begin(link, MSG_RELAY_OPEN, "verify");
	link->results.http = (struct http_result){0};
	if (link->status != LINK_BUSY)
		return;
	link->http = *request;
	link->http.url = arena_strdup(&link->arena, request->url);
	link->http.body_contains = arena_strdup(&link->arena, request->body_contains);
	link->http.header_name = arena_strdup(&link->arena, request->header_name);
	link->http.header_value = arena_strdup(&link->arena, request->header_value);
	link->http.ca_file = arena_strdup(&link->arena, request->ca_file);
	if (http_url_split(request->url, host, sizeof(host), &port, &err) < 0) {
		link_refuse(link, &err);
		return;
	}
	record_begin(&record, "relay-open");
	record_put_u64(&record, "epoch", link->results.lease.epoch);
	record_put_u64(&record, "id", ++link->relay_id);
	record_put_str(&record, "host", request->connect_host ? request->connect_host : "");
	record_put_u64(&record, "port", request->connect_port ? request->connect_port : port);
	record_put_i64(&record, "timeout_ms", request->timeout_ms);
	link_send_record(link, MSG_RELAY_OPEN, &record);
}
