/* Relays: TCP connections made from the server, spoken over by the controller, so
 * that each server is checked itself, past balancers and firewalls. */
#include "agent/session.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct target {
	struct sockaddr_storage address;
	socklen_t len;
	char text[INET6_ADDRSTRLEN];
};

static bool parse_address(const char *host, uint16_t port, struct target *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;

	*out = (struct target){ 0 };
	snprintf(out->text, sizeof(out->text), "%s", host);
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		out->len = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		out->len = sizeof(*v6);
		return true;
	}
	return false;
}

static int connect_to(const struct target *target, int64_t timeout_ms, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int failure = 0;
	socklen_t len = sizeof(failure);

	if (fd < 0)
		return err_errno(err, "socket");
	if (connect(fd, (const struct sockaddr *)&target->address, target->len) != 0) {
		if (errno != EINPROGRESS)
			return err_errno(err, "connecting to %s", target->text);
		struct pollfd ready = { fd, POLLOUT, 0 };
		if (poll(&ready, 1, (int)MIN(timeout_ms, (int64_t)60000)) <= 0)
			return err_set(err, ERR_NETWORK, "connecting to %s: no answer in time", target->text);
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)
			return err_errno(err, "connecting to %s", target->text);
		if (failure) {
			errno = failure;
			err_errno(err, "connecting to %s from the server itself", target->text);
			err->code = ERR_NETWORK;
			return -1;
		}
	}
	*fd_out = steal_fd(&fd);
	return 0;
}

/* The addresses tried for `host`: literal; "localhost": both loopbacks; empty: the
 * address this connection came in on, then the loopbacks. */
static size_t list_hosts(const char *host, const char *out[3])
{
	static char own[INET6_ADDRSTRLEN];
	size_t count = 0;

	if (*host && strcmp(host, "localhost") != 0) {
		out[count++] = host;
		return count;
	}
	const char *connection = getenv("SSH_CONNECTION");
	if (!*host && connection) {
		/* "client port server port" (sshd(8)) */
		struct slice rest = slice_of(connection);
		slice_cut(&rest, ' ');
		slice_cut(&rest, ' ');
		struct slice address = slice_cut(&rest, ' ');
		if (address.len && address.len < sizeof(own)) {
			snprintf(own, sizeof(own), "%.*s", SLICE_ARG(address));
			out[count++] = own;
		}
	}
	out[count++] = "127.0.0.1";
	out[count++] = "::1";
	return count;
}

int handle_relay_open(struct session *session, const struct record *request, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(1024);
	const char *hosts[3], *host = record_get_str(&arena, request, "host");
	uint64_t id, port;
	struct relay *relay = NULL;
	struct target target = { 0 };

	if (record_need_u64(request, "id", &id, err) ||
	    record_need_u64(request, "port", &port, err))
		return -1;
	for (size_t i = 0; i < RELAYS_MAX && !relay; i++)
		if (session->relays[i].fd < 0)
			relay = &session->relays[i];
	if (!relay || id > UINT32_MAX || port == 0 || port > UINT16_MAX)
		return err_set(err, ERR_USER, "no relay: %s", relay ? "id or port is out of range" : "too many are open");
	size_t count = list_hosts(host, hosts);
	int result = -1;
	for (size_t i = 0; i < count && result; i++) {
		if (!parse_address(hosts[i], (uint16_t)port, &target))
			return err_set(err, ERR_USER, "\"%s\" is no literal address", hosts[i]);
		struct err earlier = *err;
		result = connect_to(&target, record_get_i64(request, "timeout_ms", 10000), &relay->fd, err);
		/* The first failure says most: it is about the address people would name. */
		if (result && i > 0)
			*err = earlier;
	}
	if (result) {
		err->code = ERR_NETWORK;
		return err_wrap(err, "port %llu", (unsigned long long)port);
	}
	err_clear(err);
	relay->id = (uint32_t)id;
	record_begin(&text, "relay-opened");
	record_put_u64(&text, "id", id);
	record_put_str(&text, "address", target.text);
	return session_send_record(session, MSG_RELAY_OPENED, &text, err);
}

static struct relay *find_relay(struct session *session, uint32_t id)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (session->relays[i].fd >= 0 && session->relays[i].id == id)
			return &session->relays[i];
	return NULL;
}

static void tell_closed(struct session *session, uint32_t id)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64);
	struct err err = ERR_INIT;

	record_begin(&text, "relay-close");
	record_put_u64(&text, "id", id);
	if (session_send_record(session, MSG_RELAY_CLOSE, &text, &err))
		session->lost = true;
}

int handle_relay_close(struct session *session, const struct record *request, struct err *err)
{
	(void)err;
	struct relay *relay = find_relay(session, (uint32_t)record_get_u64(request, "id", 0));

	if (relay)
		close_fd(&relay->fd);
	return 0;
}

void relay_data(struct session *session, struct slice payload)
{
	const unsigned char *bytes = (const unsigned char *)payload.ptr;

	if (payload.len < 4)
		return;
	uint32_t id = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
	struct relay *relay = find_relay(session, id);
	struct slice rest = slice_skip(payload, 4);
	/* A request for health is small: it fits a socket's buffer, or the peer is stuck. */
	while (relay && rest.len) {
		ssize_t sent = send(relay->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
		if (sent > 0) {
			rest = slice_skip(rest, (size_t)sent);
			continue;
		}
		struct pollfd ready = { relay->fd, POLLOUT, 0 };
		if (sent < 0 && (errno == EAGAIN || errno == EINTR) && poll(&ready, 1, 5000) > 0)
			continue;
		close_fd(&relay->fd);
		tell_closed(session, id);
		return;
	}
}

void relay_ready(struct session *session, size_t index)
{
	struct relay *relay = &session->relays[index];
	AUTO(buf_free) struct buf payload = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct err err = ERR_INIT;
	char piece[16 << 10];

	ssize_t got = recv(relay->fd, piece, sizeof(piece), 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close_fd(&relay->fd);
		tell_closed(session, relay->id);
		return;
	}
	buf_put_u32(&payload, relay->id);
	buf_put(&payload, piece, (size_t)got);
	if (session_send(session, MSG_RELAY_DATA, buf_slice(&payload), &err))
		session->lost = true;
}

void relay_close_all(struct session *session)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		close_fd(&session->relays[i].fd);
}
